"""What the program is measured against: does what stdin asks for, line by line, and prints the seconds that each took.

    sgemm SIZE THREADS REPEATS         products of square matrices by PyTorch
    trace NEURONS FRAMES THREADS       the network along the trace in PyTorch
    windows NEURONS FRAMES             the network window by window in TensorFlow, as CASCADE evaluates it
    percentile NEURONS FRAMES          ΔF/F by NumPy, frame by frame
    grids NEURONS FRAMES PLANES FILE   spikes to gzip-compressed grids by NumPy and h5py

All on made-up data. The networks have CASCADE's default architecture, five members and random weights.
"""

import os
import sys
import time
from functools import cache

import numpy as np

MEMBERS = 5
WINDOW = 64
FILTER_SIZES = 13, 9, 3
FILTER_NUMBERS = 30, 40, 50
DENSE = 10
POSITIONS = 10


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def noise(neurons, frames):
    return np.random.default_rng(1).standard_normal((neurons, frames), dtype=np.float32)


@cache
def matrices(size):
    import torch

    return torch.rand(size, size), torch.rand(size, size), torch.ones(size, size)


def sgemm(size, threads, repeats):
    import torch

    torch.set_num_threads(threads)
    left, right, product = matrices(size)
    return seconds(lambda: [torch.mm(left, right, out=product) for _ in range(repeats)])


@cache
def trace_members():
    """Along the trace pools have stride 1, and what comes after a pool is dilated by 2 more."""
    import torch
    from torch import nn

    def member():
        one, two, three = FILTER_NUMBERS
        return nn.Sequential(
            nn.Conv1d(1, one, FILTER_SIZES[0]),
            nn.ReLU(),
            nn.Conv1d(one, two, FILTER_SIZES[1]),
            nn.ReLU(),
            nn.MaxPool1d(2, stride=1),
            nn.Conv1d(two, three, FILTER_SIZES[2], dilation=2),
            nn.ReLU(),
            nn.MaxPool1d(2, stride=1, dilation=2),
            nn.Conv1d(three, DENSE, 1),
            nn.ReLU(),
            nn.Conv1d(DENSE, 1, POSITIONS, dilation=4),
        ).eval()

    torch.manual_seed(1)
    return [member() for _ in range(MEMBERS)]


def along_the_trace(neurons, frames, batch):
    import torch

    dff = torch.from_numpy(noise(neurons, frames))[:, None]
    with torch.inference_mode():
        return seconds(lambda: [sum(member(part) for member in trace_members()) for part in dff.split(batch)])


@cache
def best_batch(neurons, frames):
    along_the_trace(neurons, frames, neurons)
    batches = [batch for batch in (1, 2, 4, 8, 16, 32, 64) if batch <= neurons]
    return min(batches, key=lambda batch: along_the_trace(neurons, frames, batch))


def trace(neurons, frames, threads):
    import torch

    torch.set_num_threads(threads)
    return along_the_trace(neurons, frames, best_batch(neurons, frames))


@cache
def window_members():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow
    from tensorflow import keras
    from tensorflow.keras import layers

    tensorflow.get_logger().setLevel("ERROR")

    def member():
        one, two, three = FILTER_NUMBERS
        return keras.Sequential([
            keras.Input((WINDOW, 1)),
            layers.Conv1D(one, FILTER_SIZES[0], activation="relu"),
            layers.Conv1D(two, FILTER_SIZES[1], activation="relu"),
            layers.MaxPooling1D(2),
            layers.Conv1D(three, FILTER_SIZES[2], activation="relu"),
            layers.MaxPooling1D(2),
            layers.Dense(DENSE, activation="relu"),
            layers.Flatten(),
            layers.Dense(1),
        ])

    return [member() for _ in range(MEMBERS)]


def predictions(inputs):
    return [member.predict(inputs, batch_size=8192, verbose=0) for member in window_members()]


@cache
def compiled(windows):
    """Networks are compiled when they first see inputs of a shape."""
    predictions(np.zeros((windows, WINDOW, 1), np.float32))


def windows(neurons, frames):
    dff = noise(neurons, frames)
    compiled(neurons * frames)

    def work():
        padded = np.pad(dff, ((0, 0), (WINDOW // 2 - 1, WINDOW // 2)))
        cut = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)
        inputs = np.ascontiguousarray(cut).reshape(-1, WINDOW, 1)
        return sum(predictions(inputs)) / MEMBERS

    return seconds(work)


def percentile(neurons, frames, half=30):
    fluorescence = 100 + noise(neurons, frames)

    def work():
        baseline = np.empty_like(fluorescence)
        for frame in range(frames):
            around = fluorescence[:, max(0, frame - half) : frame + half + 1]
            baseline[:, frame] = np.percentile(around, 8, axis=1)
        return (fluorescence - baseline) / baseline

    return seconds(work)


def grids(neurons, frames, planes, path):
    import h5py

    random = np.random.default_rng(1)
    spikes = random.random((neurons, frames)) < 0.03
    plane, row, column = (random.integers(0, most, neurons) for most in (planes, 256, 128))

    def work():
        with h5py.File(path, "w") as file:
            shape = (frames, planes, 256, 128)
            dataset = file.create_dataset("grids", shape, "u1", chunks=(1, 1, 256, 128), compression="gzip", compression_opts=1)
            for frame in range(frames):
                grid = np.zeros(shape[1:], np.uint8)
                active = spikes[:, frame]
                grid[plane[active], row[active], column[active]] = 1
                dataset[frame] = grid

    return seconds(work)


REQUESTS = {work.__name__: work for work in (sgemm, trace, windows, percentile, grids)}

for line in sys.stdin:
    name, *arguments = line.split()
    print(REQUESTS[name](*(int(word) if word.isdigit() else word for word in arguments)), flush=True)

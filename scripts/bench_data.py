"""Recordings and models for the benches: made-up fluorescence, and a network so small that it costs next to nothing."""

import json
import struct
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

TINY = "Tiny_2Hz"
TINY_CONFIG = f"""\
model_name: {TINY}
sampling_rate: 2
training_datasets: []
noise_levels: [2]
smoothing: 0.5
causal_kernel: 0
windowsize: 64
before_frac: 0.5
filter_sizes: [3, 3, 3]
filter_numbers: [2, 2, 2]
dense_expansion: 2
ensemble_size: 1
"""
# What is left of a window of 64 after three filters of 3 taps and two poolings.
TINY_POSITIONS = 14

LAYOUTS = {
    "contiguous": {},
    "chunked": {"chunks": True},
    "gzip": {"chunks": True, "compression": "gzip", "compression_opts": 1},
    "gzip_frames": {"compression": "gzip", "compression_opts": 1},
}


def time_series(path, neurons, frames, layout="contiguous"):
    """Writes `CellResp` f32 (T, N); `gzip_frames` has one chunk for each frame, as a recording that grows."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    options = LAYOUTS[layout] | ({"chunks": (1, neurons)} if layout == "gzip_frames" else {})
    random = np.random.default_rng(1)
    # Photons at a mean that comes and goes; a pool of noise serves all frames.
    photons = random.poisson(30, 1 << 22).astype(np.float32)
    with h5py.File(path.with_suffix(".partial"), "w") as file:
        dataset = file.create_dataset("CellResp", (frames, neurons), "f4", **options)
        step = max(1, (16 << 20) // neurons)
        for first in range(0, frames, step):
            count = min(step, frames - first)
            places = (np.arange(count * neurons) + random.integers(photons.size)) % photons.size
            active = random.random((count, neurons), dtype=np.float32) < 0.02
            dataset[first : first + count] = 100 + photons[places].reshape(count, neurons) + 40 * active
    path.with_suffix(".partial").rename(path)
    return path


def subject(folder, neurons, frames, planes, layout="contiguous"):
    """Makes one subject in a folder of its own, and returns that, to be given as `--input_dir`."""
    folder = folder / f"{neurons}x{frames}x{planes}-{layout}"
    subject = folder / "subject_1"
    time_series(subject / "TimeSeries.h5", neurons, frames, layout)
    random = np.random.default_rng(2)
    xyz = random.random((neurons, 3)) * (1000, 500, 0)
    xyz[:, 2] = np.arange(neurons) % planes
    savemat(subject / "data_full.mat", {"data": {"CellXYZ": xyz}})
    return folder


def tiny_model(folder):
    """Writes the model and returns the flags that choose it."""
    shapes = {
        "conv1.weight": (2, 1, 3), "conv1.bias": (2,),
        "conv2.weight": (2, 2, 3), "conv2.bias": (2,),
        "conv3.weight": (2, 2, 3), "conv3.bias": (2,),
        "dense1.weight": (2, 2), "dense1.bias": (2,),
        "dense2.weight": (1, 2 * TINY_POSITIONS), "dense2.bias": (1,),
    }
    header, values = {}, b""
    for name, shape in shapes.items():
        tensor = np.full(shape, 0.2, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(values), len(values) + len(tensor)]}
        values += tensor
    text = json.dumps(header).encode()
    model = Path(folder) / TINY
    model.mkdir(parents=True, exist_ok=True)
    (model / "config.yaml").write_text(TINY_CONFIG)
    (model / "Model_NoiseLevel_2_Ensemble_0.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + values)
    return ["--model_dir", str(folder), "--cascade_model", TINY]

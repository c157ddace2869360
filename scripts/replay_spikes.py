#!/usr/bin/env python3
"""Samples the spikes of a processed subject again and compares them with the saved ones.

    scripts/replay_spikes.py processed_spike_grids_2018/subject_1

The folder must hold preaugmented_grids.h5 and, from a run with --save_traces, traces.h5. Needs numpy and h5py only.
Exit status 0: every spike is the same; 1: some differ; 2: a file is missing or not as expected.

The generator is the one that crates/core/src/spikes.rs documents: per neuron a xoshiro256++ whose state is the SHA-256 of the seed,
the neuron's place in the recording and the subject's name, and one number per frame. All neurons of a chunk step together.
"""
import argparse
import hashlib
import pathlib
import sys

import h5py
import numpy as np

DOMAIN = b"spikegrid-mpi spikes 1\0"
CHUNK_BYTES = 256 << 20


def states(seed, subject, neurons):
    """Generator states of `neurons` (a range): u64 (4, N)."""
    head = DOMAIN + seed.to_bytes(8, "little")
    tail = subject.encode("utf-8")
    digests = b"".join(hashlib.sha256(head + n.to_bytes(8, "little") + tail).digest() for n in neurons)
    return np.frombuffer(digests, "<u8").astype(np.uint64).reshape(len(neurons), 4).T.copy()


def rotl(x, k):
    return (x << np.uint64(k)) | (x >> np.uint64(64 - k))


def step(s):
    """One uniform number in [0, 1) of each generator, which moves on: f64 (N,)."""
    result = rotl(s[0] + s[3], 23) + s[0]
    t = s[1] << np.uint64(17)
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotl(s[3], 45)
    return (result >> np.uint64(11)).astype(np.float64) * 2.0**-53


def replay(seed, subject, first, rate):
    """Spikes of neurons `first..` with rates `rate`, f32 (N, T): u8 (N, T)."""
    probability = np.clip(rate, 0, 1).T.astype(np.float64, order="C")
    s = states(seed, subject, range(first, first + len(rate)))
    spikes = np.empty(probability.shape, np.uint8)
    for t, p in enumerate(probability):
        spikes[t] = step(s) < p  # false where p is NaN
    return spikes.T


def compare(folder):
    """Prints the first differences and returns how many there are."""
    with h5py.File(folder / "preaugmented_grids.h5") as grids:
        seed, subject = int(grids.attrs["seed"]), grids.attrs["subject"]
    subject = subject.decode() if isinstance(subject, bytes) else str(subject)
    different = total = 0
    with h5py.File(folder / "traces.h5") as traces:
        rate, saved = traces["spike_rate"], traces["spikes"]
        if rate.shape != saved.shape:
            raise ValueError(f"spike_rate is {rate.shape}, but spikes is {saved.shape}")
        neurons, frames = rate.shape
        chunk = max(1, CHUNK_BYTES // (20 * max(1, frames)))
        for first in range(0, neurons, chunk):
            given = saved[first : first + chunk]
            wrong = replay(seed, subject, first, rate[first : first + chunk]) != given
            for n, t in np.argwhere(wrong)[: max(0, 10 - different)]:
                print(f"neuron {first + n}, frame {t}: saved {given[n, t]}, rate {rate[first + n, t]}")
            different += int(wrong.sum())
            total += int(given.sum())
    print(f"{subject}: {neurons} neurons x {frames} frames, {total} spikes, seed {seed}: {different} differ")
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="<output_dir>/<subject>")
    folder = parser.parse_args().folder
    try:
        sys.exit(1 if compare(folder) else 0)
    except (OSError, KeyError, ValueError) as error:
        print(f"{folder}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

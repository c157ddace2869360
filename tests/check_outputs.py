#!/usr/bin/env python3
"""Checks an output folder against the rules, in NumPy and h5py alone, opening the files as data loaders do.

Usage: check_outputs.py OUTPUT_DIR [SUBJECT ...]
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np

ROWS, COLUMNS, BLOCK = 256, 128, 330


def split_mask(frames, ratio, seed):
    """Rule 6.1, by NumPy's own legacy shuffle."""
    mask = np.ones(frames, np.uint8)
    blocks = np.arange(frames // BLOCK)
    np.random.seed(seed)
    np.random.shuffle(blocks)
    tests = max(1, int(len(blocks) * (1 - ratio)))
    for block in blocks[:tests]:
        mask[block * BLOCK : (block + 1) * BLOCK] = 0
    return mask


def grid_frames(xyz, spikes):
    """Rules 2.5, 7.1 and 7.2: yields the grid of each frame."""
    xyz = np.asarray(xyz, np.float64)
    placed = ~np.isnan(xyz).any(axis=1)
    xyz, spikes = xyz[placed], spikes[placed]
    level = np.rint(xyz[:, 2] * 1000) / 1000
    planes, plane = np.unique(level, return_inverse=True)

    def scaled(values, top):
        extent = values.max() - values.min()
        return np.floor((values - values.min()) / (extent if extent else 1.0) * top).astype(int)

    row, column = scaled(xyz[:, 0], ROWS - 1), scaled(xyz[:, 1], COLUMNS - 1)
    for t in range(spikes.shape[1]):
        grid = np.zeros((len(planes), ROWS, COLUMNS), np.uint8)
        on = spikes[:, t] == 1
        grid[plane[on], row[on], column[on]] = 1
        for z in range(len(planes)):
            grid[z, :2, COLUMNS - min(z + 2, COLUMNS) :] = 1
        yield planes, grid


def scalar(attribute, kind):
    assert isinstance(attribute, kind), f"{attribute!r} is no {kind}"
    return attribute


def check_metadata(group, frames, planes, is_train):
    assert group["num_timepoints"][()] == frames and group["num_timepoints"].dtype == np.int64
    assert group["num_z_planes"][()] == planes and group["num_z_planes"].dtype == np.int64
    assert group["num_timepoints"].shape == () and group["num_z_planes"].shape == ()
    assert group["z_values"].dtype == np.float64 and group["z_values"].shape == (planes,)
    assert group["is_train"].dtype == np.uint8 and (group["is_train"][:] == is_train).all()
    for name, value in [("train_timepoints", 1), ("test_timepoints", 0)]:
        assert group[name].dtype == np.int64, f"{name} is {group[name].dtype}"
        assert (group[name][:] == np.flatnonzero(is_train == value)).all()


def check_subject(output_dir, name):
    folder = output_dir / name
    assert not list(folder.glob(".*")), "a temporary file is left"
    with h5py.File(folder / "preaugmented_grids.h5", "r", libver="latest", swmr=True) as file:
        grids, attributes = file["grids"], file.attrs
        frames, planes = grids.shape[:2]
        assert grids.dtype == np.uint8 and grids.shape[2:] == (ROWS, COLUMNS)
        if json.loads(attributes["config"])["compression"] == "none":
            assert grids.chunks is None and grids.compression is None
        else:
            assert grids.chunks == (1, 1, ROWS, COLUMNS)
            assert (grids.compression, grids.compression_opts) == ("gzip", 1)
        assert file["timepoint_indices"].dtype == np.int32
        assert (file["timepoint_indices"][:] == np.arange(frames)).all()
        is_train = file["is_train"][:]
        assert is_train.dtype == np.uint8 and is_train.shape == (frames,)
        assert int(attributes["num_timepoints"]) == frames and int(attributes["num_z_planes"]) == planes
        for key in ["num_timepoints", "num_z_planes", "seed"]:
            assert scalar(attributes[key], np.int64).shape == ()
        for key in ["sampling_rate", "window_sec", "split_ratio"]:
            assert scalar(attributes[key], np.float64).shape == ()
        for key in ["subject", "cascade_model", "baseline", "threshold", "model_sha256", "software_version", "config"]:
            scalar(attributes[key], str)
        assert attributes["subject"] == name
        percentile = float(attributes["percentile"])
        scalar(attributes["percentile"], np.int64 if percentile.is_integer() else np.float64)
        assert len(attributes["model_sha256"]) == 64
        config = json.loads(attributes["config"])
        assert "input" in config and config["seed"] == attributes["seed"]
        expected = split_mask(frames, float(attributes["split_ratio"]), int(attributes["seed"]))
        assert (is_train == expected).all(), "the split is not NumPy's"
        plane_by_plane = np.stack([grids[frames - 1, z] for z in range(planes)])
        assert (plane_by_plane == grids[frames - 1]).all()
        check_traces(folder, grids)
        check_activity(folder)
    with h5py.File(folder / "metadata.h5", "r") as file:
        check_metadata(file, frames, planes, is_train)
    with h5py.File(output_dir / "combined_metadata.h5", "r") as file:
        check_metadata(file[name], frames, planes, is_train)
    pdf = (folder / f"{name}_visualization.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-") and b"%%EOF" in pdf[-32:]


def check_activity(folder):
    """Rule 8.9."""
    if not (folder / "activity.h5").exists():
        return
    with h5py.File(folder / "activity.h5", "r") as file:
        values = file["neuron_values"]
        frames, neurons = values.shape
        assert values.dtype in (np.float32, np.float16) and values.compression == "gzip"
        assert values.chunks[0] <= 1000 and values.chunks[1] <= 100
        assert values.attrs["unit"].startswith("spikes per frame")
        assert file["num_timepoints"][()] == frames and file["num_neurons"][()] == neurons
        assert file["original_sampling_rate_hz"][()] > 0
        assert np.array_equal(file["timepoint_indices"][:], np.arange(frames, dtype=np.int32))
        positions = file["cell_positions"]
        assert positions.shape == (neurons, 3) and positions.dtype == np.float32
        low, high = positions.attrs["positions_min"], positions.attrs["positions_max"]
        if not (folder / "traces.h5").exists():
            return
        with h5py.File(folder / "traces.h5", "r") as traces:
            rates = traces["spike_rate"][:].T.astype(values.dtype)
            assert np.array_equal(values[:], rates, equal_nan=True)
            xyz = traces["cell_xyz"][:]
        scaled = (xyz - low) / np.where(high > low, high - low, 1)
        assert np.allclose(positions[:], scaled, atol=1e-6, equal_nan=True)


def check_traces(folder, grids):
    if not (folder / "traces.h5").exists():
        print(f"  {folder.name}: no traces.h5, the grids are not compared with the spikes")
        return
    with h5py.File(folder / "traces.h5", "r") as file:
        neurons, frames = file["dff"].shape
        for key, dtype, shape in [
            ("dff", "f4", (neurons, frames)),
            ("spike_rate", "f4", (neurons, frames)),
            ("spikes", "u1", (neurons, frames)),
            ("noise_level", "f4", (neurons,)),
            ("model_noise_level", "i4", (neurons,)),
            ("cell_xyz", "f8", (neurons, 3)),
            ("source_row", "i8", (neurons,)),
        ]:
            assert file[key].dtype == np.dtype(dtype) and file[key].shape == shape, key
        rate, spikes = file["spike_rate"][:], file["spikes"][:]
        assert not spikes[~(rate > 0)].any(), "a spike without a rate"
        assert spikes[rate >= 1].all(), "a rate of 1 without a spike"
        for t, (planes, grid) in enumerate(grid_frames(file["cell_xyz"][:], spikes)):
            assert (grids[t] == grid).all(), f"frame {t} differs"
        return planes


def main():
    output_dir = Path(sys.argv[1])
    names = sys.argv[2:] or sorted(path.name for path in output_dir.glob("subject_*"))
    assert names, "no subjects"
    assert not list(output_dir.glob(".*")), "a temporary file is left"
    report = json.loads((output_dir / "report.json").read_text())
    for key in ["software_version", "configuration", "subjects", "peak_resident_bytes_per_rank"]:
        assert key in report, key
    for name in names:
        check_subject(output_dir, name)
    print(f"{len(names)} subjects are as the rules say")


main()

"""Grids against h5py, index by index, and how fast they are read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

import spikegrid

INDICES: list[Any] = [
    0,
    (100, 2),
    (-1, -1),
    slice(5, 9),
    slice(9, 2, -3),
    (slice(None, None, 100), 1),
    (..., 7),
    (slice(3), ..., slice(250, None)),
    (slice(0, 20), 1, 200, 100),
    (slice(0, 2), slice(None), slice(255, None, -1), slice(None, None, 2)),
    [4, 2, 2],
    [1, 2],
    (np.array([699, 0]), 0),
    (10, [2, 0]),
    (10, 1, [255, 3], slice(100, 128)),
    (slice(4, 4), 0),
]


@pytest.fixture(scope="module")
def by_hand(output: spikegrid.Output) -> npt.NDArray[np.uint8]:
    with h5py.File(output.folder / "subject_1/preaugmented_grids.h5") as file:
        grids: npt.NDArray[np.uint8] = file["grids"][:]
    return grids


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_an_index_reads_what_numpy_would(subject: spikegrid.Subject, by_hand: npt.NDArray[np.uint8], index: Any) -> None:
    read, expected = subject.grids[index], by_hand[index]
    assert read.shape == expected.shape
    assert read.dtype == np.uint8
    assert (read == expected).all()
    assert read.flags.writeable


def test_a_mask_selects_frames(subject: spikegrid.Subject, by_hand: npt.NDArray[np.uint8]) -> None:
    assert (subject.grids[~subject.is_train, 1] == by_hand[subject.test_frames, 1]).all()


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (700, "index 700 is out of bounds for axis 0 with size 700"),
        ((0, [0, 99]), "index 99 is out of bounds for axis 1"),
        ((0, 0, 0, 0, 0), "too many indices"),
        ((..., ...), "must be made of"),
        (None, "must be made of"),
        (True, "must be made of"),
        (1.5, "must be made of"),
        ([[1]], "must be made of"),
        (([0, 1], [0, 1]), "only one axis"),
        ([True, False], "must have 700 values"),
    ],
    ids=str,
)
def test_a_wrong_index_is_an_error(subject: spikegrid.Subject, index: Any, reason: str) -> None:
    with pytest.raises(IndexError, match=reason):
        subject.grids[index]


def test_rule_7_2_without_the_marker_only_spikes_are_left(subject: spikegrid.Subject, by_hand: npt.NDArray[np.uint8]) -> None:
    expected = by_hand.copy()
    for z in range(subject.num_planes):
        expected[:, z, :2, 128 - (z + 2) :] = 0
    assert (np.asarray(subject.grids.without_marker()) == expected).all()
    assert (spikegrid.mask_marker(by_hand[0, 1], 1) == expected[0, 1]).all()
    assert (subject.grids[...] == by_hand).all(), "the subject's grids keep their marker"


def test_grids_without_compression_are_read(subject: spikegrid.Subject, tmp_path: Path) -> None:
    expected = subject.grids[:3]
    with h5py.File(tmp_path / "preaugmented_grids.h5", "w") as file:
        file["grids"] = expected
    assert (spikegrid.open(tmp_path).grids[1:, 0] == expected[1:, 0]).all()


@pytest.mark.filterwarnings("default")
def test_grids_are_copied_to_zarr(subject: spikegrid.Subject, by_hand: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="zarr is not installed: to_zarr is not tested")
    subject.grids.to_zarr(tmp_path / "grids.zarr")
    array = zarr.open_array(tmp_path / "grids.zarr", mode="r")
    assert array.chunks == (64, 1, 256, 128)
    assert (array[:] == by_hand).all()


def test_a_damaged_plane_is_an_error(bare: Path) -> None:
    with h5py.File(bare / "preaugmented_grids.h5", "r+") as file:
        file["grids"].id.write_direct_chunk((7, 1, 0, 0), b"not deflated")
    grids = spikegrid.open(bare).grids
    with pytest.raises(OSError, match="the plane of frame 7, z-plane 1 is damaged"):
        grids[5:9]


def seconds(read: Callable[[Any], object], *arrays: Any) -> list[float]:
    """Return the least processor time of several tries with each of the arrays in turn."""
    times = np.full((9, len(arrays)), np.inf)
    for attempt, which in np.ndindex(times.shape):
        begin = time.process_time()
        read(arrays[which])
        times[attempt, which] = time.process_time() - begin
    return [float(best) for best in times.min(axis=0)]


def test_reading_is_at_least_as_fast_as_h5py(subject: spikegrid.Subject, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    places = [(int(random.integers(700)), int(random.integers(subject.num_planes))) for _ in range(400)]
    starts = random.integers(700 - 16, size=10).tolist()
    with h5py.File(subject.folder / "preaugmented_grids.h5") as file:
        arrays = subject.grids, file["grids"]
        tried = {
            "shuffled planes": seconds(lambda array: [array[place] for place in places], *arrays),
            "shuffled windows": seconds(lambda array: [array[start : start + 16] for start in starts], *arrays),
            "windows in order": seconds(lambda array: [array[start : start + 9, 1] for start in range(40)], *arrays),
        }
    ratios = {what: ours / by_hand for what, (ours, by_hand) in tried.items()}
    with capsys.disabled():
        print("\nprocessor time against h5py:", ", ".join(f"{what} {ratio:.2f}" for what, ratio in ratios.items()))
    assert max(ratios.values()) < 1.1, "no slower than h5py, but for the noise of the machine"

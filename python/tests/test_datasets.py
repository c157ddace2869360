"""Datasets in a DataLoader against the files by hand."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

import spikegrid

pytest.importorskip("torch", reason="PyTorch is not installed: the datasets are not tested")
import torch
from torch.utils.data import DataLoader, Dataset

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_four_workers_read_every_window_once(subject: spikegrid.Subject, split: spikegrid.Split) -> None:
    with h5py.File(subject.folder / "preaugmented_grids.h5") as file:
        grids, is_train = file["grids"][:], file["is_train"][:] == 1
    inside = {"train": is_train, "test": ~is_train, "all": np.ones(700, bool)}[split]
    expected = [start for start in range(700 - 15) if inside[start : start + 16].all()]
    if split == "all":
        expected = expected[::9]
    _ = subject.grids[0]  # the file is open in this process, too
    dataset = spikegrid.GridDataset(subject, length=16, stride=9 if split == "all" else 1, split=split)
    assert dataset.starts.tolist() == expected
    seen = []
    for batch in DataLoader(Numbered(dataset), batch_size=8, shuffle=True, num_workers=4):
        for number, window in zip(*batch, strict=True):
            start = expected[int(number)]
            assert window.dtype == torch.uint8
            assert (window.numpy() == grids[start : start + 16]).all()
            seen.append(start)
    assert sorted(seen) == expected
    assert seen != expected


class Numbered(Dataset[tuple[int, torch.Tensor]]):
    """A dataset whose items say their number."""

    def __init__(self, dataset: spikegrid.GridDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor]:
        return index, self.dataset[index]


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_workers_may_be_forked_or_spawned(subject: spikegrid.Subject, start_method: str) -> None:
    _ = subject.grids[0]
    dataset = spikegrid.GridDataset(subject, stride=20, planes=[1], split="test")
    loader = DataLoader(dataset, batch_size=5, num_workers=1, multiprocessing_context=start_method)
    read = torch.cat(list(loader)).numpy()
    assert (read == subject.grids[dataset.starts][:, np.newaxis, [1]]).all()


def test_the_marker_is_masked_on_request(subject: spikegrid.Subject) -> None:
    dataset = spikegrid.GridDataset(subject, length=3, stride=100, mask_marker=True)
    window = dataset[1].numpy()
    assert (window == subject.grids.without_marker()[dataset.frames(1)]).all()
    assert spikegrid.GridDataset(subject)[0][0, :, 0, 127].all()


def test_windows_of_activity_are_those_of_the_file(with_activity: Path) -> None:
    with h5py.File(with_activity / "activity.h5") as file:
        rates, is_train = file["neuron_values"][:], file["is_train"][:] == 1
    dataset = spikegrid.ActivityDataset(with_activity, length=8, stride=8)
    loader = DataLoader(dataset, batch_size=4, num_workers=4)
    read = torch.cat(list(loader)).numpy()
    expected = np.stack([rates[dataset.frames(index)] for index in range(len(dataset))])
    assert all(is_train[dataset.frames(index)].all() for index in range(len(dataset)))
    np.testing.assert_array_equal(read, np.nan_to_num(expected))
    assert np.isnan(spikegrid.ActivityDataset(with_activity, missing=float("nan"))[0]).all()


def test_a_dataset_can_be_pickled(subject: spikegrid.Subject) -> None:
    dataset = spikegrid.GridDataset(subject, length=2)
    assert (pickle.loads(pickle.dumps(dataset))[9] == dataset[9]).all()


def test_a_window_that_fits_nowhere_is_an_error(subject: spikegrid.Subject, bare: Path) -> None:
    with pytest.raises(ValueError, match="no window of 400 neighbouring frames"):
        spikegrid.GridDataset(subject, length=400, split="test")
    with pytest.raises(ValueError, match="at least 1"):
        spikegrid.GridDataset(subject, stride=0)
    with pytest.raises(spikegrid.NotWrittenError, match="--activity"):
        spikegrid.ActivityDataset(bare)[0]

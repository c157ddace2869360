"""Windows of neighbouring frames for PyTorch's DataLoader."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from ._subject import Split, Subject


class _Windows(Dataset[torch.Tensor]):  # type: ignore[misc, unused-ignore]  # without PyTorch, mypy knows no Dataset
    """Windows of neighbouring frames that lie wholly in one part of the split."""

    def __init__(self, subject: Subject | str | os.PathLike[str], *, length: int, stride: int, split: Split) -> None:
        if length < 1 or stride < 1:
            raise ValueError(f"length and stride must be at least 1, but are {length} and {stride}")
        self.subject = subject if isinstance(subject, Subject) else Subject(subject)
        self.length = length
        self.starts = _starts(self.subject.in_split(split), length, stride)
        """First frame of each window."""
        if len(self.starts) == 0:
            raise ValueError(f"no window of {length} neighbouring frames lies in the part {split!r} of {self.subject.folder}")

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.starts)

    def frames(self, index: int) -> slice:
        """Return the frames of a window, a slice of the subject's frames."""
        start = int(self.starts[index])
        return slice(start, start + self.length)


class GridDataset(_Windows):
    """Windows of grids, for `torch.utils.data.DataLoader`.

    Each item is a tensor of shape (length, planes, 256, 128) and type u8. Windows never reach from training into test frames.
    Each worker of a DataLoader opens the files for itself.

    Parameters
    ----------
    subject
        A subject, or its folder.
    length
        Frames in a window.
    stride
        Frames from the beginning of one window to that of the next.
    split
        Part of the recording from which windows are taken.
    planes
        Numbers of the z-planes, from 0; all if not given.
    mask_marker
        Set the pixels of the marker to 0.

    Examples
    --------
    >>> dataset = GridDataset("processed/subject_1", length=9, split="train", mask_marker=True)
    >>> for window in DataLoader(dataset, batch_size=4, shuffle=True, num_workers=4):
    ...     past, future = window[:, :8].float(), window[:, 8].float()
    """

    def __init__(
        self,
        subject: Subject | str | os.PathLike[str],
        *,
        length: int = 1,
        stride: int = 1,
        split: Split = "train",
        planes: Sequence[int] | None = None,
        mask_marker: bool = False,
    ) -> None:
        super().__init__(subject, length=length, stride=stride, split=split)
        self.planes = slice(None) if planes is None else list(planes)
        self.grids = self.subject.grids.without_marker() if mask_marker else self.subject.grids

    def __getitem__(self, index: int) -> torch.Tensor:
        """Read a window."""
        return torch.from_numpy(self.grids[self.frames(index), self.planes])


class ActivityDataset(_Windows):
    """Windows of the spike rates of all neurons, for `torch.utils.data.DataLoader`. Needs a run with `--activity`.

    Each item is a tensor of shape (length, N) and type f32: spikes per frame. Windows never reach from training into test
    frames. Each worker of a DataLoader opens the files for itself.

    Parameters
    ----------
    subject
        A subject, or its folder.
    length
        Frames in a window.
    stride
        Frames from the beginning of one window to that of the next.
    split
        Part of the recording from which windows are taken.
    missing
        What stands in place of rates that are not there (NaN in the file), such as those of the first and last frames of a
        recording.
    """

    def __init__(
        self,
        subject: Subject | str | os.PathLike[str],
        *,
        length: int = 1,
        stride: int = 1,
        split: Split = "train",
        missing: float = 0.0,
    ) -> None:
        super().__init__(subject, length=length, stride=stride, split=split)
        self.missing = missing

    def __getitem__(self, index: int) -> torch.Tensor:
        """Read a window."""
        rates = self.subject.activity[self.frames(index)]
        rates[np.isnan(rates)] = self.missing
        return torch.from_numpy(rates)


def _starts(in_split: npt.NDArray[np.bool_], length: int, stride: int) -> npt.NDArray[np.int64]:
    """Return the first frames of all windows that lie within runs of frames of the split."""
    steps = np.diff(in_split.astype(np.int8), prepend=0, append=0)
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    windows = [np.arange(begin, end - length + 1, stride) for begin, end in zip(begins, ends, strict=True)]
    return np.concatenate([np.empty(0, np.int64), *windows])

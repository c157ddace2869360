"""Numbers of every neuron in every frame, read from where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._files import Files
from ._selection import select


class Traces:
    """Numbers of the neurons over time, an array of shape (T, N) that stays in its file: frame, neuron.

    What is indexed is read::

        subject.dff[:, 5]  # all frames of neuron 5, (T,)
        subject.rates_hz[100:116]  # 16 frames of all neurons, (16, N)
        subject.rates_hz[subject.is_train, 5]  # neuron 5 in the training frames

    A file holds its numbers neuron by neuron (`traces.h5`) or in blocks (`activity.h5`). Reading whole neurons of
    `traces.h5` is fast, reading single frames of it is slow.
    """

    ndim = 2

    def __init__(
        self,
        files: Files,
        file: str,
        dataset: str,
        *,
        dtype: npt.DTypeLike,
        neurons_first: bool,
        factor: float = 1.0,
    ) -> None:
        self._files = files
        self._place = (file, dataset)
        self._neurons_first = neurons_first
        self._factor = factor
        self.dtype = np.dtype(dtype)
        stored = files.dataset(file, dataset).shape
        self.shape: tuple[int, int] = stored[::-1] if neurons_first else stored

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        file, dataset = self._place
        return f"<Traces {self.shape} {self.dtype}, {dataset} in {file} of {self._files.folder.name}>"

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Read what is indexed, as NumPy indexes an array. Only one axis can be indexed by a list or an array."""
        frames, neurons = select(key, self.shape)
        values = np.empty((len(frames.places), len(neurons.places)), self.dtype)
        dataset = self._files.dataset(*self._place)
        for frame_run, into_frames in frames.runs():
            for neuron_run, into_neurons in neurons.runs():
                into = values[into_frames, into_neurons]
                if self._neurons_first:
                    into[...] = dataset[neuron_run, frame_run].T
                else:
                    into[...] = dataset[frame_run, neuron_run]
        if self._factor != 1:
            values = values * np.asarray(self._factor, self.dtype)
        return values.squeeze(tuple(axis for axis, one in enumerate((frames, neurons)) if not one.keeps_axis))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("the numbers lie in a file: an array of them is always a copy")
        return np.asarray(self[...], dtype)

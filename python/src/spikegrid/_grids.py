"""The grids of a subject, read plane by plane."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ._files import Files
from ._selection import Selection, select

FILE, DATASET = "preaugmented_grids.h5", "grids"
ROWS, COLUMNS = 256, 128
MARKER_ROWS = 2
CACHED_PLANES = 256
"""Planes that are kept inflated, 8 MiB."""

PlaneReader = Callable[[int, int], npt.NDArray[np.uint8]]


class Grids:
    """Grids of a subject: 1 where at least one neuron of a z-plane and pixel spikes in a frame, else 0.

    An array of shape (T, Z, 256, 128) and type u8 that stays in its file: frame, z-plane, row (x), column (y). What is
    indexed is read, and only the planes that it lies on::

        grids[100, 3]  # one plane, (256, 128)
        grids[100:116]  # 16 frames, (16, Z, 256, 128)
        grids[subject.test_frames, 3]  # z-plane 3 of all test frames
        grids[:, 3, 120, 60]  # one pixel over time, (T,)

    Each plane carries a marker that says which z-plane it is; `without_marker` gives the same grids without it.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: Files, marker: bool = True) -> None:
        self._files = files
        self._marker = marker
        self._open: h5py.Dataset | None = None
        self.shape: tuple[int, int, int, int] = files.dataset(FILE, DATASET).shape

    def __reduce__(self) -> tuple[type[Grids], tuple[Files, bool]]:
        return Grids, (self._files, self._marker)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        marker = "" if self._marker else ", without marker"
        return f"<Grids {self.shape} of {self._files.folder.name}{marker}>"

    def without_marker(self) -> Grids:
        """Return the same grids with zeros in place of the marker, where neurons cannot be seen."""
        return Grids(self._files, False)

    def to_zarr(self, store: str | os.PathLike[str]) -> None:
        """Copy the grids into a Zarr array, for training from cloud storage (needs `pip install spikegrid[zarr]`).

        A chunk holds one z-plane of 64 frames. The array of an earlier call is replaced.
        """
        import zarr

        frames = 64
        chunks = (min(frames, len(self)), 1, ROWS, COLUMNS)
        array = zarr.open_array(os.fspath(store), mode="w", shape=self.shape, chunks=chunks, dtype=self.dtype)
        for start in range(0, len(self), frames):
            array[start : start + frames] = self[start : start + frames]

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint8]:
        """Read what is indexed, as NumPy indexes an array. Only one axis can be indexed by a list or an array."""
        read = self._plane_reader()
        if _is_one_plane(key, self.shape):
            return read(*key).copy()
        frames, planes, rows, columns = select(key, self.shape)
        pixels = _within_plane(rows), _within_plane(columns)
        shape = [len(selection.places) for selection in (frames, planes, rows, columns) if selection.keeps_axis]
        grids = np.empty(shape, np.uint8)
        into = grids.reshape(len(frames.places), len(planes.places), *shape[frames.keeps_axis + planes.keeps_axis :])
        for i, frame in enumerate(frames.places):
            for j, z in enumerate(planes.places):
                into[i, j] = read(frame, z)[pixels]
        return grids

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("the grids lie in a file: an array of them is always a copy")
        return np.asarray(self[...], dtype)

    def _plane_reader(self) -> PlaneReader:
        """Return what reads the plane of a frame and z-plane from the file that is open in this process."""
        dataset = self._files.dataset(FILE, DATASET)
        if dataset is not self._open:
            self._open, self._read = dataset, _plane_reader(dataset, self._marker)
        return self._read


def mask_marker(plane: npt.NDArray[np.uint8], z: int) -> npt.NDArray[np.uint8]:
    """Return a copy of a plane (256, 128) with zeros in place of the marker of z-plane `z`, counted from 0."""
    masked = plane.copy()
    masked[:MARKER_ROWS, COLUMNS - min(z + 2, COLUMNS) :] = 0
    return masked


def _plane_reader(dataset: h5py.Dataset, marker: bool) -> PlaneReader:
    is_packed = dataset.compression == "gzip" and dataset.chunks == (1, 1, ROWS, COLUMNS)
    read_chunk = dataset.id.read_direct_chunk

    # Windows that overlap share planes. HDF5 would keep 32 planes, and takes longer on the way to a chunk.
    @lru_cache(CACHED_PLANES)
    def read(frame: int, z: int) -> npt.NDArray[np.uint8]:
        plane: npt.NDArray[np.uint8]
        if is_packed:
            packed = read_chunk((frame, z, 0, 0))[1]
            try:
                pixels = zlib.decompress(packed, bufsize=ROWS * COLUMNS)
            except zlib.error as error:
                raise OSError(
                    f"{dataset.file.filename}: the plane of frame {frame}, z-plane {z} is damaged: {error}"
                ) from error
            plane = np.frombuffer(pixels, np.uint8).reshape(ROWS, COLUMNS)
        else:
            plane = dataset[frame, z]
        return plane if marker else mask_marker(plane, z)

    return read


def _is_one_plane(key: Any, shape: tuple[int, ...]) -> bool:
    """Whether a key is a plane, the commonest of all, of which `select` would take a tenth of the time."""
    if not isinstance(key, tuple) or [type(one) for one in key] != [int, int]:
        return False
    return bool(0 <= key[0] < shape[0] and 0 <= key[1] < shape[1])


def _within_plane(selection: Selection) -> Any:
    """Return the index that selects the same of one plane."""
    places = selection.places
    if not selection.keeps_axis:
        return places[0]
    if not isinstance(places, range):
        return places
    return slice(places.start, places.stop if places.stop >= 0 else None, places.step)

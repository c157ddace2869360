"""Which elements of a lazy array an index selects, axis by axis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np


class Selection(NamedTuple):
    """Elements of one axis: their places, and whether the result keeps the axis."""

    places: Sequence[int]
    keeps_axis: bool

    def runs(self) -> list[tuple[slice, slice]]:
        """Cut the selection into evenly spaced runs: where each run lies on the axis and in the result."""
        places = self.places
        if isinstance(places, range) and places.step > 0:
            return [(slice(places.start, max(places.stop, places.start), places.step), slice(0, len(places)))]
        cuts = np.flatnonzero(np.diff(places) != 1) + 1
        edges = [0, *cuts.tolist(), len(places)] if places else []
        return [(slice(places[i], places[j - 1] + 1), slice(i, j)) for i, j in pairwise(edges)]


def select(key: Any, shape: tuple[int, ...]) -> list[Selection]:
    """Return the selection on each axis of an array of this shape.

    Parameters
    ----------
    key
        What stands in the brackets: integers, slices, an ellipsis, and at most one list or array of integers or booleans.
    shape
        Length of each axis.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    for at, one in enumerate(keys):
        if one is Ellipsis:
            keys[at : at + 1] = [slice(None)] * (len(shape) - len(keys) + 1)
            break
    if len(keys) > len(shape):
        raise IndexError(f"too many indices: the array has {len(shape)} axes, but {len(keys)} were indexed")
    keys += [slice(None)] * (len(shape) - len(keys))
    selections = [_select_on_axis(*one) for one in zip(keys, range(len(shape)), shape, strict=True)]
    if sum(not isinstance(selection.places, range) for selection in selections) > 1:
        raise IndexError("only one axis can be indexed by a list or an array; index the result again")
    return selections


def _select_on_axis(key: Any, axis: int, length: int) -> Selection:
    if isinstance(key, slice):
        return Selection(range(*key.indices(length)), keeps_axis=True)
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        place = operator.index(key)
        if not -length <= place < length:
            raise _out_of_bounds(place, axis, length)
        place += length if place < 0 else 0
        return Selection(range(place, place + 1), keeps_axis=False)
    places = np.asarray(key)
    if places.ndim != 1 or not (places.dtype.kind in "iub" or len(places) == 0):
        raise IndexError("an index must be made of integers, slices, an ellipsis, and one list of integers or booleans")
    if places.dtype.kind == "b":
        if len(places) != length:
            raise IndexError(f"a boolean index of axis {axis} must have {length} values, but has {len(places)}")
        return Selection(np.flatnonzero(places).tolist(), keeps_axis=True)
    outside = places[(places < -length) | (places >= length)]
    if len(outside):
        raise _out_of_bounds(outside[0], axis, length)
    return Selection(np.where(places < 0, places + length, places).tolist(), keeps_axis=True)


def _out_of_bounds(place: int, axis: int, length: int) -> IndexError:
    return IndexError(f"index {place} is out of bounds for axis {axis} with size {length}")

"""The table of a subject's neurons, `neurons.tsv`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas

INTEGERS = frozenset(
    [
        "index",
        "source_row",
        "source_plane",
        "plane",
        "row",
        "column",
        "model_noise_level",
        "missing_frames",
        "spikes",
    ]
)
FLAGS = "flags"


class Neurons(Mapping[str, npt.NDArray[Any]]):
    """Table with a row for each neuron: columns by name, each an array of shape (N,).

    ``neurons["noise_level"]`` is a column. `docs/formats.md` explains the columns. Where a neuron lacks a number, columns of
    integers have -1 and all others NaN.
    """

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self._columns = dict(columns)

    @classmethod
    def read(cls, path: Path) -> Neurons:
        """Read `neurons.tsv`."""
        with path.open(encoding="utf-8") as file:
            names = file.readline().rstrip("\n").split("\t")
            rows = [line.rstrip("\n").split("\t") for line in file]
        if any(len(row) != len(names) for row in rows):
            raise ValueError(f"{path}: a row does not have the {len(names)} columns of the first line")
        cells = zip(*rows, strict=True) if rows else ((),) * len(names)
        return cls({name: _column(name, column) for name, column in zip(names, cells, strict=True)})

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"<Neurons: {len(self['index'])} neurons, columns {', '.join(self)}>"

    def flagged(self, flag: str) -> npt.NDArray[np.bool_]:
        """Return which neurons have this flag, such as ``"dead"``, (N,)."""
        return np.array([flag in flags.split(",") for flags in self[FLAGS]], np.bool_)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a data frame, a row for each neuron (needs `pip install spikegrid[pandas]`)."""
        import pandas

        return pandas.DataFrame(self._columns).set_index("index")


def _column(name: str, cells: tuple[str, ...]) -> npt.NDArray[Any]:
    if name == FLAGS:
        return np.array(cells, np.str_)
    if name in INTEGERS:
        return np.array([cell or -1 for cell in cells], np.int64)
    try:
        return np.array([cell or "nan" for cell in cells], np.float64)
    except ValueError:  # a column of a later version of the program
        return np.array(cells, np.str_)

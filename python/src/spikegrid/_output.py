"""An output folder with its subjects."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import _grids
from ._subject import Subject


class Output(Mapping[str, Subject]):
    """Output folder of a run: its complete subjects by name, in natural order.

    ``output["subject_1"]`` is a subject; ``for name, subject in output.items()`` goes through all of them. Make one with
    `spikegrid.open_output` or `spikegrid.run`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        """The output folder."""
        if not self.folder.is_dir():
            raise FileNotFoundError(f"{self.folder} does not exist, or is not a folder")
        names = (path.parent.name for path in self.folder.glob(f"*/{_grids.FILE}"))
        self._subjects: dict[str, Subject | None] = dict.fromkeys(sorted(names, key=_natural))

    def __getitem__(self, name: str) -> Subject:
        subject = self._subjects[name]
        if subject is None:
            subject = self._subjects[name] = Subject(self.folder / name)
        return subject

    def __iter__(self) -> Iterator[str]:
        return iter(self._subjects)

    def __len__(self) -> int:
        return len(self._subjects)

    def __repr__(self) -> str:
        return f"<Output {self.folder}: {', '.join(self) or 'no complete subject'}>"

    @property
    def report(self) -> dict[str, Any]:
        """What became of the last run, as in `report.json`: settings, and counts, times and outcome of each subject."""
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        return report


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which subject_2 comes before subject_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]

"""HDF5 files of one folder, opened when they are first needed and once in each process."""

from __future__ import annotations

import os
from pathlib import Path

import h5py


class NotWrittenError(FileNotFoundError):
    """A file that the program writes only when a flag asks for it is not there."""


FLAG_OF_FILE = {"traces.h5": "--save_traces", "activity.h5": "--activity"}
"""The flag with which the program writes each of the files that it does not always write."""


class Files:
    """HDF5 files of a subject's folder.

    The HDF5 library must not share an open file with a forked process. So each process opens the files again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = os.getpid()
        self._open: dict[str, h5py.File] = {}
        self._datasets: dict[tuple[str, str], h5py.Dataset] = {}

    def __reduce__(self) -> tuple[type[Files], tuple[Path]]:
        return Files, (self.folder,)

    def __contains__(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def __getitem__(self, name: str) -> h5py.File:
        """Return the open file of this name.

        Raises
        ------
        NotWrittenError
            The file is not there, because the run lacked a flag.
        """
        if self._process != os.getpid():
            self.close()
            self._process = os.getpid()
        if name not in self._open:
            path = self.folder / name
            if not path.is_file():
                raise _missing(path)
            self._open[name] = h5py.File(path, "r")
        return self._open[name]

    def dataset(self, file: str, name: str) -> h5py.Dataset:
        """Return an open dataset of a file."""
        opened = self[file]
        if (file, name) not in self._datasets:
            self._datasets[file, name] = opened[name]
        return self._datasets[file, name]

    def close(self) -> None:
        """Close all files; the next use opens them again."""
        self._datasets.clear()
        while self._open:
            self._open.popitem()[1].close()


def _missing(path: Path) -> FileNotFoundError:
    flag = FLAG_OF_FILE.get(path.name)
    if flag is None:
        return FileNotFoundError(f"{path} does not exist: the subject is not complete")
    return NotWrittenError(f"{path} does not exist: run the program with {flag}, which adds the file")

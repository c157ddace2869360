"""Read what spikegrid-mpi writes, feed it to PyTorch, and start the program.

::

    import spikegrid

    subject = spikegrid.open("processed_spike_grids_2018/subject_1")
    plane = subject.grids[100, 3]  # (256, 128): frame 100, z-plane 3
    train = subject.train_frames  # numbers of the training frames
    rate = subject.rates_hz[:, 5]  # neuron 5, spikes per second
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._files import NotWrittenError
from ._findings import Finding
from ._grids import Grids, mask_marker
from ._neurons import Neurons
from ._output import Output
from ._program import RunError, run
from ._subject import Split, Subject
from ._traces import Traces

if TYPE_CHECKING:
    from ._datasets import ActivityDataset, GridDataset

__version__ = "0.1.0"
__all__ = [
    "ActivityDataset",
    "Finding",
    "GridDataset",
    "Grids",
    "Neurons",
    "NotWrittenError",
    "Output",
    "RunError",
    "Split",
    "Subject",
    "Traces",
    "mask_marker",
    "open",
    "open_output",
    "run",
]


def open(folder: str | os.PathLike[str]) -> Subject:  # noqa: A001
    """Open the folder of one subject, such as ``processed_spike_grids_2018/subject_1``.

    Raises
    ------
    FileNotFoundError
        The folder does not hold a complete subject.
    """
    return Subject(folder)


def open_output(folder: str | os.PathLike[str]) -> Output:
    """Open an output folder: its complete subjects by name.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    """
    return Output(folder)


def __getattr__(name: str) -> Any:
    """Import the datasets when they are first used, because PyTorch takes seconds to import and may not be there."""
    if name not in ("GridDataset", "ActivityDataset"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import _datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"spikegrid.{name} needs PyTorch: pip install spikegrid[torch]") from error
    return getattr(_datasets, name)

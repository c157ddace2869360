"""One subject of an output folder."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from . import _grids
from ._files import Files, NotWrittenError
from ._findings import Finding, findings_of
from ._grids import Grids
from ._neurons import Neurons
from ._traces import Traces

if TYPE_CHECKING:
    import pynwb

Split = Literal["train", "test", "all"]

METADATA, TRACES, ACTIVITY = "metadata.h5", "traces.h5", "activity.h5"


class Subject:
    """What the program wrote about one subject: grids, train and test frames, spike rates, neurons, findings.

    Frames come first in every array. A file is opened when something of it is first needed. A subject can be pickled: another
    process opens the files again. Make one with `spikegrid.open`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        """Folder of the subject."""
        self._files = Files(self.folder)
        if _grids.FILE not in self._files:
            raise FileNotFoundError(f"{self.folder} holds no {_grids.FILE}: it is not the folder of a complete subject")

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Subject], tuple[Path]]:
        return Subject, (self.folder,)

    def __repr__(self) -> str:
        frames, planes = self.grids.shape[:2]
        return (
            f"<Subject {self.name}: {self.num_neurons:,} neurons, {frames:,} frames at {self.sampling_rate_hz:g} Hz, "
            f"{planes} z-planes>"
        )

    def close(self) -> None:
        """Close the files. The subject can still be used: the files open again."""
        self._files.close()

    @property
    def name(self) -> str:
        """Name of the subject's folder when it was written."""
        return str(self.attributes["subject"])

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the grids file: the settings that the results depend on. See also `config` and `findings`."""
        stored = self._files[_grids.FILE].attrs
        return {key: _plain(value) for key, value in stored.items() if key not in ("config", "findings")}

    @cached_property
    def config(self) -> dict[str, Any]:
        """All settings of the run, and the size and time of each input file."""
        config: dict[str, Any] = json.loads(self._files[_grids.FILE].attrs["config"])
        return config

    @cached_property
    def findings(self) -> list[Finding]:
        """What is odd about the recording or the results, the most important first."""
        return findings_of(json.loads(self._files[_grids.FILE].attrs.get("findings", "[]")))

    @property
    def sampling_rate_hz(self) -> float:
        """Sampling rate of the recording, frames per second."""
        return float(self.attributes["sampling_rate"])

    @property
    def num_frames(self) -> int:
        """T, the number of frames."""
        return self.grids.shape[0]

    @property
    def num_planes(self) -> int:
        """Z, the number of z-planes."""
        return self.grids.shape[1]

    @property
    def num_neurons(self) -> int:
        """N, the number of neurons."""
        return len(self.neurons["index"])

    @cached_property
    def grids(self) -> Grids:
        """Spikes on grids of pixels, (T, Z, 256, 128) u8; only what is indexed is read."""
        return Grids(self._files)

    @cached_property
    def is_train(self) -> npt.NDArray[np.bool_]:
        """Which frames belong to the training part of the split, (T,)."""
        is_train: npt.NDArray[np.bool_] = self._files[_grids.FILE]["is_train"][:] == 1
        return is_train

    @property
    def train_frames(self) -> npt.NDArray[np.int64]:
        """Numbers of the training frames."""
        return self.frames("train")

    @property
    def test_frames(self) -> npt.NDArray[np.int64]:
        """Numbers of the test frames."""
        return self.frames("test")

    def frames(self, split: Split) -> npt.NDArray[np.int64]:
        """Return the numbers of the frames of one part of the split, or of all frames."""
        return np.flatnonzero(self.in_split(split))

    def in_split(self, split: Split) -> npt.NDArray[np.bool_]:
        """Return which frames belong to one part of the split, (T,)."""
        parts = {"train": self.is_train, "test": ~self.is_train, "all": np.ones_like(self.is_train)}
        if split not in parts:
            raise ValueError(f"split must be 'train', 'test' or 'all', but is {split!r}")
        return parts[split]

    @cached_property
    def z_values(self) -> npt.NDArray[np.float64]:
        """Position of each z-plane, ascending, in the unit of the positions, (Z,)."""
        values: npt.NDArray[np.float64] = self._files[METADATA]["z_values"][:]
        return values

    @cached_property
    def neurons(self) -> Neurons:
        """Table with a row for each neuron: position, pixel, noise level, spikes, what is odd about it."""
        return Neurons.read(self.folder / "neurons.tsv")

    @property
    def positions(self) -> npt.NDArray[np.float64]:
        """x, y and z of each neuron as the recording gives them, NaN where it gives none, (N, 3)."""
        return np.stack([self.neurons[axis] for axis in "xyz"], axis=1)

    @property
    def noise_levels(self) -> npt.NDArray[np.float32]:
        """Noise level of each neuron, % of ΔF/F per √Hz, (N,)."""
        return self.neurons["noise_level"].astype(np.float32)

    @property
    def expected_correlations(self) -> npt.NDArray[np.float64]:
        """Correlation with its true spike rate to expect of each neuron, (N,); NaN where nothing is known.

        It is what the model's benchmark has at the noise level of the neuron. Outputs of earlier versions have none.
        """
        return self.neurons.get("expected_correlation", np.full(self.num_neurons, np.nan))

    @cached_property
    def rates_per_frame(self) -> Traces:
        """Spike rates in spikes per frame, (T, N) f32, NaN where there is no rate.

        From `traces.h5`, or from `activity.h5` if that is the only one.
        """
        return self._rates(factor=1.0)

    @cached_property
    def rates_hz(self) -> Traces:
        """Spike rates in spikes per second, (T, N) f32, NaN where there is no rate.

        From `traces.h5`, or from `activity.h5` if that is the only one.
        """
        return self._rates(factor=self.sampling_rate_hz)

    @cached_property
    def spikes(self) -> Traces:
        """Spikes: 1 in a frame in which a neuron spikes, else 0, (T, N) u8. Needs a run with `--save_traces`."""
        return Traces(self._files, TRACES, "spikes", dtype=np.uint8, neurons_first=True)

    @cached_property
    def dff(self) -> Traces:
        """ΔF/F, (T, N) f32. Needs a run with `--save_traces`."""
        return Traces(self._files, TRACES, "dff", dtype=np.float32, neurons_first=True)

    @cached_property
    def activity(self) -> Traces:
        """Spike rates of `activity.h5` in spikes per frame, (T, N) f32. Needs a run with `--activity`.

        The numbers are those of `rates_per_frame`. In this file, windows of frames are read fast.
        """
        return Traces(self._files, ACTIVITY, "neuron_values", dtype=np.float32, neurons_first=False)

    def nwb(self) -> pynwb.NWBFile:
        """Return the NWB file that a run with `--nwb` wrote (needs `pip install spikegrid[nwb]`)."""
        path = self.folder / f"{self.name}.nwb"
        if not path.is_file():
            raise NotWrittenError(f"{path} does not exist: run the program with --nwb, which adds the file")
        import pynwb

        return pynwb.read_nwb(path)

    def _rates(self, factor: float) -> Traces:
        if TRACES in self._files:
            return Traces(self._files, TRACES, "spike_rate", dtype=np.float32, neurons_first=True, factor=factor)
        if ACTIVITY in self._files:
            return Traces(self._files, ACTIVITY, "neuron_values", dtype=np.float32, neurons_first=False, factor=factor)
        raise NotWrittenError(
            f"{self.folder} holds neither {TRACES} nor {ACTIVITY}: run the program with --save_traces or --activity, "
            "which adds the file"
        )


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as a number of Python."""
    return value.item() if isinstance(value, np.generic) else value

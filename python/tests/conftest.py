"""Files that the real program wrote, for all tests.

`SPIKEGRID_MPI` names the program; without it, the development build of this repository is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

import spikegrid

REPOSITORY = Path(__file__).parents[2]
FRAMES, NEURONS = 700, 40


@pytest.fixture(scope="session", autouse=True)
def program() -> str:
    """Name the program and its models in the environment, where `spikegrid.run` looks for them."""
    os.environ.setdefault("SPIKEGRID_MPI", str(REPOSITORY / "target/debug/spikegrid-mpi"))
    os.environ.setdefault("SPIKEGRID_MODEL_DIR", str(REPOSITORY / "models"))
    return os.environ["SPIKEGRID_MPI"]


@pytest.fixture(scope="session")
def recordings(program: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two recordings of demo data."""
    folder = tmp_path_factory.mktemp("recordings") / "raw"
    sizes = ["--subjects=2", f"--frames={FRAMES}", f"--neurons={NEURONS}"]
    subprocess.run([program, "demo-data", *sizes, f"--output={folder}"], check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture(scope="session")
def output(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> spikegrid.Output:
    """Run the program on both recordings, with traces."""
    return spikegrid.run(recordings, tmp_path_factory.mktemp("output"), save_traces=True)


@pytest.fixture
def subject(output: spikegrid.Output) -> spikegrid.Subject:
    """Open a subject anew."""
    return spikegrid.open(output.folder / "subject_1")


@pytest.fixture
def bare(output: spikegrid.Output, tmp_path: Path) -> Path:
    """Copy the folder of a subject without the files that need a flag."""
    folder = shutil.copytree(output.folder / "subject_2", tmp_path / "subject_2")
    (folder / "traces.h5").unlink()
    return folder


@pytest.fixture
def with_activity(bare: Path, output: spikegrid.Output) -> Path:
    """Add `activity.h5` to the folder of a subject, as rule 8.9 describes the file."""
    rates = output["subject_2"].rates_per_frame[...]
    is_train = output["subject_2"].is_train
    with h5py.File(bare / "activity.h5", "w") as file:
        file.create_dataset("neuron_values", data=rates, chunks=(300, 20), compression=1)
        file["timepoint_indices"] = np.arange(len(rates), dtype=np.int32)
        file["is_train"] = is_train.astype(np.uint8)
    return bare

"""The tutorial, from top to bottom.

After a change of the tutorial, store its outputs anew, with the program on the PATH (this also makes the folder docs/tutorial):
``jupyter execute --inplace docs/tutorial.ipynb``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat and nbclient are not installed: the tutorial is not tested")
nbclient = pytest.importorskip("nbclient", reason="nbformat and nbclient are not installed: the tutorial is not tested")
pytest.importorskip("torch", reason="PyTorch is not installed: the tutorial is not tested")

REPOSITORY = Path(__file__).parents[2]
TUTORIAL = REPOSITORY / "docs/tutorial.ipynb"
SMALL = "NEURONS = 60\nFRAMES = 700\nEPOCHS = 1\n"


@pytest.mark.usefixtures("program")
@pytest.mark.filterwarnings("default")
def test_the_tutorial_runs_on_small_data(tmp_path: Path) -> None:
    notebook = nbformat.read(TUTORIAL, 4)
    parameters = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(parameters) == 1
    parameters[0].source = SMALL
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    assert (tmp_path / "tutorial/processed/report.html").is_file()


def test_the_stored_outputs_are_whole() -> None:
    notebook = nbformat.read(TUTORIAL, 4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1)), "each cell was executed once, in order"
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 5
    assert str(REPOSITORY) not in nbformat.writes(notebook)
    assert sys.prefix not in nbformat.writes(notebook)

"""The program, started from Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikegrid


def test_ranks_and_flags_reach_the_program(
    recordings: Path, output: spikegrid.Output, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags: dict[str, Any] = {"only": ["subject_2"], "num_neurons": 0, "shift_frames": -1}
    again = spikegrid.run(recordings, tmp_path / "out", ranks=2, overwrite=False, percentile=None, **flags)
    assert list(again) == ["subject_2"]
    assert again.report["ranks"] == 2
    assert again["subject_2"].config["shift_frames"] == -1
    assert (again["subject_2"].is_train == output["subject_2"].is_train).all()
    assert "subject_2: done in" in capsys.readouterr().out


def test_false_switches_off_what_a_file_switches_on(recordings: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('activity = "f16"\nnwb = true\nsave_traces = true\nonly = ["subject_2"]\n')
    flags: dict[str, Any] = {"config": config, "num_neurons": 0}
    spikegrid.run(recordings, tmp_path / "off", activity=False, nwb=False, **flags)
    spikegrid.run(recordings, tmp_path / "on", **flags)
    on_request = {"activity.h5", "subject_2.nwb", "traces.h5"}
    for name, expected in [("off", {"traces.h5"}), ("on", on_request)]:
        files = {path.name for path in (tmp_path / name / "subject_2").iterdir()}
        assert files & on_request == expected


def test_a_false_of_numpy_is_one_and_no_file_either(recordings: Path, tmp_path: Path) -> None:
    flags: dict[str, Any] = {"only": ("subject_2",), "num_neurons": np.int64(0), "config": False, "seed": False}
    spikegrid.run(recordings, tmp_path / "out", save_traces=np.bool_(True), nwb=np.bool_(False), **flags)
    files = {path.name for path in (tmp_path / "out/subject_2").iterdir()}
    assert files & {"traces.h5", "subject_2.nwb"} == {"traces.h5"}
    with pytest.raises(TypeError, match="needs input_dir"):
        spikegrid.run(recordings, config=np.bool_(False))


def test_what_is_false_but_no_switch_is_refused_beside_a_file(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    for flag in ("only", "seed", "percentile", "no_such_flag"):
        flags: dict[str, Any] = {flag: False}
        with pytest.raises(TypeError, match=f"{flag} is False, but is no switch: give None"):
            spikegrid.run(config=config, **flags)


@pytest.mark.parametrize(
    "names",
    [{"subject_1"}, {"subject_1": 1}, iter(["subject_1"]), np.array(["subject_1"]), b"subject_1"],
    ids=lambda names: type(names).__name__,
)
def test_several_values_are_a_list_or_a_tuple(names: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=f"only is a {type(names).__name__}: give a list"):
        spikegrid.run(tmp_path, tmp_path / "out", only=names)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["help", "print_config", "version"])
def test_flags_that_print_something_belong_to_the_command_line(flag: str, tmp_path: Path) -> None:
    flags: dict[str, Any] = {flag: True}
    with pytest.raises(TypeError, match=f"use the command line, spikegrid-mpi --{flag}"):
        spikegrid.run(tmp_path, tmp_path / "out", **flags)


def test_an_empty_name_is_no_folder(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="output_dir is empty"):
        spikegrid.run(recordings, "")
    with pytest.raises(ValueError, match="input_dir is empty"):
        spikegrid.run("", tmp_path / "out", config=tmp_path / "run.toml")
    assert not list(tmp_path.iterdir())


def test_a_file_names_the_folders(recordings: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(f'input_dir = "{recordings}"\noutput_dir = "{tmp_path}/of \\"it\\", \'too\'"\nonly = ["subject_2"]\n')
    first = spikegrid.run(config=config, num_neurons=0)
    assert first.folder == tmp_path / "of \"it\", 'too'"
    assert list(first) == ["subject_2"]
    again = spikegrid.run(config=first.folder, output_dir=tmp_path / "again")
    assert list(again) == ["subject_2"]
    with pytest.raises(spikegrid.RunError, match="num_neurons") as raised:
        spikegrid.run(config=config, num_neurons=-1)
    assert raised.value.exit_status == 2
    with pytest.raises(TypeError, match="output_dir"):
        spikegrid.run(recordings)


def test_names_of_subjects_may_have_commas(recordings: Path, tmp_path: Path) -> None:
    for name, copy in [("subject_1", "subject_1,left"), ("subject_2", "subject_2")]:
        shutil.copytree(recordings / name, tmp_path / "raw" / copy)
    run = spikegrid.run(tmp_path / "raw", tmp_path / "out", only=["subject_1,left"], num_neurons=0)
    assert list(run) == ["subject_1,left"]
    with pytest.raises(spikegrid.RunError, match="--only names"):
        spikegrid.run(tmp_path / "raw", tmp_path / "out", only=[])


def test_failing_subjects_are_raised_with_their_reasons(recordings: Path, tmp_path: Path) -> None:
    shutil.copytree(recordings, tmp_path / "raw")
    (tmp_path / "raw/subject_1/TimeSeries.h5").write_bytes(b"not HDF5")
    for ranks in (1, 2):
        with pytest.raises(spikegrid.RunError, match=r"subject_1.*TimeSeries\.h5") as raised:
            spikegrid.run(tmp_path / "raw", tmp_path / "out", ranks=ranks)
        assert raised.value.exit_status == 1
        assert list(raised.value.failures) == ["subject_1"]
    assert list(spikegrid.open_output(tmp_path / "out")) == ["subject_2"]


def test_auto_takes_the_model_of_the_recordings_rate(recordings: Path, tmp_path: Path) -> None:
    output = spikegrid.run(recordings, tmp_path, only=["subject_1"], cascade_model="auto")
    assert output["subject_1"].attributes["cascade_model"] == "Global_EXC_2Hz_smoothing500ms"
    assert output.report["subjects"][0]["cascade_model"] == "Global_EXC_2Hz_smoothing500ms"


def test_a_run_that_cannot_start_says_why(recordings: Path, output: spikegrid.Output) -> None:
    with pytest.raises(spikegrid.RunError, match="no CASCADE model") as raised:
        spikegrid.run(recordings, output.folder, cascade_model="Nobody_trained_this")
    assert raised.value.exit_status == 2
    assert raised.value.failures == {}
    with pytest.raises(spikegrid.RunError, match="--no_such_flag"):
        spikegrid.run(recordings, output.folder, no_such_flag=1)


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="absent is not a program"):
        spikegrid.run(tmp_path, tmp_path, program=tmp_path / "absent")
    with pytest.raises(ValueError, match="at least 1"):
        spikegrid.run(tmp_path, tmp_path, ranks=0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="workers=4"):
        spikegrid.run(tmp_path, tmp_path, ranks=4)
    monkeypatch.delenv("SPIKEGRID_MPI")
    with pytest.raises(FileNotFoundError, match="is not installed"):
        spikegrid.run(tmp_path, tmp_path)


def test_an_interruption_ends_the_program(recordings: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\necho started\nexec sleep 60\n", encoding="utf-8")
    program.chmod(0o755)
    script = (
        "import builtins, spikegrid\n"
        "def interrupt(*line, **how): raise KeyboardInterrupt\n"
        "builtins.print = interrupt\n"
        f"spikegrid.run({str(recordings)!r}, {str(tmp_path)!r}, program={str(program)!r})\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "KeyboardInterrupt" in ended.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), 0)


def test_pytorch_is_not_imported_before_it_is_used() -> None:
    check = "import sys, spikegrid; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'grids'"):
        _ = spikegrid.grids

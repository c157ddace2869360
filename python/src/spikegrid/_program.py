"""Starts the program spikegrid-mpi."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

import numpy as np

from ._output import Output

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROGRAM = "spikegrid-mpi"
ENVIRONMENT_VARIABLE = "SPIKEGRID_MPI"
SECONDS_TO_END = 30
"""How long an interrupted program may take to end in order."""

# The same as in scripts/environment.sh: more ranks than cores, and no binding of a rank's threads to one core. Open MPI 4 reads
# the first two, the launcher of Open MPI 5 the last two.
OPEN_MPI = {
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}
OPEN_MPI_AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

SWITCHES = {"activity": "off", "nwb": "false", "overwrite": "false", "save_traces": "false"}
"""Flags that are on or off, with the value that switches each off."""
COMMAND_LINE_ONLY = ("help", "print_config", "version")
"""Flags with which the program prints something and runs nothing."""

Flag = bool | np.bool_ | float | str | Path | list[str] | tuple[str, ...] | None
"""Value of a flag of the program."""


class RunError(RuntimeError):
    """A run of the program did not complete every subject."""

    def __init__(self, message: str, *, exit_status: int, failures: Mapping[str, str]) -> None:
        super().__init__(message)
        self.exit_status = exit_status
        """Exit status of the program, see `docs/guide.md`; that of the launcher if it ended the program."""
        self.failures = dict(failures)
        """Reason of each subject that failed, by name."""


def run(
    input_dir: str | os.PathLike[str] | None = None,
    output_dir: str | os.PathLike[str] | None = None,
    *,
    ranks: int = 1,
    program: str | os.PathLike[str] | None = None,
    **flags: Flag,
) -> Output:
    """Run spikegrid-mpi on the recordings of a folder, and open what it wrote.

    The progress is printed as the program prints it. An interruption (Ctrl-C) ends the program in order; the same call goes on
    from there.

    Parameters
    ----------
    input_dir
        Folder with the subjects. May be left out where a file ``config`` names it; if the file does not, the program takes the
        default of ``--input_dir``.
    output_dir
        Folder to write to. May be left out where a file ``config`` names it; if the file does not, the program takes the
        default of ``--output_dir``.
    ranks
        Number of processes. More than one are started by `mpirun` and need a program that was built with MPI. Without MPI, give
        ``workers=4``: threads.
    program
        The program, if neither the environment variable `SPIKEGRID_MPI`, the folder of this Python's scripts, nor `PATH` has
        it.
    **flags
        Flags of the program by their names in ``spikegrid-mpi --help``, such as ``save_traces=True``, ``workers=8``,
        ``only=["subject_1", "subject_2"]``. A flag that is None is left out, and so is one that is False, unless a file
        ``config`` could switch it on. A file ``config`` that is None or False is none.

    Raises
    ------
    RunError
        A subject failed, nothing could start, or the run was stopped. The message has the reasons.
    TypeError
        `input_dir` or `output_dir` is left out without a file ``config``; several values are given in something else than a
        list or tuple; a flag is False that is no switch, beside a file ``config``; a flag is one that prints something in
        place of a run.
    ValueError
        `input_dir` or `output_dir` is empty, or `ranks` is below 1.
    FileNotFoundError
        The program or `mpirun` is not there.
    """
    folders: dict[str, Flag] = {"input_dir": _folder("input_dir", input_dir), "output_dir": _folder("output_dir", output_dir)}
    given = _given({**folders, **flags})
    if "config" not in given and {"input_dir", "output_dir"} - given.keys():
        raise TypeError("run() needs input_dir and output_dir, or a file config that names them")
    arguments = _arguments(given)
    launcher, found = _launcher(ranks), find_program(program)
    output = _folder("output_dir", output_dir) or _output_dir([found, *arguments])
    reports = _reports(output)
    status, errors = _start([*launcher, found, *arguments])
    if status != 0:
        fresh = [path for path, written in _reports(output).items() if reports.get(path) != written]
        raise _error(status, errors, fresh)
    return Output(output)


def find_program(program: str | os.PathLike[str] | None = None) -> str:
    """Return the path of the program: as given, or else where `run` says.

    Raises
    ------
    FileNotFoundError
        The program is not there.
    """
    named = program or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        found = shutil.which(named)
        if not found:
            raise FileNotFoundError(f"{named} is not a program that can be started")
        return found
    found = shutil.which(PROGRAM, path=sysconfig.get_path("scripts")) or shutil.which(PROGRAM)
    if not found:
        raise FileNotFoundError(
            f"{PROGRAM} is not installed: install it (docs/install.md), put its folder on the PATH, or name it with the "
            f"argument program or the environment variable {ENVIRONMENT_VARIABLE}"
        )
    return found


def _launcher(ranks: int) -> list[str]:
    if ranks < 1:
        raise ValueError(f"ranks must be at least 1, but is {ranks}")
    if ranks == 1:
        return []
    mpirun = shutil.which("mpirun")
    if not mpirun:
        raise FileNotFoundError(f"mpirun is not on the PATH: install an MPI library, or use workers={ranks} instead of ranks")
    return [mpirun, "-n", str(ranks)]


def _folder(name: str, path: str | os.PathLike[str] | None) -> Path | None:
    if path is None:
        return None
    if not os.fspath(path):
        raise ValueError(f'{name} is empty: name a folder, "." for the current one')
    return Path(path)


def _output_dir(command: list[str]) -> Path:
    """Ask the program which output folder the flags of a run and its configuration file come to."""
    asked = subprocess.run([*command, "--print_config"], capture_output=True, encoding="utf-8", env=_environment(), check=False)
    if asked.returncode != 0:
        told: list[str] = []
        _show(asked.stderr.splitlines(keepends=True), sys.stderr, told)
        raise _error(asked.returncode, told, [])
    return Path(tomllib.loads(asked.stdout)["output_dir"])


def _given(flags: Mapping[str, Flag]) -> dict[str, Flag]:
    """Return the flags that are not None, a file `config` also if it is not False, with Python's own True and False."""
    given: dict[str, Flag] = {}
    for name, value in flags.items():
        flag: Flag = bool(value) if isinstance(value, np.bool_) else value
        if name in COMMAND_LINE_ONLY:
            raise TypeError(f"run() takes no {name}: use the command line, {PROGRAM} --{name}")
        if isinstance(flag, Iterable) and not isinstance(flag, str | list | tuple):
            raise TypeError(f"{name} is a {type(flag).__name__}: give a list")
        if flag is not None and not (name == "config" and flag is False):
            given[name] = flag
    return given


def _arguments(given: Mapping[str, Flag]) -> list[str]:
    arguments = []
    for name, value in given.items():
        if value is True:
            arguments.append(f"--{name}")
        elif isinstance(value, list | tuple):
            # An empty list names no subject: without the flag, the program would take all.
            arguments.extend(f"--{name}={text}" for text in value or [""])
        elif value is not False:
            arguments.append(f"--{name}={value}")
        elif "config" in given:
            if name not in SWITCHES:
                raise TypeError(f"{name} is False, but is no switch: give None to leave it to the file config")
            arguments.append(f"--{name}={SWITCHES[name]}")
    return arguments


def _start(command: list[str]) -> tuple[int, list[str]]:
    """Start the program and show what it prints; return its exit status and the lines that tell errors."""
    # On a terminal, the program shows its progress in one live line.
    is_live = sys.stdout.isatty() and sys.stdout is sys.__stdout__
    output, errors = (None, subprocess.PIPE) if is_live else (subprocess.PIPE, subprocess.STDOUT)
    told: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env=_environment(),
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            lines, show_on = (process.stderr, sys.stderr) if is_live else (process.stdout, sys.stdout)
            _show(lines, show_on, told)
            status = process.wait()
        except BaseException:
            _end(process)
            raise
    return status, told


def _show(lines: Iterable[str] | None, show_on: TextIO, told: list[str]) -> None:
    for line in lines or ():
        print(line, end="", file=show_on, flush=True)
        if line.startswith("error: "):
            told.append(line.removeprefix("error: ").strip())


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()


def _environment() -> dict[str, str]:
    root = OPEN_MPI_AS_ROOT if os.geteuid() == 0 else {}
    return {**OPEN_MPI, **root, **os.environ}


def _reports(output_dir: Path) -> dict[Path, tuple[int, int]]:
    """Return the reports of an output folder, and by what a new one is told from an old one."""
    reports = {path: path.stat() for path in output_dir.glob("report*.json")}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in reports.items()}


def _error(status: int, told: list[str], reports: list[Path]) -> RunError:
    failures: dict[str, str] = {}
    for path in reports:
        report = json.loads(path.read_text(encoding="utf-8"))
        status = report["exit_status"]
        failed = (subject for subject in report["subjects"] if subject["outcome"] == "failed")
        failures.update({subject["name"]: subject["error"] for subject in failed})
    match status:
        case 1 if failures:
            count = "1 subject" if len(failures) == 1 else f"{len(failures)} subjects"
            reason = "\n".join([f"{count} failed:", *failures.values()])
        case 3:
            reason = "the run was stopped; run it again to continue"
        case _:
            reason = "\n".join([f"the program ended with status {status}", *told])
    return RunError(reason, exit_status=status, failures=failures)

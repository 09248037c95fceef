"""Running a Program in a process of its own, and bringing back what it left."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import SimulatorError, UsageError
from ..backend import Progress, RawResults
from ..program import Program
from .compile import compile_mods
from .mpi import launch_command

MARK = "@nmlbridge "
_GRACE = 3.0  # seconds that the worker gets to end before it is killed
_ROOT = Path(__file__).absolute().parents[3]  # of the package, however it is linked or installed


def run_program(
    program: Program, *, ranks: int = 1, progress: Progress | None = None, keep: str | Path | None = None
) -> RawResults:
    """Compile and run ``program`` on ``ranks`` processes; the results are in memory and the temporary folder is gone.

    ``progress(phase, done, total)`` is called as the run goes on. ``keep`` names a folder (made if needed) in which
    the Program and the raw output stay. Raises UsageError if MPI is asked for and missing, SimulatorError if
    compiling or running fails; then, and if the user interrupts, no process and no temporary file is left.
    """
    if ranks < 1:
        raise UsageError(f"the number of ranks is {ranks}; it must be at least 1")
    starter, extra = launch_command(ranks) if ranks > 1 else ([], {})
    report = progress or (lambda phase, done, total: None)
    start = time.perf_counter()
    built = False

    def compiling(done: float, total: float) -> None:
        nonlocal built
        built = True
        report("compile", done, total)

    library = compile_mods(program.mods, progress=compiling)
    # the largest process that this one has started; 0 if the cache had everything
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    compiled = {"seconds": time.perf_counter() - start, "peak_mb": peak if built else 0.0}
    folder = Path(keep).absolute() if keep is not None else Path(tempfile.mkdtemp(prefix="nmlbridge-"))
    try:
        program.save(folder / "program")
        out = folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        command = [*starter, sys.executable, "-P", "-m", "nmlbridge.simulator.neuron.worker"]
        command += [str(folder / "program"), str(out), "--progress", "--ranks", str(ranks)]
        if library is not None:
            command += ["--library", str(library)]
        _work(command, folder, extra, report)
        return _results(out, compiled)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _work(command: list[str], folder: Path, extra: dict[str, str], report: Progress) -> None:
    """Run the worker to its end; SimulatorError with its own words if it fails."""
    with (folder / "errors.txt").open("w+b") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,  # NEURON would load mechanisms that lie in the current folder
            env=_environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        said: deque[str] = deque(maxlen=20)
        assert process.stdout is not None
        try:
            _listen(process.stdout, report, said)
            code = process.wait()
        finally:
            _end(process)
            process.stdout.close()
        if code != 0:
            errors.seek(0)
            text = errors.read().decode(errors="replace")
            raise SimulatorError(_message(text, said, code))
    (folder / "errors.txt").unlink()


def _listen(stream: IO[bytes], report: Progress, said: deque[str]) -> None:
    """Pass on progress; keep the last other lines."""
    for raw in stream:
        line = raw.decode(errors="replace").rstrip("\n")
        if line.startswith(MARK):
            with suppress(ValueError, KeyError):
                word = json.loads(line.removeprefix(MARK))
                report(word["phase"], word["done"], word["total"])
        elif line.strip():
            said.append(line)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of the process's session is left: first asked, then made to end."""
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
                break
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(extra: dict[str, str]) -> dict[str, str]:
    """This process's environment, with the package importable and one thread for numpy."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **extra}


def _message(text: str, said: deque[str], code: int) -> str:
    """What went wrong, from the worker's standard error."""
    lines = [line for line in text.splitlines() if line.strip()]
    hoc = [line[line.index("NEURON: ") + 8 :].strip() for line in lines if "NEURON: " in line]
    for line in lines:
        if MARK in line:
            with suppress(ValueError, KeyError):
                message = json.loads(line[line.index(MARK) + len(MARK) :])["message"]
                return f"{message} ({hoc[0]})" if hoc and hoc[0] not in message else str(message)
    if hoc:  # NEURON itself ended all ranks
        return f"the simulator failed: {hoc[0]}"
    if code < 0:
        cause = signal.Signals(-code).name
        hint = "; perhaps it ran out of memory" if code == -signal.SIGKILL else ""
        return f"the simulator was ended by {cause}{hint}: {' | '.join(lines[-3:])}"
    return f"the simulator ended with code {code}: {' | '.join((lines or list(said))[-3:])}"


def _results(out: Path, compiled: dict[str, float]) -> RawResults:
    try:
        summary: dict[str, Any] = json.loads((out / "phases.json").read_text())
        time_, columns, gids, times = (
            np.load(out / f"{name}.npy", allow_pickle=False)
            for name in ("time", "columns", "spike_gids", "spike_times")
        )
    except (OSError, ValueError) as fault:
        raise SimulatorError(f"the simulator ended without complete results: {fault}") from fault
    phases = {"compile": compiled, **summary["phases"]}
    notes = tuple(summary["notes"])
    return RawResults(time_, columns, gids, times, phases, notes, summary["ranks"], summary["hash"])

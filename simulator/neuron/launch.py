"""Running a Program in a process of its own, and bringing back what it left."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from ...errors import SimulatorError, UsageError
from ..backend import Checkpointing, Follow, Progress, RawResults
from ..program import Program, Shape
from .checkpoint import latest
from .compile import compile_mods
from .coreneuron import check_ranks
from .follow import Follower, on_disk
from .job import Job, current
from .lifeline import die_with_parent
from .mpi import launch_command
from .shares import Shares, divide
from .splitting import place, remarks

MARK = "@nmlbridge "
_GRACE = 3.0  # seconds that the worker gets to end before it is killed
_ROOT = Path(__file__).absolute().parents[3]  # of the package, however it is linked or installed


def run_program(
    program: Program,
    *,
    ranks: int = 1,
    progress: Progress | None = None,
    keep: str | Path | None = None,
    follow: Follow | None = None,
    checkpointing: Checkpointing | None = None,
    split: str = "auto",
) -> RawResults:
    """Compile and run ``program`` on ``ranks`` processes; ``split`` is one of ``splitting.SPLITS``.

    The arrays of the results are read from their files when they are used; the files have no names any more, and go
    with the arrays. ``progress(phase, done, total)`` is called as the run goes on, ``follow`` with block after block of
    what it records. ``keep`` names a folder (made if needed) in which the Program and the raw output stay.
    With ``checkpointing`` its folder stays, so that another call can resume the run. If MPI itself has started this
    process as one of ``ranks``, it starts none (see ``job``).

    Raises UsageError if MPI is asked for and missing, or if there is nothing to resume; SimulatorError if compiling or
    running fails. Then, and if the user interrupts, no process is left, ``follow`` has had every block that all ranks
    finished, and there is no temporary file but a checkpoint.
    """
    if ranks < 1:
        raise UsageError(f"the number of ranks is {ranks}; it must be at least 1")
    job = current() if ranks > 1 else None
    starter: list[str] = []
    extra: dict[str, str] = {}
    if job is not None:
        extra = job.environment()
    elif ranks > 1:
        starter, extra = launch_command(ranks)
    report = progress or (lambda phase, done, total: None)
    start = time.perf_counter()
    built = False

    def compiling(done: float, total: float) -> None:
        nonlocal built
        built = True
        report("compile", done, total)

    core, placement = bool(program.spec["run"].get("coreneuron")), place(program, ranks, split)
    if core:
        check_ranks(program, placement)
    shares = divide(program, ranks, placement)
    library = compile_mods(program.mods, coreneuron=core, progress=compiling)
    # the largest process that this one has started; 0 if the cache had everything
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    compiled = {"seconds": time.perf_counter() - start, "peak_mb": peak if built else 0.0}
    options = ["--progress", "--ranks", str(ranks), *(["--library", str(library)] if library is not None else [])]
    with _folder(keep, checkpointing, job) as folder:
        out = folder / "out"
        steps = 0 if checkpointing is None else checkpointing.steps
        facts = latest(out) if checkpointing is not None and checkpointing.resume else None
        if facts is not None:
            _same_run(facts, program, ranks, folder, shares)
            steps = steps or int(facts["every"])
            options.append("--resume")
        else:
            shutil.rmtree(out, ignore_errors=True)
        options += ["--checkpoint", str(steps)]
        program.save(folder / "program")
        shares.save(folder / "program")
        out.mkdir(exist_ok=True)
        shape = Shape.of(program)
        _room(out, shape)
        follower = Follower(out, ranks, shape, follow)
        command = [*starter, sys.executable, "-P", "-m", "nmlbridge.simulator.neuron.worker"]
        command += [str(folder / "program"), str(out), *options]
        if job is not None:
            job.say(command, folder, extra)
        try:
            _work(command, folder, extra, report, follower)
        except BaseException:
            with suppress(OSError):  # the fault itself is what is told
                follower.catch_up()
            raise
        report("save", 0.0, 1.0)
        results = _results(out, compiled, follower, *remarks(program, placement))
        report("save", 1.0, 1.0)
        return results


@contextmanager
def _folder(keep: str | Path | None, checkpointing: Checkpointing | None, job: Job | None) -> Iterator[Path]:
    """Where a run has its files: a folder that goes at the end, or one that was chosen and stays."""
    if checkpointing is not None:
        folder = checkpointing.folder.absolute()
        _without_links(folder)
        if checkpointing.resume and not checkpointing.steps and latest(folder / "out") is None:
            raise UsageError(
                f"there is nothing to resume: no checkpoint in {folder}; with --checkpoint EVERY the run would start"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(f"another run is at work in {folder}; wait for it, or end it") from None
            yield folder
    elif keep is not None:
        folder = Path(keep).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        folder = Path(tempfile.mkdtemp(prefix="nmlbridge-", dir=None if job is None else job.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _without_links(folder: Path) -> None:
    """UsageError if what a folder of checkpoints holds lies elsewhere: it may have come with a stranger's model."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            raise UsageError(f"{path} is a link, which would have a run write outside its output folder; take it away")


def _same_run(facts: dict[str, Any], program: Program, ranks: int, folder: Path, shares: Shares) -> None:
    """UsageError unless a checkpoint is of this program on as many ranks, with the same cells in the same pieces."""
    if facts["hash"] != program.hash:
        raise UsageError(
            f"the checkpoint in {folder} is of another model or other options; resume with those of its run, "
            "or start anew without --resume"
        )
    if facts["ranks"] != ranks:
        made = facts["ranks"]
        raise UsageError(f"the checkpoint in {folder} was made by {made} ranks; resume with -n {made}")
    if facts.get("split", "") != shares.digest():
        raise UsageError(f"the checkpoint in {folder} has other cells split over ranks; resume with the same --split")


def _room(out: Path, shape: Shape) -> None:
    """SimulatorError if the disk has no room for what will be recorded."""
    free, needed = shutil.disk_usage(out).free, 8 * shape.columns * shape.samples
    if needed > free + sum(path.stat().st_blocks * 512 for path in out.glob("columns.npy")):
        raise SimulatorError(
            f"recording {shape.columns} quantities at {shape.samples} times takes {needed / 1e6:.0f} MB, and the disk "
            f"of {out.parent} has {free / 1e6:.0f} MB free; free some, or record less"
        )


def _work(command: list[str], folder: Path, extra: dict[str, str], report: Progress, follower: Follower) -> None:
    """Run the worker to its end; SimulatorError with its own words if it fails."""
    with (folder / "errors.txt").open("w+b") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,  # NEURON would load mechanisms that lie in the current folder
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),  # so that mpiexec takes the ranks along
        )
        said: deque[str] = deque(maxlen=20)
        assert process.stdout is not None
        try:
            _listen(process.stdout, report, said, follower)
            code = process.wait()
        finally:
            end_process(process)
            process.stdout.close()
        if code != 0:
            errors.seek(0)
            text = errors.read().decode(errors="replace")
            raise SimulatorError(what_went_wrong(text, said, code))
    (folder / "errors.txt").unlink()


def _listen(stream: IO[bytes], report: Progress, said: deque[str], follower: Follower) -> None:
    """Pass on progress and blocks; keep the last other lines."""
    for raw in stream:
        line = raw.decode(errors="replace").rstrip("\n")
        if line.startswith(MARK):
            try:
                word = json.loads(line.removeprefix(MARK))
            except ValueError:
                continue
            if "phase" in word:
                report(word["phase"], word["done"], word["total"])
            elif "samples" in word:
                follower.advance(word["samples"], word["until"])
        elif line.strip():
            said.append(line)


def end_process(process: subprocess.Popen[bytes]) -> None:
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


def environment(extra: dict[str, str]) -> dict[str, str]:
    """This process's environment, with the package importable and one thread for numpy."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **extra}


def neuron_words(text: str) -> list[str]:
    """What NEURON itself complained about, from standard error."""
    return [line[line.index("NEURON: ") + 8 :].strip() for line in text.splitlines() if "NEURON: " in line]


def what_went_wrong(text: str, said: deque[str], code: int) -> str:
    """What went wrong, from the worker's standard error."""
    lines = [line for line in text.splitlines() if line.strip()]
    hoc = neuron_words(text)
    for line in lines:
        if MARK in line:
            with suppress(ValueError, KeyError):
                word = json.loads(line[line.index(MARK) + len(MARK) :])
                message, rank = word["message"], word.get("rank", 0)
                message = f"rank {rank}: {message}" if rank else str(message)
                return f"{message} ({hoc[0]})" if hoc and hoc[0] not in message else message
    if hoc:  # NEURON itself ended all ranks
        return f"the simulator failed: {hoc[0]}"
    if lost := _LOST.search(" ".join(lines)):
        rank, number = (next(filter(None, (lost[key + n] for n in ("", "2", "3")))) for key in ("rank", "signal"))
        return f"rank {rank} was ended by {_signal(number)}; the others were stopped"
    if code > 128 and any("PMIX ERROR" in line for line in lines):  # Open MPI lost its own helper first
        return f"a rank was ended by {_signal(code - 128)}; the launcher could not say which; the others were stopped"
    if code < 0:
        return f"the simulator was ended by {_signal(-code)}" + "".join(f" | {line}" for line in lines[-3:])
    return f"the simulator ended with code {code}: {' | '.join((lines or list(said))[-3:])}"


_LOST = re.compile(
    r"process rank (?P<rank>\d+)\b.*?on signal (?P<signal>\d+)"  # Open MPI
    r"|\bRANK (?P<rank2>\d+)\b.*?SIGNAL: (?P<signal2>\d+)"  # MPICH
    r"|\btask (?P<rank3>\d+): (?P<signal3>[A-Z][a-z]+(?: [a-z]+)*)"  # srun
)
"""How launchers name the rank whose end they noticed."""


def _signal(number: int | str) -> str:
    """The name of a signal, and what is likely behind it."""
    if not str(number).isdigit():
        return str(number)
    try:
        name = signal.Signals(int(number)).name
    except ValueError:
        return f"signal {number}"
    return name + (" (perhaps it ran out of memory)" if name == "SIGKILL" else "")


def _results(out: Path, compiled: dict[str, float], follower: Follower, *more: str) -> RawResults:
    try:
        summary: dict[str, Any] = json.loads((out / "phases.json").read_text())
        follower.said = (summary["samples"], float("inf"))
        gids, times, clock = follower.finish()
        columns = on_disk(out / "columns.npy")
    except (OSError, ValueError) as fault:
        raise SimulatorError(f"the simulator ended without complete results: {fault}") from fault
    phases = {"compile": compiled, **summary["phases"]}
    notes = (*summary["notes"], *more)
    return RawResults(clock, columns, gids, times, phases, notes, summary["ranks"], summary["hash"])

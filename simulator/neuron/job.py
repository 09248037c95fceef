"""A command that MPI itself has started on every rank, as ``mpiexec -n 4 nmlbridge run ...`` or ``srun`` does.

Rank 0 reads the model, compiles, and saves, as it does alone. The others wait until it says, in a file that all can
see, what to run, and then run it in the place that MPI gave them. The file lies in the cache (``NMLBRIDGE_CACHE``, or
the user's), which on a cluster must be on a file system that all nodes share.

A job that crashed may have left such a file where one with the same name looks now. So each rank that waits writes a
number of its own making first, and takes only a word that gives it back.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import SimulatorError, UsageError
from .compile import cache_folder
from .lifeline import die_with_parent
from .mpi import find_launcher, find_library

_WAIT = 0.05  # s between looks for the file
_PATIENCE = 60.0  # s that rank 0 waits for the others to come
LAUNCHERS = (
    # variables: rank, size, and those whose values tell this job from others
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", ("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid")),
    ("PMI_RANK", "PMI_SIZE", ("PMI_JOBID", "PMI_ID", "SLURM_JOB_ID")),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", ("SLURM_JOB_ID", "SLURM_STEP_ID")),
)
"""Open MPI, MPICH and Intel MPI, Slurm: what they tell the processes that they start"""


@dataclass(frozen=True)
class Job:
    """This process's place among those that MPI started together. ``folder`` is seen by all of them."""

    rank: int
    size: int
    folder: Path

    def environment(self) -> dict[str, str]:
        """What the ranks need to find MPI."""
        library = find_library(find_launcher())
        return {} if library is None else {"MPI_LIB_NRN_PATH": library}

    def say(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        """Tell the other ranks what to run now; SimulatorError if one of them does not look into the folder."""
        word = {"command": list(command), "cwd": str(cwd), "env": dict(environment), "for": self._present()}
        _write(self.folder / "step.json", word)

    def end(self) -> None:
        """Tell the other ranks, if they still wait, that there is nothing to run."""
        if not (self.folder / "step.json").exists():
            with suppress(SimulatorError):
                _write(self.folder / "step.json", {"for": self._present()})

    def _present(self) -> dict[str, str]:
        """The numbers of all other ranks, which have come by now or within a minute."""
        end = time.monotonic() + _PATIENCE
        found: dict[str, str] = {}
        while missing := [rank for rank in range(1, self.size) if str(rank) not in found]:
            for rank in missing:
                with suppress(OSError):
                    found[str(rank)] = (self.folder / f"rank-{rank}").read_text()
            if len(found) < self.size - 1:
                if time.monotonic() > end:
                    lost = ", ".join(str(rank) for rank in missing if str(rank) not in found)
                    raise SimulatorError(
                        f"rank {lost} of {self.size} does not come to {self.folder}; let NMLBRIDGE_CACHE name a folder "
                        "that all nodes of the job share"
                    )
                time.sleep(_WAIT)
        return found

    def follow(self) -> int:
        """Wait for rank 0's word, do it, and return the exit code; 0 if there is nothing to do, whatever the reason.

        Rank 0 says the reason. A launcher that saw another rank fail first would end it before it could.
        """
        path, parent, mine = self.folder / "step.json", os.getppid(), secrets.token_hex(16)
        word: dict[str, Any] = {}
        while word.get("for", {}).get(str(self.rank)) != mine:
            if os.getppid() != parent:
                return 4  # the launcher has gone
            self._show(mine)
            time.sleep(_WAIT)
            with suppress(OSError, ValueError):
                word = json.loads(path.read_text())
        if "command" not in word:
            return 0
        return subprocess.run(
            word["command"], cwd=word["cwd"], env={**os.environ, **word["env"]}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, preexec_fn=partial(die_with_parent, signal.SIGTERM),
        ).returncode  # fmt: skip

    def _show(self, number: str) -> None:
        """Have this rank's number in the folder; rank 0 takes away whatever is there when it begins."""
        path = self.folder / f"rank-{self.rank}"
        with suppress(OSError):
            if path.read_text() == number:
                return
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(number)
            os.replace(part, path)


def current() -> Job | None:
    """The job that this process is one of several ranks of; None if it was started by itself."""
    for rank, size, names in LAUNCHERS:
        try:
            place, number = int(os.environ[rank]), int(os.environ[size])
        except (KeyError, ValueError):
            continue
        if number > 1:
            key = "-".join(os.environ.get(name, "") for name in names).strip("-")
            # without a name, the process that started this one stands for the job (on one machine)
            key = re.sub(r"[^A-Za-z0-9]+", "_", key)[-80:] or str(os.getppid())
            return Job(place, number, cache_folder() / "jobs" / key)
    return None


@contextmanager
def leading(job: Job) -> Iterator[None]:
    """What rank 0 does goes on in here: the others hear of its end."""
    shutil.rmtree(job.folder, ignore_errors=True)
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise SimulatorError(f"the ranks cannot meet in {job.folder}: {fault}; name a shared NMLBRIDGE_CACHE") from None
    try:
        yield
    finally:
        job.end()
        time.sleep(4 * _WAIT)  # the others read it
        shutil.rmtree(job.folder, ignore_errors=True)


def check(job: Job, ranks: int) -> None:
    """UsageError if another number of ranks is asked for than MPI has started."""
    if ranks not in (1, job.size):
        raise UsageError(
            f"MPI has started {job.size} ranks of this command, and -n says {ranks}; leave -n out under mpiexec or srun"
        )


def _write(path: Path, word: object) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(word))
    os.replace(part, path)

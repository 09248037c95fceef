"""A worker process that stays and takes commands (``serve``): started, spoken with, ended."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError, UsageError
from ..program import Program
from .compile import compile_mods
from .job import current
from .launch import MARK, end_process, environment, what_went_wrong
from .lifeline import die_with_parent
from .mpi import launch_command
from .shares import divide


class Talk:
    """A network that is built on ``ranks`` processes, ready for commands. Raises SimulatorError if it cannot be."""

    def __init__(self, program: Program, ranks: int = 1) -> None:
        if ranks < 1:
            raise UsageError(f"the number of ranks is {ranks}; it must be at least 1")
        if ranks > 1 and current() is not None:
            raise UsageError("a session starts its ranks itself; start this program without mpiexec or srun")
        starter, extra = launch_command(ranks) if ranks > 1 else ([], {})
        library = compile_mods(program.mods)
        self.ranks, self.number = ranks, 0
        self.folder = Path(tempfile.mkdtemp(prefix="nmlbridge-"))
        self.out = self.folder / "out"
        self.process: subprocess.Popen[bytes] | None = None
        self.said: deque[str] = deque(maxlen=20)
        try:
            self.out.mkdir()
            program.save(self.folder / "program")
            divide(program, ranks).save(self.folder / "program")
            command = [*starter, sys.executable, "-P", "-m", "nmlbridge.simulator.neuron.worker"]
            command += [str(self.folder / "program"), str(self.out), "--serve", "--ranks", str(ranks)]
            command += ["--library", str(library)] if library is not None else []
            self.errors = (self.folder / "errors.txt").open("w+b")
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment(extra), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self.errors, start_new_session=True, preexec_fn=partial(die_with_parent, signal.SIGTERM),
            )  # fmt: skip
            self.gone = weakref.finalize(self, _end, self.process, self.folder)  # should nobody close it
            self._wait(0)
        except BaseException:
            self.close()
            raise

    def ask(self, command: dict[str, Any], arrays: dict[str, NDArray[Any]] | None = None) -> dict[str, Any]:
        """Have a command done; what was answered. Raises SimulatorError if it fails, and then the process is gone."""
        if self.process is None or self.process.stdin is None:
            raise UsageError("the session is closed")
        self.number += 1
        (self.out / f"command-{self.number}.json").write_text(json.dumps(command))
        if arrays:
            np.savez(self.out / f"command-{self.number}.npz", **arrays)  # type: ignore[arg-type]
        try:
            self.process.stdin.write(f"{self.number}\n".encode())
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended, and says why
        found = self._wait(self.number)
        for kind in ("json", "npz"):
            (self.out / f"command-{self.number}.{kind}").unlink(missing_ok=True)
        return found

    def _wait(self, number: int) -> dict[str, Any]:
        assert self.process is not None and self.process.stdout is not None
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            if line.startswith(MARK):
                word: dict[str, Any] = json.loads(line.removeprefix(MARK))
                if word.get("answer") == number:
                    return word
            elif line.strip():
                self.said.append(line)
        code = self.process.wait()
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")
        message = what_went_wrong(text, self.said, code)
        self.close()
        raise SimulatorError(message)

    def close(self) -> None:
        """End the processes, and take their files away."""
        process, self.process = self.process, None
        if process is not None:
            self.gone.detach()
            self.errors.close()
        _end(process, self.folder)


def _end(process: subprocess.Popen[bytes] | None, folder: Path) -> None:
    if process is not None:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        end_process(process)
    shutil.rmtree(folder, ignore_errors=True)

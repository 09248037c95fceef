"""Code that comes with a model: run only where the user allows it, in a process of its own that answers with JSON.

A program for this takes two file names, ``REQUEST`` and ``ANSWER``. The answer is an object; with "error" in it, "line"
and perhaps "file" say where. Whatever the code prints is kept apart from it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DocumentError, UsageError

WORDS = frozenset({"code", "python"})
"""what ``allow`` may hold to let code run: the second is the older spelling of the first"""
LIMIT = "NMLBRIDGE_CODE_SECONDS"
_SECONDS = 1800.0
_LARGEST = 4 << 30  # bytes of an answer
_SAID = 1 << 16  # bytes that are kept of what the code said last
_TAIL = 300  # characters of that in an error


@dataclass(frozen=True)
class Answer:
    """What a program found, and what its code said last on standard output and error together."""

    found: dict[str, Any]
    said: str
    file: Path

    @property
    def error(self) -> str | None:
        """What went wrong, in one line; None if nothing did."""
        return " ".join(str(self.found["error"]).split()) if "error" in self.found else None

    def check(self, hint: str = "") -> dict[str, Any]:
        """What was found. Raises DocumentError with file and line if the code failed."""
        if self.error is not None:
            raise DocumentError(f"{self.error}{hint}", file=self.found.get("file") or str(self.file),
                                line=self.found.get("line"))  # fmt: skip
        return self.found


def may_run(file: Path, allow: Collection[str]) -> None:
    """Raise UsageError unless the user has allowed the code of a model to be run."""
    if not WORDS & set(allow):
        raise UsageError(f"'{file}' is code, which is run only if you say so: --allow-code, or allow=('code',)")


def ask(
    program: Sequence[str], request: Mapping[str, Any], file: Path, environment: Mapping[str, str] | None = None
) -> Answer:
    """Run a program of Python (its arguments to the interpreter) on a request; ``file`` is the code that it runs.

    It starts in an empty folder, without input. Raises DocumentError if it gives no answer, one that is too large, or
    none within half an hour (the environment variable NMLBRIDGE_CODE_SECONDS sets another time).
    """
    limit = _limit()
    with tempfile.TemporaryDirectory(prefix="nmlbridge-") as folder:
        asked, answer, said = (Path(folder, name) for name in ("request.json", "answer.json", "said.txt"))
        asked.write_text(json.dumps(dict(request)))
        with said.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, *program, str(asked), str(answer)], stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, cwd=folder, env=None if environment is None else dict(environment),
                start_new_session=True,
            )  # fmt: skip
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                raise DocumentError(f"the code was still running after {limit:g} s; {LIMIT} sets another limit",
                                    file=str(file)) from None  # fmt: skip
            finally:
                _end(process)
        words = _last(said)
        if not answer.exists():
            raise DocumentError(f"the code ended with code {process.returncode}: {' '.join(words.split())[-_TAIL:]}",
                                file=str(file))  # fmt: skip
        if answer.stat().st_size > _LARGEST:
            raise DocumentError(f"the code states more than {_LARGEST >> 30} GiB", file=str(file))
        return Answer(json.loads(answer.read_text()), words, file)


def _limit() -> float:
    text = os.environ.get(LIMIT, str(_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise UsageError(f"{LIMIT} is '{text}'; expected seconds, more than zero")
    return seconds


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program if it still runs, with what it has started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last(file: Path) -> str:
    """The end of what a program said."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _SAID))
        return stream.read().decode(errors="replace")

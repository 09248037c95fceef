"""Running an OMV test: the model in a process of its own, its files in a folder of their own, then the comparison."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ModelError
from .files import SIMULATE, VALIDATE, Test, read_test
from .judge import Verdict, judge

PASS, FAIL, ERROR, TIMEOUT, UNSUPPORTED = "PASS", "FAIL", "ERROR", "TIMEOUT", "UNSUPPORTED"


@dataclass(frozen=True)
class Outcome:
    """What became of a test: one of PASS, FAIL, ERROR, TIMEOUT, UNSUPPORTED, and why."""

    path: Path
    engine: str
    verdict: str
    seconds: float = 0.0
    why: str = ""
    verdicts: tuple[tuple[str, Verdict], ...] = ()
    """(experiment, verdict) of each observable"""
    warnings: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "test": str(self.path), "engine": self.engine, "verdict": self.verdict, "seconds": round(self.seconds, 2),
            "why": self.why, "warnings": list(self.warnings),
            "observables": [
                {"experiment": name, "kind": v.kind, "passed": v.passed, "why": v.why,
                 "needed": None if v.needed != v.needed else v.needed}
                for name, v in self.verdicts
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How to run: seconds allowed, least tolerance, method and ranks of the simulation.

    The values that tests expect were recorded with jNeuroML's own integration errors in them, and many tolerate no
    other: ``compat`` repeats these. None is the document's own method, or the best.
    """

    timeout: float = 300.0
    floor: float = 0.0
    method: str | None = "compat"
    ranks: int = 1


def run_test(path: Path, options: Options) -> Outcome:
    """Run one .omt file with nmlbridge in the place of the engine that it names. Writes nothing beside the model."""
    try:
        test = read_test(path)
    except ModelError as error:
        return Outcome(path, "?", ERROR, why=str(error))
    if test.engine not in SIMULATE | VALIDATE:
        return Outcome(path, test.engine, UNSUPPORTED, why=f"the target is a program for {test.engine}, no LEMS model")
    absent = [target for target in test.targets if not target.is_file()]
    if absent or not test.targets:
        return Outcome(path, test.engine, ERROR, why=f"the target {absent[0] if absent else ''} is not there")
    with tempfile.TemporaryDirectory(prefix="nmlbridge-omv-") as folder:
        began = time.perf_counter()
        code, said = _engine(test, Path(folder), options)
        took = time.perf_counter() - began
        if code is None:
            return Outcome(path, test.engine, TIMEOUT, took, f"no answer in {options.timeout:g} s")
        if code:
            return Outcome(path, test.engine, UNSUPPORTED if code == 3 else ERROR, took, said, warnings=test.warnings)
        return _judged(test, Path(folder), took, options)


def _judged(test: Test, folder: Path, took: float, options: Options) -> Outcome:
    home = test.targets[0].parent.resolve()

    def produced(name: str) -> Path | None:
        """The run's file: outputs lie below the target's folder in OMV, and below a fresh folder here."""
        place = Path(os.path.normpath(test.path.parent.resolve() / name))
        file = folder / place.relative_to(home) if place.is_relative_to(home) else None
        return file if file is not None and file.is_file() else None

    root = test.mep.parent if test.mep is not None else test.path.parent
    verdicts = tuple(
        (name, judge(observable, produced, root, options.floor))
        for name, observables in test.experiments.items()
        for observable in observables
    )
    bad = [f"{name}: {v.kind}: {v.why}" for name, v in verdicts if not v.passed]
    if test.mep is not None and not verdicts:
        bad = ["there is nothing to look at: OMV needs one observable"]
    strange = any(not v.supported for _, v in verdicts)
    verdict = UNSUPPORTED if strange else FAIL if bad else PASS
    return Outcome(test.path, test.engine, verdict, took, "; ".join(bad), verdicts, test.warnings)


def _engine(test: Test, folder: Path, options: Options) -> tuple[int | None, str]:
    """(exit code or None after the time allowed, last words) of nmlbridge on the targets."""
    command = [sys.executable, "-m", "nmlbridge.cli"]
    if test.engine in VALIDATE:
        command += ["validate", *(str(target.resolve()) for target in test.targets)]
    else:
        command += ["run", str(test.targets[0].resolve()), "-o", str(folder), "-n", str(options.ranks)]
        command += ["--method", options.method] if options.method is not None else []
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=options.timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        return None, ""
    except BaseException:
        _end(process)
        raise
    lines = (err.strip() or out.strip()).splitlines()
    return process.returncode, lines[-1] if lines else ""


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the simulator's own processes too
    process.wait()

"""PyNN scripts: run in a process of their own, only where the user allows it, for the network that they build."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from ...errors import DocumentError, UsageError
from ...extras import find
from ...graph import Network
from ...registry import formats
from ...report import Report

_TAIL = 300  # characters of what a process said last


def read(path: Path, report: Report | None = None, allow: Collection[str] = ()) -> Network:
    """The network that a script builds, up to its first ``run``; nothing is simulated.

    Raises UsageError if ``allow`` does not hold "python" or PyNN is missing, DocumentError with the line for what the
    script does wrong, and for a network that has no counterpart (see ``from_pynn``).
    """
    report = report if report is not None else Report()
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    if "python" not in allow:
        raise UsageError(f"'{path}' is Python, which is run only if you say so: --allow-python, or allow=('python',)")
    find("pyNN", "pynn", "running a PyNN script")
    with tempfile.TemporaryDirectory(prefix="nmlbridge-") as folder:
        model, answer = Path(folder, "LEMS_model.xml"), Path(folder, "answer.json")
        command = [sys.executable, "-m", "nmlbridge.converters.pynn.capture", str(path.resolve()), str(model),
                   str(answer)]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False,
            env={**os.environ, "MPLBACKEND": "agg"},
        )  # fmt: skip
        if not answer.exists():
            last = " ".join(done.stderr.split())[-_TAIL:]
            raise DocumentError(f"the script ended with code {done.returncode}: {last}", file=str(path))
        found = json.loads(answer.read_text())
        if "error" in found:
            raise DocumentError(" ".join(str(found["error"]).split()), file=str(path), line=found["line"])
        network = formats()["lems"].read(model)
    for code, severity, message, component in found["notes"]:
        report.add(code, severity, message, file=str(path), component=component)
    network.file = str(path)
    return network

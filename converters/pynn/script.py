"""PyNN scripts: run in a process of their own, only where the user allows it, for the network that they build."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from ...errors import DocumentError
from ...extras import find
from ...foreign import ask, may_run
from ...graph import Network
from ...registry import formats
from ...report import Report


def read(path: Path, report: Report | None = None, allow: Collection[str] = ()) -> Network:
    """The network that a script builds, up to its first ``run``; nothing is simulated.

    Raises UsageError if ``allow`` does not hold "code" or PyNN is missing, DocumentError with the line for what the
    script does wrong, and for a network that has no counterpart (see ``from_pynn``).
    """
    report = report if report is not None else Report()
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    may_run(path, allow)
    find("pyNN", "pynn", "running a PyNN script")
    with tempfile.TemporaryDirectory(prefix="nmlbridge-") as folder:
        model = Path(folder, "LEMS_model.xml")
        request = {"script": str(path.resolve()), "model": str(model)}
        answer = ask(["-m", "nmlbridge.converters.pynn.capture"], request, path, {**os.environ, "MPLBACKEND": "agg"})
        found = answer.check()
        network = formats()["lems"].read(model)
    for code, severity, message, component in found["notes"]:
        report.add(code, severity, message, file=str(path), component=component)
    network.file = str(path)
    return network

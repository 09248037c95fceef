"""Python that states netParams and simConfig with NetPyNE's ``specs``: run in a process of its own, taken as JSON.

Only where the user allows it. NetPyNE serves to obtain the specification; the network is made and run here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ...errors import DocumentError, UsageError
from ...extras import find
from ...report import Report

_TAIL = 300  # characters of what a process said last


def stated(
    request: Mapping[str, Any], file: Path, allow: Collection[str], report: Report
) -> tuple[dict[str, Any], dict[str, Any]]:
    """netParams and simConfig of a request (see ``specification``), whose Python is run.

    Raises UsageError if ``allow`` does not hold "python" or NetPyNE is missing, DocumentError with file and line for
    what the Python does wrong.
    """
    if "python" not in allow:
        raise UsageError(f"'{file}' is Python, which is run only if you say so: --allow-python, or allow=('python',)")
    find("netpyne", "netpyne", "Python that states a NetPyNE model")
    program = Path(__file__).with_name("specification.py")
    with tempfile.TemporaryDirectory(prefix="nmlbridge-") as folder:
        asked, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        asked.write_text(json.dumps(dict(request)))
        done = subprocess.run(
            [sys.executable, str(program), str(asked), str(answer)], capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if not answer.exists():
            last = " ".join(done.stderr.split())[-_TAIL:]
            raise DocumentError(f"the Python ended with code {done.returncode}: {last}", file=str(file))
        found = json.loads(answer.read_text())
    if "error" in found:
        text = " ".join(str(found["error"]).split())
        raise DocumentError(text, file=found["file"] or str(file), line=found["line"])
    for name in found["left"]:
        report.add("netpyne-config", "info", f"{name} is no plain value, and is left out", file=str(file))
    return found["netParams"], found["simConfig"]

"""Processes of a run, found by what is in their command lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def processes(folder: Path) -> dict[int, list[str]]:
    """Processes that have ``folder`` in their command line, by pid."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(str(folder) in word for word in words):
            found[int(entry.name)] = words
    return found


def workers(folder: Path) -> list[int]:
    """Those that run NEURON, or start it."""
    return sorted(pid for pid, words in processes(folder).items() if "nmlbridge.simulator.neuron.worker" in words)


def ranks(folder: Path) -> list[int]:
    """Those that run NEURON."""
    return [pid for pid in workers(folder) if "python" in Path(processes(folder).get(pid, [""])[0]).name]


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False

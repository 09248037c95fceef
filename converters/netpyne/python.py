"""Python that states netParams and simConfig with NetPyNE's ``specs``: run in a process of its own, taken as JSON.

Only where the user allows it. NetPyNE serves to obtain the specification; the network is made and run here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ...errors import SimulatorError
from ...extras import find
from ...foreign import ask, may_run
from ...nmodl.files import mods_beside
from ...registry import resolve_name
from ...report import Report
from .afterwards import note_undone


def stated(
    request: Mapping[str, Any], file: Path, allow: Collection[str], report: Report, mods: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """netParams and simConfig of a request (see ``specification``), whose Python is run.

    With "mods" in ``allow`` it finds the mechanisms of the folder ``mods``, or of a usual one beside ``file``, in
    NEURON: importing a cell from hoc needs them. Raises UsageError if ``allow`` does not hold "code" or NetPyNE is
    missing, DocumentError with file and line for what the Python does wrong.
    """
    may_run(file, allow)
    find("netpyne", "netpyne", "Python that states a NetPyNE model")
    texts = mods_beside(file, (mods,) if mods else None)
    library, hint = None, ""
    if texts and "mods" not in allow:
        hint = f"; the {len(texts)} mod files beside it are compiled only if you say so: --allow-mods"
    elif texts:
        try:
            library = resolve_name("nmlbridge.simulator.neuron.compile:compile_mods")(texts)
        except SimulatorError as fault:  # the model may not need them all
            hint = f"; the mod files beside it were not there: {fault.args[0]}"
    program = Path(__file__).with_name("specification.py")
    asked = dict(request) | {"library": str(library) if library else None}
    found = ask(["-P", str(program)], asked, file).check(hint)
    for name in found["left"]:
        report.add("netpyne-config", "info", f"{name} is no plain value, and is left out", file=str(file))
    note_undone(found["frames"], report)
    return found["netParams"], found["simConfig"]

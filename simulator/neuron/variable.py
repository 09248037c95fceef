"""Variable steps: the settings of cvode for a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...report import Report
from .catalogue import Catalogue

HIDDEN_STEPS = 4  # of the document's dt: the longest step where a jump may hide


def tolerances(
    given: Mapping[str, float] | None, dt: float, catalogue: Catalogue, report: Report
) -> dict[str, Any] | None:
    """What the Program says of cvode: ``given`` ({"atol", "rtol"}; None: fixed steps) and, for each state of the
    catalogue's mechanisms, the scale of its absolute tolerance; dt (ms) bounds the steps where jumps may hide.
    """
    if given is None:
        return None
    scales: dict[str, float] = {}
    longest: dict[str, float] = {}
    for request in catalogue.requests.values():
        made = request.made
        if made.hidden_edges:
            longest["maxstep"] = HIDDEN_STEPS * dt
            flat = request.flat
            report.add(
                "cvode-edges", "approximation",
                f"'{flat.id}' ({flat.type}) changes at times that cannot be known beforehand: no step is longer than "
                f"{HIDDEN_STEPS} dt, and what is shorter than that may be stepped over",
                file=flat.file, line=flat.line, component=flat.id,
            )  # fmt: skip
        ions = {name for ion in made.mod.ions for name in ion.write}
        for state, scale in made.tolerances.items():
            density = f"{state}_{made.name}" if made.mod.kind == "SUFFIX" else f"{made.name}.{state}"
            scales[state if state in ions else density] = scale
    return {**given, "scales": dict(sorted(scales.items())), **longest}

"""What the compatibility scheme asks of the lowering: which variables are a channel's own, thresholds, single numbers.

See nmlbridge.nmodl.compat for the scheme itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...lems import Component
from ...lems.flat import FlatComponent
from ...lems.instances import grow
from ...nmodl.compat import printed
from ...nmodl.mechanism import Role


def late_names(component: Component, flat: FlatComponent, role: Role) -> frozenset[str]:
    """Derived variables that are computed in BREAKPOINT: those of ion channels, and of the density around one."""
    found = {node.paths[0] for node in grow(component).walk() if node.type.is_a("baseIonChannel")}
    if role.kind == "density":
        found.add("")
    return frozenset(name for name, derived in flat.derived.items() if _folder(derived.path) in found)


def _folder(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return head + slash


def threshold_of(component: Component) -> float:
    """The voltage (mV) whose crossing sends the events of an abstract cell."""
    given = component.parameters
    if component.is_a("baseIafCapCell") or component.is_a("baseIafCell"):
        return given["thresh"] * 1e3
    if component.is_a("basePyNNCell"):
        sharp = given.get("delta_T", 0.0) == 0.0
        return given.get("v_thresh" if sharp or "v_spike" not in given else "v_spike", 0.0)  # mV without a unit
    return 0.0


def single(values: npt.NDArray[np.float64] | float, factor: float) -> npt.NDArray[np.float64]:
    """Values in a unit that is SI times ``factor`` (so are the results), rounded as jNeuroML prints them."""
    flat = np.atleast_1d(np.asarray(values, dtype=float))
    return np.array([printed(np.float32(float(f"{x / factor:.12g}")) * np.float32(factor)) for x in flat])

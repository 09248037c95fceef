"""What the compatibility scheme asks of the lowering: which variables are a channel's own, thresholds, single numbers.

See nmlbridge.nmodl.compat for the scheme itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ...lems import Component, Model
from ...lems.dynamics import ConditionalDerivedVariable
from ...lems.expression import calls
from ...lems.flat import Assign, FlatComponent
from ...lems.instances import Node, grow
from ...nmodl.compat import Layout, printed
from ...nmodl.mechanism import Role
from ...report import Report
from .roles import ion_name


def layout_of(component: Component, flat: FlatComponent, role: Role) -> Layout:
    """The order of the derived variables, those of ion channels (and of the density around one), exact parameters."""
    root = grow(component)
    late = {node.paths[0] for node in root.walk() if node.type.is_a("baseIonChannel")}
    if role.kind == "density":
        late.add("")
    by_path = {derived.path: name for name, derived in flat.derived.items()}
    order = [by_path[path] for path in _written(root) if path in by_path]
    return Layout(
        tuple(order),
        frozenset(name for name, derived in flat.derived.items() if _folder(derived.path) in late),
        frozenset(
            name for name, p in flat.parameters.items() if role.kind in ("cell", "density") and not _folder(p.path)
        ),
        frozenset(n for n, regime in enumerate(root.dynamics.regimes) if not regime.dynamics.derivatives),
    )


def _written(node: Node) -> Iterator[str]:
    """Paths of derived variables: children first, then as declared, conditional ones last."""
    for child in node.children:
        yield from _written(child)
    declared = node.dynamics.derived
    for conditional in (False, True):
        for variable in declared:
            if isinstance(variable, ConditionalDerivedVariable) is conditional:
                yield node.path(variable.name)


def _folder(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return head + slash


def draws(flat: FlatComponent) -> bool:
    """Whether the component draws random numbers: no other stream can be repeated, so it keeps the default scheme."""
    exprs = [d.expr for d in flat.derived.values()] + [a.expr for a in flat.on_start]
    actions = [a for group in (flat.conditions, flat.events) for reaction in group for a in reaction.actions]
    exprs += [a.expr for a in actions if isinstance(a, Assign)]
    return any(calls(expr, "random") for expr in exprs)


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


def first_reversal(
    flat: FlatComponent, part: Component, model: Model, reversals: dict[str, float], report: Report
) -> FlatComponent:
    """jNeuroML writes the reversal potential of an ion into the channel: all densities have that of the first."""
    channel = model.component(part.references.ids.get("ionChannel", ""))
    given = flat.parameters.get("erev")
    if given is None or ion_name(channel.texts.get("species")) is None:
        return flat
    first = reversals.setdefault(channel.id, given.value)
    if first != given.value:
        report.add(
            "compat-erev", "approximation",
            f"erev is {given.value * 1e3:g} mV, but the compatibility scheme takes {first * 1e3:g} mV for all "
            f"densities of '{channel.id}', as jNeuroML does",
            file=part.file, line=part.line, component=part.id,
        )  # fmt: skip
    return replace(flat, parameters={**flat.parameters, "erev": replace(given, value=first)})

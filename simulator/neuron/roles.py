"""What a component is to NEURON, and where its Requirements find their values there."""

from __future__ import annotations

import re
from dataclasses import replace

from ...errors import UnsupportedError
from ...lems.expression import Bin, Name, Num, names
from ...lems.flat import Assign, Derived, FlatComponent, Parameter, Property
from ...nmodl.algebra import multiply, negate
from ...nmodl.mechanism import GATHERED, Binding, Role
from ...nmodl.mod import Ion
from ...units import Dimension

DEFAULT_CELSIUS = 6.3  # NEURON's own, used where a network states no temperature
UM2_TO_CM2 = 1e-8
MA_TO_NA = 1e6
_ION = re.compile(r"^[A-Za-z][A-Za-z0-9]{0,15}$")
BUILT_IN_IONS = {"na": 1, "k": 1, "ca": 2}
SUMMED = {"iCa": "ca", "iCa2": "ca2"}
"""what a concentration model may require: the current of which ion"""


def ion_name(text: str | None) -> str | None:
    """The ion of a density, pool or species as NEURON spells it; None for none or non_specific.

    Raises UnsupportedError for text that cannot be the name of an ion.
    """
    if text is None or not text.strip() or text.strip() in ("non_specific", "nonspecific", "none"):
        return None
    if not _ION.match(text.strip()):
        raise UnsupportedError(f"the ion '{text[:40]}' cannot be an ion in NEURON: letters and digits only")
    return text.strip()


def valence(ion: str) -> int | None:
    """The charge to declare for an ion that NEURON does not know (it is not used in any equation)."""
    if ion in BUILT_IN_IONS:
        return None
    return 2 if ion.startswith(("ca", "mg", "zn")) else -1 if ion.startswith("cl") else 1


def charge(ion: str) -> int:
    """The charge of an ion, known to NEURON or not."""
    return valence(ion) or (2 if ion == "ca" else 1)


def _concentration(ion: str, side: str) -> Binding:
    name = f"{ion}{side}"
    return Binding(Name(name), Ion(ion, read=(name,), valence=valence(ion)))


def membrane_bindings(pools: set[str]) -> dict[str, Binding]:
    """Requirements of what sits on a membrane. ``pools``: ions that have a concentration model on the cell.

    Without a model for an ion LEMS sums over nothing: the concentration is 0.
    """
    found: dict[str, Binding] = {}
    for ion, inside, outside in (("ca", "caConc", "caConcExt"), ("ca2", "caConc2", "caConcExt2")):
        found[inside] = _concentration(ion, "i") if ion in pools else Binding(Num(0.0))
        found[outside] = _concentration(ion, "o") if ion in pools else Binding(Num(0.0))
    return found


def current_name(flat: FlatComponent, *exposures: str) -> str | None:
    """The flat name of the first of these exposures that the component has."""
    for exposure in exposures:
        name = flat.paths.get(exposure)
        if name is not None:
            return name
    return None


def density_role(flat: FlatComponent, ion: str | None, pools: set[str], currents: set[str]) -> Role:
    """A channel density; its current feeds an ion only if something on the cell reads the sum (``currents``)."""
    current = current_name(flat, "iDensity")
    if current is None:
        raise UnsupportedError(f"'{flat.id}' ({flat.type}) exposes no iDensity, so it is no channel density")
    return Role("density", current=current, bindings=membrane_bindings(pools), ion=ion if ion in currents else None)


def pool_role(flat: FlatComponent, ion: str, pools: set[str], currents: set[str]) -> Role:
    """A species with its concentration model; ``pools`` are the ions with one, ``currents`` those that are summed."""
    name = flat.paths.get("concentration")
    while name in flat.derived and isinstance(flat.derived[name].expr, Name):
        name = flat.derived[name].expr.id  # type: ignore[attr-defined]
    if name is None or name not in flat.states:
        raise UnsupportedError(
            f"'{flat.id}' ({flat.type}): its concentration is not a state variable; NEURON needs one"
        )
    bindings = dict(membrane_bindings(pools - {ion}))
    bindings["surfaceArea"] = Binding(multiply(Num(UM2_TO_CM2), Name("area")))
    for requirement, source in SUMMED.items():
        if source in currents:
            current = f"i{source}"
            inward = Bin("*", Num(MA_TO_NA), Bin("*", negate(Name(current)), Bin("*", Num(UM2_TO_CM2), Name("area"))))
            bindings[requirement] = Binding(inward, Ion(source, read=(current,), valence=valence(source)))
        else:
            bindings[requirement] = Binding(Num(0.0))
    return Role("pool", bindings=bindings, ion=ion, state=name)


def point_role(flat: FlatComponent, pools: set[str], electrode: bool, gathered: bool = False) -> Role:
    """A synapse or an input: a current into one place, which a cell may want to know the sum of (``gathered``)."""
    current = current_name(flat, "i", "I")
    if current is None:
        raise UnsupportedError(f"'{flat.id}' ({flat.type}) exposes no current i or I; it cannot be attached to a cell")
    ion = GATHERED if gathered else None
    return Role("electrode" if electrode else "point", current=current, bindings=membrane_bindings(pools), ion=ion)


def cell_role(flat: FlatComponent, recorded: set[str]) -> Role:
    """An abstract cell, or an event source if nothing in it needs integrating; ``recorded`` are LEMS paths."""
    driven = any(item.kind == "attachments" for item in flat.externals.values())
    moving = {
        name: expr for name, expr in flat.derivatives.items()
        if not isinstance(expr, Num)
    }  # fmt: skip
    if driven or moving or "v" in flat.states or "v" in flat.externals or flat.kinetics:
        return Role("cell", gathers=_gathers(flat, {flat.paths[path] for path in recorded if path in flat.paths}))
    return Role("source")


def _gathers(flat: FlatComponent, recorded: set[str]) -> bool:
    """Whether the sum of what is attached is used for anything else than dv/dt."""
    sums = {name for name, item in flat.externals.items() if item.kind == "attachments"}
    if not sums:
        return False
    for name, derived in flat.derived.items():  # dependencies come first
        if names(derived.expr) & sums:
            sums.add(name)
    used = set(recorded)
    for name, expr in flat.derivatives.items():
        used |= names(expr) if name != "v" else set()
    for scheme in flat.kinetics:
        used |= {rate for step in scheme.transitions for rate in (step.forward, step.reverse) if rate}
    for condition in flat.conditions:
        used |= names(condition.test)
    reactions = [group.actions for group in flat.conditions] + [group.actions for group in flat.events]
    used |= {n for actions in reactions for a in actions if isinstance(a, Assign) for n in names(a.expr)}
    return bool(used & sums)


def per_area(flat: FlatComponent, area: float) -> FlatComponent:
    """A channelPopulation as a density: its current divided by the membrane area (m2) that it is spread over."""
    current = current_name(flat, "i")
    if current is None:
        raise UnsupportedError(f"'{flat.id}' ({flat.type}) exposes no i, so it is no channel population")
    density = Derived(Bin("/", Name(current), Name("membraneArea")), Dimension(l=-2, i=1), "iDensity")
    return replace(
        flat,
        parameters={**flat.parameters, "membraneArea": Parameter(area, Dimension(l=2), "membraneArea", "constant")},
        derived={**flat.derived, "iDensity": density},
        paths={**flat.paths, "iDensity": "iDensity"},
    )


def moving_paths(flat: FlatComponent) -> set[str]:
    """LEMS paths of variables that change between events."""
    moving = {"t", *(name for name, expr in flat.derivatives.items() if not (isinstance(expr, Num) and not expr.value))}
    for name, derived in flat.derived.items():  # dependencies come first
        if names(derived.expr) & moving:
            moving.add(name)
    return {path for path, name in flat.paths.items() if name in moving}


def component_draws(flat: FlatComponent) -> bool:
    """Whether the component makes events by itself (a Poisson input is a synapse, not an electrode)."""
    return any(action for condition in flat.conditions for action in condition.actions
               if type(action).__name__ == "Emit")  # fmt: skip


def per_segment(flat: FlatComponent, name: str) -> FlatComponent:
    """The component with a parameter made a property, so that it may differ from segment to segment."""
    parameter = flat.parameters[name]
    parameters = {n: p for n, p in flat.parameters.items() if n != name}
    properties = {**flat.properties, name: Property(parameter.value, parameter.dimension, name)}
    return replace(flat, parameters=parameters, properties=properties)

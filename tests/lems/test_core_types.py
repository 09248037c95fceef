"""Every ComponentType of the core that has Dynamics flattens; the components for this are made from the types alone."""

from __future__ import annotations

import pytest

from nmlbridge.element import Element
from nmlbridge.lems import ComponentType, FlatComponent, Library, flatten, load_core, resolve
from nmlbridge.lems.dimensions import check_dimensions
from nmlbridge.lems.dynamics import DerivedVariable
from nmlbridge.lems.expression import Expr, names
from nmlbridge.lems.flat import Assign

CORE = load_core()
DYNAMIC = [
    name for name in CORE.type_names if (dynamics := CORE.type(name).dynamics) is not None and not dynamics.empty
]
# The core's own dimensions disagree in these, and nowhere else.
INCOHERENT = {"pinskyRinzelCA3Cell": {"d(Si)/dt", "d(Wi)/dt"}, "channelDensityGHK2": {"pOpen"}}
# channelPopulationNernst and the like stand for the abstract types of slots; these are the plainest of their kind.
PLAIN = {
    "baseVoltageDepRate": "HHExpRate",
    "baseHHRate": "HHExpRate",
    "baseVoltageDepVariable": "HHSigmoidVariable",
    "baseVoltageDepTime": "fixedTimeCourse",
    "baseIonChannel": "ionChannelHH",
    "baseSynapse": "expTwoSynapse",
    "concentrationModel": "decayingPoolConcentrationModel",
}


class Maker:
    """Makes components that fit a type: 1 (or another small number) of the SI unit for every parameter."""

    def __init__(self) -> None:
        self.top: list[Element] = []

    def element(self, name: str, tag: str | None = None, identifier: str | None = None) -> Element:
        type_ = CORE.type(PLAIN.get(name, name))
        element = Element(tag or "Component", {"type": type_.name}, file="made.xml", line=1)
        if identifier:
            element.attributes["id"] = identifier
        for number, parameter in enumerate(type_.parameters.values()):
            if parameter.name not in type_.fixed:
                element.attributes[parameter.name] = f"{0.25 * (number + 1)} {unit(parameter.dimension)}"
        for slot, child in type_.child.items():
            if slot not in ("notes", "annotation") and needed(type_, slot):
                element.children.append(self.element(child, slot))
        for reference in type_.references.values():
            if CORE.has_type(reference.type):
                made = f"ref{len(self.top)}"
                self.top.append(self.element(reference.type, None, made))
                element.attributes[reference.name] = made
        for path in type_.paths:
            element.attributes[path] = "./" + {"spikeTarget": "synapse"}.get(path, path.removesuffix("Path"))
        if "from" in type_.links:
            element.attributes.update({"from": "s1", "to": "s2"})
        if type_.name == "gateKS":
            element.children += [self.element("closedState", None, "s1"), self.element("openState", None, "s2")]
            element.children.append(self.element("vHalfTransition"))
        return element


def unit(dimension: str) -> str:
    """A symbol of the SI unit of a dimension."""
    wanted = CORE.dimension("none" if dimension == "*" else dimension)
    return next(
        (u.symbol for u in CORE.units.values() if u.dimension == wanted and u.to_si(1.0) == 1.0 and u.symbol != "e"), ""
    )


def needed(type_: ComponentType, slot: str) -> bool:
    """Whether the dynamics look into the slot; cells look deeper than one step."""
    if (
        type_.name in ("biophysicalProperties", "membraneProperties", "intracellularProperties")
        or "2CaPools" in type_.name
    ):
        return True
    derived = type_.dynamics.derived if type_.dynamics is not None else ()
    return any(isinstance(v, DerivedVariable) and v.select and v.select[0].name == slot for v in derived)


def flat_of(name: str, library: Library = CORE) -> FlatComponent:
    maker = Maker()
    element = maker.element(name, None, "made")
    model = resolve([element, *maker.top], library)
    return flatten(model.component("made"), library)


@pytest.mark.parametrize("name", DYNAMIC)
def test_it_flattens_into_a_closed_system(name: str) -> None:
    check_closed(flat_of(name))


@pytest.mark.parametrize("name", DYNAMIC)
def test_its_dimensions_agree(name: str) -> None:
    problems = {problem.where for problem in check_dimensions(flat_of(name))}
    assert problems == INCOHERENT.get(name, set())


def test_there_are_that_many() -> None:
    assert len(DYNAMIC) > 90


def check_closed(flat: FlatComponent) -> None:
    """The invariants of FlatComponent."""
    groups = (flat.parameters, flat.properties, flat.externals, flat.states, flat.derived)
    declared = [name for group in groups for name in group]
    assert len(declared) == len(set(declared)), "declared twice"
    assert "t" not in declared
    assert all(name.isidentifier() and name.isascii() for name in declared)
    known = {*declared, "t"}
    before = known - set(flat.derived)
    for name, variable in flat.derived.items():
        assert names(variable.expr) <= before, f"{name} comes before what it needs"
        before.add(name)
    expressions: list[Expr] = list(flat.derivatives.values())
    actions = [*flat.on_start]
    for condition in flat.conditions:
        expressions.append(condition.test)
        actions += [a for a in condition.actions if isinstance(a, Assign)]
    for event in flat.events:
        assert event.port in flat.in_ports
        actions += [a for a in event.actions if isinstance(a, Assign)]
    for action in actions:
        assert action.variable in flat.states
        expressions.append(action.expr)
    for expr in expressions:
        assert names(expr) <= known
    assert set(flat.derivatives) <= set(flat.states)
    assert set(flat.paths.values()) <= known
    for scheme in flat.kinetics:
        assert set(scheme.states) <= set(flat.states)
        for transition in scheme.transitions:
            assert {transition.source, transition.target} <= set(scheme.states)
            assert {rate for rate in (transition.forward, transition.reverse) if rate} <= known

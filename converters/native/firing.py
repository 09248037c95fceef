"""Cells whose own process fires, such as Izhikevich's, as components of types of their own.

Their type has the equations of the mod file (``nmodl.spiking``) and of the section that the process sits in: its
capacitance, and a leak. The numbers of the process are put in, so there is a type for each set of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...element import Element, Ids
from ...errors import UnsupportedError
from ...graph.native import NativeCell, NativeSection
from ...lems.expression import Bin, Expr, Name, Num, names, substitute, to_text
from ...nmodl.files import mechanism_of
from ...nmodl.read import read_nmodl
from ...nmodl.spiking import Spiking, spiking_of
from .currents import along
from .elements import element, number, quantity
from .translated import lifted

_TAKEN = {"v", "t", "C", "v0", "iSyn", "iMemb", "spike", "synapses", "arrived", "inSpike"}
_MV, _ARRIVED = "mv", "arrived"


@dataclass(frozen=True)
class Firing:
    """A component and its type; ``in_circuit`` tells whether it has a membrane potential that synapses act on."""

    component: Element
    type: Element
    in_circuit: bool
    takes_events: bool


def firing_cell(cell: NativeCell, values: Mapping[str, float], mods: Mapping[str, str], rest: float,
                ids: Ids) -> Firing:  # fmt: skip
    """The component that equals a cell with a process that fires; ``values`` override its parameters.

    ``rest`` (mV) is where it begins if nothing says. Raises UnsupportedError that says what has no counterpart.
    """
    section = cell.sections[0]
    if len(cell.points) != 1 or len(cell.sections) != 1 or section.nseg != 1:
        raise UnsupportedError("it has more than one compartment with one process")
    odd = sorted(set(section.mechanisms) - {"pas"})
    if odd:
        raise UnsupportedError(f"it has the mechanism '{odd[0]}' besides")
    point = cell.points[0]
    text = next((text for text in mods.values() if mechanism_of(text) == point.mechanism), None)
    if text is None:
        raise UnsupportedError(f"the mod file of {point.mechanism} is not at hand")
    begin = cell.v_init if section.v_init is None else section.v_init
    begin = rest if begin is None else begin
    found = spiking_of(read_nmodl(text), {**point.parameters, **values}, begin)
    watched = "v" if cell.spike_point is None else cell.spike_variable
    if watched not in (None, *found.states, *(() if found.current is None else ("v",))):
        raise UnsupportedError(f"its spikes are looked for in '{watched}'")
    id = ids.fresh(cell.id)
    start = found.start.get("v", begin)
    tag = ids.fresh(f"{id}_{point.mechanism}")
    if found.current is None:
        made = element(tag, id=id)
    else:
        cm = along(section.cm, 1)[0] * area_of(section) * 1e-2  # pF of uF/cm2 and um2
        made = element(tag, id=id, C=quantity(cm, "pF"), v0=quantity(start, "mV"))
    return Firing(made, _type(tag, cell, found, watched), found.current is not None, bool(found.arrival))


def area_of(section: NativeSection) -> float:
    """The membrane of a section in um2: a cylinder, or the sides of the frusta between its points."""
    if section.points is None:
        return float(np.pi * section.L * along(section.diam, 1)[0])
    steps = np.diff(section.points, axis=0)
    sides = np.hypot(np.linalg.norm(steps[:, :3], axis=1), steps[:, 3] / 2)
    return float(np.sum(np.pi * (section.points[:-1, 3] + section.points[1:, 3]) / 2 * sides))


def _type(name: str, cell: NativeCell, found: Spiking, watched: str | None) -> Element:
    """The type; spikes are events of the process, or crossings of the threshold by the variable ``watched``."""
    known = {state: state if state not in _TAKEN and not state.startswith("part") else f"{state}_state"
             for state in found.states}  # fmt: skip
    pieces: list[Element] = []
    renamed: dict[str, Expr] = {old: Name(new) for old, new in (known | {"v": _MV}).items()}

    def text(expr: Expr) -> str:
        return to_text(lifted(substitute(expr, renamed), pieces))

    # what has arrived is a sum of jumps that stay; a variable is its own part and these
    stored = {state: f"{known[state]}Own" if state in found.arrival else known[state] for state in found.states}

    def kept(state: str, value: str) -> str:
        jump = found.arrival.get(state)
        return value if jump is None else f"{value} - {number(jump)} * {_ARRIVED}"

    variables = [element("StateVariable", name=stored[s], dimension="none",
                         **({} if s in found.arrival else {"exposure": known[s]})) for s in found.states]  # fmt: skip
    derived = [element("DerivedVariable", name="iSyn", exposure="iSyn", dimension="current", select="synapses[*]/i",
                       reduce="add")]  # fmt: skip
    rates = [element("TimeDerivative", variable=stored[s], value=f"({text(found.rates[s])}) / MSEC")
             for s in found.states]  # fmt: skip
    begin = [element("StateAssignment", variable=stored[s], value=number(found.start[s])) for s in found.states]
    constants = {"MSEC": ("time", "1 ms"), "NAMP": ("current", "1 nA")}
    exposures = [element("Exposure", name=known[s], dimension="none") for s in found.states]
    parameters: list[Element] = []
    if found.arrival:
        derived.append(element("DerivedVariable", name=_ARRIVED, dimension="none", value="iSyn / NAMP"))
        derived += [element("DerivedVariable", name=known[s], exposure=known[s], dimension="none",
                            value=f"{stored[s]} + {number(found.arrival[s])} * {_ARRIVED}")
                    for s in found.states if s in found.arrival]  # fmt: skip
    if found.current is not None:
        constants["MVOLT"] = ("voltage", "1 mV")
        parameters.append(element("Parameter", name="v0", dimension="voltage"))
        variables.insert(0, element("StateVariable", name="v", exposure="v", dimension="voltage"))
        derived.insert(0, element("DerivedVariable", name=_MV, dimension="none", value="v / MVOLT"))
        outward = text(_with_leak(found.current, cell.sections[0]))
        derived.append(element("DerivedVariable", name="iMemb", exposure="iMemb", dimension="current",
                               value=f"iSyn - ({outward}) * NAMP"))  # fmt: skip
        rates.insert(0, element("TimeDerivative", variable="v", value="iMemb / C"))
        begin.insert(0, element("StateAssignment", variable="v", value="v0"))
    else:
        exposures.append(element("Exposure", name="iSyn", dimension="current"))
    reset = []
    for target in in_turn(found.reset):
        value = text(found.reset[target])
        reset.append(element("StateAssignment", variable="v", value=f"({value}) * MVOLT") if target == "v" else
                     element("StateAssignment", variable=stored[target], value=kept(target, value)))  # fmt: skip
    spike = element("EventOut", port="spike")
    conditions: list[Element] = []
    if watched is not None:
        watched, level = _MV if watched == "v" else known[watched], number(cell.threshold)
        variables.append(element("StateVariable", name="inSpike", dimension="none"))
        begin.append(element("StateAssignment", variable="inSpike", value="0"))
        conditions = [
            element("OnCondition", [element("StateAssignment", variable="inSpike", value="1"), spike],
                    test=f"{watched} .gt. {level} .and. inSpike .lt. 0.5"),
            element("OnCondition", [element("StateAssignment", variable="inSpike", value="0")],
                    test=f"{watched} .leq. {level} .and. inSpike .gt. 0.5"),
        ]  # fmt: skip
    else:
        reset.append(spike)
    conditions.append(element("OnCondition", reset, test=text(found.test)))
    dynamics = element("Dynamics", [*variables, *derived, *pieces, *rates, element("OnStart", begin), *conditions])
    return element("ComponentType", [
        *parameters, *(element("Constant", name=n, dimension=d, value=v) for n, (d, v) in constants.items()),
        element("Attachments", name="synapses", type_="basePointCurrent"), *exposures, dynamics,
    ], name=name, extends="baseSpikingCell" if found.current is None else "baseCellMembPotCap",
        description=f"The process {cell.points[0].mechanism} of NEURON with its numbers; they are in ms, mV and "
        "nA.")  # fmt: skip


def _with_leak(current: Expr, section: NativeSection) -> Expr:
    """The outward current in nA, with that of pas."""
    leak = section.mechanisms.get("pas")
    if leak is None:
        return current
    g, e = along(leak.get("g", 0.001), 1)[0] * area_of(section) * 1e-2, along(leak.get("e", -70.0), 1)[0]
    return Bin("+", current, Bin("*", Num(g), Bin("-", Name("v"), Num(e))))


def in_turn(reset: Mapping[str, Expr]) -> list[str]:
    """The variables in an order in which none is set before another reads it: LEMS sets one after the other."""
    left, found = list(reset), list[str]()
    while left:
        free = [n for n in left if not any(n in names(reset[m]) for m in left if m != n)]
        if not free:
            raise UnsupportedError("its reset exchanges variables")
        found.append(free[0])
        left.remove(free[0])
    return found

"""Channels of a model's own mod files as NeuroML: gates with a steady state and a time course in types of their own.

The formulas are those of the mod file, run through once on expressions (``nmodl.interpret``), with its parameters put
in. A type of LEMS has units, a formula of NMODL has none, so v, times and temperature are divided by 1 mV, 1 ms, 1 K.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from ...element import Element, Ids
from ...errors import UnsupportedError
from ...lems.evaluate import evaluate
from ...lems.expression import Expr, Name, Num, Piecewise, names, operands, rebuild, substitute, to_text
from ...nmodl.algebra import simplify
from ...nmodl.files import mechanism_of
from ...nmodl.interpret import Channel, Gate, channels_of
from ...nmodl.read import Source, read_nmodl
from .elements import element

_WRITES = re.compile(r"\bUSEION\s+(\w+)[^\n]*?\bWRITE\b([^\n]*)")
_TEST = np.linspace(-100.0, 60.0, 33)  # mV, at which two formulas are taken to be the same if their values are


@dataclass
class Translated:
    """A mechanism that is one or several channels, or ``fault``: why it is none."""

    name: str
    source: Source | None = None
    channels: tuple[Channel, ...] = ()
    fault: str = ""
    moves: frozenset[str] = frozenset()
    """the ions whose concentrations it changes"""

    @property
    def parameters(self) -> Mapping[str, float]:
        """All parameters with their defaults, and what the mechanism leaves open, which NEURON sets to 0."""
        return {} if self.source is None else dict.fromkeys(self.source.left_open, 0.0) | self.source.parameters


def translated(mods: Mapping[str, str]) -> dict[str, Translated]:
    """The mechanisms of mod files, by the names that NEURON knows them by."""
    found = {}
    for text in mods.values():
        name = mechanism_of(text)
        if name is None:
            continue
        moves = frozenset(ion for ion, written in _WRITES.findall(text) if re.search(rf"\b{ion}[io]\b", written))
        try:
            source = read_nmodl(text)
            found[name] = Translated(name, source, channels_of(source), moves=moves)
        except (UnsupportedError, RecursionError) as fault:
            told = "its formulas are nested too deeply" if isinstance(fault, RecursionError) else str(fault)
            found[name] = Translated(name, fault=told, moves=moves)
    return found


def channel_element(
    mechanism: Translated, number: int, values: Mapping[str, float], kelvin: float, ids: Ids
) -> tuple[Element, list[Element], list[str]]:
    """(channel, the types that it needs, remarks) for parameters ``values``, concentrations included."""
    channel = mechanism.channels[number]
    id = ids.fresh(mechanism.name if len(mechanism.channels) == 1 else f"{mechanism.name}_{channel.ion or 'leak'}")
    if not channel.gates:
        return element("ionChannel", id=id, type="ionChannelPassive", conductance="10 pS"), [], []
    types: list[Element] = []
    remarks: list[str] = []
    gates = []
    for gate in channel.gates:
        inf, tau = (None if e is None else _with(e, values) for e in (gate.inf, gate.tau))
        assert inf is not None
        remarks += _start(gate, inf, values, kelvin)
        types.append(_type(ids.fresh(f"{id}_{gate.name}_inf"), inf, "x"))
        parts = [element("steadyState", type=types[-1].attributes["name"])]
        tag = "gateHHInstantaneous"
        if tau is not None:
            tag = "gateHHtauInf"
            types.append(_type(ids.fresh(f"{id}_{gate.name}_tau"), tau, "t"))
            parts.insert(0, element("timeCourse", type=types[-1].attributes["name"]))
        gates.append(element(tag, parts, id=gate.name, instances=str(gate.power)))
    return element("ionChannelHH", gates, id=id, conductance="10 pS"), types, remarks


def number_of(expr: Expr, values: Mapping[str, float], kelvin: float) -> float:
    """The number that an expression is for parameters. Raises UnsupportedError if it is none."""
    try:
        with np.errstate(all="ignore"):
            found = float(np.asarray(evaluate(expr, {**values, "celsius": kelvin - 273.15})))
    except KeyError as fault:
        raise UnsupportedError(f"it depends on {fault}, of which nothing is known here") from None
    if not isfinite(found):
        raise UnsupportedError("its conductance or reversal is no finite number")
    return found


def _with(expr: Expr, values: Mapping[str, float]) -> Expr:
    return simplify(substitute(expr, {name: Num(float(value)) for name, value in values.items()}))


def _start(gate: Gate, inf: Expr, values: Mapping[str, float], kelvin: float) -> list[str]:
    """A remark if INITIAL does not begin at the steady state, as channels of NeuroML do."""
    if gate.tau is None:
        return []
    env = {"v": _TEST, "celsius": kelvin - 273.15}
    with np.errstate(all="ignore"):
        steady = np.broadcast_to(evaluate(inf, env), _TEST.shape)
        start = np.broadcast_to(evaluate(_with(gate.start or Num(0.0), values), env), _TEST.shape)
    if np.allclose(steady, start, rtol=1e-6, atol=1e-9, equal_nan=True):
        return []
    return [f"its gate '{gate.name}' begins at its steady state, not where INITIAL puts it"]


def _type(name: str, expr: Expr, exposure: str) -> Element:
    """A ComponentType with one formula: of a steady state ("x") or of a time course in ms ("t")."""
    base, dimension = ("baseVoltageDepVariable", "none") if exposure == "x" else ("baseVoltageDepTime", "time")
    pieces: list[Element] = []
    formula = lifted(expr, pieces)
    value = to_text(formula)
    constants = [element("Constant", name="MVOLT", dimension="voltage", value="1 mV")]
    requires: list[Element] = []
    derived = [element("DerivedVariable", name="V", dimension="none", value="v / MVOLT")]
    if exposure == "t":
        constants.append(element("Constant", name="MSEC", dimension="time", value="1 ms"))
        value = f"({value}) * MSEC"
    if "celsius" in names(expr):
        constants.append(element("Constant", name="KELVIN", dimension="temperature", value="1 K"))
        requires.append(element("Requirement", name="temperature", dimension="temperature"))
        derived.append(element("DerivedVariable", name="celsius", dimension="none",
                               value="temperature / KELVIN - 273.15"))  # fmt: skip
    derived.append(element("DerivedVariable", name=exposure, exposure=exposure, dimension=dimension, value=value))
    derived += pieces  # the schema has them last; which depends on which is LEMS's to find out
    return element("ComponentType", [*constants, *requires, element("Dynamics", derived)], name=name, extends=base)


def lifted(expr: Expr, pieces: list[Element]) -> Expr:
    """The formula with names for its distinctions of cases, which LEMS has in variables of their own."""
    if isinstance(expr, Name):
        return Name("V") if expr.id == "v" else expr
    if isinstance(expr, Piecewise):
        cases = []
        for condition, value in expr.cases:
            test = None if condition is None else to_text(lifted(condition, pieces))
            text = to_text(lifted(value, pieces))
            cases.append(element("Case", value=text) if test is None else element("Case", condition=test, value=text))
        name = f"part{len(pieces)}"
        pieces.append(element("ConditionalDerivedVariable", cases, name=name, dimension="none"))
        return Name(name)
    parts = operands(expr)
    return rebuild(expr, tuple(lifted(part, pieces) for part in parts)) if parts else expr


def nernst(inside: float, outside: float, charge: int, kelvin: float) -> float:
    """The reversal potential (mV) between two concentrations."""
    return float(1e3 * 8.31446261815324 * kelvin / (charge * 96485.33212) * np.log(outside / inside))

"""Density mechanisms as channels: which of NEURON's are known, what equals them in NeuroML, what a model's own are.

Sources: hh.mod and passive.mod of NEURON; Hodgkin and Huxley (1952), J. Physiol. 117:500, moved to a rest of -65 mV.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...element import Element, Ids
from ...errors import UnsupportedError
from ...graph.native import Along, NativeCell, NativeSection
from ...report import Report
from .elements import element, quantity
from .shape import cell_place
from .translated import Translated, channel_element, nernst, number_of, translated

DEFAULT_REVERSALS = {"na": 50.0, "k": -77.0, "ca": 132.4579341637009}
"""mV, what NEURON gives the ions that it knows when a mechanism is inserted"""


@dataclass(frozen=True)
class Current:
    """One current of a mechanism: the channel it runs through, its density and reversal by the names of parameters.

    ``conductance`` is a RANGE parameter (S/cm2) and its default; ``reversal`` a parameter (mV) and its default, or the
    name of an ion.
    """

    channel: str
    conductance: tuple[str, float]
    reversal: tuple[str, float] | str


CHARGES = {"na": 1, "k": 1, "ca": 2}
CONCENTRATIONS = {"nai": 10.0, "nao": 140.0, "ki": 54.4, "ko": 2.5, "cai": 5e-5, "cao": 2.0}
"""mM, NEURON's defaults"""

CURRENTS: Mapping[str, tuple[Current, ...]] = {
    "pas": (Current("pas", ("g", 0.001), ("e", -70.0)),),
    "hh": (
        Current("hh_na", ("gnabar", 0.12), "na"),
        Current("hh_k", ("gkbar", 0.036), "k"),
        Current("pas", ("gl", 0.0003), ("el", -54.3)),
    ),
}
"""the density mechanisms that are known, by NEURON's name"""
_PARAMETERS = {
    name: {parameter for c in currents for parameter in (c.conductance[0], *(c.reversal[:1] if isinstance(
        c.reversal, tuple) else ()))} for name, currents in CURRENTS.items()
}  # fmt: skip


def _q10() -> Element:
    return element("q10Settings", type_="q10ExpTemp", q10Factor="3", experimentalTemp="6.3 degC")


def _gate(id: str, instances: int, forward: tuple[str, float, float, float],
          reverse: tuple[str, float, float, float]) -> Element:  # fmt: skip
    rates = [
        element(tag, type_=kind, rate=quantity(rate, "per_ms"), midpoint=quantity(middle, "mV"),
                scale=quantity(scale, "mV"))
        for tag, (kind, rate, middle, scale) in (("forwardRate", forward), ("reverseRate", reverse))
    ]  # fmt: skip
    return element("gateHHrates", [_q10(), *rates], id=id, instances=str(instances))


def _hh_na(id: str) -> Element:
    gates = [
        _gate("m", 3, ("HHExpLinearRate", 1.0, -40.0, 10.0), ("HHExpRate", 4.0, -65.0, -18.0)),
        _gate("h", 1, ("HHExpRate", 0.07, -65.0, -20.0), ("HHSigmoidRate", 1.0, -35.0, 10.0)),
    ]
    return element("ionChannelHH", gates, id=id, conductance="10 pS", species="na")


def _hh_k(id: str) -> Element:
    gate = _gate("n", 4, ("HHExpLinearRate", 0.1, -55.0, 10.0), ("HHExpRate", 0.125, -65.0, -80.0))
    return element("ionChannelHH", [gate], id=id, conductance="10 pS", species="k")


CHANNELS: Mapping[str, Callable[[str], Element]] = {
    "pas": lambda id: element("ionChannel", id=id, type="ionChannelPassive", conductance="10 pS"),
    "hh_na": _hh_na,
    "hh_k": _hh_k,
}
"""what makes the element of a channel, by the name that ``Current.channel`` uses"""


@dataclass(frozen=True)
class Flow:
    """One current in one section, by compartment: which channel (a key of ``Channels``), density (S/cm2), reversal."""

    ion: str | None
    keys: tuple[Any, ...]
    conductances: tuple[float, ...]
    reversals: tuple[float, ...]

    @property
    def in_steps(self) -> bool:
        """Whether the density alone varies."""
        return len(set(self.keys)) == len(set(self.reversals)) == 1 < len(set(self.conductances))

    @property
    def cut(self) -> bool:
        """Whether the channel or its reversal varies."""
        return len(set(self.keys)) > 1 or len(set(self.reversals)) > 1


@dataclass
class Channels:
    """The channels that cells use, each made once, and the ComponentTypes that they need.

    ``mods`` are the texts of a model's own mechanisms, ``kelvin`` is the temperature.
    """

    ids: Ids
    mods: Mapping[str, str]
    kelvin: float
    report: Report
    made: dict[Any, Element] = field(default_factory=dict)
    types: list[Element] = field(default_factory=list)
    tabled: bool = False

    def __post_init__(self) -> None:
        self.own = translated(self.mods)

    def id(self, key: Any) -> str:
        """The id of a channel."""
        if key not in self.made and isinstance(key, str):
            self.made[key] = CHANNELS[key](self.ids.fresh(key))
        elif key not in self.made:
            name, number, values = key
            made, types, remarks = channel_element(self.own[name], number, dict(values), self.kelvin, self.ids)
            self.made[key] = made
            self.types += types
            for remark in remarks:
                self.report.add("native-start", "approximation", remark, component=name)
        return self.made[key].attributes["id"]

    def flows(self, cell: NativeCell, section: NativeSection) -> tuple[list[Flow], dict[str, str]]:
        """The currents of a section, and the mechanisms that are none, with the reason."""
        found: list[Flow] = []
        lost: dict[str, str] = {}
        for name, parameters in section.mechanisms.items():
            if name in CURRENTS:
                if name == "hh" and not self.tabled:
                    self.tabled = True
                    self.report.add("native-table", "approximation", "NEURON interpolates the rates of hh in a table "
                                    "with steps of 1 mV; as NeuroML they are computed: spikes move by some hundredths "
                                    "of a millisecond", component="hh")  # fmt: skip
                found += [_flow(current, section, parameters) for current in CURRENTS[name]]
                self._say_unused(cell, name, set(parameters) - _PARAMETERS[name])
                continue
            own = self.own.get(name)
            fault = "" if own is None else own.fault
            try:
                if own is None or own.source is None:
                    raise UnsupportedError(fault or "its mod file is not at hand")
                found += self._own_flows(own, section, parameters)
            except UnsupportedError as error:
                lost[name] = str(error)
        return found, lost

    def _say_unused(self, cell: NativeCell, mechanism: str, unused: set[str]) -> None:
        for name in sorted(unused):
            self.report.add("native-parameter", "loss", f"'{name}' of the mechanism '{mechanism}' has no counterpart "
                            "in NeuroML and is left out", **cell_place(cell))  # fmt: skip

    def _own_flows(self, own: Translated, section: NativeSection, parameters: Mapping[str, Along]) -> list[Flow]:
        moving = {ion for name in section.mechanisms if name in self.own for ion in self.own[name].moves}
        columns = {n: along(parameters.get(n, default), section.nseg) for n, default in own.parameters.items()}
        assert own.source is not None
        for ion, (reads, _) in own.source.uses.items():
            for name in reads:
                columns[name] = self._ion(section, ion, name, moving)
        shaping = sorted({n for channel in own.channels for n in channel.shaping()} & set(columns))
        found = []
        for name, power in {pair for channel in own.channels for pair in channel.powers}:
            if set(columns[name]) != {power}:
                raise UnsupportedError(f"'{name}', the power of a gate, is not {power:g} here")
        for number, channel in enumerate(own.channels):
            keys, densities, reversals = [], [], []
            for k in range(section.nseg):
                here = {name: column[k] for name, column in columns.items()}
                keys.append((own.name, number, tuple((name, here[name]) for name in shaping)))
                densities.append(number_of(channel.conductance, here, self.kelvin))
                reversals.append(number_of(channel.reversal, here, self.kelvin))
            found.append(Flow(channel.ion, tuple(keys), tuple(densities), tuple(reversals)))
        return found

    def _ion(self, section: NativeSection, ion: str, name: str, moving: set[str]) -> tuple[float, ...]:
        """What a mechanism reads of an ion: a concentration or the reversal, where nothing changes it."""
        known = section.ions.get(ion, {})
        side = "e" if name == f"e{ion}" else name.removeprefix(ion)
        if side in known:
            if side != "e" and ion in moving:
                raise UnsupportedError(f"it reads {name}, which another mechanism changes")
            return along(known[side], section.nseg)
        if side == "e" and "i" in known and "o" in known:
            if ion in moving:
                raise UnsupportedError(f"its reversal {name} follows a concentration that another mechanism changes")
            pairs = zip(along(known["i"], section.nseg), along(known["o"], section.nseg), strict=True)
            return tuple(nernst(i, o, CHARGES.get(ion, 1), self.kelvin) for i, o in pairs)
        default = DEFAULT_REVERSALS.get(ion) if side == "e" else CONCENTRATIONS.get(name)
        if default is None or ion in moving:
            raise UnsupportedError(f"it reads {name}, of which nothing is known here")
        return (default,) * section.nseg


def along(value: Along, nseg: int) -> tuple[float, ...]:
    """A value for each compartment."""
    return tuple(float(v) for v in np.broadcast_to(np.asarray(value, float), (nseg,)))


def _flow(current: Current, section: NativeSection, parameters: Mapping[str, Along]) -> Flow:
    name, default = current.conductance
    if isinstance(current.reversal, str):
        ion: str | None = current.reversal
        reversal = section.ions.get(current.reversal, {}).get("e", DEFAULT_REVERSALS[current.reversal])
    else:
        ion, reversal = None, parameters.get(*current.reversal)
    count = section.nseg
    return Flow(ion, (current.channel,) * count, along(parameters.get(name, default), count), along(reversal, count))

"""Density mechanisms of NEURON as channels: which are known, and what equals them in NeuroML.

Sources: hh.mod and passive.mod of NEURON; Hodgkin and Huxley (1952), J. Physiol. 117:500, moved to a rest of -65 mV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...element import Element
from ...graph.native import Along, NativeCell, NativeSection
from ...report import Report
from .elements import Ids, element, number, quantity
from .shape import Shape, cell_place

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


class Channels:
    """The channels that cells use, each made once."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self.made: dict[str, Element] = {}

    def id(self, name: str) -> str:
        """The id of a channel."""
        if name not in self.made:
            self.made[name] = CHANNELS[name](self.ids.fresh(name))
        return self.made[name].attributes["id"]


def along(value: Along, nseg: int) -> tuple[float, ...]:
    """A value for each compartment."""
    return tuple(float(v) for v in np.broadcast_to(np.asarray(value, float), (nseg,)))


def sections_to_cut(cell: NativeCell) -> list[int]:
    """Sections along which something varies that only groups of segments can tell apart."""
    found = []
    for index, section in enumerate(cell.sections):
        values = [section.cm]
        for mechanism, parameters in section.mechanisms.items():
            for current in CURRENTS.get(mechanism, ()):
                values.append(_reversal(current, section, parameters))
        if any(len(set(along(v, section.nseg))) > 1 for v in values):
            found.append(index)
    return found


def _reversal(current: Current, section: NativeSection, parameters: Mapping[str, Along]) -> Along:
    if isinstance(current.reversal, str):
        return section.ions.get(current.reversal, {}).get("e", DEFAULT_REVERSALS[current.reversal])
    name, default = current.reversal
    return parameters.get(name, default)


class Membrane:
    """The biophysicalProperties of one native cell; ``rest`` (mV) is where it starts if it does not say."""

    def __init__(self, cell: NativeCell, shape: Shape, channels: Channels, rest: float, report: Report) -> None:
        self.cell, self.shape, self.channels, self.report = cell, shape, channels, report
        self.rest = rest if cell.v_init is None else cell.v_init
        self.kept = [index for index in range(len(cell.sections)) if index in shape.pieces]
        self.ids = Ids()

    def element(self) -> Element:
        """The biophysicalProperties element."""
        self._unknown()
        densities = [*self._densities()]
        threshold = element("spikeThresh", value=quantity(self.cell.threshold, "mV"))
        capacitance = [
            element("specificCapacitance", segmentGroup=group, value=quantity(value, "uF_per_cm2"))
            for group, value in self._painted("cm", lambda s: s.cm)
        ]
        start = [
            element("initMembPotential", segmentGroup=group, value=quantity(value, "mV"))
            for group, value in self._painted("v_init", lambda s: self.rest if s.v_init is None else s.v_init)
        ]
        resistivity = [
            element("resistivity", segmentGroup=group, value=quantity(value, "ohm_cm"))
            for group, value in self._painted("Ra", lambda s: s.Ra)
        ]
        membrane = element("membraneProperties", [*densities, threshold, *capacitance, *start])
        return element("biophysicalProperties", [membrane, element("intracellularProperties", resistivity)],
                       id=f"biophysics_{self.cell.id}")  # fmt: skip

    def _painted(self, name: str, value_of: Callable[[NativeSection], Along]) -> list[tuple[str, float]]:
        """(group, value) of a property that every compartment has."""
        found: dict[float, set[tuple[int, int]]] = {}
        for index in self.kept:
            section = self.cell.sections[index]
            for k, value in enumerate(along(value_of(section), section.nseg)):
                found.setdefault(value, set()).add((index, k))
        return [(self.shape.group(f"{name}_{serial}", frozenset(places)), value)
                for serial, (value, places) in enumerate(found.items())]  # fmt: skip

    def _unknown(self) -> None:
        """Note what has no counterpart."""
        lost: dict[str, int] = {}
        for index in self.kept:
            section = self.cell.sections[index]
            for mechanism, parameters in section.mechanisms.items():
                if mechanism not in CURRENTS:
                    lost[mechanism] = lost.get(mechanism, 0) + 1
                    continue
                for name in sorted(set(parameters) - _PARAMETERS[mechanism]):
                    self.report.add("native-parameter", "loss", f"'{name}' of the mechanism '{mechanism}' has no "
                                    "counterpart in NeuroML and is left out", **cell_place(self.cell))  # fmt: skip
        for mechanism, count in lost.items():
            self.report.add(
                "native-mechanism", "loss", f"the density mechanism '{mechanism}', in {count} sections, has no "
                f"counterpart in NeuroML and is left out; {', '.join(CURRENTS)} have one", **cell_place(self.cell)
            )  # fmt: skip
        for point in self.cell.points:
            self.report.add("native-mechanism", "loss", f"the point process '{point.mechanism}' in section "
                            f"'{self.cell.sections[point.section].name}' has no counterpart in NeuroML and is left out",
                            **cell_place(self.cell))  # fmt: skip

    def _densities(self) -> Iterable[Element]:
        """The currents, one density for all sections that agree; where a conductance varies, one for each section."""
        same: dict[tuple[Current, float, float], set[tuple[int, int]]] = {}
        varied: list[tuple[int, Current, tuple[float, ...], float]] = []
        for index in self.kept:
            section = self.cell.sections[index]
            for mechanism, parameters in section.mechanisms.items():
                for current in CURRENTS.get(mechanism, ()):
                    name, default = current.conductance
                    conductances = along(parameters.get(name, default), section.nseg)
                    reversals = along(_reversal(current, section, parameters), section.nseg)
                    if len(set(reversals)) == 1 and len(set(conductances)) > 1:
                        varied.append((index, current, conductances, reversals[0]))
                        continue
                    for k, (g, e) in enumerate(zip(conductances, reversals, strict=True)):
                        same.setdefault((current, g, e), set()).add((index, k))
        for (current, g, e), places in same.items():
            group = self.shape.group(f"{current.channel}_places", frozenset(places))
            yield element("channelDensity", **self._common(current, e), segmentGroup=group,
                          condDensity=quantity(g, "S_per_cm2"))  # fmt: skip
        for index, current, conductances, e in varied:
            yield self._steps(index, current, conductances, e)

    def _common(self, current: Current, reversal: float) -> dict[str, str]:
        channel = self.channels.id(current.channel)
        ion = current.reversal if isinstance(current.reversal, str) else "non_specific"
        return {"id": self.ids.fresh(f"{channel}_all"), "ionChannel": channel, "ion": ion,
                "erev": quantity(reversal, "mV")}  # fmt: skip

    def _steps(self, index: int, current: Current, values: tuple[float, ...], reversal: float) -> Element:
        """A conductance that changes from compartment to compartment, as steps along the path (um) in the section."""
        piece = self.shape.pieces[index]
        length, count = piece.length, len(values)
        ordered = values[::-1] if piece.reversed else values
        terms = [number(ordered[0] * 1e4)]  # S/m2: what stands in an inhomogeneousValue has no unit
        for k in range(1, count):
            change = (ordered[k] - ordered[k - 1]) * 1e4
            if change:
                terms.append(f"{number(change)} * H(p - {number(length * k / count)})")
        parameter = self.shape.coordinate(index)
        value = element("inhomogeneousValue", inhomogeneousParameter=parameter, value=" + ".join(terms))
        varying = element("variableParameter", [value], parameter="condDensity", segmentGroup=piece.cable)
        return element("channelDensityNonUniform", [varying], **self._common(current, reversal))

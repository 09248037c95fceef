"""The biophysicalProperties of a native cell: channel densities, and what the membrane and the inside are like."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...element import Element, Ids
from ...graph.native import Along, NativeCell, NativeSection
from ...report import Report
from .currents import CURRENTS, Channels, Flow, along
from .elements import element, number, quantity
from .shape import Shape, cell_place


def sections_to_cut(cell: NativeCell, channels: Channels) -> list[int]:
    """Sections along which something varies that only groups of segments can tell apart."""
    found = []
    for index, section in enumerate(cell.sections):
        flows, _ = channels.flows(cell, section)
        if any(flow.cut for flow in flows) or len(set(along(section.cm, section.nseg))) > 1:
            found.append(index)
    return found


class Membrane:
    """The biophysicalProperties of one native cell; ``rest`` (mV) is where it starts if it does not say."""

    def __init__(self, cell: NativeCell, shape: Shape, channels: Channels, rest: float, report: Report) -> None:
        self.cell, self.shape, self.channels, self.report = cell, shape, channels, report
        self.rest = rest if cell.v_init is None else cell.v_init
        self.kept = [index for index in range(len(cell.sections)) if index in shape.pieces]
        self.ids = Ids()

    def element(self) -> Element:
        """The biophysicalProperties element."""
        densities = [*self._densities()]
        self._points()
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

    def _points(self) -> None:
        """Note the cell's own processes, which have no counterpart."""
        for point in self.cell.points:
            self.report.add("native-mechanism", "loss", f"the point process '{point.mechanism}' in section "
                            f"'{self.cell.sections[point.section].name}' has no counterpart in NeuroML and is left out",
                            **cell_place(self.cell))  # fmt: skip

    def _densities(self) -> Iterable[Element]:
        """The currents, one density for all sections that agree; where a conductance varies, one for each section."""
        same: dict[tuple[Any, str | None, float, float], set[tuple[int, int]]] = {}
        varied: list[tuple[int, Flow]] = []
        lost: dict[tuple[str, str], int] = {}
        for index in self.kept:
            flows, missing = self.channels.flows(self.cell, self.cell.sections[index])
            for entry in missing.items():
                lost[entry] = lost.get(entry, 0) + 1
            for flow in flows:
                if flow.in_steps:
                    varied.append((index, flow))
                    continue
                for k, place in enumerate(zip(flow.keys, flow.conductances, flow.reversals, strict=True)):
                    key, g, e = place
                    same.setdefault((key, flow.ion, g, e), set()).add((index, k))
        for (mechanism, reason), count in lost.items():
            self.report.add(
                "native-mechanism", "loss", f"the density mechanism '{mechanism}', in {count} sections, is left out: "
                f"{reason}; {', '.join(CURRENTS)} and channels of gates have a counterpart in NeuroML",
                **cell_place(self.cell),
            )  # fmt: skip
        for (key, ion, g, e), places in same.items():
            common = self._common(key, ion, e)
            group = self.shape.group(f"{common['ionChannel']}_places", frozenset(places))
            yield element("channelDensity", **common, segmentGroup=group, condDensity=quantity(g, "S_per_cm2"))
        for index, flow in varied:
            yield self._steps(index, flow)

    def _common(self, key: Any, ion: str | None, reversal: float) -> dict[str, str]:
        channel = self.channels.id(key)
        return {"id": self.ids.fresh(f"{channel}_all"), "ionChannel": channel, "ion": ion or "non_specific",
                "erev": quantity(reversal, "mV")}  # fmt: skip

    def _steps(self, index: int, flow: Flow) -> Element:
        """A conductance that changes from compartment to compartment, as steps along the path (um) in the section."""
        piece, values = self.shape.pieces[index], flow.conductances
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
        return element("channelDensityNonUniform", [varying], **self._common(flow.keys[0], flow.ion, flow.reversals[0]))

"""From a ``<network>`` element and its rows to a graph.Network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..errors import LemsError, NetworkError
from ..graph import InputList, Network, Population, Projection
from ..graph.population import fit_in_memory
from ..graph.projection import DEFAULT
from ..report import Report
from ..units import Unit, parse_quantity
from .columns import Reader
from .xml_read import Rows

_SINGLES = ("synapticConnection", "synapticConnectionWD", "explicitConnection")


def build_network(
    element: Element, rows: Mapping[int, Rows], units: Mapping[str, Unit], report: Report | None = None
) -> Network:
    """The network that an element describes. Raises DocumentError or NetworkError with file, line and component."""
    return _Builder(element, rows, units, report if report is not None else Report()).run()


class _Builder:
    def __init__(self, element: Element, rows: Mapping[int, Rows], units: Mapping[str, Unit], report: Report) -> None:
        self.element, self.rows, self.units, self.report = element, rows, units, report
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []
        self.inputs: list[InputList] = []
        self.extra: list[Element] = []
        self.sized = 0
        """cells of which nothing but the number is stated"""

    def run(self) -> Network:
        element = self.element
        for child in element.children:
            if child.tag == "population":
                self.population(child)
        for child in element.children:
            if child.tag in ("projection", "electricalProjection", "continuousProjection"):
                self.projection(child)
            elif child.tag in _SINGLES:
                self.single(child)
            elif child.tag == "inputList":
                self.input_list(child)
            elif child.tag == "explicitInput":
                self.explicit_input(child)
            elif child.tag != "population":
                self.extra.append(child)
        known = {"id", "type", "temperature"}
        return Network(
            id=element.get("id") or self.refuse(element, "the network has no id"),
            populations=self.populations,
            projections=self.projections,
            inputs=self.inputs,
            temperature=self.temperature(element),
            type=element.get("type"),
            attributes={k: v for k, v in element.attributes.items() if k not in known},
            extra=self.extra,
            file=element.file,
            line=element.line,
        )

    def refuse(self, element: Element, message: str) -> Any:
        raise NetworkError(message, file=element.file, line=element.line,
                           component=element.get("id") or f"<{element.tag}>")  # fmt: skip

    def need(self, element: Element, name: str) -> str:
        value = element.get(name)
        if not value:
            self.refuse(element, f"the attribute '{name}' is missing")
        return str(value)

    def temperature(self, element: Element) -> float | None:
        text = element.get("temperature")
        if text is None:
            return None
        try:
            value, dimension = parse_quantity(text, self.units)
        except LemsError as error:
            self.refuse(element, error.message)
        if dimension.exponents != (0, 0, 0, 0, 1, 0, 0):
            self.refuse(element, f"temperature='{text}' is not a temperature; expected something like 6.3 degC")
        return value

    def reader(self, element: Element) -> Reader:
        return Reader(self.rows.get(id(element)), self.units, element.file, element.get("id") or element.tag)

    def population(self, element: Element) -> None:
        id = self.need(element, "id")
        if id in self.populations:
            self.refuse(element, f"the population id '{id}' is used twice; ids must differ")
        reader = self.reader(element)
        rest = [child for child in element.children if child.tag != "property" or "value" not in child.attributes]
        common: dict[str, Any] = {
            "properties": {c.get("tag", ""): c.get("value", "") for c in element.findall("property")},
            "type": element.get("type"),
            "attributes": {k: v for k, v in element.attributes.items() if k not in ("id", "component", "type", "size")},
            "extra": rest,
            "file": element.file,
            "line": element.line,
        }
        component = self.need(element, "component")
        if reader.count:
            ids = reader.ints(("id",), -1)
            missing = ids < 0
            if missing.any():
                ids = np.where(missing, np.arange(len(ids)), ids)
            self.populations[id] = Population(id, component, ids, reader.positions(), **common)
            return
        text = element.get("size") or "0"
        try:
            size = int(float(text))
            if size < 0 or float(text) != size:
                raise ValueError
        except (ValueError, OverflowError):
            self.refuse(element, f"size='{text[:40]}' is not a whole number")
        self.sized += size
        if not fit_in_memory(self.sized):
            self.refuse(element, f"size='{text[:40]}' is more than this machine can hold")
        self.populations[id] = Population.sized(id, component, size, **common)

    def find(self, element: Element, id: str, role: str) -> Population:
        found = self.populations.get(id)
        if found is None:
            known = ", ".join(list(self.populations)[:6]) or "none"
            self.refuse(element, f"{role}='{id}' names no population; there are: {known}")
        assert found is not None
        return found

    def cells(
        self, element: Element, reader: Reader, names: tuple[str, ...], population: Population
    ) -> npt.NDArray[np.int64]:
        """Rows of the population for references; the population that they name must be this one."""
        ids, named = reader.references(names)
        wrong = named - {None, population.id}
        if wrong:
            other = sorted(str(name) for name in wrong)[0]
            raise reader.error(
                f"{names[0]} refers to population '{other}', but the {element.tag} is between others "
                f"(here '{population.id}')", reader.line_of(0),
            )  # fmt: skip
        rows = population.rows_of(ids)
        bad = np.flatnonzero(rows < 0)
        if len(bad):
            raise NetworkError(
                f"{names[0]} refers to cell {ids[bad[0]]} of population '{population.id}', which has no such cell "
                f"({population.size} cells)", file=element.file, line=reader.line_of(int(bad[0])),
                component=element.get("id") or element.tag,
            )  # fmt: skip
        return rows

    def projection(self, element: Element) -> None:
        kind = {"projection": "chemical", "electricalProjection": "electrical"}.get(element.tag, "continuous")
        id = self.need(element, "id")
        pre = self.find(element, self.need(element, "presynapticPopulation"), "presynapticPopulation")
        post = self.find(element, self.need(element, "postsynapticPopulation"), "postsynapticPopulation")
        reader = self.reader(element)
        columns: dict[str, Any] = {
            "pre": self.cells(element, reader, ("preCellId", "preCell"), pre),
            "post": self.cells(element, reader, ("postCellId", "postCell"), post),
            "ids": reader.ints(("id",), 0) if reader.has("id") else None,
            "pre_segment": reader.ints(("preSegmentId", "preSegment"), 0),
            "post_segment": reader.ints(("postSegmentId", "postSegment"), 0),
            "pre_fraction": reader.floats(("preFractionAlong",), 0.5),
            "post_fraction": reader.floats(("postFractionAlong",), 0.5),
            "weight": reader.floats(("weight",), 1.0) if reader.has("weight") else None,
            "delay": reader.milliseconds("delay") if reader.has("delay") else None,
        }
        known = {"id", "presynapticPopulation", "postsynapticPopulation", "synapse"}
        if kind == "chemical":
            columns["synapses"] = (self.need(element, "synapse"),)
        elif kind == "electrical":
            columns["synapses"], columns["synapse"] = reader.texts("synapse")
        else:
            columns["pre_components"], columns["pre_component"] = reader.texts("preComponent")
            columns["post_components"], columns["post_component"] = reader.texts("postComponent")
        for name in ("synapses", "pre_components", "post_components"):
            if "" in columns.get(name, ()) and reader.count:
                raise reader.error(f"a connection of '{id}' names no {name.removesuffix('s')}", reader.line_of(0))
        attributes = {k: v for k, v in element.attributes.items() if k not in known}
        tags = sorted(reader.tags())
        if len(tags) == 1:
            attributes["rows"] = tags[0]
        destinations, _ = reader.texts("destination")
        if len(destinations) == 1 and destinations[0]:
            attributes["destination"] = destinations[0]
        self.projections.append(Projection(
            id, kind, pre.id, post.id, **columns, origin=element.tag, attributes=attributes,
            extra=list(element.children), file=element.file, line=element.line,
        ))  # fmt: skip

    def single(self, element: Element) -> None:
        """synapticConnection and its kind: a projection of one row."""
        reader = Reader(None, self.units, element.file, element.tag)
        ends = []
        for name in ("from", "to"):
            id, cell = reader.reference(self.need(element, name), element.line)
            if id is None:
                self.refuse(element, f"{name}='{element.get(name)}' names no population")
            population = self.find(element, str(id), name)
            row = population.row_of(cell)
            if row is None:
                self.refuse(element, f"{name} refers to cell {cell} of population '{id}', which has no such cell")
            ends.append((population, row))
        one = Rows([[element]])
        values = Reader(one, self.units, element.file, element.tag)
        (pre, row), (post, target) = ends
        synapse = element.get("synapse")
        self.projections.append(Projection(
            f"{element.tag}_{len(self.projections)}", "chemical", pre.id, post.id, pre=[row], post=[target],  # type: ignore[arg-type]
            weight=values.floats(("weight",), 1.0) if values.has("weight") else None,
            delay=values.milliseconds("delay") if values.has("delay") else None,
            synapses=(synapse,) if synapse else (), origin=element.tag,
            attributes={k: v for k, v in element.attributes.items()
                        if k not in ("from", "to", "synapse", "weight", "delay")},
            file=element.file, line=element.line,
        ))  # fmt: skip

    def input_list(self, element: Element) -> None:
        reader = self.reader(element)
        stated = self.need(element, "population")
        _, named = reader.references(("target",)) if reader.count else (None, set())
        targets = sorted(str(name) for name in named if name is not None)
        if targets and targets != [stated] and len(targets) == 1 and targets[0] in self.populations:
            # LEMS goes by the targets; "population" is only a text to it
            self.report.add(
                "input-population", "info",
                f"the list states population '{stated}', but its targets are in '{targets[0]}'; these count",
                file=element.file, line=element.line, component=element.get("id"),
            )  # fmt: skip
            stated = targets[0]
        population = self.find(element, stated, "population")
        attributes = {k: v for k, v in element.attributes.items() if k not in ("id", "population", "component")}
        destinations, _ = reader.texts("destination")
        if len(destinations) == 1 and destinations[0]:
            attributes["destination"] = destinations[0]
        self.inputs.append(InputList(
            self.need(element, "id"), self.need(element, "component"), population.id,
            target=self.cells(element, reader, ("target",), population),
            ids=reader.ints(("id",), 0) if reader.has("id") else DEFAULT,
            segment=reader.ints(("segmentId",), 0), fraction=reader.floats(("fractionAlong",), 0.5),
            weight=reader.floats(("weight",), 1.0) if reader.has("weight") else None,
            attributes=attributes, extra=list(element.children), file=element.file, line=element.line,
        ))  # fmt: skip

    def explicit_input(self, element: Element) -> None:
        reader = Reader(None, self.units, element.file, element.tag)
        id, cell = reader.reference(self.need(element, "target"), element.line)
        if id is None:
            self.refuse(element, f"target='{element.get('target')}' names no population")
        population = self.find(element, str(id), "target")
        row = population.row_of(cell)
        if row is None:
            self.refuse(element, f"target refers to cell {cell} of population '{id}', which has no such cell")
        self.inputs.append(InputList(
            f"explicitInput_{len(self.inputs)}", self.need(element, "input"), population.id, target=[row],  # type: ignore[arg-type]
            origin="explicitInput", file=element.file, line=element.line,
            attributes={k: v for k, v in element.attributes.items() if k not in ("target", "input")},
        ))  # fmt: skip

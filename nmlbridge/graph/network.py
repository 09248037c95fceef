"""Network: the hub. Populations, projections and inputs as columns, and the components they are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ..element import Element
from ..errors import NetworkError
from ..pile import extremes
from ..registry import resolve_name
from ..report import Report
from .columns import Ints, in_range
from .fields import ImposedField
from .native import Native, NativeCell, NativeProcess
from .population import Population
from .projection import InputList, Projection
from .reactions import Reactions


@dataclass(eq=False)
class Network:
    """A network, or a document without one (``id`` None): then it holds components only.

    ``temperature`` in K or None. ``components`` are the top-level elements of the document and of all it includes
    (cells, channels, synapses ...). ``extra`` keeps what has no column, in document order: notes, annotation, regions,
    layouts, spaces, cellSets, extracellularProperties and unknown elements. gids are dense from 0 in the order of the
    populations. ``native`` holds cells and processes of the simulator's own mechanisms by id (``graph.native``),
    ``mods`` the texts of mechanisms that come with them, by file name. Raises NetworkError for a dangling population,
    a row out of range or an id that is used twice.
    """

    id: str | None
    populations: dict[str, Population] = field(default_factory=dict)
    projections: list[Projection] = field(default_factory=list)
    inputs: list[InputList] = field(default_factory=list)
    temperature: float | None = None
    type: str | None = None
    components: list[Element] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    extra: list[Element] = field(default_factory=list)
    header: dict[str, str] = field(default_factory=dict)
    """attributes of the document's root element: its id, namespaces"""
    others: list[Network] = field(default_factory=list)
    """further networks of the same document"""
    simulation: list[Element] = field(default_factory=list)
    """how it is run: the <Simulation> and <Target> of LEMS"""
    settings: Any = None
    """how it is run as a ``results.Simulation``, where the format says more of it than LEMS can"""
    native: dict[str, Native] = field(default_factory=dict)
    mods: dict[str, str] = field(default_factory=dict)
    fields: list[ImposedField] = field(default_factory=list)
    """electric fields that act on cells from outside"""
    chemistry: Reactions | None = None
    """reactions and diffusion in and around cells"""
    file: str | None = None
    line: int | None = None

    def __post_init__(self) -> None:
        offset = 0
        for name, population in self.populations.items():
            if name != population.id:
                raise ValueError(f"population '{population.id}' is filed under '{name}'")
            population.offset = offset
            offset += population.size
        self._unique("projection", self.projections)
        self._unique("input list", self.inputs)
        for projection in self.projections:
            pre = self.population(projection.presynaptic, projection, "presynapticPopulation")
            post = self.population(projection.postsynaptic, projection, "postsynapticPopulation")
            owner, place = f"projection '{projection.id}'", projection.place()
            in_range(owner, projection.pre, pre.size, f"population '{pre.id}'", place)
            in_range(owner, projection.post, post.size, f"population '{post.id}'", place)
        for inputs in self.inputs:
            population = self.population(inputs.population, inputs, "population")
            in_range(f"input list '{inputs.id}'", inputs.target, population.size, f"population '{population.id}'",
                     inputs.place())  # fmt: skip
        for imposed in self.fields:
            population = self.population(imposed.population, imposed, "population")
            in_range(f"field '{imposed.id}'", imposed.target, population.size, f"population '{population.id}'",
                     imposed.place())  # fmt: skip
        for region in self.chemistry.regions.values() if self.chemistry is not None else ():
            for part in region.parts:
                in_range(f"region '{region.name}'", part.rows, self.population(part.population).size,
                         f"population '{part.population}'", {"file": self.file, "line": self.line})  # fmt: skip
        self._check_native()

    def _check_native(self) -> None:
        """Native parts refer to sections and synapses that are there."""
        for name, part in self.native.items():
            if name != part.id:
                raise ValueError(f"native '{part.id}' is filed under '{name}'")
            if isinstance(part, NativeProcess) and part.drives is not None and part.drives not in self.native:
                raise NetworkError(f"it drives '{part.drives}', which is not there", file=part.file, line=part.line,
                                   component=part.id)  # fmt: skip
        for projection in self.projections:
            self._in_sections(projection.presynaptic, projection.pre_segment, projection)
            self._in_sections(projection.postsynaptic, projection.post_segment, projection)
        for inputs in self.inputs:
            self._in_sections(inputs.population, inputs.segment, inputs)

    def _in_sections(self, population: str, segments: Ints, owner: Projection | InputList) -> None:
        cell = self.native.get(self.populations[population].component)
        if not isinstance(cell, NativeCell) or not len(segments):
            return
        most = int(extremes(segments)[1])
        if most >= len(cell.sections):
            raise NetworkError(f"'{owner.id}' refers to section {most} of '{cell.id}', which has "
                               f"{len(cell.sections)}", **owner.place())  # fmt: skip

    def _unique(self, what: str, items: Iterable[Projection | InputList]) -> None:
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                raise NetworkError(f"the {what} id '{item.id}' is used twice; ids must differ", **item.place())
            seen.add(item.id)

    def population(self, id: str, owner: Projection | InputList | ImposedField | None = None,
                   role: str = "population") -> Population:  # fmt: skip
        """The population with this id; NetworkError with the nearest ids if there is none."""
        found = self.populations.get(id)
        if found is None:
            near = get_close_matches(id, list(self.populations), 3) or list(self.populations)[:3]
            hint = f"; there are {', '.join(near)}" if near else "; the network has none"
            place: dict[str, Any] = owner.place() if owner is not None else {"file": self.file, "line": self.line}
            raise NetworkError(f"{role}='{id}' names no population of network '{self.id}'{hint}", **place)
        return found

    @property
    def outside(self) -> bool:
        """Whether there is a space outside of cells, so that it matters where each of them is."""
        return self.chemistry is not None and self.chemistry.outside

    @property
    def size(self) -> int:
        """The number of cells."""
        return sum(population.size for population in self.populations.values())

    @property
    def connections(self) -> int:
        """The number of connections of all kinds."""
        return sum(len(projection) for projection in self.projections)

    def to_libneuroml(self, report: Report | None = None) -> Any:
        """The network and its components as a ``neuroml.NeuroMLDocument``; what that cannot hold is noted as a loss.

        Raises UsageError if libNeuroML is not installed.
        """
        return resolve_name("nmlbridge.neuroml:to_libneuroml")(self, report)

    @classmethod
    def from_libneuroml(cls, document: Any, report: Report | None = None) -> Network:
        """The Network of a ``neuroml.NeuroMLDocument``; its includes are not followed.

        Raises UsageError if libNeuroML is not installed, NetworkError for a document that does not fit together.
        """
        network: Network = resolve_name("nmlbridge.neuroml:from_libneuroml")(document, report)
        return network

    def summary(self) -> dict[str, Any]:
        """Counts, as plain values for JSON."""
        return {
            "id": self.id,
            "temperature_K": self.temperature,
            "cells": self.size,
            "connections": self.connections,
            "inputs": sum(len(inputs) for inputs in self.inputs),
            "populations": {p.id: {"component": p.component, "size": p.size} for p in self.populations.values()},
            "projections": {
                p.id: {"kind": p.kind, "from": p.presynaptic, "to": p.postsynaptic, "connections": len(p)}
                for p in self.projections
            },
            "input_lists": {i.id: {"component": i.component, "population": i.population, "inputs": len(i)}
                            for i in self.inputs},
            **({"fields": {f.id: {"kind": f.kind, "population": f.population, "cells": len(f)} for f in self.fields}}
               if self.fields else {}),
            **({"chemistry": self.chemistry.summary()} if self.chemistry is not None else {}),
            "components": len(self.components) + len(self.native),
        }  # fmt: skip

    def __repr__(self) -> str:
        components = len(self.components) + len(self.native)
        counts = f"{self.size} cells, {self.connections} connections, {components} components"
        lines = [f"<Network {self.id}: {counts}"]
        lines += [f"  {population!r}" for population in self.populations.values()]
        lines += [f"  {projection!r}" for projection in self.projections[:20]]
        lines += [f"  ... {len(self.projections) - 20} more projections"] if len(self.projections) > 20 else []
        lines += [f"  {inputs!r}" for inputs in self.inputs[:10]]
        lines += [f"  {imposed!r}" for imposed in self.fields[:10]]
        return "\n".join(lines) + ">"

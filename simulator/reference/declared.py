"""Networks in types of a model's own: what the Structure of LEMS types makes, as a Network.

NeuroML's networks are read into columns straight from their elements. A LEMS file may declare types for populations
and connections of its own (LEMS, Canova et al. 2014, "Structure"): MultiInstantiate makes populations; With, ForEach
and EventConnection connect their members, straight or through a receiver that is attached to the target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from ...errors import UnsupportedError
from ...graph import InputList, Network, Population, Projection
from ...lems import Component
from ...lems.types import EventConnection, Loop

Member = tuple[str, int]
"""a population and a row in it"""
_MEMBER = re.compile(r"(?P<population>[^\[\]/]+)(?:\[(?P<bracket>\d+)\]|/(?P<slash>\d+))?(?:/.*)?")


def declared(root: Component) -> Network | None:
    """The network that the Structures below a component make; None if no populations are among them.

    Raises LemsError, with the place, for a number of instances that is none, and for paths that lead nowhere.
    """
    if not any(component.type.structure.multiples for component in root.iter()):
        return None
    made = _Declared(root)
    return Network(
        root.id or "network", made.populations, made.projections, made.inputs, file=root.file or None,
        line=root.line or None,
    )  # fmt: skip


class _Declared:
    def __init__(self, root: Component) -> None:
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []
        self.inputs: list[InputList] = []
        self.cells: dict[str, Component] = {}
        self.parents: dict[int, Component] = {}
        for component in root.iter():
            for _, child in component.children:
                self.parents[id(child)] = component
        for component in root.iter():
            self._population(component)
        for number, component in enumerate(root.iter()):
            self._connections(component, number)

    def _population(self, component: Component) -> None:
        for multiple in component.type.structure.multiples:
            if component.id in self.populations:
                raise component.error("several populations have this id; each needs one of its own")
            cell = component.references[multiple.component]
            size = self._value(component, multiple.number, 1.0)
            if size < 0 or size != int(size):
                raise component.error(f"makes {size:g} instances; expected a whole number that is not negative")
            self.cells[component.id] = cell
            self.populations[component.id] = Population(
                component.id, cell.id, np.arange(int(size)), file=component.file or None, line=component.line or None
            )

    def _value(self, component: Component, name: str | None, default: float) -> float:
        """A parameter by name, or a number that is written out."""
        if name is None:
            return default
        if name in component.parameters:
            return component.parameters[name]
        try:
            return float(name)
        except ValueError:
            if name in component.type.parameters:
                raise component.error(f"lacks the parameter '{name}'") from None
            raise component.error(f"'{name}' is neither a parameter of a {component.type.name} nor a number") from None

    # who is connected -----------------------------------------------------------------------------------------------

    def _connections(self, component: Component, number: int) -> None:
        structure = component.type.structure
        found: dict[tuple[str, str, EventConnection], list[tuple[int, int]]] = {}
        known = dict(structure.names)
        for connection in (*structure.through, *structure.connections):
            unknown = next((name for name in (connection.source, connection.target) if name not in known), None)
            if unknown is not None:
                raise component.error(
                    f"the Structure of '{component.type.name}' connects '{unknown}', which no With names"
                )
            for a in self._members(component, known[connection.source]):
                for b in self._members(component, known[connection.target]):
                    found.setdefault((a[0], b[0], connection), []).append((a[1], b[1]))
        for loop in structure.loops:
            for connection, a, b in self._loop(component, loop, {}):
                found.setdefault((a[0], b[0], connection), []).append((a[1], b[1]))
        for at, ((pre, post, connection), pairs) in enumerate(found.items()):
            self._join(component, f"{component.id or component.type.name}_{number}_{at}", pre, post, connection,
                       np.array(pairs, dtype=np.int64))  # fmt: skip

    def _loop(
        self, component: Component, loop: Loop, names: Mapping[str, Member]
    ) -> Iterator[tuple[EventConnection, Member, Member]]:
        for member in self._members(component, loop.path):
            inside = {**names, loop.name: member}
            for part in loop.body:
                if isinstance(part, Loop):
                    yield from self._loop(component, part, inside)
                    continue
                missing = next((n for n in (part.source, part.target) if n not in inside), None)
                if missing is not None:
                    raise component.error(
                        f"the Structure of '{component.type.name}' connects '{missing}', which no ForEach names"
                    )
                yield part, inside[part.source], inside[part.target]

    def _members(self, component: Component, path: str) -> list[Member]:
        """The instances that a path leads to; none where it stays among the parts of one instance."""
        here: Component | None = component
        text = component.texts.get(path, path) if "/" not in path else path
        steps = [step for step in text.strip().split("/") if step]
        while steps and steps[0] == "..":
            here, steps = self.parents.get(id(here)), steps[1:]
        if here is None or not steps:
            return []
        link = self._link(here, steps[0])
        if len(steps) == 1 and link is not None:
            steps = [link]
        match = _MEMBER.fullmatch("/".join(steps))
        if match is None or match["population"] not in self.populations:
            return []
        population = self.populations[match["population"]]
        number = match["bracket"] or match["slash"]
        if number is None:
            return [(population.id, row) for row in range(population.size)]
        if int(number) >= population.size:
            raise component.error(
                f"'{text}' is no instance of '{population.id}', which has {population.size} (counted from 0)"
            )
        return [(population.id, int(number))]

    def _link(self, component: Component, name: str) -> str | None:
        if name in component.type.links or name in component.type.paths:
            return component.texts.get(name) or component.references.ids.get(name)
        return None

    # through what ---------------------------------------------------------------------------------------------------

    def _join(
        self, component: Component, id: str, pre: str, post: str, connection: EventConnection,
        pairs: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    ) -> None:  # fmt: skip
        file, line = component.file or None, component.line or None
        weight = next((self._value(component, v, 1.0) for p, v in connection.assigned if p == "weight"), None)
        weights = None if weight is None else np.full(len(pairs), weight)
        receiver = None if connection.receiver is None else self._receiver(component, connection.receiver)
        if receiver is not None and not receiver.type.in_ports:  # an input: nothing arrives there
            self.inputs.append(InputList(id, receiver.id, post, pairs[:, 1], weight=weights, file=file, line=line))
            return
        self._first_port(component, connection.source_port, self.cells[pre].type.out_ports)
        self._first_port(component, connection.target_port, (receiver or self.cells[post]).type.in_ports)
        delay = self._value(component, connection.delay, 0.0)
        self.projections.append(Projection(
            id, "chemical", pre, post, pairs[:, 0], pairs[:, 1], weight=weights,
            delay=np.full(len(pairs), delay * 1e3) if delay else None,
            synapses=() if receiver is None else (receiver.id,), file=file, line=line,
        ))  # fmt: skip

    def _first_port(self, component: Component, port: str | None, ports: tuple[str, ...]) -> None:
        """Networks have one port at each end: the first that the type declares."""
        wanted = component.texts.get(port) if port in component.type.texts else port
        if wanted is not None and wanted not in ports[:1]:
            raise UnsupportedError(
                f"'{component.label}' uses the port '{wanted}'; cells are connected by their first port "
                f"({', '.join(ports) or 'there is none'})"
            )

    def _receiver(self, component: Component, path: str) -> Component:
        here, name = component, path
        while name.startswith("../"):
            here, name = self.parents.get(id(here), here), name[3:]
        return here.references[name]

"""From a network, or one component, to a System."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...errors import ModelError, NetworkError, UnsupportedError
from ...graph import InputList, Network, Population, Projection
from ...lems import Component, Library, Model, flatten
from ...lems.flat import FlatComponent
from ..coverage import refuse
from ..environment import with_temperature
from ..quantities import attached, split_path
from .system import Floats, Group, Ints, System


@dataclass
class Laid:
    """Groups of a model, and where the paths of a LEMS Simulation lead."""

    groups: list[Group] = field(default_factory=list)
    populations: dict[str, Group] = field(default_factory=dict)
    attachments: dict[tuple[str, int], list[tuple[str, int, Group, int]]] = field(default_factory=dict)
    """(population, row) -> what is attached there, in order: component, segment, group, row"""
    root: Group | None = None
    """the component that is integrated by itself, or that is around the network"""

    def probe(self, quantity: str, network: Network | None) -> tuple[Group, str, int]:
        """(group, flat name, row) of a quantity path; NetworkError if there is no such thing."""
        if self.root is not None:
            inside = within(quantity, network)
            if network is None or inside is None:
                return self.root, _name(self.root, quantity.strip("/"), quantity), 0
            quantity = inside
        assert network is not None
        path = split_path(quantity, network)
        group = self.populations[path.population]
        rest = "/".join(path.rest)
        if rest in group.flat.paths:
            return group, group.flat.paths[rest], path.row
        if len(path.rest) > 1:
            wanted = attached(path.rest[0])
            here = [
                (g, row)
                for component, segment, g, row in self.attachments.get((path.population, path.row), [])
                if component == wanted.component and path.segment in (None, segment)
            ]
            if wanted.number < len(here):
                found, row = here[wanted.number]
                return found, _name(found, "/".join(path.rest[1:]), quantity), row
        return group, _name(group, rest, quantity), path.row


def within(path: str, network: Network | None) -> str | None:
    """The part of a path that begins inside a network that another component is around; None outside of it."""
    first, _, rest = path.strip("/").partition("/")
    return rest if network is not None and first == network.id else None


def _name(group: Group, path: str, quantity: str) -> str:
    flat = group.flat
    name = flat.paths.get(path)
    if name is None and path in (*flat.parameters, *flat.properties):
        name = path
    if name is None:
        known = ", ".join(sorted(flat.paths)[:12])
        raise NetworkError(f"the quantity '{quantity}' is not there; a '{flat.type}' has {known}")
    return name


def lay_component(component: Component, library: Library) -> Laid:
    """One component by itself."""
    root = Group(flatten(component, library), 1, first_gid=0)
    return Laid([root], root=root)


def lay_nested(component: Component, network: Network, model: Model, library: Library) -> Laid:
    """A component with a network inside, which may require what the component exposes."""
    laid = lay_network(network, model, library)
    laid.root = Group(flatten(component, library), 1)
    for group in laid.groups:
        group.outer = laid.root
    laid.groups.insert(0, laid.root)
    return laid


def lay_network(network: Network, model: Model, library: Library) -> Laid:
    """All cells, synapses and inputs of a network. Raises UnsupportedError for cells of several segments."""
    return _Network(network, model, library).run()


class _Network:
    def __init__(self, network: Network, model: Model, library: Library) -> None:
        self.network, self.model, self.library = network, model, library
        self.laid = Laid()
        self.flats: dict[str, FlatComponent] = {}

    def run(self) -> Laid:
        for population in self.network.populations.values():
            self.population(population)
        for projection in self.network.projections:
            if len(projection):
                self.projection(projection)
        for inputs in self.network.inputs:
            if len(inputs.target):
                self.inputs(inputs)
        return self.laid

    def flat(self, id: str, owner: Population | Projection | InputList) -> FlatComponent:
        if id not in self.flats:
            try:
                component = self.model.component(id)
            except ModelError as error:
                raise NetworkError(error.message, **owner.place()) from None
            if component.is_a("cell"):
                _one_segment(component)
            refuse(component, "reference")
            flat = flatten(component, self.library)
            if self.network.temperature is not None:
                flat = with_temperature(flat, self.network.temperature)
            self.flats[id] = flat
        return self.flats[id]

    def population(self, population: Population) -> None:
        if not population.size:
            return
        if population.values:
            raise UnsupportedError(f"population '{population.id}': cells that differ in parameters run in NEURON only")
        group = Group(self.flat(population.component, population), population.size, first_gid=population.offset)
        self.laid.populations[population.id] = group
        self.laid.groups.append(group)

    def attach(
        self, component: str, owner: Projection | InputList, population: str, rows: Ints, segments: Ints,
        weight: Floats | None,
    ) -> Group:  # fmt: skip
        """Instances of a component on cells of a population."""
        flat = self.flat(component, owner)
        host = self.laid.populations[population]
        values = {"weight": weight} if weight is not None and "weight" in flat.properties else {}
        group = Group(flat, len(rows), host=host, host_rows=rows, values=values)
        host.attached.append(group)
        self.laid.groups.append(group)
        for row, (cell, segment) in enumerate(zip(rows.tolist(), segments.tolist(), strict=True)):
            self.laid.attachments.setdefault((population, cell), []).append((component, segment, group, row))
        return group

    def projection(self, projection: Projection) -> None:
        if projection.kind != "chemical":
            self.tunnels(projection)
            return
        pre = self.laid.populations[projection.presynaptic]
        delays = np.zeros(len(projection)) if projection.delay is None else projection.delay * 1e-3
        if not projection.synapses:  # straight into the cell
            post = self.laid.populations[projection.postsynaptic]
            self.link(projection, pre, projection.pre, post, projection.post, delays)
        for number, synapse in enumerate(projection.synapses):
            chosen = np.flatnonzero(projection.synapse == number)
            if len(chosen):
                weight = None if projection.weight is None else projection.weight[chosen]
                group = self.attach(synapse, projection, projection.postsynaptic, projection.post[chosen],
                                    projection.post_segment[chosen], weight)  # fmt: skip
                self.link(projection, pre, projection.pre[chosen], group, np.arange(len(chosen)), delays[chosen])

    def link(self, projection: Projection, pre: Group, rows: Ints, post: Group, targets: Ints, delays: Floats) -> None:
        if not pre.flat.out_ports or not post.flat.in_ports:
            without, port = (pre, "sends") if not pre.flat.out_ports else (post, "takes")
            raise NetworkError(f"a '{without.flat.type}' {port} no events", **projection.place())
        out, into = pre.flat.out_ports[0], post.flat.in_ports[0]
        for source, target, delay in zip(rows.tolist(), targets.tolist(), delays.tolist(), strict=True):
            pre.links.setdefault((source, out), []).append((post, target, into, delay))

    def tunnels(self, projection: Projection) -> None:
        electrical = projection.kind == "electrical"
        ends = []
        for side, (population, rows, segments) in enumerate(
            ((projection.presynaptic, projection.pre, projection.pre_segment),
             (projection.postsynaptic, projection.post, projection.post_segment))
        ):  # fmt: skip
            names = projection.synapses if electrical else (projection.pre_components, projection.post_components)[side]
            column = projection.synapse if electrical else (projection.pre_component, projection.post_component)[side]
            ends.append((population, rows, segments, names, column))
        pairs = np.unique(np.stack([ends[0][4], ends[1][4]]), axis=1).T
        for first, second in pairs.tolist():
            chosen = np.flatnonzero((ends[0][4] == first) & (ends[1][4] == second))
            weight = None if projection.weight is None else projection.weight[chosen]
            halves = [
                self.attach(names[number], projection, population, rows[chosen], segments[chosen], weight)
                for (population, rows, segments, names, _), number in zip(ends, (first, second), strict=True)
            ]
            for half, other in (halves, halves[::-1]):
                half.peer, half.peer_rows = other, np.arange(len(chosen))

    def inputs(self, inputs: InputList) -> None:
        self.attach(inputs.component, inputs, inputs.population, inputs.target, inputs.segment, inputs.weight)


def _one_segment(component: Component) -> None:
    morphology = component.child("morphology")
    if morphology is not None and len(morphology.children_of("segments")) > 1:
        raise UnsupportedError(
            f"the cell '{component.id}' has several segments; the reference integrator has no cable equation: "
            "use the backend neuron"
        )


def make(laid: Laid, seed: int) -> System:
    """The System, with random numbers from this seed."""
    return System(laid.groups, np.random.Generator(np.random.Philox(seed)))

"""A network of native cells and processes as one of NeuroML components: what is where, and which row is which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...element import Element, Ids
from ...errors import UnsupportedError
from ...graph import InputList, NativeCell, NativeProcess, Network, Population, Projection
from ...lems import Library, load_core
from ...nmodl.builtin import ARTIFICIAL
from ...report import Report
from ...results import EventOutputFile, OutputFile, Outputs, Simulation
from ...results.paths import place_of
from .currents import Channels
from .elements import element, renamed
from .firing import Firing, firing_cell
from .kinds import combinations, kinds_of
from .membrane import Membrane, sections_to_cut
from .processes import arrival, component, int_fire4_arrival, known, own_types, spike_array
from .shape import Shape
from .variants import inputs_apart, variants

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
CELSIUS = 6.3
"""what NEURON takes where nothing is said"""
_AT = re.compile(r"(.+)\(([0-9.eE+-]+)\)")


def in_components(network: Network, report: Report | None = None) -> Network:
    """The same network with NeuroML components in place of native cells and processes, and with components of their own
    for cells that differ in parameters; ``network`` is left as it is.

    What has no counterpart is left out, with a note of severity "loss" that names it. Raises NetworkError for a cell
    that cannot be drawn.
    """
    network = inputs_apart(network)
    differ = any(p.values or p.individuals is not None for p in network.populations.values())
    if not network.native and not differ:
        return network
    return _Components(network, report if report is not None else Report()).network()


@dataclass
class Part:
    """Rows of one population that became a population of their own."""

    id: str
    rows: Ints


class _Components:
    def __init__(self, network: Network, report: Report) -> None:
        self.old, self.report = network, report
        taken = [e.get("id") or e.get("name") or "" for e in network.components]
        self.ids = Ids([*taken, *network.populations, *(p.id for p in network.projections),
                        *(i.id for i in network.inputs), str(network.id)])  # fmt: skip
        self.kelvin = network.temperature if network.temperature is not None else CELSIUS + 273.15
        self.channels = Channels(self.ids, network.mods, self.kelvin, report)
        self.watched = self.recorded_sections()
        differ = {p.component for p in network.populations.values() if p.individuals is not None}
        alike = {p.component for p in network.populations.values() if p.individuals is None}
        self.standing = differ - alike  # what stands for cells that differ, and is no cell itself
        self.shapes: dict[str, Shape] = {}
        self.cells: list[Element] = []
        self.names: dict[str, str] = {}
        self.firing: dict[str, Firing] = {}  # by the id of the population
        self.fires: dict[tuple[Any, ...], Firing | None] = {}
        self.made: dict[tuple[Any, ...], Element] = {}
        self.variants: list[Element] = []
        self.spots_of: dict[str, Ints] = {}
        self.given: set[str] = set()
        self.populations: dict[str, Population] = {}
        self.parts: dict[str, list[Part]] = {}
        self.projections: list[Projection] = []
        self.inputs: list[InputList] = []

    def network(self) -> Network:
        old = self.old
        for part in old.native.values():
            if isinstance(part, NativeCell) and not (part.points and self.fired(part, {})):
                self.shapes[part.id] = Shape(part, self.cuts(part), self.report)
                if part.id not in self.standing:
                    self.cell(part, self.shapes[part.id])
        for population in old.populations.values():
            self.population(population)
        for projection in old.projections:
            self.projection(projection)
        for inputs in old.inputs:
            self.input_list(inputs)
        processes = list(self.made.values())
        # a parameterless event port of NeuroML types has the channels stand before the cells that use them
        components = [
            *(e for e in old.components if e.get("id") not in self.standing),
            *self.variants,
            *own_types(processes),
            *{id(made): made.type for made in self.firing.values()}.values(),
            *self.channels.types,
            *self.channels.made.values(),
            *processes,
            *{id(made): made.component for made in self.firing.values()}.values(),
            *self.cells,
        ]
        settings = old.settings
        if isinstance(settings, Simulation):
            settings = replace(settings, outputs=self.outputs(settings.outputs))
        return replace(
            old, populations=self.populations, projections=self.projections, inputs=self.inputs,
            temperature=self.kelvin, components=components, native={}, mods={}, settings=settings,
            simulation=[self.recorded(e) for e in old.simulation],
        )  # fmt: skip

    @cached_property
    def library(self) -> Library:
        """The types of NeuroML and of the network's components."""
        return load_core().extended(self.old.components)

    def loss(self, message: str, owner: Any) -> None:
        self.report.add("native-process", "loss", message, file=owner.file, line=owner.line, component=owner.id)

    def recorded_sections(self) -> dict[str, set[int]]:
        """Sections by cell at which something is recorded: LEMS can name a segment, but no place along it."""
        found: dict[str, set[int]] = {}
        elements = [e for top in self.old.simulation for e in top.iter()]
        quantities = [e.attributes["quantity"] for e in elements if "quantity" in e.attributes]
        if isinstance(self.old.settings, Simulation):
            quantities += [path for file in self.old.settings.outputs.files for _, path in file.columns]
        for path in quantities:
            place = place_of(path)
            population = self.old.populations.get(place.population) if place else None
            cell = self.old.native.get(population.component) if population else None
            if place and isinstance(cell, NativeCell):
                at = _place(cell, place.segment, place.variable.split("/")[:-1])
                found.setdefault(cell.id, set()).update([at[0]] if at else [])
        return found

    # cells and populations -----------------------------------------------------------------------------------------

    @property
    def rest(self) -> float:
        """Where cells begin that do not say, in mV."""
        rest = getattr(self.old.settings, "v_init", None)
        return -65.0 if rest is None else float(rest)

    def fired(self, cell: NativeCell, values: Mapping[str, float]) -> Firing | None:
        """The component of a cell whose process fires, made once; None, with a note, if there is none."""
        key = (cell.id, cell.key, tuple(sorted(values.items())))
        if key not in self.fires:
            try:
                self.fires[key] = firing_cell(cell, values, self.old.mods, self.rest, self.ids)
            except UnsupportedError as fault:
                self.report.add("native-firing", "loss", f"its process makes no cell of NeuroML: {fault}",
                                file=cell.file, line=cell.line, component=cell.id)  # fmt: skip
                self.fires[key] = None
        return self.fires[key]

    def cuts(self, cell: NativeCell) -> set[int]:
        """The sections to be cut into their compartments, in a cell and in those that differ from it in numbers."""
        found = {*sections_to_cut(cell, self.channels), *self.watched.get(cell.id, ())}
        for population in self.old.populations.values():
            if population.component == cell.id:
                for each in population.individuals or ():
                    assert isinstance(each, NativeCell)
                    found |= {*sections_to_cut(each, self.channels)}
        return found

    def cell(self, cell: NativeCell, shape: Shape) -> Element:
        membrane = Membrane(cell, shape, self.channels, self.rest, self.report).element()
        if cell.spike_point is not None:
            self.loss("its spikes are events of a point process; as a NeuroML cell it spikes where its voltage crosses "
                      f"{cell.threshold:g} mV", cell)  # fmt: skip
        self.names[cell.id] = self.ids.fresh(cell.id)
        # the groups are known only when the membrane has asked for its own
        self.cells.append(element("cell", [shape.morphology(), membrane], id=self.names[cell.id]))
        return self.cells[-1]

    def population(self, population: Population) -> None:
        part = self.old.native.get(population.component)
        every = np.arange(population.size)
        if isinstance(part, NativeCell) and part.id not in self.shapes:
            self.firing_population(population, part)
            return
        if population.individuals is not None:
            self.individual_population(population, part)
            return
        if part is None and population.values:
            self.differing_population(population)
            return
        if not isinstance(part, NativeProcess):
            name = self.names.get(population.component, population.component)
            self.populations[population.id] = replace(population, component=name)
            self.parts[population.id] = [Part(population.id, every)]
            return
        self.parts[population.id] = []
        if not known("source", part.mechanism):
            self.loss(f"population '{population.id}' is left out: the artificial cell {part.mechanism} has no "
                      "counterpart in NeuroML", part)  # fmt: skip
            return
        if part.mechanism == "VecStim":
            found = self.trains(population, part)
        else:
            found = [(self.process(part, values), rows) for values, rows in
                     combinations(part.parameters, population.values, population.size)]  # fmt: skip
            self.random(part, [element for element, _ in found if element is not None])
        for source, rows in found:
            if source is not None:
                self.part(population, source, rows, len(found) == 1)

    def part(self, population: Population, component: Element, rows: Ints, whole: bool) -> str:
        """Rows of a population as one of their own; its id."""
        id = population.id if not self.parts[population.id] else self.ids.fresh(population.id)
        self.parts[population.id].append(Part(id, rows))
        self.populations[id] = Population(
            id, component.attributes["id"], population.instance_ids[rows] if whole else np.arange(len(rows)),
            None if population.positions is None else population.positions[rows], dict(population.properties),
            population.type if whole else None, extra=list(population.extra), file=population.file,
            line=population.line,
        )  # fmt: skip
        return id

    def differing_population(self, population: Population) -> None:
        """LEMS cells, a component and a population for each set of parameters."""
        self.parts[population.id] = []
        found = variants(population, self.old.components, self.library, self.ids)
        for variant, rows in found:
            self.variants.append(variant)
            self.part(population, variant, rows, len(found) == 1)

    def individual_population(self, population: Population, part: NativeCell | NativeProcess | None) -> None:
        """Cells with sections that differ, a component and a population for each kind of them."""
        self.parts[population.id] = []
        kinds = kinds_of(population)
        for each, rows in kinds:
            if isinstance(each, NativeCell):
                assert isinstance(part, NativeCell)
                made = self.cell(each, Shape(each, self.shapes[part.id].cut, self.report))
            else:
                copies = renamed(each, self.ids, self.library)
                self.variants += copies[::-1]  # channels before the cell
                made = copies[0]
            self.part(population, made, rows, len(kinds) == 1)

    def firing_population(self, population: Population, cell: NativeCell) -> None:
        """Cells whose process fires, a population for each set of its parameters."""
        self.parts[population.id] = []
        found: list[tuple[NativeCell, dict[str, float], Ints]] = []
        if population.individuals is None:
            found = [(cell, values, rows) for values, rows in combinations({}, population.values, population.size)]
        for each, rows in kinds_of(population):
            assert isinstance(each, NativeCell)
            found.append((each, {}, rows))
        for each, values, rows in found:
            made = self.fired(each, values)
            if made is not None:
                self.firing[self.part(population, made.component, rows, len(found) == 1)] = made

    def trains(self, population: Population, process: NativeProcess) -> list[tuple[Element | None, Ints]]:
        """The sources that play the given trains; cells with one train share one."""
        empty = np.zeros(0)
        rows = empty if population.train_rows is None else population.train_rows
        times = empty if population.train_times is None else population.train_times
        order = np.argsort(rows, kind="stable")
        borders = np.searchsorted(rows[order], np.arange(population.size + 1))
        found: dict[tuple[float, ...], list[int]] = {}
        for row in range(population.size):
            found.setdefault(tuple(times[order[borders[row] : borders[row + 1]]].tolist()), []).append(row)
        made: list[tuple[Element | None, Ints]] = []
        for train, members in found.items():
            key = ("VecStim", train)
            if key not in self.made:
                self.made[key] = spike_array(self.ids.fresh(process.id), train)
            made.append((self.made[key], np.array(members, np.int64)))
        return made

    def random(self, process: NativeProcess, sources: list[Element]) -> None:
        if any(e.tag == "spikeGeneratorPoisson" or e.get("noise", "0.0") not in ("0.0", "0") for e in sources):
            self.report.add("native-random", "approximation", "its events follow the same law, but from other random "
                            "numbers than NEURON's", file=process.file, line=process.line,
                            component=process.id)  # fmt: skip

    def process(self, process: NativeProcess, parameters: Mapping[str, float]) -> Element | None:
        """The component of a process with some parameters, made once; None, with a note, if there is none."""
        key = (process.kind, process.id, tuple(sorted(parameters.items())))
        if key not in self.made:
            if not known(process.kind, process.mechanism):
                self.loss(f"the {process.kind} {process.mechanism} has no counterpart in NeuroML and is left out with "
                          "all that goes through it", process)  # fmt: skip
                return None
            try:
                id = self.ids.fresh(process.id)
                self.made[key] = component(process.kind, process.mechanism, id, parameters)
            except UnsupportedError as fault:
                self.loss(f"{fault}; it is left out", process)
                return None
        return self.made[key]

    # rows ----------------------------------------------------------------------------------------------------------

    def places(self, population: str, segments: Ints, fractions: Floats) -> tuple[Ints, Floats, npt.NDArray[np.bool_]]:
        """Places on cells in segments, and which of them are there."""
        shape = self.shapes.get(self.old.populations[population].component)
        there = np.ones(len(segments), bool)
        if any(part.id in self.firing for part in self.parts[population]):
            return np.zeros_like(segments), np.full(len(segments), 0.5), there
        if shape is None:
            return segments, fractions, there
        pairs, inverse = np.unique(np.column_stack([segments, fractions]), axis=0, return_inverse=True)
        found = np.zeros_like(pairs)
        kept = np.ones(len(pairs), bool)
        for number, (section, x) in enumerate(pairs):
            if int(section) in shape.pieces:
                found[number] = shape.place(int(section), float(x))
            else:
                kept[number] = False
        inverse = inverse.reshape(-1)
        return found[inverse, 0].astype(np.int64), found[inverse, 1], kept[inverse]

    def projection(self, old: Projection) -> None:
        post_segment, post_fraction, there = self.places(old.postsynaptic, old.post_segment, old.post_fraction)
        pre_segment, pre_fraction = old.pre_segment, old.pre_fraction
        if old.kind != "chemical":
            pre_segment, pre_fraction, also = self.places(old.presynaptic, pre_segment, pre_fraction)
            there &= also
        elif isinstance(self.old.native.get(self.old.populations[old.presynaptic].component), NativeCell):
            # events leave the cell where its spikes are looked for, which is segment 0
            pre_segment, pre_fraction = np.zeros_like(pre_segment), np.full(len(old), 0.5)
        moved = replace(old, pre_segment=pre_segment, post_segment=post_segment, pre_fraction=pre_fraction,
                        post_fraction=post_fraction)  # fmt: skip
        if not there.all():
            self.loss(f"{np.count_nonzero(~there)} of its connections end at sections that are left out", old)
        joined = [self.old.native[name] for name in (*old.synapses, *old.pre_components, *old.post_components)
                  if old.kind != "chemical" and name in self.old.native]  # fmt: skip
        if joined:
            kinds = ", ".join(sorted({part.mechanism for part in joined if isinstance(part, NativeProcess)} - {""}))
            self.loss(f"its junctions ({kinds}) have no counterpart in NeuroML and are left out", old)
            return
        if old.kind != "chemical" or not old.synapses:
            self.rows(moved, np.flatnonzero(there), None)
            return
        for number, synapse in enumerate(old.synapses):
            chosen = np.flatnonzero((old.synapse == number) & there)
            process = self.old.native.get(synapse)
            if not len(chosen):
                continue
            if not isinstance(process, NativeProcess):
                self.rows(moved, chosen, synapse)
                continue
            if process.kind == "port":
                self.straight(moved, chosen, process)
                continue
            values = {name: column[chosen] for name, column in old.values.items()}
            for parameters, rows in combinations(process.parameters, values, len(chosen)):
                found = self.process(process, parameters)
                if found is not None:
                    self.rows(moved, chosen[rows], found.attributes["id"])

    def straight(self, old: Projection, chosen: Ints, port: NativeProcess) -> None:
        """Events that go to an artificial cell itself."""
        cell = self.old.native.get(self.old.populations[old.postsynaptic].component)
        fires = [self.firing[part.id] for part in self.parts[old.postsynaptic] if part.id in self.firing]
        takes = isinstance(cell, NativeProcess) and cell.mechanism in ARTIFICIAL
        if not (takes or (fires and all(each.takes_events for each in fires))) or port.parameters.get("slot"):
            self.loss(
                "its events go straight to an artificial cell or to a process of the cell; they are left out", old
            )
            return
        if isinstance(cell, NativeProcess) and cell.mechanism == "IntFire4":
            self.two_signs(old, chosen, cell)
            return
        key = ("arrival",)
        if key not in self.made:
            self.made[key] = arrival(self.ids.fresh("arrival"))
        self.rows(old, chosen, self.made[key].attributes["id"])

    def two_signs(self, old: Projection, chosen: Ints, cell: NativeProcess) -> None:
        """Events to IntFire4, whose currents depend on the sign of the weight and on its time constants."""
        population = self.old.populations[old.postsynaptic]
        weight = np.ones(len(chosen)) if old.weight is None else old.weight[chosen]
        for parameters, rows in combinations(cell.parameters, population.values, population.size):
            inside = np.isin(old.post[chosen], rows)
            for excites in (True, False):
                some = chosen[inside & ((weight > 0) == excites)]
                if not len(some):
                    continue
                key = ("IntFire4", excites, tuple(sorted(parameters.items())))
                if key not in self.made:
                    id = self.ids.fresh(f"{cell.id}_{'excitation' if excites else 'inhibition'}")
                    self.made[key] = int_fire4_arrival(id, parameters, excites)
                self.rows(old, some, self.made[key].attributes["id"])

    def rows(self, old: Projection, chosen: Ints, synapse: str | None) -> None:
        """Rows of a projection through one synapse, one projection for each pair of parts of its populations."""
        before, after = self.parts[old.presynaptic], self.parts[old.postsynaptic]
        pre_part, pre_row = self.spots(old.presynaptic, old.pre[chosen])
        post_part, post_row = self.spots(old.postsynaptic, old.post[chosen])
        for pair, mine in grouped(np.where(post_part < 0, -1, pre_part) * len(after) + post_part, pre_part, post_part):
            rows, pre, post = chosen[mine], before[pair // len(after)], after[pair % len(after)]
            columns: dict[str, Any] = {
                name: column[rows] for name, column in old.columns().items()
                if column is not None and name not in ("pre", "post", "synapse")
            }  # fmt: skip
            if synapse is not None:
                columns["weight"] = columns.get("weight", np.ones(len(rows)))
                more: dict[str, Any] = {"synapses": (synapse,)}
            else:
                more = {"synapses": old.synapses, "synapse": old.synapse[rows],
                        "pre_components": old.pre_components, "post_components": old.post_components}  # fmt: skip
            self.projections.append(Projection(
                self.own_id(old.id), old.kind, pre.id, post.id, pre_row[mine], post_row[mine], **columns, **more,
                origin=old.origin, attributes=_plain(old.attributes), extra=list(old.extra), file=old.file,
                line=old.line,
            ))  # fmt: skip

    def spots(self, population: str, rows: Ints) -> tuple[Ints, Ints]:
        """For rows of a population: which of its parts they are in (-1: none), and which row of that."""
        if population not in self.spots_of:
            found = np.full((2, self.old.populations[population].size), -1, np.int64)
            for number, part in enumerate(self.parts[population]):
                found[0, part.rows], found[1, part.rows] = number, np.arange(len(part.rows))
            self.spots_of[population] = found
        part, row = self.spots_of[population]
        return part[rows], row[rows]

    def own_id(self, id: str) -> str:
        """The id itself for the first that asks, another one for others."""
        if id in self.given:
            return self.ids.fresh(id)
        self.given.add(id)
        return id

    def input_list(self, old: InputList) -> None:
        segment, fraction, there = self.places(old.population, old.segment, old.fraction)
        process = self.old.native.get(old.component)
        if not self.parts[old.population]:
            return
        if not there.all():
            self.loss(f"{np.count_nonzero(~there)} of its inputs are at sections that are left out", old)
        chosen = np.flatnonzero(there)
        if not isinstance(process, NativeProcess):
            self.targets(old, chosen, segment, fraction, old.component, old.weight)
            return
        values = {name: column[chosen] for name, column in old.values.items()}
        for parameters, rows in combinations(process.parameters, values, len(chosen)):
            if process.kind == "source":
                self.driven(old, process, parameters, chosen[rows], segment, fraction)
                continue
            found = self.process(process, parameters)
            if found is not None:
                self.targets(old, chosen[rows], segment, fraction, found.attributes["id"], None)

    def targets(self, old: InputList, rows: Ints, segment: Ints, fraction: Floats, component: str,
                weight: Floats | None) -> None:  # fmt: skip
        part, row = self.spots(old.population, old.target[rows])
        for number, mine in grouped(part):
            here = rows[mine]
            self.inputs.append(InputList(
                self.own_id(old.id), component, self.parts[old.population][number].id, row[mine], old.ids[here],
                segment[here], fraction[here], None if weight is None else weight[here], old.origin,
                _plain(old.attributes), list(old.extra), old.file, old.line,
            ))  # fmt: skip

    def driven(self, old: InputList, process: NativeProcess, parameters: Mapping[str, float], rows: Ints,
               segment: Ints, fraction: Floats) -> None:  # fmt: skip
        """Sources that drive a synapse: a population of them, each connected with its target."""
        synapse = self.old.native[process.drives or ""]
        assert isinstance(synapse, NativeProcess)
        through, source = self.process(synapse, synapse.parameters), self.process(process, parameters)
        if through is None or source is None:
            return
        self.random(process, [source])
        part, row = self.spots(old.population, old.target[rows])
        for number, mine in grouped(part):
            here, id, post = rows[mine], self.ids.fresh(f"{old.id}_sources"), self.parts[old.population][number].id
            self.populations[id] = Population.sized(
                id, source.attributes["id"], len(here), file=old.file, line=old.line
            )
            self.projections.append(Projection(
                self.own_id(old.id), "chemical", id, post, np.arange(len(here)), row[mine],
                post_segment=segment[here], post_fraction=fraction[here],
                weight=np.ones(len(here)) if old.weight is None else old.weight[here],
                delay=None if old.delay is None else old.delay[here], synapses=(through.attributes["id"],),
                file=old.file, line=old.line,
            ))  # fmt: skip

    # what is recorded ----------------------------------------------------------------------------------------------

    def outputs(self, old: Outputs) -> Outputs:
        """The same outputs under the paths that the new network has."""
        files = []
        for file in old.files:
            columns = [(id, path) for id, quantity in file.columns if (path := self.path(quantity)) is not None]
            files.append(OutputFile(file.id, file.name, tuple(columns)))
        events = []
        for each in old.event_files:
            chosen = [(id, path, port) for id, cell, port in each.selections if (path := self.path(cell)) is not None]
            events.append(EventOutputFile(each.id, each.name, each.format, tuple(chosen)))
        return Outputs(tuple(f for f in files if f.columns), tuple(e for e in events if e.selections))

    def recorded(self, old: Element) -> Element:
        """A Simulation element with the new paths; what cannot be recorded any more is left out."""
        attributes = dict(old.attributes)
        for name in ("quantity", "select"):
            if name in attributes:
                attributes[name] = self.path(attributes[name]) or ""
        children = [self.recorded(child) for child in old.children]
        children = [c for c in children if c.get("quantity") != "" and c.get("select") != ""]
        return Element(old.tag, attributes, children, old.text, old.file, old.line, old.raw)

    def path(self, quantity: str) -> str | None:
        """A quantity or a cell's path in the new network; None, with a note, if there is nothing like it."""
        place = place_of(quantity if "/" in quantity else f"{quantity}/spike")
        cell = self.old.populations.get(place.population) if place is not None else None
        if place is None or cell is None or not 0 <= place.index < cell.size:
            return quantity
        if cell.component not in self.old.native and not cell.values and cell.individuals is None:
            return quantity
        found = None
        part, row = (int(each[0]) for each in self.spots(place.population, np.array([place.index])))
        if part >= 0:
            at = f"{self.parts[place.population][part].id}[{row}]"
            if cell.component not in self.old.native:  # a LEMS cell: what is inside of it is called the same
                inside = f"{place.segment}/{place.variable}" if place.segment else place.variable
                return at if "/" not in quantity else f"{at}/{inside}"
            shape = self.shapes.get(cell.component)
            found = at if "/" not in quantity else self.variable(at, shape, place.segment, place.variable)
        if found is None:
            self.report.add("native-recording", "loss", f"'{quantity}' cannot be recorded: the network has nothing "
                            "like it any more", component=str(self.old.id))  # fmt: skip
        return found

    def variable(self, at: str, shape: Shape | None, segment: int, variable: str) -> str | None:
        *inside, name = variable.split("/")
        if shape is None and name == "v" and self.firing[at.partition("[")[0]].in_circuit:
            return f"{at}/v"
        if shape is None or name != "v" or len(inside) > 1:
            return None
        where = _place(shape.cell, segment, inside)
        if where is None or where[0] not in shape.pieces:
            return None
        if where[1] in (0.0, 1.0):
            self.report.add("native-end", "approximation", f"'{at}/{variable}' is at the end of a section; the nearest "
                            "compartment is recorded", component=str(self.old.id))  # fmt: skip
        id, _ = shape.place(*where)
        return f"{at}/{id}/v" if id else f"{at}/v"


def _place(cell: NativeCell, segment: int, inside: list[str]) -> tuple[int, float] | None:
    """(section, x) that a quantity's path names after the cell: "dend(0.3)", a section's name or its number."""
    if inside:
        match = _AT.fullmatch(inside[0])
        named = match[1] if match else inside[0]
        return (cell.index[named], float(match[2]) if match else 0.5) if named in cell.index else None
    return (segment, 0.5) if segment else (cell.spike_section, cell.spike_x)


def grouped(codes: Ints, *valid: Ints) -> list[tuple[int, Ints]]:
    """(code, places) for the codes that are not negative, in increasing order; ``valid`` must not be either."""
    ok = codes >= 0
    for column in valid:
        ok = ok & (column >= 0)
    places = np.flatnonzero(ok)
    order = places[np.argsort(codes[places], kind="stable")]
    found, first = np.unique(codes[order], return_index=True)
    return [(int(code), part) for code, part in zip(found, np.split(order, first[1:]), strict=True)]


def _plain(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes that a NeuroML element may have."""
    return {name: value for name, value in attributes.items() if not name.startswith("netpyne_")}

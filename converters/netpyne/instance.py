"""An instantiated NetPyNE network in its own words: populations, cells, connections, stimuli; and the hub made of it.

A saved file holds just this; building netParams gives the same, so there is one way from here to the hub.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import NetworkError, UnsupportedError
from ...graph import Adjuster, ImposedField, InputList, NativeCell, NativeProcess, Network, Population, Projection
from ...graph.native import ADDING
from ...report import Report
from . import streams
from .courses import Shaped
from .names import Names
from .neuroml_cells import NeuroMLCell, components_of, spot_on
from .populations import Populations
from .sections import number
from .sources import clamp_of, netstim_of

if TYPE_CHECKING:
    from .fields import Field

CLAMPS = ("IClamp", "VClamp", "SEClamp", "AlphaSynapse")


@dataclass
class Cell:
    """One cell: with sections, or a point process of its own (``params``, the mechanism is tag cellModel)."""

    gid: int
    tags: dict[str, Any]
    secs: dict[str, Any] | None = None
    lists: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    stims: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] | None = None
    """given spike times (ms) of a VecStim"""
    neuroml: NeuroMLCell | None = None
    """what it is, if not its sections: they say only where its segments are"""
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """the point of its NeuroML morphology that lies at its place"""


class Connection(NamedTuple):
    """One connection. ``pre`` is a gid, or the index of a NetStim among the target's stimuli when ``driven``."""

    pre: int
    post: int
    section: str | None
    loc: float
    synapse: str | None
    weight: float
    delay: float
    label: str = ""
    driven: bool = False
    slot: int = 0
    values: tuple[tuple[str, float], ...] = ()
    """parameters of its synapse that differ from connection to connection"""
    peer: tuple[str, float] | None = None
    """section and place on the cell before, of a junction that reads there"""


@dataclass
class Pop:
    """A population and the gids of its cells."""

    label: str
    tags: dict[str, Any]
    gids: list[int]


@dataclass
class Instance:
    """The network. ``synapses`` are synMechParams, ``seed`` is seeds.stim, ``celsius`` in degC."""

    pops: list[Pop]
    cells: dict[int, Cell]
    connections: list[Connection]
    synapses: Mapping[str, Mapping[str, Any]]
    threshold: float = 10.0
    celsius: float = 6.3
    v_init: float = -65.0
    seed: int = 1
    own_streams: bool = False
    """whether each NetStim draws independently; in NetPyNE those on one cell with one seed draw the same"""
    inverted_y: bool = True
    moved_points: bool = True
    shared: bool = False
    """whether connections to one place act on one synapse"""
    label: str = "network"
    file: str | None = None
    fields: Sequence[Field] = ()
    plastic: Mapping[str, Adjuster] = field(default_factory=dict)
    """what adjusts the weights of the connections of a label"""
    courses: Mapping[tuple[bool, str], Shaped] = field(default_factory=dict)
    """how weights change in time: of the connections of a label (False), of the stimuli of a source (True)"""
    whole: dict[str, Cell] = field(default_factory=dict)
    """one cell of each population of NeuroML cells, once the network is made"""

    def network(self, report: Report) -> Network:
        """The hub's Network. Raises NetworkError or UnsupportedError that names the cell or the rule."""
        return _Assembly(self, report).network()


class _Assembly(Populations):
    def __init__(self, instance: Instance, report: Report) -> None:
        super().__init__(instance, report)
        self.processes: dict[str, str] = {}
        self.sent: list[Projection] = []  # from NetStims that are cells

    def network(self) -> Network:
        for pop in self.instance.pops:  # a population keeps its name, whatever its cells are called
            self.names.id(pop.label, "population")
        components = components_of(self.instance.cells.values())
        self.names.taken |= {str(element.get("id") or element.get("name")) for element in components}
        for pop in self.instance.pops:
            self.population(pop)
        projections = self.projections()
        inputs = self.inputs()
        made = Network(
            self.names.fresh("network"), self.populations, [*projections, *self.sent], inputs,
            temperature=self.instance.celsius + 273.15, components=components, native=self.native,
            fields=self.fields(), file=self.file,
        )  # fmt: skip
        renumbered = [gid for gid in self.place if self.gid(gid) != gid]
        if renumbered:
            self.report.add(
                "netpyne-gids", "info", f"{len(renumbered)} cells have another number than in NetPyNE, the first is "
                f"{renumbered[0]}: cells of one population with other parts become populations of their own",
                file=self.file,
            )  # fmt: skip
        return made

    # connections ---------------------------------------------------------------------------------------------------

    def synapse(self, label: str | None, owner: Connection) -> str:
        """The id of a synapse; made at first sight."""
        if label is None:
            label = next(iter(self.instance.synapses), None)
        if label is None or label not in self.instance.synapses:
            known = ", ".join(list(self.instance.synapses)[:6]) or "none"
            raise NetworkError(f"a connection onto cell {owner.post} uses the synMech '{label}', which is not there; "
                               f"there are {known}", file=self.file)  # fmt: skip
        # a drive has no columns for the parameters of its synapse: each set of values is a synapse of its own
        kind = "synapse" if not (owner.driven and owner.values) else f"synapse {owner.values}"
        kind = kind if owner.peer is None else "junction"
        id = self.names.id(label, kind)
        if id not in self.native:
            spec = self.instance.synapses[label]
            if "mod" not in spec:
                raise NetworkError(f"synMech '{label}' has no 'mod'", file=self.file, component=id)
            if spec.get("selfNetCon"):
                self.report.add("netpyne-synapse", "approximation", f"synMech '{label}': as in NetPyNE 1.1, selfNetCon "
                                "does nothing", file=self.file, component=id)  # fmt: skip
            own = dict(owner.values)
            parameters = {
                name: number(own.get(name, value), id, name, self.file)
                for name, value in spec.items()
                if name not in ("mod", "label", "loc", "hObj", "pointerParams", "selfNetCon") and value is not None
            }
            peer = None
            if owner.peer is not None:
                pointers = spec.get("pointerParams") or {"target_var": "vpeer"}
                if not isinstance(pointers, Mapping) or "target_var" not in pointers:
                    raise NetworkError(f"synMech '{label}': pointerParams needs a target_var", file=self.file)
                peer = (str(pointers.get("source_var", "v")), str(pointers["target_var"]))
            shared = self.instance.shared and peer is None
            self.native[id] = NativeProcess(id, str(spec["mod"]), "synapse" if peer is None else "junction", parameters,
                                            peer=peer, shared=shared, file=self.file)  # fmt: skip
            if shared and kind != "synapse" and spec["mod"] not in ADDING:
                self.report.add("netpyne-synapse", "approximation", f"synMech '{label}': NetStims have synapses of "
                                "their own at places that other connections have too, as these have functions",
                                file=self.file, component=id)  # fmt: skip
        return id

    def target(self, connection: Connection) -> tuple[str, int, int, float | None, str]:
        """(population, row, section, fraction, component) at which a connection ends; the fraction is that of the
        connection if None, and for a NeuroML cell the section is a segment."""
        if connection.post not in self.place:
            raise NetworkError(f"a connection ends at cell {connection.post}, which is not there", file=self.file)
        population, row = self.place[connection.post]
        spot = spot_on(self.instance.cells[connection.post], connection.section, connection.loc)
        if spot is not None:
            return population, row, *spot, self.synapse(connection.synapse, connection)
        cell = self.native[self.populations[population].component]
        if not isinstance(cell, NativeCell):
            return population, row, 0, None, self.port(0, connection.slot)
        name = connection.section if connection.section is not None else cell.sections[cell.spike_section].name
        section = cell.section(name)
        own = self.own_process(connection, name)
        if own is not None:
            return population, row, section, None, self.port(*own)
        return population, row, section, None, self.synapse(connection.synapse, connection)

    def own_process(self, connection: Connection, section: str) -> tuple[int, int] | None:
        """(process, weight slot) where the target is a neuron model in a point process, which takes events itself."""
        secs = self.instance.cells[connection.post].secs or {}
        found = None
        at = 0
        population, _ = self.place[connection.post]
        cell = self.native[self.populations[population].component]
        for each in cell.sections:
            for spec in (secs[each.name].get("pointps") or {}).values():
                if each.name == section and "vref" in spec:
                    known = spec.get("synList") or []
                    found = (at, known.index(connection.synapse) if connection.synapse in known else 0)
                at += 1
        return found

    def port(self, point: int, slot: int) -> str:
        """The id of a port: events that go to a process of the cell itself."""
        id = self.names.id(f"port_{point}_{slot}", "port")
        if id not in self.native:
            self.native[id] = NativeProcess(id, "", "port", {"point": point, "slot": slot})
        return id

    def projections(self) -> list[Projection]:
        rows: dict[tuple[str, str, str, str], list[tuple[Any, ...]]] = {}
        targets: dict[tuple[Any, ...], tuple[str, int, int, float | None, str]] = {}
        joined: list[Connection] = []
        for connection in self.instance.connections:
            if connection.driven:
                continue
            if connection.peer is not None:
                joined.append(connection)
                continue
            if connection.pre not in self.place:
                raise NetworkError(f"a connection onto cell {connection.post} starts from cell {connection.pre}, which "
                                   "is not there", file=self.file)  # fmt: skip
            source, pre = self.place[connection.pre]
            if connection.values:
                population, row, section, fraction, component = self.target(connection)
            else:  # the same for all connections onto one section of a cell
                loc = None if self.instance.cells[connection.post].neuroml is None else connection.loc
                where = (connection.post, connection.section, connection.synapse, connection.slot, loc)
                if where not in targets:
                    targets[where] = self.target(connection)
                population, row, section, fraction, component = targets[where]
            alone = bool(connection.values) or connection.label in self.instance.plastic
            key = (connection.label, source, population, component if alone else "")
            rows.setdefault(key, []).append(
                (pre, row, section, connection.loc if fraction is None else fraction, connection.weight,
                 connection.delay, component, connection.values)
            )  # fmt: skip
        found = []
        for (label, source, target, _), table in rows.items():
            columns: list[tuple[Any, ...]] = list(zip(*table, strict=True))
            kinds = tuple(dict.fromkeys(columns[6]))
            ids = {name: number for number, name in enumerate(kinds)}
            shaped = self.instance.courses.get((False, label))
            found.append(Projection(
                self.names.fresh(Names().id(f"{label or 'conn'}_{source}_{target}")), "chemical", source, target,
                np.array(columns[0]), np.array(columns[1]), post_segment=np.array(columns[2]),
                post_fraction=np.array(columns[3], float), weight=np.array(columns[4], float),
                delay=np.array(columns[5], float), synapses=kinds, synapse=np.array([ids[n] for n in columns[6]]),
                attributes=({"netpyne_label": label} if label else {}) | (shaped.attributes if shaped else {}),
                file=self.file,
                values={name: np.array([dict(own)[name] for own in columns[7]]) for name, _ in columns[7][0]},
                plasticity=self.instance.plastic.get(label), course=shaped.course if shaped else None,
            ))  # fmt: skip
        return found + self.junctions(joined)

    def junctions(self, connections: list[Connection]) -> list[Projection]:
        """Gap junctions and graded synapses: both ways, or only from the cell before."""
        rows: dict[tuple[str, str, str, str], list[tuple[Any, ...]]] = {}
        for connection in connections:
            assert connection.peer is not None
            if connection.pre not in self.place:
                raise NetworkError(f"a junction with cell {connection.pre}, which is not there", file=self.file)
            source, pre = self.place[connection.pre]
            cell = self.native.get(self.populations[source].component)
            population, row, section, _, component = self.target(connection)
            if (
                not isinstance(cell, NativeCell)
                or self.native[component].kind != "junction"
                or (population in self.instance.whole)
            ):
                raise UnsupportedError(f"the junction '{connection.label}' needs cells with sections of NEURON's "
                                       "mechanisms on both sides")  # fmt: skip
            rows.setdefault((connection.label, source, population, component), []).append(
                (pre, cell.section(connection.peer[0]), connection.peer[1], row, section, connection.loc,
                 connection.weight)
            )  # fmt: skip
        found = []
        for (label, source, target, component), table in rows.items():
            columns = [np.array(column) for column in zip(*table, strict=True)]
            spec = self.instance.synapses[next(c.synapse for c in connections if c.label == label) or ""]
            mutual = (spec.get("pointerParams") or {}).get("bidirectional", True)
            more: dict[str, Any] = {"synapses": (component,)}
            if not mutual:
                more = {"pre_components": (self.port(0, 0),), "post_components": (component,)}
            found.append(Projection(
                self.names.fresh(Names().id(f"{label or 'junction'}_{source}_{target}")),
                "electrical" if mutual else "continuous", source, target, columns[0], columns[3],
                pre_segment=columns[1], pre_fraction=columns[2].astype(float), post_segment=columns[4],
                post_fraction=columns[5].astype(float), weight=columns[6].astype(float),
                attributes={"netpyne_label": label} if label else {}, file=self.file, **more,
            ))  # fmt: skip
        return found

    # stimuli -------------------------------------------------------------------------------------------------------

    def inputs(self) -> list[InputList]:
        return [*self.drives(), *self.clamps()]

    def drives(self) -> list[InputList]:
        """NetStims, each with the connection through which it acts."""
        rows: dict[tuple[str, str, str, str, str], list[tuple[Any, ...]]] = {}
        for connection in self.instance.connections:
            if not connection.driven:
                continue
            stim = self.instance.cells[connection.post].stims[connection.pre]
            population, row, section, fraction, component = self.target(connection)
            mechanism, parameters = netstim_of(stim, connection.post, self.file)
            source = str(stim.get("source") or stim.get("label") or "NetStim")
            key = (mechanism, source, population, component, str(stim.get("label") or f"{source}_{population}"))
            owner = f":{key[-1]}:{connection.pre}" if self.instance.own_streams else ""
            stream = (streams.of_text(f"NetStim{owner}"), connection.post, int(stim.get("seed", self.instance.seed)))
            rows.setdefault(key, []).append(
                (row, section, connection.loc if fraction is None else fraction, connection.weight, connection.delay,
                 parameters, stream)
            )  # fmt: skip
        found = []
        for (mechanism, source, population, component, label), table in rows.items():
            columns: list[tuple[Any, ...]] = list(zip(*table, strict=True))
            usual = columns[5][0]
            values = {name: np.array([each[name] for each in columns[5]]) for name in usual}
            if self.native[component].kind == "port":
                self.senders((mechanism, source), population, component, label, columns, values)
                continue
            process = self.driver(source, mechanism, usual, component)
            shaped = self.instance.courses.get((True, source))
            common = self.native[process].parameters
            found.append(InputList(
                self.names.fresh(Names().id(label)), process, population, np.array(columns[0]),
                segment=np.array(columns[1]), fraction=np.array(columns[2], float), weight=np.array(columns[3], float),
                delay=np.array(columns[4], float), random=np.array(columns[6], dtype=np.uint32),
                values={name: column for name, column in values.items() if not (column == common[name]).all()},
                attributes={"netpyne_source": source} | (shaped.attributes if shaped else {}), file=self.file,
                course=shaped.course if shaped else None,
            ))  # fmt: skip
        return found

    def senders(self, what: tuple[str, str], population: str, port: str, label: str, columns: list[tuple[Any, ...]],
                values: dict[str, Any]) -> None:  # fmt: skip
        """NetStims that act on the cells' own processes, where there is no synapse to drive: cells of their own, which
        stand after all others, so that these keep their numbers. ``what`` is their mechanism and source."""
        mechanism, source = what
        shaped = self.instance.courses.get((True, source))
        id, process = self.names.fresh(Names().id(f"{label}_sources")), self.names.fresh(Names().id(source))
        usual = columns[5][0]
        self.report.add("netpyne-stimulus", "info", f"the stimulus '{source}' acts on the own process of cells of "
                        f"'{population}': its NetStims are the population '{id}', after all others",
                        file=self.file)  # fmt: skip
        self.native[process] = NativeProcess(process, mechanism, "source", usual, file=self.file)
        self.populations[id] = Population.sized(
            id, process, len(columns[0]), random=np.array(columns[6], dtype=np.uint32), file=self.file,
            values={name: column for name, column in values.items() if not (column == usual[name]).all()},
        )  # fmt: skip
        self.sent.append(Projection(
            self.names.fresh(Names().id(label)), "chemical", id, population, np.arange(len(columns[0])),
            np.array(columns[0]), post_segment=np.array(columns[1]), post_fraction=np.array(columns[2], float),
            weight=np.array(columns[3], float), delay=np.array(columns[4], float), synapses=(port,), file=self.file,
            course=shaped.course if shaped else None, attributes=shaped.attributes if shaped else {},
        ))  # fmt: skip

    def driver(self, source: str, mechanism: str, parameters: dict[str, float], synapse: str) -> str:
        """The process of a NetStim that acts through one synapse."""
        key = json.dumps([source, mechanism, synapse])
        if key not in self.processes:
            id = self.processes[key] = self.names.fresh(Names().id(source))
            self.native[id] = NativeProcess(id, mechanism, "source", parameters, synapse, file=self.file)
        return self.processes[key]

    def fields(self) -> list[ImposedField]:
        """What is imposed from outside, on each population that it reaches."""
        found = []
        for one in self.instance.fields:
            rows: dict[str, list[int]] = {}
            for gid in one.gids:
                population, row = self.place[gid]
                rows.setdefault(population, []).append(row)
            found += [
                ImposedField(self.names.fresh(Names().id(one.label)), population, np.array(chosen), one.kind,
                             one.origin, one.times, one.values, one.vector, one.conductivity, upright=True,
                             file=self.file)
                for population, chosen in rows.items()
            ]  # fmt: skip
        return found

    def clamps(self) -> list[InputList]:
        """Point processes that act by themselves: current and voltage clamps, any other."""
        rows: dict[tuple[str, str, str, tuple[str, ...], str], list[tuple[Any, ...]]] = {}
        for gid, cell in self.instance.cells.items():
            for stim in cell.stims:
                kind = stim.get("type")
                if kind == "NetStim":
                    continue
                if kind in (None, "XStim"):
                    raise UnsupportedError(f"cell {gid}: the stimulus '{stim.get('source')}' of type '{kind}' is not "
                                           "supported")  # fmt: skip
                population, row = self.place[gid]
                loc = number(stim.get("loc", 0.5), str(gid), "loc", self.file)
                spot = spot_on(cell, str(stim["sec"]) if stim.get("sec") else None, loc)
                target = self.native.get(self.populations[population].component)
                if spot is None and not isinstance(target, NativeCell):
                    raise NetworkError(f"cell {gid} has no sections, and gets a {kind}", file=self.file)
                parameters = clamp_of(stim, gid, self.file)
                source = str(stim.get("source") or stim.get("label") or kind)
                label = str(stim.get("label") or f"{source}_{population}")
                key = (source, str(kind), population, tuple(parameters), label)
                if spot is not None:
                    section, loc = spot
                else:
                    assert isinstance(target, NativeCell)
                    section = target.section(str(stim["sec"])) if stim.get("sec") else target.spike_section
                rows.setdefault(key, []).append((row, section, loc, parameters))
        found = []
        for (source, kind, population, names, name), table in rows.items():
            columns: list[tuple[Any, ...]] = list(zip(*table, strict=True))
            made = json.dumps([source, kind, names])
            if made not in self.processes:
                id = self.processes[made] = self.names.fresh(Names().id(source))
                self.native[id] = NativeProcess(id, kind, "input", columns[3][0], file=self.file)
            process = self.native[self.processes[made]]
            values = {n: np.array([each[n] for each in columns[3]]) for n in names}
            found.append(InputList(
                self.names.fresh(Names().id(name)), process.id, population, np.array(columns[0]),
                segment=np.array(columns[1]), fraction=np.array(columns[2], float),
                values={n: v for n, v in values.items() if not (v == process.parameters[n]).all()},
                attributes={"netpyne_source": source}, file=self.file,
            ))  # fmt: skip
        return found

"""Writing a network of native cells as NetPyNE saves one, so that ``netpyne.sim.load`` builds and runs it.

What NetPyNE's loader cannot build (events to a cell's own process, weights that change in time) is written all the
same and reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...files import atomic
from ...graph import InputList, NativeCell, NativeProcess, Network, Population, Projection
from ...report import Report
from ...results import settings_in
from . import streams
from .courses import stated_shape, written_rates
from .fields import source_of
from .model import files_beside, mods_of_saved, note_fields, write_model
from .plasticity import plast_of
from .sources import stated_netstim
from .synapses import one_each
from .trains import GIVEN, GIVEN_MOD

_SIZE = 100.0  # um; of a network that states no larger extent
_INDEXED = re.compile(r"^(?P<name>\w+)\[(?P<index>\d+)\]$")
_AT = re.compile(r"^(?P<population>\w+)\[(?P<row>\d+)\]/(?P<section>[^/()]+)\((?P<loc>[\d.eE+-]+)\)/(?P<rest>.+)$")


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write ``network`` as one JSON file, or as an index (``.npjson``) with its files beside it.

    What is no mechanism of NEURON goes along as mod files. Raises UnsupportedError for what NetPyNE has no place for.
    """
    report = report if report is not None else Report()
    used = [population.component for population in network.populations.values()]
    used += [inputs.component for inputs in network.inputs]
    used += [synapse for projection in network.projections for synapse in projection.synapses]
    lowered = path.suffix == ".npjson" or network.chemistry is not None
    if lowered or any(component not in network.native for component in used):
        write_model(network, path, report)
        return
    if network.fields:
        note_fields([field.id for field in network.fields], report)
    writer = _Writer(network, report)
    text = json.dumps(writer.document(), allow_nan=False)
    folder = mods_of_saved(path, writer.mods, report)
    with files_beside(path.parent, folder), atomic(path) as stream:
        stream.write(text.encode())


class _Writer:
    def __init__(self, network: Network, report: Report) -> None:
        self.network, self.report = network, report
        self.seed = 1
        self.mods = dict(network.mods)
        self.labels: dict[tuple[Any, ...], str] = {}
        self.made: dict[str, dict[str, Any]] = {}
        self.pointers = 0
        self.cells: list[dict[str, Any]] = []
        if not network.populations:
            raise UnsupportedError("the model has no population of cells; a NetPyNE file holds a network of cells that "
                                   "are made of mechanisms of NEURON")  # fmt: skip
        for population in network.populations.values():
            self.part(population.component, f"population '{population.id}'")
        sizes = [np.abs(p.positions).max(axis=0) for p in network.populations.values()
                 if p.positions is not None and p.size]  # fmt: skip
        self.size = np.maximum(np.max(sizes, axis=0), _SIZE) if sizes else np.full(3, _SIZE)
        rests = {c.v_init for c in network.native.values() if isinstance(c, NativeCell)} - {None}
        self.rest = rests.pop() if len(rests) == 1 else None

    def part(self, component: str, who: str) -> NativeCell | NativeProcess:
        """A native part; UnsupportedError that names the user if it is a LEMS component."""
        if component not in self.network.native:
            raise UnsupportedError(
                f"{who} uses the component '{component}', which is no mechanism of NEURON; NetPyNE files hold cells "
                "and processes of NEURON's own mechanisms only"
            )
        return self.network.native[component]

    def document(self) -> dict[str, Any]:
        """The whole content of the file."""
        network = self.network
        pops = {}
        for population in network.populations.values():
            self.population(population)
            tags = self.tags(population) | {"numCells": population.size}
            pops[population.id] = {"tags": tags, "cellGids": population.gids.tolist()}
        self.connections()
        for inputs in network.inputs:
            self.inputs(inputs)
        config = self.config()
        imposed, reached = self.fields(config)
        params = {
            "sizeX": float(self.size[0]), "sizeY": float(self.size[1]), "sizeZ": float(self.size[2]),
            "popParams": {label: pop["tags"] for label, pop in pops.items()}, "cellParams": self.cell_params(),
            "synMechParams": self.synapses(), "connParams": {}, "stimSourceParams": imposed,
            "stimTargetParams": reached,
            "subConnParams": {}, "rxdParams": {}, "defaultThreshold": 10.0,
        }  # fmt: skip
        return {
            "netpyne_version": "1.1.1", "netpyne_changeset": "",
            "net": {"params": params, "cells": self.cells, "pops": pops}, "simConfig": config,
        }  # fmt: skip

    def fields(self, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The sources of imposed fields, and the cells that each acts on."""
        found = {field.id: source_of(vars(field), np.asarray, config["duration"], config["dt"])
                 for field in self.network.fields}  # fmt: skip
        return found, {
            field.id: {"source": field.id, "conds": {"pop": field.population, "cellList": field.target.tolist()}}
            for field in self.network.fields
        }  # fmt: skip

    def tags(self, population: Population) -> dict[str, Any]:
        part = self.network.native[population.component]
        found = {"pop": population.id, "cellType": part.id}
        if isinstance(part, NativeProcess):
            found["cellModel"] = part.mechanism
        elif "netpyne_cellModel" in population.properties:
            found["cellModel"] = population.properties["netpyne_cellModel"]
        return found

    # cells ---------------------------------------------------------------------------------------------------------

    def population(self, population: Population) -> None:
        part, tags = self.network.native[population.component], self.tags(population)
        sections = self.sections(part) if isinstance(part, NativeCell) else None
        trains: dict[int, list[float]] = {}
        if population.train_rows is not None and population.train_times is not None:
            for row, time in zip(population.train_rows.tolist(), population.train_times.tolist(), strict=True):
                trains.setdefault(row, []).append(time)
        for row, gid in enumerate(population.gids.tolist()):
            x, y, z = (0.0, 0.0, 0.0) if population.positions is None else population.positions[row].tolist()
            place = {"x": x, "y": -y if y else 0.0, "z": z}
            norms = {f"{axis}norm": value / size for (axis, value), size in zip(place.items(), self.size, strict=True)}
            cell: dict[str, Any] = {"gid": gid, "tags": tags | place | norms, "conns": [], "stims": []}
            if isinstance(part, NativeCell):
                own = part if population.individuals is None else population.individuals[row]
                assert isinstance(own, NativeCell)
                cell |= {"secs": sections if own is part else self.sections(own), "secLists": {
                    name: [part.sections[i].name for i in members] for name, members in part.section_lists.items()
                }}  # fmt: skip
                if population.values:
                    cell["secs"] = self.own_values(own, population, row)
            else:
                cell["params"] = self.artificial(part, population, row) | (
                    {"spkTimes": trains.get(row, [])} if part.mechanism == "VecStim" else {}
                )
            self.cells.append(cell)
        if isinstance(part, NativeProcess) and part.mechanism == "VecStim":
            self.mods[GIVEN_MOD] = GIVEN

    def artificial(self, part: NativeProcess, population: Population, row: int) -> dict[str, Any]:
        found: dict[str, Any] = dict(part.parameters) | {n: float(c[row]) for n, c in population.values.items()}
        if part.mechanism == "NetStim":
            if population.course is not None and population.course.variable == "interval":
                intervals = population.course.values
                intervals = intervals if intervals.ndim == 1 else intervals[row]
                found["rates"] = written_rates(population.course.times, intervals)
            found["seed"] = self.seed_of(population.random, row, int(population.gids[row]), population.id)
        return found

    def own_values(self, part: NativeCell, population: Population, row: int) -> dict[str, Any]:
        """Sections in which the first process of the cell has this row's parameters."""
        sections: dict[str, Any] = json.loads(json.dumps(self.sections(part)))
        name = part.sections[part.points[0].section].name
        label = next(iter(sections[name]["pointps"]))
        sections[name]["pointps"][label] |= {n: float(c[row]) for n, c in population.values.items()}
        return sections

    def sections(self, cell: NativeCell) -> dict[str, Any]:
        """A cell's dictionary of sections."""
        found: dict[str, Any] = {}
        for section in cell.sections:
            geometry: dict[str, Any] = {"nseg": section.nseg, "Ra": section.Ra, "cm": _plain(section.cm)}
            if section.points is not None:
                geometry["pt3d"] = np.asarray(section.points).tolist()
            else:
                geometry |= {"L": section.L, "diam": _plain(section.diam)}
            for name in ("cm", "diam"):
                if isinstance(geometry.get(name), list):
                    self.report.add("netpyne-geometry", "loss", f"section '{section.name}': {name} differs between "
                                    "segments; NetPyNE takes the first", component=cell.id)  # fmt: skip
                    geometry[name] = geometry[name][0]
            entry: dict[str, Any] = {"geom": geometry, "topol": {}, "synMechs": [], "mechs": {
                name: {p: _plain(v) for p, v in parameters.items()} for name, parameters in section.mechanisms.items()
            }}  # fmt: skip
            if section.parent >= 0:
                parent = cell.sections[section.parent].name
                entry["topol"] = {"parentSec": parent, "parentX": section.parent_x, "childX": section.child_x}
            if section.ions:
                entry["ions"] = {ion: {k: _plain(v) for k, v in values.items()} for ion, values in section.ions.items()}
            rest = section.v_init if section.v_init is not None else cell.v_init
            if rest is not None and rest != self.rest:
                entry["vinit"] = rest
            found[section.name] = entry
        for number, point in enumerate(cell.points):
            entry = {"mod": point.mechanism, "loc": point.x, **point.parameters}
            if cell.spike_point == number and cell.spike_variable is not None:
                entry |= {"vref": cell.spike_variable, "synList": self.slots(number)}
            found[cell.sections[point.section].name].setdefault("pointps", {})[f"{point.mechanism}_{number}"] = entry
        site = found[cell.sections[cell.spike_section].name]
        site |= {"threshold": cell.threshold, "spikeGenLoc": cell.spike_x}
        return found

    def slots(self, point: int) -> list[str]:
        """Labels for the weight slots of a process, after the ports that lead to it."""
        ports = [p for p in self.network.native.values() if isinstance(p, NativeProcess) and p.kind == "port"]
        named = {int(p.parameters.get("slot", 0)): p.id for p in ports if p.parameters.get("point", 0) == point}
        return [named.get(slot, f"slot{slot}") for slot in range(max(named, default=-1) + 1)]

    def cell_params(self) -> dict[str, Any]:
        """Rules without sections: NetPyNE's loader looks up each cell's type here, and applies to the saved cells what
        it finds, which would give them their 3-D points twice."""
        return {
            cell.id: {"conds": {"cellType": cell.id}, "secs": {}, "secLists": {}}
            for cell in self.network.native.values()
            if isinstance(cell, NativeCell)
        }

    def synapses(self) -> dict[str, Any]:
        every = {
            part.id: {"mod": part.mechanism, **part.parameters}
            for part in self.network.native.values()
            if isinstance(part, NativeProcess) and part.kind == "synapse"
        }
        return every | self.made

    def label(self, part: NativeProcess, values: Mapping[str, float], mutual: bool | None = None) -> str:
        """The synMech of a process with some parameters of its own: NetPyNE gives a synapse those of its label."""
        if not values and mutual is None:
            return part.id
        key = (part.id, tuple(values.items()), mutual)
        if key not in self.labels:
            used = {*self.network.native, *self.made}
            own = [part.id] if mutual is not None and part.id not in self.made else []
            free = (name for name in (f"{part.id}_{n}" for n in range(len(used) + 1)) if name not in used)
            self.labels[key] = label = own[0] if own else next(free)
            self.made[label] = {"mod": part.mechanism, **part.parameters, **values}
            if mutual is not None and part.peer is not None:
                self.made[label]["pointerParams"] = {
                    "source_var": part.peer[0], "target_var": part.peer[1], "bidirectional": mutual,
                }  # fmt: skip
        return self.labels[key]

    # connections and stimuli ---------------------------------------------------------------------------------------

    def connections(self) -> None:
        network = self.network
        for projection in network.projections:
            if projection.kind != "chemical":
                self.junctions(projection)
                continue
            parts = [self.part(synapse, f"projection '{projection.id}'") for synapse in projection.synapses]
            shape = self.shape(projection)
            pre, post = network.populations[projection.presynaptic], network.populations[projection.postsynaptic]
            label = projection.attributes.get("netpyne_label", projection.id)
            for row in range(len(projection)):
                part = parts[int(projection.synapse[row])]
                cell = self.cells[post.offset + int(projection.post[row])]
                entry: dict[str, Any] = {
                    "preGid": pre.offset + int(projection.pre[row]), "label": label,
                    "weight": 1.0 if projection.weight is None else float(projection.weight[row]),
                    "delay": 0.0 if projection.delay is None else float(projection.delay[row]),
                }  # fmt: skip
                entry |= self.place(post, int(projection.post_segment[row]), float(projection.post_fraction[row]))
                if isinstance(part, NativeProcess) and part.kind == "port":
                    entry |= {"synMech": part.id, "weightIndex": int(part.parameters.get("slot", 0))}
                    self.report.add(
                        "netpyne-ports", "approximation", "NetPyNE's loader does not rebuild connections to artificial "
                        "cells and cells' own processes", component=projection.id,
                    )  # fmt: skip
                else:
                    assert isinstance(part, NativeProcess)
                    values = {name: float(column[row]) for name, column in projection.values.items()}
                    entry |= {"synMech": self.label(part, values), **shape}
                    entry |= self.plast(projection, entry["delay"])
                    self.note_synapse(cell, entry, part)
                cell["conns"].append(entry)

    def shape(self, owner: Projection | InputList) -> dict[str, Any]:
        """The shape of its weights."""
        found = stated_shape(owner.course, owner.attributes, owner.id, self.report)
        if found:
            self.not_loaded(owner.id)
        return found

    def plast(self, projection: Projection, delay: float) -> dict[str, Any]:
        """The plast of one of its connections."""
        if projection.plasticity is None:
            return {}
        found = plast_of(projection.plasticity.stated(), delay, self.mods, self.report, projection.id)
        if found is None:
            return {}
        self.not_loaded(projection.id)
        return {"plast": found}

    def not_loaded(self, id: str) -> None:
        """Say that weights stay as they are in a network that NetPyNE loads."""
        self.report.add("netpyne-loader", "approximation", "NetPyNE's loader of saved networks does not rebuild how "
                        "weights change; an index (.npjson) has it", component=id)  # fmt: skip

    def junctions(self, projection: Projection) -> None:
        """Gap junctions and graded synapses, on each side as NetPyNE has them."""
        network, mutual = self.network, projection.kind == "electrical"
        who = f"projection '{projection.id}'"
        names = projection.synapses if mutual else projection.post_components
        parts = [self.part(name, who) for name in names]
        before = [self.part(name, who) for name in projection.pre_components]
        if any(not isinstance(part, NativeProcess) or part.peer is None for part in parts) or any(
            not isinstance(part, NativeProcess) or part.kind != "port" for part in before
        ):
            raise UnsupportedError(f"{who} has components on both sides that are not the same; NetPyNE files hold "
                                   "junctions that act both ways, or on the cell after")  # fmt: skip
        self.report.add("netpyne-junctions", "approximation", "NetPyNE's loader of saved networks does not rebuild "
                        "junctions", component=projection.id)  # fmt: skip
        pre, post = network.populations[projection.presynaptic], network.populations[projection.postsynaptic]
        title = projection.attributes.get("netpyne_label", projection.id)
        for row in range(len(projection)):
            part = parts[int(projection.synapse[row]) if len(parts) > 1 else 0]
            assert isinstance(part, NativeProcess) and part.peer is not None
            values = {name: float(column[row]) for name, column in projection.values.items()}
            ends = [
                (pre.offset + int(projection.pre[row]),
                 self.place(pre, int(projection.pre_segment[row]), float(projection.pre_fraction[row]))),
                (post.offset + int(projection.post[row]),
                 self.place(post, int(projection.post_segment[row]), float(projection.post_fraction[row]))),
            ]  # fmt: skip
            common = {
                "label": title, "synMech": self.label(part, values, mutual), "delay": 1.0,
                "weight": 1.0 if projection.weight is None else float(projection.weight[row]),
            }  # fmt: skip
            for side, (here, there) in zip(("pre", "post"), (ends[::-1], ends), strict=True):
                pointer = {"source": side, "id": self.pointers, "sourceVar": part.peer[0], "targetVar": part.peer[1]}
                if mutual:
                    pointer["reverseConnId"] = self.pointers + (1 if side == "pre" else -1)
                self.pointers += 1
                self.cells[here[0]]["conns"].append(common | here[1] | {
                    "preGid": there[0], "preSec": there[1]["sec"], "preLoc": there[1]["loc"], "pointer": pointer,
                })  # fmt: skip
                if not mutual:
                    break

    def place(self, population: Population, segment: int, fraction: float) -> dict[str, Any]:
        part = self.network.native[population.component]
        if not isinstance(part, NativeCell):
            return {}
        return {"sec": part.sections[segment if segment >= 0 else part.spike_section].name, "loc": fraction}

    def note_synapse(self, cell: Mapping[str, Any], entry: Mapping[str, Any], part: NativeCell | NativeProcess) -> None:
        """Refuse a synapse on a cell that has no sections."""
        if "sec" not in entry:
            raise UnsupportedError(f"cell {cell['gid']} has no sections, and gets the synapse '{part.id}'")

    def inputs(self, inputs: InputList) -> None:
        population = self.network.populations[inputs.population]
        part = self.part(inputs.component, f"input list '{inputs.id}'")
        if not isinstance(part, NativeProcess):
            raise UnsupportedError(f"input list '{inputs.id}' uses the cell '{part.id}'")
        source = inputs.attributes.get("netpyne_source", inputs.component)
        for row in range(len(inputs)):
            cell = self.cells[population.offset + int(inputs.target[row])]
            taken = {stim["source"] for stim in cell["stims"]}
            label = source if source not in taken else f"{source}_{inputs.id}_{row}"
            place = self.place(population, int(inputs.segment[row]), float(inputs.fraction[row]))
            values = dict(part.parameters) | {name: float(column[row]) for name, column in inputs.values.items()}
            kind = part.mechanism if part.drives is None else "NetStim"
            stim: dict[str, Any] = {"source": label, "type": kind, "label": inputs.id}
            if part.drives is None:
                cell["stims"].append(stim | place | _listed(values))
                continue
            stated = stated_netstim(part.mechanism, values)
            if stated is None:
                raise UnsupportedError(f"input list '{inputs.id}': NetPyNE drives cells by NetStims only, not by a "
                                       f"{part.mechanism}")  # fmt: skip
            cell["stims"].append(stim | stated | {"seed": self.seed_of(inputs.random, row, cell["gid"], inputs.id)})
            cell["conns"].append(place | self.shape(inputs) | {
                "preGid": "NetStim", "preLabel": label, "label": inputs.id, "synMech": part.drives,
                "weight": 1.0 if inputs.weight is None else float(inputs.weight[row]),
                "delay": 0.0 if inputs.delay is None else float(inputs.delay[row]),
            })  # fmt: skip

    def seed_of(self, random: Any, row: int, gid: int, who: str) -> int:
        """The seed of a NetStim; its stream in NetPyNE is made of it, the gid and a word."""
        if random is None:
            return self.seed
        first, second, third = (int(v) for v in random[row])
        if (first, second) != (streams.of_text("NetStim"), gid):
            self.report.add(
                "netpyne-streams", "approximation", "the random streams of the NetStims are others in NetPyNE: its "
                "events come at other times of the same statistics", component=who,
            )  # fmt: skip
        return third

    # the run -------------------------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """simConfig of the network's own simulation; a second in steps of 25 us if it has none."""
        celsius = 6.3 if self.network.temperature is None else round(self.network.temperature - 273.15, 9)
        simulation = settings_in(self.network.simulation)
        traces: dict[str, Any] = {}
        cells: dict[int, None] = {}
        for file in simulation.outputs.files if simulation is not None else ():
            for _, quantity in file.columns:
                self.trace(quantity, traces, cells)
        dt = 0.025 if simulation is None else simulation.dt
        return {
            "duration": 1000.0 if simulation is None else simulation.duration, "dt": dt, "recordStep": dt,
            "hParams": {"celsius": celsius, "v_init": -65.0 if self.rest is None else self.rest, "clamp_resist": 0.001},
            "seeds": {"conn": 1, "stim": 1, "loc": 1, "cell": 1}, "recordTraces": traces, "recordCells": list(cells),
            "recordStim": False, "oneSynPerNetcon": self.apart(),
            "createNEURONObj": True, "createPyStruct": True, "analysis": {}, "verbose": False,
        }  # fmt: skip

    def apart(self) -> bool:
        """Whether each connection has a synapse of its own."""
        parts = [p for p in self.network.native.values() if isinstance(p, NativeProcess) and p.kind == "synapse"]
        return one_each([(p.id, p.mechanism, p.shared) for p in parts], self.report)

    def trace(self, quantity: str, traces: dict[str, Any], cells: dict[int, None]) -> None:
        match = _AT.match(quantity)
        plain = re.match(r"^(?P<population>\w+)\[(?P<row>\d+)\]/v$", quantity)
        found = match or plain
        population = self.network.populations.get(found["population"]) if found else None
        if found is None or population is None:
            self.report.add("netpyne-trace", "loss", f"'{quantity}' is not recorded", component=quantity)
            return
        part = self.network.native[population.component]
        if match:
            rest = match["rest"].split("/")
            spec: dict[str, Any] = {"sec": match["section"], "loc": float(match["loc"]), "var": rest[-1]}
            owner = self.owner(part, rest[0]) if len(rest) == 2 else {}
            if owner is None:
                self.report.add("netpyne-trace", "loss", f"'{quantity}' is not recorded", component=quantity)
                return
            spec |= owner
        else:
            site = part.sections[part.spike_section].name if isinstance(part, NativeCell) else None
            spec = {"var": "v"} | ({"sec": site, "loc": 0.5} if site else {})
        cells[population.offset + int(found["row"])] = None
        traces["_".join(str(value).replace(".", "") for value in spec.values())] = spec


    def owner(self, part: NativeCell | NativeProcess, name: str) -> dict[str, Any] | None:
        """What on a section has a variable, in the words of a trace; None if a trace has no words for it."""
        synapse = re.match(r"^synapses:(?P<id>.+):(?P<number>\d+)$", name)
        if synapse:
            process = self.network.native.get(synapse["id"])
            if not isinstance(process, NativeProcess) or process.kind != "synapse":
                return None
            return {"synMech": synapse["id"], "index": int(synapse["number"])}
        own = [point.mechanism for point in part.points] if isinstance(part, NativeCell) else []
        return {"pointp": f"{name}_{own.index(name)}"} if name in own else {"mech": name}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, list, np.ndarray)) else value


def _listed(values: Mapping[str, float]) -> dict[str, Any]:
    """Parameters with those of one array as a list, as amp of a VClamp."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        match = _INDEXED.match(name)
        if match:
            row = found.setdefault(match["name"], [])
            row += [0.0] * (int(match["index"]) + 1 - len(row))
            row[int(match["index"])] = value
        else:
            found[name] = value
    return found

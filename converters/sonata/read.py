"""From the files of SONATA to a Network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...element import Element
from ...errors import DocumentError, NetworkError
from ...graph import Network, Population, Projection
from ...report import Report
from ..swc import safe_id
from . import inputs
from .cells import Cells
from .config import Config, load, load_json
from .models import OWN_TYPES, PYNN, component_type, intfire1, nest_cell, synapse
from .tables import Array, Table, column, open_hdf5, populations, read_table, read_types

META = "sonata"
"""tag of the network's property that keeps what NeuroML has no place for: types, node sets, parameter files"""
NEST_DELAY = 1.0  # ms, of NEST's static_synapse
SILENT = "silent"
"""the spikeArray of virtual nodes that no spikes are given for"""
POPULATION, TYPE, COLUMN = "sonata_population", "sonata_type", "sonata_column_"
_WHAT = ("model_type", "model_template", "morphology", "dynamics_params", "model_processing")
_PLACES = ("x", "y", "z")
_EDGE_COLUMNS = {
    "syn_weight", "nsyns", "delay", "sec_id", "sec_x", "afferent_section_id", "afferent_section_pos",
    "neuroml_id", "neuroml_pre_segment", "neuroml_pre_fraction", "neuroml_post_segment", "neuroml_post_fraction",
}  # fmt: skip


@dataclass
class Piece:
    """The nodes of one population that are one component: a population of the graph."""

    population: str
    component: str
    element: Element | None
    type_id: int
    rows: Array


@dataclass
class Nodes:
    """A population of SONATA: its table, and for each row its piece and the row there."""

    table: Table
    ids: Array
    pieces: list[Piece]
    piece: Array
    place: Array

    @property
    def instance_ids(self) -> Array:
        """What the graph calls each row: a circuit that came from NeuroML kept the ids of its instances."""
        kept = self.table.columns.get("neuroml_instance_id")
        return self.ids if kept is None else np.where(np.isfinite(kept), kept, self.ids).astype(np.int64)

    def rows(self, ids: Array) -> Array:
        """Rows of node ids, -1 where there is none."""
        order = np.argsort(self.ids, kind="stable")
        at = np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(order) - 1)
        rows = order[at]
        return np.where(self.ids[rows] == ids, rows, -1)


def read(path: Path, report: Report | None = None) -> Network:
    """Read a circuit or a simulation. Raises DocumentError or NetworkError with the file."""
    return Reader(load(path), report if report is not None else Report()).run()


class Reader:
    """What has been read so far."""

    def __init__(self, config: Config, report: Report) -> None:
        self.config, self.report = config, report
        self.cells = Cells(config, report)
        self.nodes: dict[str, Nodes] = {}
        self.taken: set[str] = {SILENT}
        self.parameters: dict[str, dict[str, Any]] = {}
        self.own: dict[str, Any] = config.own
        self.meta: dict[str, Any] = {"nodes": {}, "edges": {}, "parameters": self.parameters}

    def run(self) -> Network:
        config = self.config
        self.own_components()
        spikes = inputs.spike_trains(config, self.report)
        for path, types_path in config.nodes:
            types = read_types(types_path, "node_type_id")
            with open_hdf5(path, "nodes") as (_, group):
                for each in populations(group, path):
                    table = read_table(each, "node", types, path, self.report)
                    self.population(each, table, path, spikes)
        if not self.nodes and not self.own:
            raise DocumentError("the configuration names no file of nodes", file=str(config.main))
        projections: list[Projection] = []
        for path, types_path in config.edges:
            types = read_types(types_path, "edge_type_id")
            with open_hdf5(path, "edges") as (_, group):
                for each in populations(group, path):
                    projections += self.edges(each, read_table(each, "edge", types, path, self.report), path)
        graph = [self.graph(nodes, piece) for nodes in self.nodes.values() for piece in nodes.pieces]
        lists = inputs.input_lists(self)
        folder = safe_id(config.main.parent.resolve().name or "network")
        name = self.own["network"] if "network" in self.own else folder
        self.meta |= {"target_simulator": config.target_simulator, "node_sets": config.node_sets}
        simulation = inputs.simulation(self, str(name))
        celsius = inputs.number(config.simulation.get("conditions"), "celsius")
        meta = Element("property", {"tag": META, "value": json.dumps(self.meta, separators=(",", ":"))})
        extra = [] if self.own.get("nodes") else [meta]
        components = list(self.cells.components.values())
        used = {element.tag for element in components}
        there = {element.get("name") for element in components}
        components = [component_type(n) for n in OWN_TYPES if n in used and n not in there] + components
        kelvin = None if celsius is None else celsius + 273.15
        return Network(
            name, {p.id: p for p in graph}, projections, lists, temperature=kelvin,
            type=None if kelvin is None else "networkWithTemperature", components=components, extra=extra,
            simulation=simulation, file=str(config.main),
        )  # fmt: skip

    def own_components(self) -> None:
        """The components that our own writer put beside the mechanisms."""
        name = self.own.get("components")
        path = self.config.find("mechanisms_dir", name) if isinstance(name, str) else None
        if path is not None:
            from ...neuroml import read_xml

            for element in read_xml(path, self.report).components:
                self.cells.add(element)

    def name(self, *wanted: str) -> str:
        """The first of the names that is free, else the last with a number."""
        for text in wanted:
            id = safe_id(text) if text else ""
            if id and id not in self.taken:
                self.taken.add(id)
                return id
        number, stem = 2, safe_id(wanted[-1])
        while f"{stem}_{number}" in self.taken:
            number += 1
        self.taken.add(f"{stem}_{number}")
        return f"{stem}_{number}"

    # nodes ----------------------------------------------------------------------------------------------------------

    def population(self, group: Any, table: Table, path: Path, spikes: dict[str, Any]) -> None:
        if table.name in self.nodes:
            raise DocumentError(f"the population '{table.name}' is there twice", file=str(path))
        count = len(table)
        ids = column(group, "node_id", count, path) if "node_id" in group else np.arange(count)
        if len(np.unique(ids)) != count:
            raise DocumentError(f"a node_id of '{table.name}' is used twice", file=str(path), component=table.name)
        nodes = Nodes(table, ids.astype(np.int64), [], np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64))
        self.nodes[table.name] = nodes
        self.meta["nodes"][table.name] = {"types": list(table.types.values())}
        keys = [table.type_ids.astype(np.int64)]
        keys += [np.unique([str(v) for v in table.columns[n]], return_inverse=True)[1]
                 for n in _WHAT if n in table.columns]  # fmt: skip
        keys += [np.unique(values, return_inverse=True)[1] for values in table.dynamics.values()]
        first, inverse = np.unique(np.stack(keys, axis=1), axis=0, return_index=True, return_inverse=True)[1:]
        trains = spikes.get(table.name, spikes.get("", {}) if len(self.nodes) == 1 else {})
        for kind, start in enumerate(first):
            rows = np.flatnonzero(inverse.reshape(-1) == kind)
            self.piece(nodes, int(start), rows, trains, alone=len(first) == 1)
        for number, piece in enumerate(nodes.pieces):
            nodes.piece[piece.rows], nodes.place[piece.rows] = number, np.arange(len(piece.rows))

    def piece(self, nodes: Nodes, row: int, rows: Array, trains: dict[int, Array], alone: bool) -> None:
        """The rows of one model as a piece; virtual ones with spikes as a piece each."""
        table = nodes.table
        type_id = int(table.type_ids[row])
        what = {name: table.text(name, type_id, row) for name in _WHAT}
        more = table.types.get(type_id, {})
        own = self.own_of("nodes", table.name, type_id)
        stem = own.get("population") or (table.name if alone else f"{table.name}_{type_id}")
        if what["model_type"] == "virtual" and not what["model_template"]:
            fed = [at for at in rows if int(nodes.ids[at]) in trains]
            for at in fed:
                node = int(nodes.ids[at])
                id = own.get("component") or self.name(f"{table.name}_spikes_{node}")
                element = inputs.spike_array(id, trains[node])
                self.cells.add(element)
                if own:
                    nodes.pieces.append(Piece(self.name(stem), id, element, type_id, rows))
                    return
                name = self.name(f"{table.name}_{node}", f"{table.name}_node_{node}")
                nodes.pieces.append(Piece(name, element.attributes["id"], element, type_id, np.array([at])))
            rest = np.setdiff1d(rows, fed)
            if len(rest):
                element = Element("spikeArray", {"id": own.get("component", SILENT)})
                self.cells.add(element)
                nodes.pieces.append(Piece(self.name(stem), element.attributes["id"], element, type_id, rest))
            return
        id = own.get("component") or self.name(more.get("model_name", ""), f"{table.name}_{type_id}_cell")
        found = self.model(id, what, {n: v[row] for n, v in table.dynamics.items()}, table.file)
        if found is not None:
            self.cells.add(found)
            id = found.get("id") or id
        nodes.pieces.append(Piece(self.name(stem), id, found, type_id, rows))

    def model(self, id: str, what: dict[str, str], dynamics: dict[str, Any], file: str) -> Element | None:
        """The component of a node type; None, with a note, if it is not known here."""
        schema, _, model = what["model_template"].partition(":")
        try:
            if schema == "nml":
                return self.template(id, model, what, file)
            values = self.dynamics(what["dynamics_params"], ("point_neuron_models_dir", "synaptic_models_dir"), id)
            values = {**values, **{k: float(v) for k, v in dynamics.items() if v == v}}
            if schema == "nest":
                cell, rest = nest_cell(model, id, values)
                if cell is not None:
                    if rest:
                        self.report.add("nest-parameter", "loss", f"{model} has {', '.join(sorted(rest))}, which its "
                                        "like in NeuroML has not", component=id, file=file)  # fmt: skip
                    return cell
            elif schema == "pynn":
                return Element(model, {"id": id, **{k: str(v) for k, v in values.items()}})
            elif model == "IntFire1" or what["model_template"] == "IntFire1":
                return intfire1(id, values)
        except ValueError as fault:
            raise DocumentError(f"'{what['dynamics_params']}': {fault}", file=file, component=id) from None
        unknown = what["model_template"] or what["model_type"] or "none"
        self.report.add("no-model", "loss", f"the model '{unknown}' is not known; its cells have no dynamics",
                        component=id, file=file)  # fmt: skip
        return None

    def template(self, id: str, model: str, what: dict[str, str], file: str) -> Element | None:
        directories = ("biophysical_neuron_models_dir", "point_neuron_models_dir", "templates_dir")
        path = next((p for d in directories if (p := self.config.find(d, model))), None)
        if path is None:
            raise DocumentError(f"the template '{model}' is in none of the folders {', '.join(directories)}", file=file,
                                component=id)  # fmt: skip
        morphology = None
        for name in (what["morphology"], f"{what['morphology']}.swc", f"{what['morphology']}.asc"):
            morphology = morphology or self.config.find("morphologies_dir", name if what["morphology"] else "")
        return self.cells.cell(id, path, morphology, what["model_processing"])

    def dynamics(self, name: str, directories: tuple[str, ...], id: str) -> dict[str, Any]:
        """A file of parameters; an absent one is noted."""
        if not name:
            return {}
        for directory in directories:
            path = self.config.find(directory, name)
            if path is not None:
                values = load_json(path)
                self.parameters[name] = values
                return values
        self.report.add("no-parameters", "loss", f"the file of parameters '{name}' is not there; the model's defaults "
                        "stand in for it", component=id, file=str(self.config.main))  # fmt: skip
        return {}

    def graph(self, nodes: Nodes, piece: Piece) -> Population:
        """A piece as a population of the graph."""
        table, rows = nodes.table, piece.rows
        properties = {POPULATION: table.name, TYPE: str(piece.type_id)}
        positions = None
        there = [a for a in _PLACES if a in table.columns and not np.isnan(table.columns[a][rows]).all()]
        if there:
            positions = np.zeros((len(rows), 3))
            for axis, name in enumerate(_PLACES):
                if name in there:
                    positions[:, axis] = np.nan_to_num(table.columns[name][rows])
            if len(there) < 3:
                properties["sonata_axes"] = " ".join(there)
        ids = nodes.instance_ids[rows]
        for name, values in table.columns.items():
            if name in (*_PLACES, *_WHAT, "neuroml_instance_id"):
                continue
            elif all(v is None or v != v for v in values[rows].tolist()):
                continue  # of a group that these rows are not in
            elif values.dtype == object:
                kept = [str(v).replace(" ", "\xa0") if v is not None else "NULL" for v in values[rows]]
                properties[f"{COLUMN}{name}"] = " ".join(kept)
            else:
                properties[f"{COLUMN}{name}"] = " ".join(repr(v) for v in values[rows].tolist())
        turned = any(name.startswith(("rotation_angle", "orientation")) for name in table.columns)
        if turned and piece.element is not None and piece.element.tag == "cell":
            said = "rotations turn cells for electrodes and are kept as properties; NeuroML places cells without them"
            self.report.add("rotation", "approximation", said, component=table.name, file=table.file)
        own = self.own_of("nodes", table.name, piece.type_id)
        if own:
            properties = {k: v for k, v in properties.items() if k.startswith(COLUMN)} | own.get("properties", {})
        return Population(piece.population, piece.component, ids, positions, properties, file=table.file,
                          type="populationList" if positions is not None else None,
                          orientations=_orientations(table.columns, rows))  # fmt: skip

    # edges ----------------------------------------------------------------------------------------------------------

    def ends(self, group: Any, name: str, side: str, path: Path) -> Nodes:
        """The population that an end of the edges is in."""
        dataset = group.get(f"{side}_node_id")
        value = dataset.attrs.get("node_population", dataset.attrs.get("network")) if dataset is not None else None
        text = value.decode() if isinstance(value, bytes) else str(value) if value is not None else ""
        if not text and "_to_" in name:
            text = name.partition("_to_")[0 if side == "source" else 2]
        if text not in self.nodes:
            known = ", ".join(self.nodes)
            raise NetworkError(f"the {side} of the edges '{name}' is the population '{text}', which is not there; "
                               f"there are {known}", file=str(path), component=name)  # fmt: skip
        return self.nodes[text]

    def edges(self, group: Any, table: Table, path: Path) -> list[Projection]:
        name, count = table.name, len(table)
        source, target = self.ends(group, name, "source", path), self.ends(group, name, "target", path)
        rows = {}
        for side, nodes in (("source", source), ("target", target)):
            ids = column(group, f"{side}_node_id", count, path, self.report).astype(np.int64)
            rows[side] = nodes.rows(ids)
            if count and int(rows[side].min()) < 0:
                bad = int(ids[int(np.argmin(rows[side]))])
                raise NetworkError(f"an edge of '{name}' has {side}_node_id {bad}; '{nodes.table.name}' has no such "
                                   f"node ({len(nodes.ids)} nodes)", file=str(path), component=name)  # fmt: skip
        weight, delay = table.number("syn_weight"), table.number("delay")
        copies = table.number("nsyns")
        if copies is not None and np.any(copies[~np.isnan(copies)] != 1):
            weight = np.nan_to_num(copies, nan=1) * (1.0 if weight is None else weight)
            self.report.add("nsyns", "approximation", f"'{name}' has edges that stand for several synapses (nsyns): "
                            "each is one connection with the weight of all", file=str(path))  # fmt: skip
        assumed = 0.0
        if any(p.element is not None and p.element.tag in PYNN for p in target.pieces):
            assumed = NEST_DELAY
            if delay is None or np.isnan(delay).any():
                self.report.add("no-delay", "info", f"edges of '{name}' state no delay; NEST's default of "
                                f"{assumed:g} ms is taken", file=str(path), component=name)  # fmt: skip
                delay = np.full(count, np.nan) if delay is None else delay
        self.left_out(table, path)
        weight = None if weight is None else np.nan_to_num(weight, nan=1)
        delay = None if delay is None else np.nan_to_num(delay, nan=assumed)
        negative = np.zeros(count, dtype=bool) if weight is None else weight < 0
        pre, post = source.piece[rows["source"]], target.piece[rows["target"]]
        types, kind = np.unique(table.type_ids.astype(np.int64), return_inverse=True)
        code = ((kind.reshape(-1) * len(source.pieces) + pre) * len(target.pieces) + post) * 2
        splits = np.array([self.splits(table, int(t), p) for t in types for p in target.pieces], dtype=bool)
        if len(splits):
            code = code + (negative & splits.reshape(len(types), -1)[kind.reshape(-1), post])
        order = np.argsort(code, kind="stable")
        bounds = np.flatnonzero(np.diff(code[order])) + 1
        made: dict[str, int] = {}
        self.meta["edges"][name] = {"source": source.table.name, "target": target.table.name,
                                    "types": list(table.types.values()), "projections": made,
                                    "columns": sorted(table.columns), "delay": assumed}  # fmt: skip
        found = []
        given = table.columns.get("neuroml_id")
        for part in np.split(order, bounds) if count else []:
            at = int(part[0])
            type_id = int(table.type_ids[at])
            a, b = source.pieces[pre[at]], target.pieces[post[at]]
            own = self.own_of("edges", name, type_id)
            id = own.get("projection") or (
                name if len(bounds) == 0 else f"{name}_{type_id}_{a.population}_{b.population}"
            )
            synapse_id = own.get("synapse") or self.synapse(table, type_id, b, bool(negative[at]))
            projection = Projection(
                self.name(id), "chemical", a.population, b.population,
                pre=source.place[rows["source"][part]], post=target.place[rows["target"][part]],
                ids=part if given is None else given[part].astype(np.int64),
                weight=None if weight is None else weight[part] / float(own.get("scale", 1)),
                delay=None if delay is None else delay[part],
                synapses=(synapse_id,), file=str(path), **self.places(table, part, b),
            )  # fmt: skip
            made[projection.id] = type_id
            found.append(projection)
        return found

    def own_of(self, kind: str, name: str, type_id: int) -> dict[str, Any]:
        """The names that our own writer kept of a type, {} for a circuit from elsewhere."""
        found = self.own.get(kind, {}).get(name, {}).get(str(type_id), {})
        return found if isinstance(found, dict) else {}

    def left_out(self, table: Table, path: Path) -> None:
        lost = sorted(set(table.columns) - _EDGE_COLUMNS) + [f"dynamics_params/{n}" for n in sorted(table.dynamics)]
        if lost:
            self.report.add("edge-columns", "loss", f"'{table.name}' has columns that connections in NeuroML have no "
                            f"place for: {', '.join(lost)}", file=str(path), component=table.name)  # fmt: skip
        functions = {row.get("weight_function", "") for row in table.types.values()} - {"", "NULL", "wmax", "None"}
        if functions:
            named = ", ".join(sorted(functions))
            self.report.add("weight-function", "loss", f"weights of '{table.name}' are to be made by {named}; "
                            "syn_weight is taken as it is", file=str(path))  # fmt: skip

    def splits(self, table: Table, type_id: int, piece: Piece) -> bool:
        """Whether negative weights of this type go through another synapse."""
        kind, values = self.edge_model(table, type_id)
        made = synapse(kind, "", piece.element, values, False)
        return made is not None and made[1]

    def edge_model(self, table: Table, type_id: int) -> tuple[str, dict[str, Any]]:
        row = table.types.get(type_id, {})
        name = row.get("dynamics_params", "")
        name = "" if name in ("", "NULL", "NONE") else name
        if name and name not in self.parameters:
            self.parameters[name] = self.dynamics(name, ("synaptic_models_dir",), table.name)
        values = self.parameters.get(name, {})
        template = row.get("model_template", "")
        template = template if template not in ("", "NULL", "NONE") else str(values.get("level_of_detail", ""))
        return template.rpartition(":")[2], values

    def synapse(self, table: Table, type_id: int, piece: Piece, inhibitory: bool) -> str:
        """The id of the synapse component of an edge type on a piece; one component for all that are the same."""
        kind, values = self.edge_model(table, type_id)
        try:
            made = synapse(kind, "", piece.element, values, inhibitory)
        except ValueError as fault:
            raise DocumentError(f"{fault}", file=table.file, component=f"edge type {type_id}") from None
        if made is None:
            self.report.add("no-synapse", "loss", f"the synapse '{kind or 'none'}' of edge type {type_id} onto "
                            f"'{piece.component}' is not known; it has no dynamics", component=table.name,
                            file=table.file)  # fmt: skip
            return safe_id(table.types.get(type_id, {}).get("dynamics_params", "").partition(".")[0] or "unknown")
        element, two = made
        same = {k: v for k, v in element.attributes.items() if k != "id"}
        for other in self.cells.components.values():
            if other.tag == element.tag and {k: v for k, v in other.attributes.items() if k != "id"} == same:
                return other.attributes["id"]
        stem = table.types.get(type_id, {}).get("dynamics_params", "").partition(".")[0]
        stem = stem if stem not in ("", "NULL", "NONE") else f"{table.name}_{type_id}"
        element.attributes["id"] = self.name(f"{stem}_in" if two and inhibitory else stem, f"{stem}_{element.tag}")
        self.cells.add(element)
        return element.attributes["id"]

    def places(self, table: Table, part: Array, piece: Piece) -> dict[str, Any]:
        """Segments and fractions of an edge's ends."""
        found: dict[str, Any] = {}
        for name, key in (("neuroml_pre_segment", "pre_segment"), ("neuroml_post_segment", "post_segment")):
            if name in table.columns:
                found[key] = table.columns[name][part].astype(np.int64)
        for name, key in (("neuroml_pre_fraction", "pre_fraction"), ("neuroml_post_fraction", "post_fraction")):
            if name in table.columns:
                found[key] = table.columns[name][part].astype(np.float64)
        shape = self.cells.shapes.get(piece.component)
        for section, along in (("sec_id", "sec_x"), ("afferent_section_id", "afferent_section_pos")):
            if section not in table.columns or "post_segment" in found:
                continue
            if shape is None:
                if piece.element is not None and piece.element.tag == "cell":
                    self.report.add("no-sections", "loss", f"the sections of '{piece.component}' are not known; its "
                                    "synapses go to segment 0", component=table.name, file=table.file)  # fmt: skip
                continue
            where = table.columns.get(along, np.full(len(table), 0.5))[part].astype(np.float64)
            segment, fraction = inputs.on_sections(
                shape, table.columns[section][part].astype(np.int64), np.nan_to_num(where, nan=0.5),
                table, by_type=section == "sec_id",
            )  # fmt: skip
            found |= {"post_segment": segment, "post_fraction": fraction}
        return found


def _orientations(columns: Mapping[str, Any], rows: Array) -> npt.NDArray[np.float64] | None:
    """Quaternions (n, 4), or Euler angles (radians) about x, then y, then z, as quaternions; None if not stated."""

    def column(name: str, default: float) -> npt.NDArray[np.float64]:
        if name not in columns:
            return np.full(len(rows), default)
        return np.nan_to_num(columns[name][rows].astype(np.float64), nan=default)

    if any(f"orientation_{axis}" in columns for axis in "xyz"):
        found = np.stack([column(f"orientation_{part}", float(part == "w")) for part in "wxyz"], axis=1)
        size = np.linalg.norm(found, axis=1, keepdims=True)
        return np.where(size > 0, found / np.where(size > 0, size, 1), [1.0, 0, 0, 0])
    if not any(f"rotation_angle_{axis}axis" in columns for axis in "xyz"):
        return None
    turned = np.tile([1.0, 0, 0, 0], (len(rows), 1))
    for number, axis in enumerate("xyz"):
        half = column(f"rotation_angle_{axis}axis", 0.0) / 2
        w, rest = np.cos(half), np.zeros((len(rows), 3))
        rest[:, number] = np.sin(half)
        before = turned[:, 1:]
        turned = np.concatenate([
            (w * turned[:, 0] - (rest * before).sum(axis=1))[:, None],
            w[:, None] * before + turned[:, :1] * rest + np.cross(rest, before),
        ], axis=1)  # fmt: skip
    return turned

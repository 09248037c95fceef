"""From a Network to the files of SONATA: a folder that is whole or not there."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...element import Element
from ...files import file_name, new_folder
from ...graph import Network, Population
from ...graph.morphology import Morphology
from ...lems import load_core
from ...report import Report
from ...units import parse_quantity
from ..swc import swc_text
from .models import PYNN, intfire1, nest_cell, number
from .read import META, POPULATION, TYPE
from .tables import Array
from .write_tables import edge_groups, node_places, write_edges, write_nodes, write_spikes

OWN = "nmlbridge"
"""key of the circuit's configuration that keeps the names of NeuroML, for our own reader"""
_SIMULATORS = ("NEURON", "CORENEURON")  # that libsonata lets pass
_SECTIONS = ("soma", "axon", "dend", "apic", "all")
_DIRS = {
    "morphologies_dir": "morphologies", "biophysical_neuron_models_dir": "biophysical_neuron_models",
    "point_neuron_models_dir": "point_neuron_models", "synaptic_models_dir": "synaptic_models",
    "mechanisms_dir": "mechanisms",
}  # fmt: skip


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write a folder with circuit, components and, where there is one, the simulation."""
    report = report if report is not None else Report()
    with new_folder(path) as folder:
        _Writer(network, folder, report).run()


@dataclass
class _Writer:
    network: Network
    folder: Path
    report: Report
    meta: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    node_sets: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    node_of: dict[str, tuple[str, Array]] = field(default_factory=dict)
    """of each population of the graph: its population in SONATA, and the node id of each row"""
    placed: set[str] = field(default_factory=set)
    """ids of components that stand in a file of SONATA's own"""

    def run(self) -> None:
        network = self.network
        self.meta = _meta(network)
        self.node_sets = dict(self.meta.get("node_sets") or {})
        self.components = {e.get("id") or "": e for e in network.components if e.get("id")}
        self.types = [e for e in network.components if not e.get("id") and e.tag not in ("notes", "annotation")]
        self.own = {"network": network.id, "nodes": {}, "edges": {}, "inputs": {}}
        nodes = self.populations()
        edges = self.edges(nodes)
        self.input_lists()
        files = {"nodes": nodes, "edges": edges}
        entries = {
            kind: [{f"{kind}_file": f"$NETWORK_DIR/{n}_{kind}.h5",
                    f"{kind[:-1]}_types_file": f"$NETWORK_DIR/{n}_{kind[:-1]}_types.csv",
                    "populations": {n: {"type": "biophysical" if self.shaped(n, nodes) else "point_neuron"}
                                    if kind == "nodes" else {"type": "chemical"}}}
                   for n in names] for kind, names in files.items()
        }  # fmt: skip
        self.rest()
        circuit = {
            "manifest": {"$NETWORK_DIR": "./network", "$COMPONENT_DIR": "./components"},
            "components": {key: f"$COMPONENT_DIR/{name}" for key, name in _DIRS.items()},
            "networks": entries,
            "node_sets_file": "./node_sets.json",
            OWN: self.own,
        }  # fmt: skip
        if self.meta.get("target_simulator") in _SIMULATORS:
            circuit["target_simulator"] = self.meta["target_simulator"]
        self.json("circuit_config.json", circuit)
        self.json("node_sets.json", self.node_sets)
        simulation = self.simulation()
        config = {"network": "./circuit_config.json"}
        if simulation:
            config["simulation"] = "./simulation_config.json"
            self.json("simulation_config.json", simulation)
        self.json("config.json", config)
        for name in _DIRS.values():
            (self.folder / "components" / name).mkdir(parents=True, exist_ok=True)

    def json(self, name: str, value: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

    def table(self, name: str, key: str, rows: list[dict[str, str]]) -> None:
        """A types file; columns in the order in which they are met, missing values NULL."""
        head = list(dict.fromkeys([key, *(column for row in rows for column in row)]))
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=" ", lineterminator="\n")
        writer.writerow(head)
        writer.writerows([row.get(column) or "NULL" for column in head] for row in rows)
        (self.folder / "network" / name).write_text(stream.getvalue(), encoding="utf-8")

    # nodes ----------------------------------------------------------------------------------------------------------

    def populations(self) -> dict[str, list[Population]]:
        """The graph's populations by the population of SONATA that they are in; its files are written."""
        (self.folder / "network").mkdir()
        groups: dict[str, list[Population]] = {}
        known = self.meta.get("nodes", {})
        for population in self.network.populations.values():
            name = population.properties.get(POPULATION, "")
            groups.setdefault(name if name in known else population.id, []).append(population)
        for name, members in groups.items():
            file_name(name)
            self.node_of |= {id: (name, places) for id, places in node_places(members).items()}
            before = {int(row["node_type_id"]): row for row in known.get(name, {}).get("types", [])}
            rows: dict[int, dict[str, str]] = {}
            types, names = {}, {}
            for population in members:
                type_id = self.type_of(population, before, rows)
                types[population.id] = type_id
                made, standard = self.node_type(population, before.get(type_id, {}))
                rows[type_id] = {"node_type_id": str(type_id)} | made
                if not standard:
                    names[str(type_id)] = {
                        "population": population.id, "component": population.component,
                        "properties": {k: v for k, v in population.properties.items() if not k.startswith("sonata_")},
                    }  # fmt: skip
            for id in [i for i in before if i not in rows]:
                rows[id] = before[id]
            if names:
                self.own["nodes"][name] = names
            self.table(f"{name}_node_types.csv", "node_type_id", list(rows.values()))
            write_nodes(self.folder / "network" / f"{name}_nodes.h5", name, members, types, self.report)
            self.spikes(name, members)
        return groups

    def type_of(self, population: Population, before: dict[int, Any], rows: dict[int, Any]) -> int:
        text = population.properties.get(TYPE, "")
        if text.lstrip("-").isdigit() and int(text) in before:
            return int(text)
        return max([99, *before, *rows]) + 1

    def node_type(self, population: Population, before: dict[str, str]) -> tuple[dict[str, str], bool]:
        """The row of a component in the types file, and whether SONATA alone says all of it."""
        element = self.components.get(population.component)
        if element is None:
            return {"model_type": before.get("model_type", "point_neuron"), **_other(before)}, bool(before)
        id = file_name(population.component)
        if element.tag == "spikeArray":
            self.placed.add(id)
            standard = bool(before) and before.get("model_type") == "virtual"
            return ({"model_type": "virtual"} | before), standard
        schema, _, model = before.get("model_template", "").partition(":")
        parameters = before.get("dynamics_params", "")
        values = self.meta.get("parameters", {}).get(parameters, {})
        made = None
        with suppress(ValueError):
            if schema == "nest":
                made = nest_cell(model, id, values)[0]
            elif model == "IntFire1":
                made = intfire1(id, values)
        if made is not None and made.tag == element.tag and made.attributes == element.attributes:
            self.placed.add(id)
            if parameters and parameters in self.meta.get("parameters", {}):
                self.json(f"components/point_neuron_models/{Path(parameters).name}", values)
            return before, True
        if element.find("morphology") is not None:
            self.cell(element)
            return {"model_type": "biophysical", "model_template": f"nml:{id}.cell.nml", "morphology": id,
                    **_other(before)}, False  # fmt: skip
        self.placed.add(id)
        if element.tag in PYNN:
            numbers = {k: number(v) for k, v in element.attributes.items() if k != "id"}
            self.json(f"components/point_neuron_models/{id}.json",
                      {k: float(v) for k, v in numbers.items() if v is not None})  # fmt: skip
            return {"model_type": "point_neuron", "model_template": f"pynn:{element.tag}",
                    "dynamics_params": f"{id}.json", **_other(before)}, False  # fmt: skip
        self.nml(f"components/point_neuron_models/{id}.nml", [element])
        self.report.add("nml-template", "approximation", f"'{element.tag}' has no name in SONATA: its NeuroML is the "
                        "template, which other programs may not read", component=id)  # fmt: skip
        return {"model_type": "point_neuron", "model_template": f"nml:{id}.nml", **_other(before)}, False

    def cell(self, element: Element) -> None:
        """A biophysical cell as template and morphology file."""
        id = element.get("id") or ""
        if id in self.placed:
            return
        self.placed.add(id)
        self.nml(f"components/biophysical_neuron_models/{id}.cell.nml", [element])
        source = element.find("morphology")
        assert source is not None
        path = self.folder / "components" / "morphologies" / f"{id}.swc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(swc_text(Morphology.from_element(source), self.report, id), encoding="utf-8")

    def nml(self, name: str, elements: list[Element]) -> None:
        from ...neuroml import write_xml

        write_xml(Network(None, components=elements), self.folder / name)

    def shaped(self, name: str, nodes: dict[str, list[Population]]) -> bool:
        return any(p.component in self.components and self.components[p.component].find("morphology") is not None
                   for p in nodes[name])  # fmt: skip

    def rest(self) -> None:
        """Components that SONATA has no file for, in one NeuroML file of our own."""
        left = [e for id, e in self.components.items() if id not in self.placed] + self.types
        if left:
            self.nml("components/mechanisms/components.nml", left)
            self.own["components"] = "components.nml"

    # edges ----------------------------------------------------------------------------------------------------------

    def edges(self, nodes: dict[str, list[Population]]) -> list[str]:
        """Write the chemical projections; the names of the populations of edges."""
        owner = {p.id: name for name, members in nodes.items() for p in members}
        groups = edge_groups(self.network, self.meta.get("edges", {}), owner)
        for name, group in groups.items():
            file_name(name)
            rows: dict[int, dict[str, str]] = {int(row["edge_type_id"]): dict(row) for row in group.before}
            names: dict[str, dict[str, Any]] = {}
            for projection, type_id in group.members:
                standard, scale = self.synapse(projection.synapses, rows.get(type_id), projection.postsynaptic)
                if not standard:
                    rows[type_id] = {"edge_type_id": str(type_id), "target_query": "*", "source_query": "*",
                                     **self.edge_type(projection.synapses)}  # fmt: skip
                    names[str(type_id)] = {"projection": projection.id, "synapse": projection.synapses[0]}
                    if scale != 1:
                        names[str(type_id)]["scale"] = scale
                group.scales[projection.id] = scale
            if names:
                self.own["edges"][name] = names
            write_edges(
                self.folder / "network" / f"{name}_edges.h5", name, group, self.network, nodes, rows, self.report
            )
            self.table(f"{name}_edge_types.csv", "edge_type_id", list(rows.values()))
        return list(groups)

    def synapse(self, synapses: tuple[str, ...], row: dict[str, str] | None, post: str) -> tuple[bool, float]:
        """Whether an existing row of the types file says what the synapse is, and what weights are to be scaled by."""
        from .models import synapse

        element = self.components.get(synapses[0]) if synapses else None
        if row is not None:
            if element is None:
                return True, 1.0
            parameters = row.get("dynamics_params", "")
            values = self.meta.get("parameters", {}).get(parameters, {})
            kind = row.get("model_template", "")
            kind = kind if kind not in ("", "NULL") else str(values.get("level_of_detail", ""))
            cell = self.components.get(self.network.populations[post].component)
            for inhibitory in (False, True):
                made = None
                with suppress(ValueError):
                    made = synapse(kind.rpartition(":")[2], synapses[0], cell, values, inhibitory)
                if made and made[0].tag == element.tag and made[0].attributes == element.attributes:
                    self.placed.add(synapses[0])
                    if parameters in self.meta.get("parameters", {}):
                        self.json(f"components/synaptic_models/{Path(parameters).name}", values)
                    return True, 1.0
        if element is not None and element.tag in ("expTwoSynapse", "expOneSynapse") and element.get("gbase"):
            return False, _si(element.attributes["gbase"]) * 1e6  # NEURON's weights are in uS
        return False, 1.0

    def edge_type(self, synapses: tuple[str, ...]) -> dict[str, str]:
        """Template and parameters of a synapse: NEURON's own where it is one, else NeuroML as a file."""
        id = synapses[0] if synapses else ""
        element = self.components.get(id)
        if element is None or element.tag not in ("expTwoSynapse", "expOneSynapse"):
            self.report.add("nml-synapse", "approximation", f"the synapse '{id}' has no name in SONATA; other programs "
                            "will not know it", component=id)  # fmt: skip
            return {"model_template": f"nml:{id}" if id else "NULL"}
        two = element.tag == "expTwoSynapse"
        names = {"tau1": "tauRise", "tau2": "tauDecay"} if two else {"tau": "tauDecay"}
        file_name(id)
        values: dict[str, Any] = {"level_of_detail": "exp2syn" if two else "expsyn"}
        values |= {name: _si(element.get(to) or "0 ms") * 1e3 for name, to in names.items()}
        values["erev"] = _si(element.get("erev") or "0 mV") * 1e3
        self.json(f"components/synaptic_models/{id}.json", values)
        return {"model_template": "Exp2Syn" if two else "ExpSyn", "dynamics_params": f"{id}.json"}

    # inputs and simulation ------------------------------------------------------------------------------------------

    def spikes(self, name: str, members: list[Population]) -> None:
        """The spikes of virtual nodes as a file."""
        ids, times = [], []
        for population in members:
            element = self.components.get(population.component)
            if element is None or element.tag != "spikeArray":
                continue
            train = [_milliseconds(e.get("time") or "0 ms") for e in element.findall("spike")]
            for node in self.node_of[population.id][1].tolist():
                ids += [node] * len(train)
                times += train
        if times:
            write_spikes(self.folder / "inputs" / f"{name}_spikes.h5", name, ids, times)
            self.node_sets.setdefault(name, {"population": name})
            self.inputs[f"{name}_spikes"] = {
                "input_type": "spikes", "module": "synapse_replay", "delay": 0.0, "duration": max(times) + 1.0,
                "spike_file": f"$INPUT_DIR/{name}_spikes.h5", "input_file": f"$INPUT_DIR/{name}_spikes.h5",
                "node_set": name,
            }  # fmt: skip

    def input_lists(self) -> None:
        """Pulses as current clamps; other inputs under our own key, which other programs do not see."""
        clamps: dict[tuple[str, str], list[int]] = {}
        for inputs in self.network.inputs:
            element = self.components.get(inputs.component)
            population = self.network.populations[inputs.population]
            standard = element is not None and element.tag == "pulseGenerator" and inputs.weight is None
            if standard and not inputs.segment.any() and bool((inputs.fraction == 0.5).all()) and element is not None:
                name = population.properties.get(POPULATION, "")
                name = name if name in self.meta.get("nodes", {}) else population.id
                nodes = population.instance_ids[inputs.target] if name != population.id else inputs.target
                clamps.setdefault((inputs.component, name), []).extend(int(i) for i in nodes)
                if name == population.id:
                    self.own["inputs"][f"{inputs.component}_{name}"] = {
                        "list": inputs.id,
                        "component": inputs.component,
                    }
                continue
            self.report.add("own-input", "approximation", f"'{inputs.component}' is no input of SONATA's; it is kept "
                            "where only nmlbridge looks", component=inputs.id)  # fmt: skip
            columns = {k: v.tolist() for k, v in inputs.columns().items() if v is not None}
            self.own.setdefault("input_lists", []).append(
                {"id": inputs.id, "component": inputs.component, "population": inputs.population, **columns}
            )
        pulses: dict[str, int] = {}
        for component, _ in clamps:
            pulses[component] = pulses.get(component, 0) + 1
        for (component, name), targets in clamps.items():
            block = (
                component if pulses[component] == 1 and name in self.meta.get("nodes", {}) else f"{component}_{name}"
            )
            element = self.components[component]
            self.placed.add(component)
            self.node_sets[f"{block}_nodes"] = {"population": name, "node_id": sorted(targets)}
            self.inputs[block] = {
                "input_type": "current_clamp", "module": "linear", "node_set": f"{block}_nodes",
                **{k: _si(element.get(k) or "0 ms") * 1e3 for k in ("delay", "duration")},
                **{k: _si(element.get("amplitude") or "0 nA") * 1e9 for k in ("amp", "amp_start")},
            }  # fmt: skip

    def simulation(self) -> dict[str, Any]:
        """The simulation's configuration, {} if there is nothing to say."""
        run = next((e for e in self.network.simulation if e.tag == "Simulation"), None)
        if run is None and not self.inputs and self.network.temperature is None:
            return {}
        before = dict(self.meta.get("simulation") or {})
        found: dict[str, Any] = {
            "manifest": {"$OUTPUT_DIR": "./output", "$INPUT_DIR": "./inputs"},
            "network": "./circuit_config.json", "node_sets_file": "./node_sets.json",
        }  # fmt: skip
        if run is not None:
            times = {name: _milliseconds(run.get(key) or "0 ms") for name, key in (("tstop", "length"), ("dt", "step"))}
            seed = {"random_seed": int(run.get("seed") or 0)}
            found["run"] = {**seed, **(before.get("run") or {}), **times} | (seed if run.get("seed") else {})
        elif isinstance(before.get("run"), dict):
            found["run"] = {"random_seed": 0} | before["run"]
        if "run" in found:
            output = {"output_dir": "$OUTPUT_DIR", "spikes_file": "spikes.h5", "spikes_sort_order": "by_time"}
            found["output"] = output | {"log_file": (before.get("output") or {}).get("log_file", "log.txt")}
        conditions = dict(before.get("conditions") or {})
        if self.network.temperature is not None:
            conditions["celsius"] = float(f"{self.network.temperature - 273.15:.12g}")
        if conditions:
            found["conditions"] = conditions
        found["inputs"] = self.inputs
        reports = self.kept_reports(before, found.get("run", {}))
        reports = reports or (self.reports(run) if run is not None else {})
        if reports:
            found["reports"] = reports
        if before.get("target_simulator") in _SIMULATORS:
            found["target_simulator"] = before["target_simulator"]
        return found

    def kept_reports(self, before: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
        """The reports of potentials and concentrations that the circuit came with, with what libsonata wants to see."""
        kept = {}
        for name, report in (before.get("reports") or {}).items():
            if report.get("module", "membrane_report") != "membrane_report":
                self.report.add("report", "loss", f"the report '{name}' by {report.get('module')} is left out")
                continue
            unit = "mM" if str(report.get("variable_name", "")).endswith(("cai", "nai", "ki")) else "mV"
            defaults = {"type": "compartment", "unit": unit, "dt": run.get("dt", 0.1), "start_time": 0.0,
                        "end_time": run.get("tstop", 0.0)}  # fmt: skip
            sections = report.get("sections") if report.get("sections") in _SECTIONS else "soma"
            kept[name] = defaults | report | {"sections": sections}
        return kept

    def reports(self, run: Element) -> dict[str, Any]:
        """Membrane potentials that the simulation records, as one report a population."""
        wanted: dict[str, list[int]] = {}
        for column in (c for file in run.findall("OutputFile") for c in file.findall("OutputColumn")):
            parts = (column.get("quantity") or "").replace("[", "/").replace("]", "").split("/")
            population = self.network.populations.get(parts[0])
            if population is None or parts[-1] != "v" or len(parts) < 3 or not parts[1].isdigit():
                self.report.add("recording", "loss", f"'{column.get('quantity')}' is no report of SONATA's",
                                component=run.get("id"))  # fmt: skip
                continue
            row = population.row_of(int(parts[1]))
            if row is not None:
                name, places = self.node_of[population.id]
                wanted.setdefault(name, []).append(int(places[row]))
        for name, rows in wanted.items():
            self.node_sets[f"recorded_{name}"] = {"population": name, "node_id": sorted(set(rows))}
        if wanted:
            self.json("node_sets.json", self.node_sets)
        return {
            f"membrane_potential_{name}": {"cells": f"recorded_{name}", "variable_name": "v", "type": "compartment",
                                           "module": "membrane_report", "sections": "soma", "unit": "mV",
                                           "dt": _milliseconds(run.get("step") or "0.1 ms"), "start_time": 0.0,
                                           "end_time": _milliseconds(run.get("length") or "0 ms")}
            for name in wanted
        }  # fmt: skip


def _meta(network: Network) -> dict[str, Any]:
    """What our reader kept of a circuit, {} if the network comes from elsewhere."""
    for element in network.extra:
        if element.tag == "property" and element.get("tag") == META:
            with suppress(ValueError):
                value = json.loads(element.get("value") or "")
                if isinstance(value, dict):
                    return value
    return {}


def _other(row: dict[str, str]) -> dict[str, str]:
    """The columns of a types row that do not say what the model is."""
    model = ("node_type_id", "model_type", "model_template", "morphology", "dynamics_params", "model_processing")
    return {k: v for k, v in row.items() if k not in model}


def _si(text: str) -> float:
    return parse_quantity(text, load_core().units)[0]


def _milliseconds(text: str) -> float:
    """A time in ms; of one that is written in ms its very digits."""
    if text.endswith("ms"):
        with suppress(ValueError):
            return float(text[:-2])
    return float(f"{_si(text) * 1e3:.15g}")

"""The model as NetPyNE UI opens it: index.npjson with netParams, simConfig and the mechanisms' mod files.

It is made from the Program that NEURON would run, whose cells, point processes and connections are NetPyNE's own
notions (http://doc.netpyne.org/user_documentation.html): a template is a rule of cellParams, a group of point
processes without connections a stimulation, one with connections a synaptic mechanism with a list of connections. So
NetPyNE computes what nmlbridge computes by implicit steps, spike by spike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...lems import resolve
from ...neuroml import read_document
from ...report import Report
from ...results import requested
from ...simulator.program import Program, is_table

INDEX, MODS = "index.npjson", "mod"
_NET_PARAMS, _CONFIG = "src/netParams.json", "src/cfg.json"


def program_of(model: Path, report: Report | None = None) -> Program:
    """The Program of a LEMS document's simulation, by implicit steps as NetPyNE takes them.

    Raises UnsupportedError for a target that is no network, or that NEURON cannot carry.
    """
    from ...simulator.neuron.lower import Settings, lower

    document = read_document(model, report)
    library = document.library(report)
    components = resolve(document.elements(), library, report)
    simulation = components.simulation(document.target)
    wanted = simulation.references.ids.get("target") or simulation.texts.get("target")
    network = next((n for n in document.networks if n.id == wanted), None)
    if network is None:
        raise UnsupportedError("the simulation's target is no network")
    step, length = (float(f"{simulation.parameters[key] * 1e3:.12g}") for key in ("step", "length"))
    settings = Settings(dt=step, duration=length, second_order=0)
    return lower(network, components, library, settings, requested(simulation), report or Report()).program


def write_index(program: Program, folder: Path) -> list[str]:
    """Write the files below ``folder`` and return their names.

    Raises UnsupportedError, before anything is written, for what NetPyNE's parameters have no place for: gap junctions,
    artificial cells, sources of noise, parameters that differ along a section in other than a mechanism.
    """
    made = _Writer(program)
    content = {
        _NET_PARAMS: {"net": {"params": made.net_params()}},
        _CONFIG: {"simConfig": made.config()},
        INDEX: {"netParams": _NET_PARAMS, "simConfig": _CONFIG, "mod_folder": MODS},
    }
    for name, value in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    (folder / MODS).mkdir(exist_ok=True)
    for name, text in program.mods.items():
        (folder / MODS / name).write_text(text, encoding="utf-8")
    return sorted([*content, *(f"{MODS}/{name}" for name in program.mods)])


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program, self.spec = program, program.spec
        for key, what in (("transfers", "gap junctions"), ("generators", "sources of noise"),
                          ("sources", "several places on a cell that send events")):  # fmt: skip
            if self.spec.get(key):
                raise UnsupportedError(f"the model has {what}, which NetPyNE's parameters have no place for")
        self.populations: list[dict[str, Any]] = list(self.spec["populations"])
        for population in self.populations:
            if "template" not in population:
                raise UnsupportedError(f"population '{population['id']}' has artificial cells")
            if population.get("point_parameters"):
                raise UnsupportedError(f"the cells of population '{population['id']}' have parameters of their own")
        self.templates: list[dict[str, Any]] = list(self.spec["templates"])

    def value(self, item: Any) -> Any:
        """A number, or the column that it stands for."""
        return self.program.column(item) if is_table(item) else item

    def column(self, item: Any, length: int) -> np.ndarray:
        value = np.asarray(self.value(item))
        return np.broadcast_to(value, (length, *value.shape[1:])) if value.ndim else np.full(length, value)

    # cells -------------------------------------------------------------------------------------------------------

    def cell(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """A rule of cellParams."""
        if template.get("points"):
            raise UnsupportedError(f"the cell '{template['id']}' is made of point processes")
        sections = template["sections"]
        starts = np.cumsum([0, *(section["nseg"] for section in sections)])
        secs: dict[str, dict[str, Any]] = {}
        for at, section in enumerate(sections):
            span = slice(starts[at], starts[at + 1])
            geom = {"nseg": section["nseg"], "Ra": section["Ra"],
                    "cm": self.uniform(template.get("cm", 1.0), span, template, "the capacitance")}  # fmt: skip
            if "points" in section:
                geom["pt3d"] = np.asarray(self.value(section["points"]), float).tolist()
            else:
                geom |= {"L": float(section["L"]), "diam": self.uniform(section["diam"], slice(None), template, "diam")}
            secs[section["name"]] = {
                "geom": geom, "mechs": {}, "ions": {},
                "vinit": self.uniform(template.get("v_init", -65.0), span, template, "the starting potential"),
            }  # fmt: skip
            if section["parent"] >= 0:
                secs[section["name"]]["topol"] = {
                    "parentSec": sections[section["parent"]]["name"], "parentX": section["parent_x"],
                    "childX": section.get("child_x", 0.0),
                }  # fmt: skip
        self.insert(template, secs)
        source = template.get("source")
        if source is not None:
            if source["kind"] != "voltage":
                raise UnsupportedError(f"the events of '{template['id']}' are not those of its potential")
            secs[sections[source["section"]]["name"]] |= {"spikeGenLoc": source["x"], "threshold": source["threshold"]}
        return {"conds": {"cellType": template["id"]}, "secs": secs}

    def uniform(self, item: Any, span: slice, template: Mapping[str, Any], what: str) -> float:
        values = np.atleast_1d(self.value(item))
        values = values[span] if len(values) > 1 else values
        if np.ptp(values) > 0:
            raise UnsupportedError(f"{what} of '{template['id']}' differs along a section")
        return float(values[0])

    def insert(self, template: Mapping[str, Any], secs: dict[str, dict[str, Any]]) -> None:
        """Mechanisms with their parameters, per segment where they differ; ions."""
        sections = template["sections"]
        for insert in template.get("inserts", ()):
            lengths = [sections[at]["nseg"] for at in insert["sections"]]
            starts = np.cumsum([0, *lengths])
            for number, at in enumerate(insert["sections"]):
                values: dict[str, Any] = {}
                for name, item in insert["parameters"].items():
                    own = self.column(item, int(starts[-1]))[starts[number] : starts[number + 1]]
                    values[name] = float(own[0]) if np.ptp(own) == 0 else own.tolist()
                secs[sections[at]["name"]]["mechs"][insert["mechanism"]] = values
        for ion in template.get("ions", ()):
            given = {"i": ion.get("internal"), "o": ion.get("external"), "e": ion.get("reversal")}
            if any(is_table(value) for value in given.values()):
                raise UnsupportedError(f"the {ion['ion']} of '{template['id']}' differs along the cell")
            for at in ion["sections"]:
                known = {key: float(value) for key, value in given.items() if value is not None}
                secs[sections[at]["name"]]["ions"][ion["ion"]] = known

    # the network -------------------------------------------------------------------------------------------------

    def net_params(self) -> dict[str, Any]:
        """netParams; cells are placed where the model has them, one by one."""
        pops = {}
        for population in self.populations:
            size = population["size"]
            where = self.column(population.get("positions", 0.0), size)
            where = where if where.ndim == 2 else np.zeros((size, 3))
            pops[population["id"]] = {
                "cellType": self.templates[population["template"]]["id"], "numCells": size,
                "cellsList": [{"x": x, "y": y, "z": z} for x, y, z in where.tolist()],
            }  # fmt: skip
        synapses, stims, targets, connections = self.processes()
        return {
            "cellParams": {template["id"]: self.cell(template) for template in self.templates},
            "popParams": pops, "synMechParams": synapses, "stimSourceParams": stims, "stimTargetParams": targets,
            "connParams": connections, "defaultThreshold": 0.0,
        }  # fmt: skip

    def place(self, gid: int) -> tuple[str, int, Mapping[str, Any]]:
        """Population, row and template of a cell."""
        for population in self.populations:
            if population["first_gid"] <= gid < population["first_gid"] + population["size"]:
                return population["id"], gid - population["first_gid"], self.templates[population["template"]]
        raise UnsupportedError(f"the cell {gid} is in no population")

    def processes(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
        """synMechParams, stimSourceParams, stimTargetParams, connParams."""
        synapses: dict[str, Any] = {}
        stims: dict[str, Any] = {}
        targets: dict[str, Any] = {}
        connections: dict[str, Any] = {}
        driven = {netcon["points"] for netcon in self.spec.get("netcons", ())}
        groups = {group["id"]: group for group in self.spec.get("points", ())}
        for group in groups.values():
            if group.get("random") is not None:
                raise UnsupportedError(f"'{group['id']}' is random")
            if group["id"] in driven:
                synapses[group["id"]] = {"mod": group["mechanism"], **self.constant(group)}
            else:
                self.stimulation(group, stims, targets)
        for number, netcon in enumerate(self.spec.get("netcons", ())):
            if netcon["points"] not in groups:
                raise UnsupportedError("events go straight into cells")
            self.connect(number, netcon, groups[netcon["points"]], connections)
        return synapses, stims, targets, connections

    def constant(self, group: Mapping[str, Any]) -> dict[str, float]:
        found = {}
        for name, item in group["parameters"].items():
            values = np.atleast_1d(self.value(item))
            if np.ptp(values) > 0:
                raise UnsupportedError(f"'{name}' of '{group['id']}' differs from synapse to synapse")
            found[name] = float(values[0])
        return found

    def rows(self, group: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gid = np.atleast_1d(self.value(group["gid"])).astype(int)
        return gid, self.column(group["section"], len(gid)).astype(int), self.column(group["x"], len(gid)).astype(float)

    def stimulation(self, group: Mapping[str, Any], stims: dict[str, Any], targets: dict[str, Any]) -> None:
        """A source for each row: its parameters may be its own."""
        gid, section, x = self.rows(group)
        parameters = {name: self.column(item, len(gid)) for name, item in group["parameters"].items()}
        for row in range(len(gid)):
            name = f"{group['id']}{row}"
            population, index, template = self.place(int(gid[row]))
            stims[name] = {"type": group["mechanism"], **{k: float(v[row]) for k, v in parameters.items()}}
            targets[name] = {
                "source": name, "conds": {"pop": population, "cellList": [index]},
                "sec": template["sections"][section[row]]["name"], "loc": float(x[row]),
            }  # fmt: skip

    def connect(
        self, number: int, netcon: Mapping[str, Any], group: Mapping[str, Any], connections: dict[str, Any]
    ) -> None:
        """Lists of connections, one for each pair of populations and each section."""
        source = np.atleast_1d(self.value(netcon["source_gid"])).astype(int)
        index = self.column(netcon["index"], len(source)).astype(int)
        weight = self.column(netcon["weight"], len(source)).astype(float)
        if weight.ndim > 1:
            if weight.shape[1] > 1 and np.any(weight[:, 1:]):
                raise UnsupportedError(f"the connections to '{group['id']}' have more than one weight")
            weight = weight[:, 0]
        delay = self.column(netcon["delay"], len(source)).astype(float)
        gid, section, x = self.rows(group)
        for row in range(len(source)):
            pre, first, _ = self.place(int(source[row]))
            post, second, template = self.place(int(gid[index[row]]))
            name = template["sections"][section[index[row]]]["name"]
            rule = connections.setdefault(f"{number}:{pre}:{post}:{name}", {
                "preConds": {"pop": pre}, "postConds": {"pop": post}, "synMech": group["id"], "sec": name,
                "connList": [], "weight": [], "delay": [], "loc": [],
            })  # fmt: skip
            rule["connList"].append([first, second])
            rule["weight"].append(float(weight[row]))
            rule["delay"].append(float(delay[row]))
            rule["loc"].append(float(x[index[row]]))

    def config(self) -> dict[str, Any]:
        """simConfig, with what the model records."""
        run = self.spec["run"]
        traces: dict[str, Any] = {}
        cells: dict[str, set[int]] = {}
        for record in self.spec.get("recordings", ()):
            if record.get("variable") == "v" and "section" in record and "gid" in record:
                population, index, template = self.place(record["gid"])
                section = template["sections"][record["section"]]["name"]
                traces[f"V_{section}_{record['x']:g}"] = {"sec": section, "loc": record["x"], "var": "v"}
                cells.setdefault(population, set()).add(index)
        return {
            "duration": run["duration"], "dt": run["dt"], "recordStep": run["dt"], "recordTraces": traces,
            "recordCells": [[population, sorted(rows)] for population, rows in cells.items()],
            "hParams": {"celsius": run["celsius"], "v_init": run.get("v_init") or -65.0}, "oneSynPerNetcon": True,
            "recordCellsSpikes": -1, "verbose": False, "filename": "model_output", "saveJson": True,
            "seeds": {"conn": 1, "stim": run["seed"], "loc": 1}, "connRandomSecFromList": False,
        }  # fmt: skip

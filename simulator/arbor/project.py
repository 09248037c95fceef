"""A model as a project that needs Arbor alone: a recipe script, data, mechanisms. Format "arbor", written only.

Lowering to NEURON says which mechanism is where; here its Program becomes Arbor's cable cells, whose mechanisms are
printed from the same equations in Arbor's dialect. What reads the data is constant Python (``standalone``).
https://docs.arbor-sim.org/en/latest/python/recipe.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...files import new_folder
from ...graph import Network
from ...lems import Component, Model, load_core, resolve
from ...nmodl.arbor import to_arbor
from ...report import Report
from ...results.lems import output_paths
from ..neuron.lower import Lowered
from ..neuron.project import files_of, lowered_of, shown
from ..program import is_table
from .cables import Cables, cables_of

_README = """# {title}

An Arbor project, written by nmlbridge from `{source}`. It needs Python with numpy and Arbor (`pip install arbor`, 0.12
or newer), and CMake with a C++ compiler for the mechanisms; nmlbridge is not needed.

```
pip install arbor
python run.py                  # builds the mechanisms of model/mod the first time; results go to results/
python run.py --duration 50 --dt 0.01 -o other
python run.py --acc cells      # the cells in Arbor's own format
```

It runs {duration:g} ms in steps of {dt:g} ms. Tables have the time (s) first, then the columns in SI units; lists of
events have an id and a time (s) a line. Each compartment is a region `(tag n)`, and a control volume of its own.

What Arbor cannot hold and is left out:

{losses}
"""
_CHARGES = {"na": 1, "k": 1, "ca": 2}


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write the folder. What Arbor has not (abstract cells, inputs that depend on time, gap junctions, synapses that
    send themselves events) is left out with a note of severity "loss".

    Raises UnsupportedError for what is no network or has no cell with a shape, and what lowering to NEURON raises.
    """
    report = report if report is not None else Report()
    before = len(report.notes)
    lowered, run = lowered_of(network, path, report, plain=True)
    output_paths(run.outputs, path)
    model = resolve(network.components, load_core().extended(network.components, Report()), Report())
    project = _Project(network, lowered, model, report)
    document = project.document()
    document |= {"duration": run.duration, "dt": run.dt, "record_every": run.record_every, "seed": run.seed,
                 "files": files_of(run.outputs, lowered)}  # fmt: skip
    losses = [f"- {shown(note.message)}" for note in report.notes[before:] if note.severity == "loss"]
    with new_folder(path) as folder:
        (folder / "model" / "mod").mkdir(parents=True)
        for name, text in project.mods.items():
            (folder / "model" / "mod" / f"{name}.mod").write_text(text, encoding="utf-8")
        (folder / "model" / "model.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        np.savez(folder / "model" / "tables.npz", **project.tables)
        runner = Path(__file__).with_name("standalone.py").read_text(encoding="utf-8")
        (folder / "run.py").write_text(runner, encoding="utf-8")
        (folder / "README.md").write_text(_README.format(
            title=shown(str(network.id)), source=shown(network.file or "a network"), duration=run.duration, dt=run.dt,
            losses="\n".join(losses) or "nothing",
        ), encoding="utf-8")  # fmt: skip


class _Project:
    def __init__(self, network: Network, lowered: Lowered, model: Model, report: Report) -> None:
        self.network, self.lowered, self.model, self.report = network, lowered, model, report
        self.program, self.spec = lowered.program, lowered.program.spec
        self.mods: dict[str, str] = {}
        self.tables: dict[str, Any] = {}
        self.refused: set[str] = set()
        self.cables: list[Cables | None] = []
        self.groups: dict[str, int] = {}
        self.gid_cables: dict[int, Cables] = {}
        self.kept: set[int] = set()

    def loss(self, what: str) -> None:
        self.report.add("arbor", "loss", what, component=str(self.network.id))

    def document(self) -> dict[str, Any]:
        cells = [self.cell(template) for template in self.spec["templates"]]
        populations = [entry for p in self.spec["populations"] if (entry := self.population(p)) is not None]
        if not any("cell" in entry for entry in populations):
            raise UnsupportedError("no cell of this network has a morphology; Arbor's cable cells need one")
        synapses, clamps = self.points()
        found = {
            "mechanisms": [], "cells": [cell for cell in cells if cell is not None], "populations": populations,
            "synapses": synapses, "clamps": clamps, "connections": self.connections(),
            "recordings": self.recordings(), "kelvin": self.spec["run"]["celsius"] + 273.15, "ions": self.ions(cells),
        }  # fmt: skip
        found["mechanisms"] = sorted(self.mods)
        return found

    def mechanism(self, name: str) -> str | None:
        """A mechanism's name, if Arbor can have it; it is printed at first sight."""
        if name in self.mods:
            return name
        if name in self.refused:
            return None
        value = self.lowered.mechanisms.get(name)
        try:
            if value is None:
                raise UnsupportedError(f"mechanism '{name}' is NEURON's")
            self.mods[name] = to_arbor(value)
        except UnsupportedError as fault:
            self.refused.add(name)
            self.loss(f"{fault}; it is left out")
            return None
        return name

    # cells ---------------------------------------------------------------------------------------------------------

    def cell(self, template: Mapping[str, Any]) -> dict[str, Any] | None:
        """A cell with a shape; None for an abstract one, which is a point process on a stand-in section."""
        if template["points"]:
            self.cables.append(None)
            return None
        cables = cables_of(template, self.program)
        self.cables.append(cables)
        cm, v_init = self.along(template["cm"], sum(cables.nseg)), self.along(template["v_init"], sum(cables.nseg))
        compartments, at = [], 0
        for number, section in enumerate(template["sections"]):
            for tag in cables.tags(number):
                compartments.append([tag, cm[at], float(section["Ra"]), v_init[at]])
                at += 1
        source = template["source"]
        return {
            "segments": cables.segments, "compartments": compartments, "paints": self.paints(template, cables),
            "ions": self.cell_ions(template, cables),
            "detector": {"tag": cables.tag(source["section"], source["x"]), "threshold": source["threshold"]},
        }  # fmt: skip

    def along(self, value: Any, count: int) -> list[float]:
        column = self.program.column(value) if is_table(value) else np.asarray(value)
        return [float(v) for v in np.broadcast_to(np.asarray(column, float).reshape(-1), (count,))]

    def paints(self, template: Mapping[str, Any], cables: Cables) -> list[dict[str, Any]]:
        """Mechanisms by the compartments that share their parameters."""
        found = []
        for insert in template["inserts"]:
            name = self.mechanism(insert["mechanism"])
            if name is None:
                continue
            tags = [tag for section in insert["sections"] for tag in cables.tags(section)]
            columns = {n: self.along(v, len(tags)) for n, v in insert["parameters"].items()}
            kinds: dict[tuple[float, ...], list[int]] = {}
            for row, tag in enumerate(tags):
                kinds.setdefault(tuple(column[row] for column in columns.values()), []).append(tag)
            for values, members in kinds.items():
                named = dict(zip(columns, values, strict=True))
                found.append({"mechanism": name, "tags": members, "parameters": named})
        return found

    def cell_ions(self, template: Mapping[str, Any], cables: Cables) -> list[dict[str, Any]]:
        found = []
        for ion in template["ions"]:
            tags = [tag for section in ion["sections"] for tag in cables.tags(section)]
            inside = self.along(0.0 if ion.get("internal") is None else ion["internal"], len(tags))
            outside = self.along(0.0 if ion.get("external") is None else ion["external"], len(tags))
            for row, tag in enumerate(tags):
                found.append({"ion": ion["ion"], "tags": [tag], "internal": inside[row], "external": outside[row]})
        return found

    def ions(self, cells: list[dict[str, Any] | None]) -> dict[str, int]:
        names = {ion["ion"] for cell in cells if cell is not None for ion in cell["ions"]}
        names |= {ion.name for name in self.mods for ion in self.lowered.mechanisms[name].ions}
        charges = {ion["ion"]: ion.get("charge") for t in self.spec["templates"] for ion in t["ions"]}
        return {name: int(charges.get(name) or _CHARGES.get(name, 1)) for name in sorted(names)}

    # populations ---------------------------------------------------------------------------------------------------

    def population(self, population: Mapping[str, Any]) -> dict[str, Any] | None:
        entry: dict[str, Any] = {"id": population["id"], "first": population["first_gid"], "size": population["size"]}
        gids = range(population["first_gid"], population["first_gid"] + population["size"])
        if "template" in population:
            cables = self.cables[population["template"]]
            if cables is None:
                # its gids stay, as sources that send nothing: every other number means what it did
                self.loss(f"population '{population['id']}' is of abstract cells, which Arbor's cable cells cannot be; "
                          "it is silent")  # fmt: skip
                return entry | {"schedule": self.train(population["id"], np.zeros(0), np.zeros(0))}
            self.gid_cables |= dict.fromkeys(gids, cables)
            self.kept.update(gids)
            place = sum(known is not None for known in self.cables[: population["template"]])
            return entry | {"cell": place}
        self.kept.update(gids)
        return entry | {"schedule": self.schedule(population)}

    def schedule(self, population: Mapping[str, Any]) -> dict[str, Any]:
        """When an artificial cell sends."""
        id = population["id"]
        if "trains" in population:
            rows, times = (self.program.column(population["trains"][name]) for name in ("rows", "times"))
            return self.train(id, rows, times)
        component = self.component(self.network.populations[id].component)
        kind, values = component.type.name, component.parameters
        if kind == "spikeGenerator":
            return {"kind": "regular", "start": values["period"] * 1e3, "interval": values["period"] * 1e3}
        if kind == "spikeGeneratorPoisson":
            return {"kind": "poisson", "rate": values["averageRate"]}
        self.loss(f"population '{id}': Arbor has no source like a {kind}; it is silent")
        return self.train(id, np.zeros(0), np.zeros(0))

    def train(self, id: str, rows: Any, times: Any) -> dict[str, Any]:
        return {"kind": "explicit", "rows": self.table(f"{id}.rows", np.asarray(rows, np.int64)),
                "times": self.table(f"{id}.times", np.asarray(times, float))}  # fmt: skip

    def table(self, name: str, column: Any) -> str:
        self.tables[name] = column
        return name

    def component(self, id: str) -> Component:
        return self.model.component(id)

    # points and connections ----------------------------------------------------------------------------------------

    def points(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        synapses: list[dict[str, Any]] = []
        clamps: list[dict[str, Any]] = []
        for group in self.spec["points"]:
            gid, section, x = (self.program.column(group[name]) for name in ("gid", "section", "x"))
            component = self.component(group["id"].split(":")[1])
            shaped = np.array([int(g) in self.gid_cables for g in gid], bool)
            tags = np.array([self.gid_cables[int(g)].tag(int(s), float(p)) if ok else -1
                             for g, s, p, ok in zip(gid, section, x, shaped, strict=True)])  # fmt: skip
            if component.type.name == "pulseGenerator":
                weights = self.along(group["parameters"].get("weight_", 1.0), len(gid))
                p = component.parameters
                clamps += [
                    {"gid": int(gid[row]), "tag": int(tags[row]), "start": p["delay"] * 1e3,
                     "duration": p["duration"] * 1e3, "current": p["amplitude"] * 1e9 * weights[row]}
                    for row in np.flatnonzero(shaped)
                ]  # fmt: skip
                continue
            name = self.mechanism(group["mechanism"])
            if name is None:
                continue
            if not shaped.all():
                self.loss(f"'{component.id}' on abstract cells is left out")
            self.groups[group["id"]] = len(synapses)
            key = group["id"]
            # rows keep their numbers; those on no cable cell have a gid that nothing is placed on
            gids = np.where(shaped, gid, -1)
            columns = {"gid": self.table(f"{key}.gid", gids), "tag": self.table(f"{key}.tag", tags)}
            single = {}
            for parameter, value in group["parameters"].items():
                if is_table(value):
                    columns[parameter] = self.table(f"{key}.{parameter}", self.program.column(value).astype(float))
                else:
                    single[parameter] = float(value)
            synapses.append({"mechanism": name, "parameters": single, "columns": columns})
        if self.spec["transfers"]:
            self.loss("gap junctions and analogue synapses are left out")
        if self.spec["generators"]:
            self.loss("sources that drive a synapse by themselves are left out")
        return synapses, clamps

    def connections(self) -> list[dict[str, Any]]:
        found = []
        dt = float(self.spec["run"]["dt"])
        for number, netcon in enumerate(self.spec["netcons"]):
            group = self.groups.get(netcon["points"])
            if group is None:
                continue
            entry = self.spec["points"][[p["id"] for p in self.spec["points"]].index(netcon["points"])]
            index = self.program.column(netcon["index"])
            source = self.program.column(netcon.get("source_cell", netcon["source_gid"]))
            target = self.program.column(entry["gid"])[index]
            weight, delay = (np.asarray(self.along(netcon[name], len(index))) for name in ("weight", "delay"))
            if "source_cell" in netcon:
                self.report.add("arbor-places", "approximation", "spikes leave cells where they are looked for, not at "
                                "the places that connections name", component=str(self.network.id))  # fmt: skip
            if (delay < dt).any():
                self.report.add("arbor-delays", "approximation", f"delays below the step become {dt:g} ms",
                                component=str(self.network.id))  # fmt: skip
            both = np.array([int(t) in self.gid_cables and int(s) in self.kept
                             for s, t in zip(source, target, strict=True)], bool)  # fmt: skip
            columns = {"source": source, "target": target, "row": index, "weight": weight,
                       "delay": np.maximum(delay, dt)}  # fmt: skip
            found.append({"synapses": group, "columns": {
                name: self.table(f"netcon{number}.{name}", column[both]) for name, column in columns.items()
            }})  # fmt: skip
        return found

    def recordings(self) -> list[dict[str, Any]]:
        found = []
        for number, place in enumerate(self.spec["recordings"]):
            cables = self.gid_cables.get(place.get("gid", -1))
            entry = None if cables is None or "section" not in place else self.recording(place)
            if entry is None or cables is None:
                quantity = self.lowered.recordings[number].quantity
                self.loss(f"'{quantity}' is not recorded: Arbor has no probe for it; its column is nan")
                continue
            found.append({"column": number, "gid": int(place["gid"]), "tag": cables.tag(place["section"], place["x"]),
                          "scale": float(place.get("scale", 1.0)), **entry})  # fmt: skip
        return found

    def recording(self, place: Mapping[str, Any]) -> dict[str, Any] | None:
        name, variable = place.get("mechanism"), place["variable"]
        if name is None:
            if variable == "v":
                return {"kind": "v"}
            return {"kind": "internal", "ion": variable[:-1]} if variable[-1:] == "i" else None
        if name in self.mods and variable in self.lowered.mechanisms[name].states:
            return {"kind": "state", "mechanism": name, "variable": variable}
        return None

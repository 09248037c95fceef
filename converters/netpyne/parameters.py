"""What NEURON would run, as NetPyNE's netParams and simConfig.

A Program's parts are NetPyNE's own notions (http://doc.netpyne.org/user_documentation.html): a template is a rule of
cellParams, a group of point processes without connections a stimulation, one with connections a synaptic mechanism with
a list of connections. So NetPyNE computes what nmlbridge computes by implicit steps, spike by spike.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from ...report import Report
from .cell_params import CellParameters
from .courses import stated_shape
from .fields import source_of
from .plasticity import plast_of
from .reacting import rxd_params
from .sources import stated_netstim
from .synapses import one_each

if TYPE_CHECKING:
    from ...simulator.program import Program


class Parameters(CellParameters):
    """netParams, simConfig and mod files of a Program.

    ``positions`` (um) by population, for those that have any; ``attributes`` of projections and input lists by id.
    Raises UnsupportedError for what NetPyNE has no place for; what it does otherwise is noted in ``report``.
    """

    def __init__(
        self, program: Program, report: Report, positions: Mapping[str, Any] = MappingProxyType({}),
        attributes: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        super().__init__(program, report, positions)
        self.attributes = attributes
        self.groups = {group["id"]: group for group in self.spec.get("points", ())}
        self.synapses: dict[str, dict[str, Any]] = {}
        self.labels: dict[str, list[str]] = {}  # of the rows of a group
        self.stims: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, dict[str, Any]] = {}
        self.connections: dict[str, dict[str, Any]] = {}
        self.extra: dict[str, dict[str, Any]] = {}  # populations of sources that are none in the model
        self.extra_first: dict[str, int] = {}

    # synapses and stimulations -----------------------------------------------------------------------------------

    def net_params(self) -> dict[str, Any]:
        """netParams."""
        pops = {population["id"]: self.population(population) for population in self.populations}
        driven = {netcon["points"] for netcon in self.spec.get("netcons", ())}
        driven |= {generator["targets"]["points"] for generator in self.spec.get("generators", ())
                   if generator.get("targets")}  # fmt: skip
        tunnelled = {transfer["points"] for transfer in self.spec.get("transfers", ())}
        for group in self.groups.values():
            if group["id"] in driven | tunnelled:
                self.label(group)
            else:
                self.stimulation(group)
        for number, netcon in enumerate(self.spec.get("netcons", ())):
            self.connect(str(number), netcon, np.atleast_1d(self.value(netcon["source_gid"])).astype(int))
        for number, transfer in enumerate(self.spec.get("transfers", ())):
            self.tunnel(number, transfer)
        for number, generator in enumerate(self.spec.get("generators", ())):
            self.generator(number, generator)
        for number, field in enumerate(self.spec.get("fields", ())):
            self.field(number, field)
        cells = {template["id"]: self.cell(at) for at, template in enumerate(self.templates)}
        extent = [max((abs(cell[axis]) for pop in pops.values() for cell in pop["cellsList"]), default=0.0)
                  for axis in "xyz"]  # fmt: skip
        sizes = {f"size{axis}": max(value, 100.0) for axis, value in zip("XYZ", extent, strict=True)}
        return {
            "cellParams": cells, "popParams": pops | self.extra, "synMechParams": self.synapses,
            "stimSourceParams": self.stims, "stimTargetParams": self.targets, "connParams": self.connections,
            "defaultThreshold": 0.0, **sizes, **self.reactions(),
        }  # fmt: skip

    def reactions(self) -> dict[str, Any]:
        """rxdParams, where there are any that NetPyNE has words for."""
        if "rxd" not in self.spec:
            return {}
        try:
            return {"rxdParams": rxd_params(self.spec["rxd"], self.value, self.spot, self.sections)}
        except UnsupportedError as fault:
            self.report.add("netpyne-rxd", "loss", f"reactions and diffusion are left out: {fault}")
            return {}

    def sections(self, population: str, row: int) -> list[str]:
        """The names of the sections of a cell."""
        return self.names[next(p for p in self.populations if p["id"] == population)["template"]]

    def rows(self, group: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """gid, section and x of each process of a group."""
        gid = np.atleast_1d(self.value(group["gid"])).astype(int)
        return gid, self.column(group["section"], len(gid)).astype(int), self.column(group["x"], len(gid)).astype(float)

    def label(self, group: Mapping[str, Any]) -> None:
        """A synaptic mechanism for each set of parameters that a group has."""
        size = len(np.atleast_1d(self.value(group["gid"])))
        known: dict[tuple[float, ...], str] = {}
        labels = []
        for values in self.rows_of(group, size, group["mechanism"], group["id"]):
            key = tuple(values.values())
            if key not in known:
                known[key] = f"{group['id']}{len(known)}" if known else group["id"]
                self.synapses[known[key]] = {"mod": group["mechanism"], **values}
            labels.append(known[key])
        self.labels[group["id"]] = labels

    def stimulation(self, group: Mapping[str, Any]) -> None:
        """A source for each row: its parameters may be its own."""
        gid, section, x = self.rows(group)
        for row, values in enumerate(self.rows_of(group, len(gid), group["mechanism"], group["id"])):
            name = f"{group['id']}{row}"
            population, index, where = self.spot(int(gid[row]), int(section[row]))
            self.stims[name] = {"type": group["mechanism"], **values}
            self.targets[name] = {"source": name, "conds": {"pop": population, "cellList": [index]}, "sec": where,
                                  "loc": float(x[row])}  # fmt: skip

    # connections -------------------------------------------------------------------------------------------------

    def connect(self, key: str, netcon: Mapping[str, Any], source: np.ndarray) -> None:
        """Lists of connections, one for each pair of populations, section and synaptic mechanism."""
        count = len(source)
        index = self.column(netcon["index"], count).astype(int)
        weight = self.column(netcon["weight"], count).astype(float)
        slot = self._slot(netcon)
        weight = weight[:, slot] if weight.ndim > 1 else weight
        delay = self.column(netcon["delay"], count).astype(float)
        group = self.groups.get(netcon["points"])
        if group is not None:
            gid, section, x = self.rows(group)
            labels = self.labels[group["id"]]
            if slot:
                raise UnsupportedError(f"the connections to '{group['id']}' use another weight than the first")
        direct = next((p for p in self.populations if p["id"] == netcon["points"]), None)
        shape, itself = self.shape(netcon), 0
        for row in range(count):
            pre, first = self.sender(int(source[row]))
            rule: dict[str, Any] = {"preConds": {"pop": pre}} | shape
            learns, plast = self.plast(netcon, row, float(delay[row]))
            rule |= plast
            if group is not None:
                at = int(index[row])
                post, second, name = self.spot(int(gid[at]), int(section[at]))
                rule |= {"synMech": labels[at], "sec": name}
                place = float(x[at])
            else:
                assert direct is not None
                post, second, place = direct["id"], int(index[row]), 0.5
                if "template" in direct:
                    point = self.templates[direct["template"]]["points"][self.ports[direct["template"]][0]]
                    rule |= {"sec": self.names[direct["template"]][point["section"]], "synMech": f"slot{slot}"}
                elif slot:
                    raise UnsupportedError(f"the connections to '{post}' use another weight than the first")
            if (pre, first) == (post, second):
                itself += 1
                continue
            rule["postConds"] = {"pop": post}
            full = f"{key}:{pre}:{post}:{rule.get('sec', '')}:{rule.get('synMech', '')}{learns}"
            rule |= {"connList": [], "weight": [], "delay": [], "loc": []}
            rule = self.connections.setdefault(full, rule)
            rule["connList"].append([first, second])
            rule["weight"].append(float(weight[row]))
            rule["delay"].append(float(delay[row]))
            rule["loc"].append(place)
        if itself:
            self.report.add("netpyne-autapse", "loss", f"{itself} connections of cells to themselves, which NetPyNE's "
                            "lists leave out", component=netcon["points"])  # fmt: skip
        self.mixed()

    def shape(self, netcon: Mapping[str, Any]) -> dict[str, Any]:
        """The shape of the weights of connections, or of what sources lead to."""
        of = netcon.get("course", {}).get("of", "")
        return stated_shape(netcon.get("course"), self.attributes.get(of, {}), of, self.report)

    def plast(self, netcon: Mapping[str, Any], row: int, delay: float) -> tuple[str, dict[str, Any]]:
        """The plast of one connection, and what tells its rule from others."""
        for rule in netcon.get("plastic", ()):
            if not rule["begin"] <= row < rule["end"]:
                continue
            if rule["variable"] is not None:
                self.report.add("netpyne-plasticity", "loss", "its plasticity is left out: its weights are parameters "
                                "of synapses; NetPyNE changes those of connections", component=rule["id"])  # fmt: skip
                return "", {}
            found = plast_of(rule, delay, self.mods, self.report, rule["id"])
            if found is not None:
                return f":{rule['id']}:{found['params'].get('delay', '')}", {"plast": found}
        return "", {}

    def field(self, number: int, field: Mapping[str, Any]) -> None:
        """A potential that is imposed from outside, and the cells that it acts on."""
        run, name = self.spec["run"], f"field{number}"
        template = self.templates[next(p for p in self.populations if p["id"] == field["population"])["template"]]
        if "upright" not in field and any("points" not in section for section in template["sections"]):
            self.report.add("netpyne-fields", "approximation", "sections without 3-D points stand along y in NetPyNE",
                            component=field["population"])  # fmt: skip
        self.stims[name] = source_of(field, self.value, run["duration"], run["dt"])
        self.targets[name] = {"source": name, "conds": {"pop": field["population"],
                                                        "cellList": self.value(field["rows"]).tolist()}}  # fmt: skip

    def sender(self, gid: int) -> tuple[str, int]:
        """Population and row of what sends events."""
        for label, first in self.extra_first.items():
            if first <= gid < first + self.extra[label]["numCells"]:
                return label, gid - first
        population, row = self.place(gid)
        return population["id"], row

    def mixed(self) -> None:
        """Refuse cells of which both a process of their own and synapses get events: NetPyNE sends all to the one."""
        direct = {rule["postConds"]["pop"] for rule in self.connections.values()
                  if str(rule.get("synMech", "")).startswith("slot")}  # fmt: skip
        for rule in self.connections.values():
            if rule["postConds"]["pop"] in direct and not str(rule["synMech"]).startswith("slot"):
                raise UnsupportedError(f"the cells of '{rule['postConds']['pop']}' get events both themselves and at "
                                       "synapses, which NetPyNE does not tell apart")  # fmt: skip

    def tunnel(self, number: int, transfer: Mapping[str, Any]) -> None:
        """Gap junctions: a variable of each synapse follows a potential elsewhere."""
        if transfer["source_variable"] != "v":
            raise UnsupportedError("synapses follow variables of other synapses, which NetPyNE has no place for")
        source = np.atleast_1d(self.value(transfer["source_gid"])).astype(int)
        index = self.column(transfer["index"], len(source)).astype(int)
        pre_section = self.column(transfer["source_section"], len(source)).astype(int)
        pre_x = self.column(transfer["source_x"], len(source)).astype(float)
        gid, section, x = self.rows(self.groups[transfer["points"]])
        for row, at in enumerate(index.tolist()):
            pre, first, before = self.spot(int(source[row]), int(pre_section[row]))
            post, second, after = self.spot(int(gid[at]), int(section[at]))
            label = self.labels[transfer["points"]][at]
            self.synapses[label]["pointerParams"] = {
                "target_var": transfer["variable"], "source_var": "v", "bidirectional": False
            }  # fmt: skip
            rule = self.connections.setdefault(f"gap{number}:{pre}:{before}:{pre_x[row]}:{post}:{after}:{label}", {
                "preConds": {"pop": pre}, "postConds": {"pop": post}, "synMech": label, "sec": after,
                "preSec": before, "preLoc": float(pre_x[row]), "connList": [], "weight": [], "loc": [],
            })  # fmt: skip
            rule["connList"].append([first, second])
            rule["weight"].append(1.0)
            rule["loc"].append(float(x[at]))

    def generator(self, number: int, generator: Mapping[str, Any]) -> None:
        """A source of events for each row: a NetStim of the cell, or a cell of a population beside the model's."""
        targets = generator.get("targets")
        gids = np.atleast_1d(self.value(generator["gid"])).astype(int)
        if not targets or not len(gids):
            return
        parameters = self.rows_of(generator, len(gids), generator["mechanism"], generator["id"])
        stated = [stated_netstim(generator["mechanism"], values) for values in parameters]
        if None in stated:
            first = int(sum(p["size"] for p in self.populations) + sum(p["numCells"] for p in self.extra.values()))
            self.extra_first[f"sources_{number}"] = first
            self.extra[f"sources_{number}"] = {
                "cellModel": generator["mechanism"], "numCells": len(gids), "params": {},
                "cellsList": [{"x": 0.0, "y": 0.0, "z": 0.0, "params": values} for values in parameters],
            }  # fmt: skip
            self.connect(f"source{number}", targets, first + np.arange(len(gids)))
            return
        group = self.groups[targets["points"]]
        gid, section, x = self.rows(group)
        index = self.column(targets["index"], len(gids)).astype(int)
        weight, delay = (self.column(targets[key], len(gids)).astype(float) for key in ("weight", "delay"))
        random = self.value(generator["random"]) if generator.get("random") is not None else None
        shape = self.shape(targets)
        for row, values in enumerate(stated):
            assert values is not None
            at, name = int(index[row]), f"{generator['id']}{row}"
            population, cell, where = self.spot(int(gid[at]), int(section[at]))
            seed = self.seed(random, row, int(gid[at]), generator["id"])
            self.stims[name] = {"type": "NetStim", **values, "seed": seed, **shape}
            self.targets[name] = {
                "source": name, "conds": {"pop": population, "cellList": [cell]}, "sec": where, "loc": float(x[at]),
                "synMech": self.labels[group["id"]][at], "weight": float(weight.reshape(len(gids), -1)[row, 0]),
                "delay": float(delay[row]),
            }  # fmt: skip

    # the run -----------------------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """simConfig, with what the model records."""
        run = self.spec["run"]
        traces: dict[str, Any] = {}
        cells: dict[str, set[int]] = {}
        for record in self.spec.get("recordings", ()):
            spec = self.trace(record)
            if spec is None:
                self.report.add("netpyne-trace", "loss", "columns that are not a variable of a cell are not recorded",
                                component=str(record.get("variable", "")))  # fmt: skip
                continue
            population, row = self.place(int(record["gid"]))
            key = "_".join(str(part).replace(".", "") for part in (population["id"], *spec.values()))
            traces[key] = spec | {"conds": {"pop": population["id"]}}
            cells.setdefault(population["id"], set()).add(row)
        if run.get("cvode"):
            self.report.add("netpyne-cvode", "loss", "variable steps are left out; NetPyNE takes fixed ones")
        return {
            "duration": run["duration"], "dt": run["dt"], "recordStep": run["dt"], "recordTraces": traces,
            "recordCells": [[population, sorted(rows)] for population, rows in cells.items()],
            "hParams": {"celsius": run["celsius"], "v_init": self.rest()},
            "oneSynPerNetcon": one_each([(g["id"], g["mechanism"], bool(g.get("shared"))) for g in self.groups.values()
                                         if g["id"] in self.labels], self.report),
            "allowSelfConns": True, "verbose": False,
            "recordCellsSpikes": [population["id"] for population in self.populations] if self.extra else -1,
            "filename": "model_output", "saveJson": True, "seeds": {"conn": 1, "stim": run["seed"], "loc": 1},
            "connRandomSecFromList": False,
        }  # fmt: skip

    def rest(self) -> float:
        """Where the run starts. Every section says its own; but NEURON hands what gap junctions see over before that,
        so cells with gap junctions decide."""
        values: list[float] = []
        for transfer in self.spec.get("transfers", ()):
            for gid in np.unique(np.asarray(self.value(transfer["source_gid"])).astype(int)).tolist():
                template = self.templates[self.place(gid)[0]["template"]]
                values.append(float(np.atleast_1d(self.value(template.get("v_init", -65.0)))[0]))
        if len(set(values)) > 1:
            self.report.add("netpyne-start", "approximation", "cells with gap junctions start from different "
                            "potentials: in NetPyNE they see each other at one in the first step")  # fmt: skip
        given = self.spec["run"].get("v_init")
        return values[0] if values else -65.0 if given is None else float(given)

    def trace(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """recordTraces' words for a place; None if it has none."""
        if "gid" not in record:
            return None
        population, _ = self.place(int(record["gid"]))
        if record.get("artificial"):
            return {"var": record["variable"]}
        if "template" not in population:
            return None
        at = population["template"]
        if "template_point" in record:
            template = self.templates[at]
            point = template["points"][record["template_point"]]
            sent = self.sends(template) and template["source"]["point"] == record["template_point"]
            label = template["id"] if sent else f"{point['mechanism']}_{record['template_point']}"
            return {"sec": self.names[at][point["section"]], "loc": point["x"], "pointp": label,
                    "var": record["variable"]}  # fmt: skip
        if "section" not in record or "terms" in record:
            return None
        if "species" in record:
            side = next(r.get("side") for r in self.spec["rxd"]["regions"] if r["name"] == record["region"])
            place = {"sec": self.names[at][record["section"]], "loc": record["x"]}
            return place | {"var": f"{record['species']}{side}"} if side else None
        found = {"sec": self.names[at][record["section"]], "loc": record["x"]}
        return found | ({"mech": record["mechanism"]} if "mechanism" in record else {}) | {"var": record["variable"]}

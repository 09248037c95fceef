"""The cells of what NEURON would run, as NetPyNE's cellParams and popParams."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from ...nmodl.files import mechanism_of
from ...registry import resolve_name
from ...report import Report
from . import streams
from .courses import written_rates
from .sources import CHANGING
from .trains import GIVEN, GIVEN_MOD

if TYPE_CHECKING:
    from ...simulator.program import Program

_NEVER = 1e9  # mV; the threshold of cells that send no events
_EVENTS = "NeuroML2_SpikeSource"  # NetPyNE's word for cells whose point process sends the events, in a section "soma"
_UNUSED = """
: NetPyNE calls this on whatever sends events; there is nothing to be done here
PROCEDURE noiseFromRandom() {
}
"""
_OURS = ("NmlbridgeStdp", "NmlbridgeImposed")  # what NetPyNE has other means for
_IDS = ("stream1", "stream2", "stream3")


class CellParameters:
    """The cells and populations of a Program, and mod files that go along.

    ``positions`` (um) by population, for those that have any. Raises UnsupportedError for what NetPyNE has no place
    for; what it does otherwise is noted in ``report``.
    """

    def __init__(self, program: Program, report: Report, positions: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.program, self.spec, self.report, self.positions = program, program.spec, report, positions
        self.mods = {name: text for name, text in program.mods.items() if mechanism_of(text) not in _OURS}
        if self.spec.get("sources"):
            raise UnsupportedError("cells of the model send events from several places; NetPyNE's from one only")
        self.populations: list[dict[str, Any]] = list(self.spec["populations"])
        self.templates: list[dict[str, Any]] = list(self.spec["templates"])
        self.starts = np.array([population["first_gid"] for population in self.populations] or [0])
        self.ports = self._ports()
        self.own = {population["id"]: self._own(population) for population in self.populations if "own" in population}
        self.names = [self._section_names(template) for template in self.templates]

    def _own(self, population: Mapping[str, Any]) -> list[str]:
        """Kinds of cells for a population in which each is one, as templates at the end of the list; their names."""
        entry = resolve_name("nmlbridge.simulator.program:own_template")
        usual = self.templates[population["template"]]["id"]
        names = [f"{usual}_{population['id']}_{row}" for row in range(population["size"])]
        if (port := self.ports.get(population["template"])) is not None:
            self.ports |= dict.fromkeys(range(len(self.templates), len(self.templates) + len(names)), port)
        self.templates += [entry(self.program, population, row) | {"id": name} for row, name in enumerate(names)]
        return names

    def value(self, item: Any) -> Any:
        """A number, or the column that it stands for."""
        return self.program.column(item) if isinstance(item, str) and item.startswith("T:") else item

    def column(self, item: Any, length: int) -> np.ndarray:
        """``length`` values: a column, or a number that is the same for all."""
        value = np.asarray(self.value(item))
        return np.broadcast_to(value, (length, *value.shape[1:])) if value.ndim else np.full(length, value)

    def place(self, gid: int) -> tuple[dict[str, Any], int]:
        """The population of a cell, and its row there."""
        population = self.populations[int(np.searchsorted(self.starts, gid, "right")) - 1]
        return population, gid - population["first_gid"]

    def spot(self, gid: int, section: int) -> tuple[str, int, str]:
        """Population, row and name of the section of a place on a cell."""
        population, row = self.place(gid)
        return population["id"], row, self.names[population["template"]][section]

    # cells -------------------------------------------------------------------------------------------------------

    def _ports(self) -> dict[int, tuple[int, int]]:
        """Templates whose own point process gets events: its index, and the slot of the weight."""
        found: dict[int, tuple[int, int]] = {}
        by_id = {population["id"]: population for population in self.populations}
        for netcon in self.spec.get("netcons", ()):
            population = by_id.get(netcon["points"])
            if population is None or "template" not in population:
                continue
            port = int(netcon.get("template_point", 0)), self._slot(netcon)
            if found.setdefault(population["template"], port)[0] != port[0]:
                raise UnsupportedError(f"events reach several processes of the cells of '{population['id']}'")
            found[population["template"]] = port[0], max(port[1], found[population["template"]][1])
        return found

    def _slot(self, netcon: Mapping[str, Any]) -> int:
        """The one slot of weights that is used."""
        weight = np.asarray(self.value(netcon["weight"]))
        used = np.flatnonzero(np.any(weight != 0, axis=0)) if weight.ndim > 1 else np.zeros(1, int)
        if len(used) > 1:
            raise UnsupportedError(f"the connections to '{netcon['points']}' have more than one weight")
        return int(used[0]) if len(used) else 0

    def _section_names(self, template: Mapping[str, Any]) -> list[str]:
        """Names of sections; NetPyNE looks for a process that sends events in one called soma."""
        names = [str(section["name"]) for section in template["sections"]]
        source = template.get("source") or {}
        if source.get("kind") == "point" and "variable" not in source:
            home = template["points"][source["point"]]["section"]
            if "soma" in names and names[home] != "soma":
                raise UnsupportedError(f"the process of '{template['id']}' that sends events is not on its soma")
            names[home] = "soma"
        return names

    def sends(self, template: Mapping[str, Any]) -> bool:
        """Whether a cell's events are those of a process of its own, not crossings of a threshold."""
        source = template.get("source") or {}
        return source.get("kind") == "point" and "variable" not in source

    def cell(self, at: int) -> dict[str, Any]:
        """A rule of cellParams."""
        template, names = self.templates[at], self.names[at]
        sections = template["sections"]
        starts = np.cumsum([0, *(section["nseg"] for section in sections)])
        secs: dict[str, dict[str, Any]] = {}
        for number, (section, name) in enumerate(zip(sections, names, strict=True)):
            span = slice(starts[number], starts[number + 1])
            geom = {"nseg": section["nseg"], "Ra": section["Ra"],
                    "cm": self.uniform(template.get("cm", 1.0), span, template, "the capacitance")}  # fmt: skip
            if "points" in section:
                geom["pt3d"] = np.asarray(self.value(section["points"]), float).tolist()
            else:
                geom |= {"L": float(section["L"]), "diam": self.uniform(section["diam"], slice(None), template, "diam")}
            secs[name] = {
                "geom": geom, "mechs": {}, "ions": {}, "topol": {},
                "vinit": self.uniform(template.get("v_init", -65.0), span, template, "the starting potential"),
            }  # fmt: skip
            if section["parent"] >= 0:
                secs[name]["topol"] = {
                    "parentSec": names[section["parent"]], "parentX": section["parent_x"],
                    "childX": section.get("child_x", 0.0),
                }  # fmt: skip
        self.insert(template, names, secs)
        self.processes(at, secs)
        return {"conds": {"cellType": template["id"]}, "secs": secs, "secLists": {}}

    def processes(self, at: int, secs: dict[str, dict[str, Any]]) -> None:
        """The cell's own processes, and where its events come from."""
        template, names = self.templates[at], self.names[at]
        source = template.get("source") or {}
        labels = [f"{point['mechanism']}_{number}" for number, point in enumerate(template.get("points", ()))]
        if self.sends(template):
            labels[source["point"]] = template["id"]
            mod = f"{template['points'][source['point']]['mechanism']}.mod"
            if mod in self.mods and _UNUSED not in self.mods[mod]:
                self.mods[mod] += _UNUSED
        if source.get("kind") == "voltage":
            secs[names[source["section"]]] |= {"spikeGenLoc": source["x"], "threshold": source["threshold"]}
        elif not source:
            secs[names[0]] |= {"spikeGenLoc": 0.5, "threshold": _NEVER}
        for number, point in enumerate(template.get("points", ())):
            entry = {"mod": point["mechanism"], "loc": point["x"], **point["parameters"]}
            section = secs[names[point["section"]]]
            if source.get("kind") == "point" and source["point"] == number and "variable" in source:
                entry["vref"] = source["variable"]
                section["threshold"] = source["threshold"]
            if at in self.ports and self.ports[at][0] == number:
                if "vref" not in entry and not self.sends(template):
                    raise UnsupportedError(f"events reach a process of '{template['id']}' that sends none")
                entry |= {"vref": entry.get("vref", "v"), "synList": self.slots(at)}
            section.setdefault("pointps", {})[labels[number]] = entry

    def slots(self, at: int) -> list[str]:
        """The words by which connections choose a weight of a cell's own process."""
        return [f"slot{slot}" for slot in range(self.ports[at][1] + 1)]

    def uniform(self, item: Any, span: slice, template: Mapping[str, Any], what: str) -> float:
        """The one value of some segments; a mean, and a note, where they differ."""
        values = np.atleast_1d(self.value(item))
        values = values[span] if len(values) > 1 else values
        if np.ptp(values) > 0:
            self.report.add("netpyne-geometry", "loss", f"{what} differs along a section; NetPyNE has one value a "
                            "section, here the mean", component=template["id"])  # fmt: skip
            return float(values.mean())
        return float(values[0])

    def insert(self, template: Mapping[str, Any], names: list[str], secs: dict[str, dict[str, Any]]) -> None:
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
                secs[names[at]]["mechs"][insert["mechanism"]] = values
        for ion in template.get("ions", ()):
            lengths = [sections[at]["nseg"] for at in ion["sections"]]
            starts = np.cumsum([0, *lengths])
            given = {"i": ion.get("internal"), "o": ion.get("external"), "e": ion.get("reversal")}
            for number, at in enumerate(ion["sections"]):
                known: dict[str, Any] = {}
                for key, item in given.items():
                    if item is not None:
                        own = self.column(item, int(starts[-1]))[starts[number] : starts[number + 1]]
                        known[key] = float(own[0]) if np.ptp(own) == 0 else own.tolist()
                secs[names[at]]["ions"][ion["ion"]] = known

    # populations -------------------------------------------------------------------------------------------------

    def population(self, population: Mapping[str, Any]) -> dict[str, Any]:
        """popParams of a population: every cell by itself, where the model has it."""
        size, id = population["size"], population["id"]
        where = np.asarray(self.positions.get(id, np.zeros((size, 3))))
        cells = [{"x": x, "y": -y if y else 0.0, "z": z} for x, y, z in where.tolist()]  # NetPyNE's y is a depth
        found: dict[str, Any] = {"numCells": size, "cellsList": cells}
        if "template" in population:
            template = self.templates[population["template"]]
            found["cellType"] = template["id"]
            if id in self.own:
                cells = [cell | {"cellType": kind} for cell, kind in zip(cells, self.own[id], strict=True)]
            if self.sends(template):
                found["originalFormat"] = _EVENTS
                cells = [cell | {"cellLabel": row} for row, cell in enumerate(cells)]
            own = list(population.get("point_parameters", ()))
            if len(own) > 1 or (own and len(template["points"]) > 1):
                raise UnsupportedError(f"several processes of the cells of '{id}' have parameters of their own")
            for each in own:
                mechanism = template["points"][each["point"]]["mechanism"]
                rows = self.rows_of(each, size, mechanism, id)
                cells = [cell | {"params": values} for cell, values in zip(cells, rows, strict=True)]
            return found | {"cellsList": cells}
        if "trains" in population:
            return found | self.played(population, cells)
        parameters: list[dict[str, Any]] = self.rows_of(population, size, population["artificial"], id)
        if population["artificial"] == "NetStim":
            random = self.value(population["random"]) if population.get("random") is not None else None
            for row, values in enumerate(parameters):
                values["seed"] = self.seed(random, row, population["first_gid"] + row, id)
        self.changing(population, parameters)
        cells = [cell | {"params": values} for cell, values in zip(cells, parameters, strict=True)]
        return found | {"cellModel": population["artificial"], "params": {}, "cellsList": cells}

    def changing(self, population: Mapping[str, Any], parameters: list[dict[str, Any]]) -> None:
        """Put into the parameters of sources how their intervals change in time."""
        course = population.get("course")
        if course is None:
            return
        if (course["variable"], population["artificial"]) != ("interval", "NetStim"):
            self.report.add("netpyne-course", "loss", f"how its {course['variable']} changes in time is left out: "
                            "NetPyNE changes intervals of NetStims only", component=population["id"])  # fmt: skip
            return
        times, values = self.value(course["times"]), self.value(course["values"])
        for row, found in enumerate(parameters):
            found["rates"] = written_rates(times, values if values.ndim == 1 else values[row])

    def rows_of(self, part: Mapping[str, Any], size: int, mechanism: str, who: str) -> list[dict[str, float]]:
        """Parameters row by row; those of a random process include the ids of its stream."""
        columns = {name: self.column(item, size).tolist() for name, item in part.get("parameters", {}).items()}
        if part.get("random") is not None and mechanism not in ("NetStim", CHANGING):
            if self.seeded(mechanism, part.get("rng", "rng")):
                ids = np.asarray(self.value(part["random"]))
                columns |= {name: ids[:, at].tolist() for at, name in enumerate(_IDS)}
            else:
                self.noise(who)
        return [{name: column[row] for name, column in columns.items()} for row in range(size)]

    def seeded(self, mechanism: str, rng: str) -> bool:
        """Give a mechanism parameters for the ids of its random stream, which NetPyNE sets as any others."""
        name = f"{mechanism}.mod"
        text = self.program.mods.get(name, "")
        lines = text.split("\n")
        if f"    RANDOM {rng}" not in lines or "INITIAL {" not in lines or any(id in text for id in _IDS):
            return False
        names = ", ".join(_IDS)
        at = lines.index(f"    RANDOM {rng}")
        lines.insert(at, f"    RANGE {names}")
        at = lines.index("INITIAL {")
        after = at + 2 if lines[at + 1].strip().startswith("LOCAL ") else at + 1
        lines[after:after] = [f"    random_setids({rng}, {names})", f"    random_setseq({rng}, 0)"]
        lines[at:at] = ["PARAMETER {", *(f"    {id} = 0" for id in _IDS), "}", ""]
        self.mods[name] = "\n".join(lines)
        return True

    def played(self, population: Mapping[str, Any], cells: list[dict[str, Any]]) -> dict[str, Any]:
        """A population that sends given events, each cell its own."""
        rows = np.asarray(self.value(population["trains"]["rows"])).astype(int)
        times = np.asarray(self.value(population["trains"]["times"]), float)
        self.mods[GIVEN_MOD] = GIVEN
        trains = ({"params": {}, "spkTimes": np.sort(times[rows == row]).tolist()} for row in range(len(cells)))
        return {"cellModel": "VecStim", "cellsList": [a | b for a, b in zip(cells, trains, strict=True)]}

    def noise(self, who: str) -> None:
        """Say that a process draws other numbers."""
        self.report.add("netpyne-streams", "approximation", "the random streams of NetPyNE are others: the events come "
                        "at other times of the same statistics", component=who)  # fmt: skip

    def seed(self, random: Any, row: int, gid: int, who: str) -> int:
        """The seed of a NetStim; its stream in NetPyNE is made of it, the gid and a word."""
        if random is None:
            return int(self.spec["run"]["seed"])
        first, second, third = (int(v) for v in random[row])
        if (first, second) != (streams.of_text("NetStim"), gid):
            self.noise(who)
        return third

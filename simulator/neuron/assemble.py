"""A Network of what ``live.extract`` found: cells of one make in one population, processes by mechanism and role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...element import Ids
from ...errors import UsageError
from ...graph import InputList, NativeCell, NativeProcess, NativeSection, Network, Population, Projection
from ...graph.native import mechanisms_of
from ...nmodl.builtin import BUILT_IN
from ...nmodl.files import global_parameters, mechanism_of, used, with_globals
from ...nmodl.header import read_header
from ...report import Report
from ...results import Simulation, elements_of, saved

_GRID = 3  # digits of a um to which points of cells of one make agree, for NEURON keeps them in single precision
_INERT = frozenset({"ExpSyn", "Exp2Syn", "APCount"})
"""processes that do nothing where no events arrive"""
_DEFAULT_GLOBALS = {"usetable_hh": 1.0}


def network_of(found: Mapping[str, Any], mods: Mapping[str, str], report: Report, file: str | None) -> Network:
    """The Network. ``mods`` are texts of mod files by name; those that define nothing of the model are left out.

    Raises UsageError if NEURON held no sections, NetworkError for what cannot be a network.
    """
    if not found["cells"]:
        raise UsageError(f"{file or 'NEURON'}: there are no sections, so there is no model to take over")
    return _Assembly(found, mods, report, file).network()


class _Assembly:
    def __init__(self, found: Mapping[str, Any], mods: Mapping[str, str], report: Report, file: str | None) -> None:
        self.found, self.mods, self.report, self.file = found, mods, report, file
        self.ids = Ids(["network"], "n")
        self.native: dict[str, Any] = {}
        self.populations: dict[str, Population] = {}
        self.place: dict[int, tuple[str, int]] = {}  # cell -> population, row
        self.source_place: dict[str, tuple[str, int]] = {}
        self.processes = {p["name"]: (number, p) for number, cell in enumerate(found["cells"])
                          for p in cell["processes"]}  # fmt: skip

    def network(self) -> Network:
        for kind, text in self.found["notes"]:
            self.report.add(f"neuron-{kind}", "loss", text, file=self.file)
        self.cells()
        self.sources()
        projections = self.projections()
        inputs = self.inputs()
        network = Network(
            "network", self.populations, projections, inputs, temperature=self.found["celsius"] + 273.15,
            native=self.native, mods=self.mechanisms(), file=self.file,
        )  # fmt: skip
        cells = [p for p in self.populations.values() if isinstance(self.native[p.component], NativeCell)]
        traces = [f"{p.id}[0]/v" for p in cells]
        spikes = [f"{p.id}[{row}]" for p in cells for row in range(p.size)]
        network.settings = Simulation(
            self.found["tstop"], self.found["dt"], method="implicit", v_init=self.found["v_init"],
            outputs=saved({"v.dat": traces}, spikes),
        )  # fmt: skip
        network.simulation = elements_of(network.settings, "network")
        self.report.add("neuron-code", "info", "what a model's code does during a run (handlers, Vector.play, pointers)"
                        " cannot be seen, and is not taken over", file=self.file)  # fmt: skip
        return network

    # cells ---------------------------------------------------------------------------------------------------------

    def cells(self) -> None:
        spikes = self.spike_places()
        kinds: dict[tuple[Any, ...], tuple[NativeCell, list[int], list[npt.NDArray[np.float64]]]] = {}
        for number, cell in enumerate(self.found["cells"]):
            name = cell["name"] or (Path(self.file).stem if self.file else "cell")
            origin = next((np.array(s["points"][0][:3]) for s in cell["sections"] if "points" in s), np.zeros(3))
            sections = tuple(_section(s, origin) for s in cell["sections"])
            section, x, threshold = spikes.get(number, (0, 0.5, 10.0))
            made = NativeCell(
                name, sections, {n: tuple(m) for n, m in cell["lists"].items()}, spike_section=section, spike_x=x,
                threshold=threshold, moved=True, file=self.file,
            )  # fmt: skip
            rough = tuple(s if s.points is None else replace(s, points=np.round(s.points, _GRID) + 0.0)
                          for s in sections)  # fmt: skip
            kinds.setdefault((name, *replace(made, sections=rough).key), (made, [], []))[1].append(number)
            kinds[(name, *replace(made, sections=rough).key)][2].append(origin)
        for made, members, origins in kinds.values():
            id = self.ids.fresh(made.id)
            alone = len(members) == 1
            if alone:  # its points are as they were, to the last bit
                parts = [_section(s, np.zeros(3)) for s in self.found["cells"][members[0]]["sections"]]
                made = replace(made, sections=tuple(parts), moved=False)
            self.native[id] = replace(made, id=id)
            population = self.ids.fresh(f"{id}_pop")
            self.populations[population] = Population.sized(
                population, id, len(members), positions=None if alone else np.array(origins), file=self.file
            )
            self.place |= {number: (population, row) for row, number in enumerate(members)}

    def spike_places(self) -> dict[int, tuple[int, float, float]]:
        """(section, x, threshold) where NetCons look for the spikes of a cell."""
        found: dict[int, tuple[int, float, float]] = {}
        for connection in self.found["connections"]:
            if "cell" not in connection:
                continue
            number, section, x = connection["cell"]
            here = (section, x, connection["threshold"])
            if found.setdefault(number, here) != here:
                self.report.add("neuron-spikes", "loss", "a cell has spikes at several places or thresholds; the first "
                                f"is kept, not section {section} at {x:g}, {here[2]:g} mV", file=self.file)  # fmt: skip
        return found

    # sources -------------------------------------------------------------------------------------------------------

    def sources(self) -> None:
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for source in self.found["sources"]:
            groups.setdefault(source["mechanism"], []).append(source)
        for mechanism, members in groups.items():
            process, values = self.process(mechanism, "source", [m["parameters"] for m in members])
            random = [m["random"] for m in members]
            known = all(ids is not None and len(ids) == 3 for ids in random)
            id = self.ids.fresh(f"{process}_pop")
            self.populations[id] = Population.sized(
                id, process, len(members), values=values, file=self.file,
                random=np.array(random, np.uint32) if known else None,
            )  # fmt: skip
            self.source_place |= {m["name"]: (id, row) for row, m in enumerate(members)}
            if mechanism == "VecStim":
                self.report.add("neuron-vecstim", "loss", "the events that a VecStim plays cannot be read from NEURON",
                                file=self.file)  # fmt: skip

    def process(self, mechanism: str, kind: str, each: list[Mapping[str, float]]) -> tuple[str, dict[str, Any]]:
        """The id of a process, and the columns of the parameters in which its rows differ."""
        id = self.ids.fresh(mechanism)
        usual = {("delay" if n == "del" else n): float(v) for n, v in each[0].items()}
        columns = {("delay" if n == "del" else n): np.array([one[n] for one in each], float) for n in each[0]}
        self.native[id] = NativeProcess(id, mechanism, kind, usual, file=self.file)
        return id, {n: c for n, c in columns.items() if not (c == usual[n]).all()}

    # connections and inputs ----------------------------------------------------------------------------------------

    def projections(self) -> list[Projection]:
        rows: dict[tuple[str, str, str, int], list[tuple[Any, ...]]] = {}
        arrivals: dict[str, int] = {}
        for connection in self.found["connections"]:
            post = connection["post"]
            if post is None or not connection["weights"]:
                continue  # it records spikes, or nothing arrives
            pre = (
                self.source_place[connection["source"]] if "source" in connection else self.place[connection["cell"][0]]
            )
            slots = [n for n, w in enumerate(connection["weights"]) if w] or [0]
            if len(slots) > 1 or slots[0]:
                self.report.add("neuron-weights", "loss", f"a connection to {post} has several weights; the first is "
                                "kept", file=self.file)  # fmt: skip
            common = (pre[1], connection["weights"][0], connection["delay"])
            if post in self.source_place:
                population, row = self.source_place[post]
                rows.setdefault((pre[0], population, "", 0), []).append((*common, row, 0, 0.5, {}))
                continue
            number, process = self.processes[post]
            population, row = self.place[number]
            arrivals[post] = arrivals.get(post, 0) + 1
            key = (pre[0], population, process["mechanism"], 0)
            rows.setdefault(key, []).append((*common, row, process["section"], process["x"], process["parameters"]))
        for post, count in arrivals.items():
            if count > 1 and self.processes[post][1]["mechanism"] not in _INERT:
                self.report.add(
                    "neuron-shared", "loss", f"{count} connections share {post}, a "
                    f"{self.processes[post][1]['mechanism']}; here each has one of its own", file=self.file,
                )  # fmt: skip
        self.reached = set(arrivals)
        return [self.projection(*key[:3], table) for key, table in rows.items()]

    def projection(self, pre: str, post: str, mechanism: str, table: list[tuple[Any, ...]]) -> Projection:
        sources, weights, delays, targets, sections, places, parameters = zip(*table, strict=True)
        if mechanism:
            synapse, values = self.process(mechanism, "synapse", list(parameters))
        else:
            synapse, values = self.ids.fresh("port"), {}
            self.native[synapse] = NativeProcess(synapse, "", "port", {"point": 0, "slot": 0})
        return Projection(
            self.ids.fresh(f"{pre}_to_{post}"), "chemical", pre, post, np.array(sources), np.array(targets),
            post_segment=np.array(sections), post_fraction=np.array(places, float), weight=np.array(weights, float),
            delay=np.array(delays, float), synapses=(synapse,), values=values, file=self.file,
        )  # fmt: skip

    def inputs(self) -> list[InputList]:
        rows: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        for name, (number, process) in self.processes.items():
            if name in self.reached:
                continue
            if process["mechanism"] in _INERT:
                self.report.add("neuron-idle", "info", f"{name} gets no events and is left out", file=self.file)
                continue
            population, row = self.place[number]
            key = (population, process["mechanism"])
            rows.setdefault(key, []).append((row, process["section"], process["x"], process["parameters"]))
        found = []
        for (population, mechanism), table in rows.items():
            targets, sections, places, parameters = zip(*table, strict=True)
            process, values = self.process(mechanism, "input", list(parameters))
            found.append(InputList(
                self.ids.fresh(f"{process}_{population}"), process, population, np.array(targets),
                segment=np.array(sections), fraction=np.array(places, float), values=values, file=self.file,
            ))  # fmt: skip
        return found

    # mechanisms ----------------------------------------------------------------------------------------------------

    def mechanisms(self) -> dict[str, str]:
        """The mod files that the model uses, with the global parameters that it has set."""
        names = set(mechanisms_of(*self.native.values()))
        taken = used(self.mods, names)
        missing = names - BUILT_IN - {mechanism_of(text) for text in taken.values()}
        if missing:
            self.report.add("neuron-mods", "info", f"the mod files of {', '.join(sorted(missing))} are not at hand; "
                            "the network can be converted, but not run", file=self.file)  # fmt: skip
        for file, text in self.mods.items():
            header = read_header(text)
            if header is None:
                continue
            name, defaults = header.name, global_parameters(text)
            stated = {g: self.found["globals"].get(f"{g}_{name}", v) for g, v in defaults.items()}
            for left in (g for g, v in header.shared.items() if v is None):
                if self.found["globals"].get(f"{left}_{name}"):
                    self.report.add(
                        "neuron-globals", "loss", f"the model sets {left}_{name}, which {file} declares as ASSIGNED; "
                        "declare it as PARAMETER, and it is taken over", file=self.file)  # fmt: skip
            changed = {g: v for g, v in stated.items() if v != defaults[g]}
            if changed and file not in taken:
                self.report.add("neuron-globals", "loss", f"the model sets {', '.join(changed)} of {name}, which is "
                                "nowhere in it, so that is not taken over", file=self.file)  # fmt: skip
            elif changed:
                taken[file] = with_globals(text, changed)
                self.report.add("neuron-globals", "info", f"the model sets {', '.join(changed)} of {name}; they are "
                                f"the defaults of {file} now", file=self.file)  # fmt: skip
        for name, usual in _DEFAULT_GLOBALS.items():
            if name.partition("_")[2] in names and self.found["globals"].get(name, usual) != usual:
                self.report.add("neuron-globals", "loss", f"the model sets {name}, which a network cannot",
                                file=self.file)  # fmt: skip
        return taken


def _section(found: Mapping[str, Any], origin: npt.NDArray[np.float64]) -> NativeSection:
    points = None
    if "points" in found:
        points = np.array(found["points"], float) - np.append(origin, 0.0)
    return NativeSection(
        found["name"], found["parent"], found["parent_x"], found["child_x"], found["L"], _plain(found["diam"]), points,
        found["nseg"], found["Ra"], _plain(found["cm"]),
        {m: {n: _plain(v) for n, v in values.items()} for m, values in found["mechanisms"].items()},
        {ion: {n: _plain(v) for n, v in values.items()} for ion, values in found["ions"].items()},
    )  # fmt: skip


def _plain(values: list[float]) -> Any:
    """One number if all are the same."""
    return values[0] if len(set(values)) == 1 else tuple(values)

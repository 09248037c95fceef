"""NeuroMLlite: networks stated as rules in JSON or YAML, in (rules expanded) and out (what a rule can say).

Specification: https://github.com/NeuroML/NeuroMLlite and https://docs.neuroml.org/Userdocs/NeuroMLlite.html. Rules are
expanded as NeuroMLlite 0.6 does, number by number of Python's generator seeded with the network's seed (1234 if it has
none), so that positions and connections are the same ones. Values may be expressions over the network's parameters.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import random
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..element import Element
from ..errors import DocumentError, NetworkError
from ..files import atomic
from ..graph import InputList, Network, Population, Projection
from ..plain import load_json, read_source
from ..report import Report
from .swc import safe_id

_SEED, _SIMULATION_SEED = 1234, 5678
_QUANTITY = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*[A-Za-z]\w*")
_IAF = {"cm": 1.0, "i_offset": 0.0, "tau_m": 20.0, "tau_refrac": 0.1, "v_init": -65.0, "v_reset": -65.0,
        "v_rest": -65.0, "v_thresh": -50.0}  # fmt: skip
_COND = {**_IAF, "e_rev_E": 0.0, "e_rev_I": -70.0}
_EIF = {"cm": 0.281, "i_offset": 0.0, "tau_syn_E": 5.0, "tau_syn_I": 5.0, "v_init": -70.6, "tau_m": 9.3667,
        "tau_refrac": 0.1, "v_reset": -70.6, "v_rest": -70.6, "v_thresh": -50.4, "e_rev_E": 0.0, "e_rev_I": -80.0,
        "a": 4.0, "b": 0.0805, "delta_T": 2.0, "tau_w": 144.0, "v_spike": -40.0}  # fmt: skip
PYNN_CELLS: dict[str, dict[str, float]] = {
    "IF_curr_alpha": {**_IAF, "tau_syn_E": 0.5, "tau_syn_I": 0.5},
    "IF_curr_exp": {**_IAF, "tau_syn_E": 5.0, "tau_syn_I": 5.0},
    "IF_cond_alpha": {**_COND, "tau_syn_E": 0.3, "tau_syn_I": 0.5},
    "IF_cond_exp": {**_COND, "tau_syn_E": 5.0, "tau_syn_I": 5.0},
    "EIF_cond_alpha_isfa_ista": _EIF, "EIF_cond_exp_isfa_ista": _EIF,
    "HH_cond_exp": {"cm": 0.2, "i_offset": 0.0, "tau_syn_E": 0.2, "tau_syn_I": 2.0, "v_init": -65.0, "v_offset": -63.0,
                    "e_rev_E": 0.0, "e_rev_I": -80.0, "e_rev_K": -90.0, "e_rev_Na": 50.0, "e_rev_leak": -65.0,
                    "g_leak": 0.01, "gbar_K": 6.0, "gbar_Na": 20.0},
}  # fmt: skip
"""PyNN's standard cells with their defaults (ms, mV, nF, nA, uS)."""
_SYNAPSES = {"cond_exp": "expCondSynapse", "cond_alpha": "alphaCondSynapse", "curr_exp": "expCurrSynapse",
             "curr_alpha": "alphaCurrSynapse"}  # fmt: skip
_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": int, "float": float, "abs": abs, "min": min, "max": max, "round": round, "pow": math.pow,
    **{name: getattr(math, name) for name in ("sqrt", "exp", "log", "log10", "sin", "cos", "tan", "ceil", "floor")},
}  # fmt: skip


def read(path: Path, report: Report | None = None) -> Network:
    """A network, or a simulation with its network. Raises DocumentError or NetworkError."""
    report = report if report is not None else Report()
    id, entry = _top(path)
    if "network" not in entry or "populations" in entry:
        return _Expansion(path, id, entry, report).run()
    text = entry["network"]
    if not isinstance(text, str) or Path(text).is_absolute() or "://" in text:
        raise DocumentError(f"network={str(text)[:60]!r} is no relative path", file=str(path), component=id)
    home = path.parent / text
    network = _Expansion(home, *_top(home), report).run()
    network.simulation = _simulation(path, id, entry, network, report)
    return network


def _top(path: Path) -> tuple[str, dict[str, Any]]:
    """The id and content of the one top-level entry."""
    value = load_json(path) if path.suffix.lower() == ".json" else read_source(path).data
    if not isinstance(value, dict) or len(value) != 1 or not isinstance(next(iter(value.values())), dict):
        raise DocumentError("expected one entry at the top, the network or the simulation by its id", file=str(path))
    id, entry = next(iter(value.items()))
    if not {"populations", "network", "network_reader"} & set(entry):
        raise DocumentError("the entry has neither 'populations' nor 'network'; this is no NeuroMLlite", file=str(path),
                            component=str(id))  # fmt: skip
    return str(id), entry


class _Expansion:
    """A network being made from its rules."""

    def __init__(self, path: Path, id: str, entry: dict[str, Any], report: Report) -> None:
        self.path, self.id, self.entry, self.report = path, id, entry, report
        self.parameters: dict[str, Any] = dict(self.part("parameters"))
        seed = entry.get("seed")
        self.rng = random.Random(seed if isinstance(seed, int) else _SEED)
        self.components: dict[str, Element] = {}
        self.populations: dict[str, Population] = {}
        self.pynn: dict[str, dict[str, Any]] = {}

    def refuse(self, message: str, id: str) -> Any:
        raise NetworkError(message, file=str(self.path), component=id)

    def part(self, name: str, owner: dict[str, Any] | None = None) -> dict[str, Any]:
        value = (self.entry if owner is None else owner).get(name) or {}
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            value = {id: entry for each in value for id, entry in each.items()}  # as NeuroMLlite 0.2 and before wrote
        if not isinstance(value, dict):
            self.refuse(f"'{name}' is no object of ids", self.id)
        return dict(value)

    def parts(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for id, value in self.part(name).items():
            if not isinstance(value, dict):
                self.refuse(f"'{id}' of '{name}' is no object", str(id))
            yield str(id), value

    def run(self) -> Network:
        if "network_reader" in self.entry:
            kind = self.part("network_reader").get("type")
            self.refuse(f"the network is to be read by NeuroMLlite's '{kind}', which is not there; convert the file "
                        "that it reads", self.id)  # fmt: skip
        self.cells()
        for id, entry in self.parts("populations"):
            self.populations[id] = self.population(id, entry)
        projections = [p for id, entry in self.parts("projections") if (p := self.projection(id, entry)) is not None]
        inputs = [self.inputs(id, entry) for id, entry in self.parts("inputs")]
        notes = self.entry.get("notes")
        celsius = self.entry.get("temperature")
        warm = isinstance(celsius, (int, float)) and bool(celsius)  # NeuroMLlite takes 0 for none
        kelvin = float(celsius) + 273.15 if isinstance(celsius, (int, float)) and warm else None
        return Network(
            self.id, self.populations, projections, inputs, temperature=kelvin,
            type="networkWithTemperature" if warm else None, components=list(self.components.values()),
            extra=[Element("notes", text=str(notes))] if notes else [], header={"id": self.id}, file=str(self.path),
        )  # fmt: skip

    # values ---------------------------------------------------------------------------------------------------------

    def value(self, text: Any, owner: str) -> Any:
        """A number, or an expression over the parameters; only arithmetic and the functions above.

        A number with a unit ("5 nA") comes back as it is.
        """
        return self._value(text, owner, 0)

    def _value(self, text: Any, owner: str, depth: int) -> Any:
        if not isinstance(text, str):
            return text
        if depth > 20:
            self.refuse(f"'{text[:60]}' is defined by itself", owner)
        try:
            tree = ast.parse(text.strip(), mode="eval").body if len(text) < 2000 else None
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            tree = None
        if tree is None and _QUANTITY.fullmatch(text.strip()):
            return text.strip()
        if tree is None:
            self.refuse(f"'{text[:60]}' is neither an expression nor a number with a unit", owner)
        try:
            return self.evaluate(tree, owner, depth)
        except (ArithmeticError, TypeError, ValueError) as fault:
            self.refuse(f"'{text[:60]}' has no value: {fault}", owner)

    def evaluate(self, node: Any, owner: str, depth: int) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return node.value
        if isinstance(node, ast.Name):
            if node.id in self.parameters:
                return self._value(self.parameters[node.id], owner, depth + 1)
            if node.id in ("pi", "e"):
                return getattr(math, node.id)
            self.refuse(f"'{node.id}' is no parameter of the network; there are {', '.join(self.parameters)}", owner)
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](self.evaluate(node.operand, owner, depth))
        if isinstance(node, ast.BinOp):
            left, right = self.evaluate(node.left, owner, depth), self.evaluate(node.right, owner, depth)
            if isinstance(node.op, ast.Pow):
                return math.pow(left, right)
            if type(node.op) in _OPERATORS:
                return _OPERATORS[type(node.op)](left, right)
        if isinstance(node, ast.Call) and not node.keywords:
            name = ast.unparse(node.func).removeprefix("math.").removeprefix("numpy.").removeprefix("rng.")
            values = [self.evaluate(argument, owner, depth) for argument in node.args]
            if name in ("random", "random.random"):
                return self.rng.random()
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](*values)
        self.refuse(f"'{ast.unparse(node)[:60]}' is not allowed in an expression", owner)

    def number(self, owner: dict[str, Any], name: str, default: float, id: str) -> float:
        value = self.value(owner.get(name), id)
        if value is None:
            return default
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            self.refuse(f"{name}={str(value)[:40]!r} is no number", id)
        return found

    # components -----------------------------------------------------------------------------------------------------

    def cells(self) -> None:
        for group in ("cells", "synapses", "input_sources"):
            for id, entry in self.parts(group):
                values = {k: self.value(v, id) for k, v in self.part("parameters", entry).items()}
                self.component(id, entry, values)

    def component(self, id: str, entry: dict[str, Any], values: dict[str, Any]) -> None:
        cell, kind, source = entry.get("pynn_cell"), entry.get("pynn_synapse_type"), entry.get("pynn_input")
        if cell in PYNN_CELLS:
            numbers = PYNN_CELLS[cell] | self.plain(values, id)
            if "v_rest" in numbers and "v_init" not in values:
                numbers["v_init"] = numbers["v_rest"]
            self.components[id] = Element(cell, {"id": id, **{k: repr(v) for k, v in numbers.items()}})
        elif cell == "SpikeSourcePoisson":
            numbers = {"start": 0.0, "duration": 1e10, "rate": 1.0} | self.plain(values, id)
            units = {"start": "ms", "duration": "ms", "rate": "Hz"}
            self.components[id] = Element(cell, {"id": id, **{k: f"{numbers[k]!r} {u}" for k, u in units.items()}})
        elif kind in _SYNAPSES:
            names = ("tau_syn", "e_rev") if kind.startswith("cond") else ("tau_syn",)
            defaults = {"tau_syn": 5.0, "e_rev": 0.0}
            given = defaults | self.plain(values, id)
            numbers = {n: given[n] for n in names}
            self.components[id] = Element(_SYNAPSES[kind], {"id": id, **{k: repr(v) for k, v in numbers.items()}})
            self.pynn[id] = {**numbers, "end": "I" if entry.get("pynn_receptor_type") == "inhibitory" else "E"}
        elif source == "DCSource":
            numbers = {"start": 0.0, "stop": 1e10, "amplitude": 1.0} | self.plain(values, id)
            length = numbers["stop"] - numbers["start"]
            self.components[id] = Element("pulseGenerator", {"id": id, "delay": f"{numbers['start']!r} ms",
                                                             "duration": f"{length!r} ms",
                                                             "amplitude": f"{numbers['amplitude']!r} nA"})  # fmt: skip
        elif (file := entry.get("neuroml2_source_file") or entry.get("lems_source_file")) is not None:
            self.file(id, str(file), values)
        elif (named := entry.get("neuroml2_cell") or entry.get("neuroml2_input")) is not None:
            self.components[id] = Element(self.core_type(str(named), id), {"id": id, **_texts(values)})
        else:
            known = [k for k in entry if k != "parameters"]
            self.report.add("no-model", "loss", f"{', '.join(known) or 'nothing'} says nothing that NeuroML could "
                            "hold; it is left out", component=id, file=str(self.path))  # fmt: skip

    def plain(self, values: dict[str, Any], id: str) -> dict[str, float]:
        """The parameters of something of PyNN's, which have no units."""
        return {name: self.number(values, name, 0.0, id) for name in values}

    def core_type(self, name: str, id: str) -> str:
        """NeuroML's name for a class of libNeuroML: the same, but for capitals."""
        from ..lems import load_core

        known = {type.lower(): type for type in load_core().type_names}
        if name.lower() not in known:
            near = get_close_matches(name.lower(), known, n=1)
            self.refuse(f"'{name}' is no type of NeuroML" + (f"; did you mean '{known[near[0]]}'?" if near else ""), id)
        return known[name.lower()]

    def file(self, id: str, name: str, values: dict[str, Any]) -> None:
        """The components of a NeuroML or LEMS file; parameters override the attributes of the one with this id."""
        from ..neuroml import read_document

        if Path(name).is_absolute() or "://" in name:
            self.refuse(f"'{name}' is no relative path", id)
        path = self.path.parent / name
        if not path.is_file():
            self.report.add("no-file", "loss", f"the file '{name}' is not there; the component is left out",
                            component=id, file=str(self.path))  # fmt: skip
            return
        for element in read_document(path, self.report).elements():
            if element.tag in ("notes", "annotation", "Target", "Simulation", "network"):
                continue
            if element.get("id") == id and values:
                element.attributes |= _texts(values)
            self.components.setdefault(element.get("id") or element.get("name") or element.tag, element)

    # populations, projections, inputs -------------------------------------------------------------------------------

    def population(self, id: str, entry: dict[str, Any]) -> Population:
        size = self.value(entry.get("size"), id)
        if not isinstance(size, (int, float)) or size != int(size) or not 0 <= size < 1 << 40:
            self.refuse(f"size={str(size)[:40]!r} is no whole number", id)
        count = int(size)
        properties = {str(k): str(v) for k, v in self.part("properties", entry).items()}
        positions = None
        if "random_layout" in entry or "relative_layout" in entry:
            layout = self.part("random_layout" if "random_layout" in entry else "relative_layout", entry)
            region: Any = self.part("regions").get(layout.get("region", ""))
            if not isinstance(region, dict):
                self.refuse(f"the layout names the region '{layout.get('region')}', which is not there", id)
            properties["region"] = str(layout["region"])
            corner = [self.number(region, axis, 0.0, id) for axis in "xyz"]
            if "random_layout" in entry:
                sides = [self.number(region, name, 0.0, id) for name in ("width", "height", "depth")]
                positions = np.array([[c + self.rng.random() * s for c, s in zip(corner, sides, strict=True)]
                                      for _ in range(count)]).reshape(-1, 3)  # fmt: skip
            else:
                shift = [self.number(layout, axis, 0.0, id) for axis in "xyz"]
                positions = np.tile(np.array(corner) + shift, (count, 1))
        elif "single_location" in entry:
            place = self.part("location", self.part("single_location", entry))
            positions = np.tile([self.number(place, axis, 0.0, id) for axis in "xyz"], (count, 1))
        component = entry.get("component")
        if not isinstance(component, str):
            self.refuse("the population names no component", id)
        kind = "populationList" if positions is not None else None
        return Population(id, str(component), np.arange(count), positions, properties, kind, file=str(self.path))

    def named(self, entry: dict[str, Any], name: str, id: str) -> Population:
        found = self.populations.get(str(entry.get(name)))
        if found is None:
            self.refuse(f"{name}='{entry.get(name)}' names no population; there are {', '.join(self.populations)}", id)
        assert found is not None
        return found

    def projection(self, id: str, entry: dict[str, Any]) -> Projection | None:
        pre, post = self.named(entry, "presynaptic", id), self.named(entry, "postsynaptic", id)
        synapse = str(entry.get("synapse"))
        if synapse in self.pynn and post.component in self.components:
            self.tell(self.components[post.component], self.pynn[synapse])

        def drawn() -> tuple[float, float]:
            delay = self.number(entry, "delay", 0.0, id) if entry.get("delay") else 0.0
            return delay, self.number(entry, "weight", 1.0, id) if entry.get("weight") else 1.0

        delay, weight = drawn()
        if weight == 0:
            return None
        rows: list[tuple[int, int, float, float]] = []
        if "random_connectivity" in entry:
            rule = self.part("random_connectivity", entry)
            for a in range(pre.size):
                for b in range(post.size):
                    if self.rng.random() < self.number(rule, "probability", 0.0, id):
                        rows.append((a, b, *drawn()))
        if "convergent_connectivity" in entry:
            each = int(self.number(self.part("convergent_connectivity", entry), "num_per_post", 0.0, id))
            if each and (pre.size == 0 or (pre is post and pre.size == 1)):
                self.refuse("there is no cell that could be chosen", id)
            for b in range(post.size):
                for _ in range(each):
                    a = int(self.rng.random() * pre.size)
                    while pre is post and a == b:
                        a = int(self.rng.random() * pre.size)
                    rows.append((a, b, delay, weight))
        elif "one_to_one_connector" in entry:
            rows += [(i, i, delay, weight) for i in range(min(pre.size, post.size))]
        pres, posts, delays, weights = (np.array([row[at] for row in rows]) for at in range(4))
        kind = {"electricalProjection": "electrical", "continuousProjection": "continuous"}.get(
            str(entry.get("type")), "chemical")  # fmt: skip
        plain = (
            bool(np.all(weights == 1)) and bool(np.all(delays == 0)) and not (entry.get("weight") or entry.get("delay"))
        )
        ends: dict[str, Any] = {"synapses": (synapse,)}
        if kind == "continuous":
            silent = str(entry.get("pre_synapse") or f"silentSyn_{id}")
            if silent not in self.components:
                self.components[silent] = Element("silentSynapse", {"id": silent})
            ends = {"pre_components": (silent,), "post_components": (synapse,)}
        return Projection(
            id, kind, pre.id, post.id, pres.astype(np.int64), posts.astype(np.int64), weight=None if plain else weights,
            delay=None if plain or kind != "chemical" else delays, file=str(self.path), **ends,
        )  # fmt: skip

    def tell(self, cell: Element, synapse: dict[str, Any]) -> None:
        """PyNN has the synapse's time constant and reversal in the cell: it gets those of what leads to it."""
        end = synapse["end"]
        for name, key in (("tau_syn", f"tau_syn_{end}"), ("e_rev", f"e_rev_{end}")):
            if name in synapse and key in cell.attributes:
                cell.attributes[key] = repr(synapse[name])

    def inputs(self, id: str, entry: dict[str, Any]) -> InputList:
        population = self.named(entry, "population", id)
        segments = [0] * int(self.number(entry, "number_per_cell", 1.0, id))
        if entry.get("segment_ids") is not None:
            segments = [int(s) for s in self._list(entry["segment_ids"], id)]
        if entry.get("cell_ids") is not None:
            listed = [int(c) for c in self._list(entry["cell_ids"], id)]
        else:
            listed = list(range(population.size))
        cells, weights = [], []
        for cell in listed:  # NeuroMLlite draws a weight for each cell, and others for its inputs
            flip = 0.0 if entry.get("cell_ids") is not None else self.rng.random() * 100.0
            self.drawn(entry, id)
            if entry.get("cell_ids") is not None or flip < self.number(entry, "percentage", 0.0, id):
                cells.append(cell)
                weights += [self.drawn(entry, id) for _ in segments]
        target = np.repeat(np.array(cells, dtype=np.int64), len(segments))
        column = None if all(weight == 1 for weight in weights) else np.array(weights)
        return InputList(id, str(entry.get("input_source")), population.id, target,
                         segment=np.tile(np.array(segments, dtype=np.int64), len(cells)), weight=column,
                         file=str(self.path))  # fmt: skip

    def drawn(self, entry: dict[str, Any], id: str) -> float:
        return self.number(entry, "weight", 1.0, id) if entry.get("weight") else 1.0

    def _list(self, value: Any, id: str) -> list[Any]:
        if isinstance(value, str):
            value = [part for part in value.strip("[]() ").replace(",", " ").split() if part]
        if not isinstance(value, list) or not all(str(v).lstrip("-").isdigit() for v in value):
            self.refuse(f"{str(value)[:60]!r} is no list of whole numbers", id)
        return list(value)


def _simulation(path: Path, id: str, entry: dict[str, Any], network: Network, report: Report) -> list[Element]:
    """A NeuroMLlite simulation as <Simulation> and <Target>."""
    for name in ("traces", "spikes", "rates", "variables"):  # as NeuroMLlite 0.2 and before wrote
        if old := entry.get(f"record{name.capitalize()}"):
            entry = {f"record_{name}": old, **entry}
    times = {}
    for name in ("duration", "dt"):
        value = entry.get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
            raise DocumentError(f"{name}={str(value)[:40]!r} is no time in ms", file=str(path), component=id)
        times[name] = f"{float(value)!r} ms"
    seed = entry.get("seed") if isinstance(entry.get("seed"), int) else _SIMULATION_SEED
    simulation = Element("Simulation", {"id": safe_id(id), "length": times["duration"], "step": times["dt"],
                                        "target": str(network.id), "seed": str(seed)})  # fmt: skip
    wanted = {"v": entry.get("record_traces") or {}, "r": entry.get("record_rates") or {}}
    wanted |= entry.get("record_variables") or {}
    for variable, populations in wanted.items():
        name = safe_id(str(variable))
        for population, rows in _recorded(path, id, populations, network):
            file = Element("OutputFile", {"id": f"{id}_{population.id}_{name}_dat",
                                          "fileName": f"{id}.{population.id}.{name}.dat"})  # fmt: skip
            file.children = [
                Element("OutputColumn", {"id": f"{population.id}_{row}_{name}",
                                         "quantity": f"{_cell(population, row)}/{variable}"}) for row in rows
            ]  # fmt: skip
            simulation.children.append(file)
    for population, rows in _recorded(path, id, entry.get("record_spikes") or {}, network):
        events = Element("EventOutputFile", {"id": f"{id}_{population.id}_spikes", "format": "ID_TIME",
                                             "fileName": f"{id}.{population.id}.spikes"})  # fmt: skip
        events.children = [
            Element("EventSelection", {"id": str(row), "select": _cell(population, row), "eventPort": "spike"})
            for row in rows
        ]
        simulation.children.append(events)
    for name in ("plots2D", "plots3D"):
        if entry.get(name):
            report.add("not-recorded", "loss", f"'{name}' is left out", file=str(path), component=id)
    return [Element("Target", {"component": safe_id(id)}), simulation]


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """Attributes of an element."""
    return {name: repr(value) if isinstance(value, float) else str(value) for name, value in values.items()}


def _cell(population: Population, row: int) -> str:
    if population.positions is None:
        return f"{population.id}[{row}]"
    return f"{population.id}/{row}/{population.component}"


def _recorded(path: Path, id: str, wanted: Any, network: Network) -> Iterator[tuple[Population, list[int]]]:
    """Populations and rows of {population or "all": "*" or ids}."""
    if not isinstance(wanted, dict):
        raise DocumentError(f"{str(wanted)[:40]!r} names no populations to record", file=str(path), component=id)
    for name, rows in wanted.items():
        chosen = list(network.populations.values()) if name == "all" else [network.population(str(name))]
        for population in chosen:
            everything = list(range(population.size))
            some = everything if rows == "*" else [int(r) for r in (rows if isinstance(rows, list) else [rows])]
            bad = [row for row in some if not 0 <= row < population.size]
            if bad:
                raise NetworkError(f"'{name}' has no cell {bad[0]} to record; it has {population.size}", file=str(path),
                                   component=id)  # fmt: skip
            yield population, some


# out ------------------------------------------------------------------------------------------------------------------


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write JSON (or YAML, by the name), and the components as NeuroML beside it (NAME.components.nml).

    NeuroMLlite has no list of connections: projections that are all-to-all or one-to-one with one weight and delay are
    written, others are noted as a loss; so are positions of populations of more than one cell.
    """
    from ..neuroml import write_xml

    report = report if report is not None else Report()
    id = safe_id(network.id or path.name.split(".")[0])
    entry: dict[str, Any] = {"version": "NeuroMLlite v0.6.1"}
    if network.temperature is not None:
        entry["temperature"] = float(f"{network.temperature - 273.15:.12g}")
    side = path.with_name(f"{path.name.split('.')[0]}.components.nml")
    if network.components:
        used = [p.component for p in network.populations.values()]
        ends = [s for p in network.projections for s in (*p.synapses, *p.pre_components, *p.post_components)]
        for group, ids in (
            ("cells", used),
            ("synapses", ends),
            ("input_sources", [i.component for i in network.inputs]),
        ):
            if ids:
                entry[group] = {i: {"neuroml2_source_file": side.name} for i in dict.fromkeys(ids)}
        if not used:
            entry["cells"] = {e.attributes["id"]: {"neuroml2_source_file": side.name} for e in network.components
                              if e.get("id")}  # fmt: skip
    entry["populations"] = {p.id: _population(p, report) for p in network.populations.values()}
    projections = {p.id: rule for p in network.projections if (rule := _rule(p, network, report)) is not None}
    if projections:
        entry["projections"] = projections
    inputs = {i.id: _input(i, report) for i in network.inputs}
    if inputs:
        entry["inputs"] = inputs
    text = json.dumps({id: entry}, indent=4) if path.suffix.lower() == ".json" else yaml.safe_dump({id: entry})
    if network.components:
        write_xml(Network(None, components=network.components, header={"id": f"{id}_components"}), side)
    with atomic(path) as stream:
        stream.write(text.encode() + b"\n")


def _population(population: Population, report: Report) -> dict[str, Any]:
    found: dict[str, Any] = {"size": population.size, "component": population.component}
    if population.properties:
        found["properties"] = dict(population.properties)
    if not np.array_equal(population.instance_ids, np.arange(population.size)):
        report.add("no-instance-ids", "loss", "instance ids become 0 .. n-1", component=population.id)
    if population.positions is not None and population.size:
        place = population.positions[0]
        if np.all(population.positions == place):
            found["single_location"] = {"location": dict(zip("xyz", map(float, place), strict=True))}
        else:
            report.add("no-positions", "loss", f"the places of its {population.size} cells have no rule in NeuroMLlite",
                       component=population.id)  # fmt: skip
    return found


def _rule(projection: Projection, network: Network, report: Report) -> dict[str, Any] | None:
    """A projection as a rule; None, with a note, if no rule says it."""
    pre, post = network.populations[projection.presynaptic], network.populations[projection.postsynaptic]
    a, b = projection.pre, projection.post
    short = min(pre.size, post.size)
    constant = all(c is None or len(np.unique(c)) <= 1 for c in (projection.weight, projection.delay))
    middle = not projection.pre_segment.any() and not projection.post_segment.any()
    middle = middle and bool(np.all(projection.pre_fraction == 0.5) and np.all(projection.post_fraction == 0.5))
    rule: dict[str, Any] | None = None
    if constant and middle and len(a):
        pairs = np.unique(a * post.size + b)
        if len(pairs) == len(a) == pre.size * post.size:
            rule = {"random_connectivity": {"probability": 1}}
        elif len(a) == short and np.array_equal(np.sort(a), np.arange(short)) and np.array_equal(a, b):
            rule = {"one_to_one_connector": {}}
    several = max(map(len, (projection.synapses, projection.pre_components, projection.post_components))) > 1
    if rule is None or several:
        lost = {"connections": True, "weights": projection.weight is not None, "delays": projection.delay is not None,
                "places-on-cells": True, "gap-junctions": projection.kind == "electrical",
                "continuous-projections": projection.kind == "continuous"}  # fmt: skip
        for code in (code for code, there in lost.items() if there):
            report.add(f"no-{code}", "loss", f"its {len(a)} connections follow no rule of NeuroMLlite",
                       component=projection.id)  # fmt: skip
        return None
    names = projection.synapses or projection.post_components
    found: dict[str, Any] = {"presynaptic": pre.id, "postsynaptic": post.id, "synapse": names[0] if names else None}
    if projection.kind != "chemical":
        found["type"] = f"{projection.kind}Projection"
        if projection.pre_components:
            found["pre_synapse"] = projection.pre_components[0]
    if projection.delay is not None and len(a):
        found["delay"] = float(projection.delay[0])
    if projection.weight is not None and len(a):
        found["weight"] = float(projection.weight[0])
    return found | rule


def _input(inputs: InputList, report: Report) -> dict[str, Any]:
    found: dict[str, Any] = {"input_source": inputs.component, "population": inputs.population,
                             "cell_ids": inputs.target.tolist()}  # fmt: skip
    segments = np.unique(inputs.segment)
    if len(segments) == 1 and segments[0] != 0:
        found["segment_ids"] = segments.tolist()
    if len(segments) > 1 or not np.all(inputs.fraction == 0.5):
        report.add("no-places-on-cells", "loss", "places on cells are one segment for all, and its middle",
                   component=inputs.id)  # fmt: skip
    if inputs.weight is not None and len(inputs.weight):
        found["weight"] = float(inputs.weight[0])
        if np.any(inputs.weight != inputs.weight[0]):
            report.add("input-weights", "loss", "one weight for all inputs of a list", component=inputs.id)
    return found

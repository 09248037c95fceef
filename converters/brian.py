"""Brian 2 scripts: the model's own equations as NeuronGroup and Synapses, in a folder with its arrays.

https://brian2.readthedocs.io. Everything is in SI as plain numbers (Brian's ": 1"), every name of the model has the
prefix ``n_``, which no name of Brian's has. What differs from LEMS: currents of synapses are summed once a step; an
action sees derived variables as they are after the actions before it; cases of a conditional variable are summed with
weights 0 and 1, so that a case that has no value anywhere has none at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..graph import InputList, Network, Population, Projection
from ..lems import flatten
from ..lems.expression import Bin, Call, Cmp, Expr, Logic, Name, Neg, Num, Piecewise
from ..lems.flat import Action, Assign, Condition, FlatComponent
from ..report import Report
from ..results.paths import place_of
from .pynn.models import times
from .scripts import ARRAYS, components_of, edges_of, file_name, left_out, literal, settings_of, write_folder

_HEAD = '''"""Run: python run.py; needs `pip install brian2`. Results go beside the script, in SI."""

from pathlib import Path

import numpy as np
from brian2 import (Network, NeuronGroup, SpikeGeneratorGroup, SpikeMonitor, StateMonitor, Synapses, defaultclock,
                    linked_var, second, seed)

HERE = Path(__file__).resolve().parent
data = np.load(HERE / {arrays}, allow_pickle=False)
groups, inputs, links = {{}}, [], []
defaultclock.dt = {dt} * second
seed({seed})
'''
_TAIL = '''
objects = [*groups.values(), *inputs, *links]
spikes = {{name: SpikeMonitor(groups[name]) for name in SPIKING}}
traces = {{}}
for columns in FILES.values():
    for name, row, variable in columns:
        traces[name, row, variable] = StateMonitor(groups[name], variable, record=[row])
network = Network(objects, list(spikes.values()), list(traces.values()))
network.run({duration} * second)

for file, columns in FILES.items():
    monitors = [traces[tuple(column)] for column in columns]
    table = [np.asarray(monitors[0].t / second)]
    table += [np.asarray(getattr(monitor, column[2]))[0] for monitor, column in zip(monitors, columns)]
    np.savetxt(HERE / file, np.stack(table, axis=1), fmt="%.10g", delimiter="\\t")
with open(HERE / {spikes}, "w") as stream:  # population[row] and time
    for name, monitor in spikes.items():
        for row, time in zip(np.asarray(monitor.i), np.asarray(monitor.t / second)):
            stream.write(f"{{name}}[{{row}}]\\t{{time:.10g}}\\n")
'''
_BINARY = {"^": "**"}
_SAME = "sin cos tan sinh cosh tanh exp sqrt ceil floor log log10 abs".split()
_CALLS = {"ln": "log", **{name: name for name in _SAME}}


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write the folder; UnsupportedError if none of the populations can be said in Brian's terms."""
    report = report if report is not None else Report()
    if network.native:
        raise UnsupportedError(f"'{next(iter(network.native))}' is made of mechanisms of NEURON, which Brian has not")
    script = _Script(network, report)
    text = script.text()
    write_folder(path, {"run.py": text}, script.arrays)


def symbol(name: str) -> str:
    """A name of the model in Brian: it ends in nothing that means something there."""
    return f"n_{name}" + ("z" if re.search(r"(_|_pre|_post)$", name) else "")


def printed(expr: Expr, names: Mapping[str, str]) -> str:
    """An expression in Brian's language, fully bracketed. Raises UnsupportedError for factorial()."""
    if isinstance(expr, Num):
        return literal(float(expr.value)) if expr.value >= 0 else f"({literal(float(expr.value))})"
    if isinstance(expr, Name):
        return "(t/second)" if expr.id == "t" else names.get(expr.id, symbol(expr.id))
    if isinstance(expr, Neg):
        return f"(-{printed(expr.arg, names)})"
    if isinstance(expr, (Bin, Cmp, Logic)):
        return f"({printed(expr.left, names)} {_BINARY.get(expr.op, expr.op)} {printed(expr.right, names)})"
    if isinstance(expr, Call):
        inside = printed(expr.arg, names)
        if expr.function == "random":
            return f"({inside}*rand())"
        if expr.function == "H":
            return f"(0.5*(1 + sign({inside})))"
        if expr.function in _CALLS:
            return f"{_CALLS[expr.function]}({inside})"
        raise UnsupportedError(f"Brian has no {expr.function}()")
    if isinstance(expr, Piecewise):
        parts, before = [], ""
        for test, value in expr.cases:
            here = printed(test, names) if test is not None else ""
            chosen = " and ".join(part for part in (before, here) if part)
            parts.append(f"int({chosen})*{printed(value, names)}" if chosen else printed(value, names))
            before = " and ".join(part for part in (before, f"(not {here})" if here else "") if part)
        return f"({' + '.join(parts)})"
    raise UnsupportedError(f"{type(expr).__name__} is not said in Brian's language")


@dataclass
class _Group:
    """A group being made: its equations, and the variables that what is attached to it adds up in."""

    flat: FlatComponent
    sums: dict[str, list[str]] = field(default_factory=dict)


class _Script:
    def __init__(self, network: Network, report: Report) -> None:
        self.network, self.report = network, report
        self.components, self.library = components_of(network, report)
        self.settings = settings_of(network, report)
        self.arrays: dict[str, Any] = {}
        self.groups: dict[str, _Group] = {}
        self.trains: dict[str, list[float]] = {}
        self.flats: dict[str, FlatComponent] = {}
        self.spiking: list[str] = []

    def text(self) -> str:
        for population in self.network.populations.values():
            component = self.components[population.component]
            if component.is_a("spikeArray"):
                self.trains[population.id] = times(component)
            else:
                self.attempt(population, lambda p=population: self.take(p))  # type: ignore[misc]
        if self.network.populations and not self.groups and not self.trains:
            why = "; ".join(note.message for note in self.report.losses if note.code == "population-left-out")
            raise UnsupportedError(f"{self.network.file or self.network.id}: Brian can hold no population; {why}")
        after = []
        for projection in self.network.projections:
            if projection.kind == "chemical":
                after.append(self.attempt(projection, lambda p=projection: self.projection(p)))  # type: ignore[misc]
        for inputs in self.network.inputs:
            after.append(self.attempt(inputs, lambda i=inputs: self.inputs(i)))  # type: ignore[misc]
        lines = [self.population(self.network.populations[id]) for id in (*self.groups, *self.trains)]
        files, used = self.files()
        head = _HEAD.format(arrays=literal(ARRAYS), dt=literal(self.settings.dt * 1e-3),
                            seed=literal(self.settings.seed))  # fmt: skip
        tail = _TAIL.format(duration=literal(self.settings.duration * 1e-3),
                            spikes=literal(file_name("spikes.dat", used)))  # fmt: skip
        asked = [f"FILES = {literal(files)}", f"SPIKING = {literal(self.spiking)}"]
        return "\n".join([head, *lines, *(line for line in after if line), "", *asked]) + "\n" + tail

    def attempt(self, item: Population | Projection | InputList, make: Callable[[], str]) -> str:
        """What ``make`` gives, or "" and a note why the item is left out."""
        try:
            return make()
        except UnsupportedError as fault:
            left_out(item, str(fault), self.report)
            return ""

    def flat(self, id: str) -> FlatComponent:
        if id not in self.flats:
            component = self.components.get(id)
            if component is None:
                raise UnsupportedError(f"there is no component '{id}'")
            if component.is_a("cell"):
                raise UnsupportedError(f"'{id}' is a cell with a morphology; the script has point cells")
            flat = flatten(component, self.library)
            if flat.kinetics:
                raise UnsupportedError(f"'{id}' has a kinetic scheme")
            self.flats[id] = flat
        return self.flats[id]

    # groups ---------------------------------------------------------------------------------------------------------

    def take(self, population: Population) -> str:
        flat = self.flat(population.component)
        for name, external in flat.externals.items():
            if external.kind != "attachments" or external.reduce != "add":
                raise UnsupportedError(f"a '{flat.type}' needs '{name}' from outside, which nothing there gives")
        self.equations(flat, {}, {})
        self.actions(flat)
        self.groups[population.id] = _Group(flat)
        return ""

    def equations(self, flat: FlatComponent, given: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
        """Lines of equations; ``given`` are those of externals."""
        lines = list(given.values())
        lines += [f"{symbol(name)} : 1 (constant)" for name in flat.properties]
        lines += [f"{symbol(name)} = {printed(d.expr, names)} : 1" for name, d in flat.derived.items()]
        for name in flat.states:
            slope = flat.derivatives.get(name)
            lines.append(f"{symbol(name)} : 1" if slope is None
                         else f"d{symbol(name)}/dt = {printed(slope, names)}/second : 1")  # fmt: skip
        return lines

    def actions(self, flat: FlatComponent) -> tuple[list[str], list[str]]:
        """Keyword arguments of a NeuronGroup for its conditions, and the lines that follow it ({at} is the group)."""
        emitting = [c for c in flat.conditions if any(not isinstance(a, Assign) for a in c.actions)]
        silent = [c for c in flat.conditions if c not in emitting]
        if len(emitting) > 1:
            raise UnsupportedError(f"a '{flat.type}' sends events on several conditions")
        words, lines, events = [], [], {}
        for condition in emitting:
            words += [f"threshold={literal(_test(condition))}"]
            code = _code(condition.actions, {})
            words += [f"reset={literal(code)}"] if code else []
        for number, condition in enumerate(silent):
            if not condition.actions:
                continue
            events[f"c{number}"] = _test(condition)
            code = literal(_code(condition.actions, {}))
            lines.append(f"{{at}}.run_on_event('c{number}', {code})")
        return ([*words, f"events={literal(events)}"] if events else words), lines

    def group(self, at: str, size: int, flat: FlatComponent, equations: list[str]) -> list[str]:
        words, after = self.actions(flat)
        space = {symbol(name): parameter.value for name, parameter in flat.parameters.items()}
        words += ['method="rk4"', f"namespace={literal(space)}"]
        text = ", ".join([str(size), literal("\n".join(equations)), *words])
        made = f"inputs.append(NeuronGroup({text}))" if at == "inputs[-1]" else f"{at} = NeuronGroup({text})"
        starts = [f"{at}.{symbol(name)} = {literal(p.default)}" for name, p in flat.properties.items() if p.default]
        starts += [f"{at}.{symbol(a.variable)} = {literal(printed(a.expr, {}))}" for a in flat.on_start]
        return [made, *starts, *(line.replace("{at}", at, 1) for line in after)]

    def population(self, population: Population) -> str:
        at = f"groups[{literal(population.id)}]"
        if population.id in self.trains:
            train = self.trains[population.id]
            name = self.array("train", np.array(train) * 1e-3)
            rows = f"np.repeat(np.arange({population.size}), {len(train)})"
            return (f"{at} = SpikeGeneratorGroup({population.size}, {rows}, "
                    f"np.tile(data[{literal(name)}], {population.size}) * second)")  # fmt: skip
        group = self.groups[population.id]
        given = {}
        for name, external in group.flat.externals.items():
            if external.kind == "attachments":
                parts = group.sums.get(name, [])
                own = [f"{part} : 1" for part in parts]
                given[name] = "\n".join([*own, f"{symbol(name)} = {' + '.join(parts) or '0.0'} : 1"])
        lines = self.group(at, population.size, group.flat, self.equations(group.flat, given, {}))
        if any(not isinstance(a, Assign) for c in group.flat.conditions for a in c.actions):
            self.spiking.append(population.id)
        return "\n".join(lines)

    # what is attached -----------------------------------------------------------------------------------------------

    def summed(self, host: str, flat: FlatComponent) -> list[tuple[str, str]]:
        """(variable of the attached, variable of the host that it is added up in)."""
        found = []
        group = self.groups[host]
        for name, external in group.flat.externals.items():
            exposed = flat.paths.get(external.target.rpartition("/")[2])
            if external.kind == "attachments" and exposed is not None:
                parts = group.sums.setdefault(name, [])
                parts.append(f"{symbol(name)}_{len(parts)}")
                found.append((symbol(exposed), parts[-1]))
        if not found:
            raise UnsupportedError(f"nothing of a '{flat.type}' reaches a '{group.flat.type}'")
        return found

    def needs(self, host: str, flat: FlatComponent) -> list[str]:
        """Names that an attached component takes from its host."""
        there = self.groups[host].flat
        for name, external in flat.externals.items():
            if external.kind != "requirement" or (name not in there.states and name not in there.derived):
                raise UnsupportedError(f"a '{flat.type}' needs '{name}', which a '{there.type}' does not have")
        return list(flat.externals)

    def projection(self, projection: Projection) -> str:
        before, host = projection.presynaptic, projection.postsynaptic
        if host not in self.groups or (before not in self.groups and before not in self.trains):
            raise UnsupportedError(f"population '{host if host not in self.groups else before}' is")
        pairs, weight, delay = edges_of(projection)
        lines: list[str] = []
        for number, id in enumerate(projection.synapses):
            chosen = np.flatnonzero(projection.synapse == number)
            flat = self.flat(id)
            if flat.conditions or any(event.regime for event in flat.events):
                raise UnsupportedError(f"'{id}' has conditions of its own, which Synapses do not")
            names = {name: f"{symbol(name)}_post" for name in self.needs(host, flat)}
            port = flat.in_ports[0] if flat.in_ports else ""
            code = [_code(event.actions, names) for event in flat.events if event.port == port]
            equations = self.equations(flat, {}, names)
            equations = [re.sub(r"^(d.*) : 1$", r"\1 : 1 (clock-driven)", line) for line in equations]
            equations += [f"{into}_post = {var} : 1 (summed)" for var, into in self.summed(host, flat)]
            space = {symbol(k): p.value for k, p in flat.parameters.items()}
            edges = self.array("edges", pairs[chosen].T)
            lines += [
                f"links.append(Synapses(groups[{literal(before)}], groups[{literal(host)}], "
                f"{literal(chr(10).join(equations))}, on_pre={literal(chr(10).join(code) or None)}, method='rk4', "
                f"namespace={literal(space)}))",
                f"links[-1].connect(i=data[{literal(edges)}][0], j=data[{literal(edges)}][1])",
                f"links[-1].delay = data[{literal(self.array('delays', delay[chosen] * 1e-3))}] * second",
            ]
            for name, known in flat.properties.items():
                value = weight[chosen] if name == "weight" else np.full(len(chosen), known.default)
                lines.append(f"links[-1].{symbol(name)} = data[{literal(self.array('values', value))}]")
            lines += [f"links[-1].{symbol(a.variable)} = {literal(printed(a.expr, names))}" for a in flat.on_start]
        return "\n".join(lines)

    def inputs(self, inputs: InputList) -> str:
        host = inputs.population
        if host not in self.groups:
            raise UnsupportedError(f"population '{host}' is")
        flat = self.flat(inputs.component)
        needed = self.needs(host, flat)
        given = {name: f"{symbol(name)} : 1 (linked)" for name in needed}
        count, rows = len(inputs.target), self.array("rows", inputs.target)
        lines = self.group("inputs[-1]", count, flat, self.equations(flat, given, {}))
        linked = [f"inputs[-1].{symbol(name)} = linked_var(groups[{literal(host)}], {literal(symbol(name))}, "
                  f"index=data[{literal(rows)}])" for name in needed]  # fmt: skip
        lines[1:1] = linked
        if inputs.weight is not None and "weight" in flat.properties:
            lines.append(f"inputs[-1].n_weight = data[{literal(self.array('values', inputs.weight))}]")
        equations = [f"{into}_post = {var}_pre : 1 (summed)" for var, into in self.summed(host, flat)]
        lines += [f"links.append(Synapses(inputs[-1], groups[{literal(host)}], {literal(chr(10).join(equations))}))",
                  f"links[-1].connect(i=np.arange({count}), j=data[{literal(rows)}])"]  # fmt: skip
        return "\n".join(lines)

    def array(self, kind: str, values: Any) -> str:
        name = f"{kind}_{len(self.arrays)}"
        self.arrays[name] = values
        return name

    def files(self) -> tuple[dict[str, list[tuple[str, int, str]]], set[str]]:
        """Columns (population, row, variable) by file name, and the names that are taken."""
        files: dict[str, list[tuple[str, int, str]]] = {}
        used: set[str] = set()
        for file in self.settings.outputs.files:
            columns = []
            for _, quantity in file.columns:
                place = place_of(quantity)
                group = self.groups.get(place.population) if place is not None else None
                row = self.network.populations[place.population].row_of(place.index) if place and group else None
                variable = group.flat.paths.get(place.variable) if group is not None and place is not None else None
                if place is None or row is None or variable is None:
                    self.report.add("output-left-out", "loss", f"'{quantity}' is not recorded: it is no variable of a "
                                    "cell in the script", component=file.id)  # fmt: skip
                    continue
                columns.append((place.population, row, symbol(variable)))
            if columns:
                files[file_name(file.name, used)] = columns
        return files, used


def _test(condition: Condition) -> str:
    test = printed(condition.test, {})
    if condition.regime is None:
        return test
    name, number = condition.regime
    return f"({symbol(name)} == {number}) and {test}"


def _code(actions: Sequence[Action], names: Mapping[str, str]) -> str:
    """Assignments in order."""
    lines = [f"{symbol(a.variable)} = {printed(a.expr, names)}" for a in actions if isinstance(a, Assign)]
    return "\n".join(lines)

"""A network as a PyNN script: a folder with ``run.py`` and its arrays, for any of PyNN's simulators.

PyNN has time constant and reversal potential of a synapse in the cell, two sets a cell. So a population gets those of
the synapses that lead to it; what needs a third set is left out, and said.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...graph import InputList, Network, Population, Projection
from ...report import Report
from ..scripts import (
    ARRAYS,
    columns_of,
    comment,
    components_of,
    edges_of,
    file_name,
    left_out,
    literal,
    settings_of,
    write_folder,
)
from .models import Cell, Receptor, cell_of, receptor_of, times

_SIGNS = ("excitatory", "inhibitory")
_HEAD = '''"""Run: python run.py [neuron | nest | brian2 | mock] (whatever PyNN knows); results go beside the script."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sim = import_module("pyNN." + (sys.argv[1] if len(sys.argv) > 1 else "neuron"))
data = np.load(HERE / {arrays}, allow_pickle=False)
populations, projections, sources = {{}}, {{}}, []


def connect(label, before, after, name, receptor):
    """Edges are rows of: source, target, weight (uS or nA), delay (ms)."""
    connector = sim.FromListConnector(data[name].tolist(), column_names=["weight", "delay"])
    projections[label] = sim.Projection(before, after, connector, sim.StaticSynapse(), receptor_type=receptor,
                                        label=label)


sim.setup(timestep={dt}, min_delay={delay})
'''
_TAIL = '''

sim.run({duration})

traces = {{}}
for label, rows in RECORDED.items():
    signal = populations[label].get_data("v").segments[0].filter(name="v")[0]
    order = signal.array_annotations["channel_index"]
    for column, row in enumerate(order):
        traces[label, int(row)] = (signal.times.rescale("s").magnitude, signal.magnitude[:, column] * 1e-3)
for name, columns in FILES.items():  # in s and V
    table = [traces[columns[0]][0]] + [traces[column][1] for column in columns]
    np.savetxt(HERE / name, np.stack(table, axis=1), fmt="%.10g", delimiter="\\t")
with open(HERE / {spikes}, "w") as stream:  # population[row] and time in s
    for label, population in populations.items():
        cells, times = population.get_data("spikes").segments[0].spiketrains.multiplexed
        for cell, time in zip(cells, times.rescale("s").magnitude):
            stream.write(f"{{label}}[{{population.id_to_index(cell)}}]\\t{{float(time):.10g}}\\n")
sim.end()
'''


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write the folder; UnsupportedError if PyNN's standard models hold none of the populations."""
    report = report if report is not None else Report()
    if network.native:
        raise UnsupportedError(f"'{next(iter(network.native))}' is made of mechanisms of NEURON, which PyNN's standard "
                               "models do not hold")  # fmt: skip
    script = _Script(network, report)
    text = script.text()
    write_folder(path, {"run.py": text}, script.arrays)


class _Script:
    def __init__(self, network: Network, report: Report) -> None:
        self.network, self.report = network, report
        self.components, _ = components_of(network, report)
        self.settings = settings_of(network, report)
        self.lines: list[str] = []
        self.arrays: dict[str, Any] = {}
        self.cells: dict[str, Cell] = {}
        self.slots: dict[str, dict[str, Receptor]] = {}
        self.fewest = math.inf

    def text(self) -> str:
        for population in self.network.populations.values():
            cell = cell_of(self.components[population.component])
            if cell is None:
                kind = self.components[population.component].type.name
                left_out(population, f"a {kind} is no standard cell of PyNN's", self.report)
                continue
            if cell.note:
                self.report.add("cell-differs", "approximation", cell.note, component=population.component)
            self.cells[population.id] = cell
        if self.network.populations and not self.cells:
            first = next(iter(self.network.populations.values()))
            kind = self.components[first.component].type.name
            raise UnsupportedError(f"{self.network.file or self.network.id}: none of the populations is of a standard "
                                   f"cell of PyNN's; '{first.id}' is of type {kind}")  # fmt: skip
        self.choose_kinds()
        connections = [line for p in self.network.projections if (line := self.projection(p))]
        inputs = [line for i in self.network.inputs if (line := self.inputs(i))]
        for id, cell in self.cells.items():
            self.population(self.network.populations[id], cell)
        self.lines += connections + inputs
        recorded, files = self.outputs()
        used = set(files)
        delay = self.settings.dt if self.fewest == math.inf else self.fewest
        head = _HEAD.format(arrays=literal(ARRAYS), dt=literal(self.settings.dt), delay=literal(delay))
        seed = [f"# the model asks for seed {self.settings.seed}", ""]
        asked = ["", f"FILES = {literal(files)}", f"RECORDED = {literal(recorded)}",
                 "for label, population in populations.items():", '    population.record("spikes")',
                 "for label, rows in RECORDED.items():",
                 '    populations[label][np.array(rows)].record("v")']  # fmt: skip
        tail = _TAIL.format(duration=literal(self.settings.duration), spikes=literal(file_name("spikes.dat", used)))
        name = f"# network {comment(str(self.network.id))}"
        return head + "\n".join([name, *seed, *self.lines, *asked]) + tail

    # cells ----------------------------------------------------------------------------------------------------------

    def choose_kinds(self) -> None:
        """Integrate-and-fire cells of NeuroML take any synapse, those of PyNN a single kind: the first met."""
        for projection in self.network.projections:
            cell = self.cells.get(projection.postsynaptic)
            for id in projection.synapses:
                receptor = receptor_of(self.components[id]) if id in self.components else None
                if cell is not None and cell.takes is None and receptor is not None:
                    cell.takes = receptor.kind
        for cell in self.cells.values():
            if cell.name == "IF":
                cell.takes = cell.takes or "cond_exp"
                cell.name = f"IF_{cell.takes}"

    def slot(self, population: str, receptor: Receptor, negative: bool) -> str | None:
        """Which of the cell's two receptors is this one; a free one takes its numbers."""
        cell, slots = self.cells[population], self.slots.setdefault(population, {})
        keyed = Receptor(receptor.kind, receptor.tau, receptor.reversal)
        if receptor.reversal is None:  # to a current the sign of the weight is the receptor
            names: tuple[str, ...] = (_SIGNS[int(negative)],)
        else:
            own = [n for n in _SIGNS if cell.parameters.get(f"tau_syn_{n[0].upper()}") == receptor.tau
                   and cell.parameters.get(f"e_rev_{n[0].upper()}") == receptor.reversal]  # fmt: skip
            below = float(str(cell.parameters.get("v_thresh", 0.0))) > receptor.reversal
            names = (*own, *(reversed(_SIGNS) if below else _SIGNS))
        for name in names:
            if slots.get(name, keyed) == keyed:
                slots[name] = keyed
                return name
        return None

    def population(self, population: Population, cell: Cell) -> None:
        parameters = dict(cell.parameters)
        for name, receptor in self.slots.get(population.id, {}).items():
            parameters[f"tau_syn_{name[0].upper()}"] = receptor.tau
            if receptor.reversal is not None:
                parameters[f"e_rev_{name[0].upper()}"] = receptor.reversal
        given = ", ".join(f"{name}={literal(value)}" for name, value in parameters.items())
        at = f"populations[{literal(population.id)}]"
        self.lines.append(f"{at} = sim.Population({population.size}, sim.{cell.name}({given}), "
                          f"label={literal(population.id)})")  # fmt: skip
        if population.positions is not None:
            name = f"positions_{len(self.arrays)}"
            self.arrays[name] = population.positions.T
            self.lines.append(f"{at}.positions = data[{literal(name)}]")
        if cell.initial:
            given = ", ".join(f"{name}={literal(value)}" for name, value in cell.initial.items())
            self.lines.append(f"{at}.initialize({given})")

    # connections ----------------------------------------------------------------------------------------------------

    def projection(self, projection: Projection) -> str:
        if projection.kind != "chemical":
            return ""  # the record says so
        missing = [p for p in (projection.presynaptic, projection.postsynaptic) if p not in self.cells]
        if missing:
            left_out(projection, f"population '{missing[0]}' is", self.report)
            return ""
        pairs, weight, delay = edges_of(projection)
        lines = []
        for number, synapse in enumerate(projection.synapses):
            rows = projection.synapse == number
            sides = ((weight >= 0), (weight < 0))
            for negative, side in enumerate(sides):
                chosen = np.flatnonzero(rows & side)
                if len(chosen):
                    table = (pairs[chosen], weight[chosen], delay[chosen])
                    part = "" if len(projection.synapses) == 1 and not negative else f"_{number}{'+-'[negative]}"
                    ends = (f"populations[{literal(projection.presynaptic)}]", projection.postsynaptic)
                    lines += self.connect(projection, projection.id + part, ends, synapse, bool(negative), table)
        return "\n".join(lines)

    def connect(self, owner: Projection | InputList, label: str, ends: tuple[str, str], synapse: str, negative: bool,
                table: tuple[Any, Any, Any]) -> list[str]:  # fmt: skip
        """The line that connects, none (and a note) if the cell has no such receptor."""
        before, after = ends
        component = self.components.get(synapse)
        receptor = receptor_of(component) if component is not None else None
        takes = self.cells[after].takes
        if component is None or receptor is None:
            kind = "nothing" if component is None else f"a {component.type.name}"
            left_out(owner, f"'{synapse}' is {kind}, no synapse of PyNN's standard cells", self.report)
            return []
        if receptor.kind != takes:
            why = f"'{synapse}' is of kind {receptor.kind}, and the cells take {takes or 'none'}"
            left_out(owner, why, self.report)
            return []
        if negative and receptor.reversal is not None:
            left_out(owner, "PyNN refuses negative weights of conductances", self.report)
            return []
        slot = self.slot(after, receptor, negative)
        if slot is None:
            left_out(owner, f"the cells of '{after}' have two receptors, and '{synapse}' is a third", self.report)
            return []
        pairs, weight, delay = table
        short = delay < self.settings.dt
        if short.any():
            self.report.add("delay-of-a-step", "approximation", f"{int(short.sum())} delays of '{owner.id}' are "
                            "shorter than the step, which is PyNN's shortest", component=owner.id)  # fmt: skip
            delay = np.maximum(delay, self.settings.dt)
        self.fewest = min(self.fewest, float(delay.min()))
        name = f"edges_{len(self.arrays)}"
        self.arrays[name] = np.column_stack([pairs, weight * receptor.scale, delay])
        return [f"connect({literal(label)}, {before}, populations[{literal(after)}], {literal(name)}, {literal(slot)})"]

    # inputs ---------------------------------------------------------------------------------------------------------

    def inputs(self, inputs: InputList) -> str:
        cell, component = self.cells.get(inputs.population), self.components.get(inputs.component)
        if cell is None or component is None:
            left_out(inputs, f"population '{inputs.population}' is" if cell is None else "its component is not there",
                     self.report)  # fmt: skip
            return ""
        p, kind = component.parameters, component.type.name
        weight = np.ones(len(inputs.target)) if inputs.weight is None else inputs.weight
        if kind in ("pulseGenerator", "sineGenerator") and cell.takes:
            stop = (p["delay"] + p["duration"]) * 1e3
            lines = []
            for factor in np.unique(weight):
                rows = inputs.target[weight == factor].tolist()
                size = literal(p["amplitude"] * 1e9 * float(factor))
                more = f"start={literal(p['delay'] * 1e3)}, stop={literal(stop)}"
                made = f"sim.DCSource(amplitude={size}, {more})"
                if kind == "sineGenerator":
                    made = (f"sim.ACSource(amplitude={size}, offset=0.0, frequency={literal(1 / p['period'])}, "
                            f"phase={literal(math.degrees(p['phase']))}, {more})")  # fmt: skip
                view = f"populations[{literal(inputs.population)}][np.array({literal(rows)})]"
                lines += [f"sources.append({made})  # {comment(inputs.id)}", f"sources[-1].inject_into({view})"]
            return "\n".join(lines)
        sources = {"poissonFiringSynapse": "SpikeSourcePoisson", "timedSynapticInput": "SpikeSourceArray"}
        if kind not in sources:
            left_out(inputs, f"a {kind} into a {cell.name} has no counterpart in PyNN", self.report)
            return ""
        count = len(inputs.target)
        given = f"rate={literal(p['averageRate'])}" if kind == "poissonFiringSynapse" else \
            f"spike_times={literal(times(component))}"  # fmt: skip
        pairs = np.stack([np.arange(count), inputs.target], axis=1)
        synapse = component.references.ids.get("synapse", "")
        table = (pairs, weight, np.full(count, self.settings.dt))
        line = self.connect(inputs, inputs.id, ("sources[-1]", inputs.population), synapse, False, table)
        made = f"sources.append(sim.Population({count}, sim.{sources[kind]}({given}), label={literal(inputs.id)}))"
        return "\n".join([made, *line] if line else [])

    def outputs(self) -> tuple[dict[str, list[int]], dict[str, list[tuple[str, int]]]]:
        recorded: dict[str, list[int]] = {}
        files: dict[str, list[tuple[str, int]]] = {}
        used: set[str] = set()
        for file in self.settings.outputs.files:
            columns = [(id, row) for id, row in columns_of(file, self.network, "v", self.report)
                       if id in self.cells and self.cells[id].initial]  # fmt: skip
            for id, row in columns:
                if row not in recorded.setdefault(id, []):
                    recorded[id].append(row)
            if columns:
                files[file_name(file.name, used)] = columns
        return recorded, files

"""Runs a model that nmlbridge wrote for Arbor: python run.py [-o FOLDER] [--duration MS] [--dt MS] [--acc FOLDER]

Needs Python, numpy and Arbor (pip install arbor), and CMake with a C++ compiler for the mechanisms. ``--acc`` writes
the cells in Arbor's own format and ends. What the model is stands in model/model.json and model/tables.npz.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import arbor as A
import numpy as np
from arbor import units as U

HERE = Path(__file__).resolve().parent
DIGITS = 10


def catalogue():
    """The compiled mechanisms; built beside the model at the first run."""
    built = HERE / "compiled" / "model-catalogue.so"
    if not built.is_file():
        built.parent.mkdir(exist_ok=True)
        tool = Path(sys.executable).with_name("arbor-build-catalogue")
        environment = {**os.environ, "PATH": f"{tool.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        command = [sys.executable, str(tool), "model", str(HERE / "model" / "mod")]
        done = subprocess.run(command, cwd=built.parent, env=environment, capture_output=True, text=True)
        if done.returncode or not built.is_file():
            sys.exit(f"arbor-build-catalogue failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return A.load_catalogue(str(built))


def place(tag, x=0.5):
    """The middle of a compartment."""
    return f"(on-components {x!r} (tag {tag}))"


def region(tags):
    """Several compartments."""
    return "(join " + " ".join(f"(tag {tag})" for tag in tags) + ")" if len(tags) > 1 else f"(tag {tags[0]})"


class Recipe(A.recipe):
    """Cells, connections and probes."""

    def __init__(self, model, tables):
        super().__init__()
        self.model, self.tables = model, tables
        self.properties = A.neuron_cable_properties()
        if model["mechanisms"]:
            self.properties.catalogue.extend(catalogue(), "")
        for ion, charge in model["ions"].items():
            self.properties.set_ion(ion, valence=charge, int_con=0 * U.mM, ext_con=0 * U.mM, rev_pot=0 * U.mV)
        self.kind: dict[int, Any] = {}
        self.synapses: dict[int, list[Any]] = {}
        self.clamps: dict[int, list[Any]] = {}
        self.incoming: dict[int, list[Any]] = {}
        self.wanted: dict[int, list[Any]] = {}
        for population in model["populations"]:
            for row in range(population["size"]):
                self.kind[population["first"] + row] = (population, row)
        for number, group in enumerate(model["synapses"]):
            names = [n for n in group["columns"] if n not in ("gid", "tag")]
            columns = [tables[group["columns"][n]] for n in names]
            places = zip(tables[group["columns"]["gid"]], tables[group["columns"]["tag"]], strict=True)
            for row, (gid, tag) in enumerate(places):
                values = {**group["parameters"], **{n: float(c[row]) for n, c in zip(names, columns, strict=True)}}
                made = (group["mechanism"], int(tag), values, f"s{number}_{row}")
                self.synapses.setdefault(int(gid), []).append(made)
        for clamp in model["clamps"]:
            self.clamps.setdefault(clamp["gid"], []).append(clamp)
        for group in model["connections"]:
            columns = [tables[group["columns"][n]] for n in ("source", "target", "row", "weight", "delay")]
            for source, target, row, weight, delay in zip(*columns, strict=True):
                label = f"s{group['synapses']}_{int(row)}"
                self.incoming.setdefault(int(target), []).append((int(source), label, float(weight), float(delay)))
        for number, recording in enumerate(model["recordings"]):
            self.wanted.setdefault(recording["gid"], []).append((number, recording))

    def num_cells(self):
        return len(self.kind)

    def cell_kind(self, gid):
        return A.cell_kind.cable if "cell" in self.kind[gid][0] else A.cell_kind.spike_source

    def global_properties(self, kind):
        return self.properties

    def cell_description(self, gid):
        population, row = self.kind[gid]
        if "cell" in population:
            return self.cable_cell(self.model["cells"][population["cell"]], gid)
        schedule = population["schedule"]
        if schedule["kind"] == "regular":
            made = A.regular_schedule(schedule["start"] * U.ms, schedule["interval"] * U.ms)
        elif schedule["kind"] == "poisson":
            made = A.poisson_schedule(freq=schedule["rate"] * U.Hz, seed=self.model["seed"] * 1000003 + gid)
        else:
            rows, times = self.tables[schedule["rows"]], self.tables[schedule["times"]]
            made = A.explicit_schedule([float(t) * U.ms for t in sorted(times[rows == row])])
        return A.spike_source_cell("spike", made)

    def cable_cell(self, cell, gid):
        tree = A.segment_tree()
        for parent, tag, *ends in cell["segments"]:
            tree.append(A.mnpos if parent < 0 else int(parent), A.mpoint(*ends[:4]), A.mpoint(*ends[4:]), tag=int(tag))
        decor = A.decor()
        decor.set_property(tempK=self.model["kelvin"] * U.Kelvin)
        for tag, cm, resistance, start in cell["compartments"]:
            decor.paint(region([tag]), cm=cm * 0.01 * U.F / U.m2, rL=resistance * U.Ohm * U.cm, Vm=start * U.mV)
        for ion in cell["ions"]:
            decor.paint(region(ion["tags"]), ion=ion["ion"], int_con=ion["internal"] * U.mM,
                        ext_con=ion["external"] * U.mM)  # fmt: skip
        for paint in cell["paints"]:
            decor.paint(region(paint["tags"]), A.density(paint["mechanism"], paint["parameters"]))
        decor.place(place(cell["detector"]["tag"]), A.threshold_detector(cell["detector"]["threshold"] * U.mV), "spike")
        for mechanism, tag, values, label in self.synapses.get(gid, ()):
            decor.place(place(tag), A.synapse(mechanism, values), label)
        for clamp in self.clamps.get(gid, ()):
            decor.place(place(clamp["tag"]), A.i_clamp(clamp["start"] * U.ms, clamp["duration"] * U.ms,
                                                       clamp["current"] * U.nA))  # fmt: skip
        tags = [tag for tag, *_ in cell["compartments"]]
        ends = " ".join(place(tag, x) for tag in tags for x in (0, 1))
        return A.cable_cell(tree, decor, A.label_dict(), A.cv_policy_explicit(f"(join {ends})"))

    def connections_on(self, gid):
        return [A.connection((source, "spike"), label, weight, delay * U.ms)
                for source, label, weight, delay in self.incoming.get(gid, ())]  # fmt: skip

    def probes(self, gid):
        found = []
        for number, recording in self.wanted.get(gid, ()):
            where, tag = place(recording["tag"]), f"r{number}"
            if recording["kind"] == "v":
                found.append(A.cable_probe_membrane_voltage(where, tag))
            elif recording["kind"] == "internal":
                found.append(A.cable_probe_ion_int_concentration(where, recording["ion"], tag))
            else:
                found.append(A.cable_probe_density_state(where, recording["mechanism"], recording["variable"], tag))
        return found


def main():
    """Simulate and write the files of the model."""
    words, known = sys.argv[1:], ("-o", "--duration", "--dt", "--acc")
    asked = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or set(asked) - set(known):
        sys.exit(__doc__)
    out = Path(asked.get("-o", "results"))
    model = json.loads((HERE / "model" / "model.json").read_text())
    with np.load(HERE / "model" / "tables.npz", allow_pickle=False) as file:
        tables = dict(file)
    recipe = Recipe(model, tables)
    if "--acc" in asked:
        folder = Path(asked["--acc"])
        folder.mkdir(parents=True, exist_ok=True)
        for population in model["populations"]:
            if "cell" in population:
                target = folder / f"{population['id']}.acc"
                cell = recipe.cable_cell(model["cells"][population["cell"]], population["first"])
                A.write_component(cell, str(target))
                sys.stdout.write(f"{target}\n")
        return
    duration, dt = (float(asked.get(f"--{name}", model[name])) for name in ("duration", "dt"))
    simulation = A.simulation(recipe)
    simulation.record(A.spike_recording.local)  # of this process, which is the only one
    step = model["dt"] * model["record_every"]
    clock = np.arange(round(duration / step) + 1) * step
    handles = [simulation.sample((r["gid"], f"r{n}"), A.regular_schedule(step * U.ms))
               for n, r in enumerate(model["recordings"])]  # fmt: skip
    simulation.run((duration + dt) * U.ms, dt * U.ms)  # a step more, for the sample at the end
    columns = {}
    for handle, recording in zip(handles, model["recordings"], strict=True):
        samples, _ = simulation.samples(handle)[0]
        columns[recording["column"]] = np.interp(clock, samples[:, 0], samples[:, 1]) * recording["scale"]
    for table in model["files"]["tables"]:
        path = out / table["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [columns.get(row, np.full(len(clock), np.nan)) for row in table["rows"]]
        np.savetxt(path, np.stack([clock * 1e-3, *rows], axis=1), fmt=f"%.{DIGITS - 1}e", delimiter="\t")
        sys.stdout.write(f"{path}\n")
    spikes = sorted((float(time), int(source[0])) for source, time in simulation.spikes() if time <= duration)
    for table in model["files"]["events"]:
        path = out / table["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        ids: dict[int, list[str]] = {}
        for name, gid in table["ids"]:
            ids.setdefault(gid, []).append(name)
        with path.open("w") as stream:
            for time, gid in spikes:
                for name in ids.get(gid, ()):
                    pair = (name, f"{time * 1e-3:.{DIGITS}g}")
                    stream.write("\t".join(pair if table["format"] == "ID_TIME" else pair[::-1]) + "\n")
        sys.stdout.write(f"{path}\n")
    sys.stdout.write(f"{len(spikes)} spikes\n")


if __name__ == "__main__":
    main()

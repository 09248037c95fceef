"""The simulation itself: CPU time of one process, nmlbridge on NEURON and on CoreNEURON against jNeuroML's code.

    python benchmarks/simulate.py [--corpus .../corpus] [--repeat 3]

Models of Open Source Brain, unchanged: ACnet2 (60 cells of several compartments) and Balanced (120 cells, 6500
synapses). All three run the model's own step and length; the code that jNeuroML generates runs under the same NEURON.
Only the simulation is timed, not reading, compiling, building or saving. The error is that of spike times: the first
spikes of each recorded cell, against a run of steps ten times smaller. Printed are medians of runs in turn, and ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parents[1] / "shared/corpus"
MODELS = (
    "ACnet2/neuroConstruct/generatedNeuroML2/LEMS_MediumNet.xml",
    "NetPyNEShowcase/NeuroML2/scaling/LEMS_Balanced.xml",
)
BIN = Path(sys.executable).parent
SPIKES, CLOSE = 5, 0.005  # spikes of each cell that are compared; farther apart (s) they are not the same spike

THEIRS = """
import json, sys, time
source = open(sys.argv[1]).read()
made = source.split("\\nif __name__")[1].split("ns = ")[1].split("\\n")[0]
scope = {"__file__": sys.argv[1], "__name__": "peer"}
exec(compile(source.split("\\nif __name__")[0], sys.argv[1], "exec"), scope)
simulation = eval(made, scope)
start = time.process_time()
scope["h"].run()
print("@@", json.dumps(time.process_time() - start))
sys.stdout.flush()
simulation.initialized = True
simulation.sim_end = simulation.sim_time = time.time()
simulation.save_results()
"""
OURS = """
import json, sys, time
from pathlib import Path
from nmlbridge.simulator.neuron.compile import compile_mods
from nmlbridge.simulator.neuron.worker import Run
from nmlbridge.simulator.program import Program
program = Program.load(sys.argv[1])
library = compile_mods(program.mods, coreneuron=bool(program.spec["run"].get("coreneuron")))
out = Path(sys.argv[2])
out.mkdir()
run = Run(Path(sys.argv[1]), out, library, 1, False, 0, False)
start = time.process_time()
run.simulate()
print("@@", json.dumps(time.process_time() - start))
"""


def lowered(model: Path, backend: str, folder: Path) -> Path:
    """The model's Program on disk."""
    from nmlbridge.lems import load_core, resolve
    from nmlbridge.neuroml import read_document
    from nmlbridge.report import Report
    from nmlbridge.results import requested
    from nmlbridge.simulator.neuron.lower import lower
    from nmlbridge.simulator.neuron.settings import Settings

    report = Report()
    document = read_document(model, report)
    library = load_core().extended(document.elements(), report)
    components = resolve(document.elements(), library, report)
    simulation = components.simulation(document.target)
    target = simulation.references.ids.get("target")
    network = next(network for network in document.networks if network.id == target)
    settings = Settings(dt=simulation.parameters["step"] * 1e3, duration=simulation.parameters["length"] * 1e3,
                        seed=1, coreneuron=backend == "coreneuron")  # fmt: skip
    return lower(network, components, library, settings, requested(simulation), report).program.save(folder)


def cpu(script: str, arguments: list[str], folder: Path) -> float:
    """CPU seconds of the simulation in a process of its own."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PATH": f"{BIN}:{os.environ.get('PATH', '')}"}
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    said = [line for line in ran.stdout.splitlines() if line.startswith("@@")]
    if not said:
        sys.exit(f"the run failed:\n{ran.stdout[-1500:]}\n{ran.stderr[-1500:]}")
    return float(json.loads(said[0][2:]))


def crossings(time: np.ndarray, v: np.ndarray, level: float = 0.0) -> np.ndarray:
    """Times at which v rises through ``level`` (V), between samples by a straight line."""
    at = np.flatnonzero((v[:-1] < level) & (v[1:] >= level))
    return time[at] + (level - v[at]) / (v[at + 1] - v[at]) * (time[at + 1] - time[at])


def columns(folder: Path) -> dict[str, np.ndarray]:
    """Spike times of each recorded column of the output files below a folder."""
    found = {}
    for path in sorted(folder.rglob("*.dat")):
        if path.name != "time.dat":
            table = np.loadtxt(path, ndmin=2)
            for column in range(1, table.shape[1]):
                found[f"{path.name}:{column}"] = crossings(table[:, 0], table[:, column])
    return found


def error(spikes: dict[str, np.ndarray], exact: dict[str, np.ndarray]) -> tuple[float, int]:
    """Mean distance (s) of the first spikes of each cell from the exact ones, and of how many."""
    distances: list[float] = []
    for name, times in exact.items():
        count = min(len(times), len(spikes.get(name, ())), SPIKES)
        distances += [d for d in np.abs(spikes[name][:count] - times[:count]) if d < CLOSE] if count else []
    return (float(np.mean(distances)), len(distances)) if distances else (float("nan"), 0)


def measure(model: Path, repeat: int) -> None:
    """One model: all three in turn."""
    import nmlbridge

    with tempfile.TemporaryDirectory() as scratch:
        peer = Path(scratch, "peer")
        shutil.copytree(model.parent, peer, ignore=shutil.ignore_patterns("x86_64", "arm64", ".test*", "*.dat"))
        jar = next(BIN.parent.glob("lib/python*/site-packages/pyneuroml/lib/jNeuroML*.jar"))
        subprocess.run(["java", "-jar", str(jar), model.name, "-neuron", "-nogui"], cwd=peer, check=True,
                       capture_output=True)  # fmt: skip
        subprocess.run([str(BIN / "nrnivmodl"), "."], cwd=peer, check=True, capture_output=True)
        generated = re.sub(r"\.xml$", "_nrn.py", model.name)
        programs = {backend: lowered(model, backend, Path(scratch, backend)) for backend in ("neuron", "coreneuron")}
        times: dict[str, list[float]] = {"jNeuroML": [], **{backend: [] for backend in programs}}
        for turn in range(repeat):
            times["jNeuroML"].append(cpu(THEIRS, [generated], peer))
            for backend, program in programs.items():
                times[backend].append(cpu(OURS, [str(program), str(Path(scratch, f"{backend}-{turn}"))], peer.parent))
        exact, made = Path(scratch, "exact"), Path(scratch, "ours")
        step = json.loads((programs["neuron"] / "program.json").read_text())["spec"]["run"]["dt"]
        short = 100.0  # ms: later, small differences grow in a network
        nmlbridge.simulate(model, dt=step / 10, duration=short, output=exact)
        spikes = {"jNeuroML": columns(peer)}
        for backend in programs:
            nmlbridge.simulate(model, duration=short, backend=backend, output=made / backend)
            spikes[backend] = columns(made / backend)
        true = columns(exact)
        middle = {who: statistics.median(values) for who, values in times.items()}
        print(f"{model.name}: {step:g} ms steps, CPU seconds of the simulation")
        for who, seconds in middle.items():
            away, count = error(spikes[who], true)
            print(f"  {who:11}{seconds:7.2f} s   {middle['jNeuroML'] / seconds:5.1f} times less   "
                  f"error of {count} spike times {away * 1e3:.4f} ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    if shutil.which("java") is None:
        print("skipped: jNeuroML needs Java, and there is none")
        return
    for name in MODELS:
        if (arguments.corpus / name).is_file():
            measure(arguments.corpus / name, arguments.repeat)
        else:
            print(f"skipped: {arguments.corpus / name} is not there; --corpus names another place")


if __name__ == "__main__":
    main()

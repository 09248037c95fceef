"""What recording extracellular potentials costs: nmlbridge and NetPyNE, the same network, in turn.

    python benchmarks/lfp.py [--repeat 3] [--cells 60] [--contacts 16] [--duration 200] [--netpyne PYTHON]

NetPyNE builds a network of cells with a soma and a dendrite, driven by NetStims, and saves it; nmlbridge runs the saved
network. Each runs it without electrodes and with them, a sample every 0.125 ms, several times. Printed are the CPU
seconds of the simulation alone and the overhead of the electrodes. NetPyNE's recording needs a NEURON before 9: give it
a Python of its own. OPENBLAS_NUM_THREADS=1 keeps the matrix products on one core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import nmlbridge
from nmlbridge.registry import format_to_read, resolve_name
from nmlbridge.report import Report
from nmlbridge.simulator.electrodes import Electrodes

PEER = '''
import json, sys, time
import numpy as np
from netpyne import sim, specs
cells, duration, folder, places = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
net = specs.NetParams()
net.sizeX = net.sizeY = net.sizeZ = 200
net.cellParams["c"] = {"secs": {
    "soma": {"geom": {"diam": 18.0, "L": 18.0, "Ra": 123.0, "pt3d": [[0, 0, 0, 18], [0, 18, 0, 18]]},
             "mechs": {"hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}}},
    "dend": {"geom": {"diam": 3.0, "L": 400.0, "Ra": 150.0, "cm": 1, "nseg": 19,
                      "pt3d": [[0, 18, 0, 3], [0, 418, 0, 3]]},
             "topol": {"parentSec": "soma", "parentX": 1.0, "childX": 0},
             "mechs": {"pas": {"g": 0.0001, "e": -70}}}}}
net.popParams["p"] = {"cellType": "c", "numCells": cells}
net.synMechParams["exc"] = {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 5.0, "e": 0}
net.stimSourceParams["bg"] = {"type": "NetStim", "rate": 50, "noise": 0.5}
net.stimTargetParams["bg->p"] = {"source": "bg", "conds": {"pop": "p"}, "weight": 0.02, "delay": 1, "synMech": "exc",
                                 "sec": "dend", "loc": 0.7}
cfg = specs.SimConfig()
cfg.duration, cfg.dt, cfg.recordStep, cfg.verbose = duration, 0.03125, 0.125, False
cfg.recordTraces = {}
if places:
    cfg.recordLFP = places
cfg.filename = folder + "/net"
sim.initialize(net, cfg)
sim.net.createPops(); sim.net.createCells(); sim.net.connectCells(); sim.net.addStims(); sim.setupRecording()
if not places:
    sim.cfg.saveJson = True
    sim.gatherData(); sim.saveData(["netParams", "netCells", "netPops", "simConfig"])
start = time.process_time()
sim.runSim()
cpu = time.process_time() - start
sim.gatherData()
print("CPU", cpu)
'''


def peer(python: str, cells: int, duration: float, folder: Path, places: list[list[float]]) -> float:
    """CPU seconds of NetPyNE's simulation; without ``places`` it leaves net_data.json in ``folder``."""
    script = folder / "peer.py"
    script.write_text(PEER)
    words = [python, str(script), str(cells), str(duration), str(folder), json.dumps(places)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise SystemExit(f"NetPyNE failed: {done.stderr[-2000:]}")
    return float(done.stdout.rsplit("CPU", 1)[1])


def ours(path: Path, electrodes: Electrodes | None) -> float:
    """CPU seconds of our simulation."""
    record = format_to_read(path)
    network, simulation = resolve_name(record.simulation)(path, Report(), frozenset())
    results = nmlbridge.simulate_network(network, replace(simulation, record_every=4), electrodes=electrodes)
    return results.phases["simulate"]["cpu"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--contacts", type=int, default=16)
    parser.add_argument("--duration", type=float, default=200.0, help="ms")
    parser.add_argument("--netpyne", default=sys.executable, help="a Python that has NetPyNE and NEURON")
    arguments = parser.parse_args()
    if subprocess.run([arguments.netpyne, "-c", "import netpyne, lfpykit"], capture_output=True).returncode:
        print("skipped: NetPyNE is not installed; --netpyne names a Python that has it")
        return
    places = [[100.0, 450.0 * k / arguments.contacts - 100, 100.0] for k in range(arguments.contacts)]
    # what NetPyNE calls y of an electrode is a depth
    electrodes = Electrodes(np.array(places) * (1, -1, 1), conductivity=0.3)
    rows: dict[str, list[float]] = {"netpyne": [], "netpyne lfp": [], "ours": [], "ours lfp": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(arguments.repeat):
            rows["netpyne"].append(peer(arguments.netpyne, arguments.cells, arguments.duration, folder, []))
            rows["netpyne lfp"].append(peer(arguments.netpyne, arguments.cells, arguments.duration, folder, places))
            path = folder / "net_data.json"
            rows["ours"].append(ours(path, None))
            rows["ours lfp"].append(ours(path, electrodes))
    middle = {name: statistics.median(values) for name, values in rows.items()}
    for name in ("netpyne", "ours"):
        plain, with_field = middle[name], middle[f"{name} lfp"]
        more = f"{with_field / plain - 1:.0%} more"
        print(f"{name:8} {plain:7.3f} s without, {with_field:7.3f} s with electrodes: {more}")
    overhead = {name: middle[f"{name} lfp"] - middle[name] for name in ("netpyne", "ours")}
    print(f"overhead: NetPyNE {overhead['netpyne']:.3f} s, nmlbridge {overhead['ours']:.3f} s, "
          f"ratio {overhead['netpyne'] / max(overhead['ours'], 1e-9):.1f}")  # fmt: skip


if __name__ == "__main__":
    main()

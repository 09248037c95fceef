"""What recording extracellular potentials costs: nmlbridge and NetPyNE, the same network, in turn.

    python benchmarks/lfp.py [--repeat 3] [--cells 60] [--contacts 16] [--duration 200] [--netpyne PYTHON]

NetPyNE builds a network of cells with a soma and a dendrite, driven by NetStims, and saves it; nmlbridge runs the saved
network. Each runs it without electrodes and with them, a sample every 0.125 ms, several times. Printed are the CPU
seconds of the simulation alone, the overhead of the electrodes, and how far the potentials of the two are apart.

NetPyNE registers a callback with NEURON's PtrVector, which NEURON 9 has no more; it sets the pointers anew at each step
anyway. Where the function is missing, a stand-in that does nothing takes its place, and the output says so. The matrix
products of both are kept on one core.
"""

from __future__ import annotations

import argparse
import json
import os
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
from nmlbridge.results import Results
from nmlbridge.simulator.electrodes import Electrodes

PEER = '''
import json, sys, time
import numpy as np
from netpyne import sim, specs
cells, duration, folder, places = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
vectors = sim.h.PtrVector
lacking = not hasattr(vectors(1), "ptr_update_callback")
if lacking:
    class Vector:
        """NEURON's, with a function that NEURON 9 lacks; what is called often goes straight to NEURON."""
        def __init__(self, size):
            self.vector = vectors(size)
            self.pset, self.gather = self.vector.pset, self.vector.gather
        def ptr_update_callback(self, callback):
            pass
    class Neuron:
        PtrVector = Vector
        def __getattr__(self, name):
            return getattr(sim.h, name)
    sys.modules["netpyne.sim.setup"].h = Neuron()
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
if places:
    np.save(folder + "/lfp.npy", sim.allSimData["LFP"])
print("RESULT" + json.dumps([cpu, lacking, sim.h.nrnversion(0)]))
'''
ONE_CORE = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def peer(python: str, cells: int, duration: float, folder: Path, places: list[list[float]]) -> tuple[float, bool, str]:
    """CPU seconds of NetPyNE's simulation, whether the stand-in was needed, NEURON's version.

    Without ``places`` it leaves net_data.json in ``folder``, with them lfp.npy.
    """
    script = folder / "peer.py"
    script.write_text(PEER)
    words = [python, str(script), str(cells), str(duration), str(folder), json.dumps(places)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=os.environ | ONE_CORE)
    if done.returncode:
        raise SystemExit(f"NetPyNE failed: {done.stderr[-2000:]}")
    cpu, lacking, version = json.loads(done.stdout.rsplit("RESULT", 1)[1])
    return float(cpu), bool(lacking), str(version)


def ours(path: Path, electrodes: Electrodes | None) -> tuple[float, Results]:
    """CPU seconds of our simulation, and its results."""
    record = format_to_read(path)
    network, simulation = resolve_name(record.simulation)(path, Report(), frozenset())
    results = nmlbridge.simulate_network(network, replace(simulation, record_every=4), electrodes=electrodes)
    return results.phases["simulate"]["cpu"], results


def apart(mine: np.ndarray, theirs: np.ndarray) -> float:
    """The greatest difference of potentials (samples, contacts), as a part of their greatest."""
    return float(np.abs(mine - theirs).max() / np.abs(theirs).max())


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
    os.environ.update(ONE_CORE)
    rows: dict[str, list[float]] = {"netpyne": [], "netpyne lfp": [], "ours": [], "ours lfp": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(arguments.repeat):
            rows["netpyne"].append(peer(arguments.netpyne, arguments.cells, arguments.duration, folder, [])[0])
            cpu, lacking, version = peer(arguments.netpyne, arguments.cells, arguments.duration, folder, places)
            rows["netpyne lfp"].append(cpu)
            path = folder / "net_data.json"
            rows["ours"].append(ours(path, None)[0])
            cpu, results = ours(path, electrodes)
            rows["ours lfp"].append(cpu)
        theirs = np.load(folder / "lfp.npy") * 1e-3
    stand_in = "a stand-in for PtrVector.ptr_update_callback" if lacking else "nothing replaced"
    print(f"{arguments.cells} cells, {len(places)} contacts, {arguments.duration:g} ms; NetPyNE runs with NEURON "
          f"{version}, {stand_in}")  # fmt: skip
    middle = {name: statistics.median(values) for name, values in rows.items()}
    for name in ("netpyne", "ours"):
        plain, with_field = middle[name], middle[f"{name} lfp"]
        more = f"{with_field / plain - 1:.0%} more"
        print(f"{name:8} {plain:7.3f} s without, {with_field:7.3f} s with electrodes: {more}")
    overhead = {name: middle[f"{name} lfp"] - middle[name] for name in ("netpyne", "ours")}
    print(f"overhead: NetPyNE {overhead['netpyne']:.3f} s, nmlbridge {overhead['ours']:.3f} s, "
          f"ratio {overhead['netpyne'] / max(overhead['ours'], 1e-9):.1f}")  # fmt: skip
    mine = np.array([results[f"lfp[{k}]"] for k in range(len(places))]).T[-len(theirs) :]
    print(f"potentials: greatest {np.abs(theirs).max():.2e} V, apart by {apart(mine, theirs):.1e} of that")


if __name__ == "__main__":
    main()

"""From columns to a running network: nmlbridge against NetPyNE, and how time and memory grow with the connections.

    python benchmarks/instantiate.py [--repeat 3] [--grow 1000000,4000000]

1,000 Hodgkin-Huxley cells of one compartment, 100 double-exponential synapses on each from random others (100,000
connections), and a Poisson background of 10 Hz through a synapse of its own on each cell; 100 ms in steps of 0.025 ms.
Ours starts from numpy columns (graph.Network), NetPyNE from rules with the same numbers. Each runs in a process of its
own, in turn; printed are CPU seconds of creating cells and connections, of simulating, and the peak of resident memory.
With --grow, ours alone with more connections: seconds and bytes per connection, and what NEURON itself takes for as
many, in a bare loop of NetCons. Then the process that starts two ranks, for a declared network of as many connections
(10,000 cells): from the rules to the tables that the ranks read, CPU seconds and the growth of its memory at its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

CELLS, EACH, DURATION, STEP = 1000, 100, 100.0, 0.025
MODEL = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="bench">
  <ionChannelHH id="leak" conductance="1pS"/>
  <ionChannelHH id="na" conductance="1pS" species="na">
    <gateHHrates id="m" instances="3">
      <forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
      <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/></gateHHrates>
    <gateHHrates id="h" instances="1">
      <forwardRate type="HHExpRate" rate="0.07per_ms" midpoint="-65mV" scale="-20mV"/>
      <reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/></gateHHrates></ionChannelHH>
  <ionChannelHH id="k" conductance="1pS" species="k">
    <gateHHrates id="n" instances="4">
      <forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
      <reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/></gateHHrates></ionChannelHH>
  <expTwoSynapse id="exc" gbase="0.1nS" erev="0mV" tauRise="0.5ms" tauDecay="5ms"/>
  <poissonFiringSynapse id="background" averageRate="10Hz" synapse="strong" spikeTarget="./strong"/>
  <expTwoSynapse id="strong" gbase="20nS" erev="0mV" tauRise="0.5ms" tauDecay="5ms"/>
  <cell id="hh"><morphology id="shape"><segment id="0"><proximal x="0" y="0" z="0" diameter="20"/>
      <distal x="20" y="0" z="0" diameter="20"/></segment></morphology>
    <biophysicalProperties id="bio"><membraneProperties>
        <channelDensity id="gl" ionChannel="leak" condDensity="0.3mS_per_cm2" erev="-54.3mV" ion="non_specific"/>
        <channelDensity id="gna" ionChannel="na" condDensity="120mS_per_cm2" erev="50mV" ion="na"/>
        <channelDensity id="gk" ionChannel="k" condDensity="36mS_per_cm2" erev="-77mV" ion="k"/>
        <spikeThresh value="0mV"/><specificCapacitance value="1uF_per_cm2"/><initMembPotential value="-65mV"/>
      </membraneProperties>
      <intracellularProperties><resistivity value="0.1kohm_cm"/></intracellularProperties>
    </biophysicalProperties></cell>
</neuroml>"""

NETWORK = {
    "space": {axis: [0, 1000] for axis in "xyz"},
    "cells": {"cell": {"type": "iafCell", "leakReversal": "-60 mV", "thresh": "-50 mV", "reset": "-65 mV",
                       "C": "0.2 nF", "leakConductance": "0.01 uS"}},
    "synapses": {"syn": {"type": "expTwoSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "1 ms",
                         "tauDecay": "3 ms"}},
}  # fmt: skip
"""what all networks of rules here share"""

RESOURCES = """
import json, resource, sys, time
def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
"""
OURS = """
import dataclasses, os, pathlib
import numpy as np
import nmlbridge
from nmlbridge.graph import InputList, Network, Population, Projection
from nmlbridge.lems import load_core, resolve
from nmlbridge.report import Report
from nmlbridge.results import Outputs
from nmlbridge.simulator.neuron.compile import compile_mods
from nmlbridge.simulator.neuron.lower import lower
from nmlbridge.simulator.neuron.settings import Settings
from nmlbridge.simulator.neuron.worker import Run
os.environ["NEURON_MODULE_OPTIONS"] = "-nogui -nobanner"
import neuron  # the start of the simulator counts for neither side
model, folder, cells, each, duration, step, backend = *sys.argv[1:3], *map(float, sys.argv[3:7]), sys.argv[7]
cells, each, folder = int(cells), int(each), pathlib.Path(folder)
base = nmlbridge.read(model)
report = Report()
library = load_core().extended(base.components, report)
components = resolve(base.components, library, report)
start, first = time.process_time(), memory()
rng = np.random.default_rng(1)
post = np.repeat(np.arange(cells), each)
pre = (post + rng.integers(1, cells, len(post))) % cells
network = Network("net", {"pop": Population("pop", "hh", np.arange(cells))}, [
    Projection("rec", "chemical", "pop", "pop", pre, post, synapses=("exc",), weight=np.full(len(pre), 0.5),
               delay=rng.uniform(1, 5, len(pre)))],
    [InputList("bg", "background", "pop", np.arange(cells))], components=base.components)
settings = Settings(dt=step, duration=duration, coreneuron=backend == "coreneuron")
program = lower(network, components, library, settings, Outputs(), report).program
program.save(folder)
lowered, handed = time.process_time() - start, memory() - first
library = compile_mods(program.mods, coreneuron=settings.coreneuron)
if "--split" in sys.argv:
    print("@@", json.dumps({"lower": lowered, "handed": handed, "folder": str(folder), "library": str(library)}))
    sys.exit()
out = folder / "out"
out.mkdir()
start = time.process_time()
run = Run(folder, out, library, 1, False, 0, False)
built = time.process_time() - start
start = time.process_time()
run.simulate()
gids = run.spikes
print("@@", json.dumps({"create": lowered + built, "lower": lowered, "simulate": time.process_time() - start,
                        "memory": memory()}))
"""
WORKER = """
import pathlib
from nmlbridge.simulator.neuron.worker import Run
folder = pathlib.Path(sys.argv[1])
out = folder / "out"
out.mkdir()
start = time.process_time()
run = Run(folder, out, pathlib.Path(sys.argv[2]), 1, False, 0, False)
built, peak = time.process_time() - start, memory()
with open("/proc/self/status") as stream:
    now = next(int(line.split()[1]) / 1024 for line in stream if line.startswith("VmRSS"))
start = time.process_time()
run.simulate()
print("@@", json.dumps({"built": built, "simulate": time.process_time() - start, "peak": peak, "now": now}))
"""
START = f"""
NETWORK = {NETWORK!r}""" + """
import tempfile
from pathlib import Path
from nmlbridge.builder import build
from nmlbridge.report import Report
from nmlbridge.simulator.neuron.shares import divide
from nmlbridge.simulator.run import lowered_of
def start(cells, each):
    made = build(NETWORK | {
        "populations": {"E": {"cell": "cell", "number": cells}},
        "connections": {"EE": {"from": "E", "to": "E", "convergence": each, "synapse": "syn",
                               "weight": "uniform(0.1, 0.5)", "delay": "1 + dist_3d / 500"}},
        "run": {"duration": "10 ms"}})
    program = lowered_of(made.network, made.simulation, Report()).program
    with tempfile.TemporaryDirectory() as folder:
        divide(program, 2).save(Path(folder))
        program.save(folder)
start(1000, 2)  # what is loaded once
before, begin = memory(), time.process_time()
start(10000, int(sys.argv[1]))
print("@@", json.dumps({"seconds": time.process_time() - begin, "memory": memory() - before, "peak": memory()}))
"""
BARE = """
from neuron import h
import random
cells, each = int(sys.argv[1]), int(sys.argv[2])
pc = h.ParallelContext()
sections = [h.Section(name=f"s{i}") for i in range(cells)]
keep = []
for gid, section in enumerate(sections):
    section.insert("hh")
    source = h.NetCon(section(0.5)._ref_v, None, sec=section)
    pc.set_gid2node(gid, 0)
    pc.cell(gid, source)
synapses = [h.Exp2Syn(section(0.5)) for section in sections]
start, first = time.process_time(), memory()
connections = h.List()
for target in range(cells):
    synapse = synapses[target]
    for _ in range(each):
        netcon = pc.gid_connect(random.randrange(cells), synapse)
        netcon.weight[0] = 0.5
        netcon.delay = 1.5
        connections.append(netcon)
print("@@", json.dumps({"seconds": time.process_time() - start, "memory": memory() - first}))
"""
NETPYNE = """
import io, contextlib
cells, each, duration, step = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
with contextlib.redirect_stdout(io.StringIO()):
    from netpyne import specs, sim
    p = specs.NetParams()
    p.cellParams["hh"] = {"secs": {"soma": {"geom": {"L": 20, "diam": 20}, "mechs": {
        "hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.0003, "el": -54.3}}}}}
    p.popParams["pop"] = {"cellType": "hh", "numCells": cells}
    p.synMechParams["exc"] = {"mod": "Exp2Syn", "tau1": 0.5, "tau2": 5, "e": 0}
    p.connParams["rec"] = {"preConds": {"pop": "pop"}, "postConds": {"pop": "pop"}, "convergence": each,
                           "weight": 0.00005, "delay": "uniform(1,5)", "synMech": "exc"}
    p.stimSourceParams["bg"] = {"type": "NetStim", "rate": 10, "noise": 1}
    p.stimTargetParams["bg"] = {"source": "bg", "conds": {"pop": "pop"}, "weight": 0.02, "delay": 1, "synMech": "exc"}
    c = specs.SimConfig()
    c.duration, c.dt, c.verbose, c.recordStep = duration, step, False, step
    start = time.process_time()
    sim.initialize(p, c)
    sim.net.createPops(); sim.net.createCells(); sim.net.connectCells(); sim.net.addStims()
    created = time.process_time() - start
    sim.setupRecording()
    start = time.process_time()
    sim.runSim()
print("@@", json.dumps({"create": created, "simulate": time.process_time() - start, "memory": memory()}))
"""


def run(script: str, *arguments: object, python: str = sys.executable) -> dict[str, float]:
    """What a script of its own process measured; ends the benchmark if it fails."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        ran = subprocess.run([python, "-c", RESOURCES + script, *map(str, arguments)], cwd=scratch, env=environment,
                             capture_output=True, text=True)  # fmt: skip
    said = [line for line in ran.stdout.splitlines() if line.startswith("@@")]
    if not said:
        sys.exit(f"the run failed:\n{ran.stdout[-1500:]}\n{ran.stderr[-1500:]}")
    return dict(json.loads(said[0][2:]))


def ours(model: str, each: int, backend: str = "neuron", *more: str) -> dict[str, float]:
    """One run of ours."""
    with tempfile.TemporaryDirectory() as folder:
        return run(OURS, model, folder, CELLS, each, DURATION, STEP, backend, *more)


def against(model: str, repeat: int, python: str) -> None:
    """Ours and NetPyNE in turn."""
    found: dict[str, list[dict[str, float]]] = {"NetPyNE": [], "neuron": [], "coreneuron": []}
    for _ in range(repeat):
        found["NetPyNE"].append(run(NETPYNE, CELLS, EACH, DURATION, STEP, python=python))
        for backend in ("neuron", "coreneuron"):
            found[backend].append(ours(model, EACH, backend))
    middle = {who: {k: statistics.median(one[k] for one in all_) for k in ("create", "simulate", "memory")}
              for who, all_ in found.items()}  # fmt: skip
    print(f"{CELLS} cells, {CELLS * EACH} connections, {DURATION:g} ms")
    peer = middle["NetPyNE"]
    for who, one in middle.items():
        ratios = ", ".join(f"{peer[k] / one[k]:.1f}" for k in one)
        print(f"  {who:11} create {one['create']:6.2f} s   simulate {one['simulate']:6.2f} s   memory "
              f"{one['memory']:5.0f} MB   {'' if who == 'NetPyNE' else f'times less: {ratios}'}")  # fmt: skip


def grow(model: str, sizes: list[int]) -> None:
    """Ours with more connections, and a bare loop of as many NetCons."""
    print(f"{'connections':>12} {'lower s':>8} {'build s':>8} {'bare s':>8} {'ours B/conn':>12} {'bare B/conn':>12}")
    with tempfile.TemporaryDirectory() as folder:
        split = run(OURS, model, folder, CELLS, 1, DURATION, STEP, "neuron", "--split")
        empty = run(WORKER, split["folder"], split["library"])
    for size in sizes:
        each = size // CELLS
        bare = run(BARE, CELLS, each)
        with tempfile.TemporaryDirectory() as folder:
            split = run(OURS, model, folder, CELLS, each, STEP, STEP, "neuron", "--split")
            built = run(WORKER, split["folder"], split["library"])
        mine, theirs = ((one - less) * 2**20 / size for one, less in
                        ((built["peak"], empty["peak"]), (bare["memory"], 0.0)))  # fmt: skip
        print(f"{size:12} {split['lower']:8.2f} {built['built']:8.2f} {bare['seconds']:8.2f} {mine:12.0f} "
              f"{theirs:12.0f}   beyond NEURON's: {mine - theirs:.0f}")  # fmt: skip


def start(sizes: list[int]) -> None:
    """The process that starts the ranks, by the number of declared connections."""
    print(f"{'declared':>12} {'start s':>8} {'grows MB':>9} {'B/conn':>7} {'peak MB':>8}")
    for size in sizes:
        one = run(START, size // 10000)
        print(f"{size:12} {one['seconds']:8.2f} {one['memory']:9.1f} {one['memory'] * 2**20 / size:7.1f} "
              f"{one['peak']:8.0f}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--grow", default="1000000,4000000", help="connections, comma-separated")
    parser.add_argument("--netpyne", default=sys.executable, help="a Python that has NetPyNE and NEURON")
    arguments = parser.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".nml") as stream:
        stream.write(MODEL)
        stream.flush()
        if subprocess.run([arguments.netpyne, "-c", "import netpyne"], capture_output=True).returncode:
            print("skipped: NetPyNE is not installed; --netpyne names a Python that has it")
        else:
            against(stream.name, arguments.repeat, arguments.netpyne)
        sizes = [int(word) for word in arguments.grow.split(",") if word]
        grow(stream.name, sizes)
        start(sizes)


if __name__ == "__main__":
    main()

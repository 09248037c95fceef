"""Building networks from rules: nmlbridge and NetPyNE in turn, in processes of their own.

    python benchmarks/builder.py [--peer PYTHON] [--cells 1000 10000] [--rules NAME ...] [--limit GB] [--repeat N]

Both make the same populations and connections with weights, delays and positions, and stop before any simulator object
is made (NetPyNE with createNEURONObj=False). CPU seconds and the growth of resident memory while building, those of
all processes together (nmlbridge forks some for long rules); medians of N. PYTHON is an interpreter that has NetPyNE,
if this one has not. A run that needs more than GB ends and is said to.
"Same" is a rule in NetPyNE's words, with weights that are drawn, which nmlbridge builds with NetPyNE's random numbers:
the number of connections must be the same. The ratios aimed at: 30 times faster, in a fifth of the memory. "A quarter"
is what one of four ranks builds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

from instantiate import NETWORK

RULES = ("probability", "convergence", "distance", "same")
MEASURE = """
import json, resource, sys, time
def limit(gb):
    if gb: resource.setrlimit(resource.RLIMIT_AS, (int(gb * 2**30), int(gb * 2**30)))
def peak():  # MB, of this process and of all those that it has forked
    mine, theirs = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (mine + theirs * (processes - 1)) / 1024
def spent():
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
def answer(start, before, connections):
    print(json.dumps({"seconds": spent() - start, "mb": peak() - before, "connections": connections}))
processes = 1
rule, cells, mean, gb = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
decay = f"{mean / cells * 5.6} * exp(-dist_3{'d' if OURS else 'D'} / 300)"
value = {"probability": mean / cells, "convergence": mean, "distance": decay, "same": decay}[rule]
weight = "0.5 * uniform(0.5, 1)" if rule == "same" else 0.5
word = "convergence" if rule == "convergence" else "probability"
"""
OURS = """
OURS = True
""" + MEASURE + f"""
NETWORK = {NETWORK!r}""" + """
import numpy as np
from nmlbridge.builder import build
model = NETWORK | {"populations": {"E": {"cell": "cell", "number": cells}}, "connections": {}}
build(model)  # what is loaded once
model["connections"]["EE"] = {"from": "E", "to": "E", word: value, "synapse": "syn", "weight": 0.5,
                              "delay": "1 + dist_3d / 500"}
limit(gb)
before, start = peak(), spent()
share = int(sys.argv[5]) if len(sys.argv) > 5 else 1
posts = (lambda name, size: np.arange(size) % share == 0) if share > 1 else None
network = build(model, posts=posts).network
if resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss:  # each began with the memory of this one
    from nmlbridge.builder.processes import processors
    processes = processors(cells * cells // share)
    before *= processes
answer(start, before, network.connections)
"""
SAME = """
OURS = False  # the rules are NetPyNE's
""" + MEASURE + """
from nmlbridge.converters.netpyne.rules import build
from nmlbridge.report import Report
net = {
    "sizeX": 1000, "sizeY": 1000, "sizeZ": 1000,
    "cellParams": {"cell": {"secs": {"soma": {"geom": {"L": 10, "diam": 10, "nseg": 1}, "mechs": {"pas": {}}}}}},
    "popParams": {"E": {"cellType": "cell", "numCells": cells}},
    "synMechParams": {"syn": {"mod": "Exp2Syn", "tau1": 1, "tau2": 3, "e": 0}}, "connParams": {},
}
build(net, {}, Report())
net["connParams"]["EE"] = {"preConds": {"pop": "E"}, "postConds": {"pop": "E"}, word: value, "synMech": "syn",
                           "weight": weight, "delay": "1 + dist_3D / 500"}
limit(gb)
before, start = peak(), spent()
answer(start, before, len(build(net, {}, Report()).connections))
"""
THEIRS = """
OURS = False
""" + MEASURE + """
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()):
    from netpyne import sim, specs
    net, cfg = specs.NetParams(), specs.SimConfig()
    net.sizeX = net.sizeY = net.sizeZ = 1000
    net.cellParams["cell"] = {"secs": {"soma": {"geom": {"L": 10, "diam": 10, "nseg": 1}, "mechs": {"pas": {}}}}}
    net.popParams["E"] = {"cellType": "cell", "numCells": cells}
    net.synMechParams["syn"] = {"mod": "Exp2Syn", "tau1": 1, "tau2": 3, "e": 0}
    net.connParams["EE"] = {"preConds": {"pop": "E"}, "postConds": {"pop": "E"}, word: value, "synMech": "syn",
                            "weight": weight, "delay": "1 + dist_3D / 500"}
    cfg.createNEURONObj, cfg.verbose, cfg.timing = False, False, False
    sim.initialize(net, cfg)
    limit(gb)
    before, start = peak(), spent()
    sim.net.createPops()
    sim.net.createCells()
    sim.net.connectCells()
    total = sum(len(cell.conns) for cell in sim.net.cells)
answer(start, before, total)
sys.stdout.flush()
import os; os._exit(0)
"""


def measure(
    python: str, code: str, rule: str, cells: int, mean: int, limit: float, wait: float, share: int = 1
) -> dict[str, Any] | str:  # fmt: skip
    """One run: seconds, MB and connections, or why there is no result."""
    words = [python, "-c", code, rule, str(cells), str(mean), str(limit), str(share)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=wait, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {wait:.0f} s"
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        error = done.stderr.strip().splitlines()
        full = "MemoryError" in done.stderr or done.returncode < 0
        return "out of memory" if full else (error or ["failed"])[-1][:100]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def median(runs: list[dict[str, Any] | str]) -> dict[str, Any] | str:
    """The medians of several runs, or the first complaint."""
    good = [run for run in runs if isinstance(run, dict)]
    if len(good) < len(runs):
        return next(run for run in runs if isinstance(run, str))
    return {name: statistics.median(run[name] for run in good) for name in good[0]}


def shown(result: dict[str, Any] | str) -> str:
    """A result as text."""
    if isinstance(result, str):
        return result
    return f"{result['seconds']:8.2f} s {result['mb']:8.0f} MB {int(result['connections']):>10} connections"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", default=sys.executable, help="a Python that has NetPyNE")
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--rules", nargs="+", choices=(*RULES, "big"), default=[*RULES, "big"])
    parser.add_argument("--limit", type=float, default=8.0, help="GB of address space for each")
    parser.add_argument("--wait", type=float, default=1200.0, help="seconds for each run of the peer")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    for cells in arguments.cells:
        for rule in (rule for rule in RULES if rule in arguments.rules):
            code = SAME if rule == "same" else OURS
            ours = median([measure(sys.executable, code, rule, cells, 100, 0, 600) for _ in range(arguments.repeat)])
            times = arguments.repeat if cells <= 1000 else 1
            theirs = median([measure(arguments.peer, THEIRS, rule, cells, 100, arguments.limit, arguments.wait)
                             for _ in range(times)])  # fmt: skip
            print(f"{cells} cells, {rule}, about 100 connections each")
            print(f"  nmlbridge {shown(ours)}\n  NetPyNE   {shown(theirs)}", flush=True)
            if isinstance(ours, dict) and isinstance(theirs, dict):
                faster, smaller = theirs["seconds"] / ours["seconds"], theirs["mb"] / ours["mb"]
                print(f"  {faster:.0f} times faster, {smaller:.1f} times less memory", flush=True)  # fmt: skip
    if "big" not in arguments.rules:
        return 0
    big = measure(sys.executable, OURS, "probability", 10000, 1000, 0, 600)
    print(f"10000 x 10000 with p = 0.1\n  nmlbridge {shown(big)}", flush=True)
    quarter = measure(sys.executable, OURS, "probability", 10000, 1000, 0, 600, share=4)
    print(f"  a quarter {shown(quarter)}", flush=True)
    peer = measure(arguments.peer, THEIRS, "probability", 10000, 1000, arguments.limit, arguments.wait)
    print(f"  NetPyNE   {shown(peer)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

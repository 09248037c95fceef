"""An instantiated NetPyNE network is changed and run again: the same spikes as NetPyNE's modify functions give."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.converters.netpyne.read import read_simulation
from nmlbridge.graph import NativeProcess

pytestmark = pytest.mark.neuron

# after NetPyNE's tutorial on instantiated networks, with numbers of our own
PARAMS: dict[str, Any] = {
    "popParams": {"hop": {"cellType": "PYR", "numCells": 12, "cellModel": "HH"},
                  "background": {"cellModel": "NetStim", "numCells": 12, "rate": 60, "noise": 0.5, "start": 1,
                                 "seed": 2}},
    "cellParams": {"PYR": {"conds": {"cellType": "PYR"}, "secs": {"soma": {
        "geom": {"diam": 18.8, "L": 18.8, "Ra": 123.0},
        "mechs": {"hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}}}}}},
    "synMechParams": {"exc": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 1.0, "e": 0},
                      "inh": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 1.0, "e": -80}},
    "connParams": {"bg": {"preConds": {"pop": "background"}, "postConds": {"pop": "hop"}, "weight": 0.03,
                          "probability": 0.4, "synMech": "exc", "delay": "uniform(1,5)"},
                   "hop": {"preConds": {"pop": "hop"}, "postConds": {"pop": "hop"}, "weight": 0.0, "probability": 0.5,
                           "synMech": "inh", "delay": 5}},
}  # fmt: skip
CONFIG: dict[str, Any] = {"duration": 200, "dt": 0.025}
REFERENCE = """
import json
from netpyne import sim, specs
model = json.load(open("model.json"))
sim.create(specs.NetParams(model["net"]["params"]), specs.SimConfig(model["simConfig"]))
found = []
def run():
    sim.simulate()
    found.append([list(sim.allSimData["spkt"]), list(sim.allSimData["spkid"])])
run()
sim.net.modifyConns({"conds": {"label": "hop"}, "weight": 0.02})
run()
sim.net.modifyCells({"conds": {"pop": "hop"}, "secs": {"soma": {"mechs": {"hh": {"gnabar": 0.09}}}}})
run()
sim.net.modifySynMechs({"conds": {"label": "inh", "sec": "soma"}, "tau2": 6.0})
run()
print("found" + json.dumps(found, default=float))
"""


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
def test_the_spikes_of_netpynes_changes(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"net": {"params": PARAMS}, "simConfig": CONFIG}))
    done = subprocess.run([sys.executable, "-c", REFERENCE], cwd=tmp_path, capture_output=True, text=True, check=False,
                          timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("found"))[5:])
    network, simulation = read_simulation(tmp_path / "model.json")
    (hop,) = (p for p in network.projections if p.attributes.get("netpyne_label") == "hop")
    ours = []
    with nmlbridge.Session(network, simulation) as session:
        ours.append(session.run())
        session.set_weights(hop.id, 0.02)
        ours.append(session.run())
        session.set_membrane(hop.postsynaptic, "hh", "gnabar", 0.09)
        ours.append(session.run())
    # a parameter of synapses, by a network that differs there
    (label,) = hop.synapses
    slow = network.native[label]
    assert isinstance(slow, NativeProcess)
    with nmlbridge.Session(network, simulation) as session:
        session.run()
        session.replace(dataclasses.replace(network, native=network.native | {
            label: dataclasses.replace(slow, parameters={**slow.parameters, "tau2": 6.0})}))  # fmt: skip
        session.set_weights(hop.id, 0.02)
        session.set_membrane(hop.postsynaptic, "hh", "gnabar", 0.09)
        ours.append(session.run())
    counts = []
    for (times, gids), results in zip(theirs, ours, strict=True):
        assert np.allclose(sorted(times), np.sort(results.spikes.time * 1e3), rtol=0, atol=1e-6)
        assert sorted(int(g) for g in gids) == sorted(results.spikes.gid.tolist())
        counts.append(len(times))
    assert len(set(counts)) == 4 and min(counts) > 50

"""Gap junctions and graded synapses of rules: numbers, other formats, ranks, NetPyNE's numbers of the same cells."""

from __future__ import annotations

import copy
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
from nmlbridge.builder import build
from nmlbridge.errors import ModelError
from nmlbridge.graph import Network

from .rules import run

pytestmark = pytest.mark.neuron

# after NetPyNE's tutorials on gap junctions and graded synapses, with numbers of our own
SOMA = {"length": 18.8, "diameter": 18.8}
PAIR: dict[str, Any] = {
    "name": "pair",
    "cells": {"pyr": {"sections": {"soma": SOMA}, "biophysics": {"v_init": -65, "mechanisms": {
        "hh": {"neuron": "hh", "gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}}}}},
    "synapses": {"gap": {"type": "gapJunction", "conductance": "2 nS"},
                 "graded": {"type": "gradedSynapse", "conductance": "5 nS", "delta": "5 mV", "k": "0.1 per_ms",
                            "Vth": "-55 mV", "erev": "0 mV"}},
    "populations": {"A": {"cell": "pyr", "number": 1}, "B": {"cell": "pyr", "number": 1}},
    "connections": {"g": {"from": "A", "to": "B", "pattern": "all_to_all", "kind": "electrical", "synapse": "gap",
                          "weight": 1.5}},
    "stimuli": {"i": {"type": "pulse", "to": "A", "amplitude": -0.05, "start": 50, "duration": 500}},
    "record": {"v": {"cells": "A | B"}},
    "run": {"duration": 300, "dt": 0.025},
}  # fmt: skip
GRADED = {"s": {"from": "A", "to": "B", "pattern": "all_to_all", "kind": "continuous", "synapse": "graded",
                "weight": 2}}  # fmt: skip


def coefficient(a: Any, b: Any) -> float:
    """What of a lasting deflection of the first cell arrives in the second."""
    a, b = np.asarray(a), np.asarray(b)
    before, late = round(49 / 0.025), round(299 / 0.025)
    return float((b[late] - b[before]) / (a[late] - a[before]))


ELECT = """NEURON { POINT_PROCESS ElectSyn RANGE g, i, vpeer, weight NONSPECIFIC_CURRENT i }
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER { g = 0.00001 (uS) weight = 1 }
ASSIGNED { v (mV) vpeer (mV) i (nA) }
BREAKPOINT { i = weight * g * (v - vpeer) }
"""
REFERENCE = """
import json, sys
from netpyne import sim, specs
params = json.load(open("params.json"))
config = specs.SimConfig({"duration": 300, "dt": 0.025, "recordStep": 0.025, "recordCells": ["all"],
                          "recordTraces": {"V": {"sec": "soma", "loc": 0.5, "var": "v"}}})
sim.create(specs.NetParams(params), config)
sim.simulate()
print("found" + json.dumps([list(sim.allSimData["V"][f"cell_{i}"]) for i in (0, 1)], default=float))
"""


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
def test_the_coupling_coefficient_of_netpyne(tmp_path: Path) -> None:
    """The junction as NetPyNE's tutorial has it: a process on each side, with the other side's voltage by pointer."""
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "esyn.mod").write_text(ELECT)
    made = subprocess.run([str(Path(sys.executable).with_name("nrnivmodl")), "mod"], cwd=tmp_path, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert made.returncode == 0, made.stderr[-2000:]
    params = {
        "popParams": {name: {"cellType": "PYR", "numCells": 1} for name in ("A", "B")},
        "cellParams": {"PYR": {"secs": {"soma": {
            "geom": {"diam": 18.8, "L": 18.8, "Ra": 100.0},
            "mechs": {"hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}}}}}},
        "synMechParams": {"esyn": {"mod": "ElectSyn", "g": 0.002, "pointerParams": {"target_var": "vpeer"}}},
        "connParams": {"g": {"preConds": {"pop": "A"}, "postConds": {"pop": "B"}, "weight": 1.5, "delay": 0.1,
                             "synMech": "esyn", "sec": "soma", "loc": 0.5, "preSec": "soma", "preLoc": 0.5}},
        "stimSourceParams": {"i": {"type": "IClamp", "del": 50, "dur": 500, "amp": -0.05}},
        "stimTargetParams": {"i": {"source": "i", "conds": {"pop": "A"}, "sec": "soma", "loc": 0.5}},
    }  # fmt: skip
    (tmp_path / "params.json").write_text(json.dumps(params))
    done = subprocess.run([sys.executable, "-c", REFERENCE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("found"))
    theirs = coefficient(*json.loads(line.removeprefix("found")))
    built = build(copy.deepcopy(PAIR))
    assert built.simulation is not None
    results = nmlbridge.simulate_network(built.network, dataclasses.replace(built.simulation, method="implicit"))
    ours = coefficient(results.traces.values[0], results.traces.values[1])
    assert 0.05 < theirs < 0.9
    assert ours == pytest.approx(theirs, rel=1e-6)


def _coupled(network: Network) -> list[tuple[Any, ...]]:
    return [
        (p.kind, p.presynaptic, p.postsynaptic, p.pre.tolist(), p.post.tolist(), p.synapses, p.pre_components,
         p.post_components, np.ones(len(p)).tolist() if p.weight is None else p.weight.tolist())
        for p in network.projections
    ]  # fmt: skip


BALLS: dict[str, Any] = copy.deepcopy(PAIR) | {
    "components": {"leak": {"type": "ionChannelHH", "conductance": "10 pS"}},
    "connections": PAIR["connections"] | GRADED,
}
BALLS["cells"]["pyr"]["biophysics"]["mechanisms"] = {"leak": {"channel": "leak", "density": 1e-4, "erev": -65}}
BALLS["stimuli"]["i"]["amplitude"] = 0.02


@pytest.mark.parametrize("name", ["net.nml", "net.nml.h5", "LEMS_net.xml"])
def test_they_survive_other_formats(name: str, tmp_path: Path) -> None:
    """electricalProjection and continuousProjection, with weights other than 1; the runs are the same."""
    built = build(copy.deepcopy(BALLS))
    nmlbridge.write(built.network, tmp_path / name)
    again = nmlbridge.read(tmp_path / name)
    assert sorted(_coupled(again)) == sorted(_coupled(built.network))
    assert {p.kind for p in again.projections} == {"electrical", "continuous"}
    assert built.simulation is not None
    one, two = (nmlbridge.simulate_network(n, built.simulation) for n in (built.network, again))
    assert np.ptp(one.traces.values[1]) > 1e-3
    np.testing.assert_allclose(one.traces.values, two.traces.values, rtol=0, atol=1e-12)


def test_a_graded_synapse_follows_the_potential() -> None:
    """In the steady state its conductance is the maximum times 1 / (1 + exp((Vth - Vpre) / delta))."""
    data = copy.deepcopy(BALLS)
    data["connections"] = copy.deepcopy(GRADED)
    results = run(data)
    before, after = results.traces.values[:, -1]
    share = 1 / (1 + np.exp((-0.055 - before) / 0.005))
    leak = 1.0 * np.pi * (18.8e-6) ** 2  # S: 1e-4 S/cm2
    conductance = 2 * 5e-9 * share
    assert 0.3 < share < 0.99
    assert after == pytest.approx((leak * -0.065 + conductance * 0) / (leak + conductance), rel=1e-4)
    assert before == pytest.approx(-0.065 + 0.02e-9 / leak, rel=1e-6)  # nothing acts on it


@pytest.mark.mpi
def test_ranks_agree_to_the_last_bit(launcher: None) -> None:
    data = BALLS | {"run": {"duration": 60, "dt": 0.05}}
    assert np.array_equal(run(data).traces.values, run(data, 2).traces.values)


@pytest.mark.parametrize(("change", "message"), [
    ({"kind": "continous"}, "did you mean 'continuous'"),
    ({"from_synapse": "none"}, "connections.s.from_synapse"),
    ({"kind": "electrical", "from_synapse": "graded"}, "a rule of kind electrical has no from_synapse"),
    ({"plasticity": {"type": "stdp"}}, "graded synapses have no plasticity"),
])  # fmt: skip
def test_errors_name_their_place(change: dict[str, Any], message: str) -> None:
    data = copy.deepcopy(BALLS)
    data["connections"]["s"].update(change)
    with pytest.raises(ModelError) as caught:
        build(data)
    assert message in str(caught.value) and "connections.s" in str(caught.value)

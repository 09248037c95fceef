"""Every kind of rule, place, number, cell and stimulus of docs/rules.md on 1, 2 and 4 ranks.

Two models have them all. What the ranks hold in NEURON (edges, places, weights, delays) and the spikes are the same to
the last bit, the traces to rounding.
"""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nmlbridge.builder import Specification, build
from nmlbridge.builder.vocabulary import Connection, Stimulus

from .held import Held, held
from .rules import CELL, SYNAPSE
from .test_templates import write_template

pytestmark = pytest.mark.neuron

PULSE = {"type": "pulse", "amplitude": "uniform(0.1, 0.16)", "duration": 1000}
RULES: dict[str, dict[str, Any]] = {
    "probability": {"probability": 0.2},
    "certain": {"probability": 1},
    "distance": {"probability": "0.8 * exp(-dist_3d / 100)"},
    "sharp": {"probability": "if(dist_2d < 120, 0.5, 0)"},
    "depth": {"probability": "clip(post_depth / 300, 0, 1) * pre_xnorm"},
    "looked up": {"probability": "table(profile, dist_3d)"},
    "drawn": {"probability": "uniform(0, 0.4)"},
    "convergence": {"convergence": 12},
    "most": {"convergence": 38},
    "convergence of depth": {"convergence": "5 + 5 * post_ynorm"},
    "divergence": {"divergence": "poisson(12)"},
    "all": {"pattern": "all_to_all"},
    "one to one": {"to": "A", "pattern": "one_to_one"},
    "pairs": {"pairs": [[0, 1], [5, 2], [39, 29], [0, 1]]},
    "csv": {"file": "edges.csv"},
    "hdf5": {"file": "edges.h5"},
    "small world": {"to": "A", "small_world": {"neighbours": 10, "rewire": 0.3}},
    "degrees": {"degrees": {"into": 8, "out": "1 + pre_x"}},
    "selected": {"from": "(A | B) & depth > 100", "to": "sample(B, 10)", "convergence": 3},
    "fast": {"probability": 0.1, "delay": 0.5, "velocity": 200},
    "several": {"probability": 0.1, "synapse": ["syn", "slow"], "weight": ["uniform(0, 0.1)", "normal(0.1, 0.01)"]},
    "own": {"from": "B", "to": "B", "probability": 0.3, "autapses": True},
    "learning": {"convergence": 8, "weight": 0.3, "plasticity": {"type": "stdp", "a_plus": 0.2}},
    "released": {"probability": 0.1, "synapse": "depressing"},
}
DRAWN = {"weight": "lognormal(0.1, 0.04)", "delay": "1 + dist_3d / 500 + exponential(0.3)",
         "contacts": "1 + poisson(0.5)"}  # fmt: skip
POINTS: dict[str, Any] = {
    "name": "net", "space": {axis: [0, 300] for axis in "xyz"},
    "tables": {"profile": {"x": [0, 50, 300], "values": [0.6, 0.3, 0]}},
    "cells": {"cell": CELL, "other": CELL | {"C": "0.3 nF"}, "beat": {"type": "spikeGenerator", "period": "7 ms"},
              "unit": {"neuron": "IntFire1", "tau": 20, "refrac": 3}},
    "synapses": {"syn": SYNAPSE, "slow": SYNAPSE | {"tauDecay": "20 ms"},
                 "depressing": {"type": "blockingPlasticSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "0.5 ms",
                                "tauDecay": "3 ms", "plasticityMechanism": {
                                    "type": "tsodyksMarkramDepMechanism", "initReleaseProb": 0.5, "tauRec": "200 ms"}}},
    "populations": {
        "A": {"cell": "cell", "number": 40},
        "B": {"cell": "cell", "number": 30, "vary": {"C": "normal(0.2 nF, 20 pF)"}},
        "M": {"cell": {"cell": 2, "other": 1}, "density": "10 * depth"},
        "S": {"cell": "beat", "number": 5, "vary": {"period": "uniform(5 ms, 9 ms)"}},
        "G": {"spikes": {"times": [[1, 5, 20.5], [3], []]}}, "F": {"cell": "unit", "number": 6},
    },
    "connections": {
        **{name.replace(" ", "_"): {"from": "A", "to": "B", "synapse": "syn", **DRAWN, **rule}
           for name, rule in RULES.items()},
        "back": {"from": "B", "to": "A", "probability": 0.1, "synapse": "syn", "weight": "normal(1, 0.1)", "delay": 2},
        "mixed": {"from": "S", "to": "M", "divergence": 4, "synapse": "syn", "weight": 6, "delay": "uniform(1, 3)"},
        "given": {"from": "G", "to": "A", "convergence": 1, "synapse": "syn", "weight": 3, "delay": 1},
        "straight": {"from": "A | G", "to": "F", "convergence": 5, "weight": "uniform(0.3, 0.6)",
                     "delay": "2 + chance(0.5)"},
        "of_units": {"from": "F", "to": "B", "convergence": 2, "synapse": "syn", "weight": 1, "delay": 1.5},
    },
    "components": {"ramp": {"type": "rampGenerator", "delay": "5 ms", "duration": "40 ms", "startAmplitude": "0 nA",
                            "finishAmplitude": "0.1 nA", "baselineAmplitude": "0 nA"}},
    "stimuli": {
        "pulse": {"to": "A", **PULSE},
        "sine": {"type": "sine", "to": "sample(A, 9)", "amplitude": 0.03, "period": 10, "duration": 40},
        "noise": {"type": "poisson", "to": "B", "rate": "uniform(500, 900)", "synapse": "syn", "weight": 2,
                  "number": 2},
        "rhythm": {"type": "rhythmic", "to": "M", "period": 8, "jitter": 1, "synapse": "syn",
                   "weight": "uniform(1, 4)"},
        "listed": {"type": "times", "to": "A", "times": [3, 9], "synapse": "syn", "weight": 2},
        "any": {"type": "component", "to": "M", "component": "ramp"},
    },
    "record": {"v": {"cells": "A | B | M"}, "w": {"weights": "learning"}},
    "run": {"duration": 50, "dt": 0.05, "seed": 3},
}  # fmt: skip
SHAPE: dict[str, Any] = {
    "soma": {"points": [[0, 0, 0, 12], [0, 12, 0, 12]]},
    "dend": {"points": [[0, 12, 0, 2], [0, 212, 0, 2]], "parent": "soma", "compartments": 7},
    "side": {"points": [[0, 6, 0, 2], [90, 60, 0, 1]], "parent": "soma", "compartments": 3},
}
TREES: dict[str, Any] = {
    "name": "net", "space": {axis: [0, 200] for axis in "xyz"}, "mods": ["mods"],
    "tables": {"map": {"x": [0, 100, 200], "y": [0, 300], "values": [[1, 0], [0.2, 1], [1, 0]]},
               "line": {"x": [0, 100, 300], "values": [0, 1, 0]}},
    "cells": {
        "tree": {"sections": SHAPE, "biophysics": {"v_init": -65, "resistivity": 100, "mechanisms": {
            "hh": {"neuron": "hh"}}}},
        "calm": {"sections": SHAPE, "biophysics": {"v_init": -65, "mechanisms": {
            "leak": {"channel": "leak", "density": 1e-4, "erev": -65}}}},
        "ball": {"template": "Ball", "file": "ball.hoc", "arguments": [300], "threshold": -20, "v_init": -65},
    },
    "components": {"leak": {"type": "ionChannelHH", "conductance": "10 pS"}},
    "synapses": {
        "syn": SYNAPSE, "exp": {"neuron": "Exp2Syn", "tau1": 0.5, "tau2": 3, "e": 0},
        "decay": {"neuron": "ExpSyn", "tau": 2},
        "jump": {"neuron": "Jump", "tau": 3, "gain": 2}, "gap": {"type": "gapJunction", "conductance": "1 nS"},
        "graded": {"type": "gradedSynapse", "conductance": "1 nS", "delta": "5 mV", "Vth": "-55 mV",
                   "k": "0.025 per_ms", "erev": "0 mV"},
    },
    "populations": {"T": {"cell": "tree", "number": 9}, "C": {"cell": "calm", "number": 4},
                    "L": {"cell": "ball", "grid": {"x": 60, "z": 60}}},
    "connections": {
        "uniform": {"from": "T", "to": "T", "convergence": 4, "synapse": "syn", "weight": "uniform(2, 6)",
                    "at": "dend | side", "contacts": 3, "delay": "1 + path_dist / 100"},
        "distant": {"from": "T", "to": "T", "probability": 0.4, "synapse": "exp", "weight": "normal(0.002, 0.0002)",
                    "delay": 1.5, "at": {"where": "dend", "density": "exp(-path_dist / 50)"}},
        "along": {"from": "T", "to": "L", "divergence": 3, "synapse": "decay", "weight": 0.004,
                  "delay": "uniform(1, 2)", "at": {"where": "all", "density": "table(line, path_dist)"}},
        "mapped": {"from": "L", "to": "T", "probability": 0.3, "synapse": "jump", "weight": 0.002, "delay": 1.2,
                   "at": {"where": "dend & path_dist > 30", "density": "table(map, x, y)"}},
        "fixed": {"from": "T", "to": "L", "pattern": "all_to_all", "synapse": "jump", "weight": 0.001,
                  "delay": "1 + dist_3d / 300", "at": {"where": "dend", "fraction": 0.25}, "from_at": "soma"},
        "to_calm": {"from": "T", "to": "C", "divergence": 2, "synapse": ["syn", "exp"], "weight": [2, 0.001],
                    "delay": 1, "at": "dend"},
        "junctions": {"from": "T", "to": "T", "probability": 0.3, "kind": "electrical", "synapse": "gap",
                      "weight": "uniform(0.5, 1)", "at": "side", "from_at": "dend"},
        "follow": {"from": "T", "to": "L", "convergence": 2, "kind": "continuous", "synapse": "graded", "weight": 2},
    },
    "stimuli": {
        "pulse": {**PULSE, "to": "T", "amplitude": "uniform(0.05, 0.3)"},
        "hold": {"type": "voltage_clamp", "to": "T[8]", "voltage": -60, "start": 4, "duration": 5},
        "noise": {"type": "poisson", "to": "L", "rate": 400, "synapse": "exp", "weight": 0.01, "at": "dend"},
        "coil": {"type": "uniform_field", "to": "all", "direction": [0, 1, 0], "amplitude": 20,
                 "course": {"times": [0, 2, 2, 4], "values": [0, 0, 1, 0]}},
        "wire": {"type": "point_electrode", "to": "T[2]", "position": [60, 50, 0], "amplitude": 5,
                 "course": "sin(2 * pi * t / 3)"},
    },
    "record": {"v": {"cells": "T | L | C"}, "d": {"cells": "T", "at": "dend"}},
    "run": {"duration": 25, "dt": 0.025},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the models name."""
    place = tmp_path_factory.mktemp("kinds")
    write_template(place)
    random = np.random.default_rng(5)
    pre, post, weight = random.integers(0, 40, 60), random.integers(0, 30, 60), random.random(60) / 5
    rows = zip(pre, post, weight, 1 + weight, strict=True)
    (place / "edges.csv").write_text("pre,post,weight,delay\n" + "".join(f"{a},{b},{w},{d}\n" for a, b, w, d in rows))
    with h5py.File(place / "edges.h5", "w") as file:
        file["pre"], file["post"], file["weight"] = pre[::-1], post[::-1], weight
    return place


def _held(data: dict[str, Any], folder: Path, ranks: int) -> Held:
    made = build(Specification.of(data, folder), allow=("code", "mods"))
    assert made.simulation is not None
    found = held(made.network, made.simulation, ranks)
    assert sum(made.network.populations[p.postsynaptic].size > 0 and len(p) for p in made.network.projections
               if p.kind == "chemical") >= len(found.edges)  # fmt: skip
    return found


@pytest.mark.mpi
@pytest.mark.parametrize(("data", "at_least"), [(POINTS, 5000), (TREES, 100)], ids=["points", "trees"])
def test_ranks_hold_the_same_to_the_last_bit(
    launcher: None, folder: Path, data: dict[str, Any], at_least: int
) -> None:  # fmt: skip
    one = _held(data, folder, 1)
    assert len(one.edges) > at_least and len(np.unique(one.spikes["gid"])) > 10
    assert (np.ptp(one.traces, axis=1) > 0).mean() > 0.9
    for ranks in (2, 4):
        many = _held(data, folder, ranks)
        assert many.program.hash == one.program.hash
        assert min(many.counts) > 0.5 * len(one.edges) / ranks, "a rank has hardly any of the edges"
        for name in ("edges", "points", "spikes"):
            assert getattr(one, name).tobytes() == getattr(many, name).tobytes(), name
        # weights of events that are due at one time are summed in an order that depends on the ranks
        np.testing.assert_allclose(many.traces, one.traces, rtol=0, atol=1e-12)


def test_every_word_is_used() -> None:
    """What a rule or a stimulus may say stands in the models above."""
    rules = [rule for model in (POINTS, TREES) for rule in model["connections"].values()]
    said = {word for rule in rules for word in rule}
    words = {field.alias or name for name, field in Connection.model_fields.items()}
    assert words - said <= {"from_synapse"}  # of graded synapses that act both ways: test_coupled
    kinds = {stimulus["type"] for model in (POINTS, TREES) for stimulus in model["stimuli"].values()}
    union = typing.get_args(typing.get_args(Stimulus)[0])
    assert {typing.get_args(one.model_fields["type"].annotation)[0] for one in union} == kinds

"""Plastic connections against the rules computed spike by spike, and the same on any number of ranks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.errors import ModelError
from nmlbridge.report import Report

from .rules import run

pytestmark = pytest.mark.neuron

DELAY = 1.3  # ms
RULE = {"type": "stdp", "tau_plus": 15, "tau_minus": 25, "a_plus": 0.05, "a_minus": 0.04, "w_max": 2}
NET: dict[str, Any] = {
    "name": "net",
    "cells": {
        "lif": {"type": "iafCell", "leakReversal": "-60 mV", "thresh": "-50 mV", "reset": "-65 mV", "C": "0.1 nF",
                "leakConductance": "5 nS"},
        "in": {"type": "spikeGeneratorPoisson", "averageRate": "30 Hz"},
    },
    "synapses": {"exp": {"type": "expTwoSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "0.5 ms",
                         "tauDecay": "3 ms"},
                 "gap": {"type": "gapJunction", "conductance": "1 nS"}},
    "populations": {"IN": {"cell": "in", "number": 4}, "A": {"cell": "lif", "number": 3}},
    "connections": {"fast": {"from": "IN", "to": "A", "pattern": "all_to_all", "synapse": "exp", "weight": 1,
                             "delay": DELAY, "plasticity": RULE}},
    "stimuli": {"i": {"type": "pulse", "to": "A", "amplitude": "0.06 + 0.01 * index", "duration": 10000}},
    "record": {"w": {"weights": "fast"}},
    "run": {"duration": 1000, "dt": 0.1, "seed": 4},
}  # fmt: skip


def with_rule(**changes: Any) -> dict[str, Any]:
    data = copy.deepcopy(NET)
    data["connections"]["fast"]["plasticity"] = RULE | changes
    return data


def expected(before: np.ndarray, after: np.ndarray, rule: dict[str, Any], start: float = 1.0) -> float:
    """The weight at the end, from the definition: every pair of spikes on its own, no traces."""
    rule = {"mu": 0, "pairs": "all"} | rule
    w, top = start, rule["w_max"]
    arrivals = before + DELAY * 1e-3
    arrivals = arrivals[arrivals < 1.0]
    for time, back in sorted([(t, 0) for t in arrivals] + [(t, 1) for t in after]):
        others = arrivals[arrivals <= time] if back else after[after < time]
        others = others[-1:] if rule["pairs"] == "nearest" else others
        pairs = np.exp(-(time - others) * 1e3 / (rule["tau_plus"] if back else rule["tau_minus"])).sum()
        if back:
            w = min(w + rule["a_plus"] * top * (1 - w / top) ** rule["mu"] * pairs, top)
        else:
            w = max(w - rule["a_minus"] * top * (w / top) ** rule["mu"] * pairs, 0.0)
    return float(w)


@pytest.mark.parametrize("synapse", ["LEMS", "NEURON", "with its own weight"])
@pytest.mark.parametrize("changes", [{}, {"mu": 1}, {"pairs": "nearest", "a_plus": 0.2}])
def test_weights_are_those_of_the_pairs_of_spikes(changes: dict[str, Any], synapse: str) -> None:
    data = with_rule(**changes)
    if synapse == "NEURON":
        data["synapses"] = {"exp": {"neuron": "Exp2Syn", "tau1": 0.5, "tau2": 3, "e": 0}}
        rule = data["connections"]["fast"]["plasticity"]
        rule["w_max"], data["connections"]["fast"]["weight"] = 0.002, 0.001  # uS
    if synapse == "with its own weight":
        data["synapses"]["exp"] = {
            "type": "blockingPlasticSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "0.5 ms", "tauDecay": "3 ms",
            "plasticityMechanism": {"type": "tsodyksMarkramDepMechanism", "initReleaseProb": 0.5, "tauRec": "50 ms"},
        }  # fmt: skip
    results = run(data)
    rule = data["connections"]["fast"]["plasticity"]
    start = data["connections"]["fast"]["weight"]
    network = build(copy.deepcopy(data)).network
    (projection,) = network.projections
    assert len(results.spikes.of("A", 0)) > 20 and len(results.traces.quantities) == 12
    for row in range(12):
        before, after = results.spikes.of("IN", projection.pre[row]), results.spikes.of("A", projection.post[row])
        found = results[f"weights/fast[{row}]"]
        assert found[0] == start
        assert found[-1] == pytest.approx(expected(before, after, rule, start), abs=1e-6 * rule["w_max"])
        assert np.ptp(found) > 0.1 * start


def test_the_synapse_acts_with_the_weight() -> None:
    """One spike before and one after: the second presynaptic spike has the weight that the pair left."""
    data = with_rule(a_plus=0.4)
    data["cells"]["in"] = {"type": "spikeGenerator", "period": "40 ms"}
    data["populations"] = {"IN": {"cell": "in", "number": 1}, "A": {"cell": "lif", "number": 1}}
    data["stimuli"] = {"i": {"type": "pulse", "to": "A", "start": 43, "amplitude": 0.5, "duration": 3}}
    data["record"]["g"] = {"cells": "A", "variable": "exp/g"}
    data["run"]["duration"] = 100
    results = run(data)
    g, w = results["A[0]/exp/g"], results["weights/fast[0]"]
    first = g[(results.time > 0.0413) & (results.time < 0.0812)].max()
    second = g[results.time > 0.0813].max()
    assert w[-1] > 1.3
    assert second / first == pytest.approx(w[-1], rel=1e-3)


@pytest.mark.parametrize("facilitates", [False, True])
def test_short_term_plasticity_follows_tsodyks_and_markram(facilitates: bool) -> None:
    """The peaks of a train's conductances are as R U, which each spike and the time between spikes map by a formula."""
    period, use, recovery, facilitation = 50.0, 0.2, 200.0, 400.0
    mechanism = {"type": "tsodyksMarkramDepMechanism", "initReleaseProb": use, "tauRec": f"{recovery} ms"}
    if facilitates:
        mechanism |= {"type": "tsodyksMarkramDepFacMechanism", "tauFac": f"{facilitation} ms"}
    data = copy.deepcopy(NET)
    data["cells"]["in"] = {"type": "spikeGenerator", "period": f"{period} ms"}
    data["synapses"]["exp"] = {"type": "blockingPlasticSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "0.5 ms",
                               "tauDecay": "2 ms", "plasticityMechanism": mechanism}  # fmt: skip
    data["populations"] = {"IN": {"cell": "in", "number": 1}, "A": {"cell": "lif", "number": 1}}
    del data["connections"]["fast"]["plasticity"], data["stimuli"]
    data["record"] = {"g": {"cells": "A", "variable": "exp/g"}}
    data["run"] = {"duration": 560, "dt": 0.05}
    results = run(data)
    peaks = results["A[0]/exp/g"][:-1].reshape(-1)[1000:11000].reshape(10, 1000).max(axis=1)
    r, u, factors = 1.0, use, []
    for _ in range(10):
        factors.append(r * u)
        r, u = r * (1 - u), (u + use * (1 - u) if facilitates else u)
        r, u = 1 - (1 - r) * np.exp(-period / recovery), use + (u - use) * np.exp(-period / facilitation)
    assert max(factors) / factors[0] > 1.2 if facilitates else factors[-1] < 0.7 * factors[0]
    np.testing.assert_allclose(peaks / peaks[0], np.array(factors) / factors[0], rtol=2e-3)


@pytest.mark.mpi
def test_ranks_agree_to_the_last_bit(launcher: None) -> None:
    data = with_rule(a_plus=0.1)
    data["populations"]["A"]["number"] = 12
    data["connections"]["back"] = {"from": "A", "to": "A", "probability": 0.4, "synapse": "exp", "weight": 0.5,
                                   "delay": "if(chance(0.5), 1, uniform(0.3, 2))", "plasticity": RULE}  # fmt: skip
    data["record"]["back"] = {"weights": "back", "number": 20}
    data["run"]["duration"] = 150
    one = run(data)
    assert np.ptp(one.traces.values, axis=1).min() > 0.01
    for ranks in (2, 4):
        many = run(data, ranks)
        assert np.array_equal(one.traces.values, many.traces.values)
        assert np.array_equal(one.spikes.time, many.spikes.time)


def test_a_run_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    """Weights, traces of spikes and events under way: interrupted and resumed it is the same to the last bit."""

    class Stop(Exception):
        pass

    def stop(phase: str, done: float, total: float) -> None:
        if phase == "simulate" and done >= 150:
            raise Stop

    data = with_rule(a_plus=0.1)
    data["run"]["duration"] = 300
    built = build(copy.deepcopy(data))
    assert built.simulation is not None
    with pytest.raises(Stop):
        nmlbridge.simulate_network(built.network, built.simulation, output=tmp_path, checkpoint=100, progress=stop)
    rest = nmlbridge.simulate_network(built.network, built.simulation, output=tmp_path, resume=True)
    assert np.array_equal(rest.traces.values, run(data).traces.values)


@pytest.mark.parametrize(("place", "change", "message"), [
    ("connections.fast.plasticity", {"tau_plus": 0}, "plasticity.tau_plus': it is 0"),
    ("connections.fast.plasticity", {"w_max": 0.5}, "the weights are 1 to 1 at the start; expected 0 to 0.5"),
    ("connections.fast.plasticity", {"mu": 2}, "plasticity.mu': it is 2"),
    ("connections.fast.plasticity", {"w_min": -1}, "plasticity.w_min'"),
    ("connections.fast.plasticity", {"tau": 2}, "'tau' is not known here"),
    ("connections.fast", {"kind": "electrical", "synapse": "gap"}, "graded synapses have no plasticity"),
    ("record.w", {"weights": "fats"}, "'fats' is no rule with a plasticity; did you mean 'fast'"),
    ("record.w", {"cells": "A"}, "'cells' and 'weights' exclude each other"),
])  # fmt: skip
def test_errors_name_their_place(place: str, change: dict[str, Any], message: str) -> None:
    data = copy.deepcopy(NET)
    at = data
    for step in place.split("."):
        at = at[step]
    at.update(change)
    with pytest.raises(ModelError) as caught:
        build(data)
    assert message in str(caught.value) and place.split(".")[1] in str(caught.value)


def test_other_formats_note_the_loss(tmp_path: Path) -> None:
    report = Report()
    nmlbridge.write(build(copy.deepcopy(NET)).network, tmp_path / "net.nml", report=report)
    assert any("plasticity" in note.message for note in report.notes)

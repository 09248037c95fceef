"""What rules say, seen in runs: gap junctions, clamps and any LEMS input, ranks, and the way through other formats."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.cli import main
from nmlbridge.errors import ModelError, UsageError
from nmlbridge.graph import Network
from nmlbridge.results import Electrodes

from .rules import CELL, SYNAPSE, run
from .test_rules import EVERY_RULE

pytestmark = pytest.mark.neuron

AREA = np.pi * 20e-4 * 20e-4  # cm2, of a cylinder of 20 by 20 um
LEAK = 1e-4 * AREA  # S
CAPACITANCE = 1e-6 * AREA  # F
REST = -0.070
BALL: dict[str, Any] = {
    "name": "net",
    "cells": {"ball": {"sections": {"soma": {"length": 20, "diameter": 20}}, "biophysics": {
        "v_init": -70, "mechanisms": {"leak": {"channel": "leak", "density": 1e-4, "erev": -70}}}}},
    "components": {"leak": {"type": "ionChannelHH", "conductance": "10 pS"}},
    "populations": {"A": {"cell": "ball", "number": 2}},
    "record": {"v": {"cells": "A"}},
}  # fmt: skip


def test_gap_junctions() -> None:
    """Two balls, one with a current: V1 / V2 = (g + G) / G in the steady state, with G the junction's conductance."""
    data = BALL | {
        "synapses": {"gap": {"type": "gapJunction", "conductance": "0.5 nS"}},
        "connections": {"g": {"from": "A[0]", "to": "A[1]", "pattern": "all_to_all", "kind": "electrical",
                              "synapse": "gap", "weight": 2}},
        "stimuli": {"i": {"type": "pulse", "to": "A[0]", "amplitude": 0.01, "duration": 300}},
        "run": {"duration": 200, "dt": 0.1},
    }  # fmt: skip
    one, two = run(data).traces.values[:, -1] - REST
    assert two / one == pytest.approx(1e-9 / (1e-9 + LEAK), rel=1e-6)  # 20 time constants of 10 ms: e-9 is left
    assert LEAK * (one + two) == pytest.approx(0.01e-9, rel=1e-6)


def test_gap_junctions_before_synapses_make_valid_neuroml(tmp_path: Path) -> None:
    rule = {"from": "A", "to": "A", "pattern": "all_to_all"}
    data = BALL | {
        "synapses": {"gap": {"type": "gapJunction", "conductance": "0.5 nS"}, "syn": SYNAPSE},
        "connections": {"a": rule | {"kind": "electrical", "synapse": "gap"}, "b": rule | {"synapse": "syn"}},
    }
    network = build(copy.deepcopy(data)).network
    assert [projection.kind for projection in network.projections] == ["electrical", "chemical"]
    nmlbridge.write(network, tmp_path / "net.nml")
    assert nmlbridge.validate(tmp_path / "net.nml") == []


def test_sine() -> None:
    """A sine into a ball: amplitude and phase are those of a low pass."""
    data = BALL | {
        "stimuli": {"i": {"type": "sine", "to": "A[1]", "amplitude": "0.01 nA", "period": 20, "phase": "pi / 2",
                          "start": 0, "duration": 1000}},
        "run": {"duration": 200, "dt": 0.01},
    }  # fmt: skip
    results = run(data)
    omega = 2 * np.pi / 0.020
    late = results.time > 0.15
    response = 0.01e-9 / (LEAK + 1j * omega * CAPACITANCE) * np.exp(1j * np.pi / 2)
    exact = REST + np.imag(response * np.exp(1j * omega * results.time[late]))
    # a step of 10 us is a phase of 0.003
    assert np.abs(results.traces.values[1, late] - exact).max() < 0.003 * abs(response)
    assert np.abs(results.traces.values[0] - REST).max() < 1e-9


def test_voltage_clamp() -> None:
    """The clamp and the leak divide the voltage between them."""
    data = BALL | {
        "stimuli": {"c": {"type": "voltage_clamp", "to": "A[0]", "voltage": "-40 + 10 * index", "start": 5,
                          "duration": 1000, "resistance": "50 Mohm"}},
        "run": {"duration": 60, "dt": 0.025},
    }  # fmt: skip
    found = run(data).traces.values[:, -1]
    clamp = 1 / 50e6
    assert found[0] == pytest.approx((clamp * -0.040 + LEAK * REST) / (clamp + LEAK), abs=1e-8)
    assert found[1] == pytest.approx(REST, abs=1e-9)


def test_any_component_is_an_input() -> None:
    """A ramp of LEMS, weighted by a formula."""
    data = copy.deepcopy(BALL)
    data["components"]["ramp"] = {"type": "rampGenerator", "delay": "0 ms", "duration": "1000 ms",
                                  "startAmplitude": "0 nA", "finishAmplitude": "0.1 nA",
                                  "baselineAmplitude": "0 nA"}  # fmt: skip
    data["stimuli"] = {"r": {"type": "component", "component": "ramp", "to": "A", "weight": "1 + index"}}
    data["run"] = {"duration": 200, "dt": 0.025}
    results = run(data)
    tau, slope = CAPACITANCE / LEAK, 0.1e-9 / 1.0
    exact = slope * (results.time - tau * (1 - np.exp(-results.time / tau))) / LEAK
    for row, weight in enumerate((1, 2)):
        # half a step of delay at the most: slope / LEAK * 0.025 ms is 0.2 uV
        assert results.traces.values[row] == pytest.approx(REST + weight * exact, abs=weight * 3e-7)


@pytest.mark.parametrize(("native", "lems"), [
    ({"neuron": "ExpSyn", "tau": "3 ms", "e": -10}, {"type": "expOneSynapse", "tauDecay": "3 ms"}),
    ({"neuron": "Exp2Syn", "tau1": 1, "tau2": 3, "e": "-10 mV"},
     {"type": "expTwoSynapse", "tauRise": "1 ms", "tauDecay": "3 ms"}),
])  # fmt: skip
def test_synapses_of_neuron(native: dict[str, Any], lems: dict[str, Any]) -> None:
    """NEURON's synapse, with its weight in uS, does what the LEMS synapse of the same equations does."""
    found = []
    for synapse, unit in ((native, 1e-3), (lems | {"gbase": "1 nS", "erev": "-10 mV"}, 1)):
        data = copy.deepcopy(BALL)
        data["cells"]["clock"] = {"type": "spikeGenerator", "period": "20 ms"}
        data["populations"]["C"] = {"cell": "clock", "number": 1}
        data |= {"synapses": {"syn": synapse}, "run": {"duration": 100, "dt": 0.025}}
        data["connections"] = {"r": {"from": "C", "to": "A", "pattern": "all_to_all", "synapse": "syn",
                                     "weight": f"{unit} * (1 + post_index)", "delay": 2}}  # fmt: skip
        found.append(run(data).traces.values)
    one, two = found
    assert two[0].max() - REST > 1e-4 and two[1].max() > two[0].max()
    # both decay exactly over a step; what is left is rounding, and the place of an event within a step
    assert np.abs(one - two).max() < 0.005 * (two.max() - REST)


@pytest.mark.parametrize(
    ("synapse", "more", "said"),
    [
        ({"neuron": "Exp3Syn"}, {}, "did you mean 'ExpSyn'"),
        ({"neuron": "Exp2Syn", "tau": 3}, {}, "did you mean 'tau[12]'"),
        ({"neuron": "ExpSyn", "tau": -3}, {}, "more than zero"),
        ({"neuron": "ExpSyn"}, {"p": {"type": "poisson", "to": "A", "rate": 5, "synapse": "syn", "stop": 9}},
         "does not reach"),
    ],
)
def test_bad_synapses_of_neuron(synapse: dict[str, Any], more: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        build(copy.deepcopy(BALL) | {"synapses": {"syn": synapse}, "stimuli": more})


MORE: dict[str, dict[str, Any]] = {
    "small world": {"small_world": {"neighbours": 10, "rewire": 0.3}, "to": "A"},
    "one to one": {"pattern": "one_to_one", "to": "A"},
}
SMALL: dict[str, dict[str, Any]] = {
    "convergence": {"convergence": 12},
    "most": {"convergence": 38},
    "convergence of depth": {"convergence": "5 + 5 * post_ynorm"},
    "degrees": {"degrees": {"into": 8, "out": "1 + pre_x"}},
    "pairs": {"pairs": [[0, 1], [5, 2], [39, 29], [0, 1]]},
}
RULES = EVERY_RULE | SMALL | MORE


def _everything() -> dict[str, Any]:
    """A network that fires, with a rule of every kind, random in all that may be."""
    rules = {
        f"rule{number}": {
            "from": "A", "to": "B", "synapse": "syn", "weight": "lognormal(0.1, 0.04)", "contacts": "1 + chance(0.5)",
            "delay": "1 + dist_3d / 500 + exponential(0.3)", **rule,
        }
        for number, rule in enumerate(RULES.values())
    }  # fmt: skip
    return {
        "name": "net", "space": {"x": [0, 300], "y": [0, 300], "z": [0, 300]},
        "cells": {"cell": CELL},
        "synapses": {"syn": SYNAPSE, "gap": {"type": "gapJunction", "conductance": "1 nS"}},
        "populations": {"A": {"cell": "cell", "number": 40}, "B": {"cell": "cell", "number": 30}},
        "connections": rules | {"back": {"from": "B", "to": "A", "probability": 0.1, "synapse": "syn",
                                         "weight": "normal(1, 0.1)", "delay": "2 ms"}},
        "stimuli": {
            "i": {"type": "pulse", "to": "A", "amplitude": "uniform(0.1, 0.16)", "duration": 1000},
            "p": {"type": "poisson", "to": "B", "rate": "uniform(500, 900)", "synapse": "syn", "weight": 2},
        },
        "run": {"duration": 60, "dt": 0.05, "seed": 3},
    }  # fmt: skip


@pytest.mark.mpi
def test_every_rule_is_the_same_on_any_number_of_ranks(launcher: None) -> None:
    data = _everything()
    one = run(data)
    assert len(one.spikes.of("A")) > 100 and len(one.spikes.of("B")) > 100
    for ranks in (2, 4):
        many = run(data, ranks)
        for population in ("A", "B"):
            for cell in range(30):
                assert np.array_equal(one.spikes.of(population, cell), many.spikes.of(population, cell))


@pytest.mark.mpi
def test_gap_junctions_are_the_same_on_any_number_of_ranks(launcher: None) -> None:
    data = BALL | {
        "populations": {"A": {"cell": "ball", "number": 12}},
        "synapses": {"gap": {"type": "gapJunction", "conductance": "1 nS"}},
        "connections": {"g": {"from": "A", "to": "A", "probability": 0.3, "kind": "electrical", "synapse": "gap",
                              "weight": "uniform(0.5, 1)"}},
        "stimuli": {"i": {"type": "pulse", "to": "A", "amplitude": "uniform(0, 0.05)", "duration": 1000}},
        "run": {"duration": 60, "dt": 0.05},
    }  # fmt: skip
    one = run(data)
    assert np.ptp(one.traces.values[:, -1]) > 1e-3
    for ranks in (2, 4):
        assert np.array_equal(one.traces.values, run(data, ranks).traces.values)


def _edges(network: Network) -> dict[tuple[str, str], Any]:
    """What is connected with what, whatever the rows' order."""
    found: dict[tuple[str, str], Any] = {}
    for p in network.projections:
        ones = np.ones(len(p))
        columns = (p.pre, p.post, ones if p.weight is None else p.weight, 0 * ones if p.delay is None else p.delay,
                   p.post_fraction)  # fmt: skip
        table = np.stack([np.asarray(c, float) for c in columns], axis=1)
        found.setdefault((p.presynaptic, p.postsynaptic), []).append(table)
    return {k: (t := np.concatenate(v))[np.lexsort(t.T[::-1])] for k, v in found.items()}


@pytest.mark.parametrize("example", ["10_ping/ping", "11_thalamocortical/loop", "12_cortical_column/column",
                                     "13_hippocampus/ca1", "14_basal_ganglia/actions"])  # fmt: skip
def test_examples_in_sonata(example: str, repository: Path, tmp_path: Path) -> None:
    """Every declared example is written as SONATA, and has the same cells and edges when it is read again."""
    network = build(repository / "examples" / f"{example}.yaml").network
    nmlbridge.write(network, tmp_path / "net.sonata")
    again = nmlbridge.read(tmp_path / "net.sonata")
    assert {n: p.size for n, p in again.populations.items()} == {n: p.size for n, p in network.populations.items()}
    for pair, rows in _edges(network).items():
        np.testing.assert_allclose(_edges(again)[pair], rows, rtol=1e-6, atol=1e-6)


def test_electrodes() -> None:
    """They see what the same electrodes given in Python see; a selection and the populations on their own."""
    pytest.importorskip("lfpykit", reason="electrodes need the extra 'signals'")
    stick = {"sections": {"soma": {"length": 20, "diameter": 20},
                          "dend": {"parent": "soma", "length": 200, "diameter": 2, "compartments": 4}}}  # fmt: skip
    data = copy.deepcopy(BALL) | {
        "stimuli": {"i": {"type": "pulse", "to": "A[0]", "amplitude": 0.1, "duration": 300}},
        "run": {"duration": 2, "dt": 0.1},
    }
    data["cells"]["ball"] |= stick
    places = [[30, 10, 0], [-20, 150, 5]]
    plain = build(copy.deepcopy(data))
    assert plain.simulation is not None
    electrodes = Electrodes(np.array(places), 0.5, dipole=True)
    expected = nmlbridge.simulate_network(plain.network, plain.simulation, electrodes=electrodes)
    data |= {"parameters": {"fat": 1e-3}, "electrodes": {
        "positions": places, "conductivity": 0.5, "dipole": True, "populations": True, "cells": "A[1]"}}  # fmt: skip
    results = run(data)
    for name in ("lfp[0]", "lfp[1]", "dipole/y"):
        assert np.abs(expected[name]).max() > 0
        assert results[name] == pytest.approx(expected[name], rel=1e-12)
        assert results[f"{name}/A"] == pytest.approx(results[name], rel=1e-12)
        assert np.abs(results[f"{name}/A[1]"]).max() < 1e-9 * np.abs(results[name]).max()  # it is at rest
    disc = data | {"electrodes": data["electrodes"] | {"radius": "fat"}}
    assert run(disc)["lfp[0]"] == pytest.approx(results["lfp[0]"], rel=1e-3)
    for wrong, message in (({"positions": []}, "no electrodes"), ({"radius": -1}, "radius of more than 0"),
                           ({"place": 1}, "place")):  # fmt: skip
        with pytest.raises(ModelError, match=message):
            build(data | {"electrodes": {"positions": places, **wrong}})


@pytest.mark.neuron
@pytest.mark.parametrize("example", ["15_epilepsy/slice"])
def test_examples_run_again_from_sonata(example: str, repository: Path, tmp_path: Path) -> None:
    """Own cells, inputs and seeds come through: the spikes of the rules, to the last bit."""
    model = repository / "examples" / f"{example}.yaml"
    assert main(["build", str(model), "-o", str(tmp_path / "net.sonata")]) == 0
    first = nmlbridge.simulate(model, duration=100)
    again = nmlbridge.simulate(tmp_path / "net.sonata", duration=100)
    assert len(first.spikes) > 50
    for population, (_, size) in first.spikes.populations.items():
        for cell in range(size):
            assert np.array_equal(first.spikes.of(population, cell), again.spikes.of(population, cell))


@pytest.mark.neuron
@pytest.mark.parametrize("name", ["net.nml", "net.h5", "LEMS_net.xml"])
def test_what_build_writes_can_be_run(name: str, repository: Path, tmp_path: Path) -> None:
    """A NeuroML file states no run, so the caller does; a LEMS file does."""
    made = build(repository / "examples/10_ping/ping.yaml")
    assert made.simulation is not None
    assert main(["build", str(repository / "examples/10_ping/ping.yaml"), "-o", str(tmp_path / name)]) == 0
    first = nmlbridge.simulate(repository / "examples/10_ping/ping.yaml", duration=100)
    run = {"dt": made.simulation.dt, "seed": made.simulation.seed}
    given: dict[str, Any] = {} if name.startswith("LEMS") else run
    again = nmlbridge.simulate(tmp_path / name, duration=100, output=tmp_path / "out", **given)
    assert len(first.spikes) > 100
    assert np.allclose(np.sort(first.spikes.time), np.sort(again.spikes.time), rtol=0, atol=1e-9)
    assert any(path.suffix == ".spikes" and path.stat().st_size for path in (tmp_path / "out").iterdir())


def test_a_network_alone_asks_for_a_duration(repository: Path) -> None:
    with pytest.raises(UsageError, match=r"TwoPopulations.net.nml.*no Simulation.*--duration"):
        nmlbridge.simulate(repository / "examples/01_two_populations/TwoPopulations.net.nml")


def test_sources_of_noise_on_one_cell_are_independent() -> None:
    """Two of one rate: cells that they drive fire no more alike than by chance."""
    source = {"type": "poisson", "to": "A", "rate": 40, "synapse": "syn", "weight": 1}
    cell = {"type": "iafCell", "leakReversal": "-60 mV", "thresh": "-59.9 mV", "reset": "-60 mV", "C": "0.1 nF",
            "leakConductance": "0.1 uS"}  # fmt: skip
    data: dict[str, Any] = {
        "cells": {"relay": cell},
        "synapses": {"syn": {"type": "expOneSynapse", "gbase": "50 nS", "erev": "0 mV", "tauDecay": "0.2 ms"}},
        "populations": {"A": {"cell": "relay", "number": 20}}, "run": {"duration": 2000, "dt": 0.1},
    }  # fmt: skip
    trains = {}
    for names in (("one",), ("two",), ("one", "two")):
        found = run(data | {"stimuli": dict.fromkeys(names, source)}).spikes
        trains[names] = [set(np.round(found.time[found.gid == gid] * 1e3).astype(int).tolist()) for gid in range(20)]
    alike = [len(a & b) / len(a) for a, b in zip(trains[("one",)], trains[("two",)], strict=True)]
    assert all(len(train) > 40 for train in trains[("one",)])
    assert np.mean(alike) < 0.1  # by chance 40 Hz times 1 ms; it would be 1 if they fired together
    for gid in range(20):  # each is what it is, whoever else there is
        both = trains[("one",)][gid] | trains[("two",)][gid]
        assert len(trains[("one", "two")][gid] ^ both) < 0.25 * len(both)

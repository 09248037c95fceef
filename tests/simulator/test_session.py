"""Sessions: callbacks see the run as it is, changes give what a new run would, one cell alone repeats what it did."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge import Session
from nmlbridge.builder import build
from nmlbridge.errors import SimulatorError, UnsupportedError, UsageError

pytestmark = pytest.mark.neuron

LEMS: dict[str, Any] = {
    "name": "net",
    "parameters": {"gain": 1, "drive": 700, "leakiness": 1e-4},
    "cells": {
        "ball": {"sections": {"soma": {"length": 20, "diameter": 20},
                              "dend": {"length": 100, "diameter": 1, "parent": "soma", "compartments": 3}},
                 "biophysics": {"v_init": -65, "threshold": -20, "mechanisms": {
                     "leak": {"channel": "leak", "density": "leakiness * exp(-path_dist / 100)", "erev": -65},
                     "na": {"channel": "na", "density": 0.1, "erev": 50, "ion": "na", "where": "soma"},
                     "k": {"channel": "k", "density": 0.02, "erev": -90, "ion": "k", "where": "soma"}}}},
    },
    "components": {
        "leak": {"type": "ionChannelHH", "conductance": "10 pS"},
        "na": {"type": "ionChannelHH", "conductance": "10 pS", "species": "na", "gateHHrates": [
            {"id": "m", "instances": 3,
             "forwardRate": {"type": "HHExpLinearRate", "rate": "1.28 per_ms", "midpoint": "-40 mV", "scale": "4 mV"},
             "reverseRate": {"type": "HHExpLinearRate", "rate": "1.4 per_ms", "midpoint": "-13 mV", "scale": "-5 mV"}},
            {"id": "h", "instances": 1,
             "forwardRate": {"type": "HHExpRate", "rate": "0.128 per_ms", "midpoint": "-36 mV", "scale": "-18 mV"},
             "reverseRate": {"type": "HHSigmoidRate", "rate": "4 per_ms", "midpoint": "-13 mV", "scale": "5 mV"}}]},
        "k": {"type": "ionChannelHH", "conductance": "10 pS", "species": "k", "gateHHrates": {
            "id": "n", "instances": 4,
            "forwardRate": {"type": "HHExpLinearRate", "rate": "0.16 per_ms", "midpoint": "-38 mV", "scale": "5 mV"},
            "reverseRate": {"type": "HHExpRate", "rate": "0.5 per_ms", "midpoint": "-43 mV", "scale": "-40 mV"}}},
    },
    "synapses": {
        "exc": {"type": "expTwoSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "0.5 ms", "tauDecay": "3 ms"},
        "own": {"type": "blockingPlasticSynapse", "gbase": "1 nS", "erev": "0 mV", "tauRise": "0.5 ms",
                "tauDecay": "3 ms", "plasticityMechanism": {"type": "tsodyksMarkramDepMechanism",
                                                            "initReleaseProb": 0.5, "tauRec": "50 ms"}},
    },
    "populations": {"A": {"cell": "ball", "number": 6}, "B": {"cell": "ball", "number": 4}},
    "connections": {
        "AB": {"from": "A", "to": "B", "probability": 0.6, "synapse": "exc", "weight": "2 * gain", "delay": 1.5,
               "at": "dend"},
        "AA": {"from": "A", "to": "A", "probability": 0.4, "synapse": "own", "weight": "3 * gain", "delay": 1},
        "BB": {"from": "B", "to": "B", "pattern": "all_to_all", "synapse": "exc", "weight": 1, "delay": 1,
               "plasticity": {"type": "stdp", "a_plus": 0.1, "a_minus": 0.05, "w_max": 2}},
    },
    "stimuli": {
        "p": {"type": "poisson", "to": "A", "rate": "drive", "synapse": "exc", "weight": 1.5},
        "i": {"type": "pulse", "to": "B", "amplitude": "0.02 * gain", "start": 10, "duration": 100},
    },
    "record": {"v": {"cells": "A | B"}, "w": {"weights": "BB"}},
    "run": {"duration": 100, "dt": 0.05, "seed": 2},
}  # fmt: skip
NATIVE: dict[str, Any] = {
    "name": "net",
    "parameters": {"gain": 1, "drive": 900, "leakiness": 3e-4},
    "cells": {"hh": {"sections": {"soma": {"length": 20, "diameter": 20},
                                  "dend": {"length": 100, "diameter": 1, "parent": "soma", "compartments": 3}},
                     "biophysics": {"mechanisms": {"hh": {"neuron": "hh", "where": "soma"},
                                                   "leak": {"neuron": "pas", "where": "dend", "g": "leakiness",
                                                            "e": -65}}}}},
    "synapses": {"exc": {"neuron": "Exp2Syn", "tau1": 0.5, "tau2": 3},
                 "in": {"type": "expOneSynapse", "gbase": "10 nS", "erev": "0 mV", "tauDecay": "3 ms"}},
    "populations": {"A": {"cell": "hh", "number": 6}, "B": {"cell": "hh", "number": 4}},
    "connections": {"AB": {"from": "A", "to": "B", "probability": 0.7, "synapse": "exc", "weight": "0.004 * gain",
                           "delay": 1}},
    "stimuli": {"p": {"type": "poisson", "to": "A", "rate": "drive", "synapse": "in"}},
    "record": {"v": {"cells": "A | B"}},
    "run": {"duration": 60, "dt": 0.025},
}  # fmt: skip
MODELS = {"LEMS": LEMS, "native": NATIVE}


def same(a: nmlbridge.Results, b: nmlbridge.Results) -> bool:
    return bool(np.array_equal(a.traces.values, b.traces.values) and np.array_equal(a.spikes.time, b.spikes.time)
                and np.array_equal(a.spikes.gid, b.spikes.gid))  # fmt: skip


def fresh(data: dict[str, Any], **changes: Any) -> nmlbridge.Results:
    built = build(copy.deepcopy(data), **changes)
    assert built.simulation is not None
    return nmlbridge.simulate_network(built.network, built.simulation)


@pytest.mark.parametrize("name", MODELS)
def test_it_runs_again_and_gives_the_same(name: str) -> None:
    with build(copy.deepcopy(MODELS[name])).session() as session:
        first, second = session.run(), session.run()
        whole = fresh(MODELS[name])
        assert len(whole.spikes.of("A")) > 5 and len(whole.spikes.of("B")) > 0
        assert same(first, whole) and same(second, whole)
        short = session.run(until=20)
        assert np.array_equal(short.traces.values, whole.traces.values[:, : short.traces.values.shape[1]])


VARY = {"gain": 2, "drive": 300, "leakiness": 3.3e-5}


@pytest.mark.parametrize("name", MODELS)
def test_a_change_gives_what_a_new_network_gives(name: str) -> None:
    """Weights in NetCons and in synapses, amplitudes, rates, densities along the cell, back and forth."""
    data = MODELS[name]

    def anew(**changes: Any) -> nmlbridge.Results:
        """A session of its own, with the same parameters left open; and without it nearly the same."""
        with build(copy.deepcopy(data), **changes).session(vary=VARY) as other:
            found = other.run()
        whole = fresh(data, **changes)
        early = whole.time < 0.03
        np.testing.assert_allclose(found.traces.values[:, early], whole.traces.values[:, early], rtol=0, atol=1e-9)
        return found

    with build(copy.deepcopy(data)).session(vary=VARY) as session:
        first = session.run()
        session.change(gain=1.5)
        more = session.run()
        assert same(more, anew(gain=1.5)) and not same(more, first)
        session.change(drive=400, leakiness=2e-4)
        assert same(session.run(), anew(gain=1.5, drive=400, leakiness=2e-4))
        session.change(gain=1, drive=data["parameters"]["drive"], leakiness=data["parameters"]["leakiness"])
        assert same(session.run(), first) and same(first, anew())


def test_weights_are_read_and_set() -> None:
    data = copy.deepcopy(LEMS)
    with build(data).session() as session:
        session.run(until=50)
        for projection in ("AB", "AA", "BB"):
            before = session.weights(projection)
            session.set_weights(projection, before * 0.5)
            assert np.array_equal(session.weights(projection), before * 0.5)
            session.set_weights(projection, 1.25, rows=[1])
            assert session.weights(projection)[1] == 1.25 and session.weights(projection)[0] == before[0] * 0.5
        set_so = {name: session.weights(name) for name in ("AB", "AA", "BB")}
        results = session.run()
    network = build(copy.deepcopy(data)).network
    projections = [dataclasses.replace(p, weight=set_so[p.id]) for p in network.projections]
    changed = dataclasses.replace(network, projections=projections)
    simulation = build(copy.deepcopy(data)).simulation
    assert simulation is not None
    assert same(results, nmlbridge.simulate_network(changed, simulation))


def test_a_parameter_of_some_cells() -> None:
    with build(copy.deepcopy(NATIVE)).session() as session:
        before = session.run()
        session.set_membrane("A[1:3]", "hh", "gnabar", 0)
        after = session.run()
        assert len(before.spikes.of("A", 1)) > 0 and len(after.spikes.of("A", 1)) == len(after.spikes.of("A", 2)) == 0
        assert np.array_equal(before.spikes.of("A", 0), after.spikes.of("A", 0))
        session.set_membrane("A", "pas", "g", np.full(6, 1e-3), sections=["dend"])
        assert not np.array_equal(session.run().traces.values[0], after.traces.values[0])
        with pytest.raises(UsageError, match="there is no population"):
            session.set_membrane("C", "hh", "gnabar", 0)


def test_callbacks_see_the_run_as_it_is() -> None:
    """What is called knows t and the spikes so far; what it sets holds from then on."""
    seen: list[tuple[float, int]] = []

    def look(session: Session) -> None:
        seen.append((session.t, len(session.spikes.time)))
        assert (session.spikes.time <= session.t * 1e-3 + 1e-9).all()

    with build(copy.deepcopy(LEMS)).session() as session:
        results = session.run(every=10, call=look)
        assert [t for t, _ in seen] == pytest.approx(np.arange(10, 101, 10))
        # a spike at the last instant is known when the next step begins
        counts = [int((results.spikes.time < (t - 1e-6) * 1e-3).sum()) for t, _ in seen]
        assert [count for _, count in seen] == counts and counts[-1] > counts[2] > 0
        assert same(results, fresh(LEMS))

    with build(copy.deepcopy(LEMS)).session(vary={"drive": 3}) as session:
        results = session.run()

        def quiet(session: Session) -> None:
            if session.t == 50:
                session.set_weights("AB", 0)
                session.change(drive=0.001)

        silenced = session.run(every=10, call=quiet)
        early = results.time <= 0.05
        assert np.array_equal(silenced.traces.values[:, early], results.traces.values[:, early])
        assert (silenced.spikes.of("A") > 0.06).sum() < 0.5 * (results.spikes.of("A") > 0.06).sum()


def test_a_loop_that_closes_here() -> None:
    """A controller brings a cell to a rate, by the amplitude of its current."""
    data = copy.deepcopy(LEMS)
    data["parameters"]["level"] = 0.05
    data["stimuli"] = {"i": {"type": "pulse", "to": "A[0]", "amplitude": "level", "duration": 1e6}}
    data["run"] = {"duration": 1500, "dt": 0.05}
    level, wanted = 0.05, 4  # spikes in 100 ms
    counts = []

    def control(session: Session) -> None:
        nonlocal level
        counts.append(int((session.spikes.of("A", 0) > (session.t - 100) * 1e-3).sum()))
        level = min(max(level + 0.003 * (wanted - counts[-1]), 0.0), 1.0)
        session.change(level=level)

    with build(data).session(vary={"level": 0.1}) as session:
        session.run(every=100, call=control)
    assert len(counts) == 15 and counts[0] != wanted
    assert np.abs(np.array(counts[-6:]) - wanted).max() <= 1


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("cell", ["A[2]", "B[1]"])
def test_a_cell_alone_repeats_what_it_did(name: str, cell: str) -> None:
    with build(copy.deepcopy(MODELS[name])).session() as session:
        whole = session.run()
        with session.alone(cell) as alone:
            one = alone.run()
            assert 0 < len(one.traces) < len(whole.traces)
            for quantity in one.traces:
                assert np.array_equal(one[quantity], whole[quantity])
            population, index = cell[0], int(cell[2])
            assert np.array_equal(one.spikes.of(population, index), whole.spikes.of(population, index))
            assert len(one.spikes.time) == len(whole.spikes.of(population, index))
            again = alone.run()
            assert np.array_equal(again.traces.values, one.traces.values)
            if name == "native":
                alone.set_membrane(cell, "hh", "gnabar", 0.05)
                assert not np.array_equal(alone.run().traces.values, one.traces.values)


@pytest.mark.mpi
def test_ranks_are_the_same(launcher: None) -> None:
    def learn(session: Session) -> None:
        session.set_weights("AB", session.weights("AB") * 1.1)

    with build(copy.deepcopy(LEMS)).session() as one, build(copy.deepcopy(LEMS)).session(ranks=2) as two:
        assert same(one.run(every=20, call=learn), two.run(every=20, call=learn))
        assert np.array_equal(one.weights("AB"), two.weights("AB"))
        assert np.array_equal(one.weights("BB"), two.weights("BB"))


def test_what_cannot_be_is_said() -> None:
    built = build(copy.deepcopy(LEMS))
    with built.session() as session:
        with pytest.raises(UsageError, match="run the network first"):
            session.alone("A[0]")
        with pytest.raises(UsageError, match="a whole number of steps of"):
            session.run(every=0.07, call=print)
        with pytest.raises(UsageError, match="there is no projection 'AC'"):
            session.weights("AC")
        with pytest.raises(UsageError, match="another network"):
            session.change(**{"populations.A.number": 7})
        with pytest.raises(UsageError, match="vary="):
            session.change(drive=2)
        with pytest.raises(UsageError, match="vary="):
            session.change(**{"stimuli.i.amplitude": "uniform(0.1, 0.3)"})
        assert same(session.run(), fresh(LEMS))  # nothing has changed

        def fail(session: Session) -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            session.run(every=10, call=fail)
        assert session.t == 10
        assert same(session.run(), fresh(LEMS))
        with pytest.raises(SimulatorError, match="no mechanism 'hh'"):
            session.set_membrane("A", "hh", "gnabar", 0)
        with pytest.raises(UsageError, match="closed"):
            session.run()
    beat = copy.deepcopy(LEMS)
    beat["stimuli"]["r"] = {"type": "rhythmic", "to": "A", "period": 10, "synapse": next(iter(beat["synapses"]))}
    with build(beat).session() as session:
        with pytest.raises(UsageError, match=r"'r_input' before, 'r_input0', .* after.*start another session"):
            session.change(**{"stimuli.r.jitter": 1})
    gap = copy.deepcopy(LEMS)
    gap["synapses"]["gap"] = {"type": "gapJunction", "conductance": "0.1 nS"}
    gap["connections"]["G"] = {"from": "A[0]", "to": "A[1]", "pattern": "all_to_all", "kind": "electrical",
                               "synapse": "gap"}  # fmt: skip
    with build(gap).session() as session:
        session.run(until=10)
        with pytest.raises(UnsupportedError, match="gap junctions"):
            session.alone("A[1]")
        with session.alone("A[3]") as alone:
            alone.run()


def test_inputs_that_are_alike_may_come_to_differ() -> None:
    """If it is said when the session begins, as for every number of a LEMS component."""
    drawn = {"stimuli.i.amplitude": "uniform(0.1, 0.3)"}
    data = copy.deepcopy(LEMS)
    with build(copy.deepcopy(data)).session(vary=drawn) as session:
        assert same(session.run(), fresh(data))
        session.change(**drawn)
        data["stimuli"]["i"]["amplitude"] = drawn["stimuli.i.amplitude"]
        assert same(session.run(), fresh(data))


def test_formulas_are_taken_in_changes() -> None:
    """A weight by distance, an amplitude by a parameter, in a network that stands: as if built with them."""
    data = copy.deepcopy(NATIVE)
    data["space"] = {"x": [0, 300], "y": [0, 300], "z": [0, 300]}
    data["stimuli"]["i"] = {"type": "pulse", "to": "A", "amplitude": 0.1, "duration": 50}
    changes = {"connections.AB.weight": "0.02 * exp(-dist_3d / 100)", "stimuli.i.amplitude": "0.3 + 0.1 * gain"}
    with build(copy.deepcopy(data)).session(vary=changes) as session:
        before = session.run()
        session.change(**changes)
        after = session.run()
    with build(copy.deepcopy(data), **changes).session(vary={"stimuli.i.amplitude": 0.1}) as other:
        assert same(after, other.run())
    assert len(before.spikes) > 0 and not same(before, after)

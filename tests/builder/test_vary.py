"""Parameters that differ from cell to cell: each cell is what a network with it alone gives."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import Specification, build
from nmlbridge.errors import ModelError
from nmlbridge.report import Report

from .rules import CELL, SYNAPSE, run

MODEL: dict[str, Any] = {
    "parameters": {"spread": "1 mV"},
    "cells": {
        "leaky": CELL,
        "spiking": {"type": "izhikevich2007Cell", "v0": "-60 mV", "C": "100 pF", "k": "0.7 nS_per_mV", "vr": "-60 mV",
                    "vt": "-40 mV", "vpeak": "35 mV", "a": "0.03 per_ms", "b": "-2 nS", "c": "-50 mV", "d": "100 pA"},
        "regular": {"type": "spikeGenerator", "period": "10 ms"},
        "unit": {"neuron": "IntFire1", "tau": 10},
    },
    "populations": {
        "A": {"cell": "leaky", "number": 4,
              "vary": {"leakReversal": "normal(-47 mV, spread)", "C": "uniform(0.1 nF, 0.3 nF)"}},
        "I": {"cell": "spiking", "number": 3,
              "vary": {"d": "100 pA + 50 pA * index", "v0": "-60 mV - 2 mV * index"}},
        "R": {"cell": "regular", "number": 3, "vary": {"period": "5 ms * (1 + index)"}},
        "U": {"cell": "unit", "number": 2, "vary": {"tau": "if(index > 0, 100, 5)"}},
    },
    "connections": {"RU": {"from": "R[0]", "to": "U", "pattern": "all_to_all", "weight": 0.6, "delay": 1}},
    "stimuli": {"p": {"type": "pulse", "to": "I", "amplitude": "100 pA", "start": 0, "duration": 100}},
    "record": {"v": {"cells": "A | I"}},
    "run": {"duration": 100, "dt": 0.05},
}  # fmt: skip


@pytest.mark.neuron
def test_each_cell_is_as_if_alone() -> None:
    network = build(copy.deepcopy(MODEL)).network
    results = run(MODEL)
    traces = dict(zip(results.traces.quantities, results.traces.values, strict=True))
    units = {"leakReversal": "V", "C": "F", "d": "A", "v0": "V"}
    for name, kind in (("A", "leaky"), ("I", "spiking")):
        population = network.populations[name]
        assert len({column.tobytes() for column in population.values.values()}) > 1
        for row in range(population.size):
            own = {n: f"{float(column[row])!r} {units[n]}" for n, column in population.values.items()}
            alone = copy.deepcopy(MODEL)
            alone["cells"][kind] |= own
            alone |= {"populations": {name: {"cell": kind, "number": 1}}, "connections": {}}
            alone["record"]["v"]["cells"] = name
            if name == "A":
                alone["stimuli"] = {}
            single = run(alone)
            assert np.abs(single.traces.values[0] - traces[f"{name}[{row}]/v"]).max() < 1e-12
            np.testing.assert_allclose(single.spikes.of(name), results.spikes.of(name, row), atol=1e-12)
    assert len({len(results.spikes.of("A", row)) for row in range(4)}) > 1, "all alike"
    for row in range(3):
        assert np.diff(results.spikes.of("R", row)) == pytest.approx(5e-3 * (1 + row), abs=1e-9)
    # of events of 0.6 every 5 ms, two make a cell fire that forgets slowly; one that forgets fast is at 0.95 in the end
    assert len(results.spikes.of("U", 0)) == 0 < len(results.spikes.of("U", 1))


@pytest.mark.neuron
def test_ranks_and_coreneuron_agree() -> None:
    one, two = run(MODEL), run(MODEL, ranks=2)
    assert np.array_equal(one.spikes.time, two.spikes.time) and np.array_equal(one.spikes.gid, two.spikes.gid)
    assert np.array_equal(one.traces.values, two.traces.values)


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ({"leakreversal": "1 mV"}, "no parameter 'leakreversal'; did you mean 'leakReversal'"),
        ({"leakReversal": "normal(-47, 1)"}, "vary.leakReversal': it is no voltage; give its numbers units"),
        ({"leakReversal": "1 mV / index * 0"}, "not finite"),
        ({"C": "normal(1 nF)"}, "normal"),
    ],
)
def test_bad_input(vary: dict[str, Any], said: str) -> None:
    model = copy.deepcopy(MODEL)
    model["populations"]["A"]["vary"] = vary
    with pytest.raises(ModelError, match=said):
        build(model)


def test_the_same_for_any_number_of_ranks_and_order() -> None:
    model = copy.deepcopy(MODEL)
    model["populations"] = {"Z": {"cell": "leaky", "number": 9}, **dict(reversed(model["populations"].items()))}
    first, second = build(copy.deepcopy(MODEL)).network, build(Specification.of(model)).network
    for name, population in first.populations.items():
        for parameter, column in population.values.items():
            assert np.array_equal(column, second.populations[name].values[parameter])
    assert nmlbridge.builder.build(copy.deepcopy(MODEL), seed=2).network.populations["A"].values["C"][0] != \
        first.populations["A"].values["C"][0]  # fmt: skip


@pytest.mark.neuron
def test_written_as_neuroml_each_has_a_component_of_its_own(tmp_path: Path) -> None:
    """The file runs to the same traces; cells that are alike share a component."""
    model = copy.deepcopy(MODEL)
    model["populations"].pop("U")
    model["connections"] = {"RA": {"from": "R", "to": "A", "pattern": "all_to_all", "synapse": "s", "delay": 1}}
    model["synapses"] = {"s": SYNAPSE}
    two = {"leakReversal": "if(index > 1, -45 mV, -60 mV)"}
    model["populations"]["B"] = {"cell": "leaky", "number": 4, "vary": two}
    built = build(model)
    report = Report()
    nmlbridge.write(built.network, tmp_path / "LEMS_net.xml", report=report)
    assert not [note for note in report if note.severity != "info"]
    back = nmlbridge.read(tmp_path / "LEMS_net.xml")
    assert sum(p.size for p in back.populations.values()) == 14 and len(back.populations) == 4 + 3 + 3 + 2
    again = nmlbridge.simulate(tmp_path / "LEMS_net.xml", output=tmp_path / "out")
    first = nmlbridge.simulate_network(built.network, built.simulation)
    assert len(first.traces.values) == len(again.traces.values) == 7
    assert np.abs(first.traces.values - again.traces.values).max() < 1e-9
    assert np.allclose(np.sort(first.spikes.time), np.sort(again.spikes.time), atol=1e-12)

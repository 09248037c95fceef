"""Procedures of mod files, called during a run, do what setting their numbers does; wrong calls are errors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge import Session
from nmlbridge.converters.netpyne.read import read_simulation
from nmlbridge.errors import UsageError
from nmlbridge.graph import InputList, NativeProcess
from nmlbridge.nmodl.header import read_header

pytestmark = pytest.mark.neuron

LEAKY = """NEURON { SUFFIX leaky  NONSPECIFIC_CURRENT i  RANGE g }
PARAMETER { g = 0.0001 (S/cm2) }
ASSIGNED { i (mA/cm2)  v (mV) }
BREAKPOINT { i = g * (v + 60) }
PROCEDURE open(to (S/cm2), times) { g = to * times }
FUNCTION opened(of) { opened = g * of }
"""
SCALED = """NEURON { POINT_PROCESS Scaled  NONSPECIFIC_CURRENT i  RANGE scale }
ASSIGNED { i (nA)  v (mV)  scale }
STATE { g (uS) }
INITIAL { g = 0  scale = 1 }
BREAKPOINT { SOLVE fall METHOD cnexp  i = g * v }
DERIVATIVE fall { g' = -g / 5 }
NET_RECEIVE (w) { g = g + scale * w }
: PROCEDURE nothing(x) { }
FUNCTION strength(of) { strength = scale * of }
PROCEDURE set_scale(x) { scale = x }
PROCEDURE any() {
VERBATIM
    if (ifarg(2)) { scale = *getarg(2) ? 3 : 4; }
ENDVERBATIM
}
"""
TICKER = """NEURON { ARTIFICIAL_CELL Ticker  RANGE interval }
PARAMETER { interval = 10 (ms) }
INITIAL { interval = 10  net_send(interval, 1) }
NET_RECEIVE (w) { if (flag == 1) { net_event(t)  net_send(interval, 1) } }
PROCEDURE tick(after) { interval = after }
FUNCTION rhythm(of) { rhythm = of / interval }
"""
PUSH = """NEURON { POINT_PROCESS Push  ELECTRODE_CURRENT i  RANGE amount }
ASSIGNED { i (nA)  amount (nA) }
INITIAL { amount = 0 }
BREAKPOINT { i = amount }
PROCEDURE push(by) { amount = by }
"""
MODS = {"leaky": LEAKY, "scaled": SCALED, "ticker": TICKER, "push": PUSH}
SECTION = {"geom": {"diam": 10, "L": 60, "Ra": 100, "nseg": 3}, "mechs": {"leaky": {}}}
PARAMS: dict[str, Any] = {
    "popParams": {"A": {"cellType": "c", "numCells": 3}, "T": {"cellModel": "Ticker", "numCells": 2, "params": {}},
                  "drive": {"cellModel": "NetStim", "numCells": 2, "rate": 100, "noise": 0.5, "start": 1}},
    "cellParams": {"c": {"secs": {"soma": {**SECTION, "pointps": {"p": {"mod": "Push", "loc": 0.5}}},
                                  "dend": {**SECTION, "topol": {"parentSec": "soma", "parentX": 1}}}}},
    "synMechParams": {"in": {"mod": "Scaled"}},
    "connParams": {"d": {"preConds": {"pop": "drive"}, "postConds": {"pop": "A"}, "weight": 0.001, "delay": 1,
                         "synMech": "in"}},
}  # fmt: skip
CONFIG = {"duration": 60, "dt": 0.025, "recordCells": ["A"],
          "recordTraces": {"V": {"sec": "dend", "loc": 0.5, "var": "v"}}}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("calls")
    (folder / "mod").mkdir()
    for name, text in MODS.items():
        (folder / "mod" / f"{name}.mod").write_text(text)
    (folder / "model.json").write_text(json.dumps({"net": {"params": PARAMS}, "simConfig": CONFIG}))
    return read_simulation(folder / "model.json", allow=("mods",))


def late(session: Session, change: Callable[[], None]) -> Any:
    """The traces of a run that is changed after 20 ms."""
    return session.run(every=20, call=lambda session: change() if session.t < 21 else None).traces.values


@pytest.mark.parametrize("ranks", [1, 2])
def test_they_do_what_setting_does(model: tuple[Any, Any], ranks: int) -> None:
    network, simulation = model
    (projection,) = network.projections
    weights = np.full(len(projection), 0.001)
    rows = np.flatnonzero(projection.post == 1)
    with nmlbridge.Session(network, simulation, ranks=ranks) as session:
        plain = session.run().traces.values
        called = late(session, lambda: session.call("A[0:2]", "open", 0.001, 2))
        session.set_membrane("A", "leaky", "g", 0.0001)
        assert np.array_equal(called, late(session, lambda: session.set_membrane("A[0:2]", "leaky", "g", 0.002)))
        session.set_membrane("A", "leaky", "g", 0.0001)
        assert np.abs(called - plain).max(axis=1).astype(bool).tolist() == [True, True, False]
        scaled = late(session, lambda: session.set_weights(projection.id, 2 * weights))
        assert (np.abs(scaled - plain).max(axis=1) > 1e-3).all()
        session.set_weights(projection.id, weights)
        assert np.array_equal(session.run().traces.values, plain)
        assert np.array_equal(scaled, late(session, lambda: session.call(projection.id, "set_scale", 2)))
        assert np.array_equal(scaled, late(session, lambda: session.call("A", "set_scale", 2, mechanism="Scaled")))
        part = late(session, lambda: session.call(projection.id, "set_scale", 2, rows=rows))
        assert np.abs(part - plain).max(axis=1).astype(bool).tolist() == [False, True, False]
        assert np.array_equal(part, late(session, lambda: session.call("A[1]", "set_scale", 2)))
        assert np.array_equal(session.run().traces.values, plain)
        session.call("A", "any", 1, 2)


def test_cells_and_processes_that_cells_have(model: tuple[Any, Any]) -> None:
    network, simulation = model
    with nmlbridge.Session(network, simulation) as session:
        plain = session.run()
        ticks = session.run(every=15, call=lambda session: session.call("T[1]", "tick", 5)).spikes
        pushed = late(session, lambda: session.call("A[2]", "push", 0.05))
    first = network.populations["T"].offset
    assert np.allclose(ticks.time[ticks.gid == first] * 1e3, [10, 20, 30, 40, 50, 60])
    assert np.allclose(ticks.time[ticks.gid == first + 1] * 1e3, [10, 20, 25, 30, 35, 40, 45, 50, 55, 60])
    assert np.abs(pushed - plain.traces.values).max(axis=1).astype(bool).tolist() == [False, False, True]


@pytest.mark.parametrize("ranks", [1, 2])
def test_functions_give_a_value_for_each_target(model: tuple[Any, Any], ranks: int) -> None:
    network, simulation = model
    (projection,) = network.projections
    onto = projection.post
    with nmlbridge.Session(network, simulation, ranks=ranks) as session:
        session.run(until=1)
        assert session.call(projection.id, "set_scale", 3, rows=np.flatnonzero(onto == 1)).tolist() == [0.0, 0.0]
        assert session.call(projection.id, "strength", 2).tolist() == np.where(onto == 1, 6.0, 2.0).tolist()
        some = session.call(projection.id, "strength", 5, rows=[4, 0, 3])
        assert some.tolist() == np.where(onto == 1, 15.0, 5.0)[[4, 0, 3]].tolist()
        # two synapses on each cell, cell by cell; of sections, each compartment of each
        assert session.call("A[1:3]", "strength", 1, mechanism="Scaled").tolist() == [3, 3, 1, 1]
        session.call("A[2]", "open", 0.5, 4)
        assert session.call("A[1:]", "opened", 10).tolist() == pytest.approx([0.001] * 6 + [20] * 6)
        session.call("T[1]", "tick", 4)
        assert session.call("T", "rhythm", 20).tolist() == [2, 5]


def test_generators_that_drive_synapses(model: tuple[Any, Any]) -> None:
    """Artificial cells that are inputs: each belongs to the cell that it drives."""
    network, simulation = model
    inputs = InputList("rhythm", "ticks", "A", np.array([0, 1, 1]), weight=np.full(3, 0.002), delay=np.full(3, 1.0))
    driven = dataclasses.replace(network, inputs=[inputs], projections=[], native={
        **network.native, "ticks": NativeProcess("ticks", "Ticker", "source", {}, "in")})  # fmt: skip
    with nmlbridge.Session(driven, simulation) as session:
        plain = session.run().traces.values
        hurried = late(session, lambda: session.call("A[1]", "tick", 2))
        values = session.call("A", "rhythm", 20)
    assert np.abs(hurried - plain).max(axis=1).astype(bool).tolist() == [False, True, False]
    assert values.tolist() == [2, 10, 10]


def test_wrong_calls(model: tuple[Any, Any]) -> None:
    network, simulation = model
    (projection,) = network.projections
    id = projection.id
    with nmlbridge.Session(network, simulation) as session:
        for call, said in (
            (lambda: session.call(id, "set_scal", 2), "PROCEDURE or FUNCTION 'set_scal'; did you mean 'set_scale'"),
            (lambda: session.call(id, "nothing", 2), "there are Scaled.strength, Scaled.set_scale, Scaled.any"),
            (lambda: session.call(id, "open", 1, 2), "no mechanism of a mod file in '.*' has"),
            (lambda: session.call("A", "open", 1), "leaky.open has 2 arguments; 1 are given"),
            (lambda: session.call("A", "set_scale", float("nan")), "not a finite number"),
            (lambda: session.call("A", "set_scale", "2; x"), "must be numbers"),
            (lambda: session.call("A", "open", 1, 2, mechanism="leak"), "did you mean 'leaky'"),
            (lambda: session.call("A", "open", 1, 2, rows=[0]), "rows are those of a projection, and 'A' is none"),
            (lambda: session.call("AA", "open", 1, 2), "no projection or population 'AA'; did you mean 'A'"),
            (lambda: session.call("A", "__class__"), "has a PROCEDURE or FUNCTION '__class__'"),
            (lambda: session.call(id, "set_scale", 2, rows=[-1]), "there is no -1"),
        ):  # fmt: skip
            with pytest.raises(UsageError, match=said):
                call()
        assert session.run(until=5).traces.values.shape[1] == 51  # the session goes on


def test_procedures_of_a_header() -> None:
    leaky, scaled = read_header(LEAKY), read_header(SCALED)
    assert leaky is not None and leaky.procedures == {"open": 2, "opened": 1}
    none = read_header("NEURON { SUFFIX still }")
    assert none is not None and none.procedures == {}
    assert scaled is not None and scaled.procedures == {"strength": 1, "set_scale": 1, "any": None}

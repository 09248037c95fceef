"""Cells whose own process fires, as components of types of their own: NEURON's spikes of the mod file."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.graph import InputList, NativeCell, NativePoint, NativeProcess, NativeSection, Network, Population
from nmlbridge.graph import Projection as Edges
from nmlbridge.lems.evaluate import evaluate
from nmlbridge.nmodl.read import read_nmodl
from nmlbridge.nmodl.spiking import spiking_of
from nmlbridge.registry import read, write
from nmlbridge.report import Report
from nmlbridge.results import Simulation, elements_of, saved
from nmlbridge.simulator.run import simulate_network

from .netpyne_models import IZHIKEVICH, MODELS

pytestmark = pytest.mark.neuron

KINDS = """
NEURON { POINT_PROCESS Kinds  RANGE a, b, c, d, kind, u, alive, chatty  NONSPECIFIC_CURRENT i }
PARAMETER { a = 0.03 b = -2 c = -50 d = 100 kind = 1 alive = 1 chatty = 0 rest = -60 (mV) peak = 35 (mV) }
ASSIGNED { v (mV) i (nA) u wait t0 mode }
INITIAL { u = 0.2 * rest  mode = 2  net_send(0, 1) }
BREAKPOINT {
    wait = t - t0
    if (kind == 5) {
        if (v < -55) { u = u - wait * a * u } else { u = u + wait * a * (0.025 * (v + 55)^3 - u) }
    } else {
        if (kind == 6) { if (v > -65) { b = 0 } else { b = 15 } }
        u = u + wait * a * (b * (v - rest) - u)
    }
    t0 = t
    i = -(0.7 * (v - rest) * (v + 40) - u) / 1000
    if (chatty > 0) {
        VERBATIM
        printf("%g\\n", v);
        ENDVERBATIM
    }
}
NET_RECEIVE (w) {
    if (flag == 1) {
        if (kind == 4) { WATCH (v > peak - 0.1 * u) 2 } else { WATCH (v > peak) 2 }
        if (kind == 6) { WATCH (v > -65) 3 }
        v = rest
    } else if (flag == 2) {
        if (alive) { net_event(t) }
        if (kind == 4) {
            v = c + 0.04 * u
            if (u + d < 670) { u = u + d } else { u = 670 }
        } else if (kind == 5) {
            v = c
        } else {
            v = c - 0.01 * u
            u = u + d
        }
    } else if (flag == 3) {
        mode = 1
    }
}
"""
SOLVED = """
NEURON { POINT_PROCESS Solved  RANGE a, b, c, d, Iin  NONSPECIFIC_CURRENT i }
PARAMETER { a = 0.02 b = 0.2 c = -65 (mV) d = 2 Iin = 4 }
ASSIGNED { v (mV) i (nA) }
STATE { u }
INITIAL { v = -65  u = b * v  net_send(0, 1) }
BREAKPOINT { SOLVE states METHOD derivimplicit  i = -0.001 * (0.04 * v * v + 5 * v + 140 - u + Iin) }
DERIVATIVE states { u' = a * (b * v - u) }
NET_RECEIVE (w) { if (flag == 1) { WATCH (v > 30) 2 } else if (flag == 2) { net_event(t)  v = c  u = u + d } }
"""
ALONE = """
NEURON { POINT_PROCESS Alone  RANGE a, b, c, d, Iin, tau, V }
PARAMETER { a = 0.02 b = 0.2 c = -65 d = 4 Iin = 4 tau = 3 }
STATE { V u g }
INITIAL { V = -65  u = b * V  g = 0  net_send(0, 1) }
BREAKPOINT { SOLVE states METHOD derivimplicit }
DERIVATIVE states {
    V' = 0.04 * V * V + 5 * V + 140 - u + Iin - g * V
    u' = a * (b * V - u)
    g' = -g / tau
}
NET_RECEIVE (w) {
    INITIAL { }
    if (flag == 1) { WATCH (V > 30) 2 } else if (flag == 2) { net_event(t)  V = c  u = u + d } else { g = g + w }
}
"""
MODS = {"own.mod": IZHIKEVICH, "kinds.mod": KINDS, "solved.mod": SOLVED, "alone.mod": ALONE}
BALL = NativeSection("soma", L=10.0, diam=10.0, cm=31.831)


def cell(id: str, mechanism: str, section: NativeSection = BALL, **parameters: float) -> NativeCell:
    return NativeCell(id, (section,), points=(NativePoint(mechanism, parameters=parameters),), spike_point=0)


def model() -> Network:
    """A chain of every kind of firing cell, driven by given events, with an artificial cell at its end."""
    barrel = NativeSection("soma", points=np.array([[0.0, 0, 0, 8], [0, 6, 0, 12], [0, 10, 0, 9]]), cm=30.0,
                           mechanisms={"pas": {"g": 2e-4, "e": -62.0}})  # fmt: skip
    small = replace(BALL, cm=1.0 / np.pi)  # 1 pF, so that a current in pA is a slope in mV/ms
    cells = [
        cell("plain", "Izhi2007b", C=1.0), cell("leaky", "Izhi2007b", barrel, C=1.2, k=0.8),
        *(cell(f"kind{n}", "Kinds", kind=float(n)) for n in (1, 4, 5, 6)),
        cell("solved", "Solved", small),
    ]  # fmt: skip
    alone = [replace(cell("alone", "Alone"), id="alone"),
             replace(cell("crossing", "Alone"), spike_variable="V", threshold=-10.0)]  # fmt: skip
    parts: list[Any] = [*cells, *alone, NativeProcess("exc", "Exp2Syn", "synapse", {"tau1": 0.5, "tau2": 3.0}),
                        NativeProcess("inh", "ExpSyn", "synapse", {"tau": 5.0, "e": -80.0}),
                        NativeProcess("played", "VecStim", "source"),
                        NativeProcess("fire", "IntFire4", "source", {"taum": 30.0}),
                        NativeProcess("port", "", "port", {"point": 0, "slot": 0})]  # fmt: skip
    random = np.random.default_rng(5)
    rows, times = np.repeat(np.arange(3), 25), np.sort(random.uniform(2.0, 150.0, 75))
    random.shuffle(rows)
    populations = [Population.sized(c.id, c.id, 2) for c in [*cells, *alone]]
    populations[0].values["d"] = np.array([100.0, 60.0])
    populations += [Population.sized("s", "played", 3, train_rows=rows, train_times=times),
                    Population.sized("fire", "fire", 1)]  # fmt: skip
    edges = []
    for number, c in enumerate(cells):
        strength = 0.006 if c.id != "solved" else 0.0001
        edges.append(Edges(f"in_{c.id}", "chemical", "s", c.id, np.array([0, 1, 2]), np.array([0, 1, number % 2]),
                           synapses=("exc", "inh"), synapse=np.array([0, 0, 1]), delay=np.array([1.0, 1.5, 1.0]),
                           weight=strength * np.array([1.0, 1.2, 0.3]), post_fraction=np.full(3, 0.5)))  # fmt: skip
    edges += [Edges(f"in_{c.id}", "chemical", "s", c.id, np.array([0, 1]), np.array([0, 1]), synapses=("port",),
                    weight=np.array([0.1, 0.15]), delay=np.array([1.0, 1.0])) for c in alone]  # fmt: skip
    edges.append(Edges("ring", "chemical", "plain", "leaky", np.array([0, 1]), np.array([1, 0]), synapses=("exc",),
                       weight=np.array([0.01, 0.01]), delay=np.array([2.0, 2.0])))  # fmt: skip
    edges += [
        Edges(f"{pre}_fire", "chemical", pre, "fire", np.array([0, 1]), np.array([0, 0]), synapses=("port",),
              weight=np.array([1.4, -0.2]), delay=np.array([1.0, 1.0]))
        for pre in ("plain", "alone", "solved")
    ]  # fmt: skip
    pulse = NativeProcess("pulse", "IClamp", "input", {"delay": 5.0, "dur": 120.0})
    made = Network("net", {p.id: p for p in populations}, edges,
                   [InputList("push", "pulse", "kind5", np.array([0, 1]), values={"amp": np.array([0.15, 0.3])})],
                   native={p.id: p for p in [*parts, pulse]}, temperature=279.45, mods=dict(MODS))  # fmt: skip
    watched = [f"{p.id}[{n}]" for p in populations if p.id != "s" for n in range(p.size)]
    outputs = saved({"v.dat": ["plain[0]/v", "kind4[1]/v", "solved[0]/v"]}, watched)
    made.settings = Simulation(160.0, 0.0025, method="implicit", v_init=-60.0, outputs=outputs)
    made.simulation = elements_of(made.settings, "net")
    return made


def test_they_fire_alike(tmp_path: Path) -> None:
    network, report = model(), Report()
    path = tmp_path / "LEMS_net.xml"
    write(network, path, report=report)
    assert not report.losses
    native = simulate_network(network, network.settings)
    exported = nmlbridge.simulate(path, method="implicit")
    again = read(path)
    counts: dict[str, int] = {}
    apart: list[float] = []
    for name, population in network.populations.items():
        for row in range(population.size) if name != "s" else ():
            one, two = train(native, network, name, row), train(exported, again, name, row)
            assert len(one) == len(two), name
            counts[name] = counts.get(name, 0) + len(one)
            apart = [*apart, *np.abs(one - two)]
    assert min(counts.values()) > 2
    # steps of 0.0025 ms and u a step late in the mod files: an error of first order, more where a cell lingers
    assert np.median(apart) < 0.006 and max(apart) < 0.12


def test_cells_that_differ_fire_alike(tmp_path: Path) -> None:
    """Individuals: those that are the same make one population of the exported model."""
    network, report = model(), Report()
    kinds = {"slow": 0.02, "usual": 0.03, "fast": 0.05}
    own = [replace(cell("plain", "Izhi2007b", C=1.0, a=kinds[name])) for name in ("usual", "fast", "usual", "slow")]
    population = Population.sized("plain", "plain", 4, individuals=own)
    given = Edges("in_plain", "chemical", "s", "plain", np.array([0, 1, 2, 1]), np.arange(4), synapses=("exc",),
                  weight=0.006 * np.ones(4), delay=np.array([1.0, 1.5, 1.0, 1.0]))  # fmt: skip
    native = {"plain": own[0], **{name: network.native[name] for name in ("exc", "played")}}
    watched = [f"plain[{row}]" for row in range(4)]
    settings = Simulation(160.0, 0.0025, method="implicit", v_init=-60.0, outputs=saved({}, watched))
    network = replace(network, populations={"plain": population, "s": network.populations["s"]}, projections=[given],
                      inputs=[], native=native, settings=settings, simulation=elements_of(settings, "net"))  # fmt: skip
    write(network, tmp_path / "LEMS_net.xml", report=report)
    assert not report.losses
    ours = simulate_network(network, settings)
    exported, again = nmlbridge.simulate(tmp_path / "LEMS_net.xml", method="implicit"), read(tmp_path / "LEMS_net.xml")
    made = [p.id for p in again.populations.values() if p.id.startswith("plain")]
    assert [again.populations[id].size for id in made] == [2, 1, 1]
    where = [(made[0], 0), (made[1], 0), (made[0], 1), (made[2], 0)]
    trains = [train(ours, network, "plain", row) for row in range(4)]
    assert len({tuple(one) for one in trains}) == 4 and min(map(len, trains)) > 2
    for one, (name, row) in zip(trains, where, strict=True):
        np.testing.assert_allclose(one, train(exported, again, name, row), atol=0.12)


def train(results: Any, network: Network, name: str, row: int) -> np.ndarray:
    gid = network.populations[name].offset + row
    return np.sort(results.spikes.time[results.spikes.gid == gid] * 1e3)


@pytest.mark.parametrize("name", ["hybrid", "point cells"])
def test_hybrid_networks_of_netpyne(name: str, tmp_path: Path) -> None:
    """Without noise, whose random numbers differ, and with weak connections, so that small differences stay small."""
    params = copy.deepcopy(MODELS[name])
    params["stimSourceParams"]["bkg"] |= {"noise": 0, "interval": 37.0, "start": "uniform(1,30)"}
    del params["stimSourceParams"]["bkg"]["rate"]
    next(iter(params["connParams"].values()))["weight"] = {"hybrid": 0.04, "point cells": 0.001}[name]
    source = tmp_path / "model.json"
    source.write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 100, "dt": 0.0025}}))
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "own.mod").write_text(IZHIKEVICH)
    report = Report()
    nmlbridge.convert(source, tmp_path / "LEMS_net.xml", report=report, allow=("mods",))
    assert not report.losses
    before, after = read(source), read(tmp_path / "LEMS_net.xml")
    assert after.connections == before.connections + sum(len(inputs) for inputs in before.inputs)
    native = nmlbridge.simulate(source, allow=("mods",))
    exported = nmlbridge.simulate(tmp_path / "LEMS_net.xml", method="implicit")
    apart: list[float] = []
    for population, other in zip(before.populations.values(), after.populations.values(), strict=False):
        assert population.id == other.id
        for row in range(population.size):
            one, two = train(native, before, population.id, row), train(exported, after, other.id, row)
            assert len(one) == len(two)
            apart = [*apart, *np.abs(one - two)]
    # steps of 0.0025 ms; NEURON's hh looks its rates up in a table, and the mod file makes u a step late
    assert len(apart) > 70 and np.median(apart) < 0.02 and max(apart) < 0.1


@pytest.mark.parametrize(
    ("text", "section", "words"),
    [
        (ALONE.replace("(w)", "(w, x)").replace("g = g + w", "g = g + x"), BALL, "in proportion to their first weight"),
        (ALONE.replace("g = g + w", "g = g + w  u = 0"), BALL, "add to 'u' in proportion"),
        (ALONE.replace("flag == 1) {", "flag == 1) { WATCH (V > 0) 2 "), BALL, "sends events in 2 ways"),
        (ALONE.replace("net_event(t)", 'VERBATIM\nputs("");\nENDVERBATIM'), BALL, "VERBATIM"),
        (ALONE.replace("net_send(0, 1) }", "}"), BALL, "INITIAL does not send"),
        (ALONE.replace("- g * V", "- g * V * t"), BALL, "depends on 't'"),
        (ALONE, replace(BALL, mechanisms={"hh": {}}), "the mechanism 'hh' besides"),
        (ALONE, replace(BALL, nseg=3), "more than one compartment"),
        ("", BALL, "not at hand"),
    ],
)
def test_what_makes_no_cell_is_said(text: str, section: NativeSection, words: str, tmp_path: Path) -> None:
    population = Population.sized("p", "alone", 2)
    network = Network("net", {"p": population}, native={"alone": cell("alone", "Alone", section)}, temperature=279.45,
                      mods={"alone.mod": text} if text else {})  # fmt: skip
    report = Report()
    write(network, tmp_path / "net.nml", report=report)
    assert any(note.code == "native-firing" and words in note.message for note in report.losses), report.losses


def test_the_equations_of_a_mod_file_that_makes_its_own_steps() -> None:
    found = spiking_of(read_nmodl(KINDS), {"kind": 5.0})
    assert found.states == ("u",) and found.start == {"u": -12.0, "v": -60.0} and set(found.reset) == {"v"}
    for v, u in ((-70.0, 3.0), (-20.0, 3.0)):
        expected = 0.03 * (max(0.025 * (v + 55) ** 3, 0.0) - u)
        assert evaluate(found.rates["u"], {"v": v, "u": u}) == pytest.approx(expected)
    assert found.current is not None
    assert evaluate(found.current, {"v": -50.0, "u": 3.0}) == pytest.approx(-(0.7 * 10 * -10 - 3) / 1000)

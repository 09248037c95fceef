"""Cells and processes of NEURON's own mechanisms as NeuroML: the same voltages and spikes, and nothing lost in silence.

NEURON's hh looks its rates up in a table of 1 mV; a channel of NeuroML has them exact. So traces of hh are compared
with NEURON's when its table is switched off, where only the single precision of 3-D points is left (1e-6 mV).
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.graph import (
    InputList,
    NativeCell,
    NativePoint,
    NativeProcess,
    NativeSection,
    Network,
    Population,
    Projection,
)
from nmlbridge.neuroml.schema import schema_problems
from nmlbridge.registry import read, write
from nmlbridge.report import Report
from nmlbridge.results import Simulation, elements_of, saved
from nmlbridge.simulator.run import simulate_network

from .contract import native_everything

SOMA = {"hh": {"gnabar": 0.13, "el": -56.0}}
PASSIVE = {"pas": {"g": 3e-4, "e": -60.0}}


def tree(**soma: Any) -> tuple[NativeSection, ...]:
    """A branched cell: sections joined in the middle and by their far ends, values that vary along them."""
    dend = np.array([[0.0, 0, 0, 2], [0, 60, 0, 1], [5, 90, 0, 1]])
    apical = np.array([[5, 90, 0, 1.5], [5, 150, 0, 1.2], [5, 200, 0, 0.5]])
    return (
        NativeSection("soma", L=20.0, diam=20.0, nseg=2, **soma),
        NativeSection("dend", 0, 0.5, points=dend, nseg=3, Ra=120.0, cm=(1.0, 1.5, 2.0),
                      mechanisms={"pas": {"g": (1e-4, 2e-4, 3e-4), "e": -65.0}}),
        NativeSection("apic[0]", 1, 0.3, 1.0, points=apical, nseg=4,
                      mechanisms={"pas": {"g": (4e-4, 3e-4, 2e-4, 1e-4), "e": (-65.0, -66, -67, -68)}}),
        NativeSection("axon", 0, 0.0, L=80.0, diam=1.0, nseg=5, mechanisms=soma["mechanisms"]),
    )  # fmt: skip


def network(parts: list[Any], populations: list[Population], projections: list[Projection], inputs: list[InputList],
            traces: list[str], cells: list[str], kelvin: float = 289.45) -> Network:  # fmt: skip
    made = Network("net", {p.id: p for p in populations}, projections, inputs, native={p.id: p for p in parts},
                   temperature=kelvin)  # fmt: skip
    made.settings = Simulation(30.0, 0.025, method="implicit", v_init=-65.0, outputs=saved({"v.dat": traces}, cells))
    made.simulation = elements_of(made.settings, "net")
    return made


def both(model: Network, folder: Path) -> tuple[Any, Any, Report]:
    """Results of a native network in NEURON, and of the LEMS file that it was written to."""
    report = Report()
    path = folder / "LEMS_net.xml"
    write(model, path, report=report)
    return simulate_network(model, model.settings), nmlbridge.simulate(path, method="implicit"), report


def apart(first: Any, second: Any) -> np.ndarray:
    """The largest difference of each trace in mV."""
    assert first.traces.values.shape == second.traces.values.shape
    difference: np.ndarray = np.abs(first.traces.values - second.traces.values).max(axis=1) * 1e3
    return difference


def test_passive_cells_synapses_and_clamps_give_neurons_voltages(tmp_path: Path) -> None:
    parts = [
        NativeCell("cell", tree(mechanisms=PASSIVE), {"all": (0, 1, 2, 3), "tree": (1, 2)}),
        NativeProcess("exc", "Exp2Syn", "synapse", {"tau1": 0.5, "tau2": 3.0}),
        NativeProcess("inh", "ExpSyn", "synapse", {"tau": 5.0, "e": -80.0}),
        NativeProcess("drive", "NetStim", "source", {"interval": 7.0, "number": 1e9, "start": 1.0}, "exc"),
        NativeProcess("pulse", "IClamp", "input", {"delay": 5.0, "dur": 10.0, "amp": 0.2}),
        NativeProcess("hold", "SEClamp", "input", {"dur1": 5.0, "amp1": -60.0, "dur2": 10.0, "amp2": -40.0,
                                                   "dur3": 5.0, "amp3": -70.0, "rs": 2.0}),
        NativeProcess("alpha", "AlphaSynapse", "input", {"onset": 3.0, "tau": 2.0, "gmax": 0.01, "e": 0.0}),
        NativeProcess("played", "VecStim", "source"),
    ]  # fmt: skip
    populations = [
        Population.sized("p", "cell", 6),
        Population.sized("s", "played", 2, train_rows=np.array([0, 1, 0]), train_times=np.array([3.0, 4.0, 20.0])),
    ]
    wires = Projection("sp", "chemical", "s", "p", np.array([0, 1, 0]), np.array([0, 1, 1]), weight=np.array(
        [0.01, 0.02, 0.005]), post_segment=np.array([2, 1, 0]), post_fraction=np.array([0.5, 0.5, 1.0]),
        delay=np.array([1.0, 1.5, 2.0]), synapses=("exc", "inh"), synapse=np.array([0, 1, 1]))  # fmt: skip
    inputs = [
        InputList("d", "drive", "p", np.array([2]), segment=np.array([1]), weight=np.array([0.004]),
                  delay=np.array([2.0])),
        InputList("c", "pulse", "p", np.array([0, 3]), segment=np.array([0, 3]), values={"amp": np.array([0.3, 0.1])}),
        InputList("h", "hold", "p", np.array([4])),
        InputList("a", "alpha", "p", np.array([5]), segment=np.array([2]), fraction=np.array([0.9])),
    ]  # fmt: skip
    traces = [f"p[{n}]/v" for n in range(6)]
    traces += ["p[0]/soma(0.1)/v", "p[0]/dend(0.5)/v", "p[1]/apic[0](0.1)/v", "p[2]/axon(0.9)/v"]
    model = network(parts, populations, [wires], inputs, traces, ["p[0]"])
    native, exported, report = both(model, tmp_path)
    assert apart(native, exported).max() < 1e-6
    assert np.ptp(native.traces.values, axis=1).min() > 1e-3  # everything moves
    assert not report.losses


HAND = """
import json, sys
from neuron import h
h.load_file("stdrun.hoc")
h.usetable_hh = 0
soma, dend, axon = (h.Section(name=n) for n in ("soma", "dend", "axon"))
soma.L = soma.diam = 20; soma.nseg = 2; axon.L, axon.diam, axon.nseg = 80, 1, 5
for point in ((0, 0, 0, 2), (0, 60, 0, 1), (5, 90, 0, 1)):
    dend.pt3dadd(*point)
dend.nseg, dend.Ra = 3, 120
dend.insert("pas"); dend.connect(soma(0.5)); axon.connect(soma(0))
for place, cm, g in zip(dend, (1.0, 1.5, 2.0), (1e-4, 2e-4, 3e-4)):
    place.cm, place.pas.g, place.pas.e = cm, g, -65
for section in (soma, axon):
    section.insert("hh")
    for place in section:
        place.hh.gnabar, place.hh.el = 0.13, -56
soma.ena = 55
clamp = h.IClamp(soma(0.5)); clamp.delay, clamp.dur, clamp.amp = 5, 10, 0.3
v = h.Vector().record(soma(0.5)._ref_v)
h.celsius, h.dt, h.steps_per_ms = 16.3, 0.025, 40
h.finitialize(-65)
h.continuerun(30)
print(json.dumps(list(v)))
"""


def test_hh_is_neurons_without_its_table(tmp_path: Path) -> None:
    sections = tree(mechanisms=SOMA, ions={"na": {"e": 55.0}})
    cell = NativeCell("cell", (sections[0], sections[1], replace(sections[3], parent=0)), threshold=0.0)
    pulse = NativeProcess("pulse", "IClamp", "input", {"delay": 5.0, "dur": 10.0, "amp": 0.3})
    model = network([cell, pulse], [Population.sized("p", "cell", 1)], [], [InputList("i", "pulse", "p",
                    np.array([0]))], ["p[0]/v"], ["p[0]"])  # fmt: skip
    native, exported, report = both(model, tmp_path)
    done = subprocess.run([sys.executable, "-c", HAND], capture_output=True, text=True, check=True)
    truth = np.array(json.loads(done.stdout.splitlines()[-1]))
    assert truth.max() > 20
    assert np.abs(exported.traces.values[0] * 1e3 - truth).max() < 1e-5
    assert not report.losses
    assert len(native.spikes) == len(exported.spikes) > 0
    assert np.abs(native.spikes.time - exported.spikes.time).max() < 0.026e-3  # a step


def test_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    odd = NativeSection("soma", L=10.0, diam=10.0, mechanisms={"kca": {"gbar": 0.1}, "hh": {"gl": 1e-4}})
    parts = [
        NativeCell("cell", (odd, NativeSection("island", L=5.0, diam=5.0)), points=(NativePoint("Pump"),)),
        NativeProcess("nmda", "NMDAsyn", "synapse"),
        NativeProcess("fire", "IntFire3", "source"),
        NativeProcess("clamp", "IClamp", "input", {"amp": 1.0, "shape": 3.0}),
    ]
    populations = [Population.sized("p", "cell", 2), Population.sized("f", "fire", 1)]
    rows = np.array([0])
    projections = [
        Projection("pp", "chemical", "p", "p", rows, rows, synapses=("nmda",)),
        Projection("fp", "chemical", "f", "p", rows, rows, synapses=("nmda",)),
    ]
    inputs = [InputList("c", "clamp", "p", rows), InputList("d", "clamp", "f", rows)]
    model = network(parts, populations, projections, inputs, ["p[0]/v", "p[0]/hh/m", "f[0]/v"], ["p[0]", "f[0]"])
    report = Report()
    write(model, tmp_path / "LEMS_net.xml", report=report)
    said = " ".join(note.message for note in report.losses)
    for word in ("kca", "island", "Pump", "NMDAsyn", "IntFire3", "shape", "p[0]/hh/m", "f[0]"):
        assert word in said, word
    left = read(tmp_path / "LEMS_net.xml")
    assert list(left.populations) == ["p"] and not left.projections and not left.inputs
    quantities = [e.get("quantity") for top in left.simulation for e in top.iter() if e.get("quantity")]
    assert quantities == ["p[0]/v"]


def test_files_are_valid_and_give_the_same_network(tmp_path: Path) -> None:
    before = native_everything()
    write(before, tmp_path / "net.nml")
    assert not list(schema_problems(tmp_path / "net.nml"))
    after = read(tmp_path / "net.nml")
    assert {p.id: p.size for p in after.populations.values()} == {"a": 3, "b": 2, "bkg_sources": 3}
    for old, new in zip(before.projections, after.projections, strict=False):
        for name in ("pre", "post", "weight", "delay"):
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name))
    np.testing.assert_array_equal(after.projections[-1].delay, before.inputs[0].delay)
    assert before.native and not before.components  # left as it was


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_netstim_keeps_its_law(tmp_path: Path, noise: float) -> None:
    stim = {"interval": 2.0, "start": 1.0, "number": 2000.0, "noise": noise}
    parts = [NativeProcess("stim", "NetStim", "source", stim)]
    model = network(parts, [Population.sized("s", "stim", 1)], [], [], [], ["s[0]"])
    model.settings = replace(model.settings, duration=6000.0)
    model.simulation = elements_of(model.settings, "net")
    write(model, tmp_path / "LEMS_net.xml")
    times = np.sort(nmlbridge.simulate(tmp_path / "LEMS_net.xml").spikes.time) * 1e3
    steps = np.diff(times)
    assert steps.min() > 2.0 * (1 - noise) - 0.026
    if noise == 0:
        np.testing.assert_allclose(times, 1.0 + 2.0 * np.arange(2000), atol=0.026)
    else:
        # waits are 1 ms and an exponential one of 1 ms: both moments within four standard errors
        assert len(times) == 2000
        assert abs(steps.mean() - 2.0) < 4 / np.sqrt(2000) and abs(steps.std() - 1.0) < 4 * np.sqrt(2 / 2000)


def test_a_netpyne_network_becomes_neuroml(corpus: Path, tmp_path: Path) -> None:
    source = corpus / "netpyne" / "model_output.json"
    if not source.is_file():
        pytest.skip(f"no {source}")
    report = Report()
    nmlbridge.convert(source, tmp_path / "LEMS_net.xml", report=report)
    assert {note.code for note in report.losses} <= {"netpyne-recording"}  # recordStim, which simConfig asks for
    before, after = read(source), read(tmp_path / "LEMS_net.xml")
    drives = sum(len(i) for i in before.inputs)
    assert after.connections == before.connections + drives
    native = nmlbridge.simulate(source)
    exported = nmlbridge.simulate(tmp_path / "LEMS_net.xml", method="implicit")
    cells = sum(p.size for p in before.populations.values())
    counts = np.count_nonzero(native.spikes.gid < cells), np.count_nonzero(exported.spikes.gid < cells)
    # the background has other random numbers: counts of seeds differ by a few in a hundred
    assert abs(counts[0] - counts[1]) < 0.05 * counts[0]


KDR = """
NEURON { SUFFIX kd USEION k READ ek WRITE ik RANGE gbar, shift }
PARAMETER { gbar = 100 (pS/um2) shift = 0 (mV) q10 = 2.3 }
ASSIGNED { v ek ik celsius ninf ntau hinf htau }
STATE { n h }
INITIAL { rates(v) n = ninf h = hinf }
BREAKPOINT { SOLVE states METHOD cnexp
  ik = 1e-4 * gbar * n^3 * h * (v - ek) }
DERIVATIVE states { rates(v) n' = (ninf - n) / ntau  h' = (hinf - h) / htau }
FUNCTION trap(x, y) { if (fabs(x / y) < 1e-6) { trap = y * (1 - x / y / 2) } else { trap = x / (exp(x / y) - 1) } }
PROCEDURE rates(v) { LOCAL a, b, q
  q = q10^((celsius - 23) / 10)
  a = 0.02 * trap(-(v + shift - 25), 9)  b = 0.002 * trap(v + shift - 25, 9)
  ninf = a / (a + b)  ntau = 1 / (a + b) / q
  hinf = 1 / (1 + exp((v + 60) / 8))
  if (v < -50) { htau = 30 } else { htau = 30 + 2 * (v + 50) } }
"""
SK = """
NEURON { SUFFIX sk USEION k READ ek WRITE ik USEION ca READ cai NONSPECIFIC_CURRENT il RANGE g }
PARAMETER { g = 1e-4 }
ASSIGNED { v ek ik il cai }
STATE { z }
INITIAL { z = inf(cai) }
BREAKPOINT { SOLVE states METHOD cnexp
  ik = g * z * (v - ek)  il = g * 0.1 * (v + 60) }
DERIVATIVE states { z' = 0.2 * inf(cai) * (1 - z) - 0.2 * (1 - inf(cai)) * z }
FUNCTION inf(c) { inf = 1 / (1 + (0.00043 / c)^4.8) }
"""
POOL = """
NEURON { SUFFIX pool USEION ca READ ica WRITE cai }
ASSIGNED { ica }
STATE { cai }
BREAKPOINT { SOLVE s METHOD cnexp }
DERIVATIVE s { cai' = -ica - cai }
"""


def test_channels_of_a_models_own_mod_files(tmp_path: Path) -> None:
    ions = {"k": {"e": -85.0}, "ca": {"i": 4e-4, "o": 2.0}}
    leak = {"g": 2e-4, "e": -65.0}
    sections = (
        NativeSection("soma", L=20.0, diam=20.0, mechanisms={"kd": {"gbar": 80.0}, "sk": {}, "pas": leak}, ions=ions),
        NativeSection("dend", 0, L=200.0, diam=2.0, nseg=3, ions=ions, mechanisms={
            "kd": {"gbar": (60.0, 40.0, 20.0), "shift": 5.0}, "pas": leak}),
        NativeSection("twig", 1, L=50.0, diam=1.0, nseg=2, ions=ions, mechanisms={
            "kd": {"gbar": 30.0, "shift": (5.0, -5.0)}, "pas": leak}),
    )  # fmt: skip
    parts = [NativeCell("cell", sections), NativeProcess("pulse", "IClamp", "input", {"delay": 2.0, "dur": 20.0,
                                                                                      "amp": 0.3})]  # fmt: skip
    traces = [f"p[0]/{place}/v" for place in ("soma(0.5)", "dend(0.9)", "twig(0.2)", "twig(0.9)")]
    model = network(parts, [Population.sized("p", "cell", 1)], [], [InputList("i", "pulse", "p", np.array([0]))],
                    traces, ["p[0]"])  # fmt: skip
    model.mods = {"kd.mod": KDR, "sk.mod": SK}
    native, exported, report = both(model, tmp_path)
    assert apart(native, exported).max() < 1e-5  # the single precision of 3-D points, over 40 mV
    assert np.ptp(native.traces.values, axis=1).min() > 5e-3
    assert not report.losses
    write(model, tmp_path / "net.nml")
    assert not list(schema_problems(tmp_path / "net.nml"))


def test_a_channel_whose_calcium_moves_is_left_out_by_name(tmp_path: Path) -> None:
    soma = NativeSection("soma", L=20.0, diam=20.0, mechanisms={"sk": {}, "pool": {}, "absent": {}})
    model = network([NativeCell("cell", (soma,))], [Population.sized("p", "cell", 1)], [], [], ["p[0]/v"], [])
    model.mods = {"sk.mod": SK, "pool.mod": POOL}
    report = Report()
    write(model, tmp_path / "net.nml", report=report)
    said = {note.message.split("'")[1]: note.message for note in report.losses if note.code == "native-mechanism"}
    assert "which another mechanism changes" in said["sk"] or "nothing is known" in said["sk"]
    assert "writes cai" in said["pool"] and "not at hand" in said["absent"]


@pytest.mark.parametrize(
    ("mechanism", "parameters", "weight", "dt", "late"),
    [
        # an event acts at the end of its step (one that is near the end of a refractory period may not)
        ("IntFire1", {"tau": 8.0, "refrac": 3.0}, 0.6, 0.005, 0.0051),
        # a threshold is looked at once a step, and m starts anew from there: half a step late for each of 30 spikes,
        # and what is late grows where m comes near the threshold slowly
        ("IntFire2", {"taum": 6.0, "taus": 15.0, "ib": 0.4}, 0.15, 0.0025, 0.15),
        # m is integrated here, and comes near the threshold slowly: errors of first order, a third as large at dt / 3
        ("IntFire4", {"taue": 2.0, "taui1": 4.0, "taui2": 9.0, "taum": 15.0}, 0.4, 0.0025, 0.04),
    ],
)
def test_artificial_cells_fire_alike(
    tmp_path: Path, mechanism: str, parameters: dict[str, float], weight: float, dt: float, late: float
) -> None:
    random = np.random.default_rng(3)
    parts = [
        NativeProcess("fire", mechanism, "source", parameters), NativeProcess("played", "VecStim", "source"),
        NativeProcess("port", "", "port", {"point": 0, "slot": 0}),
    ]  # fmt: skip
    rows, times = random.integers(0, 2, 110), np.sort(random.uniform(0.0, 100.0, 110))
    populations = [Population.sized("f", "fire", 3),
                   Population.sized("s", "played", 2, train_rows=rows, train_times=times)]  # fmt: skip
    wires = [
        Projection("sf", "chemical", "s", "f", np.array([0, 1, 0]), np.array([0, 1, 1]), synapses=("port",),
                   weight=weight * np.array([1.0, 1.3, 0.7]), delay=np.array([1.0, 1.5, 2.0])),
        Projection("ff", "chemical", "f", "f", np.array([0, 1]), np.array([2, 2]), synapses=("port",),
                   weight=np.array([0.8, -0.1]), delay=np.array([1.0, 2.0])),
    ]  # fmt: skip
    model = network(parts, populations, wires, [], [], [f"f[{n}]" for n in range(3)])
    model.settings = replace(model.settings, duration=110.0, dt=dt)
    model.simulation = elements_of(model.settings, "net")
    report = Report()
    write(model, tmp_path / "LEMS_net.xml", report=report)
    native, exported = simulate_network(model, model.settings), nmlbridge.simulate(tmp_path / "LEMS_net.xml")
    for gid in range(3):
        one, two = (r.spikes.time[r.spikes.gid == gid] * 1e3 for r in (native, exported))
        assert len(one) == len(two) > 2
        assert np.abs(one - two).max() < late
    assert not report.losses

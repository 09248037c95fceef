"""Whole runs against formulas, and against independent integrators."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nmlbridge

from . import models

pytestmark = pytest.mark.neuron

AREA = np.pi * 20e-6 * 20e-6  # m2, of the cylinder
C, G = AREA * 1e-2, AREA * 1.0  # F, S: 1 uF/cm2, 0.1 mS/cm2
PULSE = '<pulseGenerator id="pulse" delay="1ms" duration="1000ms" amplitude="{}nA"/>'


def test_a_membrane_charges_exponentially_and_of_second_order(tmp_path: Path) -> None:
    """dv/dt = (I - g (v - e)) / C has the solution e + I/g (1 - exp(-t g/C)); halving dt quarters the error."""
    errors = []
    for step in (0.1, 0.05):
        model = models.put(
            tmp_path / str(step), models.PASSIVE + models.cell("c", models.LEAK) + PULSE.format(0.01),
            '<population id="p" component="c" size="1"/><explicitInput target="p[0]" input="pulse"/>',
            {"v": "p[0]/v"}, 40, step,
        )  # fmt: skip
        results = nmlbridge.simulate(model)
        since = np.maximum(results.time - 1e-3, 0)
        exact = -65e-3 + 0.01e-9 / G * (1 - np.exp(-since * G / C))
        errors.append(np.abs(results["p[0]/v"] - exact).max())
    assert errors[0] < 2e-6  # V, of 0.8 mV
    assert errors[1] < errors[0] / 3.3


def test_a_cable_has_the_input_resistance_of_cable_theory(tmp_path: Path) -> None:
    """A sealed cable of length l: R = Ra lambda / (pi a2) coth(l/lambda); the far end has 1/cosh(l/lambda) of it."""
    length, diameter = 1000e-6, 2e-6
    parts = models.PASSIVE + models.cell("c", models.LEAK, models.cable("c", 1000, 2, 101)) + PULSE.format(0.01)
    model = models.put(
        tmp_path, parts,
        '<population id="p" component="c" type="populationList"><instance id="0"><location x="0" y="0" z="0"/>'
        '</instance></population><inputList id="i" population="p" component="pulse">'
        '<input id="0" target="../p/0/c" destination="synapses" fractionAlong="0"/></inputList>',
        {"v": "p/0/c/v", "far": "p/0/c/0/v"}, 300, 0.1,
    )  # fmt: skip
    results = nmlbridge.simulate(model)
    axial, leak = 1.0, 1.0  # ohm m, S/m2
    constant = np.sqrt(diameter / (4 * axial * leak))
    resistance = 4 * axial * constant / (np.pi * diameter**2) / np.tanh(length / constant)
    # the middle of a sealed cable: cosh((l - x)/lambda) / cosh(l/lambda)
    middle = resistance * np.cosh(0.5 * length / constant) / np.cosh(length / constant)
    # 101 compartments: the current enters half a compartment, 5 um, from the end; that is 1 % of lambda
    assert (results["p/0/c/v"][-1] + 65e-3) / 0.01e-9 == pytest.approx(middle, rel=0.01)


def test_a_gap_junction_divides_the_voltage(tmp_path: Path) -> None:
    """Two equal cells with leak g, coupled by G: the steady states have the ratio G / (g + G)."""
    coupling = 1e-9
    model = models.put(
        tmp_path,
        models.PASSIVE + '<gapJunction id="gap" conductance="1nS"/>' + models.cell("c", models.LEAK)
        + PULSE.format(0.01),
        '<population id="p" component="c" size="2"/><electricalProjection id="e" presynapticPopulation="p" '
        'postsynapticPopulation="p"><electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>'
        '</electricalProjection><explicitInput target="p[0]" input="pulse"/>',
        {"a": "p[0]/v", "b": "p[1]/v"}, 300, 0.1,
    )  # fmt: skip
    results = nmlbridge.simulate(model)
    one, two = (results[f"p[{i}]/v"][-1] + 65e-3 for i in (0, 1))
    assert two / one == pytest.approx(coupling / (G + coupling), rel=1e-6)


def _hodgkin_huxley(times: np.ndarray, current: float) -> np.ndarray:
    """The squid axon of Hodgkin and Huxley (1952), by SciPy's LSODA with tolerances of 1e-10; mV and ms."""
    integrate = pytest.importorskip("scipy.integrate")

    def linear(v: float, rate: float, midpoint: float, scale: float) -> float:
        x = (v - midpoint) / scale
        return rate if abs(x) < 1e-8 else float(rate * x / (1 - np.exp(-x)))

    def rates(v: float) -> tuple[tuple[float, float], ...]:
        return (
            (linear(v, 1, -40, 10), 4 * np.exp(-(v + 65) / 18)),
            (0.07 * np.exp(-(v + 65) / 20), 1 / (1 + np.exp(-(v + 35) / 10))),
            (linear(v, 0.1, -55, 10), 0.125 * np.exp(-(v + 65) / 80)),
        )

    def slope(t: float, y: np.ndarray) -> list[float]:
        v, m, h, n = y
        ionic = 120 * m**3 * h * (v - 50) + 36 * n**4 * (v + 77) + 0.3 * (v + 54.3)  # uA/cm2
        gates = [a * (1 - x) - b * x for x, (a, b) in zip((m, h, n), rates(v), strict=True)]
        return [(current if t >= 1 else 0.0) - ionic, *gates]

    start = [-65.0, *(a / (a + b) for a, b in rates(-65.0))]
    before = integrate.solve_ivp(slope, (0, 1), start, method="LSODA", rtol=1e-10, atol=1e-12)
    after = integrate.solve_ivp(
        slope, (1, times[-1]), before.y[:, -1], method="LSODA", rtol=1e-10, atol=1e-12, dense_output=True, max_step=0.1
    )
    return np.asarray(np.where(times < 1, np.interp(times, before.t, before.y[0]), after.sol(np.maximum(times, 1))[0]))


def _crossings(time: np.ndarray, v: np.ndarray) -> np.ndarray:
    at = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    return np.asarray(time[at] - v[at] * (time[at + 1] - time[at]) / (v[at + 1] - v[at]))


def test_hodgkin_and_huxley_spike_when_they_should(tmp_path: Path) -> None:
    density = 10.0  # uA/cm2
    model = models.put(
        tmp_path, models.HH + models.cell("c", models.HH_CHANNELS) + PULSE.format(density * 1e-2 * AREA * 1e9),
        '<population id="p" component="c" size="1"/><explicitInput target="p[0]" input="pulse"/>',
        {"v": "p[0]/v"}, 60, 0.01,
    )  # fmt: skip
    results = nmlbridge.simulate(model)
    time = results.time * 1e3
    found, exact = _crossings(time, results["p[0]/v"] * 1e3), _crossings(time, _hodgkin_huxley(time, density))
    assert len(found) == len(exact) == 4
    # ms; a scheme of first order is 40 times further off at this step
    assert np.abs(found - exact).max() < 0.002


def test_a_synapse_follows_its_exponentials(tmp_path: Path) -> None:
    """expTwoSynapse after one spike at 5 ms with a delay of 2 ms: g = gbase w f (exp(-t/decay) - exp(-t/rise))."""
    rise, decay = 1e-3, 6e-3
    model = models.put(
        tmp_path,
        models.PASSIVE + '<expTwoSynapse id="syn" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="6ms"/>'
        + '<spikeArray id="source"><spike id="0" time="5ms"/></spikeArray>' + models.cell("c", models.LEAK),
        '<population id="s" component="source" size="1"/><population id="p" component="c" size="1"/>'
        '<projection id="j" presynapticPopulation="s" postsynapticPopulation="p" synapse="syn">'
        '<connectionWD id="0" preCellId="../s[0]" postCellId="../p[0]" weight="2.5" delay="2ms"/></projection>',
        {"g": "p[0]/synapses:syn:0/g", "v": "p[0]/v"}, 40, 0.025,
    )  # fmt: skip
    results = nmlbridge.simulate(model)
    # what NEURON shows of a conductance is what the last step used, which stands for the middle of that step
    since = results.time - 0.0125e-3 - 7e-3
    peak = np.log(decay / rise) * rise * decay / (decay - rise)
    factor = 1 / (np.exp(-peak / decay) - np.exp(-peak / rise))
    exact = np.where(since > 0, 2.5e-9 * factor * (np.exp(-since / decay) - np.exp(-since / rise)), 0)
    found = results["p[0]/synapses:syn:0/g"]
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-3 * exact.max())


def test_the_same_run_twice_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    noisy = models.PASSIVE + models.cell("c", models.LEAK) + (
        '<expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="3ms"/>'
        '<poissonFiringSynapse id="noise" averageRate="200Hz" synapse="syn" spikeTarget="./syn"/>'
    )  # fmt: skip
    model = models.put(
        tmp_path, noisy, '<population id="p" component="c" size="2"/><explicitInput target="p[0]" input="noise"/>'
        '<explicitInput target="p[1]" input="noise"/>', {"a": "p[0]/v", "b": "p[1]/v"}, 100, 0.05,
    )  # fmt: skip
    one, two, other = (nmlbridge.simulate(model, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one["p[0]/v"], two["p[0]/v"])
    assert not np.array_equal(one["p[0]/v"], other["p[0]/v"])
    assert not np.array_equal(one["p[0]/v"], one["p[1]/v"])  # each input draws its own numbers


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["NeuroML2", "ACnet2"])
def test_the_tests_of_open_source_brain(folder: str, shared: Path, corpus: Path) -> None:
    """Every test that the models bring for NEURON, judged by OMV's own comparison."""
    pytest.importorskip("omv")
    check = shared / "conformance" / "omv_check.py"
    if not check.is_file():
        pytest.skip("the script that judges runs is not there")
    command = f"{sys.executable} -m nmlbridge run {{lems}}"
    ran = subprocess.run(
        [sys.executable, str(check), "--run", command, str(corpus / folder)],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    failed = [line for line in ran.stdout.splitlines() if line.startswith("FAIL")]
    assert ran.returncode == 0 and not failed, "\n".join(failed) + ran.stderr[-500:]
    assert "0 failed" in ran.stdout


def test_short_alpha_currents_carry_their_charge(tmp_path: Path) -> None:
    """The mean voltage under events of rate f is v_rest + f w e tau_syn tau_m / cm, however short tau_syn (LEMS,
    alphaCurrSynapse: I peaks at w after tau_syn). Steps of a quarter of tau_syn; the period is no multiple of them."""
    parts = """<IF_curr_alpha id="c" cm="0.25" i_offset="0" tau_m="20" tau_refrac="2" tau_syn_E="0.1" tau_syn_I="0.1"
        v_init="-65" v_reset="-65" v_rest="-65" v_thresh="2000"/>
        <spikeGenerator id="s" period="0.0973ms"/><alphaCurrSynapse id="a" tau_syn="0.1"/>"""
    network = """<population id="p" component="s" size="1"/><population id="q" component="c" size="1"/>
        <projection id="r" presynapticPopulation="p" postsynapticPopulation="q" synapse="a">
        <connectionWD id="0" preCellId="../p[0]" postCellId="../q[0]" weight="0.05" delay="0.1ms"/></projection>"""
    model = models.put(tmp_path, parts, network, {"v": "q[0]/v"}, 400, 0.025)
    text = model.read_text().replace('<Include file="Networks.xml"/>', '<Include file="PyNN.xml"/>')
    model.write_text(text.replace('<Include file="Simulation.xml"/>',
                                  '<Include file="Networks.xml"/><Include file="Simulation.xml"/>'))  # fmt: skip
    results = nmlbridge.simulate(model)
    rise = results["q[0]/v"][results.time > 0.3].mean() + 65e-3
    mean = 0.05e-9 * np.e * 0.1e-3 / 0.0973e-3 * 20e-3 / 0.25e-9
    assert rise == pytest.approx(mean, rel=3e-4)  # the voltage still has exp(-15) of its way to go


TURN = """<ComponentType name="turner" extends="baseCellMembPot">
    <Parameter name="w" dimension="per_time"/><Constant name="MV" dimension="voltage" value="1mV"/>
    <Exposure name="x" dimension="none"/><Exposure name="y" dimension="none"/><Exposure name="z" dimension="none"/>
    <Dynamics><StateVariable name="x" dimension="none" exposure="x"/>
    <StateVariable name="y" dimension="none" exposure="y"/>
    <StateVariable name="z" dimension="none" exposure="z"/>
    <DerivedVariable name="v" dimension="voltage" value="x * MV"/>
    <TimeDerivative variable="x" value="w * y"/><TimeDerivative variable="y" value="-w * x"/>
    <TimeDerivative variable="z" value="w * (x * y - z * x ^ 2)"/>
    <OnStart><StateAssignment variable="x" value="1"/></OnStart></Dynamics></ComponentType>
    <turner id="c" w="0.5per_ms"/>"""


def test_states_that_drive_each_other_in_a_circle_are_of_second_order(tmp_path: Path) -> None:
    """x' = w y, y' = -w x turns: x = cos(w t), y = -sin(w t). A third state follows both."""
    errors, driven = [], []
    for step in (0.1, 0.05):
        model = models.put(tmp_path / str(step), TURN, '<population id="p" component="c" size="1"/>',
                           {n: f"p[0]/{n}" for n in "xyz"}, 40, step)  # fmt: skip
        results = nmlbridge.simulate(model)
        angle = 0.5e3 * results.time
        errors.append(
            max(np.abs(results["p[0]/x"] - np.cos(angle)).max(), np.abs(results["p[0]/y"] + np.sin(angle)).max())
        )
        driven.append(results["p[0]/z"][-1])
    assert errors[0] < 5e-3 and errors[1] < errors[0] / 3.8
    exact = nmlbridge.simulate(model, backend="reference")["p[0]/z"][-1]
    assert abs(driven[1] - exact) < abs(driven[0] - exact) / 3.5 < 1e-3


JUMP = """<ComponentType name="{name}" extends="baseCellMembPot">
    <Parameter name="tau" dimension="time"/><Constant name="MV" dimension="voltage" value="1mV"/>
    <EventPort name="in" direction="in"/><Exposure name="x" dimension="none"/><Dynamics>{dynamics}
    <OnStart><StateAssignment variable="{state}" value="{start}"/></OnStart>
    <OnEvent port="in"><StateAssignment variable="{state}" value="{event}"/></OnEvent></Dynamics></ComponentType>
    <{name} id="c" tau="10ms"/>
    <spikeArray id="s"><spike id="0" time="5.03ms"/><spike id="1" time="11.07ms"/></spikeArray>"""
OWN = '<StateVariable name="v" dimension="voltage" exposure="v"/><TimeDerivative variable="v" value="-v / tau"/>'
FREE = """<StateVariable name="x" dimension="none" exposure="x"/><TimeDerivative variable="x" value="-x ^ 2 / tau"/>
    <DerivedVariable name="v" dimension="voltage" exposure="v" value="x * MV"/>"""


@pytest.mark.parametrize("event", ["{0} + 3 * {1}", "{0} * 2 + {1}"])
@pytest.mark.parametrize("state", ["v", "x"])
def test_an_event_inside_a_step_adds_to_what_the_state_was_then(tmp_path: Path, state: str, event: str) -> None:
    """v' = -v/tau and x' = -x^2/tau have v = v0 exp(-t/tau) and x = 1/(1/x0 + t/tau) between events."""
    unit = "MV" if state == "v" else "1"
    parts = JUMP.format(
        name="jumper", dynamics=OWN if state == "v" else FREE, state=state, start=unit, event=event.format(state, unit)
    )
    network = """<population id="p" component="c" size="1"/><population id="q" component="s" size="1"/>
        <explicitConnection from="q[0]" to="p[0]"/>"""

    def flow(value: float, time: float) -> float:
        return value * np.exp(-time / 10) if state == "v" else 1 / (1 / value + time / 10)

    exact, last = 1.0, 0.0
    for time in (5.03, 11.07):
        exact = flow(exact, time - last)
        exact, last = exact + 3 if "3" in event else 2 * exact + 1, time
    exact = flow(exact, 20.0 - last)
    errors = []
    for step in (0.1, 0.025):
        model = models.put(tmp_path / str(step), parts, network, {"v": "p[0]/v"}, 20, step)
        errors.append(abs(nmlbridge.simulate(model)["p[0]/v"][-1] * 1e3 / exact - 1))
    assert errors[0] < 2e-4 and errors[1] < 2e-5

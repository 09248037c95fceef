"""Abstract cells: moving thresholds, sequential resets, no refractory time, states that are hidden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge

from . import models

pytestmark = pytest.mark.neuron

# Generalised leaky integrate and fire: the threshold jumps at a spike and decays, the reset depends on v at the spike,
# and the threshold's jump is computed after v was set (assignments in order).
GLIF = """
<ComponentType name="glif" extends="baseCellMembPotCap">
  <Parameter name="leak" dimension="conductance"/><Parameter name="rest" dimension="voltage"/>
  <Parameter name="base" dimension="voltage"/><Parameter name="jump" dimension="voltage"/>
  <Parameter name="decay" dimension="time"/><Parameter name="share" dimension="none"/>
  <Attachments name="synapses" type="basePointCurrent"/><EventPort name="spike" direction="out"/>
  <Exposure name="thresh" dimension="voltage"/><Exposure name="count" dimension="none"/>
  <Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
    <StateVariable name="moved" dimension="voltage"/><StateVariable name="count" dimension="none" exposure="count"/>
    <DerivedVariable name="iSyn" dimension="current" exposure="iSyn" select="synapses[*]/i" reduce="add"/>
    <DerivedVariable name="iMemb" dimension="current" exposure="iMemb" value="leak * (rest - v) + iSyn"/>
    <DerivedVariable name="thresh" dimension="voltage" exposure="thresh" value="base + moved"/>
    <TimeDerivative variable="v" value="iMemb / C"/><TimeDerivative variable="moved" value="-moved / decay"/>
    <OnStart><StateAssignment variable="v" value="rest"/></OnStart>
    <OnCondition test="v .gt. thresh">
      <StateAssignment variable="v" value="rest + share * (v - rest)"/>
      <StateAssignment variable="moved" value="moved + jump + 0.1 * (v - rest)"/>
      <StateAssignment variable="count" value="count + 1"/><EventOut port="spike"/></OnCondition>
  </Dynamics></ComponentType>
<glif id="g" C="0.2nF" leak="10nS" rest="-70mV" base="-50mV" jump="5mV" decay="40ms" share="0.25"/>
"""


def test_a_moving_threshold(tmp_path: Path) -> None:
    """Spikes against a run of fine explicit steps; the count and the recorded threshold tell that each one counted."""
    components = GLIF + models.pulse("p", "0.35nA") + models.RC + (
        '<expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="3ms"/>'
    )
    network = models.populations("g", "rc") + '<explicitInput target="p_g[0]" input="p"/>' + (
        '<projection id="j" presynapticPopulation="p_g" postsynapticPopulation="p_rc" synapse="syn">'
        '<connectionWD id="0" preCellId="../p_g[0]" postCellId="../p_rc[0]" weight="1" delay="1ms"/></projection>'
    )  # fmt: skip
    record = {"t": "p_g[0]/thresh", "n": "p_g[0]/count", "v": "p_rc[0]/v", "i": "p_g[0]/iSyn", "m": "p_g[0]/iMemb"}
    found = models.run(tmp_path, components, network, record, 300, 0.025)
    dt, v, moved, times, thresholds = 1e-3, -70.0, 0.0, [], []
    for step in range(300_000):
        v += dt * (10 * (-70 - v) + 350) / 200  # nS mV and pA over pF
        moved *= 1 - dt / 40
        if v > -50 + moved:
            v = -70 + 0.25 * (v + 70)
            moved += 5 + 0.1 * (v + 70)
            times.append((step + 1) * dt)
        thresholds.append(-50 + moved)
    spikes = found.spikes.of("p_g") * 1e3
    assert len(spikes) == len(times) > 4
    np.testing.assert_allclose(spikes, times, atol=3 * 0.025)  # of first order in the step
    assert found["p_g[0]/count"][-1] == len(times)
    assert found["p_g[0]/thresh"][-1] * 1e3 == pytest.approx(thresholds[-1], abs=0.05)
    # each spike has gone through the synapse
    rises = models.crossings(found.time, np.gradient(found["p_rc[0]/v"], found.time), 0.02)
    np.testing.assert_allclose(rises * 1e3, spikes + 1, atol=0.1)
    np.testing.assert_allclose(found["p_g[0]/iSyn"][2:], 0.35e-9, rtol=1e-6)
    quiet = found.time < (times[0] - 0.1) * 1e-3
    exact = 0.35e-9 * np.exp(-found.time[quiet] / 20e-3)
    np.testing.assert_allclose(found["p_g[0]/iMemb"][quiet][2:], exact[2:], rtol=5e-3)


# Adaptation driven by the current that comes in: the sum of what is attached is used outside dv/dt.
DRIVEN = """
<ComponentType name="driven" extends="baseCellMembPotCap">
  <Parameter name="leak" dimension="conductance"/><Parameter name="rest" dimension="voltage"/>
  <Parameter name="tau" dimension="time"/><Exposure name="seen" dimension="current"/>
  <Attachments name="synapses" type="basePointCurrent"/>
  <Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
    <StateVariable name="seen" dimension="current" exposure="seen"/>
    <DerivedVariable name="iSyn" dimension="current" exposure="iSyn" select="synapses[*]/i" reduce="add"/>
    <DerivedVariable name="iMemb" dimension="current" exposure="iMemb" value="leak * (rest - v) + iSyn - seen"/>
    <TimeDerivative variable="v" value="iMemb / C"/><TimeDerivative variable="seen" value="(iSyn / 2 - seen) / tau"/>
    <OnStart><StateAssignment variable="v" value="rest"/></OnStart></Dynamics></ComponentType>
<driven id="d" C="0.2nF" leak="10nS" rest="-70mV" tau="10ms"/>
"""


def test_a_cell_that_reads_the_current_it_gets(tmp_path: Path) -> None:
    components = DRIVEN + models.RC + models.pulse("p", "0.1nA", "5ms") + (
        '<expOneSynapse id="syn" gbase="2nS" erev="0mV" tauDecay="3ms"/><gapJunction id="gap" conductance="1nS"/>'
        '<spikeArray id="train"><spike id="0" time="10ms"/><spike id="1" time="15ms"/></spikeArray>'
    )
    network = models.populations("d", "rc", "train") + '<explicitInput target="p_d[0]" input="p"/>' * 2 + (
        '<projection id="j" presynapticPopulation="p_train" postsynapticPopulation="p_d" synapse="syn">'
        '<connectionWD id="0" preCellId="../p_train[0]" postCellId="../p_d[0]" weight="1.5" delay="0ms"/></projection>'
        '<electricalProjection id="e" presynapticPopulation="p_d" postsynapticPopulation="p_rc">'
        '<electricalConnection id="0" preCell="0" postCell="0" synapse="gap"/></electricalProjection>'
    )  # fmt: skip
    record = {"v": "p_d[0]/v", "s": "p_d[0]/seen", "r": "p_rc[0]/v"}
    ours, reference = models.both(models.write(tmp_path, components, network, record, 30))
    for quantity in record.values():
        assert models.difference(ours, reference, quantity) < 3e-3, quantity


NO_REST = {
    "iafRefCell": 'leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF" leakConductance="10nS" refract="0ms"',
    "iafTauRefCell": 'leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="20ms" refract="0ms"',
}


@pytest.mark.parametrize("type", NO_REST)
def test_no_refractory_time_at_all(type: str, tmp_path: Path) -> None:
    """refract = 0: the interval is tau ln((E - reset) / (E - thresh))."""
    found = models.run(
        tmp_path, f'<{type} id="c" {NO_REST[type]}/>', models.populations("c"), {"v": "p_c[0]/v"}, 200, 0.025
    )
    spikes = found.spikes.of("p_c")
    assert len(spikes) > 5
    # the reset and the end of no time at all wait for a step each
    np.testing.assert_allclose(np.diff(spikes), 20e-3 * np.log(20 / 5), atol=2.1 * 0.025e-3)


# What c302 makes of the neurons of C. elegans in its spiking sets, and the same with a dead time.
SLOW = 'leakReversal="-50mV" thresh="-30mV" reset="-50mV" C="3pF" leakConductance="0.1nS"'
DRIVEN_SLOWLY = {"iafCell": (SLOW, 0.0), "iafRefCell": (SLOW + ' refract="3.33ms"', 3.33)}


@pytest.mark.parametrize("type", DRIVEN_SLOWLY)
def test_spikes_do_not_drift(type: str, tmp_path: Path) -> None:
    """Intervals of tau ln(50 / 30), no multiple of the step: what a reset cuts off of a step is not lost.

    5 pA over 0.1 nS take the cell from -50 mV towards 0 mV. Each spike is told at the end of the step it falls into,
    the last like the first; a cell that began anew at each step's end would be 1 ms late by then. What is left of
    the error of the interpolated crossings is of second order.
    """
    parameters, dead = DRIVEN_SLOWLY[type]
    components = (
        f'<{type} id="c" {parameters}/><expTwoSynapse id="syn" gbase="0.01nS" erev="0mV" tauRise="3ms" '
        'tauDecay="10ms"/>'
    ) + models.pulse("p", "5pA")
    network = models.populations("c", size=2) + '<explicitInput target="p_c[0]" input="p"/>' + (
        '<projection id="j" presynapticPopulation="p_c" postsynapticPopulation="p_c" synapse="syn">'
        '<connectionWD id="0" preCellId="../p_c[0]" postCellId="../p_c[1]" weight="1" delay="0ms"/></projection>'
    )  # fmt: skip
    step, length = 0.05, 800.0
    file = models.write(tmp_path, components, network, {"v": "p_c[1]/v"}, length, step)
    found = nmlbridge.simulate(file)
    interval = 30 * np.log(50 / 30)
    exact = np.arange(interval, length, interval + dead)
    late = found.spikes.of("p_c") * 1e3 - exact
    assert len(exact) > 40 and late.min() > -0.1 * step and late.max() < 1.1 * step
    reference = nmlbridge.simulate(file, backend="reference")
    np.testing.assert_allclose(reference.spikes.of("p_c") * 1e3, exact, atol=1e-5)
    assert models.difference(found, reference, "p_c[1]/v") < 1e-3


HIDDEN = (
    '<ComponentType name="hidden" extends="baseCell"><Exposure name="x" dimension="none"/><Exposure name="y" '
    'dimension="none"/><Constant name="TAU" dimension="time" value="10ms"/><Dynamics>'
    '<StateVariable name="x" exposure="x" dimension="none"/><StateVariable name="y" exposure="y" dimension="none"/>'
    '<ConditionalDerivedVariable name="x" exposure="x" dimension="none"><Case condition="y .lt. 0.5" value="1"/>'
    '<Case value="0"/></ConditionalDerivedVariable><TimeDerivative variable="y" value="x / TAU"/></Dynamics>'
    '</ComponentType><hidden id="h"/>'
)


def test_a_conditional_variable_hides_a_state_of_its_name(tmp_path: Path) -> None:
    """y rises with 1/10 ms to 0.5, which x decides."""
    found = models.run(tmp_path, HIDDEN, models.populations("h"), {"x": "p_h[0]/x", "y": "p_h[0]/y"}, 10, 0.02)
    np.testing.assert_allclose(found["p_h[0]/y"], np.minimum(found.time / 10e-3, 0.5), atol=3e-3)
    assert found["p_h[0]/x"][1] == 1 and found["p_h[0]/x"][-1] == 0


REGIMES = (
    '<ComponentType name="phases" extends="baseSpikingCell"><Exposure name="x" dimension="none"/>'
    '<Parameter name="up" dimension="time"/><Parameter name="down" dimension="time"/><Dynamics>'
    '<StateVariable name="x" exposure="x" dimension="none"/><StateVariable name="since" dimension="time"/>'
    '<Regime name="rising" initial="true"><TimeDerivative variable="x" value="1 / up"/><OnCondition test="x .gt. 1">'
    '<EventOut port="spike"/><Transition regime="falling"/></OnCondition></Regime><Regime name="falling"><OnEntry>'
    '<StateAssignment variable="since" value="t"/></OnEntry><TimeDerivative variable="x" value="-x / down"/>'
    '<OnCondition test="t .gt. since + 2 * down"><Transition regime="rising"/></OnCondition></Regime></Dynamics>'
    '</ComponentType><phases id="r" up="4ms" down="3ms"/>'
)


def test_regimes_of_a_cell_of_our_own(tmp_path: Path) -> None:
    """Up to 1 in 4 ms, down for 6 ms to exp(-2), up again in 4 (1 - exp(-2)) ms."""
    found = models.run(tmp_path, REGIMES, models.populations("r"), {"x": "p_r[0]/x"}, 40, 0.01)
    spikes = found.spikes.of("p_r") * 1e3
    expected = 4 + np.arange(4) * (6 + 4 * (1 - np.exp(-2)))
    np.testing.assert_allclose(spikes, expected, atol=0.05)


def test_what_no_event_can_catch_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    sends = '<OnCondition test="y .eq. 0.25"><EventOut port="spike"/></OnCondition></Dynamics>'
    odd = HIDDEN.replace("</Dynamics>", sends)
    odd = odd.replace('extends="baseCell"', 'extends="baseSpikingCell"')
    file = models.write(tmp_path, odd, models.populations("h"), {"y": "p_h[0]/y"}, 10)
    with pytest.raises(nmlbridge.errors.UnsupportedError, match=r"LEMS_Corner.xml:\d+: component 'h'.*OnCondition"):
        nmlbridge.simulate(file)

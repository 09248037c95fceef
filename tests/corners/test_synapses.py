"""Composite synapses and their weights, mixed projections, peers that show more than v."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge

from . import models

pytestmark = pytest.mark.neuron

BLOCK = (
    '<blockMechanism type="voltageConcDepBlockMechanism" species="mg" blockConcentration="1.2mM" '
    'scalingConc="1.92mM" scalingVolt="16.129mV"/>'
)
G = 'gbase="2nS" erev="0mV"'
SYNAPSES = (
    f'<expTwoSynapse id="ampasyn" {G} tauRise="0.5ms" tauDecay="3ms"/>'
    f'<blockingPlasticSynapse id="nmdasyn" {G} tauRise="1ms" tauDecay="13ms">{BLOCK}</blockingPlasticSynapse>'
    '<doubleSynapse id="pair" synapse1="ampasyn" synapse2="nmdasyn" synapse1Path="./ampasyn" '
    'synapse2Path="./nmdasyn"/>'
)
TRAIN = '<spikeArray id="train"><spike id="0" time="5ms"/><spike id="1" time="12ms"/></spikeArray>'


def projection(id: str, target: str, synapse: str, weight: float, row: int = 0) -> str:
    ends = f'preCellId="../p_train[0]" postCellId="../{target}[{row}]"'
    return (
        f'<projection id="{id}" presynapticPopulation="p_train" postsynapticPopulation="{target}" synapse="{synapse}">'
        f'<connectionWD id="0" {ends} weight="{weight}" delay="0ms"/>'
        "</projection>"
    )


def test_the_weight_of_a_double_synapse_counts_once(tmp_path: Path) -> None:
    """A double synapse is its two parts side by side, whatever its weight; a part whose name holds "syn" is alive."""
    network = models.populations("train") + '<population id="d" component="rc" size="3"/><population id="s" component="rc" size="3"/>'  # noqa: E501
    record = {}
    for row, weight in enumerate((0.5, 1, 2)):
        network += projection(f"d{row}", "d", "pair", weight, row)
        network += projection(f"a{row}", "s", "ampasyn", weight, row)
        network += projection(f"n{row}", "s", "nmdasyn", weight, row)
        record |= {f"d{row}": f"d[{row}]/v", f"s{row}": f"s[{row}]/v"}
    record["block"] = "d[1]/synapses:pair:0/nmdasyn/blockMechanism/blockFactor"
    found = models.run(tmp_path, models.RC + SYNAPSES + TRAIN, network, record, 40)
    for row in range(3):
        assert np.ptp(found[f"d[{row}]/v"]) > 5e-4
        np.testing.assert_allclose(found[f"d[{row}]/v"], found[f"s[{row}]/v"], rtol=0, atol=2e-6)
    v = found["d[1]/v"] * 1e3
    np.testing.assert_allclose(found[record["block"]], 1 / (1 + 1.2 / 1.92 * np.exp(-v / 16.129)), rtol=1e-3)


def test_a_blocked_synapse_inside_a_poisson_input_is_alive(tmp_path: Path) -> None:
    """At 1 kHz the mean conductance of the blocked synapse is known; so is the mean depolarisation that it makes."""
    components = models.RC + SYNAPSES + (
        '<poissonFiringSynapse id="noise" averageRate="1000Hz" synapse="nmdasyn" spikeTarget="./nmdasyn"/>'
    )
    network = '<population id="p" component="rc" size="40"/>' + "".join(
        f'<explicitInput target="p[{n}]" input="noise"/>' for n in range(40)
    )  # fmt: skip
    found = models.run(tmp_path, components, network, {f"v{n}": f"p[{n}]/v" for n in range(40)}, 300, 0.05)
    late = found.time > 0.1
    v = np.mean([found[f"p[{n}]/v"][late] for n in range(40)])
    rise, decay = 1.0, 13.0
    peak = np.log(decay / rise) * rise * decay / (decay - rise)
    factor = 1 / (np.exp(-peak / decay) - np.exp(-peak / rise))
    mean = 2e-9 * factor * (decay - rise) * 1e-3 * 1000  # S, without the block
    voltages = np.linspace(-60e-3, 0, 2000)
    conductance = mean / (1 + 1.2 / 1.92 * np.exp(-voltages * 1e3 / 16.129))
    balance = conductance * (0 - voltages) + 10e-9 * (-60e-3 - voltages)
    expected = voltages[np.flatnonzero(balance > 0)[-1]]
    # the block is not linear in v, which fluctuates by a few mV
    assert v == pytest.approx(expected, abs=2e-3)
    assert expected > -50e-3


def test_each_connection_of_a_projection_has_its_own_component(tmp_path: Path) -> None:
    """Steady states of pairs: gap junctions of 1 and 4 nS, with weights; graded synapses of 1 and 3 nS."""
    components = models.RC + models.pulse("p", "0.1nA") + (
        '<gapJunction id="thin" conductance="1nS"/><gapJunction id="thick" conductance="4nS"/>'
        '<silentSynapse id="silent"/><linearGradedSynapse id="l1" conductance="1nS"/>'
        '<linearGradedSynapse id="l3" conductance="3nS"/>'
    )
    cells = "".join(
        f'<instance id="{n}"><location x="0" y="0" z="0"/></instance>' for n in range(5)
    )
    network = "".join(
        f'<population id="{p}" component="rc" type="populationList" size="5">{cells}</population>' for p in "ab"
    ) + "".join(f'<explicitInput target="a[{n}]" input="p"/>' for n in range(5))  # fmt: skip
    end = 'preCell="../a/{0}/rc" postCell="../b/{0}/rc"'
    network += (
        '<electricalProjection id="e" presynapticPopulation="a" postsynapticPopulation="b">'
        f'<electricalConnectionInstance id="0" {end.format(0)} synapse="thin"/>'
        f'<electricalConnectionInstance id="1" {end.format(1)} synapse="thick"/>'
        f'<electricalConnectionInstanceW id="2" {end.format(2)} synapse="thin" weight="2.5"/></electricalProjection>'
        '<continuousProjection id="c" presynapticPopulation="a" postsynapticPopulation="b">'
        f'<continuousConnectionInstance id="0" {end.format(3)} preComponent="silent" postComponent="l1"/>'
        f'<continuousConnectionInstanceW id="1" {end.format(4)} preComponent="l3" postComponent="l3" weight="0.5"/>'
        "</continuousProjection>"
    )
    record = {f"{p}{n}": f"{p}/{n}/rc/v" for p in "ab" for n in range(5)}
    found = models.run(tmp_path, components, network, record, 300, 0.1)
    leak, current = 10e-9, 0.1e-9
    for n, (there, back) in enumerate(((1, 1), (4, 4), (2.5, 2.5), (0, 1), (1.5, 1.5))):
        matrix = np.array([[leak + there * 1e-9, -there * 1e-9], [-back * 1e-9, leak + back * 1e-9]])
        a, b = np.linalg.solve(matrix, [current, 0])
        assert found[f"a/{n}/rc/v"][-1] == pytest.approx(-60e-3 + a, abs=1e-7), n
        assert found[f"b/{n}/rc/v"][-1] == pytest.approx(-60e-3 + b, abs=1e-7), n


# A cell that shows an output, and synapses that read it from their peer, as rate models of worms have them.
RATE_CELL = """
<ComponentType name="rateCell" extends="baseCellMembPotCap">
  <Parameter name="tauOut" dimension="time"/><Parameter name="leak" dimension="conductance"/>
  <Parameter name="rest" dimension="voltage"/><Parameter name="slope" dimension="voltage"/>
  <Property name="gain" dimension="none" defaultValue="1"/>
  <Attachments name="synapses" type="basePointCurrent"/><Exposure name="output" dimension="none"/>
  <Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
    <StateVariable name="output" dimension="none" exposure="output"/>
    <DerivedVariable name="iSyn" dimension="current" exposure="iSyn" select="synapses[*]/i" reduce="add"/>
    <DerivedVariable name="iMemb" dimension="current" exposure="iMemb" value="leak * (rest - v) + iSyn"/>
    <DerivedVariable name="drive" dimension="none" value="1 / (1 + exp((rest - v) / slope))"/>
    <TimeDerivative variable="v" value="iMemb / C"/>
    <TimeDerivative variable="output" value="(drive - output) / tauOut"/>
    <OnStart><StateAssignment variable="v" value="rest"/></OnStart></Dynamics></ComponentType>
<ComponentType name="outputSynapse" extends="baseGradedSynapse">
  <Property name="weight" dimension="none" defaultValue="1"/><Parameter name="top" dimension="current"/>
  <Exposure name="i" dimension="current"/><Requirement name="v" dimension="voltage"/>
  <InstanceRequirement name="peer" type="rateCell"/>
  <Dynamics><DerivedVariable name="there" dimension="none" select="peer/output"/>
    <DerivedVariable name="vthere" dimension="voltage" select="peer/v"/>
    <ConditionalDerivedVariable name="i" dimension="current" exposure="i">
      <Case condition="vthere .gt. v" value="weight * top * there"/><Case value="weight * top * there / 2"/>
    </ConditionalDerivedVariable></Dynamics></ComponentType>
<rateCell id="worm" C="0.1nF" leak="10nS" rest="-60mV" slope="5mV" tauOut="4ms"/>
<outputSynapse id="out" top="0.1nA"/><silentSynapse id="silent"/>
"""


@pytest.mark.parametrize("both_ways", [False, True])
def test_peers_show_more_than_their_voltage(tmp_path: Path, both_ways: bool) -> None:
    network = (
        '<population id="a" component="worm" size="2"/><explicitInput target="a[0]" input="p"/>'
        '<continuousProjection id="c" presynapticPopulation="a" postsynapticPopulation="a">'
        f'<continuousConnection id="0" preCell="0" postCell="1" preComponent="{"out" if both_ways else "silent"}" '
        'postComponent="out"/></continuousProjection>'
    )
    record = {"v": "a[1]/v", "out": "a[1]/output"}
    file = models.write(tmp_path, RATE_CELL + models.pulse("p", "0.2nA", "5ms"), network, record, 40)
    ours, reference = models.both(file)
    for quantity in record.values():
        limit = 2e-2 if "iMemb" in quantity else 3e-3  # a pulse's edge is a step of the whole range
        assert models.difference(ours, reference, quantity) < limit, quantity


def test_spike_threshold_holds_for_synaptic_connections_too(tmp_path: Path) -> None:
    """The cell rises to -40 mV: an event comes where the threshold is -50 mV, none where it is -30 mV."""
    components = models.PAS + models.RC + SYNAPSES + models.pulse("p", "31.5pA")
    network = ""
    for name, level in (("low", -50), ("high", -30)):
        components += models.cell(name, models.LEAK, threshold=f'<spikeThresh value="{level}mV"/>')
        network += models.populations(name) + f'<population id="t_{name}" component="rc" size="1"/>'
        network += f'<explicitInput target="p_{name}[0]" input="p"/>'
        network += f'<synapticConnection from="p_{name}[0]" to="t_{name}[0]" synapse="ampasyn"/>'
    record = {n: f"t_{n}[0]/v" for n in ("low", "high")}
    found = models.run(tmp_path, components, network, record, 100)
    assert len(found.spikes.of("p_low")) == 1 and len(found.spikes.of("p_high")) == 0
    assert np.ptp(found["t_low[0]/v"]) > 2e-4 and not np.ptp(found["t_high[0]/v"])
    # v = -65 + 25.07 (1 - exp(-t / 10 ms)) passes -50 mV
    rise = 31.5e-12 / (models.AREA * 1.0)
    assert found.spikes.of("p_low")[0] == pytest.approx(-10e-3 * np.log(1 - 15e-3 / rise), abs=3e-5)


def test_an_event_straight_into_a_cell(tmp_path: Path) -> None:
    """A custom cell counts the events that come in at its port, without any synapse."""
    counter = (
        '<ComponentType name="counter" extends="baseCell"><Exposure name="n" dimension="none"/>'
        '<Exposure name="v" dimension="voltage"/><Constant name="UP" dimension="voltage" value="10mV"/>'
        '<Constant name="TAU" dimension="time" value="5ms"/>'
        '<EventPort name="in" direction="in"/><Dynamics><StateVariable name="n" dimension="none" exposure="n"/>'
        '<StateVariable name="v" dimension="voltage" exposure="v"/><TimeDerivative variable="v" value="-v / TAU"/>'
        '<OnEvent port="in"><StateAssignment variable="n" value="n + 1"/><StateAssignment variable="v" value="v + UP"/>'
        '</OnEvent></Dynamics></ComponentType><counter id="c"/>'
    )
    network = models.populations("train", "c") + '<explicitConnection from="p_train[0]" to="p_c[0]"/>'
    file = models.write(tmp_path, TRAIN + counter, network, {"n": "p_c[0]/n", "v": "p_c[0]/v"}, 20)
    results = nmlbridge.simulate(file)
    assert results["p_c[0]/n"][-1] == 2
    t = results.time[-1]
    exact = 10e-3 * (np.exp(-(t - 5e-3) / 5e-3) + np.exp(-(t - 12e-3) / 5e-3))
    assert results["p_c[0]/v"][-1] == pytest.approx(exact, rel=1e-2)

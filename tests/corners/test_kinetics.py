"""Kinetic schemes: in point cells, several in a channel, transitions in any order, temperature left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge

from . import models

pytestmark = pytest.mark.neuron

F = '<rate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>'
R = '<rate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/>'
SS = '<steadyState type="HHSigmoidVariable" rate="1" midpoint="-50mV" scale="10mV"/>'
TC = '<timeCourse type="fixedTimeCourse" tau="3ms"/>'
TWO = '<closedState id="c1"/><openState id="o1"/>'
THREE = '<closedState id="c1"/><closedState id="c2"/><openState id="o1"/>'
Q10 = '<q10Settings type="q10Fixed" fixedQ10="4"/>'
GATES = {
    "vhalf": f'{TWO}<vHalfTransition id="v" from="c1" to="o1" vHalf="-40mV" z="2" gamma="0.5" tau="3ms" tauMin="0.1ms"/>',  # noqa: E501
    "tauinf": f'{TWO}<tauInfTransition id="v" from="c1" to="o1">{SS}{TC}</tauInfTransition>',
    "backwards": f'{TWO}<reverseTransition id="r" from="c1" to="o1">{R}</reverseTransition>'
    f'<forwardTransition id="f" from="c1" to="o1">{F}</forwardTransition>',
    # stated from the open state
    "outwards": f'{TWO}<forwardTransition id="f" from="o1" to="c1">{R}</forwardTransition>'
    f'<reverseTransition id="r" from="o1" to="c1">{F}</reverseTransition>',
    "chain": f'{THREE}<reverseTransition id="r" from="c1" to="c2">{R}</reverseTransition>'
    f'<vHalfTransition id="v" from="c2" to="o1" vHalf="-40mV" z="2" gamma="0.5" tau="3ms" tauMin="0.1ms"/>'
    f'<forwardTransition id="f" from="c1" to="c2">{F}</forwardTransition>',
    # jLEMS does not read q10Settings in a scheme: the rates stay as they are
    "warm": f'{Q10}{TWO}<tauInfTransition id="v" from="c1" to="o1">{SS}{TC}</tauInfTransition>',
    # out and back by different ways: no detailed balance
    "circle": f'{THREE}<forwardTransition id="a" from="c1" to="c2">{F}</forwardTransition>'
    f'<forwardTransition id="b" from="c2" to="o1">{R}</forwardTransition>'
    f'<reverseTransition id="d" from="c1" to="o1">{R}</reverseTransition>',
}  # fmt: skip


@pytest.mark.parametrize("place", ["point", "membrane"])
def test_schemes_are_alive(place: str, tmp_path: Path) -> None:
    components, network, record = models.PAS + models.pulse("p", "20pA", "2ms"), "", {}
    gates = {name: f'<gateKS id="n" instances="2">{text}</gateKS>' for name, text in GATES.items()}
    gates["two"] = gates["vhalf"] + gates["chain"].replace('id="n"', 'id="m"')
    for name, content in gates.items():
        components += f'<ionChannelKS id="ks_{name}" conductance="10pS">{content}</ionChannelKS>'
        if place == "point":
            components += (
                f'<pointCellCondBased id="{name}" C="10pF" v0="-65mV" thresh="20mV"><channelPopulation id="l" '
                'ionChannel="pas" number="100" erev="-65mV"/><channelPopulation id="x" '
                f'ionChannel="ks_{name}" number="500" erev="-77mV"/></pointCellCondBased>'
            )
            path = "x"
        else:
            membrane = (
                f'<channelDensity id="x" ionChannel="ks_{name}" condDensity="1mS_per_cm2" erev="-77mV" ion="k"/>'
            )
            components += models.cell(name, models.LEAK + membrane)
            path = "bio/membraneProperties/x"
        network += models.populations(name) + f'<explicitInput target="p_{name}[0]" input="p"/>'
        record[name], record[f"{name}_q"] = f"p_{name}[0]/v", f"p_{name}[0]/{path}/ks_{name}/n/q"
    ours, reference = models.both(models.write(tmp_path, components, network, record, 15))
    for name, quantity in record.items():
        assert np.ptp(reference[quantity]) > (0.005 if name.endswith("_q") else 1e-3), name
        assert models.difference(ours, reference, quantity) < 2e-3, name
    np.testing.assert_allclose(ours["p_warm[0]/v"], ours["p_tauinf[0]/v"], rtol=0, atol=1e-9)


def test_two_states_follow_their_exponential(tmp_path: Path) -> None:
    """Constant rates of 0.2 and 0.3 per ms, from equilibrium at another voltage: nothing moves; the share is 0.4."""
    rate = '<rate type="HHExpRate" rate="{}per_ms" midpoint="0mV" scale="1e9mV"/>'
    gate = (
        f'<gateKS id="n" instances="1">{TWO}<forwardTransition id="f" from="c1" to="o1">{rate.format(0.2)}'
        f'</forwardTransition><reverseTransition id="r" from="c1" to="o1">{rate.format(0.3)}</reverseTransition>'
        "</gateKS>"
    )
    membrane = models.LEAK + '<channelDensity id="x" ionChannel="ks" condDensity="1mS_per_cm2" erev="-77mV" ion="k"/>'
    components = models.PAS + f'<ionChannelKS id="ks" conductance="10pS">{gate}</ionChannelKS>' + models.cell(
        "c", membrane
    )  # fmt: skip
    record = {"q": "p_c[0]/bio/membraneProperties/x/ks/n/q", "v": "p_c[0]/v"}
    file = models.write(tmp_path, components, models.populations("c"), record, 20)
    results = nmlbridge.simulate(file)
    np.testing.assert_allclose(results[record["q"]], 0.4, rtol=1e-6)
    assert results[record["v"]][-1] == pytest.approx((-65 * 0.1 - 77 * 0.4) / 0.5 * 1e-3, abs=2e-6)

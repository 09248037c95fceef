"""Inputs: none without effect, none stepped over, none lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge

from . import models

pytestmark = pytest.mark.neuron

BIG = '<iafCell id="big" leakReversal="-60mV" thresh="1000mV" reset="-70mV" C="1nF" leakConductance="1e-6nS"/>'
"""an integrator: v is the charge over 1 nF"""


def test_a_dimensionless_input_acts(tmp_path: Path) -> None:
    """Izhikevich (2003): a constant 10 makes spikes; jNeuroML leaves the cell at rest. Periods against fine steps."""
    components = (
        '<izhikevichCell id="iz" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-65" d="6"/>'
        '<pulseGeneratorDL id="i" delay="5ms" duration="200ms" amplitude="10"/>'
    )
    network = models.populations("iz") + '<explicitInput target="p_iz[0]" input="i"/>'
    found = models.run(tmp_path, components, network, {"v": "p_iz[0]/v"}, 200, 0.01)
    v, u, times = -70.0, 0.2 * -70, []
    for step in range(200_000):
        t = step * 1e-3
        if v > 30:
            times.append(t)
            v, u = -65.0, u + 6
        v, u = (v + 1e-3 * (0.04 * v * v + 5 * v + 140 - u + (10 if t >= 5 else 0)), u + 1e-3 * 0.02 * (0.2 * v - u))
    spikes = found.spikes.of("p_iz") * 1e3
    assert len(spikes) == len(times) > 4
    np.testing.assert_allclose(spikes, times, atol=0.3)


def test_the_charge_of_every_kind_of_input(tmp_path: Path) -> None:
    """Into an integrator the final voltage is the integral of the current, weights included."""
    sine = '<sineGenerator id="{}" phase="0" delay="5ms" duration="10ms" amplitude="0.02nA" period="20ms"/>'
    ramp = (
        '<rampGenerator id="{}" delay="5ms" duration="10ms" startAmplitude="0.01nA" finishAmplitude="0.03nA" '
        'baselineAmplitude="0nA"/>'
    )
    step = '<pulseGenerator id="{}" delay="5ms" duration="10ms" amplitude="0.02nA"/>'
    components = BIG + sine.format("sine") + ramp.format("ramp") + step.format("step")
    components += f'<compoundInput id="sum">{sine.format("s")}{ramp.format("r")}{step.format("p")}</compoundInput>'
    charges = {"sine": 0.02 * 10 * 2 / np.pi, "ramp": 0.02 * 10, "step": 0.2}  # pC
    charges["sum"] = sum(charges.values())
    network, record = "", {}
    for id in charges:
        network += f'<population id="{id}_" component="big" size="2"/>'
        network += (
            f'<inputList id="l_{id}" population="{id}_" component="{id}"><input id="0" target="../{id}_[0]" '
            f'destination="synapses"/><inputW id="1" target="../{id}_[1]" destination="synapses" weight="2.5"/>'
            "</inputList>"
        )
        record |= {f"{id}{n}": f"{id}_[{n}]/v" for n in (0, 1)}
    found = models.run(tmp_path, components, network, record, 20, 0.025)
    for id, charge in charges.items():
        for n, weight in enumerate((1, 2.5)):
            rise = (found[f"{id}_[{n}]/v"][-1] + 60e-3) * 1e3  # mV; pC over nF
            assert rise == pytest.approx(weight * charge, rel=5e-3), (id, weight)


def test_the_same_input_twice_in_one_place_counts_twice(tmp_path: Path) -> None:
    components = models.PAS + models.cell("c", models.LEAK) + models.pulse("p", "5pA")
    network = models.populations("c") + '<explicitInput target="p_c[0]" input="p"/>' * 2
    found = models.run(tmp_path, components, network, {"v": "p_c[0]/v"}, 200, 0.1)
    assert found["p_c[0]/v"][-1] + 65e-3 == pytest.approx(10e-12 / models.AREA, rel=1e-6)


def test_variable_steps_miss_no_short_pulse(tmp_path: Path) -> None:
    """Half a millisecond at 150 ms, in a cell that was quiet until then: CVODE's steps are long there."""
    components = models.PAS + models.cell("c", models.LEAK) + BIG + "".join(
        f'<pulseGenerator id="p{n}" delay="{at}ms" duration="0.5ms" amplitude="0.1nA"/>'
        for n, at in enumerate((150, 180))
    ) + '<compoundInput id="sum"><pulseGenerator id="a" delay="150ms" duration="0.5ms" amplitude="0.1nA"/></compoundInput>'  # noqa: E501
    network = models.populations("c", "big") + (
        '<explicitInput target="p_c[0]" input="p0"/><explicitInput target="p_c[0]" input="p1"/>'
        '<explicitInput target="p_big[0]" input="sum"/>'
    )
    file = models.write(tmp_path, components, network, {"v": "p_c[0]/v", "b": "p_big[0]/v"}, 200, 0.1)
    text = file.read_text().replace(
        'target="net">', 'target="net"><Meta for="neuron" method="cvode" abs_tolerance="1e-6" rel_tolerance="1e-6"/>'
    )
    file.write_text(text)
    found = nmlbridge.simulate(file)
    v = found["p_c[0]/v"]
    # 10 ms membrane: 0.1 nA for 0.5 ms
    peak = 0.1e-9 / models.AREA * (1 - np.exp(-0.05))
    for at in (150, 180):
        near = (found.time > (at + 0.4) * 1e-3) & (found.time < (at + 0.7) * 1e-3)
        left = peak * np.exp(-3.0) if at == 180 else 0.0
        assert v[near].max() + 65e-3 == pytest.approx(peak + left, rel=0.02)
    assert found["p_big[0]/v"][-1] + 60e-3 == pytest.approx(0.05e-3, rel=1e-3)  # 0.05 pC over 1 nF


def test_an_impulse_that_lasts_one_step(tmp_path: Path) -> None:
    """An input that is on for one step after its event: the charge that it gives does not depend on the step.

    The current is the charge over the step, which the condition that follows the event takes away again.
    """
    impulse = (
        '<ComponentType name="impulse" extends="baseSynapse"><Property name="weight" dimension="none" '
        'defaultValue="1"/><Parameter name="top" dimension="current"/><Parameter name="width" dimension="time"/>'
        '<Exposure name="i" dimension="current"/><EventPort name="in" direction="in"/><Dynamics>'
        '<StateVariable name="i" dimension="current" exposure="i"/><StateVariable name="last" dimension="time"/>'
        '<OnEvent port="in"><StateAssignment variable="i" value="weight * top"/><StateAssignment variable="last" '
        'value="t"/></OnEvent><OnCondition test="t .gt. last + width"><StateAssignment variable="i" value="0"/>'
        '</OnCondition></Dynamics></ComponentType><impulse id="kick" top="1nA" width="2ms"/>'
        '<spikeArray id="train"><spike id="0" time="5ms"/><spike id="1" time="12ms"/></spikeArray>'
    )
    network = models.populations("train", "big") + (
        '<projection id="j" presynapticPopulation="p_train" postsynapticPopulation="p_big" synapse="kick">'
        '<connectionWD id="0" preCellId="../p_train[0]" postCellId="../p_big[0]" weight="0.5" delay="0ms"/>'
        "</projection>"
    )
    found = models.run(tmp_path, BIG + impulse, network, {"v": "p_big[0]/v"}, 20, 0.02)
    assert found["p_big[0]/v"][-1] + 60e-3 == pytest.approx(2 * 0.5 * 1e-9 * 2e-3 / 1e-9, rel=0.02)

"""Kinetics of channels against their formulas, and of the compiled ones against the equations they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.analysis import channel_kinetics, channels
from nmlbridge.errors import UsageError
from nmlbridge.lems import load_core
from nmlbridge.results import Kinetics

CHANNELS = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="x">
<ionChannelHH id="na" conductance="10pS" species="na">
<gateHHrates id="m" instances="3"><forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
<reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/></gateHHrates>
<gateHHtauInf id="h" instances="1"><timeCourse type="fixedTimeCourse" tau="3ms"/>
<steadyState type="HHSigmoidVariable" rate="1" midpoint="-50mV" scale="-7mV"/></gateHHtauInf>
</ionChannelHH>
<ionChannelHH id="fast" conductance="10pS" species="na">
<gateHHInstantaneous id="s" instances="1">
<steadyState type="HHSigmoidVariable" rate="1" midpoint="-20mV" scale="5mV"/></gateHHInstantaneous></ionChannelHH>
<ionChannelKS id="ks" conductance="10pS" species="k"><gateKS id="n" instances="1"><closedState id="c"/>
<openState id="o"/><forwardTransition id="f" from="c" to="o">
<rate type="HHExpRate" rate="0.5per_ms" midpoint="-40mV" scale="20mV"/></forwardTransition>
<reverseTransition id="r" from="c" to="o"><rate type="HHExpRate" rate="0.25per_ms" midpoint="-40mV" scale="-30mV"/>
</reverseTransition></gateKS></ionChannelKS></neuroml>"""
VOLTS = np.linspace(-0.1, 0.04, 141)
MV = VOLTS * 1e3


def kinetics(tmp_path: Path, id: str) -> Kinetics:
    path = tmp_path / "x.channel.nml"
    path.write_text(CHANNELS)
    network = nmlbridge.read(path)
    return channel_kinetics(channels(network)[id], load_core().extended(network.components), VOLTS)


def test_gates_of_hodgkin_and_huxley(tmp_path: Path) -> None:
    found = kinetics(tmp_path, "na")
    x = (MV + 40) / 10
    apart = np.where(np.abs(x) < 1e-9, 1.0, x)
    alpha = np.where(np.abs(x) < 1e-9, 1.0, apart / (1 - np.exp(-apart)))  # the limit at -40 mV
    beta = 4 * np.exp(-(MV + 65) / 18)
    assert found.steady["m"] == pytest.approx(alpha / (alpha + beta), rel=1e-6)
    assert found.tau["m"] == pytest.approx(1e-3 / (alpha + beta), rel=1e-6)
    h = 1 / (1 + np.exp((MV + 50) / 7))
    assert found.steady["h"] == pytest.approx(h, rel=1e-9)
    assert found.tau["h"] == pytest.approx(np.full(141, 3e-3))
    assert found.open == pytest.approx((alpha / (alpha + beta)) ** 3 * h, rel=1e-5)


def test_gates_that_follow_at_once_have_no_time_constant(tmp_path: Path) -> None:
    found = kinetics(tmp_path, "fast")
    assert found.tau == {}
    assert found.steady["s"] == pytest.approx(1 / (1 + np.exp(-(MV + 20) / 5)), rel=1e-9)


def test_a_kinetic_scheme(tmp_path: Path) -> None:
    found = kinetics(tmp_path, "ks")
    forward, reverse = 0.5 * np.exp((MV + 40) / 20), 0.25 * np.exp(-(MV + 40) / 30)
    assert found.steady["n"] == pytest.approx(forward / (forward + reverse), rel=1e-9)
    assert list(found.tau) == ["n/slowest"]
    assert found.tau["n/slowest"] == pytest.approx(1e-3 / (forward + reverse), rel=1e-9)


def test_what_is_required_must_be_given(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_text("""<Lems><ComponentType name="odd" extends="baseIonChannel">
<Requirement name="v" dimension="voltage"/>
<Requirement name="push" dimension="none"/><Exposure name="q" dimension="none"/>
<Dynamics><StateVariable name="q" dimension="none" exposure="q"/><DerivedVariable name="fopen" dimension="none"
exposure="fopen" value="q"/><DerivedVariable name="g" dimension="conductance" exposure="g" value="conductance*q"/>
<TimeDerivative variable="q" value="(push - q * q) / tau"/></Dynamics>
<Constant name="tau" dimension="time" value="1ms"/>
</ComponentType><odd id="c" conductance="1pS"/></Lems>""")
    network = nmlbridge.read(path)
    channel, library = channels(network)["c"], load_core().extended(network.components)
    with pytest.raises(UsageError, match="requires 'push'"):
        channel_kinetics(channel, library)
    with pytest.raises(UsageError, match="not linear"):
        channel_kinetics(channel, library, given={"push": 1.0})


@pytest.mark.neuron
def test_compiled_mechanisms_are_measured() -> None:
    """NEURON's hh: exact formulas at the points of its table, which are whole millivolts from -100 to 100."""
    from nmlbridge.simulator.kinetics import mechanism_kinetics

    volts = np.array([-90, -65, -52, -30, 10, 50]) * 1e-3
    found = mechanism_kinetics("hh", volts)
    v = volts * 1e3
    rates = {
        "m": (0.1 * (v + 40) / (1 - np.exp(-(v + 40) / 10)), 4 * np.exp(-(v + 65) / 18)),
        "h": (0.07 * np.exp(-(v + 65) / 20), 1 / (np.exp(-(v + 35) / 10) + 1)),
        "n": (0.01 * (v + 55) / (1 - np.exp(-(v + 55) / 10)), 0.125 * np.exp(-(v + 65) / 80)),
    }
    for gate, (a, b) in rates.items():
        assert found.steady[gate] == pytest.approx(a / (a + b), abs=1e-5)
        assert found.tau[gate] == pytest.approx(1e-3 / (a + b), rel=1e-4)
    with pytest.raises(UsageError, match="gates of the mechanism 'pas' are not known"):
        mechanism_kinetics("pas")


@pytest.mark.neuron
def test_mod_files_are_compiled_and_measured() -> None:
    from nmlbridge.simulator.kinetics import mechanism_kinetics

    text = """
    NEURON { SUFFIX kslow NONSPECIFIC_CURRENT i RANGE g }
    PARAMETER { g = 0 }
    ASSIGNED { v i }
    STATE { q : the gate
    }
    INITIAL { q = 0.5 }
    BREAKPOINT { SOLVE states METHOD cnexp i = g*q*(v + 80) }
    DERIVATIVE states { q' = (1/(1 + exp(-(v + 30)/6)) - q) / (20 + 0.1*v) }
    """
    volts = np.array([-80, -40, -20, 20]) * 1e-3
    found = mechanism_kinetics("kslow", volts, {"kslow.mod": text})
    v = volts * 1e3
    assert found.steady["q"] == pytest.approx(1 / (1 + np.exp(-(v + 30) / 6)), abs=1e-6)
    assert found.tau["q"] == pytest.approx((20 + 0.1 * v) * 1e-3, rel=1e-4)

"""Cells of a model's own types that use the sum of what is attached to them in equations of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import UnsupportedError
from nmlbridge.nmodl.mod import Mod, to_nmodl

RATE = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<ComponentType name="rateCell" extends="baseCellMembPot"><Parameter name="tau" dimension="time"/>
 <Parameter name="gain" dimension="none"/><Attachments name="synapses" type="basePointCurrent"/>
 <Exposure name="y" dimension="none"/><Constant name="unit" dimension="current" value="1nA"/><Dynamics>
 <StateVariable name="y" exposure="y" dimension="none"/><StateVariable name="v" exposure="v" dimension="voltage"/>
 <StateVariable name="draw" dimension="none"/>
 <DerivedVariable name="sum" dimension="current" select="synapses[*]/i" reduce="add"/>
 <TimeDerivative variable="y" value="(sum / unit + gain * (draw - 0.5) - y) / tau"/>
 <OnCondition test="t .geq. 0"><StateAssignment variable="draw" value="random(1)"/></OnCondition>
 <OnCondition test="y .gt. 1e9"><EventOut port="spike"/></OnCondition></Dynamics></ComponentType>
<rateCell id="r" tau="5ms" gain="12"/><pulseGenerator id="g" delay="-1ms" duration="9s" amplitude="2nA"/>
<pulseGenerator id="h" delay="-1ms" duration="9s" amplitude="0.5nA"/>
<network id="n"><population id="p" component="r" size="20"/>INPUTS</network>
<Simulation id="sim" length="2000ms" step="0.1ms" target="n"><OutputFile id="o" fileName="y.dat">COLUMNS
</OutputFile></Simulation></Lems>"""


def test_a_noisy_rate_follows_the_sum_of_its_inputs(tmp_path: Path) -> None:
    """An autoregression of first order: mean 2.5, and a variance of gain^2/12 (1 - a) / (1 + a), a = exp(-dt/tau)."""
    inputs = "".join(f'<explicitInput target="p[{n}]" input="{i}"/>' for n in range(20) for i in "gh")
    columns = "".join(f'<OutputColumn id="c{n}" quantity="p[{n}]/y"/>' for n in range(20))
    file = tmp_path / "LEMS_rate.xml"
    file.write_text(RATE.replace("INPUTS", inputs).replace("COLUMNS", columns))
    results = nmlbridge.simulate(file, seed=3)
    y = np.array([results[f"p[{n}]/y"][1000:] for n in range(20)])
    keep = np.exp(-0.1 / 5)
    sigma = np.sqrt(12 * (1 - keep) / (1 + keep))
    independent = y.size * (1 - keep) / (1 + keep)
    assert y.mean() == pytest.approx(2.5, abs=4 * sigma / np.sqrt(independent))
    assert y.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * independent))
    assert len({tuple(row[:3]) for row in y}) == 20


def test_random_numbers_and_an_area_do_not_go_together() -> None:
    with pytest.raises(UnsupportedError, match=r"pool_x .*random numbers and needs the area"):
        to_nmodl(Mod(name="pool_x", kind="SUFFIX", assigned=("area",), random=True))


PROCESS = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<ComponentType name="slowNoise" extends="basePointCurrent"><Parameter name="begin" dimension="time"/>
 <Parameter name="end" dimension="time"/>
 <Parameter name="keep" dimension="none"/><Parameter name="amp" dimension="none"/>
 <Exposure name="x" dimension="none"/><Constant name="unit" dimension="current" value="1pA"/><Dynamics>
 <StateVariable name="i" exposure="i" dimension="current"/><StateVariable name="x" exposure="x" dimension="none"/>
 <StateVariable name="old" dimension="none"/><StateVariable name="draw" dimension="none"/>
 <OnCondition test="t .geq. begin .and. t .lt. end"><StateAssignment variable="draw" value="random(1) - 0.5"/>
 </OnCondition>
 <OnCondition test="t .geq. begin .and. t .lt. end"><StateAssignment variable="x" value="keep * old + amp * draw"/>
  <StateAssignment variable="old" value="x"/><StateAssignment variable="i" value="x * unit"/></OnCondition>
 <OnCondition test="t .geq. end"><StateAssignment variable="x" value="0"/><StateAssignment variable="i" value="0"/>
 </OnCondition></Dynamics></ComponentType>
<slowNoise id="s" begin="1ms" end="1990ms" keep="0.98" amp="3"/>
<iafCell id="c" C="100pF" leakConductance="5nS" leakReversal="-70mV" thresh="90mV" reset="-70mV"/>
<network id="n"><population id="p" component="c" size="8"/>INPUTS</network>
<Simulation id="sim" length="2000ms" step="0.1ms" target="n"><OutputFile id="o" fileName="x.dat">COLUMNS
</OutputFile></Simulation></Lems>"""


def test_noise_with_a_memory_is_computed_once_a_step(tmp_path: Path) -> None:
    """x(n+1) = 0.98 x(n) + 3 (u - 1/2), in a stretch of time: its steps, its correlation, its deviation."""
    inputs = "".join(f'<explicitInput target="p[{n}]" input="s"/>' for n in range(8))
    columns = "".join(f'<OutputColumn id="c{n}" quantity="p[{n}]/synapses:s:0/x"/>' for n in range(8))
    file = tmp_path / "LEMS_process.xml"
    file.write_text(PROCESS.replace("INPUTS", inputs).replace("COLUMNS", columns))
    results = nmlbridge.simulate(file, seed=5)
    x = np.array([results[f"p[{n}]/synapses:s:0/x"] for n in range(8)])
    assert not x[:, :9].any() and not x[:, -90:].any()
    x = x[:, 500:19000]
    draws = (x[:, 1:] - 0.98 * x[:, :-1]) / 3
    assert np.abs(draws).max() <= 0.5 + 1e-9  # of an x that is computed twice they would go beyond
    assert draws.std() == pytest.approx(np.sqrt(1 / 12), rel=0.02)
    correlation = np.corrcoef(draws[:, 1:].ravel(), draws[:, :-1].ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(draws.size)


PAIR = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<ComponentType name="leaky" extends="baseCellMembPot"><Parameter name="tau" dimension="time"/>
 <Parameter name="start" dimension="none"/><Attachments name="synapses" type="basePointCurrent"/>
 <Exposure name="y" dimension="none"/><Exposure name="sum" dimension="current"/>
 <Constant name="unit" dimension="current" value="1nA"/><Dynamics>
 <StateVariable name="y" exposure="y" dimension="none"/>
 <StateVariable name="v" exposure="v" dimension="voltage"/>
 <DerivedVariable name="sum" exposure="sum" dimension="current" select="synapses[*]/i" reduce="add"/>
 <TimeDerivative variable="y" value="(sum / unit - y) / tau"/>
 <OnStart><StateAssignment variable="y" value="start"/></OnStart></Dynamics></ComponentType>
<ComponentType name="reads" extends="baseGradedSynapse"><Property name="weight" dimension="none" defaultValue="1"/>
 <Constant name="unit" dimension="current" value="1nA"/><Requirement name="y" dimension="none"/>
 <InstanceRequirement name="peer" type="reads"/><Dynamics>
 <DerivedVariable name="there" dimension="none" select="peer/y"/>
 <DerivedVariable name="i" exposure="i" dimension="current" value="weight * unit * there"/></Dynamics></ComponentType>
<leaky id="one" tau="5ms" start="1"/><leaky id="two" tau="5ms" start="0"/><reads id="r"/><silentSynapse id="none"/>
<network id="n"><population id="p" component="one" size="1"/><population id="q" component="two" size="1"/>
<continuousProjection id="to" presynapticPopulation="p" postsynapticPopulation="q"><continuousConnectionInstanceW
 id="0" preCell="../p[0]" postCell="../q[0]" preComponent="none" postComponent="r" weight="4"/></continuousProjection>
<continuousProjection id="fro" presynapticPopulation="q" postsynapticPopulation="p"><continuousConnectionInstanceW
 id="0" preCell="../q[0]" postCell="../p[0]" preComponent="none" postComponent="r" weight="-4"/></continuousProjection>
</network><Simulation id="sim" length="20ms" step="0.1ms" target="n"><OutputFile id="o" fileName="y.dat">
<OutputColumn id="p" quantity="p[0]/y"/><OutputColumn id="q" quantity="q[0]/y"/>
<OutputColumn id="s" quantity="q[0]/sum"/></OutputFile></Simulation></Lems>"""


@pytest.mark.neuron
def test_rates_that_read_each_other_do_so_from_the_start_and_in_time(tmp_path: Path) -> None:
    """5 ms p' = -4 q - p and 5 ms q' = 4 p - q turn while they decay: p + i q = exp((4i - 1) t / 5 ms)."""
    file = tmp_path / "LEMS_pair.xml"
    file.write_text(PAIR)
    found, errors = [], []
    for step in (0.1, 0.05):
        results = nmlbridge.simulate(file, dt=step)
        turned = np.exp((4j - 1) * results.time / 5e-3)
        errors.append(np.abs(results["p[0]/y"] + 1j * results["q[0]/y"] - turned).max())
        found.append(results["q[0]/sum"] * 1e9)
    assert errors[0] < 0.02 and errors[1] < errors[0] / 3.5, errors
    assert found[0][1] == pytest.approx(4.0, rel=1e-12)  # the current of the first step knows how the other begins
    ranks = nmlbridge.simulate(file, ranks=2)
    alone = nmlbridge.simulate(file)
    assert all(np.array_equal(ranks[name], alone[name]) for name in ("p[0]/y", "q[0]/y"))

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

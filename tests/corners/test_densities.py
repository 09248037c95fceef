"""Densities that share a membrane: the answers that a mechanism of one conductance per section gets wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmlbridge.results import Results

from . import models

pytestmark = pytest.mark.neuron

NA = (
    '<ionChannelHH id="na" conductance="10pS" species="na"><gateHHtauInf id="m" instances="1">'
    '<timeCourse type="fixedTimeCourse" tau="2ms"/><steadyState type="HHSigmoidVariable" rate="1" midpoint="-55mV" '
    'scale="5mV"/></gateHHtauInf></ionChannelHH>'
)


def density(id: str, channel: str, g: float, erev: float, ion: str = "non_specific", more: str = "") -> str:
    return (
        f'<channelDensity id="{id}" ionChannel="{channel}" condDensity="{g}mS_per_cm2" erev="{erev}mV" ion="{ion}"'
        f"{more}/>"
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    three = density("a", "pas", 0.1, -70) + density("b", "pas", 0.2, -60) + density("c", "pas", 0.7, -50)
    pair = density("one", "na", 1, 40, "na") + density("two", "na", 3, 60, "na") + density("l", "pas", 1, -65)
    single = density("both", "na", 4, 55, "na") + density("l", "pas", 1, -65)
    cable = models.segment(0, (100, 2), (0, 2)) + (
        '<segmentGroup id="dend" neuroLexId="sao864921383"><property tag="numberInternalDivisions" value="4"/>'
        '<member segment="0"/><inhomogeneousParameter id="far" variable="p" metric="Path Length from root">'
        "</inhomogeneousParameter></segmentGroup>"
    )
    mixed = density("even", "pas", 0.1, -65, more=' segmentGroup="dend"') + (
        '<channelDensityNonUniform id="sloped" ionChannel="pas" erev="-65mV" ion="non_specific">'
        '<variableParameter parameter="condDensity" segmentGroup="dend"><inhomogeneousValue '
        'inhomogeneousParameter="far" value="0.02*p"/></variableParameter></channelDensityNonUniform>'
    )
    counted = (
        '<channelPopulation id="n" ionChannel="pas" number="2000" erev="-50mV" ion="non_specific"/>'
        + density("l", "pas", 0.1, -70)
    )
    components = models.PAS + NA + "".join(
        models.cell(id, membrane, start="-65mV") for id, membrane in
        {"three": three, "pair": pair, "single": single, "counted": counted}.items()
    ) + models.cell("mixed", mixed, cable)  # fmt: skip
    record = {
        "three": "p_three[0]/v", "pair": "p_pair[0]/v", "single": "p_single[0]/v", "counted": "p_counted[0]/v",
        "one": "p_pair[0]/bio/membraneProperties/one/iDensity", "two": "p_pair[0]/bio/membraneProperties/two/iDensity",
        "g_one": "p_pair[0]/bio/membraneProperties/one/gDensity",
        "even": "p_mixed/0/mixed/0/bio/membraneProperties/even/gDensity",
        "sloped": "p_mixed/0/mixed/0/bio/membraneProperties/sloped/gDensity",
    }  # fmt: skip
    network = models.populations("three", "pair", "single", "counted", "mixed")
    return models.run(tmp_path_factory.mktemp("densities"), components, network, record)


def test_overlapping_densities_of_one_channel_add_up(results: Results) -> None:
    """0.1, 0.2 and 0.7 mS/cm2 with reversals of -70, -60 and -50 mV: v goes to -54 mV with C/G = 1 ms."""
    exact = -54 + (-65 + 54) * np.exp(-results.time * 1e3)
    np.testing.assert_allclose(results["p_three[0]/v"] * 1e3, exact, atol=5e-4)


def test_each_density_has_its_own_erev(results: Results) -> None:
    """1 mS/cm2 towards 40 mV and 3 towards 60 mV are 4 mS/cm2 towards 55 mV."""
    np.testing.assert_allclose(results["p_pair[0]/v"], results["p_single[0]/v"], rtol=0, atol=1e-10)
    assert results["p_pair[0]/v"][-1] > -40e-3  # the gate has opened


def test_each_density_can_be_recorded_by_itself(results: Results) -> None:
    """iDensity is g (erev - v) for each: the two of one channel differ in conductance and driving force."""
    v = results["p_pair[0]/v"] * 1e3
    one, two = (results[f"p_pair[0]/bio/membraneProperties/{n}/iDensity"] for n in ("one", "two"))
    np.testing.assert_allclose((two / one)[1:], (3 * (60 - v) / (40 - v))[1:], rtol=2e-2)
    assert two[-1] / one[-1] == pytest.approx(3 * (60 - v[-1]) / (40 - v[-1]), rel=1e-4)
    # the gate is shared, so the conductance of "one" is its own density times the open part
    assert results["p_pair[0]/bio/membraneProperties/one/gDensity"][-1] == pytest.approx(
        one[-1] / (40e-3 - v[-1] * 1e-3), rel=1e-3
    )


def test_uniform_and_nonuniform_densities_of_one_channel(results: Results) -> None:
    """In the middle of the third of four compartments p is 62.5 um; 0.02 S/m2 for each um."""
    path = "p_mixed/0/mixed/0/bio/membraneProperties"
    assert results[f"{path}/even/gDensity"][-1] == pytest.approx(1.0)
    assert results[f"{path}/sloped/gDensity"][-1] == pytest.approx(0.02 * 62.5)


def test_a_channel_population_in_a_cell_has_a_current(results: Results) -> None:
    """2000 channels of 10 pS towards -50 mV, over a leak of 0.1 mS/cm2 towards -70 mV."""
    many, leak = 2000 * 10e-12, models.AREA * 1.0
    expected = (many * -50e-3 + leak * -70e-3) / (many + leak)
    tau = models.AREA * 1e-2 / (many + leak)
    exact = expected + (-65e-3 - expected) * np.exp(-results.time / tau)
    np.testing.assert_allclose(results["p_counted[0]/v"], exact, atol=1e-6)  # (dt/tau)^2 / 12


def test_a_reversal_potential_that_nothing_reads_is_said(tmp_path: Path) -> None:
    membrane = models.LEAK + '<reversalPotential species="k" value="-90mV"/>'
    found = models.run(tmp_path, models.PAS + models.cell("c", membrane), models.populations("c"), {"v": "p_c[0]/v"}, 1)
    np.testing.assert_allclose(found["p_c[0]/v"], -65e-3, atol=1e-9)
    assert "reversal-potential" in {note.code for note in found.report}

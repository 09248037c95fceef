"""Populations and ids as documents have them, and events from where a connection says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge

from ..simulator.models import HH
from . import models

pytestmark = pytest.mark.neuron

SYN = '<expTwoSynapse id="syn" gbase="1nS" erev="0mV" tauRise="0.5ms" tauDecay="3ms"/>'


def instances(*ids: int) -> str:
    return "".join(f'<instance id="{id}"><location x="{id}" y="0" z="0"/></instance>' for id in ids)


def test_instance_ids_that_begin_anywhere_and_have_gaps(tmp_path: Path) -> None:
    """Cells 1, 5 and 3: what is named 5 is the second, whatever the count says."""
    network = (
        f'<population id="p" component="rc" type="populationList" size="3">{instances(1, 5, 3)}</population>'
        '<inputList id="l" population="p" component="i"><input id="0" target="../p/5/rc" destination="synapses"/>'
        "</inputList>"
    )
    record = {f"v{n}": f"p/{n}/rc/v" for n in (1, 5, 3)}
    found = models.run(tmp_path, models.RC + models.pulse("i", "10pA"), network, record, 20, 0.1)
    assert np.ptp(found["p/5/rc/v"]) > 1e-4
    assert not np.ptp(found["p/1/rc/v"]) and not np.ptp(found["p/3/rc/v"])


def test_populations_of_no_cells(tmp_path: Path) -> None:
    network = (
        '<population id="none" component="rc" size="0"/><population id="some" component="rc" size="1"/>'
        '<population id="empty" component="rc" type="populationList"/>'
        '<projection id="j" presynapticPopulation="none" postsynapticPopulation="some" synapse="syn"/>'
        '<electricalProjection id="e" presynapticPopulation="none" postsynapticPopulation="empty"/>'
        '<inputList id="l" population="none" component="i"/>'
    )
    found = models.run(tmp_path, models.RC + SYN + models.pulse("i", "1pA"), network, {"v": "some[0]/v"}, 1)
    np.testing.assert_allclose(found["some[0]/v"], -60e-3, atol=1e-12)


@pytest.mark.parametrize(("length", "step"), [("0.001min", "0.1ms"), ("2e-5hour", "1e-6min"), ("0.06 s", "100us")])
def test_times_in_any_unit(length: str, step: str, tmp_path: Path) -> None:
    units = "".join(
        f'<Unit symbol="{name}" dimension="time" power="0" scale="{scale}"/>'
        for name, scale in (("min", 60), ("hour", 3600))
    )
    times = f'length="{length}" step="{step}"'
    known = units if "us" not in step else '<Unit symbol="us" dimension="time" power="-6"/>'
    try:
        file = models.write(tmp_path, models.RC, models.populations("rc"), {"v": "p_rc[0]/v"}, simulation=times)
        found = nmlbridge.simulate(file)
    except nmlbridge.errors.NmlBridgeError:  # a unit that the core does not have is the document's to define
        file = models.write(tmp_path, known + models.RC, models.populations("rc"), {"v": "p_rc[0]/v"}, simulation=times)
        found = nmlbridge.simulate(file)
    assert found.time[-1] == pytest.approx(0.072 if "hour" in length else 0.06)
    assert found.time[1] == pytest.approx(60e-6 if "min" in step else 1e-4)


AXON = (
    models.segment(0, (20, 20), (0, 20)) + models.segment(1, (1020, 1), (20, 1), parent=0)
    + '<segmentGroup id="soma" neuroLexId="sao864921383"><member segment="0"/></segmentGroup>'
    '<segmentGroup id="axon" neuroLexId="sao864921383"><property tag="numberInternalDivisions" value="21"/>'
    '<member segment="1"/></segmentGroup>'
)  # fmt: skip
MEMBRANE = (
    '<channelDensity id="l" ionChannel="pas" condDensity="0.3mS_per_cm2" erev="-54.3mV" ion="non_specific"/>'
    '<channelDensity id="nad" ionChannel="na" condDensity="120mS_per_cm2" erev="50mV" ion="na"/>'
    '<channelDensity id="kd" ionChannel="k" condDensity="36mS_per_cm2" erev="-77mV" ion="k"/>'
)


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.mpi)])
def test_events_come_from_the_segment_that_a_connection_names(tmp_path: Path, ranks: int) -> None:
    """A spike runs down an axon: a synapse driven from its end is later than one driven from the soma."""
    threshold = '<spikeThresh value="0mV" segmentGroup="soma"/><spikeThresh value="-20mV" segmentGroup="axon"/>'
    components = models.PAS + HH + SYN + models.RC + models.pulse("i", "1nA", "1ms", "1ms") + models.cell(
        "c", MEMBRANE, AXON, ra="35.4", threshold=threshold
    )  # fmt: skip
    rows = "".join(
        f'<connection id="{n}" preCellId="../p/{n % 2}/c" postCellId="../t/{n}/rc" {where}/>'
        for n, where in enumerate(("", "", 'preSegmentId="1" preFractionAlong="0.95"',
                                   'preSegmentId="1" preFractionAlong="0.95"'))
    )  # fmt: skip
    network = (
        f'<population id="p" component="c" type="populationList">{instances(0, 1)}</population>'
        f'<population id="t" component="rc" type="populationList">{instances(0, 1, 2, 3)}</population>'
        '<projection id="j" presynapticPopulation="p" postsynapticPopulation="t" synapse="syn">' + rows
        + '</projection><inputList id="l" population="p" component="i"><input id="0" target="../p/0/c" '
        'destination="synapses"/></inputList>'
    )  # fmt: skip
    record = {f"t{n}": f"t/{n}/rc/v" for n in range(4)} | {"s": "p/0/c/v", "a": "p/0/c/1/v"}
    file = models.write(tmp_path, components, network, record, 15, 0.025)
    try:
        found = nmlbridge.simulate(file, ranks=ranks)
    except nmlbridge.errors.NmlBridgeError as error:
        if ranks > 1 and "MPI" in str(error):
            pytest.skip(str(error))
        raise
    onset = [models.crossings(found.time, found[f"t/{n}/rc/v"], -60e-3 + 1e-5) for n in (0, 2)]
    assert len(onset[0]) == len(onset[1]) == 1
    assert 0.5e-3 < onset[1][0] - onset[0][0] < 5e-3
    for n in (1, 3):  # the other cell is silent
        assert not models.crossings(found.time, found[f"t/{n}/rc/v"], -60e-3 + 1e-5).size
    assert len(found.spikes.of("p")) == 1  # the axon's events are not the cell's spikes

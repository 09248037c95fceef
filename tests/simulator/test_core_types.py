"""Every kind of component of the NeuroML core: NEURON against the reference integrator.

The two share the flattened equations but neither compiler nor integrator: NEURON takes staggered steps of 0.005 ms, the
reference fourth-order steps with conditions located inside a step. Traces may differ by the order of NEURON's step.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge import Results
from nmlbridge.lems import load_core

from . import core_models as core


def _both(file: Path, reference_step: float = 0.025) -> tuple[Results, Results]:
    return (
        nmlbridge.simulate(file, dt=0.005),
        nmlbridge.simulate(file, backend="reference", dt=reference_step),
    )


def _difference(ours: Results, reference: Results, quantity: str) -> float:
    """The root mean square of the difference, as a part of the range."""
    wanted = reference[quantity]
    found = np.interp(reference.time, ours.time, ours[quantity])
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / (np.ptp(wanted) or 1.0))


def _same_spikes(ours: Results, reference: Results, population: str, tolerance: float) -> int:
    a, b = (np.sort(r.spikes.of(population)) for r in (ours, reference))
    assert len(a) == len(b)
    np.testing.assert_allclose(a, b, atol=tolerance)
    return len(a)


def test_abstract_cells(tmp_path: Path) -> None:
    file, record = core.cells(tmp_path)
    ours, reference = _both(file)
    for type, quantity in record.items():
        spikes = _same_spikes(ours, reference, type, 3e-5)  # a reset waits for the end of a step, each time
        # a reset that comes 0.01 ms late is a difference of the whole range for that long
        limit = 0.02 * np.sqrt(spikes + 1) if spikes else 0.015
        assert _difference(ours, reference, quantity) < limit, type


def test_inputs(tmp_path: Path) -> None:
    file, record = core.inputs(tmp_path)
    # LEMS sets the current of sine and ramp once a step: the reference, which does so too, needs short ones
    ours, reference = _both(file, 0.01)
    for name, quantity in record.items():
        assert np.ptp(reference[quantity]) > 1e-3, name
        assert _difference(ours, reference, quantity) < (2e-2 if "DL" in name else 2e-3), name


def test_synapses(tmp_path: Path) -> None:
    file, record = core.synapses(tmp_path)
    ours, reference = _both(file)
    for name, quantity in record.items():
        assert np.ptp(reference[quantity]) > 1e-5, name
        assert _difference(ours, reference, quantity) < 1e-3, name
    double = reference["doubleSynapse[1]/v"]
    assert 0.3 < np.ptp(double) / np.ptp(reference["doubleSynapse[0]/v"]) < 0.7  # the weight counts once, not squared


def test_event_sources(tmp_path: Path) -> None:
    file, record = core.sources(tmp_path)
    ours, reference = _both(file)
    for type, quantity in record.items():
        assert _same_spikes(ours, reference, type, 1e-9) > 3
        assert np.ptp(ours[quantity]) > 5e-3  # not frozen between events


def test_coupling(tmp_path: Path) -> None:
    components = core.PASSIVE + core.PULSE.format("p", "0.1nA") + (
        '<gapJunction id="gj" conductance="2nS"/><silentSynapse id="silent"/>'
        '<linearGradedSynapse id="linear" conductance="1nS"/>'
        '<gradedSynapse id="graded" conductance="1nS" delta="5mV" Vth="-55mV" k="0.025per_ms" erev="0mV"/>'
    )  # fmt: skip
    network = '<population id="a" component="rc" size="3"/><population id="b" component="rc" size="3"/>' + "".join(
        f'<explicitInput target="a[{n}]" input="p"/>' for n in range(3)
    )
    network += (
        '<electricalProjection id="e" presynapticPopulation="a" postsynapticPopulation="b">'
        '<electricalConnection id="0" preCell="0" postCell="0" synapse="gj"/></electricalProjection>'
        '<continuousProjection id="c" presynapticPopulation="a" postsynapticPopulation="b">'
        '<continuousConnection id="0" preCell="1" postCell="1" preComponent="silent" postComponent="linear"/>'
        '<continuousConnection id="1" preCell="2" postCell="2" preComponent="silent" postComponent="graded"/>'
        "</continuousProjection>"
    )
    record = {f"{p}{n}": f"{p}[{n}]/v" for p in "ab" for n in range(3)}
    ours, reference = _both(core.document(tmp_path, components, network, record, 40, 0.025))
    for name, quantity in record.items():
        assert np.ptp(reference[quantity]) > 1e-4, name
        assert _difference(ours, reference, quantity) < 2e-3, name


ELSEWHERE = {
    "poissonFiringSynapse": "random: tests of the streams",
    "transientPoissonFiringSynapse": "random: tests of the streams",
    "spikeGeneratorRandom": "random: tests of the streams",
    "spikeGeneratorPoisson": "random: tests of the streams",
    "spikeGeneratorRefPoisson": "random: tests of the streams",
    "SpikeSourcePoisson": "random: tests of the streams",
    "pointCellCondBased": "the example networks of NeuroML",
    "pointCellCondBasedCa": "the example networks of NeuroML",
    "cell": "every channel here is in one",
    "spike": "a part of spikeArray and timedSynapticInput",
    "cell2CaPools": "tests of lowering",
    "gapJunction": "coupling",
    "silentSynapse": "coupling",
    "linearGradedSynapse": "coupling",
    "gradedSynapse": "coupling",
}


def test_no_type_is_forgotten() -> None:
    """What can be in a population, a projection or an input list is compared above, or it is said where."""
    library = load_core()
    bases = ("baseCell", "baseSynapse", "basePointCurrent", "basePointCurrentDL", "baseSpikeSource")
    inside = ("ionChannel", "concentration", "Mechanism", "channel", "ChannelPopulation")
    found = set()
    for name in library.type_names:
        type = library.type(name)
        if name.startswith("base") or any(part in name for part in inside):
            continue
        if any(type.is_a(base) for base in bases):
            found.add(name)
    covered = {*core.CELLS, *core.INPUTS, *core.INPUTS_DL, *core.SYNAPSES, *core.SOURCES, *ELSEWHERE}
    assert found - covered == set()


@pytest.mark.slow
def test_channels_densities_and_concentrations(tmp_path: Path) -> None:
    file, record = core.gates(tmp_path)
    ours, reference = _both(file)
    for name, quantity in record.items():
        assert _difference(ours, reference, quantity) < 2e-3, name

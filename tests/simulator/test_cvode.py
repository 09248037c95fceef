"""Variable steps: nothing that happens between two of them is missed.

The runs at fixed steps that cvode is compared with take 0.005 ms and have errors of their own: a spike is seen up to a
step late, so traces that jump at resets may differ by their whole range for a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.cli import main
from nmlbridge.errors import UnsupportedError, UsageError

from . import core_models as core

TIGHT = {"method": "cvode", "abs_tolerance": 1e-5}
META = '<Meta for="neuron" method="cvode" abs_tolerance="{}" rel_tolerance="0"/>'


def _model(folder: Path, components: str, network: str, record: dict[str, str], length: float, meta: str = "") -> Path:
    file = core.document(folder, core.PASSIVE + components, network, record, length, 0.1)
    file.write_text(file.read_text().replace("<OutputFile", f"{meta}<OutputFile", 1))
    return file


def _pulse(folder: Path, meta: str = "") -> Path:
    pulse = '<pulseGenerator id="p" delay="150ms" duration="0.5ms" amplitude="0.1nA"/>'
    network = '<population id="a" component="rc" size="1"/><explicitInput target="a[0]" input="p"/>'
    return _model(folder, pulse, network, {"v": "a[0]/v"}, 170, meta)


@pytest.mark.parametrize("how", ["option", "meta"])
def test_a_short_pulse_after_a_long_rest_acts(tmp_path: Path, how: str) -> None:
    """0.1 nA for 0.5 ms into 10 nS with a time constant of 20 ms: the peak is 10 mV (1 - exp(-0.5/20))."""
    if how == "meta":
        results = nmlbridge.simulate(_pulse(tmp_path, META.format("1e-6")))
    else:
        results = nmlbridge.simulate(_pulse(tmp_path), method="cvode", abs_tolerance=1e-6)
    v = results["a[0]/v"] * 1e3
    assert len(v) == 1701
    assert np.ptp(v[:1500]) < 1e-5
    assert v[1505] == pytest.approx(-60 + 10 * (1 - math.exp(-0.5 / 20)), abs=2e-5)
    assert v.argmax() == 1505
    assert v[1605] == pytest.approx(-60 + 10 * (1 - math.exp(-0.5 / 20)) * math.exp(-10 / 20), abs=2e-5)


def test_tighter_tolerances_are_nearer_to_the_truth(tmp_path: Path) -> None:
    errors = []
    for tolerance in ("1e-2", "1e-4", "1e-6"):
        results = nmlbridge.simulate(_pulse(tmp_path, META.format("1e-1")), abs_tolerance=float(tolerance))
        t = results.time * 1e3
        rise = -60 + 10 * (1 - np.exp(-np.clip(t - 150, 0, 0.5) / 20))
        exact = -60 + (rise + 60) * np.exp(-np.clip(t - 150.5, 0, None) / 20)
        errors.append(np.abs(results["a[0]/v"] * 1e3 - exact).max())
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 2e-5


@pytest.mark.parametrize(
    ("family", "limit"),
    [(core.cells, 0.05), (core.inputs, 0.02), (core.synapses, 1e-4), pytest.param(core.gates, 1e-3, id="gates")],
)
def test_every_type_agrees_with_short_fixed_steps(
    tmp_path: Path, family: Callable[[Path], tuple[Path, dict[str, str]]], limit: float
) -> None:
    file, record = family(tmp_path)
    ours, fixed = nmlbridge.simulate(file, **TIGHT), nmlbridge.simulate(file, dt=0.005)
    for name, quantity in record.items():
        difference = ours[quantity] - fixed[quantity][::5]
        assert np.sqrt(np.mean(difference**2)) < limit * np.ptp(fixed[quantity]), name
        population = quantity.partition("[")[0]
        a, b = (np.sort(run.spikes.of(population)) for run in (ours, fixed))
        assert len(a) == len(b), name
        np.testing.assert_allclose(a, b, atol=3e-5, err_msg=name)


def test_sources_send_their_events_at_the_same_times(tmp_path: Path) -> None:
    """Timed and random ones; a random source draws from the same stream whatever the steps."""
    components = "".join(core.element(type, f"{type}_", text) for type, text in core.SOURCES.items()) + core.SYN
    components += '<spikeGeneratorPoisson id="poisson" averageRate="200Hz"/>'
    components += (
        '<poissonFiringSynapse id="firing" averageRate="200Hz" synapse="driven" spikeTarget="./driven"/>'
        '<transientPoissonFiringSynapse id="transient" averageRate="400Hz" delay="20ms" duration="30ms" '
        'synapse="driven" spikeTarget="./driven"/>'
    )
    network = "".join(f'<population id="{type}" component="{type}_" size="1"/>' for type in core.SOURCES)
    network += '<population id="poisson" component="poisson" size="3"/><population id="a" component="rc" size="2"/>'
    network += '<explicitInput target="a[0]" input="firing"/><explicitInput target="a[1]" input="transient"/>'
    record = {f"v{n}": f"a[{n}]/v" for n in (0, 1)}
    file = _model(tmp_path, components, network, record, 100)
    ours, fixed = nmlbridge.simulate(file, **TIGHT), nmlbridge.simulate(file, dt=0.01)
    for population in (*core.SOURCES, "poisson"):
        assert len(ours.spikes.of(population)) > 3
        np.testing.assert_allclose(ours.spikes.of(population), fixed.spikes.of(population), atol=1e-9)
    for quantity in record.values():
        assert np.ptp(ours[quantity]) > 1e-3
        np.testing.assert_allclose(ours[quantity], fixed[quantity][::10], atol=2e-5)


def test_times_that_events_set_and_unit_steps_end_a_step(tmp_path: Path) -> None:
    """A current that an event opens for 0.2 ms, and one that is gated by H(t - start), both after a long rest."""
    types = (
        '<ComponentType name="burst" extends="baseSynapse"><Parameter name="amp" dimension="current"/>'
        '<Parameter name="open" dimension="time"/><EventPort name="in" direction="in"/><Dynamics>'
        '<StateVariable name="last" dimension="time"/><StateVariable name="met" dimension="none"/>'
        '<ConditionalDerivedVariable name="i" exposure="i" dimension="current">'
        '<Case condition="met .eq. 1 .and. t .lt. last + open" value="amp"/><Case value="0 * amp"/>'
        '</ConditionalDerivedVariable><OnEvent port="in"><StateAssignment variable="last" value="t"/>'
        '<StateAssignment variable="met" value="1"/></OnEvent></Dynamics></ComponentType>'
        '<ComponentType name="gated" extends="basePointCurrent"><Parameter name="amp" dimension="current"/>'
        '<Parameter name="start" dimension="time"/><Parameter name="stop" dimension="time"/><Constant name="one" '
        'dimension="time" value="1ms"/><Dynamics><DerivedVariable name="i" exposure="i" dimension="current" '
        'value="amp * H((t - start) / one) * H((stop - t) / one)"/></Dynamics></ComponentType>'
        '<burst id="b" amp="0.5nA" open="0.2ms"/><gated id="g" amp="0.5nA" start="160ms" stop="160.2ms"/>'
        '<spikeArray id="s"><spike id="0" time="160ms"/></spikeArray>'
    )
    network = (
        '<population id="s" component="s" size="1"/><population id="a" component="rc" size="2"/>'
        '<projection id="p" presynapticPopulation="s" postsynapticPopulation="a" synapse="b">'
        '<connection id="0" preCellId="../s[0]" postCellId="../a[0]"/></projection>'
        '<explicitInput target="a[1]" input="g"/>'
    )
    results = nmlbridge.simulate(_model(tmp_path, types, network, {"x": "a[0]/v", "y": "a[1]/v"}, 170), **TIGHT)
    peak = 50e-3 * (1 - math.exp(-0.2 / 20))
    for quantity in ("a[0]/v", "a[1]/v"):
        v = results[quantity]
        assert np.ptp(v[:1600]) < 1e-8
        assert v.max() - v[0] == pytest.approx(peak, rel=1e-3), quantity
        assert v[1602] == v.max()


def test_what_cvode_cannot_do_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = (
        '<ComponentType name="noise" extends="basePointCurrent"><Parameter name="amp" dimension="current"/><Dynamics>'
        '<DerivedVariable name="i" exposure="i" dimension="current" value="amp * random(1)"/></Dynamics>'
        '</ComponentType><noise id="n" amp="0.1nA"/>'
    )
    network = '<population id="a" component="rc" size="1"/><explicitInput target="a[0]" input="n"/>'
    noisy = _model(tmp_path, noise, network, {"v": "a[0]/v"}, 10)
    with pytest.raises(UnsupportedError, match=r"'n'.*random number at every step.*--method best"):
        nmlbridge.simulate(noisy, method="cvode")
    file = _pulse(tmp_path)
    with pytest.raises(UsageError, match="add --method cvode"):
        nmlbridge.simulate(file, method="best", abs_tolerance=1e-4)
    with pytest.raises(UsageError, match="one must be more than zero"):
        nmlbridge.simulate(file, method="cvode", abs_tolerance=0)
    with pytest.raises(UsageError, match="no checkpoints"):
        nmlbridge.simulate(file, method="cvode", output=tmp_path, checkpoint=10)
    assert main(["run", str(file), "-o", str(tmp_path), "--method", "cvode", "--atol", "1e-4", "--rtol", "1e-5"]) == 0
    assert main(["run", str(file), "--atol", "-1"]) == 2
    assert "must not be negative" in capsys.readouterr().err


def test_a_jump_that_hides_bounds_the_steps(tmp_path: Path) -> None:
    """A current that is on in every other ms, by ceil: its edges have no end, so steps stay short, and it is said."""
    comb = (
        '<ComponentType name="comb" extends="basePointCurrent"><Parameter name="amp" dimension="current"/>'
        '<Constant name="one" dimension="time" value="1ms"/><Dynamics>'
        '<DerivedVariable name="half" dimension="none" value="ceil(t / (2 * one)) - t / (2 * one)"/>'
        '<ConditionalDerivedVariable name="i" exposure="i" dimension="current"><Case condition="half .lt. 0.5" '
        'value="amp"/><Case value="0 * amp"/></ConditionalDerivedVariable></Dynamics></ComponentType>'
        '<comb id="c" amp="0.1nA"/>'
    )
    network = '<population id="a" component="rc" size="1"/><explicitInput target="a[0]" input="c"/>'
    results = nmlbridge.simulate(_model(tmp_path, comb, network, {"v": "a[0]/v"}, 200), **TIGHT)
    assert [note.component for note in results.report if note.code == "cvode-edges"] == ["c"]
    assert results["a[0]/v"][-400:].mean() == pytest.approx(-55e-3, abs=1e-4)  # half of 10 mV

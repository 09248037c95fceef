"""Spectra, locking and information on signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from nmlbridge import analysis
from nmlbridge.analysis.cells import features, fi_curve
from nmlbridge.errors import UsageError

pytest.importorskip("scipy")


def test_a_sine_has_its_power_at_its_frequency() -> None:
    rate, time = 1000.0, np.arange(20_000) / 1000.0
    signal = 2 * np.sin(2 * np.pi * 40 * time) + 5
    frequency, density = analysis.power_spectrum(signal, rate, 1.0)
    assert frequency[density.argmax()] == 40
    assert np.trapezoid(density, frequency) == pytest.approx(2, rel=1e-3)  # a sine of amplitude 2 has variance 2
    f, t, power = analysis.spectrogram(signal, rate, 0.5)
    assert power.shape == (len(f), len(t))
    assert (f[power.argmax(axis=0)] == 40).all()


def test_coherence_is_one_of_copies_and_nothing_of_strangers() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 100_000))
    _, same = analysis.coherence(a, -3 * a, 1000, 0.5)
    _, other = analysis.coherence(a, b, 1000, 0.5)
    assert same == pytest.approx(np.ones_like(same))
    assert other.mean() < 0.01  # 1/k of 399 half-overlapping segments
    mixed = a + b  # signal to noise 1: coherence 1/2
    assert analysis.coherence(a, mixed, 1000, 0.5)[1].mean() == pytest.approx(0.5, abs=0.02)


def test_locking_finds_the_phase_and_not_chance() -> None:
    rate, time = 1000.0, np.arange(60_000) / 1000.0
    random = np.random.default_rng(0)
    field = np.cos(2 * np.pi * 8 * time) + 0.5 * random.normal(size=len(time))
    troughs = (np.arange(400) + 0.5) / 8  # of the cosine
    locked = analysis.phase_locking(troughs, field, rate, (6, 10))
    assert locked.strength > 0.95
    assert abs(abs(locked.phase) - np.pi) < 0.1
    assert locked.p < 1e-6
    chance = analysis.phase_locking(random.uniform(0, 60, 400), field, rate, (6, 10))
    assert abs(chance.consistency) < 0.02
    assert chance.p > 0.01
    assert np.isnan(analysis.phase_locking([], field, rate, (6, 10)).strength)


def test_mutual_information_of_a_binary_channel() -> None:
    """A channel that flips a fair bit with probability q has 1 - h(q) bits."""
    random = np.random.default_rng(0)
    x = random.integers(0, 2, 200_000)
    y = x ^ (random.random(len(x)) < 0.1)
    h = -0.1 * np.log2(0.1) - 0.9 * np.log2(0.9)
    assert analysis.mutual_information(x, y) == pytest.approx(1 - h, abs=3e-3)
    assert analysis.mutual_information(x, random.permutation(x)) < 1e-4


def test_transfer_entropy_has_the_right_direction_and_no_bias() -> None:
    """y copies the previous x nine times out of ten: TE from x to y is 1 - h(0.1) bits (y itself has no memory)."""
    random = np.random.default_rng(0)
    x = random.integers(0, 2, 50_000)
    y = np.roll(x, 1) ^ (random.random(len(x)) < 0.1)
    h = -0.1 * np.log2(0.1) - 0.9 * np.log2(0.9)
    forward = analysis.transfer_entropy(x, y, shuffles=20)
    assert forward.raw == pytest.approx(1 - h, abs=0.01)
    assert forward.normalised == pytest.approx(1 - h, abs=0.01)
    assert forward.p < 0.05
    backward = analysis.transfer_entropy(y, x, shuffles=20)
    assert abs(backward.normalised) < 1e-3
    short = [analysis.transfer_entropy(*random.integers(0, 4, (2, 300)), shuffles=50).normalised for _ in range(20)]
    assert abs(np.mean(short)) < 0.01  # without the surrogates this would be about 0.02


def test_granger_causality_of_an_autoregressive_pair() -> None:
    """x_t = 0.5 x_t-1 + e, y_t = 0.5 y_t-1 + 0.4 x_t-1 + e'. From x to y: ln of the variance of y's residual given
    its own past only over 1; that is found here from the long autoregression of y. From y to x: 0."""
    pytest.importorskip("elephant")
    random = np.random.default_rng(0)
    noise = random.normal(size=(2, 30_000))
    x, y = np.zeros(30_000), np.zeros(30_000)
    for t in range(1, 30_000):
        x[t] = 0.5 * x[t - 1] + noise[0, t]
        y[t] = 0.5 * y[t - 1] + 0.4 * x[t - 1] + noise[1, t]
    past = np.stack([y[20 - k : -k] for k in range(1, 21)])
    residual = y[20:] - np.linalg.lstsq(past.T, y[20:], rcond=None)[0] @ past
    found = analysis.granger(x, y, order=5)
    assert found.forward == pytest.approx(np.log(residual.var()), abs=0.02)
    assert found.backward == pytest.approx(0, abs=3e-3)
    assert found.forward > 0.05
    frequency, forward, backward = analysis.granger_spectrum(x, y, 1000.0, order=5)
    assert np.trapezoid(forward, frequency) / 500 == pytest.approx(found.forward, abs=0.005)
    assert backward.max() < 2e-3
    assert frequency[-1] == pytest.approx(500)


def test_features_and_fi_curves() -> None:
    time = np.arange(0, 0.5, 1e-5)
    voltage = np.full_like(time, -70e-3)
    peaks = 0.11 + 0.05 * np.arange(6)
    for peak in peaks:
        voltage += 100e-3 * np.exp(-(((time - peak) / 0.5e-3) ** 2))
    pytest.importorskip("efel")
    found = features(time, voltage, 0.1, 0.4, ["Spikecount", "mean_frequency", "voltage_base", "ISI_CV"])
    assert found["Spikecount"] == pytest.approx([6])
    assert found["voltage_base"] == pytest.approx([-70], abs=0.1)
    with pytest.raises(UsageError, match="no feature nonsense"):
        features(time, voltage, 0.1, 0.4, ["nonsense"])
    curve = fi_curve([0.0, 1.0], [[], peaks], 0.1, 0.4)
    assert curve["rate"] == pytest.approx([0, 20])
    assert curve["onset"][1] == pytest.approx(20)
    assert curve["steady"][1] == pytest.approx(20)
    assert curve["latency"][1] == pytest.approx(0.01)
    assert np.isnan(curve["onset"][0])


def test_bad_signals_are_told() -> None:
    with pytest.raises(UsageError, match="fewer than 8"):
        analysis.power_spectrum([1.0], 100)
    with pytest.raises(UsageError, match="not finite"):
        analysis.power_spectrum(np.full(100, np.nan), 100)
    with pytest.raises(UsageError, match="between 0 and half"):
        analysis.phase_locking([0.1], np.zeros(100), 100, (10, 60))
    with pytest.raises(UsageError, match="one length"):
        analysis.mutual_information([1, 2], [1, 2, 3])

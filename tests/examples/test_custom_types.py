"""The second example, against formulas and converged solutions of the same equations."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.results import Results

pytestmark = pytest.mark.neuron

STEP = 1e-5  # s, of the document
PERIOD = (
    0.020 * math.log((-65 + 20 + 70) / (-65 + 20 + 50)) + 0.003
)  # tau ln((rest + RI - reset) / (rest + RI - thresh))


@pytest.fixture(scope="module")
def results(repository: Path) -> Results:
    return nmlbridge.simulate(repository / "examples" / "02_custom_types" / "LEMS_CustomTypes.xml")


def _contact(results: Results) -> np.ndarray:
    (quantity,) = (quantity for quantity in results.traces if "contact" in quantity)
    return results[quantity]


def test_the_custom_cell_fires_with_the_period_of_its_formula(results: Results) -> None:
    spikes = results.spikes.of("pacemakers")
    assert len(spikes) == int((0.4 - (PERIOD - 0.003)) / PERIOD) + 1
    intervals = np.diff(spikes)
    assert abs(intervals.mean() - PERIOD) < 2 * STEP  # a threshold is seen, and a refractory time ends, at a step
    assert np.ptp(intervals) < 2 * STEP


def test_between_spikes_the_custom_cell_follows_its_exponential(results: Results) -> None:
    before = results.time < results.spikes.of("pacemakers")[0] - STEP
    exact = -0.045 + (-0.070 + 0.045) * np.exp(-results.time[before] / 0.020)
    np.testing.assert_allclose(results["pacemakers[0]/v"][before], exact, rtol=0, atol=1e-6)


def test_the_custom_synapse_is_the_sum_of_its_two_exponentials(results: Results) -> None:
    exact = np.zeros_like(results.time)
    for arrival in results.spikes.of("pacemakers") + 0.002:
        since = results.time - arrival
        fast, slow = np.exp(-np.maximum(since, 0) / 0.002), np.exp(-np.maximum(since, 0) / 0.030)
        exact += np.where(since >= 0, 1.5 * 0.6e-9 * (0.75 * fast + 0.25 * slow), 0)
    found = _contact(results)
    settled = np.ones_like(exact, bool)
    settled[1:] = np.abs(np.diff(exact)) < 1e-10  # an event falls between two steps, and counts from one of them
    peak = exact.max()
    np.testing.assert_allclose(found[settled], exact[settled], rtol=0, atol=0.01 * peak)
    assert found.max() == pytest.approx(peak, rel=0.01)


def test_the_custom_channel_follows_the_converged_solution(results: Results) -> None:
    times, potential, share = _ball()
    every = np.interp(results.time, times, potential)
    (gate,) = (quantity for quantity in results.traces if quantity.endswith("/open"))
    np.testing.assert_allclose(results["balls[0]/v"], every, rtol=0, atol=5e-6)
    np.testing.assert_allclose(results[gate], np.interp(results.time, times, share), rtol=0, atol=2e-4)


def _ball(step: float = 2.5e-5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, v (V) and gate of the cell "ball" by the classical Runge-Kutta method, whose error here is below 1e-9."""
    area = math.pi * 20e-6 * 20e-6  # of a cylinder as long as wide, without its ends
    capacitance, leak, sag = 1e-2 * area, 1.0 * area, 2.0 * area  # 1 uF/cm2, 0.1 and 0.2 mS/cm2

    def slope(state: np.ndarray, current: float) -> np.ndarray:
        v, q = state
        target = 1 / (1 + math.exp((-0.082 - v) / -0.007))
        return np.array([(leak * (-0.065 - v) + sag * q * (-0.030 - v) + current) / capacitance, (target - q) / 0.040])

    count = round(0.4 / step)
    states = np.empty((count + 1, 2))
    states[0] = -0.065, 1 / (1 + math.exp((-0.082 + 0.065) / -0.007))
    for index in range(count):
        current = -0.05e-9 if 0.05 <= (index + 0.5) * step < 0.25 else 0.0  # steps do not straddle the edges
        state = states[index]
        a = slope(state, current)
        b = slope(state + a * step / 2, current)
        c = slope(state + b * step / 2, current)
        d = slope(state + c * step, current)
        states[index + 1] = state + (a + 2 * b + 2 * c + d) * step / 6
    return np.arange(count + 1) * step, states[:, 0], states[:, 1]

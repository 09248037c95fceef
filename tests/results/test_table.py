"""Numbers to text: the same as Python's own formatting, to the last of ten digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmlbridge.results.table import rows


def _column(values: list[float]) -> list[str]:
    """The values as a table that has nothing but its first column."""
    return b"".join(rows(np.array(values), np.empty((0, len(values))))).decode().splitlines()


# rounding the very greatest doubles to ten digits gives more than a double can hold
_FLOATS = st.floats(-1e308, 1e308) | st.sampled_from([math.inf, -math.inf, math.nan])


@given(st.lists(_FLOATS, min_size=1, max_size=50))
def test_any_float_comes_back_to_ten_digits(values: list[float]) -> None:
    for value, text in zip(values, _column(values), strict=True):
        assert math.isnan(value) == math.isnan(float(text))
        if abs(value) < 1e-300:  # below that a double has no ten digits itself
            assert abs(float(text) - value) <= 1e-309
        elif math.isfinite(value):
            assert float(text) == pytest.approx(value, rel=5.1e-10, abs=0)
        elif not math.isnan(value):
            assert float(text) == value


@pytest.mark.parametrize(
    "value",
    [0.0, 1.0, -1.0, 10.0, 1e-5, 2.5e-05, 0.1, 123456.789, -0.0651234567891, 1e99, 1e100, -1e-100, 3e-310, 9.9999999999]
    + [10.0**power for power in range(-30, 31)],
)
def test_the_text_is_what_python_writes(value: float) -> None:
    assert _column([value]) == [f"{value:.9e}"]


def test_what_is_not_finite_is_spelled_out() -> None:
    assert _column([math.nan, math.inf, -math.inf]) == ["nan", "inf", "-inf"]


def test_time_steps_stay_apart_after_a_thousand_seconds() -> None:
    time = 1000 + np.arange(1000) * 25e-6
    assert len(set(_column(time.tolist()))) == 1000


@pytest.mark.parametrize("length", [1, 2, 100_000])
def test_columns_stand_in_the_order_asked_for(length: int) -> None:
    time, values = np.arange(length) * 0.5, np.arange(3 * length, dtype=float).reshape(3, length)
    text = b"".join(rows(time, values, [2, 0, 2]))
    found = np.loadtxt(text.decode().splitlines(), ndmin=2)
    np.testing.assert_allclose(found, np.column_stack([time, values[2], values[0], values[2]]), rtol=1e-9)
    assert text.count(b"\n") == length
    assert text.count(b"\t") == 3 * length

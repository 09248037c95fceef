"""The language of formulas and selections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmlbridge.builder.bounds import bounds
from nmlbridge.builder.evaluate import Column, Evaluator, in_unit
from nmlbridge.builder.language import parse
from nmlbridge.builder.randomness import below, key_of, uniforms
from nmlbridge.errors import LemsError

NAMES = {"a": 2.0, "b": -3.0, "x": np.array([0.5, 4.0, -1.0])}


def value(text: str, unit: str = "", draws: int = 0) -> np.ndarray:
    def column(name: str) -> Column | None:
        return Column(np.asarray(NAMES[name]), None if name == "x" else Column(np.zeros(1)).dimension) if (
            name in NAMES) else None  # fmt: skip

    evaluator = Evaluator(column, lambda: NAMES, 3, lambda place: uniforms(key_of(place), np.arange(max(draws, 3))))
    return in_unit(evaluator.value(parse(text)), unit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * 2", -4.0),
        ("-a^2", -4.0),
        ("2^3^2", 64.0),
        ("a * b / 3 * 2", -4.0),
        ("a < 3 & !(b > 0)", 1.0),
        ("a > 3 | b .lt. 0 and a == 2", 1.0),
        ("max(a, b) + min(a, 5) + clip(b, -1, 1)", 3.0),
        ("if(a > 1, 10, 20)", 10.0),
        ("interpolate(3, 0, 0, 2, 1, 4, 5)", 3.0),
        ("pow(a, 3) + exp(0) + ln(1)", 9.0),
        ("not a > 3", 1.0),
    ],
)
def test_formulas(text: str, expected: float) -> None:
    assert float(value(text)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("0.5 s", "ms", 500.0),
        ("2 * 3 nS", "uS", 0.006),
        ("20 Hz", "Hz", 20.0),
        ("1 mV / 1 Mohm", "nA", 1.0),
        ("5", "ms", 5.0),
        ("6.3 degC", "degC", 6.3),
        ("1 ms + 100 um / 0.5 m_per_s", "ms", 1.2),
        ("10 mM", "mol_per_m3", 10.0),
        ("20 Hz * (3 + 0 * x) / 3 + 0 Hz", "Hz", 20.0),
        ("1e-4 S_per_cm2 + 0 * x", "S_per_cm2", 1e-4),
        ("5 + 0 * x", "S_per_cm2", 5.0),
    ],
)
def test_units(text: str, unit: str, expected: float) -> None:
    assert value(text, unit).ravel()[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("1 mV + 1 ms", "mV", "dimension"),
        ("1 mV", "ms", "it is a voltage; expected a number in ms"),
        ("1 mm", "um", "unknown unit 'mm'"),
        ("aa + 1", "", "did you mean 'a'"),
        ("E[0]", "", "selection"),
    ],
)
def test_what_cannot_be_said(text: str, unit: str, said: str) -> None:
    with pytest.raises(LemsError, match=said):
        value(text, unit)


@pytest.mark.parametrize(
    "text", ["normall(0, 1)", "normal(1)", "a +", "E[1.5]", "E[0", "(a", "a b", "'L4", "__import__('os')"]
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(LemsError, match="character"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "mean", "sd"),
    [
        ("normal(3, 2)", 3.0, 2.0),
        ("lognormal(3, 2)", 3.0, 2.0),
        ("uniform(1, 4)", 2.5, 3 / np.sqrt(12)),
        ("exponential(2)", 2.0, 2.0),
        ("poisson(4)", 4.0, 2.0),
        ("chance(0.3)", 0.3, np.sqrt(0.21)),
        ("random(2)", 1.0, 2 / np.sqrt(12)),
    ],
)
def test_distributions(text: str, mean: float, sd: float) -> None:
    count = 40_000
    found = value(text, draws=count)
    assert found.shape == (count,)
    assert found.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(count))
    # the standard error of a standard deviation, with room for the heavy tail of the lognormal
    assert found.std() == pytest.approx(sd, rel=0.06)


def test_streams_are_even_and_independent() -> None:
    count = 100_000
    one, two = uniforms(1, np.arange(count)), uniforms(2, np.arange(count))
    for numbers in (one, two, uniforms(1, 0, np.arange(count)), uniforms(key_of("a"), np.arange(count), 7)):
        counts = np.histogram(numbers, 100, (0, 1))[0]
        chi2 = ((counts - count / 100) ** 2 / (count / 100)).sum()
        assert chi2 < 99 + 5 * np.sqrt(2 * 99)
        assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 5 / np.sqrt(count)
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(count)
    assert set(below(5, 3, np.arange(1000)).tolist()) == {0, 1, 2, 3, 4}


FORMULAS = st.recursive(
    st.sampled_from(["x", "y", "2", "0.5", "-1.5"]),
    lambda inner: st.one_of(
        st.builds(lambda a, op, b: f"(({a}) {op} ({b}))", inner, st.sampled_from(["+", "-", "*", "/"]), inner),
        st.builds(lambda a, op, b: f"(({a}) {op} ({b}))", inner, st.sampled_from(["<", ">=", "&", "|"]), inner),
        st.builds(lambda f, a: f"{f}({a})", st.sampled_from(["exp", "abs", "tanh", "sqrt", "cos", "H"]), inner),
        st.builds(lambda a: f"(({a})^2)", inner),
        st.builds(lambda f, a, b: f"{f}({a}, {b})", st.sampled_from(["min", "max"]), inner, inner),
        st.builds(lambda a, b, c: f"if({a}, {b}, {c})", inner, inner, inner),
    ),
    max_leaves=8,
)


@given(FORMULAS, st.floats(-3, 3), st.floats(0, 2), st.floats(-3, 3), st.floats(0, 2))
@settings(max_examples=150, deadline=None)
def test_bounds_hold(text: str, x: float, dx: float, y: float, dy: float) -> None:
    """No value of a formula inside a box is outside its bounds."""
    tree = parse(text)
    ends = {"x": (np.asarray(x), np.asarray(x + dx)), "y": (np.asarray(y), np.asarray(y + dy))}
    low, high = bounds(tree, ends.get)
    grid = np.meshgrid(np.linspace(x, x + dx, 7), np.linspace(y, y + dy, 7))
    names = {"x": Column(grid[0].ravel(), None), "y": Column(grid[1].ravel(), None)}
    found = Evaluator(names.get, lambda: names, 49).value(tree).values.astype(float)
    found = found[np.isfinite(found)]
    slack = 1e-9 * (1 + np.abs(found))
    assert (found >= low - slack).all() and (found <= high + slack).all()

"""The small algebra: every rewriting keeps the value, and the linear split is exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmlbridge.lems.evaluate import evaluate
from nmlbridge.lems.expression import Bin, Call, Expr, Name, Neg, Num, names, parse, to_text
from nmlbridge.nmodl.algebra import derivative, linear, simplify

VALUES = {"a": 0.7, "b": -1.3, "q": 0.45}


def trees() -> st.SearchStrategy[Expr]:
    leaves = st.one_of(
        st.sampled_from([Name(n) for n in VALUES]), st.floats(-5, 5, allow_nan=False).map(lambda x: Num(round(x, 3)))
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(Bin, st.sampled_from("+-*/"), inner, inner),
            st.builds(Neg, inner),
            st.builds(Call, st.sampled_from(["exp", "sin", "tanh"]), inner),
        ),
        max_leaves=12,
    )


@given(trees())
def test_simplify_keeps_the_value(tree: Expr) -> None:
    before = float(evaluate(tree, VALUES))
    after = float(evaluate(simplify(tree), VALUES))
    if np.isfinite(before) and abs(before) < 1e6:
        # cancelling can turn x/0*0 into a number, never a number into something else
        assert after == pytest.approx(before, rel=1e-6, abs=1e-6)


@given(trees())
def test_linear_split_adds_up(tree: Expr) -> None:
    split = linear(tree, "q")
    if split is None:
        return
    slope, rest = split
    assert "q" not in names(slope) | names(rest)
    whole = float(evaluate(tree, VALUES))
    parts = float(evaluate(slope, VALUES)) * VALUES["q"] + float(evaluate(rest, VALUES))
    if np.isfinite(whole) and np.isfinite(parts) and abs(whole) < 1e6:
        assert parts == pytest.approx(whole, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["q^3", "exp(a*q)", "1/(1 + exp(0 - q))", "sqrt(q)*a", "log(q)/q", "sin(q)*cos(b*q)", "a^q", "tanh(q) - q"]
)
def test_derivative_agrees_with_differences(text: str) -> None:
    tree = parse(text)
    slope = derivative(tree, "q")
    assert slope is not None
    step = 1e-6
    up, down = (float(evaluate(tree, {**VALUES, "q": VALUES["q"] + s})) for s in (step, -step))
    assert float(evaluate(slope, VALUES)) == pytest.approx((up - down) / (2 * step), rel=1e-7, abs=1e-8)


def test_gate_in_its_linear_form() -> None:
    """(inf - q)/tau with inf = a/(a+b) and tau = 1/((a+b)*s) is a*s - (a+b)*s*q: no division left."""
    split = linear(parse("(a/(a+b) - q)/(1/((a+b)*s))"), "q")
    assert split is not None
    assert to_text(simplify(split[1])) == "(a * s)"
    assert "/" not in to_text(simplify(split[0]))


def test_what_is_not_linear_is_not_split() -> None:
    assert linear(parse("q*q"), "q") is None
    assert linear(parse("exp(q)"), "q") is None
    assert linear(parse("a/q"), "q") is None


def test_a_denominator_without_a_reciprocal_stays() -> None:
    """1/1e-320 is beyond the largest number."""
    kept = simplify(Bin("/", Name("a"), Num(1e-320)))
    assert kept == Bin("/", Name("a"), Num(1e-320))
    assert simplify(Bin("/", Name("a"), Num(0.0))) == Bin("/", Name("a"), Num(0.0))

"""The expression language: how it binds, and that printing and parsing are inverse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmlbridge.errors import LemsError
from nmlbridge.lems.evaluate import evaluate
from nmlbridge.lems.expression import (
    FUNCTIONS,
    MAX_DEPTH,
    Bin,
    Call,
    Cmp,
    Expr,
    Logic,
    Name,
    Neg,
    Num,
    names,
    parse,
    substitute,
    to_text,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-3^2", -9.0),
        ("2*-3^2", 18.0),
        ("2^3^2", 64.0),
        ("2^-1", 0.5),
        ("8*6/2*3", 72.0),
        ("24/4*2", 12.0),
        ("24/4/2", 3.0),
        ("1-2-3", -4.0),
        ("1-2+3", 2.0),
        ("5-3+1-2", (5 - 3) + (1 - 2)),
        ("-2+3", 1.0),
        ("-(2+3)", -5.0),
        ("--2", 2.0),
        ("2*(3+4)", 14.0),
        ("+2", 2.0),
        ("1e-3*2E3", 2.0),
        (".5+5.", 5.5),
        ("H(0)", 0.5),
        ("H(-1)+H(2)", 1.0),
        ("ln(exp(2))", 2.0),
        ("log(exp(2))", 2.0),
        ("log10(1000)", 3.0),
        ("abs(-2)", 2.0),
        ("sqrt(16)", 4.0),
        ("factorial(5)", 120.0),
        ("ceil(1.2)+floor(1.8)", 3.0),
        ("sin(0)+cos(0)+tan(0)+sinh(0)+cosh(0)+tanh(0)", 2.0),
    ],
)
def test_value(text: str, value: float) -> None:
    assert float(evaluate(parse(text), {})) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a*b/c*d", "((a * (b / c)) * d)"),
        ("-x^2", "(-((x ^ 2.0)))"),
        ("2*-x^2", "(2.0 * ((-(x)) ^ 2.0))"),
        ("a-b+c", "((a - b) + c)"),
        ("a+b-c", "(a + (b - c))"),
        ("v .gt. -55", "(v .gt. (-55.0))"),
        ("v.gt.A2", "(v .gt. A2)"),
        ("1.gt.2", "(1.0 .gt. 2.0)"),
        ("1 .gt.2.and.x.lt.3.", "((1.0 .gt. 2.0) .and. (x .lt. 3.0))"),
        ("a .or. b .and. c", "((a .or. b) .and. c)"),
        ("a .gt. 1 .and. b .eq. c", "((a .gt. 1.0) .and. (b .eq. c))"),
        ("a .ge. b", "(a .geq. b)"),
        ("a .le. b", "(a .leq. b)"),
        ("a .ne. b", "(a .neq. b)"),
        ("tnext - t .lt. SMALL", "((tnext - t) .lt. SMALL)"),
        ("exp (x)", "exp(x)"),
    ],
)
def test_binding(text: str, tree: str) -> None:
    assert to_text(parse(text)) == tree


@pytest.mark.parametrize(
    "text",
    ["", " ", "1 +", "(1", "1)", "a b", "foo(1)", "a ! b", "a .xx. b", "exp()", "1..2", "a=b", "1e999", "import('os')"],
)
def test_refused(text: str) -> None:
    with pytest.raises(LemsError, match="expression"):
        parse(text)


def test_nesting_is_bounded() -> None:
    assert parse("(" * 100 + "x" + ")" * 100) == Name("x")
    for text in ("(" * 400 + "x" + ")" * 400, "-" * 400 + "x", "1" + "+1" * 400, "exp(" * 400 + "x" + ")" * 400):
        with pytest.raises(LemsError, match=f"deeper than {MAX_DEPTH}"):
            parse(text)
    with pytest.raises(LemsError, match="more than"):
        parse("1+" * 20_000 + "1")


identifiers = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True).filter(lambda s: s not in FUNCTIONS)
leaves = st.one_of(
    identifiers.map(Name), st.floats(allow_nan=False, allow_infinity=False).map(lambda x: Num(abs(x) + 0.0))
)


def _negated(arg: Expr) -> Expr:
    return Num(-arg.value) if isinstance(arg, Num) and arg.value > 0 else Neg(arg)


def _trees(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.builds(Bin, st.sampled_from("+-*/^"), inner, inner),
        st.builds(Cmp, st.sampled_from(["<", ">", "<=", ">=", "==", "!="]), inner, inner),
        st.builds(Logic, st.sampled_from(["and", "or"]), inner, inner),
        st.builds(Call, st.sampled_from(sorted(FUNCTIONS - {"ln"})), inner),
        inner.filter(lambda e: not isinstance(e, Num)).map(_negated),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(leaves, _trees, max_leaves=25))
def test_printing_and_parsing_are_inverse(tree: Expr) -> None:
    assert parse(to_text(tree)) == tree


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_parses_or_is_a_lems_error(text: str) -> None:
    try:
        parse(text)
    except LemsError as error:
        assert "expression" in str(error)


def test_names_and_substitution() -> None:
    expr = parse("a*exp(-b/t) + a")
    assert names(expr) == {"a", "b", "t"}
    swapped = substitute(parse("a - b"), {"a": Name("b"), "b": Name("a")})
    assert swapped == parse("b - a")


def test_arrays_broadcast_and_division_by_zero_is_quiet() -> None:
    result = evaluate(parse("x / y"), {"x": np.array([0.0, 1.0]), "y": 0.0})
    assert math.isnan(result[0])
    assert result[1] == math.inf

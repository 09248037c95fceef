"""Units: exact decimals, offsets, and messages that help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmlbridge.errors import LemsError
from nmlbridge.units import NONE, Dimension, Unit, nearest, parse_quantity

VOLTAGE = Dimension(m=1, l=2, t=-3, i=-1)
UNITS = {
    unit.symbol: unit
    for unit in (
        Unit("mV", VOLTAGE, -3),
        Unit("V", VOLTAGE),
        Unit("mS_per_cm2", Dimension(-1, -4, 3, 2), 1),
        Unit("degC", Dimension(k=1), 0, 1.0, 273.15),
        Unit("min", Dimension(t=1), 0, 60.0),
        Unit("pF", Dimension(-1, -2, 4, 2), -12),
        Unit("e", Dimension(i=1, t=1), 0, 1.602176634e-19),
    )
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.3 mS_per_cm2", 3.0),
        ("120mS_per_cm2", 1200.0),
        ("-65mV", -0.065),
        ("1e-3mV", 1e-6),
        ("5.01E-4 ", 5.01e-4),
        (" .5 V", 0.5),
        ("3.V", 3.0),
        ("6.3 degC", 279.45),
        ("2 min", 120.0),
        ("281 pF", 281e-12),
        ("+7", 7.0),
        ("2e", 2 * 1.602176634e-19),
        ("1e2e", 100 * 1.602176634e-19),
        ("1e-400V", 0.0),
    ],
)
def test_a_quantity_is_the_nearest_double(text: str, value: float) -> None:
    assert parse_quantity(text, UNITS)[0] == value


def test_dimension_of_a_quantity() -> None:
    assert parse_quantity("1 mV", UNITS)[1] == VOLTAGE
    assert parse_quantity("1", UNITS)[1] == NONE


@pytest.mark.parametrize("text", ["", "mV", "1 2", "1 mV mV", "0x10", "nan", "inf", "1_000", "--1", "٣"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(LemsError):
        parse_quantity(text, UNITS)


def test_unknown_unit_offers_the_nearest() -> None:
    with pytest.raises(LemsError, match=r"unknown unit 'mv' in '-65mv'; did you mean 'mV'\?"):
        parse_quantity("-65mv", UNITS)


def test_too_large() -> None:
    with pytest.raises(LemsError, match="too large"):
        parse_quantity("1e309 V", UNITS)
    with pytest.raises(LemsError, match="too large"):
        parse_quantity("1e999999999999 V", UNITS)


@given(st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-12), st.integers(-12, 12))
def test_there_and_back(number: float, power: int) -> None:
    unit = Unit("u", NONE, power)
    assert unit.from_si(unit.to_si(number)) == pytest.approx(number, rel=3e-16)


def test_dimensions_multiply() -> None:
    current = Dimension(i=1)
    assert VOLTAGE / current * current == VOLTAGE
    assert (VOLTAGE / VOLTAGE).dimensionless
    assert Dimension(l=1) ** 2 == Dimension(l=2)
    assert str(VOLTAGE) == "m^1 l^2 t^-3 i^-1"


def test_nearest_says_nothing_without_a_likely_name() -> None:
    assert nearest("xyzzy", ["conductance"]) == ""
    assert "'conductance'" in nearest("conductence", ["conductance", "capacitance"])

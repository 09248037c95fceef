"""NMODL of others: channels found in mod files by running their blocks on expressions."""

from __future__ import annotations

import numpy as np
import pytest

from nmlbridge.errors import UnsupportedError
from nmlbridge.lems.evaluate import evaluate
from nmlbridge.lems.expression import names, to_text
from nmlbridge.nmodl.interpret import Channel, channels_of
from nmlbridge.nmodl.read import read_nmodl

HEAD = "NEURON { SUFFIX m USEION k READ ek WRITE ik RANGE gbar, ik GLOBAL minf, mtau }\n"
DECLARED = "PARAMETER { gbar = 0.1 (S/cm2) <0, 1e9>  vh = -40 (mV)  celsius (degC) }\nSTATE { m }\n" \
           "ASSIGNED { v (mV) ek (mV) ik (mA/cm2) minf mtau (ms) q }\n"  # fmt: skip
WHOLE = (
    "TITLE a channel : of no use\nCOMMENT BREAKPOINT { ENDCOMMENT\n" + HEAD + "UNITS { (mV) = (millivolt) }\n"
    + DECLARED + "INITIAL { q = 3^((celsius - 6.3(degC)) / 10 (degC))  rates(v)  m = minf }\n"
    "BREAKPOINT { SOLVE states METHOD cnexp\n ik = 1e-4 * gbar * m*m^3 * (v - ek) }\n"
    "DERIVATIVE states { rates(v)\n m' = (minf - m) / mtau }\n"
    "FUNCTION alp(v (mV), i) (/ms) { LOCAL x\n x = v - vh\n"
    " if (i == 0) { alp = trap(x, 10) } else if (i == 1) { alp = 0.5 * exp(-x / 20 (mV)) } }\n"
    "FUNCTION trap(x, y) { if (fabs(x / y) < 1e-6) { trap = y * (1 + x/y/2) } else { trap = x / (1 - exp(-x/y)) } }\n"
    "PROCEDURE rates(v (mV)) { LOCAL a, b\n TABLE minf, mtau DEPEND celsius FROM -100 TO 100 WITH 200\n"
    " UNITSOFF a = alp(v, 0)  b = alp(v, 1)\n mtau = 1 / (q * (a + b))\n minf = a / (a + b) UNITSON }\n"
)  # fmt: skip


def channel(breakpoint: str, derivative: str, initial: str = "m = minf", more: str = "") -> Channel:
    text = HEAD + DECLARED + f"INITIAL {{ {initial} }}\nBREAKPOINT {{ SOLVE states METHOD cnexp\n{breakpoint} }}\n"
    (found,) = channels_of(read_nmodl(text + f"DERIVATIVE states {{ {derivative} }}\n{more}"))
    return found


def test_a_whole_file() -> None:
    (found,) = channels_of(read_nmodl(WHOLE))
    assert found.ion == "k" and to_text(found.reversal) == "ek"
    assert evaluate(found.conductance, {"gbar": 2.0}) == pytest.approx(2e-4)
    (gate,) = found.gates
    assert gate.power == 4 and gate.tau is not None and gate.start is not None
    v = np.array([-80.0, -40.0, 0.0])
    x, q = v + 40.0, 3.0 ** ((16.3 - 6.3) / 10)
    a = np.array([xx / (1 - np.exp(-xx / 10)) if xx else 10.0 for xx in x])
    b = 0.5 * np.exp(-x / 20)
    env = {"v": v, "vh": -40.0, "celsius": 16.3}
    np.testing.assert_allclose(evaluate(gate.inf, env), a / (a + b), rtol=1e-12)
    np.testing.assert_allclose(evaluate(gate.tau, env), 1 / (q * (a + b)), rtol=1e-12)
    np.testing.assert_allclose(evaluate(gate.start, env), a / (a + b), rtol=1e-12)


def test_rates_that_open_and_close() -> None:
    found = channel("ik = gbar * m * (v - ek)", "m' = 0.3 * (1 - m) - exp(-v/10) * m")
    (gate,) = found.gates
    assert gate.tau is not None
    beta = np.exp(2.0)
    assert evaluate(gate.inf, {"v": -20.0}) == pytest.approx(0.3 / (0.3 + beta))
    assert evaluate(gate.tau, {"v": -20.0}) == pytest.approx(1 / (0.3 + beta))


def test_what_is_instantaneous_is_a_gate_without_a_time_course() -> None:
    found = channel(
        "LOCAL g\n minf = 1 / (1 + exp(-v/5)) g = gbar * minf\n ik = g * m * (v - ek)", "m' = (0.5 - m) / 2"
    )
    assert [(g.name, g.power, g.tau is None) for g in found.gates] == [("g0", 1, True), ("m", 1, False)]
    assert evaluate(found.gates[0].inf, {"v": 0.0}) == pytest.approx(0.5)


def test_code_of_jneuroml() -> None:
    """A power that is a parameter, branches that complete each other, a reversal that is left to the user, and one of
    an ion that INITIAL sets in vain."""
    found, leak = channels_of(read_nmodl("""
        NEURON { SUFFIX kd USEION k READ ek WRITE ik NONSPECIFIC_CURRENT i RANGE gmax, e, m_instances, g, x }
        PARAMETER { gmax = 0.1 (S/cm2) m_instances = 4 }
        ASSIGNED { v (mV) ek (mV) ik (mA/cm2) i (mA/cm2) e (mV) g x alpha fcond rate_m_q }
        STATE { m_q }
        INITIAL { ek = -77 rates() m_q = alpha }
        BREAKPOINT { SOLVE states METHOD cnexp
            g = gmax * fcond
            ik = g * (v - ek) i = 1e-5 * (v - e) }
        DERIVATIVE states { rates() m_q' = rate_m_q }
        PROCEDURE rates() {
            x = (v + 55) / 10
            if (x != 0) { alpha = x / (1 - exp(0 - x)) } else if (x == 0) { alpha = 1 }
            fcond = m_q ^ m_instances
            rate_m_q = (alpha - m_q) / 3
        }"""))
    (gate,) = found.gates
    assert gate.power == 4 and found.powers == (("m_instances", 4.0),)
    assert names(found.reversal) == {"ek"} and names(leak.reversal) == {"e"}
    assert evaluate(gate.inf, {"v": -55.0}) == 1.0 and evaluate(gate.inf, {"v": -45.0}) == pytest.approx(1.5819767)


def test_several_currents() -> None:
    text = WHOLE.replace("WRITE ik RANGE", "WRITE ik NONSPECIFIC_CURRENT il RANGE").replace(
        "(v - ek) }", "(v - ek)\n il = 3e-4 * (v + 54.3) }")  # fmt: skip
    first, second = channels_of(read_nmodl(text))
    assert (first.ion, second.ion) == ("k", None) and not second.gates
    assert evaluate(second.reversal, {}) == pytest.approx(-54.3)


@pytest.mark.parametrize(
    ("breakpoint", "derivative", "more", "words"),
    [
        ("ik = gbar * (1 - m) * (v - ek)", "m' = -m", "", "no product"),
        ("ik = gbar * m * v * exp(v)", "m' = -m^2", "", "not linear"),
        ("ik = gbar * m", "m' = -m", "", "no driving force"),
        ("ik = gbar * m * (v - ek)", "m' = (foo - m) / 2", "", "'foo', which is no parameter"),
        ("ik = gbar * m * (v - ek)", "m' = (nothing(v) - m) / 2", "", "calls 'nothing'"),
        ("ik = gbar * m * (v - ek)", "m' = (f(v) - m) / 2", "FUNCTION f(x) { f = f(x) }", "calls itself"),
        ("ik = gbar * m * (v - ek)", "m' = (f(v) - m) / 2", "FUNCTION f(x) { VERBATIM x ENDVERBATIM }", "VERBATIM"),
        ("if (v > 0) { ik = 1 } else { f() }", "m' = -m", "PROCEDURE f() { m' = 2 }", "inside an if"),
        ("ik = gbar * m * (v - ek)", "m' = -m", "NET_RECEIVE (w) { m = m + w }", "takes events"),
        ("ik = gbar * m * (v - ek)", "m' = -m", "KINETIC k { ~ a <-> b (1, 2) }", "KINETIC"),
        ("while (1) { ik = 1 }", "m' = -m", "", "while"),
        ("ik = gbar * m * (v - ek", "m' = -m", "", r"expected '\)'"),
    ],
)
def test_what_is_no_channel_is_said(breakpoint: str, derivative: str, more: str, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        channel(breakpoint, derivative, more=more)


@pytest.mark.parametrize(
    "text", ["", "NEURON {", "NEURON { SUFFIX a } BREAKPOINT { x = ", "(" * 5000, "a { b [ }", "\x00"]
)
def test_rubbish_is_one_error(text: str) -> None:
    with pytest.raises(UnsupportedError):
        channels_of(read_nmodl(text))


def test_deep_formulas_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="nested too deeply"):
        channel("ik = " + "(" * 300 + "1" + ")" * 300 + " * (v - ek)", "m' = -m")

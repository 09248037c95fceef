"""Expressions, names, units and dimensions that text substitution gets wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import NmlBridgeError

from . import models

pytestmark = pytest.mark.neuron

# name: expression over A = 3, B = 2, x (a state that is 0.25) -> value, by the rules of jLEMS
FORMULAS = {
    "abs(B - A)": 1.0,
    "abs(x-A)": 2.75,
    "-A^B": -9.0,
    "B * -A^B": 18.0,
    "B^A^B": 64.0,
    "A*B/A*B": 4.0,
    "A-B-x": 0.75,
    "ln(A)+log(A)": 2 * np.log(3),
    "H(A - A) + H(B) + H(-B)": 1.5,
    "ceil(x)+sqrt(A*A)": 4.0,
    "factorial(A)": 6.0,
    "sin(x)^2+cos(x)^2": 1.0,
    "cosh(x)^2-sinh(x)^2+tanh(0*x)": 1.0,
    "1e-3*A": 3e-3,
}
CASES = {
    "A.gt.B.or.x.gt.A": 1.0,
    "A.lt.B.or.x.gt.A": 0.0,
    "(A .gt. B) .and. (x .leq. 0.25)": 1.0,
    "A .neq. B": 1.0,
    "x .geq. A": 0.0,
    "x.eq.0.25": 1.0,
}


def test_expressions_mean_what_lems_says(tmp_path: Path) -> None:
    exposures, variables, record = "", "", {}
    for n, formula in enumerate(FORMULAS):
        exposures += f'<Exposure name="f{n}" dimension="none"/>'
        variables += f'<DerivedVariable name="f{n}" exposure="f{n}" dimension="none" value="{formula}"/>'
        record[f"f{n}"] = f"p_c[0]/f{n}"
    for n, test in enumerate(CASES):
        exposures += f'<Exposure name="c{n}" dimension="none"/>'
        variables += (
            f'<ConditionalDerivedVariable name="c{n}" exposure="c{n}" dimension="none"><Case condition="{test}" '
            'value="1"/><Case value="0"/></ConditionalDerivedVariable>'
        )
        record[f"c{n}"] = f"p_c[0]/c{n}"
    type = (
        f'<ComponentType name="sums" extends="baseCell"><Parameter name="A" dimension="none"/><Parameter name="B" '
        f'dimension="none"/>{exposures}<Constant name="LONG" dimension="time" value="1e9s"/><Dynamics>'
        f'<StateVariable name="x" dimension="none"/>{variables}<TimeDerivative variable="x" value="0 / LONG"/><OnStart>'
        '<StateAssignment variable="x" value="0.25"/></OnStart></Dynamics></ComponentType><sums id="c" A="3" B="2"/>'
    )
    file = models.write(tmp_path, type, models.populations("c"), record, 1, 0.1)
    for backend in ("neuron", "reference"):
        found = nmlbridge.simulate(file, backend=backend)
        for n, (formula, value) in enumerate(FORMULAS.items()):
            assert found[f"p_c[0]/f{n}"][-1] == pytest.approx(value, rel=1e-12), (backend, formula)
        for n, (test, value) in enumerate(CASES.items()):
            assert found[f"p_c[0]/c{n}"][-1] == value, (backend, test)


# words of NMODL, hoc and C++, of NEURON's own mechanisms and variables
WORDS = (
    "hh", "pas", "IClamp", "soma", "axon", "NEURON", "STATE", "VERBATIM", "double", "class", "namespace", "printf",
    "dt", "celsius", "area", "diam", "i", "e", "g", "y", "ca_ion", "SUFFIX", "exp", "main", "inf", "all", "return",
)  # fmt: skip


def test_ids_that_are_words_of_somebody(tmp_path: Path) -> None:
    """A cell, a channel, a gate, a density, a segment group and a population of every such name: all the same run."""
    chosen = WORDS[:: max(1, len(WORDS) // 9)]
    components, network, record = "", "", {}
    for word in chosen:
        gate = (
            f'<gateHHtauInf id="{word}" instances="1"><timeCourse type="fixedTimeCourse" tau="2ms"/>'
            '<steadyState type="HHSigmoidVariable" rate="1" midpoint="-60mV" scale="10mV"/></gateHHtauInf>'
        )
        segments = models.BALL + (
            f'<segmentGroup id="{word}" neuroLexId="sao864921383"><member segment="0"/></segmentGroup>'
        )
        membrane = (
            f'<channelDensity id="{word}" ionChannel="ch_{word}" condDensity="1mS_per_cm2" erev="-30mV" ion="k" '
            f'segmentGroup="{word}"/>'
        )
        components += f'<ionChannelHH id="ch_{word}" conductance="10pS">{gate}</ionChannelHH>'
        components += models.cell(f"{word}", membrane, segments)
        network += f'<population id="{word}" component="{word}" size="1"/>'
        record[word] = f"{word}[0]/v"
        record[f"{word}_q"] = f"{word}[0]/bio/membraneProperties/{word}/ch_{word}/{word}/q"
    found = models.run(tmp_path, components, network, record, 5)
    first = found[f"{chosen[0]}[0]/v"]
    assert np.ptp(first) > 1e-3
    for word in chosen:
        np.testing.assert_array_equal(found[f"{word}[0]/v"], first)


def test_parameters_and_variables_that_are_words_of_somebody(tmp_path: Path) -> None:
    """A type of our own whose parameters, states and exposures have NMODL's own names: x' = -x / 5 ms for all."""
    words = [w for w in WORDS if w not in ("NEURON", "exp")]
    parts = "".join(f'<Parameter name="{w}" dimension="none"/>' for w in words)
    dynamics = "".join(
        f'<StateVariable name="v{w}" exposure="v{w}" dimension="none"/>'
        f'<TimeDerivative variable="v{w}" value="-{w} * v{w} / TAU"/>' for w in words
    ) + "<OnStart>" + "".join(f'<StateAssignment variable="v{w}" value="{w}"/>' for w in words) + "</OnStart>"
    exposures = "".join(f'<Exposure name="v{w}" dimension="none"/>' for w in words)
    values = " ".join(f'{w}="1"' for w in words)
    type = (
        f'<ComponentType name="words" extends="baseCell">{parts}{exposures}<Constant name="TAU" dimension="time" '
        f'value="5ms"/><Dynamics>{dynamics}</Dynamics></ComponentType><words id="c" {values}/>'
    )
    record = {f"c{n}": f"p_c[0]/v{w}" for n, w in enumerate(words)}
    found = models.run(tmp_path, type, models.populations("c"), record, 5, 0.05)
    for word in words:
        assert found[f"p_c[0]/v{word}"][-1] == pytest.approx(np.exp(-1), rel=1e-3), word


def test_sub_gates_whose_ids_begin_alike_have_their_own_rate(tmp_path: Path) -> None:
    """n_fast and n_slow of one gate, and of another gate that is n: each reads the rateScale of its own gate."""
    sub = (
        '<subGate id="{}" fractionalConductance="0.5"><steadyState type="HHSigmoidVariable" rate="1" midpoint="-50mV" '
        'scale="10mV"/><timeCourse type="fixedTimeCourse" tau="{}ms"/></subGate>'
    )
    gates = (
        '<gateFractional id="n" instances="1"><q10Settings type="q10Fixed" fixedQ10="2"/>'
        + sub.format("n_fast", 4) + sub.format("n_slow", 40)
        + '</gateFractional><gateFractional id="n_n" instances="1"><q10Settings type="q10Fixed" fixedQ10="8"/>'
        + sub.format("n_fast", 4) + sub.format("n_slow", 40) + "</gateFractional>"
    )
    components = f'<ionChannelHH id="ch" conductance="10pS">{gates}</ionChannelHH>' + models.cell(
        "c", '<channelDensity id="d" ionChannel="ch" condDensity="1mS_per_cm2" erev="-77mV" ion="k"/>'
    )  # fmt: skip
    path = "bio/membraneProperties/d/ch"
    record = {f"{g}{s}": f"p_c[0]/{path}/{g}/{s}/tau" for g in ("n", "n_n") for s in ("n_fast", "n_slow")}
    found = models.run(tmp_path, components, models.populations("c"), record, 1)
    taus = [found[q][-1] for q in record.values()]
    assert taus == pytest.approx([2e-3, 20e-3, 0.5e-3, 5e-3])


USER = (
    '<Dimension name="flow" l="3" t="-1"/>'
    '<Unit symbol="l_per_min" dimension="flow" power="-3" scale="0.0166666666667"/>'
    '<Dimension name="lump" l="3"/><Unit symbol="ml" dimension="lump" power="-6"/>'
    '<ComponentType name="tank" extends="baseCell"><Parameter name="inflow" dimension="flow"/><Parameter name="size" '
    'dimension="lump"/><Parameter name="p" dimension="permeability"/><Parameter name="a" dimension="area"/>'
    '<Exposure name="full" dimension="lump"/><Dynamics><StateVariable name="full" exposure="full" dimension="lump"/>'
    '<TimeDerivative variable="full" value="inflow * (1 - full / size) - p * a"/></Dynamics></ComponentType>'
    '<tank id="c" inflow="6 l_per_min" size="2 ml" p="1e-2 m_per_s" a="1e-3 m2"/>'
)


def test_dimensions_of_the_document_s_own(tmp_path: Path) -> None:
    """inflow 1e-4 m3/s, 2e-6 m3, 1e-5 m3/s out: full = 0.9 size (1 - exp(-t / 20 ms))."""
    found = models.run(tmp_path, USER, models.populations("c"), {"x": "p_c[0]/full"}, 60, 0.05)
    np.testing.assert_allclose(found["p_c[0]/full"], 1.8e-6 * (1 - np.exp(-found.time / 20e-3)), rtol=1e-3, atol=1e-9)


LAG = """<ComponentType name="lag" extends="basePointCurrent">
<Constant name="unit" dimension="current" value="1pA"/><Constant name="ms" dimension="time" value="1ms"/>
<Exposure name="now" dimension="none"/><Exposure name="before" dimension="none"/><Dynamics>
<StateVariable name="i" exposure="i" dimension="current"/>
<StateVariable name="now" exposure="now" dimension="none"/>
<StateVariable name="before" exposure="before" dimension="none"/>
<OnCondition test="t .geq. 0"><StateAssignment variable="before" value="now"/>
<StateAssignment variable="now" value="t / ms"/><StateAssignment variable="i" value="before * unit"/></OnCondition>
</Dynamics></ComponentType><lag id="lag"/>"""


def test_what_is_read_before_it_is_assigned_is_of_the_last_step(tmp_path: Path) -> None:
    network = models.populations("rc") + '<explicitInput target="p_rc[0]" input="lag"/>'
    record = {name: f"p_rc[0]/synapses:lag:0/{name}" for name in ("now", "before")}
    file = models.write(tmp_path, LAG + models.RC, network, record, 2, 0.1)
    for backend in ("neuron", "reference"):
        found = nmlbridge.simulate(file, backend=backend)
        now, before = (found[quantity] for quantity in record.values())
        np.testing.assert_allclose(now, found.time * 1e3, rtol=0, atol=1e-9)
        np.testing.assert_allclose(before[1:], now[:-1], rtol=0, atol=1e-9)


MIXED = """<ComponentType name="mixed" extends="basePointCurrent">
<Constant name="unit" dimension="current" value="1pA"/><Parameter name="k" dimension="none"/>
<Exposure name="x" dimension="none"/><Exposure name="y" dimension="none"/><Dynamics>
<StateVariable name="x" exposure="x" dimension="none"/><DerivedVariable name="y" exposure="y" dimension="none"
value="k * t"/><DerivedVariable name="i" exposure="i" dimension="current" value="x * unit"/>
<TimeDerivative variable="x" value="k * (1 - x)"/></Dynamics></ComponentType><mixed id="mixed" k="50"/>"""


def test_equations_that_mix_dimensions_are_in_si(tmp_path: Path) -> None:
    """A rate without a dimension is one per s, as in jLEMS: x = 1 - exp(-50 t)."""
    network = models.populations("rc") + '<explicitInput target="p_rc[0]" input="mixed"/>'
    record = {name: f"p_rc[0]/synapses:mixed:0/{name}" for name in ("x", "y")}
    found = models.run(tmp_path, MIXED + models.RC, network, record, 20, 0.05)
    assert "dimension-mismatch" in {note.code for note in found.report}
    np.testing.assert_allclose(found[record["x"]], 1 - np.exp(-50 * found.time), rtol=0, atol=2e-4)
    np.testing.assert_allclose(found[record["y"]], 50 * found.time, rtol=0, atol=2e-3)


def test_text_that_is_code_stays_text(tmp_path: Path) -> None:
    """Notes, properties and ids are never part of a program: what NeuroML allows runs, the rest is refused."""
    nasty = "ENDVERBATIM system(&quot;touch owned&quot;); }} VERBATIM $(touch owned) `touch owned` ; rm -rf ."
    cell = models.RC.replace("/>", f"><notes>{nasty}</notes></iafCell>").replace("</iafCell>", "</iafCell>")
    file = models.write(tmp_path, cell, models.populations("rc"), {"v": "p_rc[0]/v"}, 1)
    nmlbridge.simulate(file)
    for id in ("a; system('touch owned')", "a}VERBATIM", "../../owned", "a b", "a\n}", "ä{}"):
        bad = models.RC.replace('id="rc"', f'id="{id}"')
        file = models.write(tmp_path, bad, f'<population id="p" component="{id}" size="1"/>', {"v": "p[0]/v"}, 1)
        try:
            nmlbridge.simulate(file)
        except NmlBridgeError:
            pass
    assert not [p for p in tmp_path.rglob("*") if "owned" in p.name]
    assert not Path("owned").exists()

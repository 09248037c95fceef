"""Dimensions are inferred through expressions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nmlbridge.lems import FlatComponent
from nmlbridge.lems.dimensions import check_dimensions

Flat = Callable[..., FlatComponent]

TYPE = """<ComponentType name="probe">
 <Parameter name="U" dimension="voltage"/><Parameter name="g" dimension="conductance"/>
 <Constant name="MS" dimension="time" value="1ms"/><Requirement name="v" dimension="voltage"/>
 <Dynamics><StateVariable name="s" dimension="voltage"/>
 <DerivedVariable name="x" dimension="{dimension}" value="{value}"/>
 {more}</Dynamics></ComponentType><probe id="p" U="1mV" g="1nS"/>"""


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        ("current", "g * (U - v)"),
        ("none", "exp(-(v - U)/U) * 3^2 + H(v)"),
        ("voltage", "0"),
        ("voltage", "v * (v .gt. 0 .and. v .lt. U)"),
        ("voltage", "abs(v) + random(U)"),
        ("none", "v^2/(U*U)"),
        ("voltage", "sqrt(v*U)"),
        ("time", "t - MS"),
        ("none", "2^(v/U)"),
    ],
)
def test_agreement(flat: Flat, dimension: str, value: str) -> None:
    assert check_dimensions(flat(TYPE.format(dimension=dimension, value=value, more=""), "p")) == []


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        ("current", "g * U * U"),
        ("none", "exp(v)"),
        ("voltage", "v + 1"),
        ("voltage", "v - t"),
        ("none", "2^v"),
        ("voltage", "v^0.5"),
        ("voltage", "sqrt(v)"),
        ("none", "v .gt. 3"),
        ("none", "v"),
    ],
)
def test_disagreement(flat: Flat, dimension: str, value: str) -> None:
    problems = check_dimensions(flat(TYPE.format(dimension=dimension, value=value, more=""), "p"))
    assert [problem.where for problem in problems] == ["x"]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ('<TimeDerivative variable="s" value="U"/>', "d(s)/dt"),
        ('<OnStart><StateAssignment variable="s" value="1"/></OnStart>', "OnStart, s"),
        ('<OnCondition test="v .gt. 1"><StateAssignment variable="s" value="0"/></OnCondition>', "OnCondition"),
        ('<OnCondition test="v .gt. U"><StateAssignment variable="s" value="t"/></OnCondition>', "OnCondition, s"),
    ],
)
def test_all_parts_are_looked_at(flat: Flat, more: str, where: str) -> None:
    (problem,) = check_dimensions(flat(TYPE.format(dimension="none", value="1", more=more), "p"))
    assert problem.where == where
    assert str(problem).startswith(where)

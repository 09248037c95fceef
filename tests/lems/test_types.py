"""What a ComponentType inherits and what it does not."""

from __future__ import annotations

import pytest

from nmlbridge.errors import LemsError
from nmlbridge.lems import ComponentType, Library
from nmlbridge.lems.core import parse_xml
from nmlbridge.lems.expression import parse
from nmlbridge.report import Report

BASE = """
<Dimension name="voltage" m="1" l="2" t="-3" i="-1"/><Dimension name="time" t="1"/>
<Unit symbol="mV" dimension="voltage" power="-3"/>
<ComponentType name="base">
  <Parameter name="p" dimension="voltage"/><DerivedParameter name="d" dimension="voltage" value="2*p"/>
  <Constant name="c" dimension="voltage" value="3mV"/><Property name="w" dimension="none" defaultValue="1"/>
  <Requirement name="r" dimension="voltage"/><Exposure name="x" dimension="none"/>
  <EventPort name="in" direction="in"/><EventPort name="out" direction="out"/>
  <Child name="one" type="base"/><Children name="many" type="base"/>
  <ComponentReference name="ref" type="base"/><Link name="link" type="base"/>
  <Text name="text"/><Path name="path"/>
  <Attachments name="att" type="base"/><InstanceRequirement name="peer" type="base"/>
  <Dynamics><StateVariable name="x" dimension="none" exposure="x"/><TimeDerivative variable="x" value="1"/></Dynamics>
  <Structure><ChildInstance component="ref"/></Structure>
</ComponentType>
"""


def types(text: str, report: Report | None = None, base: str = BASE) -> Library:
    elements = parse_xml(f"<Lems>{base}{text}</Lems>".encode(), "types.xml").children
    return Library().extended(elements, report)


def derived(members: str) -> ComponentType:
    return types(f'<ComponentType name="more" extends="base">{members}</ComponentType>').type("more")


def test_inherited_members() -> None:
    more = derived("")
    assert more.is_a("base")
    assert list(more.parameters) == ["p"]
    assert list(more.derived_parameters) == ["d"]
    assert list(more.constants) == ["c"]
    assert list(more.requirements) == ["r"]
    assert list(more.exposures) == ["x"]
    assert (more.in_ports, more.out_ports) == (("in",), ("out",))
    assert (more.child, more.children) == ({"one": "base"}, {"many": "base"})
    assert list(more.references) == ["ref"]
    assert list(more.links) == ["link"]


def test_members_that_are_not_inherited() -> None:
    more = derived("")
    assert not more.properties
    assert not more.texts
    assert not more.paths
    assert not more.attachments
    assert not more.instance_requirements
    assert not more.structure.instances


def test_dynamics_fall_back_to_the_ancestor() -> None:
    more = derived("")
    assert more.dynamics is not None
    assert [state.name for state in more.dynamics.states] == ["x"]


def test_own_dynamics_even_empty_replace_all_of_the_ancestors() -> None:
    dynamics = derived("<Dynamics/>").dynamics
    assert dynamics is not None
    assert dynamics.empty


def test_super_puts_the_ancestors_dynamics_first() -> None:
    dynamics = derived(
        "<Dynamics><Super/><StateVariable name='y' dimension='none'/>"
        "<TimeDerivative variable='x' value='2'/></Dynamics>"
    ).dynamics
    assert dynamics is not None
    assert [state.name for state in dynamics.states] == ["x", "y"]
    assert [(d.variable, d.value) for d in dynamics.derivatives] == [("x", parse("2"))]


@pytest.mark.parametrize(
    ("member", "where"),
    [
        ('<DerivedParameter name="p" dimension="voltage" value="1*c"/>', "derived_parameters"),
        ('<Constant name="p" dimension="voltage" value="1mV"/>', "constants"),
        ('<Parameter name="c" dimension="voltage"/>', "parameters"),
    ],
)
def test_a_name_is_declared_once(member: str, where: str) -> None:
    more = derived(member)
    name = "c" if where == "parameters" else "p"
    groups = ("parameters", "derived_parameters", "constants")
    assert [group for group in groups if name in getattr(more, group)] == [where]


def test_extends_in_a_circle() -> None:
    library = types('<ComponentType name="a" extends="b"/><ComponentType name="b" extends="a"/>')
    with pytest.raises(LemsError, match=r"types\.xml.*circle: a extends b extends a"):
        library.type("a")


def test_extends_something_unknown() -> None:
    library = types('<ComponentType name="a" extends="basee"/>')
    with pytest.raises(LemsError, match=r"'a' extends an unknown ComponentType 'basee'; did you mean 'base'\?"):
        library.type("a")


def test_a_type_twice() -> None:
    twice = '<ComponentType name="a"/>\n'
    types(twice + twice).type("a")
    with pytest.raises(LemsError, match=r"'a' is defined twice, also at types\.xml:\d+"):
        types(twice + '<ComponentType name="a"><Text name="x"/></ComponentType>')


def test_a_type_of_the_document_replaces_one_of_the_core(core: Library) -> None:
    report = Report()
    element = parse_xml(b'<L><ComponentType name="HHExpRate" extends="baseHHRate"/></L>', "own.xml").children
    library = core.extended(element, report)
    assert library.type("HHExpRate").dynamics is None
    assert core.type("HHExpRate").dynamics is not None
    assert [note.code for note in report] == ["core-type-replaced"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("<Parameter dimension='voltage'/>", "lacks the attribute 'name'"),
        ("<EventPort name='x' direction='up'/>", "direction 'up'"),
        ("<Dynamics><DerivedVariable name='x' value='1 +'/></Dynamics>", "cannot read the expression '1 \\+'"),
        ("<Dynamics><DerivedVariable name='x' select='a[b/x'/></Dynamics>", "cannot read 'a\\[b' in the path"),
        ("<Dynamics><DerivedVariable name='x' select='a/x' reduce='mean'/></Dynamics>", "reduce='mean'"),
        ("<Dynamics><ConditionalDerivedVariable name='x'/></Dynamics>", "has no Case"),
    ],
)
def test_mistakes_name_the_place_and_the_type(members: str, message: str) -> None:
    with pytest.raises(LemsError, match=message) as caught:
        derived(members)
    assert "ComponentType 'more'" in str(caught.value)
    assert caught.value.file == "types.xml"
    assert caught.value.line


def test_unknown_dimension_of_a_unit() -> None:
    with pytest.raises(LemsError, match=r"unknown dimension 'volts'"):
        types('<Unit symbol="u" dimension="volts"/>')


def test_a_unit_defined_twice_and_differently() -> None:
    types('<Unit symbol="mV" dimension="voltage" power="-3"/>')
    with pytest.raises(LemsError, match="'mV' is defined twice"):
        types('<Unit symbol="mV" dimension="voltage" power="-2"/>')


def test_a_constant_without_a_unit_is_in_si_and_known_by_its_symbol() -> None:
    library = types('<Dimension name="pull" l="1" t="-2"/><Constant name="the fall of things" symbol="fall" '
                    'dimension="pull" value="9.8"/>')  # fmt: skip
    assert library.constants["fall"].value == 9.8
    with pytest.raises(LemsError, match=r"'9.8' has no unit; expected a pull \(no Unit is of it\)"):
        library.convert("9.8", library.dimension("pull"))
    with pytest.raises(LemsError, match="'5 s' is a time"):
        types('<Dimension name="time" t="1"/><Unit symbol="s" dimension="time"/><Dimension name="pull" l="1" t="-2"/>'
              '<Constant name="fall" dimension="pull" value="5 s"/>')  # fmt: skip


def test_elements_that_lems_does_not_know_are_losses() -> None:
    report = Report()
    types(
        """<ComponentType name="ball"><Parametre name="g" dimension="none"/><notes>falls</notes><Dynamics>
        <StateVariable name="v" dimension="none"/>
        <TimeDerivativ variable="v" value="1"/>
        <OnCondition test="v .gt. 1"><StateAssignment variable="v" value="0"/><DerivedVariable name="w" value="v"/>
        </OnCondition></Dynamics></ComponentType>
        <ComponentType name="old"><Behavior><StateVariable name="v" dimension="none"/></Behavior></ComponentType>""",
        report,
    )
    assert [(n.code, n.severity) for n in report] == [("unknown-element", "loss")] * 4
    parameter, derivative, derived_variable, behavior = (n.message for n in report)
    assert "<Parametre> in its <ComponentType>" in parameter and "did you mean 'Parameter'" in parameter
    assert "<TimeDerivativ> in its <Dynamics>" in derivative and "did you mean 'TimeDerivative'" in derivative
    assert "<DerivedVariable> in its <OnCondition>" in derived_variable
    assert behavior.endswith("it is 'Dynamics' in LEMS")
    assert all(n.file and n.line for n in report)

"""Elements inside a ComponentType that LEMS does not know: nothing reads them, so a report has to name them."""

from __future__ import annotations

from collections.abc import Iterator

from ..element import Element
from ..report import Report
from ..units import nearest

# what describes a model, or belongs to the running of a Simulation, and is passed over rightly
_WORDS = frozenset({"notes", "annotation", "About", "Meta", "Procedure"})
_CONTENT = frozenset(
    {"DerivedVariable", "ConditionalDerivedVariable", "KineticScheme", "OnCondition", "OnEvent", "OnStart"}
    | {"StateVariable", "TimeDerivative"}
)
_ACTIONS = frozenset({"EventOut", "StateAssignment", "Transition"})
_KNOWN: dict[str, frozenset[str]] = {
    "ComponentType": frozenset(
        {"Attachments", "Child", "Children", "ComponentReference", "ComponentRequirement", "Constant"}
        | {"DerivedParameter", "Dynamics", "EventPort", "Exposure", "Fixed", "IndexParameter", "InstanceRequirement"}
        | {"Link", "Parameter", "Path", "Property", "Requirement", "Simulation", "Structure", "Text"}
    ),
    "Dynamics": _CONTENT | {"Regime", "Super"},
    "Regime": _CONTENT | {"OnEntry"},
    "ConditionalDerivedVariable": frozenset({"Case"}),
    "OnCondition": _ACTIONS,
    "OnEntry": _ACTIONS,
    "OnEvent": _ACTIONS,
    "OnStart": _ACTIONS,
}
_RENAMED = {"Behavior": "Dynamics", "IntegerParameter": "Parameter"}


def note_unknown(kind: Element, report: Report) -> None:
    """Add a loss for each element of a ComponentType's declarations and Dynamics that LEMS does not know there."""
    for parent, child in _unknown(kind):
        known = _KNOWN[parent.tag]
        hint = f"; it is '{_RENAMED[child.tag]}' in LEMS" if child.tag in _RENAMED else nearest(child.tag, known)
        report.add(
            "unknown-element",
            "loss",
            f"the ComponentType '{kind.get('name')}' has a <{child.tag}> in its <{parent.tag}>, which LEMS does not "
            f"know there and which is passed over{hint}",
            file=child.file,
            line=child.line,
        )


def _unknown(parent: Element) -> Iterator[tuple[Element, Element]]:
    for child in parent.children:
        if child.tag not in _KNOWN[parent.tag] and child.tag not in _WORDS:
            yield parent, child
        elif child.tag in _KNOWN:
            yield from _unknown(child)

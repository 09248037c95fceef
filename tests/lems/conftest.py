"""Small models as text, resolved with the core library."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nmlbridge.lems import FlatComponent, Library, Model, flatten, load_core, resolve
from nmlbridge.lems.core import parse_xml
from nmlbridge.report import Report


@pytest.fixture(scope="session")
def core() -> Library:
    """The core library of NeuroML 2."""
    return load_core()


@pytest.fixture
def build(core: Library) -> Callable[..., Model]:
    """build(xml, report) -> Model of the elements inside a root; the file is called model.nml."""

    def make(text: str, report: Report | None = None) -> Model:
        root = parse_xml(f"<neuroml>{text}</neuroml>".encode(), "model.nml")
        return resolve(root.children, core.extended(root.children, report), report)

    return make


@pytest.fixture
def flat(build: Callable[..., Model]) -> Callable[..., FlatComponent]:
    """flat(xml, id, inner) -> the flat component of the top-level one, or of one inside it."""

    def make(text: str, identifier: str, inner: str | None = None) -> FlatComponent:
        model = build(text)
        component = model.component(identifier)
        if inner is not None:
            component = next(part for part in component.iter() if part.id == inner)
        return flatten(component, model.library)

    return make

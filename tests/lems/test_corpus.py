"""Published models: every document resolves, and what is in it flattens into a closed system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nmlbridge.element import Element
from nmlbridge.errors import LemsError
from nmlbridge.lems import Component, Library, Model, flatten, resolve
from nmlbridge.lems.core import FILES, parse_xml
from nmlbridge.report import Report

from .test_core_types import check_closed

BUNDLED = {*FILES, "NeuroML2CoreTypes.xml"}
# Fragments whose ComponentTypes or channels come from the file that includes them (or from nowhere).
FRAGMENTS = (
    "IzhikevichModel/NeuroML2/WhichModel.nml",
    "sonata/shared_components/",
    "PospischilEtAl2008/NeuroML2/channels/",
)
WHOLE = (
    "basePointCurrent basePointCurrentDL baseSpikeSource baseCellMembPot baseCellMembPotDL baseIonChannel baseCell"
).split()
PARTS = ("baseChannelDensity", "baseChannelPopulation", "species", "concentrationModel")


class Reader:
    """Documents with their includes, each file read once."""

    def __init__(self, corpus: Path) -> None:
        self.corpus = corpus
        self.roots: dict[Path, Element] = {}

    def root(self, path: Path) -> Element:
        if path not in self.roots:
            self.roots[path] = parse_xml(path.read_bytes(), str(path.relative_to(self.corpus)))
        return self.roots[path]

    def documents(self) -> Iterator[Path]:
        for path in sorted(self.corpus.rglob("*")):
            if path.suffix in (".xml", ".nml") and path.name not in BUNDLED:
                namespace = self.root(path).get("xmlns") or "neuroml2"
                if self.root(path).tag == "Lems" or (self.root(path).tag == "neuroml" and "neuroml2" in namespace):
                    yield path

    def elements(self, path: Path, seen: set[Path]) -> Iterator[Element]:
        seen.add(path)
        for element in self.root(path).children:
            if element.tag not in ("Include", "include"):
                yield element
                continue
            target = (path.parent / (element.get("file") or element.get("href") or "").replace(" ", "")).resolve()
            known = target.suffix != ".h5" and target.name not in BUNDLED and target not in seen
            if known and target.is_file():
                yield from self.elements(target, seen)


def roots(model: Model) -> Iterator[Component]:
    """What becomes a mechanism: whole components, and the densities and pools inside cells."""
    for top in model.components.values():
        if any(top.is_a(name) for name in WHOLE) and not top.is_a("cell"):
            yield top
        if not top.is_a("network"):
            yield from (part for part in top.iter() if any(part.is_a(name) for name in PARTS))


@pytest.fixture(scope="module")
def models(corpus: Path, core: Library) -> list[tuple[str, Model | LemsError, Report]]:
    reader, found = Reader(corpus), []
    for path in reader.documents():
        elements, report = list(reader.elements(path, set())), Report()
        outcome: Model | LemsError
        try:
            outcome = resolve(elements, core.extended(elements, report), report)
        except LemsError as error:
            outcome = error
        found.append((str(path.relative_to(corpus)), outcome, report))
    return found


def test_every_document_resolves(models: list[tuple[str, Model | LemsError, Report]]) -> None:
    failed = {file: str(outcome) for file, outcome, _ in models if isinstance(outcome, LemsError)}
    assert len(models) > 300
    assert {f: e for f, e in failed.items() if not (f.startswith(FRAGMENTS) and "unknown ComponentType" in e)} == {}


def test_nothing_in_them_is_lost(models: list[tuple[str, Model | LemsError, Report]]) -> None:
    assert [str(note) for _, _, report in models for note in report.losses] == []


def test_everything_flattens(models: list[tuple[str, Model | LemsError, Report]]) -> None:
    done: set[tuple[str, int, str]] = set()
    failed: dict[str, str] = {}
    for file, model, _ in models:
        if isinstance(model, LemsError):
            continue
        for component in roots(model):
            key = (component.file, component.line, component.id)
            if key in done:
                continue
            try:
                check_closed(flatten(component, model.library))
                done.add(key)
            except LemsError as error:
                if not (file.startswith(FRAGMENTS) and "names no component" in str(error)):
                    failed[file] = str(error)
    assert failed == {}
    assert len(done) > 500

"""Is a model right? The schema, and what the schema cannot say: references, ids, units, equations, segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..element import Element
from ..errors import DocumentError, ModelError, NmlBridgeError, placed
from ..graph import Network
from ..graph.morphology import Morphology
from ..lems import Component, Library, Model, flatten, load_core, resolve
from ..lems.dimensions import check_dimensions
from ..report import Report
from .document import Document, read_document
from .schema import schema_problems
from .xml_read import read_tree

SEVERITIES = ("error", "warning")
_GROUPED = frozenset({"segmentGroup", "segmentGroups"})


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong ("error") or doubtful ("warning"), and its place."""

    severity: str
    message: str
    file: str | None = None
    line: int | None = None
    component: str | None = None

    def __str__(self) -> str:
        return f"{self.severity}: {placed(self.message, self.file, self.line, self.component)}"


def validate(path: str | Path) -> list[Problem]:
    """Everything that is wrong with a NeuroML or LEMS file and what it includes; empty if it is valid.

    NeuroML files are held against the newest schema of the installed libNeuroML; then ids, includes, references, units
    and dimensions, the equations of the document's own types, segments and their groups, and the network's cells are
    checked. A file that cannot be read at all is one problem, not an exception. Raises DocumentError only if there is
    no such file.
    """
    if not Path(path).is_file():
        raise DocumentError("there is no such file", file=str(path))
    return _Check(path).run()


class _Check:
    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.problems: list[Problem] = []

    def run(self) -> list[Problem]:
        report = Report()
        try:
            document = read_document(self.path, report)
        except NmlBridgeError as error:
            self.error(error)
            self.schema_alone()
            return self.done()
        for file in document.files:
            if file.kind == "neuroml":
                self.schema(file.path, file.root.file)
        library = self.library(document, report)
        if library is not None:
            errors: list[Any] = []
            model = resolve(document.elements(), library, report, errors)
            model.check(errors)
            for found in errors:
                self.error(found)
            self.equations(model, library, self.own_types(document))
            for component in model.components.values():
                self.cell(component)
            for network in document.networks:
                self.network(network, model)
        for note in report:
            if note.severity == "loss":
                self.problems.append(Problem("warning", note.message, note.file, note.line, note.component))
        return self.done()

    def done(self) -> list[Problem]:
        unique = list(dict.fromkeys(self.problems))
        return sorted(unique, key=lambda p: (SEVERITIES.index(p.severity), p.file or "", p.line or 0))

    def error(self, error: NmlBridgeError) -> None:
        place = (error.file, error.line, error.component) if isinstance(error, ModelError) else (str(self.path),)
        self.problems.append(Problem("error", error.message if isinstance(error, ModelError) else str(error), *place))

    def say(self, place: Element | Component | Network, message: str, component: str | None = None) -> None:
        self.problems.append(Problem("error", message, place.file, place.line, component or None))

    def guard(self, check: Callable[[], Any]) -> None:
        """Run a check that raises what it finds."""
        try:
            check()
        except NmlBridgeError as error:
            self.error(error)

    # the schema ----------------------------------------------------------------------------------------------------

    def schema(self, path: Path, shown: str) -> None:
        for line, message in schema_problems(path):
            self.problems.append(Problem("error", f"schema: {message}", shown, line))

    def schema_alone(self) -> None:
        """The schema's view of a document that cannot be put together, if its XML at least is well-formed."""
        if self.path.suffix.lower() in (".h5", ".hdf5"):
            return
        try:
            root = read_tree(self.path, str(self.path)).root
        except NmlBridgeError:
            return
        if root.tag == "neuroml":
            self.schema(self.path, str(self.path))

    # the language --------------------------------------------------------------------------------------------------

    def library(self, document: Document, report: Report) -> Library | None:
        try:
            library = load_core().extended(document.elements(), report)
        except NmlBridgeError as error:
            self.error(error)
            return None
        for name in sorted(self.own_types(document)):
            self.guard(lambda name=name: library.type(name))  # type: ignore[misc]
        return library

    def own_types(self, document: Document) -> set[str]:
        """The names of the ComponentTypes that the document defines itself."""
        return {e.get("name") or "" for e in document.elements() if e.tag == "ComponentType"}

    def equations(self, model: Model, library: Library, own: set[str]) -> None:
        """The equations of components of the document's own types."""
        for component in model.components.values():
            if component.is_a("Simulation") or component.is_a("network"):
                continue
            names = {name for part in component.iter() for name in own if part.is_a(name)}
            if names:
                self.guard(lambda component=component: self.flat(component, library))  # type: ignore[misc]

    def flat(self, component: Component, library: Library) -> None:
        for problem in check_dimensions(flatten(component, library)):
            self.problems.append(Problem("warning", f"dimensions: {problem}", component.file or None,
                                         component.line or None, component.label))  # fmt: skip

    # cells and networks --------------------------------------------------------------------------------------------

    def cell(self, component: Component) -> None:
        """The morphology of a cell, and the groups and segments that its biophysics names."""
        source = morphology_element(component)
        if source is None:
            if component.type.name == "morphology":
                self.guard(lambda: Morphology.from_element(component.element))
            return
        try:
            morphology = Morphology.from_element(source)
        except NmlBridgeError as error:
            self.error(error)
            return
        biophysics = [child for slot, child in component.children if slot.startswith("biophysicalProperties")]
        for properties in biophysics:
            for element in properties.element.iter():
                group, segment = element.get("segmentGroup"), element.get("segment")
                if group and group != "all" and group not in morphology.groups:
                    self.say(element, f"segmentGroup='{group}' is no group of the cell '{component.id}'",
                             element.get("id") or element.tag)  # fmt: skip
                if segment and not (segment.isdigit() and int(segment) in morphology.row_by_id):
                    self.say(element, f"segment='{segment[:20]}' is no segment of the cell '{component.id}'",
                             element.get("id") or element.tag)  # fmt: skip

    def network(self, network: Network, model: Model) -> None:
        for population in network.populations.values():
            self.needs(model, population.component, "component", population)
        segments = {p.id: _segments(model.lookup(p.component)) for p in network.populations.values()}
        for projection in network.projections:
            for name in (*projection.synapses, *projection.pre_components, *projection.post_components):
                self.needs(model, name, "synapse", projection)
            ends = ((projection.presynaptic, projection.pre_segment, "pre"),
                    (projection.postsynaptic, projection.post_segment, "post"))  # fmt: skip
            for id, column, side in ends:
                self.known_segments(segments[id], column, f"{side}SegmentId", id, projection)
            for fractions, side in ((projection.pre_fraction, "pre"), (projection.post_fraction, "post")):
                self.fractions(fractions, f"{side}FractionAlong", projection)
        for inputs in network.inputs:
            self.needs(model, inputs.component, "component", inputs)
            self.known_segments(segments[inputs.population], inputs.segment, "segmentId", inputs.population, inputs)
            self.fractions(inputs.fraction, "fractionAlong", inputs)

    def needs(self, model: Model, name: str, role: str, owner: Any) -> None:
        if model.lookup(name) is None and not any(p.component == name for p in self.problems):
            self.guard(lambda: _placed(model, name, role, owner))

    def known_segments(self, known: Any, column: Any, name: str, population: str, owner: Any) -> None:
        if known is None or not len(column):
            return
        missing = np.setdiff1d(column, known)
        if len(missing):
            self.problems.append(Problem("error", f"{name}={missing[0]}: the cells of '{population}' have no such "
                                         "segment", owner.file, owner.line, owner.id))  # fmt: skip

    def fractions(self, column: Any, name: str, owner: Any) -> None:
        if len(column) and (float(column.min()) < 0 or float(column.max()) > 1):
            bad = column.min() if column.min() < 0 else column.max()
            self.problems.append(Problem("error", f"{name}={bad:g} lies outside 0..1", owner.file, owner.line,
                                         owner.id))  # fmt: skip


def _placed(model: Model, name: str, role: str, owner: Any) -> None:
    try:
        model.component(name)
    except ModelError as error:
        raise ModelError(f"{role}='{name}': {error.message}", file=owner.file, line=owner.line,
                         component=owner.id) from None  # fmt: skip


def morphology_element(component: Component) -> Element | None:
    """The element of a cell's morphology, its own or one it refers to; None for what has none."""
    for slot, child in component.children:
        if slot == "morphology":
            return child.element
    return None


def _segments(component: Component | None) -> Any:
    """The segment ids of a cell with a morphology; None where they are not known."""
    if component is None:
        return None
    source = morphology_element(component)
    if source is None:
        return np.zeros(1, dtype=np.int64) if not component.is_a("baseCell") else None
    try:
        return Morphology.from_element(source).ids
    except NmlBridgeError:
        return None


def errors_of(problems: list[Problem]) -> Iterator[Problem]:
    """The problems that make a model invalid."""
    return (problem for problem in problems if problem.severity == "error")


__all__ = ["Problem", "errors_of", "validate"]

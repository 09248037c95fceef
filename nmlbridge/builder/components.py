"""The components of a specification as LEMS elements: those written in it, and those of the files it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..element import Element
from ..errors import LemsError, ModelError
from ..graph.native import Native, NativeCell, NativeProcess
from ..lems import Library, load_core
from ..lems.library import same
from ..report import Report
from ..units import Dimension, nearest, parse_quantity
from .cells import cell_element
from .context import Context, Path_
from .evaluate import Column, Evaluator, coherent
from .language import names, parse
from .listed import file_of
from .mods import Mods
from .native_cells import is_native, native_cell
from .segments import NativeShape
from .templates import template_cell
from .vocabulary import (
    Component,
    Exp2Syn,
    ExpSyn,
    FileCell,
    Mechanism,
    NeuronProcess,
    SectionCell,
    SwcCell,
    TemplateCell,
)

_OF_EVENTS = ("baseConductanceBasedSynapse", "baseConductanceBasedSynapseTwo", "baseCurrentBasedSynapse",
              "basePynnSynapse", "doubleSynapse")  # fmt: skip
_OF_VOLTAGE = ("gapJunction", "baseGradedSynapse")
_USUAL = ("mV", "ms", "pA", "nS", "nF", "um", "per_ms", "Hz", "mM", "S_per_cm2", "ohm_cm")
_FREE = frozenset({"notes", "neuroLexId", "metaid", "description"})


class Components:
    """All components by id. ``cells`` maps the names of the specification's cells to component ids.

    ``allow`` as in ``build``; ``celsius`` are the temperatures that the code of templates has set.
    """

    def __init__(self, context: Context, report: Report, allow: Collection[str] = ()) -> None:
        self.context, self.report, self.allow = context, report, allow
        self.mods = Mods.of(context, report)
        self.celsius: dict[str, float] = {}
        self.library: Library = load_core()
        self.elements: list[Element] = []
        self.by_id: dict[str, Element] = {}
        self.cells: dict[str, str] = {}
        self.native: dict[str, Native] = {}
        self.shapes: dict[str, NativeShape] = {}
        self._files: dict[Path, Any] = {}
        model = context.spec.model
        for number, name in enumerate(model.include):
            self._include(name, ("include", number))
        for name, cell in model.cells.items():
            if isinstance(cell, FileCell):
                self._include(cell.file, ("cells", name, "file"))
                id = cell.component or name
                if id not in self.by_id:
                    cells = [i for i, e in self.by_id.items() if "cell" in e.tag.lower()] or list(self.by_id)
                    hint = nearest(id, cells) or f"; there are {', '.join(cells[:8])}"
                    raise context.error(f"'{cell.file}' has no component '{id}'{hint}", "cells", name,
                                        *(("component",) if cell.component else ()))  # fmt: skip
                self.cells[name] = id
        for kind in ("components", "synapses", "cells"):
            # templates last: they get copies of mechanisms that others use with other GLOBALs
            for name, item in sorted(getattr(model, kind).items(), key=lambda each: isinstance(each[1], TemplateCell)):
                path: Path_ = (kind, name)
                if isinstance(item, (ExpSyn, Exp2Syn)):
                    self._native(name, item, path)
                elif isinstance(item, NeuronProcess):
                    self._process(name, item, path)
                elif isinstance(item, TemplateCell):
                    self._only(name, path)
                    self.native[name], self.shapes[name], self.celsius[name] = template_cell(
                        context, name, item, path, self.mods, allow, report
                    )
                elif isinstance(item, (SectionCell, SwcCell)) and is_native(item):
                    self._only(name, path)
                    self.native[name], self.shapes[name] = native_cell(context, name, item, path, self.mods)
                elif isinstance(item, Component):
                    self.add(self.element(name, item.type, item.model_extra or {}, path), path)
                elif not isinstance(item, FileCell):
                    self.add(cell_element(context, name, item, path), path)
                if kind == "cells":
                    self.cells.setdefault(name, name)

    def _include(self, name: str, path: Path_) -> None:
        from ..neuroml import read_document
        from ..neuroml.document import is_network

        found = file_of(self.context.spec, name, *path).resolve()
        if found in self._files:
            return
        document = self._files[found] = read_document(found, self.report)
        self.library = self.library.extended(document.elements(), self.report)
        for element in document.elements():
            if element.tag in ("Target", "Simulation", "notes", "annotation") or is_network(element):
                continue
            self.add(element, path)

    def add(self, element: Element, path: Path_) -> None:
        """One more component. Raises NetworkError if its id is that of another one."""
        id = element.get("id") or element.get("name")
        if id in self.native:
            raise self.context.error(f"a synapse is called '{id}' too; rename one", *path)
        before = self.by_id.get(id) if id else None
        if before is not None:
            if same(before, element):
                return
            where = f" ({before.file}:{before.line})" if before.file else ""
            raise self.context.error(f"another component is called '{id}'{where}; rename one", *path)
        if id and element.get("id"):
            self.by_id[id] = element
        self.elements.append(element)

    def _only(self, name: str, path: Path_) -> None:
        if name in self.by_id or name in self.native:
            raise self.context.error(f"another component is called '{name}'; rename one", *path)

    def _native(self, name: str, item: ExpSyn | Exp2Syn, path: Path_) -> None:
        """A synapse of NEURON's own."""
        self._only(name, path)
        source = self.context.spec.source
        numbers = {word: self.context.number(getattr(item, word), "mV" if word == "e" else "ms", *path, word)
                   for word in type(item).model_fields if word != "neuron"}  # fmt: skip
        for word, number in numbers.items():
            if word != "e" and not number > 0:
                raise self.context.error(f"it is {number:g} ms; it must be more than zero", *path, word)
        self.native[name] = NativeProcess(name, item.neuron, "synapse", numbers, file=source.file,
                                          line=source.line(path))  # fmt: skip

    def _process(self, name: str, item: NeuronProcess, path: Path_) -> None:
        """A synapse, input or artificial cell of a mod file, or an artificial cell of NEURON's own."""
        self._only(name, path)
        source = self.context.spec.source
        kind = {"synapses": "synapse", "components": "input", "cells": "source"}[str(path[0])]
        header = self.mods.header(item.neuron, ("ARTIFICIAL_CELL" if kind == "source" else "POINT_PROCESS",), *path,
                                  "neuron")  # fmt: skip
        if kind == "synapse" and not header.receives:
            raise self.context.error(f"no events can arrive at '{item.neuron}': it has no NET_RECEIVE; state it under "
                                     "components, and a stimulus of type component", *path, "neuron")  # fmt: skip
        values = {word: self.context.number(value, self.mods.parameter(header, word, *path, word), *path, word)
                  for word, value in (item.model_extra or {}).items()}  # fmt: skip
        self.native[name] = NativeProcess(name, item.neuron, kind, values, file=source.file, line=source.line(path))

    def has_sections(self, id: str) -> bool:
        """Whether a component is a cell with sections."""
        element = self.by_id.get(id)
        if element is None:
            return isinstance(self.native.get(id), NativeCell)
        return element.find("morphology") is not None or element.get("morphology") is not None

    def check_channels(self) -> None:
        """Cells that are written out have channels that there are."""
        for name, cell in self.context.spec.model.cells.items():
            if not isinstance(cell, (SectionCell, SwcCell)) or name in self.native:
                continue
            for label, mechanism in cell.biophysics.mechanisms.items():
                assert isinstance(mechanism, Mechanism)
                if mechanism.channel not in self.by_id:
                    hint = nearest(mechanism.channel, self.by_id) or f"; there are {', '.join(sorted(self.by_id))}"
                    raise self.context.error(f"there is no component '{mechanism.channel}'{hint}", "cells", name,
                                             "biophysics", "mechanisms", label, "channel")  # fmt: skip

    def check_synapses(self) -> None:
        """Synapses that wait for events are in rules of kind chemical, others are not."""
        for name, rule in self.context.spec.model.connections.items():
            named = rule.synapse if rule.synapse is not None else self.context.spec.model.defaults.synapse
            synapses = [(("synapse",), named)] if not isinstance(named, list) else [
                (("synapse", number), one) for number, one in enumerate(named)]  # fmt: skip
            for path, id in (*synapses, (("from_synapse",), rule.from_synapse)):
                element = self.by_id.get(id) if id is not None else None
                kind = None if element is None else element.get("type") or element.tag
                if kind is None or not self.library.has_type(kind):
                    continue
                found = self.library.type(kind)
                if rule.kind != "chemical" and any(found.is_a(each) for each in _OF_EVENTS):
                    raise self.context.error(
                        f"'{id}' is a {kind}, which waits for events; a rule of kind {rule.kind} needs a "
                        f"{'gapJunction' if rule.kind == 'electrical' else 'gradedSynapse'} or its like",
                        "connections", name, *path)  # fmt: skip
                if rule.kind == "chemical" and any(found.is_a(each) for each in _OF_VOLTAGE):
                    other = "electrical" if found.is_a("gapJunction") else "continuous"
                    raise self.context.error(f"'{id}' is a {kind}, which no event reaches; say kind: {other}",
                                             "connections", name, *path)  # fmt: skip

    def made(self, id: str, type: str, values: Mapping[str, str], path: Path_, children: list[Element] | None = None
             ) -> str:  # fmt: skip
        """A component that building itself needs; its id."""
        source = self.context.spec.source
        self.add(
            Element(type, {"id": id, **values}, children, file=source.file or "", line=source.line(path) or 0), path
        )
        return id

    def element(self, id: str | None, tag: str, values: Mapping[str, Any], path: Path_, type: str | None = None
                ) -> Element:  # fmt: skip
        """An element from plain values: words are attributes, mappings children."""
        source = self.context.spec.source
        kind = type or tag
        known = self.library.type(kind) if self.library.has_type(kind) else None
        if known is None and id is not None:
            raise self.context.error(f"there is no ComponentType '{kind}'{nearest(kind, self.library.type_names)}",
                                     *path, "type")  # fmt: skip
        element = Element(
            tag, {"id": id} if id is not None else {}, file=source.file or "", line=source.line(path) or 0
        )
        for word, value in values.items():
            if word == "type" and id is None:
                element.attributes["type"] = str(value)
                continue
            if known is not None:
                self._known(known, word, value, (*path, word))
            if isinstance(value, Mapping):
                element.children.append(self._child(known, word, value, (*path, word)))
            elif isinstance(value, list):
                for number, part in enumerate(value):
                    if not isinstance(part, Mapping):
                        raise self.context.error("expected mappings in the list", *path, word, number)
                    element.children.append(self._child(known, word, part, (*path, word, number)))
            elif value is None or isinstance(value, bool):
                raise self.context.error("expected a number with a unit, a formula or a word", *path, word)
            else:
                element.attributes[word] = self.text(value, known, word, (*path, word))
        missing = [] if known is None else [
            name for name, parameter in known.parameters.items()
            if name not in values and parameter.default is None and name not in known.fixed
        ]  # fmt: skip
        if missing and id is not None:
            raise self.context.error(f"a {kind} needs {', '.join(missing)} too", *path)
        return element

    def _child(self, known: Any, word: str, value: Mapping[str, Any], path: Path_) -> Element:
        slot = None if known is None else known.child.get(word) or known.children.get(word)
        kind = str(value["type"]) if "type" in value else slot
        if kind is None and self.library.has_type(word):
            kind = word
        return self.element(None, word, value, path, kind or word)

    def _known(self, type: Any, word: str, value: Any, path: Path_) -> None:
        slots = {*type.child, *type.children, *type.references, *type.links, *type.texts, *type.parameters, *type.paths,
                 *type.attachments}  # fmt: skip
        if word in slots or word in _FREE or word == "id":
            return
        children = [t for t in (*type.children.values(), *type.child.values()) if self.library.has_type(t)]
        first = value[0] if isinstance(value, list) and value else value
        kind = str(first.get("type", word)) if isinstance(first, Mapping) else word
        if self.library.has_type(kind) and any(self.library.type(kind).is_a(t) for t in children):
            return
        hint = nearest(word, slots) or f"; there are {', '.join(sorted(slots))}"
        raise self.context.error(f"a {type.name} has no '{word}'{hint}", *path)

    def text(self, value: Any, type: Any, word: str, path: Path_) -> str:
        """An attribute's text: a quantity or word as it is, the result of a formula as a quantity."""
        if not isinstance(value, str):
            number = f"{value!r}"
            parameter = None if type is None else type.parameters.get(word)
            if parameter is not None and parameter.dimension not in ("none", "*") and value != 0:
                units = [u.symbol for u in self.library.units.values()
                         if u.dimension == self.library.dimension(parameter.dimension)]  # fmt: skip
                unit = next((u for u in _USUAL if u in units), units[0] if units else "")
                raise self.context.error(f"{number} has no unit; expected a {parameter.dimension}, such as "
                                         f"'{number} {unit}'", *path)  # fmt: skip
            return number
        numeric = type is None or word in type.parameters or not (
            word in type.texts or word in type.references or word in type.links or word in type.paths)  # fmt: skip
        try:
            parse_quantity(value, self.library.units)
            return value
        except LemsError:
            pass
        try:
            used = names(parse(value))
        except LemsError as error:
            if type is not None and word in type.parameters:
                raise self.context.error(error.message, *path) from None
            return value
        needed = type is not None and word in type.parameters
        if not numeric or not (needed or (used and used <= set(self.context.parameters))):
            return value
        evaluator = Evaluator(self.context.named, lambda: self.context.parameters, 1, tables=self.context.tables)
        try:
            return self._quantity(evaluator.value(parse(value)), None if type is None else type.parameters.get(word))
        except ModelError as error:
            raise self.context.error(error.message, *path) from None

    def _quantity(self, column: Column, parameter: Any) -> str:
        value, dimension = float(column.values), column.dimension
        if not np.isfinite(value):
            raise LemsError(f"it is {value}; expected a finite number")
        wanted = (
            None if parameter is None or parameter.dimension == "*" else self.library.dimension(parameter.dimension)
        )
        if wanted is not None and dimension != wanted:
            name = self.library.dimension_name(dimension) if isinstance(dimension, Dimension) else "number"
            raise LemsError(f"it is a {name}; expected a "
                            f"{parameter.dimension}")  # fmt: skip
        if not isinstance(dimension, Dimension) or dimension.dimensionless:
            return repr(value)
        return quantity_text(value, dimension, self.library)


def quantity_text(value: float, dimension: Any, library: Library) -> str:
    """A value of the coherent system as text with a unit: the one in which the number is shortest."""
    si = value * coherent(dimension)
    texts = [f"{float(f'{unit.from_si(si):.15g}')!r} {unit.symbol}" for unit in library.units.values()
             if unit.dimension == dimension]  # fmt: skip
    if not texts:
        raise LemsError(f"there is no unit for the dimension {dimension}")
    return min(texts, key=len)

"""What differs between two models, not between two texts.

The order of attributes and of components, the spelling of references, of numbers ("0.10", "1e-1") and of quantities
(10mV, 0.01 V) do not matter; notes and annotations do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..element import Element
from ..errors import LemsError
from ..graph import InputList, Network, Population, Projection
from ..lems import load_core
from ..units import Unit, parse_quantity

_NUMBER = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
_QUANTITY = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*[A-Za-z_]\w*\s*$")
_IGNORED = frozenset({"Include", "include", "Target"})
_LAYOUT = frozenset({"rows"})
_Tables = Sequence[Projection | InputList]


@dataclass(frozen=True)
class Difference:
    """One difference: where, and what each side has there ("" for nothing)."""

    path: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.path}: {self.a or 'nothing'} | {self.b or 'nothing'}"


def diff(a: str | Path | Network, b: str | Path | Network, *, tolerance: float = 0.0) -> list[Difference]:
    """All differences between two models; an empty list if they are the same.

    ``tolerance`` is relative, for numbers in columns and attributes. Paths may be XML or HDF5. Raises ModelError if one
    cannot be read.
    """
    return _Diff(tolerance).run(_network(a), _network(b))


def _network(source: str | Path | Network) -> Network:
    if isinstance(source, Network):
        return source
    from .formats import read_xml

    return read_xml(source)


class _Diff:
    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.units: Mapping[str, Unit] = load_core().units
        self.found: list[Difference] = []

    def run(self, a: Network, b: Network) -> list[Difference]:
        one, two = self.by_id(a.components), self.by_id(b.components)
        for id in [*one, *(i for i in two if i not in one)]:
            self.elements(id, one.get(id), two.get(id))
        first = {str(n.id): n for n in (a, *a.others) if n.id is not None}
        second = {str(n.id): n for n in (b, *b.others) if n.id is not None}
        for id in [*first, *(i for i in second if i not in first)]:
            if id not in first or id not in second:
                self.say(id, "network" if id in first else "", "network" if id in second else "")
            else:
                self.networks(first[id], second[id])
        return self.found

    def say(self, path: str, a: object, b: object) -> None:
        self.found.append(Difference(path, str(a)[:120], str(b)[:120]))

    def by_id(self, elements: list[Element]) -> dict[str, Element]:
        result: dict[str, Element] = {}
        for element in elements:
            if element.tag not in _IGNORED:
                key = element.get("id") or element.get("name") or element.get("symbol") or element.tag
                number, name = 2, f"{element.tag} {key}"
                while name in result:
                    name, number = f"{element.tag} {key} ({number})", number + 1
                result[name] = element
        return result

    def elements(self, path: str, a: Element | None, b: Element | None) -> None:
        if a is None or b is None:
            self.say(path, "" if a is None else f"<{a.tag}>", "" if b is None else f"<{b.tag}>")
            return
        if a.raw is not None and b.raw is not None:
            if _plain(a) != _plain(b):
                self.say(path, "other text", "other text")
            return
        if a.tag != b.tag:
            self.say(path, f"<{a.tag}>", f"<{b.tag}>")
            return
        for name in [*a.attributes, *(n for n in b.attributes if n not in a.attributes)]:
            x, y = a.attributes.get(name), b.attributes.get(name)
            if x is None or y is None or not self.same(x, y):
                self.say(f"{path}@{name}", "" if x is None else x, "" if y is None else y)
        if a.text.split() != b.text.split():
            self.say(path, a.text.strip(), b.text.strip())
        one, two = self.by_id(a.children), self.by_id(b.children)
        for id in [*one, *(i for i in two if i not in one)]:
            self.elements(f"{path}/{id}", one.get(id), two.get(id))

    def same(self, x: str, y: str) -> bool:
        if x == y:
            return True
        if _NUMBER.match(x) and _NUMBER.match(y):
            return self.near(float(x), float(y))
        if _QUANTITY.match(x) and _QUANTITY.match(y):
            try:
                (u, one), (v, two) = parse_quantity(x, self.units), parse_quantity(y, self.units)
            except LemsError:
                return False
            return one == two and self.near(u, v, 1e-15)
        return False

    def near(self, x: float, y: float, least: float = 0.0) -> bool:
        return x == y or abs(x - y) <= max(self.tolerance, least) * max(abs(x), abs(y))

    def networks(self, a: Network, b: Network) -> None:
        path = f"network {a.id}"
        if a.temperature != b.temperature and (
            a.temperature is None or b.temperature is None or not self.near(a.temperature, b.temperature, 1e-14)
        ):
            self.say(f"{path}@temperature", a.temperature, b.temperature)
        self.mapping(path, a.attributes, b.attributes)
        self.extras(path, a.extra, b.extra)
        for id in [*a.populations, *(i for i in b.populations if i not in a.populations)]:
            one, two = a.populations.get(id), b.populations.get(id)
            if one is None or two is None:
                self.say(f"{path}/{id}", one or "", two or "")
            else:
                self.populations(f"{path}/{id}", one, two)
        pairs: tuple[tuple[_Tables, _Tables], ...] = ((a.projections, b.projections), (a.inputs, b.inputs))
        for left, right in pairs:
            first = {_key(item, row): item for row, item in enumerate(left)}
            second = {_key(item, row): item for row, item in enumerate(right)}
            for id in [*first, *(i for i in second if i not in first)]:
                x, y = first.get(id), second.get(id)
                if x is None or y is None:
                    self.say(f"{path}/{id}", x or "", y or "")
                else:
                    self.tables(f"{path}/{id}", x, y)

    def mapping(self, path: str, a: Mapping[str, str], b: Mapping[str, str]) -> None:
        for name in [*a, *(n for n in b if n not in a)]:
            if name not in _LAYOUT and not (name in a and name in b and self.same(a[name], b[name])):
                self.say(f"{path}@{name}", a.get(name, ""), b.get(name, ""))

    def extras(self, path: str, a: list[Element], b: list[Element]) -> None:
        one, two = self.by_id(a), self.by_id(b)
        for id in [*one, *(i for i in two if i not in one)]:
            self.elements(f"{path}/{id}", one.get(id), two.get(id))

    def populations(self, path: str, a: Population, b: Population) -> None:
        if a.component != b.component:
            self.say(f"{path}@component", a.component, b.component)
        self.mapping(path, a.properties, b.properties)
        self.extras(path, a.extra, b.extra)
        self.column(f"{path}@instances", a.instance_ids, b.instance_ids)
        self.column(f"{path}@positions", a.positions, b.positions)

    def tables(self, path: str, a: Projection | InputList, b: Projection | InputList) -> None:
        for name in ("kind", "presynaptic", "postsynaptic", "component", "population", "origin"):
            x, y = getattr(a, name, None), getattr(b, name, None)
            if x != y:
                self.say(f"{path}@{name}", x, y)
        self.mapping(path, a.attributes, b.attributes)
        self.extras(path, a.extra, b.extra)
        one, two = a.columns(), b.columns()
        for name in ("synapse", "pre_component", "post_component"):
            if name in one and name in two:
                one[name], two[name] = _spelled(a, name), _spelled(b, name)
        defaults = {"weight": 1.0, "delay": 0.0}
        for name in one:
            x, y = one[name], two.get(name)
            if name in defaults and (x is None) != (y is None):
                count = len(a)
                x = np.full(count, defaults[name]) if x is None else x
                y = np.full(len(b), defaults[name]) if y is None else y
            self.column(f"{path}@{name}", x, y)

    def column(self, path: str, a: Any, b: Any) -> None:
        if a is None and b is None:
            return
        if a is None or b is None or len(a) != len(b):
            self.say(path, "" if a is None else f"{len(a)} rows", "" if b is None else f"{len(b)} rows")
            return
        if a.dtype.kind == "f" and self.tolerance:
            unlike = ~np.isclose(a, b, rtol=self.tolerance, atol=0.0)
        else:
            unlike = np.asarray(a != b)
        if unlike.any():
            rows = np.unique(np.nonzero(unlike)[0])
            row = int(rows[0])
            self.say(path, f"{a[row]} in row {row} ({len(rows)} rows differ)", b[row])


def _plain(element: Element) -> str:
    """Source text without the blanks between elements."""
    return re.sub(r">\s+<", "><", re.sub(r"\s+", " ", element.raw or "")).strip()


def _key(item: Projection | InputList, row: int) -> str:
    single = item.origin not in ("projection", "electricalProjection", "continuousProjection", "inputList")
    return f"{item.origin} {row if single else item.id}"


def _spelled(item: Projection | InputList, name: str) -> Any:
    """The names behind an index column."""
    plural = {"synapse": "synapses", "pre_component": "pre_components", "post_component": "post_components"}[name]
    values, index = getattr(item, plural, ()), getattr(item, name, None)
    if index is None or not values:
        return np.zeros(0)
    return np.asarray(values)[index]

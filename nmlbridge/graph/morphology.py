"""Morphology: the segments of a cell as columns, and its groups as selections of rows.

Source: NeuroML 2.3.1 schema, types Morphology, Segment and SegmentGroup. A proximal point that is not given is the
point at ``fractionAlong`` of the parent. Groups may be built from members, other groups, paths (from a segment to one
of its descendants) and subtrees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..errors import NetworkError
from .columns import Floats, Ints, frozen

MAX_DEPTH = 200
MAX_DIVISIONS = 32767  # what NEURON can divide a section into
CABLE = "sao864921383"  # neuroLexId of an unbranched, non-overlapping group: one section


@dataclass(frozen=True)
class InhomogeneousParameter:
    """A coordinate along a group: ``variable`` names the path length from the root (um), moved and scaled as stated."""

    id: str
    variable: str
    metric: str
    translation_start: float | None = None
    normalization_end: float | None = None


@dataclass(frozen=True)
class SegmentGroup:
    """A selection of segments: sorted rows of the morphology."""

    id: str
    rows: Ints
    neuro_lex_id: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    inhomogeneous: tuple[InhomogeneousParameter, ...] = ()

    @property
    def is_cable(self) -> bool:
        """Whether it is marked as one unbranched cable."""
        return self.neuro_lex_id == CABLE

    @property
    def divisions(self) -> int:
        """Into how many compartments the cable is to be divided (property numberInternalDivisions), 1 if not said."""
        return divisions_of(self.properties.get("numberInternalDivisions", "1"))


@dataclass(frozen=True, eq=False)
class Morphology:
    """Segments in an order in which parents come before their children.

    ``ids`` (n,), ``parent`` rows (n,), -1 for the root; ``proximal`` and ``distal`` (n, 4): x, y, z, diameter in um;
    ``fraction`` (n,): where on its parent a segment begins; ``implicit`` (n,): whether its proximal was not given.
    """

    id: str
    ids: Ints
    names: tuple[str, ...]
    parent: Ints
    fraction: Floats
    proximal: Floats
    distal: Floats
    implicit: npt.NDArray[np.bool_]
    groups: dict[str, SegmentGroup]
    first: int = 0
    """the segment id that stands first in the document"""

    @classmethod
    def from_element(cls, element: Element) -> Morphology:
        """Read a ``<morphology>``. Raises NetworkError with file and line for what does not fit together."""
        return _read(element)

    @property
    def root(self) -> int:
        """The id of the root segment."""
        return int(self.ids[0])

    @cached_property
    def row_by_id(self) -> dict[int, int]:
        """Segment id to row."""
        return {int(id): row for row, id in enumerate(self.ids)}

    @cached_property
    def length(self) -> Floats:
        """Lengths of the segments (n,) in um; 0 for a spherical one."""
        return np.asarray(np.linalg.norm(self.distal[:, :3] - self.proximal[:, :3], axis=1))

    @cached_property
    def area(self) -> Floats:
        """Lateral areas (n,) in um2: of the frustum, or of the sphere for a spherical segment."""
        a, b = self.proximal[:, 3] / 2, self.distal[:, 3] / 2
        frustum = np.pi * (a + b) * np.sqrt(self.length**2 + (a - b) ** 2)
        return np.where(self.length == 0, np.pi * self.distal[:, 3] ** 2, frustum)

    @cached_property
    def start(self) -> Floats:
        """Path lengths (n,) in um from the proximal end of the root to the proximal end of each segment."""
        distance = np.zeros(len(self.ids))
        for row in range(len(self.ids)):
            parent = int(self.parent[row])
            if parent >= 0:
                distance[row] = distance[parent] + self.fraction[row] * self.length[parent]
        return distance

    def group(self, id: str | None) -> SegmentGroup:
        """A group by id; ``None`` and "all" mean every segment. Raises KeyError."""
        if id in (None, "", "all") and "all" not in self.groups:
            return SegmentGroup("all", frozen(np.arange(len(self.ids)), np.int64))
        return self.groups[id or "all"]

    def __repr__(self) -> str:
        return (
            f"<Morphology {self.id}: {len(self.ids)} segments, {len(self.groups)} groups, "
            f"{self.area.sum():.4g} um2, {self.length.sum():.4g} um>"
        )


def by_length_constant(length: Any, diameter: Any, resistivity: float, capacitance: float) -> int:
    """How many compartments (an odd number) let each be a tenth of the length constant at 100 Hz at most.

    ``length`` and ``diameter`` of the pieces of a cable (um), ohm cm, uF/cm2. Hines & Carnevale 2001, doi
    10.1177/107385840100700207.
    """
    constant = 1e5 * np.sqrt(np.asarray(diameter, float) / (4 * np.pi * 100.0 * resistivity * capacitance))
    return int((float((np.asarray(length, float) / constant).sum()) / 0.1 + 0.9) / 2) * 2 + 1


def divisions_of(text: str) -> int:
    """The number of compartments that a numberInternalDivisions states; 1 if it states none.

    Raises ValueError if it is more than NEURON can divide a section into.
    """
    try:
        value = float(text)
    except ValueError:
        return 1
    if value > MAX_DIVISIONS:
        raise ValueError
    return int(value) if value >= 1 else 1


def _refuse(element: Element, message: str) -> Any:
    raise NetworkError(message, file=element.file, line=element.line, component=element.get("id") or element.tag)


_LARGEST = 1e9  # um, a kilometre; squares and sums of such numbers are still numbers


def _number(element: Element, name: str, default: float | None = None) -> float:
    text = element.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        _refuse(element, f"{name}='{(text or '')[:40]}' of <{element.tag}> is not a number")
    if not np.isfinite(value):
        _refuse(element, f"{name}='{text}' of <{element.tag}> is not finite")
    if abs(value) > _LARGEST:
        _refuse(element, f"{name}='{text}' of <{element.tag}> is beyond {_LARGEST:g}, larger than any cell")
    return value


def _whole(element: Element, name: str) -> int:
    value = _number(element, name)
    if value != int(value):
        _refuse(element, f"{name}='{element.get(name)}' of <{element.tag}> is not a whole number")
    return int(value)


def _point(element: Element) -> list[float]:
    return [_number(element, name) for name in ("x", "y", "z", "diameter")]


def _read(element: Element) -> Morphology:
    sources: dict[int, Element] = {}
    parents: dict[int, int | None] = {}
    fractions: dict[int, float] = {}
    for segment in element.findall("segment"):
        id = _whole(segment, "id")
        if id in sources:
            _refuse(segment, f"the segment id {id} is used twice; ids must differ")
        sources[id] = segment
        link = segment.find("parent")
        parents[id] = None if link is None else _whole(link, "segment")
        fractions[id] = 1.0 if link is None else _number(link, "fractionAlong", 1.0)
    if not sources:
        _refuse(element, "the morphology has no segments")
    order = _sorted(sources, parents)
    row_of = {id: row for row, id in enumerate(order)}
    count = len(order)
    proximal, distal = np.zeros((count, 4)), np.zeros((count, 4))
    implicit = np.zeros(count, dtype=bool)
    parent = np.full(count, -1, dtype=np.int64)
    fraction = np.ones(count)
    for row, id in enumerate(order):
        segment = sources[id]
        far, near = segment.find("distal"), segment.find("proximal")
        if far is None:
            _refuse(segment, f"segment {id} has no <distal> point")
        assert far is not None
        distal[row] = _point(far)
        above = parents[id]
        if above is not None:
            parent[row], fraction[row] = row_of[above], fractions[id]
        if near is not None:
            proximal[row] = _point(near)
        elif above is not None:
            implicit[row] = True
            p, f = int(parent[row]), fraction[row]
            proximal[row] = (1 - f) * proximal[p] + f * distal[p]
        else:
            _refuse(segment, f"segment {id} has neither <proximal> nor <parent>; its beginning is not known")
    groups = _groups(element, row_of, parent)
    names = tuple(sources[id].get("name") or f"segment{id}" for id in order)
    return Morphology(
        element.get("id") or "morphology", frozen(np.array(order), np.int64), names, frozen(parent, np.int64),
        frozen(fraction, float), frozen(proximal, float), frozen(distal, float), frozen(implicit, bool), groups,
        next(iter(sources)),
    )  # fmt: skip


def _sorted(sources: dict[int, Element], parents: dict[int, int | None]) -> list[int]:
    """Ids with parents first; otherwise in document order."""
    order: list[int] = []
    state: dict[int, bool] = {}
    for start in sources:
        chain: list[int] = []
        id: int | None = start
        while id is not None and id not in state:
            if id not in sources:
                _refuse(sources[chain[-1]], f"segment {chain[-1]} has parent {id}, which is not there")
            if id in chain:
                _refuse(sources[id], f"segment {id} is its own ancestor")
            chain.append(id)
            id = parents[id]
        for found in reversed(chain):
            state[found] = True
            order.append(found)
    roots = [id for id in sources if parents[id] is None]
    if len(roots) != 1:
        _refuse(sources[roots[1]], f"segments {roots[0]} and {roots[1]} both have no parent; a cell has one root")
    if order[0] != roots[0]:
        order.sort(key=lambda id: id != roots[0])  # stable: the root, then the others as they were
    return order


def _groups(element: Element, row_of: dict[int, int], parent: Ints) -> dict[str, SegmentGroup]:
    sources = {}
    for source in element.findall("segmentGroup"):
        id = source.get("id") or _refuse(source, "the segment group has no id")
        if id in sources:
            _refuse(source, f"the segment group id '{id}' is used twice; ids must differ")
        sources[id] = source
    done: dict[str, set[int]] = {}

    def row(source: Element, name: str = "segment") -> int:
        id = _whole(source, name)
        if id not in row_of:
            _refuse(source, f"<{source.tag}> refers to segment {id}, which is not there")
        return row_of[id]

    def rows(id: str, open_: tuple[str, ...], by: Element) -> set[int]:
        if id in done:
            return done[id]
        if id == "all" and id not in sources:
            return set(row_of.values())
        if id not in sources:
            _refuse(by, f"segmentGroup='{id}' is not there")
        if id in open_:
            _refuse(sources[id], f"the segment group '{id}' includes itself")
        if len(open_) > MAX_DEPTH:
            _refuse(sources[id], f"more than {MAX_DEPTH} segment groups include each other in a row")
        found: set[int] = set()
        for part in sources[id].children:
            if part.tag == "member":
                found.add(row(part))
            elif part.tag == "include":
                found |= rows(part.get("segmentGroup") or "", (*open_, id), part)
            elif part.tag == "path":
                found |= _path(part, row, parent)
            elif part.tag == "subTree":
                found |= _subtree(part, row, parent)
        done[id] = found
        return found

    groups = {}
    for id, source in sources.items():
        selected = frozen(np.array(sorted(rows(id, (), source)), dtype=np.int64), np.int64)
        groups[id] = SegmentGroup(
            id, selected, source.get("neuroLexId"), _properties(source),
            tuple(_inhomogeneous(e) for e in source.findall("inhomogeneousParameter")),
        )  # fmt: skip
    return groups


def _path(part: Element, row: Any, parent: Ints) -> set[int]:
    begin, end = part.find("from"), part.find("to")
    if end is None:
        _refuse(part, "the <path> has no <to>")
    at, found = row(end), set()
    stop = row(begin) if begin is not None else None
    while at >= 0:
        found.add(at)
        if at == stop:
            return found
        at = int(parent[at])
    if stop is not None:
        _refuse(part, "the <path> leads from a segment that is no ancestor of where it leads to")
    return found


def _subtree(part: Element, row: Any, parent: Ints) -> set[int]:
    begin, end = part.find("from"), part.find("to")
    if begin is None and end is not None:  # all that lies towards the root
        return _path(Element("path", children=[Element("to", dict(end.attributes), file=part.file, line=part.line)],
                             file=part.file, line=part.line), row, parent)  # fmt: skip
    if begin is None:
        _refuse(part, "the <subTree> has neither <from> nor <to>")
    found = {row(begin)}
    for at in range(len(parent)):  # parents come first
        if int(parent[at]) in found:
            found.add(at)
    return found


def _properties(source: Element) -> dict[str, str]:
    places = [source, *source.findall("annotation")]
    found = {e.get("tag") or "": e.get("value") or "" for place in places for e in place.iter() if e.tag == "property"}
    divisions = found.get("numberInternalDivisions", "1")
    try:
        divisions_of(divisions)
    except ValueError:
        _refuse(source, f"numberInternalDivisions is '{divisions[:40]}'; it must not be more than {MAX_DIVISIONS}")
    return found


def _inhomogeneous(element: Element) -> InhomogeneousParameter:
    near, far = element.find("proximal"), element.find("distal")
    return InhomogeneousParameter(
        element.get("id") or "", element.get("variable") or "p", element.get("metric") or "Path Length from root",
        _number(near, "translationStart") if near is not None else None,
        _number(far, "normalizationEnd") if far is not None else None,
    )  # fmt: skip

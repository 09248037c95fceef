"""Sections as a morphology: every 3-D point the end of a segment, every section a cable with its compartments.

What is along a section in compartments cannot always be said of segments as they are drawn; then segments are cut at
the borders of compartments, which changes no area and no length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...element import Element, Ids
from ...graph.morphology import CABLE
from ...graph.native import NativeCell, NativeSection
from ...report import Report
from .elements import element, number

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_TURN = 2.399963  # radians between the branches of cells without 3-D points, so that no two are drawn on each other
_BORDER = 1e-9
_KINDS = {"soma": ("soma_group", "SAO:1044911821"), "axon": ("axon_group", "GO:0030424"),
          "dend": ("dendrite_group", "GO:0030425"), "apic": ("dendrite_group", "GO:0030425")}  # fmt: skip


@dataclass
class Piece:
    """The segments of one section: their ids, where each begins and ends along it (0..1), and its name as a group."""

    cable: str
    first: int
    edges: Floats
    reversed: bool
    nseg: int
    length: float
    """um"""

    def locate(self, x: float) -> tuple[int, float]:
        """(segment id, fraction along it) of a place of the section."""
        x = min(max(1.0 - x if self.reversed else x, 0.0), 1.0)
        at = x * self.nseg
        if 0 < x < 1 and abs(at - round(at)) < _BORDER:
            # on the border of two compartments NEURON takes the further one, whatever rounding makes of the place
            x += (-1e-6 if self.reversed else 1e-6) / self.nseg
        row = int(np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.edges) - 2))
        while row > 0 and self.edges[row] == self.edges[row + 1]:
            row -= 1
        width = self.edges[row + 1] - self.edges[row]
        return self.first + row, float(min(max((x - self.edges[row]) / width, 0.0), 1.0)) if width > 0 else 0.5

    def segments_in(self, compartment: int) -> list[int]:
        """Ids of the segments in one compartment, where segments were cut at the borders."""
        own = self.nseg - 1 - compartment if self.reversed else compartment
        middle = (self.edges[:-1] + self.edges[1:]) / 2 * self.nseg
        return [self.first + int(row) for row in np.flatnonzero((middle >= own) & (middle < own + 1))]


class Shape:
    """The morphology of one native cell. ``cut``: sections to be cut at the borders of their compartments."""

    def __init__(self, cell: NativeCell, cut: Iterable[int], report: Report) -> None:
        self.cell, self.report = cell, report
        self.pieces: dict[int, Piece] = {}
        self.segments: list[Element] = []
        self.groups: list[Element] = []
        self.ids = Ids({"all", *(id for id, _ in _KINDS.values())})
        self.root = self._root_of(cell.spike_section)
        self.lost = [n for n in range(len(cell.sections)) if self._root_of(n) != self.root]
        if self.lost:
            names = ", ".join(cell.sections[n].name for n in self.lost[:4])
            report.add("native-islands", "loss", f"{len(self.lost)} sections are not joined to the others ({names}): a "
                       "cell of NeuroML is one tree, they are left out", **cell_place(cell))  # fmt: skip
        self.cut = cut = set(cut)
        if cell.sections[cell.spike_section].nseg > 1:
            cut.add(cell.spike_section)  # what stands for the cell is a segment, and must be one compartment
        points: dict[int, Floats] = {}
        for index, section in enumerate(cell.sections):
            if index not in self.lost:
                points[index] = self._points(index, section, points)
                self._section(index, section, points[index], index in cut)
        self._spikes_first()

    def _root_of(self, index: int) -> int:
        while self.cell.sections[index].parent >= 0:
            index = self.cell.sections[index].parent
        return index

    def _points(self, index: int, section: NativeSection, drawn: dict[int, Floats]) -> Floats:
        """3-D points from the end at which the section is joined."""
        turned = section.parent >= 0 and section.child_x == 1.0
        if section.parent >= 0 and section.child_x not in (0.0, 1.0):
            self.report.add("native-joint", "approximation", f"section '{section.name}' is joined at its "
                            f"{section.child_x:g}; its end 0 is taken", **cell_place(self.cell))  # fmt: skip
        if section.points is not None:
            return np.asarray(section.points, float)  # NEURON has the first of them at the parent, even if that is x=1
        start, direction = np.zeros(3), np.array([0.0, 1.0, 0.0])
        if section.parent >= 0:
            above, piece = drawn[section.parent], self.pieces[section.parent]
            x = 1.0 - section.parent_x if piece.reversed else section.parent_x
            start = _at(above[:, :3], x)
            direction = np.array([np.sin(_TURN * index), np.cos(_TURN * index), 0.0])
        diameters = np.broadcast_to(np.asarray(section.diam, float), (section.nseg,))
        diameters = diameters[::-1] if turned else diameters
        if (diameters != diameters[0]).any():
            self.report.add(
                "native-steps", "approximation", f"section '{section.name}' has diameters of compartments and no 3-D "
                "points: as segments of NeuroML the steps between them have an area too", **cell_place(self.cell)
            )  # fmt: skip
        ends = start + np.outer(np.linspace(0.0, section.L, section.nseg + 1), direction)
        if (diameters == diameters[0]).all():
            return np.column_stack([ends[[0, -1]], diameters[[0, 0]]])
        near, far = np.column_stack([ends[:-1], diameters]), np.column_stack([ends[1:], diameters])
        return np.stack([near, far], axis=1).reshape(-1, 4)

    def _section(self, index: int, section: NativeSection, points: Floats, cut: bool) -> None:
        arcs = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1))])
        if not arcs[-1] > 0:
            raise self.cell.error(f"section '{section.name}': its 3-D points are all at one place")
        edges = arcs / arcs[-1]
        if cut:
            borders = np.arange(1, section.nseg) / section.nseg
            new = [x for x in borders if np.abs(edges - x).min() > _BORDER]
            at = np.searchsorted(edges, new)
            between = np.array([_at(points, x, edges) for x in new]).reshape(-1, 4)
            points = np.insert(points, at, between, axis=0)
            edges = np.insert(edges, at, new)
        first = len(self.segments)
        turned = section.parent >= 0 and section.child_x == 1.0
        cable = self.ids.fresh(section.name)
        self.pieces[index] = Piece(cable, first, edges, turned, section.nseg, float(arcs[-1]))
        for row in range(len(points) - 1):
            name = cable if len(points) == 2 else f"{cable}_{row}"
            children = []
            if row:
                children.append(element("parent", segment=str(first + row - 1)))
            else:
                if section.parent >= 0:
                    above, fraction = self.pieces[section.parent].locate(section.parent_x)
                    more = {} if fraction == 1.0 else {"fractionAlong": number(fraction)}
                    children.append(element("parent", segment=str(above), **more))
                children.append(_point("proximal", points[0]))
            children.append(_point("distal", points[row + 1]))
            self.segments.append(element("segment", children, id=str(first + row), name=name))
        members = [element("member", segment=str(first + row)) for row in range(len(points) - 1)]
        divisions = element("property", tag="numberInternalDivisions", value=str(section.nseg))
        self.groups.append(element("segmentGroup", [divisions, *members], id=cable, neuroLexId=CABLE))

    def _spikes_first(self) -> None:
        """Segment 0 stands for the cell in LEMS, so the one where spikes are looked for gets this id."""
        spikes, _ = self.pieces[self.cell.spike_section].locate(self.cell.spike_x)
        self.swapped = spikes
        if not spikes:
            return
        other = {"0": str(spikes), str(spikes): "0"}
        for segment in self.segments:
            segment.attributes["id"] = other.get(segment.attributes["id"], segment.attributes["id"])
            for child in segment.findall("parent"):
                child.attributes["segment"] = other.get(child.attributes["segment"], child.attributes["segment"])
        for group in self.groups:
            for member in group.findall("member"):
                member.attributes["segment"] = other.get(member.attributes["segment"], member.attributes["segment"])

    def segment(self, id: int) -> int:
        """The id in the file of the ``id``-th segment made."""
        return {0: self.swapped, self.swapped: 0}.get(id, id)

    def place(self, section: int, x: float) -> tuple[int, float]:
        """(segment id, fraction along) of a place on a section."""
        id, fraction = self.pieces[section].locate(x)
        return self.segment(id), fraction

    def group(self, name: str, compartments: frozenset[tuple[int, int]]) -> str:
        """The id of a group of these (section, compartment); made unless there is one."""
        sections = sorted({section for section, _ in compartments})
        whole = [s for s in sections if all((s, k) in compartments for k in range(self.cell.sections[s].nseg))]
        if len(whole) == len(self.pieces):
            return "all"
        if len(whole) == len(sections) == 1:
            return self.pieces[whole[0]].cable
        children = [
            element("member", segment=str(self.segment(id)))
            for section, k in sorted(compartments) if section not in whole
            for id in self.pieces[section].segments_in(k)
        ]  # fmt: skip
        children += [element("include", segmentGroup=self.pieces[section].cable) for section in whole]
        for known in self.groups:
            if _content(known) == _content(element("segmentGroup", children)):
                return known.attributes["id"]
        id = self.ids.fresh(name)
        self.groups.append(element("segmentGroup", children, id=id))
        return id

    def coordinate(self, section: int) -> str:
        """The id of a coordinate p: the path (um) from the end at which a section is joined."""
        cable = next(g for g in self.groups if g.attributes["id"] == self.pieces[section].cable)
        known = cable.find("inhomogeneousParameter")
        if known is None:
            origin = element("proximal", translationStart="0")
            known = element("inhomogeneousParameter", [origin], id=self.ids.fresh(f"path_in_{cable.attributes['id']}"),
                            variable="p", metric="Path Length from root")  # fmt: skip
            cable.children.append(known)
        return known.attributes["id"]

    def morphology(self) -> Element:
        """The morphology element, with groups for the lists of sections and for kinds that names tell."""
        kinds: dict[tuple[str, str], list[Element]] = {}
        for index, piece in self.pieces.items():
            name = self.cell.sections[index].name.lower()
            kind = next((_KINDS[stem] for stem in _KINDS if name.split(".")[-1].startswith(stem)), None)
            if kind is not None:
                kinds.setdefault(kind, []).append(element("include", segmentGroup=piece.cable))
        groups = [element("segmentGroup", parts, id=id, neuroLexId=lex) for (id, lex), parts in kinds.items()]
        for name, members in self.cell.section_lists.items():
            parts = [element("include", segmentGroup=self.pieces[m].cable) for m in members if m in self.pieces]
            if parts and name != "all" and name not in {id for id, _ in _KINDS.values()}:
                groups.append(element("segmentGroup", parts, id=self.ids.fresh(name)))
        whole = [element("include", segmentGroup=piece.cable) for piece in self.pieces.values()]
        cables = [g for g in self.groups if g.get("neuroLexId") == CABLE]
        others = [g for g in self.groups if g.get("neuroLexId") != CABLE]
        groups = [*cables, element("segmentGroup", whole, id="all"), *groups, *others]
        return element("morphology", [*self.segments, *groups], id=f"morphology_{self.cell.id}")


def cell_place(cell: NativeCell) -> dict[str, Any]:
    """Where a cell stands, for a note."""
    return {"file": cell.file, "line": cell.line, "component": cell.id}


def _at(points: Floats, x: float, edges: Floats | None = None) -> Floats:
    """The point at the part ``x`` of the way along 3-D points; every column is interpolated."""
    if edges is None:
        steps = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
        edges = np.concatenate([[0.0], np.cumsum(steps)]) / max(steps.sum(), 1e-300)
    return np.array([np.interp(x, edges, points[:, column]) for column in range(points.shape[1])])


def _point(tag: str, point: Floats) -> Element:
    return element(tag, **{n: number(v) for n, v in zip(("x", "y", "z", "diameter"), point, strict=True)})


def _content(group: Element) -> set[tuple[str, str]]:
    found = {(c.tag, next(iter(c.attributes.values()))) for c in group.children if c.tag in ("member", "include")}
    return found

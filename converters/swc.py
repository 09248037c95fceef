"""Morphologies: SWC in and out, Neurolucida ASC in.

Specifications: http://www.neuronland.org/NLMorphologyConverter/MorphologyFormats/SWC/Spec.html; the reader is MorphIO
(https://github.com/BlueBrain/MorphIO), so that a section is what MorphIO calls one. A section becomes an unbranched
group of segments, and all sections of one type a group (soma_group, axon_group, dendrite_group, apical_group). A soma
of one point is a cylinder as long as it is wide, which has the area of the sphere and is what NEURON makes of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..element import Element
from ..errors import DocumentError, UnsupportedError
from ..extras import require
from ..files import atomic
from ..graph import Network
from ..graph.morphology import CABLE, Morphology
from ..report import Report
from .somas import unbranched

_NAMES = {1: "soma", 2: "axon", 3: "dend", 4: "apic"}
_GROUPS = {"soma": "soma_group", "axon": "axon_group", "dend": "dendrite_group", "apic": "apical_group"}
_CELL = "# cell "  # a comment of ours: the id of the cell, which SWC has no place for
_HEAD = 4096


@dataclass
class Shape:
    """A morphology as an element, and where its sections went.

    ``sections`` are those of the file, soma first where there is one: (type name, ids of its segments)."""

    element: Element
    sections: list[tuple[str, list[int]]]

    @cached_property
    def morphology(self) -> Morphology:
        """The morphology as columns."""
        return Morphology.from_element(self.element)


def read(path: Path, report: Report | None = None) -> Network:
    """A cell with the morphology of an SWC or ASC file. Raises DocumentError, UsageError without MorphIO."""
    report = report if report is not None else Report()
    shape = read_shape(path, report)
    cell = Element("cell", {"id": _cell_id(path)}, [shape.element], file=str(path))
    return Network(None, components=[cell], file=str(path))


def _cell_id(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as stream:
        head = stream.read(_HEAD)
    for line in head.splitlines():
        if line.startswith(_CELL):
            return line.removeprefix(_CELL).strip()
    return safe_id(path.name.split(".")[0])


def safe_id(text: str) -> str:
    """A NeuroML id: letters, digits and underscores, no digit first."""
    text = re.sub(r"\W", "_", text, flags=re.A)
    return text if text and not text[0].isdigit() else f"_{text}"


def read_shape(path: Path, report: Report) -> Shape:
    """The morphology of an SWC or ASC file."""
    morphio = require("morphio", "morphology", "reading a morphology file")
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    kind = "asc" if path.suffix.lower() == ".asc" else "swc"
    text = path.read_bytes()
    if not text.strip():
        raise DocumentError("the file is empty", file=str(path))
    if b"\0" in text[:_HEAD] or text.lstrip()[:1] not in b'#;("0123456789':
        raise DocumentError(f"this is no {kind.upper()} file", file=str(path))
    morphio.set_maximum_warnings(0)
    words = text.decode("utf-8", errors="replace")
    names = _NAMES
    if kind == "swc":
        _check_tree(words, path)
    simpler = unbranched(words) if kind == "swc" else None
    if simpler is not None:
        words, spare = simpler
        names = {**_NAMES, spare: "soma"}
        report.add("branched-soma", "info", "the soma branches; its side branches are sections of their own, which "
                   "belong to the soma", file=str(path))  # fmt: skip
    try:
        source = morphio.Morphology(words, kind, morphio.Option.allow_unifurcated_section_change)
    except (morphio.MorphioError, RuntimeError, ValueError) as fault:
        line = re.search(r":(\d+):\s*error", str(fault))
        plain = re.sub(r"\x1b\[[\d;]*m", "", str(fault))  # MorphIO colours what it says
        why = [part.strip() for part in plain.splitlines() if part.strip() and ":warning" not in part]
        raise DocumentError(
            re.sub(r"^.*?error:?\s*", "", why[0] if len(why) == 1 else why[-1])[:200] or "MorphIO cannot read it",
            file=str(path), line=int(line.group(1)) if line else None,
        ) from None  # fmt: skip
    if not len(source.points) and not len(source.soma.points):
        raise DocumentError(f"there is no point in it; this is no {kind.upper()} file", file=str(path))
    return _Builder(path, source, report, names).run()


def _check_tree(words: str, path: Path) -> None:
    """Raises DocumentError for points that are not joined to a root: MorphIO leaves circles out, and says nothing."""
    parents: dict[int, tuple[int, int]] = {}
    for number, line in enumerate(words.splitlines(), 1):
        values = line.split("#")[0].split()
        try:
            parents[int(values[0])] = int(values[6]), number
        except (IndexError, ValueError):
            continue  # a comment, or a line that MorphIO complains about
    joined: set[int] = set()
    for start in parents:
        chain: dict[int, None] = {}
        point = start
        while point in parents and point not in joined and point not in chain:
            chain[point] = None
            point = parents[point][0]
        if point in chain:
            members = list(chain)
            circle = " -> ".join(map(str, [*members[members.index(point) :][:6], point]))
            raise DocumentError(f"the points {circle} are joined in a circle, and to no root (whose parent is -1)",
                                file=str(path), line=parents[point][1])  # fmt: skip
        joined.update(chain)


class _Builder:
    def __init__(self, path: Path, source: Any, report: Report, names: dict[int, str]) -> None:
        self.path, self.source, self.report, self.names = path, source, report, names
        self.segments: list[Element] = []
        self.sections: list[tuple[str, list[int]]] = []
        self.ends: dict[int, tuple[tuple[int, float] | None, Any, bool]] = {}
        """by section: the place on a segment where it ends, the point there, whether that segment ends at the point"""
        self.soma: list[int] = []

    def run(self) -> Shape:
        self.build_soma()
        for section in self.source.iter():
            self.build_section(section)
        if not self.segments:
            raise DocumentError("the morphology has no segment: no two of its points differ", file=str(self.path))
        element = Element("morphology", {"id": "morphology"}, [*self.segments, *self.groups()], file=str(self.path))
        return Shape(element, self.sections)

    def note(self, code: str, message: str) -> None:
        self.report.add(code, "approximation", message, file=str(self.path))

    def segment(self, name: str, near: Any, far: Any, parent: tuple[int, float] | None) -> int:
        """Points are x, y, z, diameter; a near one that is the parent's end is left out."""
        id = len(self.segments)
        children = []
        if parent is not None:
            where = {"segment": str(parent[0])}
            if parent[1] != 1:
                where["fractionAlong"] = repr(parent[1])
            children.append(Element("parent", where))
        if near is not None:
            children.append(_point("proximal", near))
        children.append(_point("distal", far))
        self.segments.append(Element("segment", {"id": str(id), "name": f"{name}_{id}"}, children))
        return id

    def build_soma(self) -> None:
        soma = self.source.soma
        points = np.column_stack([soma.points, soma.diameters]).astype(float)
        kind = str(soma.type).rpartition(".")[2]
        if not len(points):
            self.note("no-soma", "the file has no soma; the first section is the root")
            return
        if len(points) == 1 or kind in ("SOMA_SINGLE_POINT", "SOMA_NEUROMORPHO_THREE_POINT_CYLINDERS"):
            self.soma = [self.sphere(points[0])]
        elif kind == "SOMA_CYLINDERS":
            for near, far in pairwise(points):
                if not np.array_equal(near[:3], far[:3]):
                    self.soma.append(self.segment("soma", near, far, (self.soma[-1], 1.0) if self.soma else None))
        if not self.soma:  # a contour
            centre = points[:, :3].mean(axis=0)
            radius = float(np.linalg.norm(points[:, :3] - centre, axis=1).mean())
            self.note("soma-contour", f"the outline of the soma ({len(points)} points) became a cylinder of its mean "
                      f"radius, {radius:.4g} um")  # fmt: skip
            self.soma = [self.sphere(np.array([*centre, 2 * radius]))]
        self.sections.append(("soma", list(self.soma)))

    def at_soma(self, point: Any) -> tuple[int, float]:
        """Where a neurite leaves the soma: the middle of a single cylinder, else the nearest joint of the chain.

        MorphIO does not tell which point of the soma is the parent."""
        if len(self.soma) == 1:
            return self.soma[0], 0.5
        joints = [(self.soma[0], 0.0), *((id, 1.0) for id in self.soma)]
        places = [
            _near(self.segments[self.soma[0]], "proximal"),
            *(_near(self.segments[i], "distal") for i in self.soma),
        ]
        return joints[int(np.argmin([float(np.linalg.norm(place - point[:3])) for place in places]))]

    def sphere(self, point: Any) -> int:
        x, y, z, diameter = point
        return self.segment("soma", (x, y - diameter / 2, z, diameter), (x, y + diameter / 2, z, diameter), None)

    def build_section(self, section: Any) -> None:
        name = self.names.get(int(section.type), "dend")
        if int(section.type) not in self.names:
            self.note("section-type", f"sections of type {int(section.type)} are taken for dendrites")
        points = np.column_stack([section.points, section.diameters]).astype(float)
        moved = np.concatenate([[True], np.any(np.diff(points[:, :3], axis=0) != 0, axis=1)])
        if not moved.all():
            self.note("double-points", "points at the place of the one before are left out")
            points = points[moved]
        parent: tuple[int, float] | None = None
        begin: Any = None
        joined = False
        if section.is_root:
            parent = self.at_soma(points[0]) if self.soma else (0, 0.0) if self.segments else None
        else:
            parent, begin, joined = self.ends[section.parent.id]
            if parent is None and self.segments:
                parent = (0, 0.0)
        if len(points) == 1 and begin is not None and not np.array_equal(begin[:3], points[0][:3]):
            points = np.vstack([begin, points])
        ids: list[int] = []
        for near, far in pairwise(points):
            first = not ids and not (joined and np.array_equal(near, begin))
            ids.append(self.segment(name, near if first else None, far, parent))
            parent = (ids[-1], 1.0)
        if not ids:
            self.note("point-section", "a section of a single point has no length and is left out")
        self.ends[section.id] = (parent, points[-1], bool(ids))
        self.sections.append((name, ids))

    def groups(self) -> list[Element]:
        cables: list[Element] = []
        kinds: dict[str, list[Element]] = {}
        for number, (name, ids) in enumerate(self.sections):
            if not ids:
                continue
            id = f"{name}_section_{number}"
            members = [Element("member", {"segment": str(i)}) for i in ids]
            cables.append(Element("segmentGroup", {"id": id, "neuroLexId": CABLE}, members))
            kinds.setdefault(name, []).append(Element("include", {"segmentGroup": id}))
        whole = [Element("include", {"segmentGroup": g.attributes["id"]}) for g in cables]
        typed = [Element("segmentGroup", {"id": _GROUPS[name]}, parts) for name, parts in kinds.items()]
        return [*cables, *typed, Element("segmentGroup", {"id": "all"}, whole)]


def _near(segment: Element, tag: str) -> Any:
    point = segment.find(tag)
    return np.array([float(point.attributes[n]) for n in ("x", "y", "z")]) if point is not None else np.zeros(3)


def _point(tag: str, point: Any) -> Element:
    # MorphIO holds 32 bits: their shortest text, which reads back as the same
    return Element(tag, {n: str(np.float32(v)) for n, v in zip(("x", "y", "z", "diameter"), point, strict=True)})


# SWC out ------------------------------------------------------------------------------------------------------------


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write the one cell with a morphology as SWC. Raises UnsupportedError if there is none or more than one."""
    report = report if report is not None else Report()
    shapes = {e.get("id") or "": e for e in network.components if e.find("morphology") is not None}
    shapes |= {e.get("id") or "": e for e in network.components if e.tag == "morphology"}
    if len(shapes) != 1:
        known = ", ".join(list(shapes)[:5]) or "none"
        raise UnsupportedError(f"an SWC file is one morphology; the model has {len(shapes)} ({known})")
    id, owner = next(iter(shapes.items()))
    source = owner.find("morphology") or owner
    text = swc_text(Morphology.from_element(source), report, id)
    with atomic(path) as stream:
        stream.write(text.encode())


def swc_text(shape: Morphology, report: Report, id: str) -> str:
    """A morphology as SWC; a child that leaves its parent half-way adds a point there."""
    types = segment_types(shape)
    rows = [f"{_CELL}{id}", "# id type x y z radius parent"]
    at: dict[tuple[int, float], int] = {}  # the SWC point at a fraction along a segment
    number = 0

    def point(kind: int, values: Any, parent: int) -> int:
        nonlocal number
        number += 1
        x, y, z, diameter = (float(v) for v in values)
        rows.append(f"{number} {kind} {x:.9g} {y:.9g} {z:.9g} {diameter / 2:.9g} {parent}")
        return number

    children: dict[int, set[float]] = {}
    for row, parent in enumerate(shape.parent):
        if parent >= 0:
            children.setdefault(int(parent), set()).add(float(shape.fraction[row]))
    for row in range(len(shape.ids)):
        kind, near, far, parent = types[row], shape.proximal[row], shape.distal[row], int(shape.parent[row])
        ball = kind == 1 and parent < 0 and _is_ball(near, far) and 1 not in types[row + 1 :]
        if shape.length[row] == 0 or ball:
            before = -1 if parent < 0 else at[parent, float(shape.fraction[row])]
            centre = point(kind, [*((near[:3] + far[:3]) / 2), far[3]], before)
            at |= {(row, fraction): centre for fraction in {0.0, 0.5, 1.0} | children.get(row, set())}
            continue
        before = -1
        if parent >= 0:
            before = at[parent, float(shape.fraction[row])]
            f = float(shape.fraction[row])
            joint = (1 - f) * shape.proximal[parent] + f * shape.distal[parent]
            joined = types[parent] == kind and np.allclose(joint, near, rtol=1e-6, atol=1e-6)
            if not joined:
                if types[parent] == kind and not np.allclose(joint[:3], near[:3], rtol=1e-6, atol=1e-6):
                    report.add("swc-gap", "approximation", "segments that do not begin where their parent ends are "
                               "joined to it in SWC, which adds a piece of cable", component=id)  # fmt: skip
                before = point(kind, near, before)
        else:
            before = point(kind, near, -1)
        at[row, 0.0] = before
        for fraction in sorted(children.get(row, set()) - {0.0, 1.0}):
            before = at[row, fraction] = point(kind, (1 - fraction) * near + fraction * far, before)
        at[row, 1.0] = point(kind, far, before)
    return "\n".join(rows) + "\n"


def _is_ball(near: Any, far: Any) -> bool:
    length = float(np.linalg.norm(far[:3] - near[:3]))
    return bool(near[3] == far[3] and abs(length - far[3]) <= 1e-5 * far[3])


def segment_types(shape: Morphology) -> list[int]:
    """The SWC type of each segment, told by the names of the groups that it is in, then by its own name."""
    words = (("soma", 1), ("axon", 2), ("apic", 4), ("dend", 3), ("basal", 3))
    types = [0] * len(shape.ids)
    for name, group in shape.groups.items():
        kind = next((value for word, value in words if word in name.lower()), 0)
        if kind and name != "all":
            for row in group.rows:
                types[row] = kind if types[row] in (0, 3) else types[row]
    for row, name in enumerate(shape.names):
        if not types[row]:
            types[row] = next((value for word, value in words if word in name.lower()), 3 if row else 1)
    return types

"""Cells written out as sections, and reconstructions: NeuroML cells made of them.

A formula along the cell (a density, a capacitance) is evaluated at the middle of each segment; sections of given length
are divided into as many segments as they have compartments, so that each compartment has its own value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..errors import ModelError
from ..graph.morphology import CABLE, Morphology, by_length_constant
from .context import Context, Path_, used_names
from .listed import file_of
from .scaled import scaled_morphology
from .segments import segment_column, segment_sets
from .select import select_segments
from .vocabulary import Biophysics, Mechanism, Section, SectionCell, SwcCell

Floats = npt.NDArray[np.float64]
_SPREAD = np.deg2rad(40.0)  # between the directions of sections that leave one place
_MOST_COMPARTMENTS = 32767


Scale = tuple[str, int, str]
"""segments, 0 for their lengths or 1 for their diameters, and what these are multiplied by"""


@dataclass
class Common:
    """What cells of one kind have in common though their numbers differ: how they are divided.

    The compartments of each are gathered first, until they are ``counted``; then what lies along each, until that is
    ``fixed``; then they are made by it.
    """

    counted: bool = False
    fixed: bool = False
    counts: list[int] = field(default_factory=list)
    """compartments of the sections, in the order in which they are asked for: as many as some cell needs"""
    values: dict[str, list[Floats]] = field(default_factory=dict)
    """along each cell, of what may vary along it"""
    labels: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    def count(self, place: int, count: int) -> int:
        """The compartments of a section that needs so many in one cell."""
        if self.counted:
            return self.counts[place]
        self.counts += [1] * (place + 1 - len(self.counts))
        self.counts[place] = max(self.counts[place], count)
        return count

    def parts(self, name: str, values: Floats) -> npt.NDArray[np.int64]:
        """The number of the part that each segment belongs to: within one, no cell has two values. Raises ValueError
        if the cells are not of as many segments."""
        if not self.fixed:
            self.values.setdefault(name, []).append(values)
            return np.unique(values, return_inverse=True)[1]
        if name not in self.labels:
            self.labels[name] = np.unique(np.stack(self.values[name]), axis=1, return_inverse=True)[1].reshape(-1)
        return self.labels[name]


def cell_element(
    context: Context, name: str, item: SectionCell | SwcCell, path: Path_, common: Common | None = None,
    scales: Sequence[Scale] = (),
) -> Element:  # fmt: skip
    """The NeuroML <cell>. Raises NetworkError for a topology, a geometry or a number that cannot be."""
    return WrittenCell(context, name, item.biophysics, path, common=common, scales=scales).element(item)


class WrittenCell:
    """A cell while it is made of sections or a reconstruction. With ``native`` each compartment is a segment."""

    def __init__(
        self, context: Context, name: str, biophysics: Biophysics, path: Path_, native: bool = False,
        common: Common | None = None, scales: Sequence[Scale] = (),
    ) -> None:  # fmt: skip
        self.context, self.name, self.biophysics, self.path, self.native = context, name, biophysics, path, native
        self.scales = scales
        self.common, self.asked = common if common is not None else Common(), 0
        source = context.spec.source
        self.place: dict[str, Any] = {"file": source.file or "", "line": source.line(path) or 0}
        self.groups: list[Element] = []

    def tag(self, tag: str, attributes: dict[str, str], children: list[Element] | None = None) -> Element:
        return Element(tag, attributes, children, **self.place)

    def element(self, item: SectionCell | SwcCell) -> Element:
        """The cell with its membrane."""
        cell, shape = self.shaped(item)
        cell.children.append(self._membrane(shape))
        found = cell.find("morphology")
        assert found is not None
        found.children += self.groups
        return cell

    def shaped(self, item: SectionCell | SwcCell) -> tuple[Element, Morphology]:
        """The cell without its membrane, and its segments."""
        if isinstance(item, SwcCell):
            cell = self._reconstructed(item)
        else:
            morphology = self.tag("morphology", {"id": f"{self.name}_morphology"}, self._sections(item.sections))
            cell = self.tag("cell", {"id": self.name}, [morphology])
        found = cell.find("morphology")
        assert found is not None
        found.children += self.groups
        self.groups = []
        shape = Morphology.from_element(found)
        for group, text in item.groups.items():
            where = (*self.path, "groups", group)
            if group in shape.groups:
                raise self.context.error(f"'{group}' is already a group or section of the cell", *where)
            found.children.append(self._group(group, shape, self.select(shape, text, where)))
            shape = Morphology.from_element(found)
        if self.scales:
            factors = np.ones((len(shape.ids), 2))
            for text, axis, value in self.scales:
                factors[self.select(shape, text, (*self.path, "groups")), axis] *= self.context.number(value, "")
            cell.children[cell.children.index(found)] = found = scaled_morphology(found, factors)
            shape = Morphology.from_element(found)
        return cell, shape

    def select(self, shape: Morphology, text: str, path: Path_) -> npt.NDArray[np.int64]:
        return select_segments(self.context, text, len(shape.ids), lambda n: segment_column(shape, n),
                               segment_sets(shape), path)  # fmt: skip

    def _group(self, id: str, shape: Morphology, rows: npt.NDArray[np.int64]) -> Element:
        return self.tag("segmentGroup", {"id": id}, [self.tag("member", {"segment": str(i)}) for i in shape.ids[rows]])

    # geometry ------------------------------------------------------------------------------------------------------

    def _reconstructed(self, item: SwcCell) -> Element:
        from ..registry import format_named

        file = file_of(self.context.spec, item.swc, *self.path, "swc")
        try:
            cell = format_named("swc").read(file).components[0]
        except ModelError as error:
            line = f", line {error.line}" if error.line else ""
            raise self.context.error(f"'{item.swc}'{line}: {error.message}", *self.path, "swc") from None
        cell.attributes = {"id": self.name}
        morphology = cell.find("morphology")
        assert morphology is not None
        shape = Morphology.from_element(morphology)
        for element in morphology.findall("segmentGroup"):
            group = shape.groups[element.attributes["id"]]
            if group.is_cable:
                rows = group.rows
                count = self._compartments(item.compartments, shape.length[rows],
                                           (shape.proximal[rows, 3] + shape.distal[rows, 3]) / 2)  # fmt: skip
                element.children.insert(0, self._divisions(count))
        return cell

    def _divisions(self, count: int) -> Element:
        return self.tag("property", {"tag": "numberInternalDivisions", "value": str(count)})

    def _compartments(self, said: int | str, length: Floats, diameter: Floats) -> int:
        """As many as said, or by the length constant."""
        if said != "d_lambda":
            count = int(said)
        else:
            capacitance = self.biophysics.capacitance
            cm = self.context.number(capacitance, "uF_per_cm2", *self.path, "biophysics", "capacitance") if (
                not isinstance(capacitance, list)) else 1.0  # fmt: skip
            ra = self.context.number(self.biophysics.resistivity, "ohm_cm", *self.path, "biophysics", "resistivity")
            count = by_length_constant(length, diameter, ra, cm)
        if not 1 <= count <= _MOST_COMPARTMENTS:
            raise self.context.error(f"{count} compartments; expected 1 to {_MOST_COMPARTMENTS}", *self.path)
        self.asked += 1
        return self.common.count(self.asked - 1, count)

    def _sections(self, sections: dict[str, Section]) -> list[Element]:
        """Segments of all sections, parents first; each section is a group too."""
        ends: dict[str, list[tuple[int, Floats, Floats]]] = {}
        angles: dict[str, float] = {}
        made: list[Element] = []
        siblings: dict[str, int] = {}
        for name in self._order(sections):
            section, path = sections[name], (*self.path, "sections", name)
            link, start = None, np.zeros(3)
            angle = np.pi / 2
            if section.parent is not None:
                segment, fraction, start = _along(ends[section.parent], section.at)
                link = self.tag("parent", {"segment": str(segment), "fractionAlong": repr(fraction)})
                count = sum(other.parent == section.parent for other in sections.values())
                number = siblings[section.parent] = siblings.get(section.parent, -1) + 1
                angle = angles[section.parent] + (number - (count - 1) / 2) * _SPREAD
                angle += np.pi if section.at == 0 else 0
            angles[name] = angle
            points, count = self._points(section, start, angle, path)
            ids = []
            for index, (near, far) in enumerate(pairwise(points)):
                id = len(made)
                parent = link if index == 0 else self.tag("parent", {"segment": str(id - 1)})
                children = [parent] if parent is not None else []
                children += [self.tag("proximal", _point(near))] if index == 0 or parent is None else []
                children.append(self.tag("distal", _point(far)))
                label = name if index == 0 else f"{name}_{index}"
                made.append(self.tag("segment", {"id": str(id), "name": label}, children))
                ids.append(id)
            ends[name] = [(id, points[i], points[i + 1]) for i, id in enumerate(ids)]
            self.groups.append(self.tag(
                "segmentGroup", {"id": name, "neuroLexId": CABLE},
                [self._divisions(count), *(self.tag("member", {"segment": str(id)}) for id in ids)],
            ))  # fmt: skip
        return made

    def _points(self, section: Section, start: Floats, angle: float, path: Path_) -> tuple[Floats, int]:
        """Points (n, 4) of a section and its compartments."""
        if section.points is not None:
            points = np.asarray(section.points, float)
            length = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
            if (points[:, 3] <= 0).any() or not length.sum() > 0:
                raise self.context.error("a section needs a length and diameters above zero", *path, "points")
            return points, self._compartments(section.compartments, length, (points[1:, 3] + points[:-1, 3]) / 2)
        assert section.length is not None and section.diameter is not None
        size = [self.context.number(getattr(section, word), "um", *path, word) for word in ("length", "diameter")]
        for word, number in zip(("length", "diameter"), size, strict=True):
            if not number > 0:
                raise self.context.error(f"it is {number:g} um; it must be more than zero", *path, word)
        count = self._compartments(section.compartments, np.array(size[:1]), np.array(size[1:]))
        pieces = count if self._varies() else 1
        steps = np.linspace(0, size[0], pieces + 1)[:, None]
        places = start + steps * np.array([np.cos(angle), np.sin(angle), 0.0]).round(12)
        return np.column_stack([places, np.full(pieces + 1, size[1])]), count

    def _varies(self) -> bool:
        return self.native or any(
            used_names(mechanism.density) - set(self.context.parameters)
            for mechanism in self.biophysics.mechanisms.values() if isinstance(mechanism, Mechanism)
        )  # fmt: skip

    def _order(self, sections: dict[str, Section]) -> Iterator[str]:
        """Parents before their children. Raises NetworkError for a circle, or not exactly one root."""
        done: set[str] = set()
        roots = [name for name, section in sections.items() if section.parent is None]
        for start in sections:
            chain: list[str] = []
            name: str | None = start
            while name is not None and name not in done:
                path = (*self.path, "sections", chain[-1] if chain else name)
                if name not in sections:
                    from ..units import nearest

                    raise self.context.error(f"there is no section '{name}'{nearest(name, sections)}", *path, "parent")
                if name in chain:
                    circle = " -> ".join([*chain[chain.index(name) :], name])
                    raise self.context.error(f"the sections are joined in a circle: {circle}", *path, "parent")
                chain.append(name)
                name = sections[name].parent
            for found in reversed(chain):
                done.add(found)
                yield found
        if len(roots) != 1:
            raise self.context.error(
                f"{len(roots)} sections have no parent; a cell has one root", *self.path, "sections"
            )

    # membrane ------------------------------------------------------------------------------------------------------

    def _membrane(self, shape: Morphology) -> Element:
        biophysics, path = self.biophysics, (*self.path, "biophysics")
        densities = []
        for name, mechanism in biophysics.mechanisms.items():
            assert isinstance(mechanism, Mechanism)  # others make a native cell
            where = (*path, "mechanisms", name)
            rows = self.select(shape, mechanism.where, (*where, "where"))
            values = self._values(mechanism.density, "S_per_cm2", shape, (*where, "density"))[rows]
            if (values < 0).any():
                raise self.context.error("the density is negative somewhere", *where, "density")
            erev = self.context.number(mechanism.erev, "mV", *where, "erev")
            for id, value, group in self._parts(name, mechanism.where, shape, rows, values):
                densities.append(self.tag("channelDensity", {
                    "id": f"{self.name}_{id}", "ionChannel": mechanism.channel, "condDensity": f"{value!r} S_per_cm2",
                    "erev": f"{erev!r} mV", "segmentGroup": group, "ion": mechanism.ion,
                }))  # fmt: skip
        capacitances = []
        given = biophysics.capacitance
        pairs = [(v.value, v.where) for v in given] if isinstance(given, list) else [(given, "all")]
        for number, (amount, text) in enumerate(pairs):
            where = (*path, "capacitance", *((number,) if isinstance(given, list) else ()))
            rows = self.select(shape, text, where)
            values = self._values(amount, "uF_per_cm2", shape, where)[rows]
            for _, value, group in self._parts(f"capacitance{number}", text, shape, rows, values):
                capacitances.append(self.tag("specificCapacitance", {"value": f"{value!r} uF_per_cm2",
                                                                     "segmentGroup": group}))  # fmt: skip
        threshold, start, ra = (self.context.number(getattr(biophysics, word), unit, *path, word) for word, unit in (
            ("threshold", "mV"), ("v_init", "mV"), ("resistivity", "ohm_cm")))  # fmt: skip
        membrane = self.tag("membraneProperties", {}, [
            *densities, self.tag("spikeThresh", {"value": f"{threshold!r} mV"}), *capacitances,
            self.tag("initMembPotential", {"value": f"{start!r} mV"}),
        ])  # fmt: skip
        inside = self.tag("intracellularProperties", {}, [self.tag("resistivity", {"value": f"{ra!r} ohm_cm"})])
        return self.tag("biophysicalProperties", {"id": f"{self.name}_biophysics"}, [membrane, inside])

    def _values(self, value: float | str, unit: str, shape: Morphology, path: Path_) -> Floats:
        found = self.context.column(value, unit, len(shape.ids), lambda n: segment_column(shape, n),
                                    ("path_dist", "x", "y", "z", "diam"), path)  # fmt: skip
        return np.broadcast_to(found, len(shape.ids))

    def _parts(
        self, name: str, text: str, shape: Morphology, rows: npt.NDArray[np.int64], values: Floats
    ) -> Iterator[tuple[str, float, str]]:
        """(id, value, segment group) for each different value."""
        try:
            parts = self.common.parts(name, values)
        except ValueError:
            raise self.context.error(f"'{text}' takes other parts in some cells; choose sections by name", *self.path
                                     ) from None  # fmt: skip
        count = int(parts.max()) + 1 if len(parts) else 0
        for number in range(count):
            here, value = rows[parts == number], values[parts == number][0]
            id = name if count == 1 else f"{name}_{number}"
            group = text if text in shape.groups and count == 1 else f"{id}_group"
            if len(here) == len(shape.ids):
                group = "all"
            elif group != text:
                self.groups.append(self._group(group, shape, here))
            yield id, float(value), group


def _along(segments: list[tuple[int, Floats, Floats]], at: float) -> tuple[int, float, Floats]:
    """The segment, the fraction along it and the place (3,) at a fraction of a section's length."""
    lengths = np.array([np.linalg.norm(far[:3] - near[:3]) for _, near, far in segments])
    ends = np.cumsum(lengths)
    index = min(int(np.searchsorted(ends, at * ends[-1], side="left")), len(segments) - 1)
    id, near, far = segments[index]
    fraction = float((at * ends[-1] - (ends[index] - lengths[index])) / lengths[index]) if lengths[index] else 1.0
    fraction = min(max(round(fraction, 12), 0.0), 1.0)
    return id, fraction, near[:3] + fraction * (far[:3] - near[:3])


def _point(point: Floats) -> dict[str, str]:
    return {name: repr(float(f"{value:.10g}")) for name, value in zip(("x", "y", "z", "diameter"), point, strict=True)}

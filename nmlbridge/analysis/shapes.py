"""The shape of a cell as straight pieces, and numbers along it: density of synapses, distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..graph import NativeCell, Network
from ..graph.morphology import Morphology

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pieces:
    """Straight pieces of one cell: ``start`` and ``end`` (n, 4): x, y, z, diameter in um; ``path`` (n,): path length
    from the root to the middle (um).

    ``part`` (n,) is the segment (its id; of a native cell the section's index) that a piece belongs to, ``begin`` and
    ``stop`` (n,) the fractions along it. ``names`` maps names of parts to them. ``drawn`` is False where the cell
    states no 3-D points, so that it is laid out: right in length and branching, not in direction.
    """

    start: Floats
    end: Floats
    path: Floats
    part: Ints
    begin: Floats
    stop: Floats
    names: Mapping[str, int]
    drawn: bool = True

    @property
    def length(self) -> Floats:
        """Lengths (n,) um."""
        return np.asarray(np.linalg.norm(self.end[:, :3] - self.start[:, :3], axis=1))

    def at(self, part: Ints, fraction: Floats) -> Ints:
        """The piece (m,) in which each place lies; -1 for a part that is not there."""
        found = np.full(len(part), -1, np.int64)
        for one in np.unique(part):
            pieces = np.flatnonzero(self.part == one)
            if len(pieces):
                mine = part == one
                column = np.searchsorted(self.stop[pieces], fraction[mine] - 1e-12)
                found[mine] = pieces[np.minimum(column, len(pieces) - 1)]
        return found


def pieces(network: Network, of: str) -> Pieces:
    """The shape of a population's cells, or of a cell or morphology by its id, in its own coordinates.

    Raises UsageError for a name that is not there, and for cells without a shape, such as point cells.
    """
    elements = {element.get("id"): element for element in network.components}
    component = network.populations[of].component if of in network.populations else of
    native = network.native.get(component)
    if isinstance(native, NativeCell):
        return _native(native)
    element = elements.get(component)
    if element is None and of not in network.populations:
        known = get_close_matches(of, network.populations, 3) or list(network.populations)
        raise UsageError(f"there is no population '{of}', and no such cell; there are {', '.join(known) or 'none'}")
    if element is not None and element.tag == "morphology":
        return _pieces_of(Morphology.from_element(element))
    shape = None if element is None else element.find("morphology")
    if shape is None and element is not None and element.get("morphology"):
        shape = elements.get(element.get("morphology"))
    if shape is None:
        raise UsageError(f"the cells of '{of}' ({component}) have no morphology: there is no shape to show")
    return _pieces_of(Morphology.from_element(shape))


def _pieces_of(morphology: Morphology) -> Pieces:
    count = len(morphology.ids)
    start = morphology.proximal.copy()
    names = {name: int(id) for name, id in zip(morphology.names, morphology.ids, strict=True) if name}
    return Pieces(start, morphology.distal, morphology.start + morphology.length / 2, morphology.ids, np.zeros(count),
                  np.ones(count), names)  # fmt: skip


def _native(cell: NativeCell) -> Pieces:
    """Points of the sections; sections without points continue their parents, branches spread in the plane."""
    starts, ends, paths, parts, begins, stops = [], [], [], [], [], []
    lines: list[Floats] = []
    reach: list[float] = []  # path length to the beginning of each section
    drawn = True
    branches = [0] * len(cell.sections)
    for number, section in enumerate(cell.sections):
        if section.points is not None:
            points = np.asarray(section.points, float)
        else:
            drawn = False
            diameter = float(np.mean(section.diam))
            base, direction = np.zeros(3), np.array([0.0, 1.0, 0.0])
            if section.parent >= 0:
                parent = lines[section.parent]
                base, along = _along(parent, section.parent_x), parent[-1, :3] - parent[0, :3]
                turn = branches[section.parent]
                branches[section.parent] += 1
                backwards = np.pi if section.parent_x == 0 else 0.0
                angle = (0, 0.6, -0.6, 1.1, -1.1, 1.5, -1.5)[turn % 7] + backwards
                length = np.linalg.norm(along)
                x, y, _ = along / length if length else direction
                direction = np.array([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle), 0])
            far = base + section.L * direction
            points = np.array([[*base, diameter], [*far, diameter]])
        lines.append(points)
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1))])
        total = arc[-1] or 1.0
        near = 0.0
        if section.parent >= 0:
            own = np.linalg.norm(np.diff(lines[section.parent][:, :3], axis=0), axis=1).sum()
            near = reach[section.parent] + section.parent_x * float(own)
        reach.append(near)
        # a piece for each compartment and each bend, so that what varies along a section is seen
        cuts = np.unique(np.concatenate([arc / total, np.linspace(0, 1, section.nseg + 1)]))
        table = np.stack([np.interp(cuts, arc / total, points[:, k]) for k in range(4)], axis=1)
        starts.append(table[:-1])
        ends.append(table[1:])
        parts.append(np.full(len(cuts) - 1, number))
        begins.append(cuts[:-1])
        stops.append(cuts[1:])
        paths.append(near + total * (cuts[1:] + cuts[:-1]) / 2)
    names = {section.name: number for number, section in enumerate(cell.sections)}
    return Pieces(np.concatenate(starts), np.concatenate(ends), np.concatenate(paths), np.concatenate(parts),
                  np.concatenate(begins), np.concatenate(stops), names, drawn)  # fmt: skip


def _along(points: Floats, x: float) -> Floats:
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1))])
    return np.array([np.interp(x * arc[-1], arc, points[:, k]) for k in range(3)])


def synapse_density(network: Network, population: str, shape: Pieces | None = None) -> Floats:
    """Synapses for each um (n,) on each piece of a cell, the mean over the population's cells.

    Both ends of what joins both ways count, and inputs through synapses as connections do.
    """
    shape = shape or pieces(network, population)
    ends: list[tuple[Ints, Floats]] = []
    for projection in network.projections:
        if projection.postsynaptic == population:
            ends.append((projection.post_segment, projection.post_fraction))
        if projection.kind != "chemical" and projection.presynaptic == population:
            ends.append((projection.pre_segment, projection.pre_fraction))
    ends += [(each.segment, each.fraction) for each in network.inputs if each.population == population]
    counts = np.zeros(len(shape.part))
    for part, fraction in ends:
        found = shape.at(np.asarray(part), np.asarray(fraction))
        counts += np.bincount(found[found >= 0], minlength=len(counts))
    cells = max(network.populations[population].size, 1)
    return counts / cells / np.maximum(shape.length, 1e-9)

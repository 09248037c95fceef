"""What is drawn of a model: segments of cells as cones, where each cell stands, and the colour of its population."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UnsupportedError
from ..graph import Network, Population
from ..graph.morphology import Morphology
from ..report import Report
from .swc import segment_types

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_RADIUS = 5.0  # um, of a cell without a shape
_COLOURS = ((0.12, 0.47, 0.71), (1.0, 0.5, 0.05), (0.17, 0.63, 0.17), (0.84, 0.15, 0.16), (0.58, 0.4, 0.74),
            (0.55, 0.34, 0.29), (0.89, 0.47, 0.76), (0.5, 0.5, 0.5))  # fmt: skip


@dataclass(frozen=True)
class Cones:
    """Truncated cones of one kind of cell: ``near`` and ``far`` (n, 4) x, y, z, radius in um; a ball where both are one
    point. ``segment`` (n,) are ids, ``kind`` (n,) SWC types (0 for a cell without a shape)."""

    near: Floats
    far: Floats
    segment: Ints
    kind: Ints


@dataclass(frozen=True)
class Group:
    """Cells of one population: their places (n, 3) in um, their gids, and what one looks like."""

    name: str
    component: str
    places: Floats
    gids: Ints
    colour: tuple[float, float, float]
    cones: Cones


def groups(network: Network, report: Report) -> list[Group]:
    """All populations, or each cell once where there is no network. Raises UnsupportedError if there is nothing."""
    shapes = cell_shapes(network)
    if network.populations:
        return list(_populations(network, shapes, report))
    if not shapes:
        raise UnsupportedError(
            "the model has neither cells with a morphology nor populations; there is nothing to draw"
        )
    return [
        Group(id, id, np.zeros((1, 3)), np.arange(1), _COLOURS[number % len(_COLOURS)], shape)
        for number, (id, shape) in enumerate(shapes.items())
    ]


def cell_shapes(network: Network) -> dict[str, Cones]:
    """The cones of each component that has a morphology of its own or by reference."""
    apart = {e.get("id"): e for e in network.components if e.tag == "morphology"}
    found = {}
    for element in network.components:
        source = element.find("morphology") or apart.get(element.get("morphology"))
        if source is not None and element.get("id"):
            found[element.attributes["id"]] = _cones(Morphology.from_element(source))
    if not found:
        found = {str(id): _cones(Morphology.from_element(source)) for id, source in apart.items()}
    return found


def _cones(shape: Morphology) -> Cones:
    near, far = shape.proximal.copy(), shape.distal.copy()
    near[:, 3], far[:, 3] = near[:, 3] / 2, far[:, 3] / 2
    return Cones(near, far, shape.ids, np.array(segment_types(shape), dtype=np.int64))


def _populations(network: Network, shapes: dict[str, Cones], report: Report) -> Iterator[Group]:
    for number, population in enumerate(network.populations.values()):
        if not population.size:
            continue
        places = population.positions
        if places is None:
            report.add("no-place", "approximation", "its cells have no positions; they are drawn at the origin",
                       component=population.id)  # fmt: skip
            places = np.zeros((population.size, 3))
        cones = shapes.get(population.component)
        if cones is None:
            radius = next(iter(_numbers(population, "radius", 1)), _RADIUS)
            ball = np.array([[0, 0, 0, radius]])
            cones = Cones(ball, ball, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
        colour = _numbers(population, "color", 3) or _COLOURS[number % len(_COLOURS)]
        yield Group(population.id, population.component, places, population.gids,
                    (float(colour[0]), float(colour[1]), float(colour[2])), cones)  # fmt: skip


def _numbers(population: Population, name: str, count: int) -> tuple[float, ...]:
    """The numbers of a property, () if it has not as many."""
    words = population.properties.get(name, "").split()
    with suppress(ValueError):
        values = tuple(float(word) for word in words)
        if len(values) == count and all(np.isfinite(values)):
            return values
    return ()


def mesh(cones: Cones, sides: int) -> tuple[Any, Any, Any]:
    """Triangles of cones without lids, balls for balls: (points (m, 3), normals (m, 3), corners (k, 3)) as float32 and
    uint32. The corners of each ring lie on the circle, so that the area is that of the cone times sin(a)/a, a =
    pi/sides, where it is a cylinder."""
    axis = cones.far[:, :3] - cones.near[:, :3]
    length = np.linalg.norm(axis, axis=1)
    points, normals, corners = [], [], []
    start = 0
    long = np.flatnonzero(length > 0)
    if len(long):
        along = axis[long] / length[long, None]
        helper = np.where(np.abs(along[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
        one = np.cross(along, helper)
        one /= np.linalg.norm(one, axis=1)[:, None]
        two = np.cross(along, one)
        angle = 2 * np.pi * np.arange(sides) / sides
        out = one[:, None] * np.cos(angle)[:, None] + two[:, None] * np.sin(angle)[:, None]  # (n, sides, 3)
        rings = [c[long, None, :3] + out * c[long, 3][:, None, None] for c in (cones.near, cones.far)]
        slope = ((cones.near[long, 3] - cones.far[long, 3]) / length[long])[:, None, None]
        normal = out + along[:, None] * slope
        normal /= np.linalg.norm(normal, axis=2)[..., None]
        points.append(np.stack(rings, axis=1).reshape(-1, 3))
        normals.append(np.stack([normal, normal], axis=1).reshape(-1, 3))
        here = np.arange(sides)
        after = (here + 1) % sides
        quad = np.concatenate([np.stack([here, after, sides + here], axis=1),
                               np.stack([after, sides + after, sides + here], axis=1)])  # fmt: skip
        corners.append((np.arange(len(long))[:, None, None] * 2 * sides + quad).reshape(-1, 3))
        start = len(long) * 2 * sides
    for row in np.flatnonzero(length == 0):
        ball, faces = _ball(sides)
        points.append(ball * cones.far[row, 3] + cones.far[row, :3])
        normals.append(ball)
        corners.append(faces + start)
        start += len(ball)
    return (np.concatenate(points).astype(np.float32), np.concatenate(normals).astype(np.float32),
            np.concatenate(corners).astype(np.uint32))  # fmt: skip


def _ball(sides: int) -> tuple[Floats, Ints]:
    """Points and triangles of a ball of radius 1."""
    rings = max(sides // 2, 3)
    polar = np.pi * np.arange(1, rings) / rings
    angle = 2 * np.pi * np.arange(sides) / sides
    body = np.stack([np.outer(np.sin(polar), np.cos(angle)), np.outer(np.sin(polar), np.sin(angle)),
                     np.repeat(np.cos(polar)[:, None], sides, axis=1)], axis=2).reshape(-1, 3)  # fmt: skip
    points = np.concatenate([body, [[0, 0, 1], [0, 0, -1]]])
    top, bottom = len(points) - 2, len(points) - 1
    here, after = np.arange(sides), (np.arange(sides) + 1) % sides
    faces = [np.stack([np.full(sides, top), here, after], axis=1)]
    for ring in range(rings - 2):
        a, b = ring * sides, (ring + 1) * sides
        faces.append(np.stack([a + here, b + here, a + after], axis=1))
        faces.append(np.stack([a + after, b + here, b + after], axis=1))
    last = (rings - 2) * sides
    faces.append(np.stack([np.full(sides, bottom), last + after, last + here], axis=1))
    return points, np.concatenate(faces)

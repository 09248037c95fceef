"""Closed surfaces as regions: read from STL, OBJ, PLY or OFF files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DocumentError
from ..extras import require
from .edges import ragged

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
SUFFIXES = (".stl", ".obj", ".ply", ".off")
_PIECE = 2_000_000  # pairs of points and triangles that are looked at together


def surface(path: Path, scale: float) -> tuple[Floats, Floats, Callable[[Floats], Bools], float]:
    """The corners of the box around a closed surface (um), the test of what lies inside it, its volume (um3).

    ``scale`` is the length of the file's unit in um. Raises DocumentError for a file that is no closed surface.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DocumentError(f"a surface is a file with {', '.join(SUFFIXES)}", file=str(path))
    trimesh = require("trimesh", "mesh", "reading a surface")
    try:
        mesh = trimesh.load(path, force="mesh", skip_materials=True, process=True)
        corners = np.asarray(mesh.vertices, float)[np.asarray(mesh.faces)] * scale
    except Exception as fault:  # whatever the readers of so many formats raise
        raise DocumentError(f"the surface cannot be read: {fault}", file=str(path)) from None
    if not len(corners) or not np.isfinite(corners).all() or not mesh.is_watertight:
        raise DocumentError("the surface is empty or has holes, so it has no inside", file=str(path))
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    volume = abs(float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))) / 6
    return low, high, _Columns(corners).inside, volume


class _Columns:
    """What lies inside of a closed surface: the vertical line up from a point leaves it more often than it enters it.

    The triangles that are above and below a square of the plane (x, y) are listed once, so that a point is compared
    with few of them. Whether a line passes an edge on the one side or the other is reckoned alike for both triangles
    that share the edge, so that none slips through between them.
    """

    def __init__(self, corners: Floats) -> None:
        self.corners = corners
        self.low, self.high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
        self.across = int(np.clip(np.sqrt(len(corners)), 1, 1024))
        first, last = (self._squares(ends) for ends in (corners.min(axis=1), corners.max(axis=1)))
        width = last - first + 1
        triangle, number = ragged(width.prod(axis=1))
        square = first[triangle] + np.column_stack(np.divmod(number, width[triangle, 1]))
        square = square[:, 0] * self.across + square[:, 1]
        order = np.argsort(square, kind="stable")
        self.triangles = triangle[order]
        self.begin = np.searchsorted(square[order], np.arange(self.across**2 + 1))

    def _squares(self, points: Floats) -> npt.NDArray[np.int64]:
        """The squares (n, 2) in which points lie."""
        low, size = self.low[:2], (self.high - self.low)[:2]
        place = (points[:, :2] - low) / np.where(size > 0, size, 1.0) * self.across
        return np.clip(place.astype(np.int64), 0, self.across - 1)

    def inside(self, points: Floats) -> Bools:
        found = np.zeros(len(points), bool)
        rows = np.flatnonzero(((points >= self.low) & (points <= self.high)).all(axis=1))
        square = self._squares(points[rows]) @ np.array([self.across, 1])
        begin, count = self.begin[square], np.diff(self.begin)[square]
        ends = np.cumsum(count)
        at = 0
        while at < len(rows):
            to = max(int(np.searchsorted(ends, (ends[at - 1] if at else 0) + _PIECE)), at + 1)
            point, number = ragged(count[at:to])
            triangles = self.triangles[begin[at:to][point] + number]
            leaving = _leaving(points[rows[at:to][point]], self.corners[triangles])
            found[rows[at:to]] = np.bincount(point, leaving, to - at) != 0
            at = to
        return found


def _leaving(points: Floats, corners: Floats) -> Floats:
    """For pairs of a point and a triangle (n, 3, 3): 1 or -1 if the line up from the point passes it, from the one side
    or the other; else 0."""
    x, y, z = points.T
    turns = np.zeros(len(points))
    for one, other in ((0, 1), (1, 2), (2, 0)):
        u, v = corners[:, one, :2], corners[:, other, :2]
        swapped = (u[:, 0] > v[:, 0]) | ((u[:, 0] == v[:, 0]) & (u[:, 1] > v[:, 1]))
        a, b = np.where(swapped[:, None], v, u), np.where(swapped[:, None], u, v)
        passes = (a[:, 1] > y) != (b[:, 1] > y)
        height = np.where(passes, b[:, 1] - a[:, 1], 1.0)
        right = passes & (a[:, 0] + (y - a[:, 1]) / height * (b[:, 0] - a[:, 0]) > x)
        turns += np.where(right, np.where(v[:, 1] > u[:, 1], 1.0, -1.0), 0.0)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = np.where(normal[:, 2] != 0, normal[:, 2], 1.0)
    step = normal[:, 0] * (x - corners[:, 0, 0]) + normal[:, 1] * (y - corners[:, 0, 1])
    top = np.clip(corners[:, 0, 2] - step / flat, corners[:, :, 2].min(axis=1), corners[:, :, 2].max(axis=1))
    return np.where(top > z, turns, 0.0)

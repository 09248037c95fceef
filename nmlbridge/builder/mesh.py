"""Closed surfaces as regions: read from STL, OBJ, PLY or OFF files, and tested by winding numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DocumentError
from ..extras import require

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
    return low, high, lambda points: _inside(points, corners, low, high), volume


def _inside(points: Floats, corners: Floats, low: Floats, high: Floats) -> Bools:
    """Whether the solid angles of all triangles, seen from each point, make a whole sphere.

    Van Oosterom & Strackee 1983, doi:10.1109/TBME.1983.325207.
    """
    inside = np.zeros(len(points), bool)
    rows = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    step = max(1, _PIECE // len(corners))
    for begin in range(0, len(rows), step):
        part = rows[begin : begin + step]
        a, b, c = (corners[None, :, k] - points[part, None] for k in range(3))
        la, lb, lc = (np.linalg.norm(side, axis=2) for side in (a, b, c))
        triple = np.einsum("ijk,ijk->ij", a, np.cross(b, c))
        below = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
        angle = 2 * np.arctan2(triple, below).sum(axis=1)
        inside[part] = np.abs(angle) > 2 * np.pi
    return inside

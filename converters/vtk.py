"""VTK PolyData (.vtp) out: each segment a line with radii, each cell without a shape a vertex.

Specification: https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html. Arrays are binary in base64.
Points carry ``radius`` (ParaView's tube filter takes it), cells ``gid``, ``population`` (its number), ``segment`` and
``type`` (as in SWC).
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from ..files import atomic
from ..graph import Network
from ..report import Report
from .shapes import Group, groups

_TYPES = {"float32": "Float32", "int64": "Int64", "int32": "Int32"}


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write all cells in their places. Raises UnsupportedError if there is nothing to draw."""
    drawn = groups(network, report if report is not None else Report())
    points: list[Any] = []
    radii: list[Any] = []
    lines: list[Any] = []
    balls: list[Any] = []
    values: dict[str, list[Any]] = {name: [] for name in ("gid", "population", "segment", "type")}
    ball_values: dict[str, list[Any]] = {name: [] for name in values}
    start = 0
    for number, group in enumerate(drawn):
        near, far, long = group.cones.near, group.cones.far, _long(group)
        for chosen, into, kept in ((long, lines, values), (~long, balls, ball_values)):
            rows = np.flatnonzero(chosen)
            if not len(rows):
                continue
            ends = [near[rows], far[rows]] if into is lines else [far[rows]]
            local = np.stack(ends, axis=1)  # (segments, ends, 4)
            placed = local[None, ..., :3] + group.places[:, None, None, :]
            points.append(placed.reshape(-1, 3))
            radii.append(np.tile(local[..., 3].ravel(), len(group.places)))
            count = len(group.places) * len(rows)
            into.append(start + np.arange(count * len(ends)))
            start += count * len(ends)
            kept["gid"].append(np.repeat(group.gids, len(rows)))
            kept["population"].append(np.full(count, number))
            kept["segment"].append(np.tile(group.cones.segment[rows], len(group.places)))
            kept["type"].append(np.tile(group.cones.kind[rows], len(group.places)))
    line, ball = _joined(lines), _joined(balls)
    data = {name: np.concatenate([*ball_values[name], *values[name]]).astype(np.int32) for name in values}
    names = " ".join(group.name for group in drawn)
    with atomic(path) as stream:

        def put(text: str) -> None:
            stream.write(text.encode())

        put('<?xml version="1.0"?>\n<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" '
            f'header_type="UInt64">\n<!-- populations: {names.replace("--", "__")} -->\n<PolyData>\n'
            f'<Piece NumberOfPoints="{start}" NumberOfVerts="{len(ball)}" NumberOfLines="{len(line) // 2}" '
            'NumberOfStrips="0" NumberOfPolys="0">\n')  # fmt: skip
        put("<PointData>\n" + _array("radius", np.concatenate(radii).astype(np.float32)) + "</PointData>\n<CellData>\n")
        for name, column in data.items():
            put(_array(name, column))
        put("</CellData>\n<Points>\n" + _array("Points", np.concatenate(points).astype(np.float32)) + "</Points>\n")
        for tag, index, each in (("Verts", ball, 1), ("Lines", line, 2)):
            offsets = np.arange(1, len(index) // each + 1, dtype=np.int64) * each
            put(f"<{tag}>\n{_array('connectivity', index)}{_array('offsets', offsets)}</{tag}>\n")
        put("</Piece>\n</PolyData>\n</VTKFile>\n")


def _long(group: Group) -> Any:
    return np.any(group.cones.near[:, :3] != group.cones.far[:, :3], axis=1)


def _joined(parts: list[Any]) -> Any:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)


def _array(name: str, values: Any) -> str:
    shape = f' NumberOfComponents="{values.shape[1]}"' if values.ndim > 1 else ""
    data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    text = base64.b64encode(len(data).to_bytes(8, "little") + data).decode()
    kind = _TYPES[values.dtype.name]
    return f'<DataArray type="{kind}" Name={quoteattr(name)}{shape} format="binary">{text}</DataArray>\n'

"""glTF 2.0 binary (.glb) out: a mesh for each kind of cell, a node for each cell, a material for each population.

Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html. One unit is one micrometre. Nodes carry the
gid in ``extras``, their parent the name of the population.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..files import atomic
from ..graph import Network
from ..report import Report
from .shapes import groups, mesh

_SIDES = 8
_FLOAT, _UINT32 = 5126, 5125  # component types
_ARRAY, _ELEMENTS = 34962, 34963  # targets of buffer views


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write all cells in their places. Raises UnsupportedError if there is nothing to draw."""
    drawn = groups(network, report if report is not None else Report())
    scene: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"nmlbridge {__version__}", "extras": {"unit": "micrometre"}},
        "scene": 0, "scenes": [{"nodes": []}], "nodes": [], "meshes": [], "materials": [], "accessors": [],
        "bufferViews": [], "buffers": [],
    }  # fmt: skip
    data = bytearray()
    shared: dict[int, tuple[int, int, int]] = {}
    for group in drawn:
        if id(group.cones) not in shared:
            points, normals, corners = mesh(group.cones, _SIDES)
            shared[id(group.cones)] = (
                _accessor(scene, data, points, _FLOAT, _ARRAY), _accessor(scene, data, normals, _FLOAT, _ARRAY),
                _accessor(scene, data, corners.ravel(), _UINT32, _ELEMENTS),
            )  # fmt: skip
        position, normal, index = shared[id(group.cones)]
        scene["materials"].append({
            "name": group.name, "doubleSided": True,
            "pbrMetallicRoughness": {"baseColorFactor": [*(min(max(c, 0.0), 1.0) for c in group.colour), 1.0],
                                     "metallicFactor": 0.0, "roughnessFactor": 0.8},
        })  # fmt: skip
        primitive = {"attributes": {"POSITION": position, "NORMAL": normal}, "indices": index,
                     "material": len(scene["materials"]) - 1}  # fmt: skip
        scene["meshes"].append({"name": group.component, "primitives": [primitive]})
        first = len(scene["nodes"])
        scene["nodes"] += [
            {"mesh": len(scene["meshes"]) - 1, "translation": place, "extras": {"gid": gid}}
            for place, gid in zip(group.places.tolist(), group.gids.tolist(), strict=True)
        ]
        scene["scenes"][0]["nodes"].append(len(scene["nodes"]))
        scene["nodes"].append({"name": group.name, "children": list(range(first, len(scene["nodes"])))})
    scene["buffers"].append({"byteLength": len(data)})
    text = json.dumps(scene, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with atomic(path) as stream:
        stream.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(data)))
        stream.write(struct.pack("<I4s", len(text), b"JSON") + text)
        stream.write(struct.pack("<I4s", len(data), b"BIN\0") + data)


def _accessor(scene: dict[str, Any], data: bytearray, values: Any, kind: int, target: int) -> int:
    """Put an array into the buffer; the number of its accessor. Kinds of four bytes only, so that all is aligned."""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    scene["bufferViews"].append({"buffer": 0, "byteOffset": len(data), "byteLength": len(little), "target": target})
    data += little
    flat = values.reshape(len(values), -1)
    scene["accessors"].append({
        "bufferView": len(scene["bufferViews"]) - 1, "componentType": kind, "count": len(values),
        "type": "VEC3" if values.ndim > 1 else "SCALAR",
        "min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist(),
    })  # fmt: skip
    return len(scene["accessors"]) - 1

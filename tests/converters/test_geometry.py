"""VTK and glTF: every segment where it is, with the areas of its cones; another library opens the file."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from nmlbridge import read, write
from nmlbridge.errors import UnsupportedError
from nmlbridge.graph.morphology import Morphology

from .contract import everything


def arrays(path: Path) -> dict[str, Any]:
    """All arrays of a .vtp file, by name; index arrays as Verts/connectivity."""
    kinds = {"Float32": np.float32, "Int64": np.int64, "Int32": np.int32}
    found = {}
    for parent in ElementTree.parse(path).iter():
        for array in parent.findall("DataArray"):
            data = base64.b64decode(array.text or "")
            assert int.from_bytes(data[:8], "little") == len(data) - 8
            values = np.frombuffer(data[8:], kinds[array.get("type", "")])
            width = int(array.get("NumberOfComponents", "1"))
            name = array.get("name") or array.get("Name") or ""
            key = f"{parent.tag}/{name}" if parent.tag in ("Verts", "Lines") else name
            found[key] = values.reshape(-1, width) if width > 1 else values
    return found


def test_vtk_has_every_segment_in_its_place(tmp_path: Path) -> None:
    network = everything(tmp_path)
    write(network, tmp_path / "it.vtp")
    found = arrays(tmp_path / "it.vtp")
    lines = found["Lines/connectivity"].reshape(-1, 2)
    assert len(found["Verts/connectivity"]) == 3 + 4 and len(lines) == 2 * 3
    first = found["Points"][found["Verts/connectivity"][:3]]
    assert np.allclose(first, network.populations["a"].positions)
    source = next(e for e in network.components if e.get("id") == "shaped").find("morphology")
    assert source is not None
    shape = Morphology.from_element(source)
    for end, expected in ((0, shape.proximal), (1, shape.distal)):
        assert np.allclose(found["Points"][lines[:3, end]], expected[:, :3])
        assert np.allclose(found["radius"][lines[:3, end]], expected[:, 3] / 2)
    assert found["gid"].tolist() == [*range(7), *[7] * 3, *[8] * 3]
    assert found["segment"][7:].tolist() == [0, 1, 2] * 2
    assert found["type"][7:].tolist() == [1, 3, 3] * 2


def test_gltf_is_whole_and_has_the_areas_of_the_cones(corpus: Path, tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    cell = read(corpus / "sonata/shared_components/morphologies/Scnn1a_473845048_m.swc")
    write(cell, tmp_path / "cell.glb")
    source = cell.components[0].find("morphology")
    assert source is not None
    shape = Morphology.from_element(source)
    loaded = trimesh.load(tmp_path / "cell.glb", process=False)
    area = sum(m.area for m in loaded.geometry.values())
    # eight sides: sin(pi/8)/(pi/8) of a cylinder's area, up to 3 % more or less where cones are steep
    assert area == pytest.approx(shape.area.sum() * np.sin(np.pi / 8) / (np.pi / 8), rel=0.03)
    ends = np.concatenate([shape.proximal, shape.distal])
    assert np.allclose(loaded.bounds[0], (ends[:, :3] - ends[:, 3:] / 2).min(axis=0), atol=3)


def test_gltf_has_a_node_for_each_cell(tmp_path: Path) -> None:
    network = everything(tmp_path)
    write(network, tmp_path / "it.glb")
    data = (tmp_path / "it.glb").read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size = struct.unpack("<I", data[12:16])[0]
    scene = json.loads(data[20 : 20 + size])
    assert size % 4 == 0 and scene["buffers"][0]["byteLength"] == len(data) - 28 - size
    cells = [n for n in scene["nodes"] if "mesh" in n]
    assert [n["extras"]["gid"] for n in cells] == list(range(9))
    assert cells[1]["translation"] == [1e-3, 0, 12345.678]
    assert scene["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] == [1, 0, 0, 1]
    for accessor in scene["accessors"]:
        view = scene["bufferViews"][accessor["bufferView"]]
        width = 3 if accessor["type"] == "VEC3" else 1
        assert view["byteLength"] == accessor["count"] * width * 4 and view["byteOffset"] % 4 == 0


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.nml").write_text('<neuroml id="x"><silentSynapse id="s"/></neuroml>')
    for name in ("x.vtp", "x.glb"):
        with pytest.raises(UnsupportedError, match="nothing to draw"):
            write(read(tmp_path / "x.nml"), tmp_path / name)
        assert not (tmp_path / name).exists()

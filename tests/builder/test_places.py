"""Regions with a surface of their own, and populations of several kinds of cells."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import Specification, build
from nmlbridge.builder.mesh import surface
from nmlbridge.errors import ModelError

from .rules import CELL, SYNAPSE, spec

BALL = {"shape": "mesh", "file": "ball.stl", "scale": 1000}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ball of radius 0.2 around (1, 2, 3), a ring, and a ball with a hole."""
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.2)
    ball.apply_translation([1, 2, 3])
    ball.export(tmp_path / "ball.stl")
    trimesh.creation.torus(300, 100).export(tmp_path / "ring.ply")
    open_ = trimesh.Trimesh(ball.vertices, ball.faces[:-1])
    open_.export(tmp_path / "open.obj")
    (tmp_path / "none.stl").write_text("solid\nendsolid\n")
    return tmp_path


def network(folder: Path, **more: Any) -> nmlbridge.Network:
    data = spec({"probability": 0.1}) | {"connections": {}} | more
    return build(Specification.of(data, folder)).network


def test_cells_lie_within_a_surface(folder: Path) -> None:
    made = network(folder, regions={"ball": BALL, "ring": {"shape": "mesh", "file": "ring.ply"}}, populations={
        "A": {"cell": "cell", "number": 500, "region": "ball"},
        "B": {"cell": "cell", "density": 3e4, "region": "ball"},
        "C": {"cell": "cell", "density": 2e3, "region": "ring"},
        "D": {"cell": "cell", "number": 50, "region": {**BALL, "where": "x > 1000 & y < 2000"}},
    })  # fmt: skip
    where = {name: population.positions for name, population in made.populations.items()}
    for name in "ABD":
        far = np.linalg.norm(where[name] - [1000, 2000, 3000], axis=1)
        assert far.max() <= 200.001 and far.max() > 150
    # a ball of triangles is a little smaller than the round one
    assert len(where["B"]) == pytest.approx(3e4 * 4 / 3 * np.pi * 0.2**3, rel=0.015)
    assert len(where["C"]) == pytest.approx(2e3 * 2 * np.pi**2 * 0.3 * 0.1**2, rel=0.06)
    axis = np.hypot(where["C"][:, 0], where["C"][:, 1])  # of the ring, whose hole is empty
    assert np.hypot(axis - 300, where["C"][:, 2]).max() <= 100.001 and axis.min() > 199
    assert (where["D"][:, 0] > 1000).all() and (where["D"][:, 1] < 2000).all()
    eighths = np.array([((where["A"] > [1000, 2000, 3000]) == side).all(axis=1).sum() for side in np.ndindex(2, 2, 2)])
    assert ((eighths - 62.5) ** 2 / 62.5).sum() < 29  # chi square of 7 degrees of freedom: one in ten thousand


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ({"shape": "mesh"}, "has a file"),
        ({"file": "ball.stl"}, "has a file"),
        (BALL | {"x": [0, 1]}, "cut it by where"),
        (BALL | {"file": "open.obj"}, "holes"),
        (BALL | {"file": "none.stl"}, "ball|empty|read"),
        (BALL | {"file": "bal.stl"}, "did you mean 'ball.stl'"),
        (BALL | {"file": "ball.txt"}, "no file|surface"),
        (BALL | {"scale": 0}, "more than zero"),
    ],
)
def test_what_is_no_region(region: dict[str, Any], said: str, folder: Path) -> None:
    with pytest.raises(ModelError, match=said):
        network(folder, regions={"r": region}, populations={"A": {"cell": "cell", "number": 1, "region": "r"}})


MIXED: dict[str, Any] = {
    "parameters": {"share": 3},
    "space": {"x": [0, 500], "y": [0, 300], "z": [0, 400]},
    "cells": {"fast": CELL, "slow": CELL | {"C": "1 nF"}},
    "synapses": {"syn": SYNAPSE},
    "populations": {"E": {"cell": {"fast": "share", "slow": 1}, "number": 101, "tags": {"layer": "L2"}},
                    "F": {"cell": "fast", "number": 10}},
    "connections": {"EE": {"from": "E", "to": "E", "probability": 0.2, "synapse": "syn"},
                    "FE": {"from": "F", "to": "E & slow", "pattern": "all_to_all", "synapse": "syn"},
                    "all": {"from": "fast", "to": "L2", "convergence": 2, "synapse": "syn"}},
    "record": {"v": {"cells": "E[0:3]"}},
    "run": {"duration": 10},
}  # fmt: skip


def mixed(path: str = "", value: Any = None) -> dict[str, Any]:
    data = copy.deepcopy(MIXED)
    at: Any = data
    *folders, last = path.split(".") if path else [""]
    for step in folders:
        at = at[step]
    if path:
        at[last] = value
    return data


def test_kinds_of_cells_in_one_population() -> None:
    made = build(mixed()).network
    sizes = {name: population.size for name, population in made.populations.items()}
    assert sizes == {"E_fast": 76, "E_slow": 25, "F": 10}
    assert {population.component for population in made.populations.values()} == {"fast", "slow"}
    alone = mixed("populations.E.cell", "fast") | {"connections": {}}
    whole = build(alone).network.populations["E"].positions
    both = np.concatenate([made.populations[name].positions for name in ("E_fast", "E_slow")])
    assert np.array_equal(both[np.lexsort(both.T)], whole[np.lexsort(whole.T)])
    count = {name: sum(len(p) for p in made.projections if p.id.startswith(name)) for name in ("EE", "FE", "all")}
    assert count["FE"] == 250 and count["all"] == 202
    assert abs(count["EE"] - 0.2 * 101 * 100) < 5 * np.sqrt(0.16 * 101 * 100)
    again = Specification.parse(Specification.of(mixed()).to_yaml())
    assert build(again).network.connections == made.connections


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("populations.E.cell", {"fast": -1, "slow": 2}, "must not be negative"),
        ("populations.E.cell", {}, "more than zero"),
        ("populations.E.cell", {"fsat": 1}, "did you mean 'fast'"),
        ("populations.E_fast", {"cell": "fast", "number": 3}, "name that is taken"),
    ],
)
def test_what_is_no_mixture(path: str, value: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        build(mixed(path, value))


def test_edges_of_sonata(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "edges.h5", "w") as file:
        group = file.create_group("edges/A_B")
        group["source_node_id"], group["target_node_id"] = np.array([3, 1, 2]), np.array([0, 1, 1])
        group["0/syn_weight"], group["0/delay"] = np.array([0.5, 1.5, 2.5]), np.array([1.0, 2, 3])
    edges = build(Specification.of(spec({"file": "edges.h5"}), tmp_path)).network.projections[0]
    assert (edges.pre.tolist(), edges.post.tolist()) == ([3, 1, 2], [0, 1, 1])
    assert edges.weight is not None and edges.delay is not None
    assert (edges.weight.tolist(), edges.delay.tolist()) == ([0.5, 1.5, 2.5], [1, 2, 3])
    with h5py.File(tmp_path / "edges.h5", "a") as file:
        file.create_group("edges/B_A")
    with pytest.raises(ModelError, match="A_B, B_A; expected one"):
        build(Specification.of(spec({"file": "edges.h5"}), tmp_path))


def test_lines_through_corners_and_edges_of_a_mesh(tmp_path: Path) -> None:
    """Points straight below corners and edges of the surface are inside or not as others are."""
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.export(tmp_path / "ball.ply", encoding="ascii")  # what is read are the very numbers
    _, _, inside, volume = surface(tmp_path / "ball.ply", 1.0)
    corners = np.asarray(trimesh.load(tmp_path / "ball.ply").vertices)
    middles = corners[ball.edges_unique].mean(axis=1)
    for points in (corners, middles):
        assert inside(points * 0.9).all() and not inside(points * 1.05).any()
        level = points * [1, 1, 0]
        assert inside(level[np.linalg.norm(level, axis=1) < 0.95]).all()
    assert volume == pytest.approx(ball.volume)
    grid = np.stack(np.meshgrid(*[np.linspace(-1.2, 1.2, 49)] * 3), -1).reshape(-1, 3)
    radius = np.linalg.norm(grid, axis=1)
    found = inside(grid)
    assert found[radius < 0.95].all() and not found[radius > 1].any()

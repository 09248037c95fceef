"""Any valid specification builds, comes back from YAML and JSON, and has the edges that its rules say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmlbridge.builder import Specification, build

from .rules import CELL, SYNAPSE, columns

SIZES = st.integers(0, 60)
DECAY = {"x": [0, 40, 200], "values": [1, 0.5, 0]}
SIDE = st.integers(1, 400).map(float)


# weights that are drawn: their means and standard deviations
DRAWN = {"normal(1, 0.1)": (1, 0.1), "uniform(1, 5)": (3, 4 / 12**0.5), "lognormal(2, 1)": (2, 1),
         "exponential(0.3)": (0.3, 0.3), "chance(0.3)": (0.3, 0.21**0.5), "poisson(1.5)": (1.5, 1.5**0.5)}  # fmt: skip


# surfaces of one unit, and the box around each
MESHES = {"ball.stl": (-1, 1), "ball.ply": (-1, 1), "brick.obj": (-0.5, 0.5), "brick.off": (-0.5, 0.5)}
PAIRS = {"one": [(0, 1)], "more": [(2, 0), (0, 1), (1, 0)]}
FURTHER = {"weight": [0.5, 2.0, 3.0], "delay": [1.0, 4.0, 1.5]}
ENDINGS = ("csv", "h5", "sonata.h5")
LISTS = [f"{name}{further}.{ending}" for name in PAIRS for further in ("", "_full") for ending in ENDINGS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that specifications name: surfaces, and connections in every form."""
    trimesh = pytest.importorskip("trimesh")
    place = tmp_path_factory.mktemp("files")
    ball, brick = trimesh.creation.icosphere(subdivisions=2), trimesh.creation.box((1, 1, 1))
    for name in MESHES:
        (ball if name.startswith("ball") else brick).export(place / name)
    for file in LISTS:
        name, ending = file.split(".", 1)
        pairs = np.array(PAIRS[name.removesuffix("_full")])
        columns = {"pre": pairs[:, 0], "post": pairs[:, 1]}
        if name.endswith("_full"):
            columns |= {word: np.array(values[: len(pairs)]) for word, values in FURTHER.items()}
        if ending == "csv":
            rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
            (place / file).write_text("\n".join([",".join(columns), *rows]) + "\n")
            continue
        words = {"pre": "source_node_id", "post": "target_node_id", "weight": "0/syn_weight", "delay": "0/delay"}
        with h5py.File(place / file, "w") as stream:
            for word, column in columns.items():
                stream[f"edges/E_to_E/{words[word]}" if ending.startswith("sonata") else word] = column
    return place


@st.composite
def regions(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.integers(0, 3)) == 0:
        file, scale = draw(st.sampled_from(list(MESHES))), draw(st.sampled_from([60, 150.0]))
        return {"shape": "mesh", "file": file, "scale": scale}
    region: dict[str, Any] = {"shape": draw(st.sampled_from(["box", "cylinder", "ellipsoid"]))}
    for axis in "xyz":
        low = draw(st.integers(-200, 200))
        region[axis] = [low, low + draw(SIDE)]
    if draw(st.booleans()):
        region["where"] = draw(st.sampled_from(["x < {0}", "!(depth > {1})", "x <= {0} | z > {2}"])).format(
            *(sum(region[axis]) / 2 for axis in "xyz")
        )
    return region


@st.composite
def populations(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["number", "density", "grid", "positions"]))
    how: dict[str, Any] = {
        "number": st.fixed_dictionaries({"number": st.integers(1, 60)}),
        "density": st.fixed_dictionaries({"density": st.sampled_from([1000, "800 * (1 + 0.5 * cos(depth / 50))"])}),
        "grid": st.fixed_dictionaries({"grid": st.fixed_dictionaries({"x": st.integers(80, 200), "z": st.just(150)})}),
        "positions": st.fixed_dictionaries({"positions": st.lists(st.tuples(SIDE, SIDE, SIDE).map(list), min_size=1,
                                                                  max_size=5)}),
    }  # fmt: skip
    population = {"cell": "cell", **draw(how[kind])}
    if draw(st.booleans()):
        population["region"] = draw(regions())
    return population


@st.composite
def rules(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    before = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    rule: dict[str, Any] = {"from": " | ".join(before), "to": draw(st.sampled_from(names)), "synapse": "syn"}
    chances = [0, 0.3, 1, "p", "exp(-dist_3d / 100)", "uniform(0, p)", "table(decay, dist_3d)",
               "if(pre_depth < post_depth, 0.6, 0.1)"]  # fmt: skip
    rule |= draw(st.one_of(
        st.fixed_dictionaries({"probability": st.sampled_from(chances)}),
        st.fixed_dictionaries({"pattern": st.just("all_to_all")}),
        st.fixed_dictionaries({"convergence": st.sampled_from([0, 1, "0.5 * chance(0.5)"])}),
        st.fixed_dictionaries({"divergence": st.sampled_from([0, 1, "chance(p)"])}),
        st.fixed_dictionaries({"degrees": st.fixed_dictionaries({"into": st.sampled_from([0, 1, "chance(p)"]),
                                                                 "out": st.sampled_from([1, "1 + pre_index"])})}),
        st.fixed_dictionaries({"pairs": st.lists(st.sampled_from([(0, 1), (1, 0), (2, 0)]), min_size=1, max_size=3,
                                                 unique=True)}),
        st.fixed_dictionaries({"file": st.sampled_from(LISTS)}),
        st.fixed_dictionaries({"pattern": st.just("one_to_one"), "autapses": st.just(True)}),
        st.fixed_dictionaries({"small_world": st.fixed_dictionaries({"neighbours": st.just(2),
                                                                     "rewire": st.sampled_from([0, 0.3, 1])})}),
    ))  # fmt: skip
    if "small_world" in rule or rule.get("pattern") == "one_to_one":  # among the cells of one population
        rule["from"] = rule["to"]
    rule |= draw(st.fixed_dictionaries({}, optional={
        "weight": st.sampled_from([0.5, "exp(-dist_2d / 50)", "p * post_depth", *DRAWN]),
        "delay": st.sampled_from(["1 ms", 2, "uniform(1, 5)", "0.5 + dist_3d / 300"]),
        "contacts": st.sampled_from([0, 2, "poisson(1.5)"]),
        "autapses": st.just(True),
    }))  # fmt: skip
    return rule


@st.composite
def specifications(draw: st.DrawFn) -> dict[str, Any]:
    names = ["A", "B", "C"][: draw(st.integers(1, 3))]
    return {
        "parameters": {"p": 0.25},
        "tables": {"decay": DECAY},
        "space": draw(regions()),
        "cells": {"cell": CELL},
        "synapses": {"syn": SYNAPSE},
        "populations": {name: draw(populations()) for name in names},
        "connections": {f"rule{n}": draw(rules(names)) for n in range(draw(st.integers(0, 3)))},
        "run": {"duration": "10 ms", "seed": draw(st.integers(0, 2**31))},
    }


def _some(data: dict[str, Any], folder: Path) -> bool:
    """Whether every population has cells for pairs and rings, and every convergence something to choose from."""
    network = build(Specification.of(data | {"connections": {}}, folder)).network
    return all(population.size > 2 for population in network.populations.values())


def _places(projections: list[Any], rule: dict[str, Any], offsets: dict[str, Any]) -> tuple[Any, Any]:
    """The places of all edges of a rule among the cells of from and of to."""
    begin, at = {}, 0
    for name in sorted(rule["from"].split(" | ")):
        begin[name], at = at, at + len(offsets[name])
    pre = [projection.pre + begin[projection.presynaptic] for projection in projections]
    post = [projection.post for projection in projections]
    none = [np.zeros(0, np.int64)]
    return np.concatenate(none + pre), np.concatenate(none + post)


def _inside(places: Any, region: dict[str, Any]) -> None:
    """Cells lie within the ranges, and where a mask lets them; within the sphere that is around a mesh of one."""
    if "file" in region:
        low, high = np.multiply(MESHES[region["file"]], region["scale"])
        assert (places >= low - 1e-3).all() and (places <= high + 1e-3).all()
        assert region["file"].startswith("brick") or (np.linalg.norm(places, axis=1) <= high + 1e-3).all()
        return
    low, high = np.transpose([region[axis] for axis in "xyz"])
    assert (places >= low - 1e-9).all() and (places <= high + 1e-9).all()
    middle, (x, y, z) = (low + high) / 2, places.T
    masks = {"x <": x < middle[0], "!(d": y <= middle[1], "x <=": (x <= middle[0]) | (z > middle[2])}
    if "where" in region:
        assert masks["x <=" if "|" in region["where"] else region["where"][:3]].all()


def _volume(region: dict[str, Any]) -> float | None:
    """um3; None if a mask cuts it. A ball of 320 triangles has somewhat less than a sphere: 4.04704."""
    if "file" in region:
        return float((4.04704 if region["file"].startswith("ball") else 1.0) * region["scale"] ** 3)
    size = np.prod([region[axis][1] - region[axis][0] for axis in "xyz"])
    share = {"box": 1, "cylinder": np.pi / 4, "ellipsoid": np.pi / 6}[region["shape"]]
    return None if "where" in region else float(size * share)


def _likely(found: float, chances: Any) -> None:
    """A sum of independent events lies where it should: by Bernstein's inequality, but for one in five billion."""
    mean, variance = chances.sum(), (chances * (1 - chances)).sum()
    far = abs(found - mean)
    assert far**2 <= 2 * 23 * (variance + far / 3) + 1e-6


def _as_listed(mine: list[Any], rule: dict[str, Any], offsets: dict[str, Any]) -> None:
    """The edges are those of the file, with its weights and delays, whatever the rule says of these."""
    name = rule["file"].split(".")[0]
    pairs = PAIRS[name.removesuffix("_full")]
    before, after = _places(mine, rule, offsets)
    assert sorted(zip(before.tolist(), after.tolist(), strict=True)) == sorted(pairs)
    if name.endswith("_full"):
        rows = [pairs.index(pair) for pair in zip(before.tolist(), after.tolist(), strict=True)]
        for word, values in FURTHER.items():
            found = np.concatenate([getattr(projection, word) for projection in mine])
            np.testing.assert_array_equal(found, np.array(values)[rows])


@given(data=specifications())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_specification(folder: Path, data: dict[str, Any]) -> None:
    if not _some(data, folder):
        return
    specification = Specification.of(data, folder)
    network = build(specification).network
    for text in (specification.to_yaml(), specification.to_json()):
        again = Specification.parse(text, folder)
        assert again.model == specification.model
        assert columns(build(again).network) == columns(network)
    offsets = {name: population.positions for name, population in network.populations.items()}
    for name, population in data["populations"].items():
        region = population.get("region", data["space"])
        if "positions" not in population:
            _inside(offsets[name], region)
        if population.get("density") == 1000 and (volume := _volume(region)) is not None:
            assert abs(len(offsets[name]) - 1000 * volume * 1e-9) <= 0.5 + 1e-4 * len(offsets[name])
    for name, rule in data["connections"].items():
        mine = [p for p in network.projections if p.id == name or p.id.startswith(f"{name}_")]
        weights = np.concatenate([np.zeros(0), *(p.weight for p in mine if p.weight is not None)])
        if rule.get("weight") in DRAWN and len(weights) > 100:
            mean, deviation = DRAWN[rule["weight"]]
            assert abs(weights.mean() - mean) < 7 * deviation / np.sqrt(len(weights))
        if rule.get("contacts", 1) != 1:
            continue
        found = sum(len(p) for p in mine)
        pre = np.concatenate([offsets[part] for part in sorted(rule["from"].split(" | "))])
        post = offsets[rule["to"]]
        distance = np.linalg.norm(pre[:, None] - post[None], axis=-1)
        pairs = np.ones(distance.shape)
        if not rule.get("autapses") and rule["to"] in rule["from"]:
            begin = sum(len(offsets[part]) for part in sorted(rule["from"].split(" | ")) if part < rule["to"])
            pairs[begin + np.arange(len(post)), np.arange(len(post))] = 0
        if "probability" in rule:
            p = {"p": 0.25, "uniform(0, p)": 0.125, "exp(-dist_3d / 100)": np.exp(-distance / 100),
                 "table(decay, dist_3d)": np.interp(distance, DECAY["x"], DECAY["values"]),
                 "if(pre_depth < post_depth, 0.6, 0.1)": np.where(pre[:, None, 1] < post[None, :, 1], 0.6, 0.1),
                 }.get(rule["probability"], rule["probability"])  # fmt: skip
            expected = p * pairs
            made = np.zeros(distance.shape)
            np.add.at(made, _places(mine, rule, offsets), 1)
            assert made.max(initial=0) <= 1
            # as many as there should be; near and far; onto each cell and from each
            near = distance < np.median(distance)
            for part in (made == made, near, ~near):
                _likely(made[part].sum(), expected[part])
            for axis in (0, 1):
                for number in range(distance.shape[axis]):
                    _likely(made.take(number, axis).sum(), expected.take(number, axis))
        elif "pairs" in rule:
            assert found == len(set(rule["pairs"]))
        elif "file" in rule:
            _as_listed(mine, rule, offsets)
        elif rule.get("pattern") == "one_to_one":
            before, after = _places(mine, rule, offsets)
            assert sorted(before) == sorted(after) == list(range(len(post))) and (before == after).all()
        elif "small_world" in rule:
            before, after = _places(mine, rule, offsets)
            assert (np.bincount(after, minlength=len(post)) == 2).all() and (before != after).all()
            assert len(set(zip(before, after, strict=True))) == 2 * len(post)
        elif "pattern" in rule:
            assert found == pairs.sum()
        elif rule.get("convergence", rule.get("degrees", {}).get("into")) in (0, 1):
            into = np.bincount(_places(mine, rule, offsets)[1], minlength=len(post))
            given = rule.get("convergence", rule.get("degrees", {}).get("into"))
            # a rule by degrees draws its sources with the cell itself among them, and leaves that one out
            assert (into == given).all() if "convergence" in rule else (into <= given).all()
        elif rule.get("divergence") in (0, 1):
            out = np.bincount(_places(mine, rule, offsets)[0], minlength=len(pre))
            assert (out == rule["divergence"]).all()

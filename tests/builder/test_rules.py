"""Rules for connections: their statistics, and that they are the same however they are built."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nmlbridge.builder import Specification, build
from nmlbridge.converters.native import in_components
from nmlbridge.errors import ModelError
from nmlbridge.lems import load_core
from nmlbridge.units import parse_quantity

from .rules import built, columns, spec

EVERY_RULE: dict[str, dict[str, Any]] = {
    "probability": {"probability": 0.2},
    "certain": {"probability": 1},
    "distance": {"probability": "0.8 * exp(-dist_3d / 100)"},
    "sharp": {"probability": "if(dist_2d < 120, 0.5, 0)"},
    "depth": {"probability": "clip(post_depth / 300, 0, 1) * pre_xnorm"},
    "drawn": {"probability": "uniform(0, 0.4)"},
    "convergence": {"convergence": 30},
    "most": {"convergence": 190},
    "convergence of depth": {"convergence": "10 + 20 * post_ynorm"},
    "divergence": {"divergence": "poisson(12)"},
    "all": {"pattern": "all_to_all"},
    "one to one": {"from": "A[0:150]", "pattern": "one_to_one"},
    "small world": {"to": "A", "small_world": {"neighbours": 6, "rewire": 0.3}},
    "degrees": {"degrees": {"into": 20, "out": "1 + pre_x"}},
    "pairs": {"pairs": [[0, 1], [5, 2], [199, 149], [0, 1]]},
}
VARIED = {"weight": "normal(1, 0.2)", "delay": "1 + dist_3d / 500 + exponential(0.3)", "contacts": "1 + poisson(0.5)"}
TREE = {
    "sections": {"soma": {"length": 20, "diameter": 20},
                 "trunk": {"parent": "soma", "length": 150, "diameter": 2},
                 "left": {"parent": "trunk", "length": 100, "diameter": 1},
                 "right": {"parent": "trunk", "length": 60, "diameter": 1}},
    "groups": {"dendrites": "trunk | left | right"},
    "biophysics": {"resistivity": 100, "mechanisms": {"leak": {"neuron": "pas", "g": 1e-4}}},
}  # fmt: skip


@pytest.mark.parametrize("rule", EVERY_RULE.values(), ids=list(EVERY_RULE))
def test_parts_built_apart_make_the_whole(rule: dict[str, Any]) -> None:
    """What ranks build of their own cells is, together, what one process builds."""
    whole = built(rule | VARIED).projections[0]
    rows = []
    for rank in range(3):
        part = build(spec(rule | VARIED), posts=lambda _, size, rank=rank: np.arange(size) % 3 == rank)  # type: ignore[misc]
        projection = part.network.projections[0] if part.network.projections else None
        if projection is not None:
            assert (projection.post % 3 == rank).all()
            rows.append(np.stack([projection.pre, projection.post, projection.weight, projection.delay], axis=1))
    together = np.concatenate(rows)
    expected = np.stack([whole.pre, whole.post, whole.weight, whole.delay], axis=1)
    assert len(together) == len(expected)
    assert np.array_equal(together[np.lexsort(together.T)], expected[np.lexsort(expected.T)])


def test_the_same_whatever_else_the_model_says() -> None:
    """Neither the order of rules nor further populations and rules change a rule's edges."""
    one = spec(EVERY_RULE["distance"] | VARIED)
    two = spec(EVERY_RULE["distance"] | VARIED)
    two["populations"] = {"C": {"cell": "cell", "number": 7}, **two["populations"]}
    two["connections"] = {"before": {"from": "C", "to": "A", "convergence": 3, "synapse": "syn"}, **two["connections"]}
    assert columns(build(two).network)["rule"] == columns(build(one).network)["rule"]
    assert columns(build(one, seed=2).network)["rule"] != columns(build(one).network)["rule"]


def test_places_on_dendrites_are_the_rules_own() -> None:
    """Where contacts lie depends on the seed and the rule's name, not on other rules or on who builds which cells."""
    rule = {"probability": 0.3, "contacts": 5, "at": {"where": "dendrites", "density": "exp(-path_dist / 80)"}}
    rule |= {"delay": "1 + path_dist / 100"}
    alone = spec(rule, (20, 30))
    alone["cells"]["cell"] = TREE

    def places(data: dict[str, Any], label: str = "rule", **more: Any) -> Any:
        (found,) = (p for p in build(data, **more).network.projections if p.id == label)
        rows = np.stack([found.pre, found.post, found.post_segment, found.post_fraction, found.delay], axis=1)
        return rows[np.lexsort(rows.T[::-1])]

    whole = places(alone)
    assert len(whole) > 500 and len(np.unique(whole[:, 2:4], axis=0)) > 0.9 * len(whole)
    among = alone | {"connections": {"before": alone["connections"]["rule"] | {"from": "B"}, **alone["connections"]}}
    assert np.array_equal(places(among), whole)
    for ranks in (2, 3, 4):
        parts = [places(alone, posts=lambda _, size, rank=rank, ranks=ranks: np.arange(size) % ranks == rank)
                 for rank in range(ranks)]  # fmt: skip
        together = np.concatenate(parts)
        assert np.array_equal(together[np.lexsort(together.T[::-1])], whole)
    other = places(alone | {"connections": {"other": alone["connections"]["rule"]}}, "other")
    assert not np.isin(other[:, 3], whole[:, 3]).any()
    assert not np.isin(places(alone, seed=2)[:, 3], whole[:, 3]).any()


def test_probability() -> None:
    for rule, p in (
        ({"probability": 0.2}, 0.2),
        ({"probability": "uniform(0, 0.4)"}, 0.2),
        ({"probability": 0.97}, 0.97),
    ):
        projection = built(rule, (400, 300)).projections[0]
        assert len(np.unique(projection.pre * 300 + projection.post)) == len(projection)
        pairs = 400 * 300
        assert abs(len(projection) - p * pairs) < 5 * np.sqrt(pairs * p * (1 - p))
        into = np.bincount(projection.post, minlength=300)
        assert into.var() == pytest.approx(400 * p * (1 - p), rel=0.45)  # sd of a variance of 300: 8 %


@pytest.mark.parametrize("text", ["0.8 * exp(-dist_3d / 100)", "exp(-(dist_2d / 80)^2)", "if(dist_x < 60, 0.3, 0.02)"])
def test_distance_dependence(text: str) -> None:
    """In every bin of distance as many edges as the rule says, within five standard deviations."""
    network = built({"probability": text}, (700, 600))
    projection = network.projections[0]
    a, b = (network.populations[name].positions for name in "AB")
    difference = np.abs(a[:, None, :] - b[None, :, :])
    if "dist_2d" in text:
        distance, p = np.hypot(difference[..., 0], difference[..., 2]), lambda d: np.exp(-((d / 80) ** 2))
    elif "dist_x" in text:
        distance, p = difference[..., 0], lambda d: np.where(d < 60, 0.3, 0.02)
    else:
        distance, p = np.linalg.norm(difference, axis=-1), lambda d: 0.8 * np.exp(-d / 100)
    edges = np.linspace(0, 500, 21)
    for low, high in pairwise(edges):
        inside = (distance >= low) & (distance < high)
        expected = p(distance[inside])
        found = inside[projection.pre, projection.post].sum()
        assert abs(found - expected.sum()) <= 5 * np.sqrt((expected * (1 - expected)).sum()) + 1e-9


@pytest.mark.parametrize("axes", ["3d", "2d", "x", "y", "z"])
def test_what_is_certain_within_a_distance_is_there(axes: str) -> None:
    """Boxes of cells are passed over by a bound of the probability in them, which must leave out no pair."""
    network = built({"probability": f"clip((61.8 - dist_{axes}) * 1e9, 0, 1)"}, (900, 300))
    a, b = (network.populations[name].positions for name in "AB")
    chosen = {"3d": [0, 1, 2], "2d": [0, 2]}.get(axes) or ["xyz".index(axes)]
    near = np.linalg.norm((a[:, None, :] - b[None, :, :])[..., chosen], axis=-1) < 61.8
    found = np.zeros(near.shape, bool)
    found[network.projections[0].pre, network.projections[0].post] = True
    assert np.array_equal(found, near) and 1000 < near.sum() < 0.9 * near.size


def test_convergence_and_divergence_are_exact_and_even() -> None:
    into = built({"convergence": 50}).projections[0]
    assert (np.bincount(into.post, minlength=150) == 50).all()
    assert len(np.unique(into.pre * 150 + into.post)) == len(into)
    out = np.bincount(into.pre, minlength=200)
    assert abs(out - 37.5).max() < 5.5 * np.sqrt(37.5 * 0.75)
    back = built({"divergence": 50}).projections[0]
    assert (np.bincount(back.pre, minlength=200) == 50).all()
    # every cell, and one cell: limits that NetPyNE cannot reach
    assert len(built({"convergence": 200}).projections[0]) == 200 * 150
    assert len(built({"convergence": 1}, (1, 150)).projections[0]) == 150


def test_depth_dependent_convergence() -> None:
    network = built({"convergence": "10 + 20 * post_ynorm"})
    positions = network.populations["B"].positions
    assert positions is not None
    found = np.bincount(network.projections[0].post, minlength=150)
    assert np.array_equal(found, np.rint(10 + 20 * positions[:, 1] / 300))


def test_no_autapses_unless_asked_for() -> None:
    for rule in ({"probability": 1}, {"pattern": "all_to_all"}, {"convergence": 49}, {"divergence": 49}):
        ends = {"from": "A", "to": "A"}
        projection = built(rule | ends, (50, 1)).projections[0]
        assert (projection.pre != projection.post).all() and len(projection) == 50 * 49
    assert len(built({"convergence": 50, "autapses": True, "from": "A", "to": "A"}, (50, 1)).projections[0]) == 2500


def test_small_world() -> None:
    rule = {"from": "A", "to": "A", "small_world": {"neighbours": 10, "rewire": 0.2}}
    projection = built(rule, (500, 1)).projections[0]
    assert (np.bincount(projection.post, minlength=500) == 10).all()
    assert len(np.unique(projection.pre * 500 + projection.post)) == 5000
    gap = np.abs(projection.pre - projection.post)
    near = (np.minimum(gap, 500 - gap) <= 5).mean()
    expected = 0.8 + 0.2 * 2 / 491  # a rewired one may fall on a neighbour that was given up
    assert near == pytest.approx(expected, abs=5 * np.sqrt(0.16 / 5000))
    assert (projection.pre != projection.post).all()


@pytest.mark.parametrize("rewire", [-0.1, 2])
def test_rewiring_is_a_probability(rewire: float) -> None:
    with pytest.raises(ModelError, match=r"small_world.rewire.*expected 0 to 1"):
        built({"to": "A", "small_world": {"neighbours": 6, "rewire": rewire}})


def test_degrees_follow_their_propensity() -> None:
    network = built({"degrees": {"into": 10, "out": "1 + 3 * (pre_index < 100)"}}, (200, 2000))
    out = np.bincount(network.projections[0].pre, minlength=200)
    assert out[:100].sum() / out[100:].sum() == pytest.approx(4, rel=0.08)  # a little less: all ten are different


def test_several_synapses_share_contacts_but_not_weights() -> None:
    model = spec({"probability": 0.1, "contacts": 3, "synapse": ["syn", "slow"], "weight": [1, "normal(2, 0.1)"]})
    model["synapses"]["slow"] = model["synapses"]["syn"] | {"tauDecay": "80 ms"}
    fast, slow = build(model).network.projections
    assert np.array_equal(fast.pre, slow.pre) and np.array_equal(fast.post, slow.post)
    assert len(fast) % 3 == 0 and (np.bincount(fast.post * 200 + fast.pre)[fast.post * 200 + fast.pre] == 3).all()
    assert fast.weight is not None and (fast.weight == 1).all()
    assert slow.weight is not None and slow.weight.mean() == pytest.approx(2, abs=0.02) and slow.weight.std() > 0.08


def test_velocity_adds_to_the_delay() -> None:
    network = built({"probability": 0.1, "delay": "2 ms", "velocity": "0.5 m_per_s"})
    projection = network.projections[0]
    a, b = (network.populations[name].positions for name in "AB")
    distance = np.linalg.norm(a[projection.pre] - b[projection.post], axis=1)
    assert projection.delay == pytest.approx(2 + distance / 500, abs=1e-9)


def test_a_csv_of_connections(tmp_path: Any) -> None:
    (tmp_path / "edges.csv").write_text("pre,post,weight\n3,4,0.5\n0,1,2\n")
    projection = build(Specification.of(spec({"file": "edges.csv"}), tmp_path)).network.projections[0]
    assert [projection.pre.tolist(), projection.post.tolist()] == [[0, 3], [1, 4]]
    assert projection.weight is not None and projection.weight.tolist() == [2, 0.5]


def test_one_rule_over_several_populations() -> None:
    """Convergence counts all of ``from`` together; each pair of populations has a projection of its own."""
    network = built({"from": "A | B", "to": "all", "convergence": 20})
    assert {p.id for p in network.projections} == {"rule_A_A", "rule_A_B", "rule_B_A", "rule_B_B"}
    total = sum(np.bincount(p.post, minlength=150) for p in network.projections if p.postsynaptic == "B")
    assert (total == 20).all()


def test_a_file_of_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "edges.h5"
    wanted = {"pre": [3, 7, 199], "post": [0, 5, 5], "weight": [0.5, 2, 1], "delay": [1, 1.5, 2]}
    with h5py.File(path, "w") as file:
        for name, column in wanted.items():
            file[name] = column
    (projection,) = build(Specification.of(spec({"file": "edges.h5"}), tmp_path)).network.projections
    for name, column in wanted.items():
        assert np.array_equal(getattr(projection, name), column)
    for change, said in (("weigth", "datasets are"), ("weight", "different lengths")):
        with h5py.File(path, "a") as file:
            file.pop(change, None)
            file[change] = [1.0, 2.0]
        with pytest.raises(ModelError, match=said):
            build(Specification.of(spec({"file": "edges.h5"}), tmp_path))
        with h5py.File(path, "a") as file:
            del file[change]
    path.write_bytes(b"no such thing")
    with pytest.raises(ModelError, match="HDF5"):
        build(Specification.of(spec({"file": "edges.h5"}), tmp_path))


def test_a_poisson_stimulus_begins_and_ends() -> None:
    stimulus = {"type": "poisson", "to": "A", "rate": 10, "start": 20, "stop": "50 + 5 * chance(0.5)", "synapse": "syn"}
    network = built({"probability": 0.1}, stimuli={"noise": stimulus})
    (made,) = [e.attributes for e in network.components if e.tag == "transientPoissonFiringSynapse"]
    assert si(made["delay"]) == 0.02 and si(made["averageRate"]) == 10
    (inputs,) = network.inputs
    assert list(inputs.values) == ["duration"] and set(np.round(inputs.values["duration"], 12)) == {0.03, 0.035}
    apart = [e.attributes for e in in_components(network).components if e.tag == "transientPoissonFiringSynapse"]
    assert {si(attributes["duration"]) for attributes in apart} == {0.03, 0.035} and len(apart) == 2
    assert sum(len(inputs) for inputs in network.inputs) == 200


def si(text: str) -> float:
    return float(f"{parse_quantity(text, load_core().units)[0]:.12g}")

"""Tables that formulas look numbers up in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmlbridge.builder import Specification, build
from nmlbridge.builder.tables import Table
from nmlbridge.errors import ModelError

from .rules import spec
from .test_cells import model, shape_of

DECAY = {"x": [0, 50, 100, 300], "values": [0.8, 0.5, 0.1, 0]}


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=9), st.floats(-2, 12), st.floats(0, 8), st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_bounds_of_a_table_hold(values: list[float], low: float, width: float, share: float) -> None:
    table = Table((np.arange(len(values), dtype=float),), np.array(values))
    least, most = table.between([(np.asarray(low), np.asarray(low + width))])
    at = table(low + share * width)
    assert least - 1e-12 <= at <= most + 1e-12
    assert at == pytest.approx(np.interp(low + share * width, table.axes[0], values), abs=1e-12)


def test_two_axes() -> None:
    table = Table((np.array([0.0, 1, 3]), np.array([0.0, 10])), np.array([[0.0, 1], [2, 3], [4, 9]]))
    assert table(np.array([0.5, 2, -1, 9]), np.array([5.0, 0, 10, 10])).tolist() == [1.5, 3, 1, 9]


def test_a_profile_of_distance() -> None:
    rule = {"from": "A", "to": "A", "probability": "table(decay, dist_3d)"}
    network = build(spec(rule, (600, 1), tables={"decay": DECAY})).network
    where = network.populations["A"].positions
    distance = np.linalg.norm(where[:, None] - where[None], axis=-1)
    p = np.interp(distance, DECAY["x"], DECAY["values"])
    np.fill_diagonal(p, 0)
    edges = network.projections[0]
    assert abs(len(edges) - p.sum()) < 5 * np.sqrt((p * (1 - p)).sum())
    near = distance < 60
    made = int(near[edges.pre, edges.post].sum())
    assert abs(made - p[near].sum()) < 5 * np.sqrt((p * (1 - p))[near].sum())


def test_a_map_from_a_file_places_synapses(tmp_path: Path) -> None:
    # four times as dense beyond y = 500; the dendrite runs from y = 20 to 1020
    (tmp_path / "map.csv").write_text("x,0,499,501,1200\n-500,1,1,4,4\n500,1,1,4,4\n")
    place = {"where": "dend", "density": "table(map, x, y)"}
    data = model(
        tables={"map": {"file": "map.csv"}},
        connections={"rule": {"from": "A", "to": "A", "pattern": "all_to_all", "synapse": "syn", "contacts": 4,
                              "at": place}},
    )  # fmt: skip
    network = build(Specification.of(data, tmp_path)).network
    shape = shape_of(network)
    edges = network.projections[0]
    row = np.searchsorted(shape.ids, edges.post_segment)
    y = shape.proximal[row, 1] + edges.post_fraction * (shape.distal[row, 1] - shape.proximal[row, 1])
    share = 520 * 4 / (520 * 4 + 480)
    spread = 5 * np.sqrt(share * (1 - share) / len(y))
    assert (y > 500).mean() == pytest.approx(share, abs=spread + 2e-3)  # the step of the map is 2 um wide


@pytest.mark.parametrize(
    ("table", "formula", "said"),
    [
        ({"x": [0, 0], "values": [1, 2]}, "1", "increase"),
        ({"x": [0, 1], "values": [1, 2, 3]}, "1", "2 numbers"),
        ({"x": [0, 1], "y": [0, 1], "values": [1, 2]}, "1", "2 rows"),
        ({"x": [0, 1]}, "1", "needs x and values"),
        ({"file": "no.csv"}, "1", "no file"),
        (DECAY, "table(decy, dist_3d)", "did you mean 'decay'"),
        (DECAY, "table(decay, dist_x, dist_y)", "1 axes"),
        (DECAY, "table(decay)", "the name of a table"),
        (DECAY, "table(2, dist_x)", "the name of a table"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, Any], formula: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        build(spec({"probability": formula}, tables={"decay": table}))

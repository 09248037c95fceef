"""Network, Population, Projection and InputList: what is always true of their columns."""

from __future__ import annotations

import numpy as np
import pytest

from nmlbridge.errors import NetworkError
from nmlbridge.graph import InputList, Network, Population, Projection


def _network(projections: list[Projection] | None = None, inputs: list[InputList] | None = None) -> Network:
    populations = {"a": Population.sized("a", "cell", 3), "b": Population("b", "cell", np.array([7, 2, 5]))}
    return Network("net", populations, projections or [], inputs or [])


def _projection(pre: list[int], post: list[int], **more: object) -> Projection:
    return Projection("p", "chemical", "a", "b", np.array(pre), np.array(post), synapses=("s",), **more)  # type: ignore[arg-type]


def test_gids_are_dense_in_the_order_of_the_populations() -> None:
    network = _network()
    assert network.size == 6
    assert [list(p.gids) for p in network.populations.values()] == [[0, 1, 2], [3, 4, 5]]


def test_instance_ids_lead_to_rows() -> None:
    population = _network().populations["b"]
    assert list(population.rows_of([2, 7, 5, 1, 8])) == [1, 0, 2, -1, -1]
    assert population.row_of(5) == 2
    assert population.row_of(0) is None
    assert list(Population.sized("a", "cell", 0).rows_of([0, -1])) == [-1, -1]
    assert list(Population("e", "cell", np.array([], dtype=int)).rows_of([3])) == [-1]


def test_columns_are_read_only_and_the_callers_array_stays_his() -> None:
    mine = np.array([0, 1])
    projection = _projection([0, 1], [1, 2], weight=np.array([0.5, 2.0]))
    held = Projection("q", "chemical", "a", "b", mine, mine)
    mine[0] = 2
    assert list(held.pre) == [0, 1]
    for column in projection.columns().values():
        assert column is None or not column.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        projection.pre[0] = 1


def test_what_is_not_given_is_filled_in() -> None:
    projection = _projection([0, 1], [1, 2])
    assert list(projection.ids) == [0, 1]
    assert list(projection.pre_fraction) == [0.5, 0.5]
    assert list(projection.post_segment) == [0, 0]
    assert projection.weight is None
    assert projection.delay is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: _projection([0, 1], [1]), "different lengths.*pre 2, post 1"),
        (lambda: _projection([0], [1], delay=np.array([1.0, 2.0])), "delay 2"),
        (lambda: _network([_projection([3], [0])]), "refers to cell 3 of population 'a', which has 3 cells"),
        (lambda: _network([_projection([0], [-1])]), "refers to cell -1 of population 'b'"),
        (lambda: _network([_projection([0], [0]), _projection([0], [0])]), "'p' is used twice"),
        (lambda: _network(inputs=[InputList("i", "pulse", "c", np.array([0]))]), "names no population of network"),
        (lambda: _network(inputs=[InputList("i", "pulse", "a", np.array([9]))]), "refers to cell 9"),
        (lambda: Population("d", "cell", np.array([1, 1])), "the instance id 1 is used twice in population 'd'"),
        (lambda: Population("d", "cell", np.array([0, 1]), np.zeros((3, 3))), "positions 3"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(wrong: object, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        wrong()  # type: ignore[operator]


def test_a_network_says_what_it_holds() -> None:
    network = _network([_projection([0, 1], [1, 2])])
    assert network.connections == 2
    assert network.summary()["projections"]["p"] == {"kind": "chemical", "from": "a", "to": "b", "connections": 2}
    assert "6 cells, 2 connections" in repr(network)

"""Placement: even sums of costs, every cell once, the same on every rank, blind to nothing that a step computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmlbridge.simulator.neuron.ranks import Placement, deal, step_costs

from . import programs


@given(st.lists(st.floats(1.0, 1e4), min_size=1, max_size=200), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_no_rank_has_a_third_more_than_the_best_possible(costs: list[float], ranks: int) -> None:
    """Graham's bound for the longest first is 4/3 - 1/(3 ranks) of the optimum; rounding to 2 % may add as much."""
    array = np.array(costs)
    loads = np.bincount(deal(array, ranks), array, ranks)
    assert len(loads) == ranks and loads.sum() == pytest.approx(array.sum())
    ordered = np.sort(array)[::-1]
    pair = ordered[ranks - 1] + ordered[ranks] if len(array) > ranks else 0.0  # two of ranks + 1 things are together
    at_least = max(array.sum() / ranks, ordered[0], pair)
    assert loads.max() <= at_least * 1.5 * 1.03  # at_least may be below the optimum itself


def test_equal_cells_are_dealt_out_in_turn() -> None:
    assert deal(np.full(7, 3.0), 3).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_one_dear_cell_has_a_rank_to_itself() -> None:
    homes = deal(np.array([1.0, 1.0, 100.0, 1.0, 1.0]), 2)
    assert (homes == homes[2]).sum() == 1


def test_a_million_cells_of_a_thousand_costs_come_out_even() -> None:
    costs = np.random.default_rng(1).lognormal(5, 1, 1_000_000)
    loads = np.bincount(deal(costs, 64), costs, 64)
    assert loads.max() / loads.mean() < 1.001


def test_what_is_on_a_cell_counts() -> None:
    program = programs.ring()
    costs = step_costs(program)
    assert len(costs) == 12 and costs[:6].min() > 50 * costs[6:].max()  # six cells, six artificial ones
    bare = step_costs(replace(program, spec={**program.spec, "points": [], "netcons": []}))
    assert (costs[:6] > bare[:6]).all()
    placement = Placement(program, 3)
    places = [placement.local(0, 12, rank) for rank in range(3)]
    assert sorted(gid for place in places for gid in place) == list(range(12))
    for rank, mine in enumerate(places):
        assert all(placement.of(gid) == rank for gid in mine)

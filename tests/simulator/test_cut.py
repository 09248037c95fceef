"""Cutting trees: pieces that NEURON can join, within the limit; which cells are cut, and which stay whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmlbridge.errors import UnsupportedError, UsageError
from nmlbridge.simulator.neuron.cut import Tree, cut, united, wires
from nmlbridge.simulator.neuron.ranks import section_costs, step_costs
from nmlbridge.simulator.neuron.splitting import place, remarks
from nmlbridge.simulator.program import Program

from . import giants, programs


@st.composite
def trees(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Sections that hang at ends and middles of others, also at the end by which these hang themselves."""
    size = draw(st.integers(1, 80))
    far = draw(st.sampled_from([2, 10, 80]))
    return [
        {
            "parent": -1 if number == 0 else draw(st.integers(max(0, number - far), number - 1)),
            "parent_x": draw(st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.0, 0.3])),
            "child_x": draw(st.sampled_from([0.0, 0.0, 0.0, 1.0])),
            "nseg": draw(st.sampled_from([1, 3, 7])),
        }
        for number in range(size)
    ]


def touched(tree: Tree, pieces: np.ndarray) -> dict[int, set[int]]:
    """The joints that each piece is wired at."""
    found: dict[int, set[int]] = {}
    for joint, members in wires(tree, pieces):
        for section in (tree.places[joint][0], *members):
            found.setdefault(int(pieces[section]), set()).add(joint)
    return found


@given(trees(), st.sampled_from([1.0, 0.5, 0.25, 0.1, 0.03]), st.integers(2, 4), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_no_piece_is_wired_at_more_than_two_places(
    sections: list[dict[str, Any]], part: float, ranks: int, chance: Any
) -> None:
    tree = Tree.of(sections)
    costs = np.array([float(section["nseg"]) for section in sections])
    pieces = cut(tree, costs, costs.sum() * part)
    homes = np.array([chance.randrange(ranks) for _ in range(pieces.max() + 1)])
    for numbers in (pieces, united(tree, pieces, homes)):
        assert all(len(joints) <= 2 for joints in touched(tree, numbers).values())
        # a piece hangs together: all of its sections but one hang at another of them
        roots = [s for s in range(len(sections)) if tree.owner(s) < 0 or numbers[tree.owner(s)] != numbers[s]]
        assert sorted(numbers[roots]) == list(range(numbers.max() + 1))
        for number in range(numbers.max() + 1):
            assert len(set(homes[pieces][numbers == number])) == 1  # and is on one rank


def test_a_binary_tree_comes_apart_within_the_limit() -> None:
    """Branches at ends alone: a piece is never more than the limit and what hangs at the joint where it is exceeded."""
    sections = [{"parent": (number - 1) // 2 if number else -1, "parent_x": 1.0, "nseg": 1} for number in range(1023)]
    tree, costs = Tree.of(sections), np.ones(1023)
    for limit in (512.0, 200.0, 60.0, 10.0):
        pieces = cut(tree, costs, limit)
        assert np.bincount(pieces).max() <= limit
        assert pieces.max() + 1 <= 8 * 1023 / limit


def test_a_chain_is_cut_into_links_and_no_joint_is_cut_for_neighbours_on_one_rank() -> None:
    sections = [{"parent": number - 1, "parent_x": 1.0, "nseg": 1} for number in range(100)]
    tree = Tree.of(sections)
    pieces = cut(tree, np.ones(100), 25.0)
    assert np.bincount(pieces).tolist() == [25, 25, 25, 25]
    assert united(tree, pieces, np.array([0, 0, 1, 1])).max() == 1
    assert united(tree, pieces, np.zeros(4, int)).max() == 0


def test_a_joint_is_a_node_whatever_its_sections_say() -> None:
    sections = [
        {"parent": -1, "parent_x": 1.0, "nseg": 3},
        {"parent": 0, "parent_x": 0.5, "nseg": 1},
        {"parent": 0, "parent_x": 0.4, "nseg": 1},  # the same middle compartment
        {"parent": 1, "parent_x": 0.0, "nseg": 1},  # where section 1 hangs
        {"parent": 0, "parent_x": 1.0, "nseg": 1},
        {"parent": 0, "parent_x": 0.0, "nseg": 1},
    ]
    tree = Tree.of(sections)
    assert tree.places == ((0, 0.5), (0, 1.0), (0, 0.0)) and tree.joint == (-1, 0, 0, 0, 1, 2)
    assert [tree.owner(section) for section in range(6)] == [-1, 0, 0, 0, 0, 0]


def test_costs_of_sections_add_up_to_those_of_the_cell() -> None:
    program = giants.giant()
    sections = section_costs(program, 0)
    assert sections.sum() == pytest.approx(step_costs(program)[0]) and (sections > 0).all()


def test_a_giant_is_split_evenly_and_a_network_of_equals_is_not() -> None:
    for ranks in (2, 3, 5):
        found = place(giants.giant(), ranks)
        assert list(found.cuts) == [0] and found.loads.max() / found.loads.mean() < 1.1
        assert any("the cell giant[0] is split over" in remark for remark in remarks(giants.giant(), found))
    assert not place(programs.ring(cells=64), 4).cuts
    assert not place(giants.giant(), 2, "off").cuts
    assert not place(giants.giant(fine=3), 2).cuts, "talk between ranks would take about what pieces of it save"
    assert list(place(giants.giant(fine=3), 2, "force").cuts) == [0]


def test_only_the_giant_among_small_cells_is_split() -> None:
    found = place(giants.giant(others=40), 2)
    assert list(found.cuts) == [0] and found.loads.max() / found.loads.mean() < 1.1
    assert found.of(0) == found.cuts[0].homes[0], "its spikes come from its soma"


@pytest.mark.parametrize(("change", "words"), [
    ({"run": programs.run(cvode={"atol": 1e-3})}, "variable"),
    ({"run": programs.run(coreneuron=True)}, "CoreNEURON"),
    ({"rxd": {"regions": []}}, "reactions"),
    ({"fields": [{"population": "giant"}]}, "fields"),
    ({"electrodes": {"columns": 1}}, "electrodes"),
])  # fmt: skip
def test_what_stays_whole_says_why(change: dict[str, Any], words: str) -> None:
    program = giants.giant()
    program = Program({**program.spec, **change}, program.tables, program.mods)
    found = place(program, 2)
    assert not found.cuts and found.hindrance is not None and words in found.hindrance
    assert any(words in remark for remark in remarks(program, found))
    with pytest.raises(UnsupportedError, match=words):
        place(program, 2, "force")


def test_a_cell_whose_sum_is_recorded_stays_whole() -> None:
    terms = [{"gid": 0, "section": section, "x": 0.5, "variable": "v"} for section in (0, 30)]
    found = giants.giant()
    program = Program({**found.spec, "recordings": [{"column": 0, "terms": terms}]}, found.tables, found.mods)
    placed = place(program, 2)
    assert not placed.cuts
    assert any("a sum over several of its sections is recorded" in remark for remark in remarks(program, placed))
    with pytest.raises(UnsupportedError, match="sums over a whole cell"):
        place(program, 2, "force")


def test_force_needs_ranks_and_a_cell_of_several_sections() -> None:
    with pytest.raises(UsageError, match="-n 2"):
        place(giants.giant(), 1, "force")
    with pytest.raises(UnsupportedError, match="no cell can be split"):
        place(programs.one_cell(), 2, "force")
    with pytest.raises(UsageError, match="auto, off, force"):
        place(giants.giant(), 2, "maybe")
    assert list(place(programs.ring(cells=6), 2, "force").cuts) != []

"""Morphology: geometry of segments, and the ways to select them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.errors import NetworkError
from nmlbridge.graph.morphology import Morphology

SOMA = '<segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="10"/><distal x="10" y="0" z="0" diameter="10"/></segment>'  # noqa: E501
TREE = (
    SOMA
    + '<segment id="5"><parent segment="2"/><distal x="40" y="0" z="0" diameter="2"/></segment>'  # before its parent
    '<segment id="2"><parent segment="0"/><proximal x="10" y="0" z="0" diameter="4"/>'
    '<distal x="30" y="0" z="0" diameter="2"/></segment>'
    '<segment id="3"><parent segment="2" fractionAlong="0.5"/><distal x="20" y="30" z="0" diameter="1"/></segment>'
)
GROUPS = (
    '<segmentGroup id="dend"><member segment="2"/><member segment="3"/></segmentGroup>'
    '<segmentGroup id="both"><include segmentGroup="dend"/><member segment="0"/></segmentGroup>'
    '<segmentGroup id="way"><path><from segment="0"/><to segment="3"/></path></segmentGroup>'
    '<segmentGroup id="beyond"><subTree><from segment="2"/></subTree></segmentGroup>'
    '<segmentGroup id="before"><subTree><to segment="3"/></subTree></segmentGroup>'
    '<segmentGroup id="cable" neuroLexId="sao864921383"><property tag="numberInternalDivisions" value="7"/>'
    '<member segment="5"/></segmentGroup>'
)


def _morphology(folder: Path, body: str) -> Morphology:
    file = folder / "m.cell.nml"
    file.write_text(
        '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="d">\n<morphology id="m">\n'
        f"{body}\n</morphology></neuroml>"
    )
    element = next(e for e in nmlbridge.read(file).components if e.tag == "morphology")
    return Morphology.from_element(element)


def test_parents_come_first_and_a_proximal_point_may_be_left_out(tmp_path: Path) -> None:
    m = _morphology(tmp_path, TREE)
    assert m.root == 0
    assert set(m.ids) == {0, 2, 3, 5}
    assert all(m.parent[row] < row for row in range(4))
    at = m.row_by_id
    assert list(m.implicit[[at[0], at[2], at[3], at[5]]]) == [False, False, True, True]
    np.testing.assert_allclose(m.proximal[at[3]], [20, 0, 0, 3])  # half-way along the taper from 4 to 2
    np.testing.assert_allclose(m.proximal[at[5]], [30, 0, 0, 2])
    assert m.length[at[3]] == pytest.approx(30)
    assert m.start[at[5]] == pytest.approx(30)
    assert m.start[at[3]] == pytest.approx(20)


def test_areas_are_of_cylinder_frustum_and_sphere(tmp_path: Path) -> None:
    m = _morphology(tmp_path, TREE)
    assert m.area[m.row_by_id[0]] == pytest.approx(math.pi * 10 * 10)
    assert m.area[m.row_by_id[2]] == pytest.approx(math.pi * (2 + 1) * math.sqrt(20**2 + 1))
    sphere = _morphology(tmp_path, SOMA.replace('x="10"', 'x="0"'))
    assert sphere.area[0] == pytest.approx(math.pi * 10**2)


def test_groups_of_every_kind(tmp_path: Path) -> None:
    m = _morphology(tmp_path, TREE + GROUPS)
    ids = {name: {int(m.ids[row]) for row in group.rows} for name, group in m.groups.items()}
    assert ids == {"dend": {2, 3}, "both": {0, 2, 3}, "way": {0, 2, 3}, "beyond": {2, 3, 5}, "before": {0, 2, 3},
                   "cable": {5}}  # fmt: skip
    assert m.groups["cable"].is_cable
    assert m.groups["cable"].divisions == 7
    assert {int(m.ids[row]) for row in m.group("all").rows} == {0, 2, 3, 5}


def _segment(id: int, parent: int) -> str:
    return f'<segment id="{id}"><parent segment="{parent}"/><distal x="1" y="1" z="1" diameter="1"/></segment>'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "no segments"),
        (SOMA + SOMA, "segment id 0 is used twice"),
        (SOMA + _segment(1, 9), "segment 1 has parent 9, which is not there"),
        (SOMA + _segment(1, 2) + _segment(2, 1), "is its own ancestor"),
        (SOMA + SOMA.replace('id="0"', 'id="1"'), "segments 0 and 1 both have no parent"),
        (SOMA.replace('diameter="10"', 'diameter="wide"', 1), "diameter='wide' of <proximal> is not a number"),
        (SOMA.replace('diameter="10"', 'diameter="nan"', 1), "is not finite"),
        (SOMA + '<segmentGroup id="g"><member segment="4"/></segmentGroup>', "refers to segment 4"),
        (SOMA + '<segmentGroup id="g"><include segmentGroup="g"/></segmentGroup>', "includes itself"),
        (SOMA + '<segmentGroup id="g"><include segmentGroup="h"/></segmentGroup>', "segmentGroup='h' is not there"),
        (TREE + '<segmentGroup id="g"><path><from segment="5"/><to segment="3"/></path></segmentGroup>', "no ancestor"),
    ],
)
def test_a_tree_that_is_none_is_refused_with_its_line(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        _morphology(tmp_path, body)
    assert "m.cell.nml" in str(caught.value)
    assert caught.value.line is not None

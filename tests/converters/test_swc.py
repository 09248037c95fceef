"""SWC and ASC: what MorphIO and NEURON make of the same file, and back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmlbridge import read, write
from nmlbridge.errors import DocumentError, UnsupportedError
from nmlbridge.graph.morphology import Morphology
from nmlbridge.neuroml import validate
from nmlbridge.report import Report

morphio = pytest.importorskip("morphio")
ALLEN = [
    "Nr5a1_471087815_m", "Pvalb_469628681_m", "Pvalb_470522102_m", "Rorb_325404214_m", "Scnn1a_473845048_m",
]  # fmt: skip
FILES = [f"sonata/shared_components/morphologies/{name}.swc" for name in ALLEN]
FILES += [f"swc/Case{number}_new.swc" for number in range(1, 6)]
ASC = """
("CellBody" (Color Red) (CellBody) (10 0 0 0) (0 10 0 0) (-10 0 0 0) (0 -10 0 0))
((Color Blue) (Axon) (0 -10 0 2) (0 -60 0 2) (0 -110 0 1) Normal)
((Color Green) (Dendrite) (0 10 0 4) (0 50 0 4) ((20 70 0 2) (20 90 0 2) Normal | (-20 70 0 2) (-20 95 0 1) Normal))
"""


def shape_of(path: Path, report: Report | None = None) -> Morphology:
    source = read(path, report=report).components[0].find("morphology")
    assert source is not None
    return Morphology.from_element(source)


def rows_of(shape: Morphology) -> dict[str, list[int]]:
    return {id: group.rows.tolist() for id, group in shape.groups.items()}


def truth(path: Path) -> dict[int, tuple[int, float, float]]:
    """Of each type of neurite: sections, area and length, from MorphIO's points in double precision."""
    found: dict[int, tuple[int, float, float]] = {}
    for section in morphio.Morphology(path).iter():
        area = length = 0.0
        points: Any = np.column_stack([section.points, section.diameters]).astype(float)
        for a, b in pairwise(points):
            step = float(np.linalg.norm(b[:3] - a[:3]))
            length += step
            area += np.pi * (a[3] + b[3]) / 2 * float(np.hypot(step, (a[3] - b[3]) / 2))
        count, areas, lengths = found.get(int(section.type), (0, 0.0, 0.0))
        found[int(section.type)] = (count + (length > 0), areas + area, lengths + length)
    return found


@pytest.mark.parametrize("name", FILES)
def test_areas_lengths_and_sections_are_morphios(name: str, corpus: Path) -> None:
    shape = shape_of(corpus / name)
    groups = {2: "axon_group", 3: "dendrite_group", 4: "apical_group"}
    expected = truth(corpus / name)
    for kind, (sections, area, length) in expected.items():
        rows = shape.groups[groups[kind]].rows
        # MorphIO holds 32 bits, of which the shortest decimal is taken: 7 digits a coordinate
        assert shape.area[rows].sum() == pytest.approx(area, rel=1e-6)
        assert shape.length[rows].sum() == pytest.approx(length, rel=1e-6)
        prefix = {2: "axon", 3: "dend", 4: "apic"}[kind]
        assert sum(id.startswith(f"{prefix}_section") for id in shape.groups) == sections
    soma = morphio.Morphology(corpus / name).soma
    if len(soma.points):
        assert shape.area[shape.groups["soma_group"].rows].sum() == pytest.approx(soma.surface, rel=1e-6)
    cables = [group.rows for group in shape.groups.values() if group.is_cable]
    assert sorted(int(row) for rows in cables for row in rows) == list(range(len(shape.ids)))  # each once
    for rows in cables:  # unbranched: each segment begins at the end of the one before
        assert all(shape.parent[b] == a and shape.fraction[b] == 1 for a, b in pairwise(rows))


@pytest.mark.parametrize("name", FILES)
def test_swc_comes_back(name: str, corpus: Path, tmp_path: Path) -> None:
    report = Report()
    network = read(corpus / name)
    write(network, tmp_path / "again.swc", report=report)
    write(network, tmp_path / "cell.nml")
    assert validate(tmp_path / "cell.nml") == []
    assert not [note for note in report if note.severity == "approximation"]
    again = read(tmp_path / "again.swc")
    assert again.components[0].get("id") == network.components[0].get("id")
    one, two = shape_of(corpus / name), shape_of(tmp_path / "again.swc")
    assert np.allclose(one.distal, two.distal, rtol=1e-6, atol=1e-6)
    assert np.array_equal(one.parent, two.parent)
    assert {id: g.rows.tolist() for id, g in one.groups.items()} == {
        id: g.rows.tolist() for id, g in two.groups.items()
    }
    reread = truth(tmp_path / "again.swc")
    for kind, (sections, area, length) in truth(corpus / name).items():
        assert reread[kind] == (sections, pytest.approx(area, rel=1e-6), pytest.approx(length, rel=1e-6))


def test_asc_with_the_outline_of_a_soma(tmp_path: Path) -> None:
    path = tmp_path / "cell.asc"
    path.write_text(ASC)
    report = Report()
    shape = shape_of(path, report)
    assert [note.code for note in report] == ["soma-contour"]
    assert shape.length[shape.groups["axon_group"].rows].sum() == pytest.approx(100)
    branches = 2 * np.hypot(20, 20) + 20 + 25
    assert shape.length[shape.groups["dendrite_group"].rows].sum() == pytest.approx(40 + branches, rel=1e-6)
    assert shape.area[shape.groups["soma_group"].rows].sum() == pytest.approx(np.pi * 20**2, rel=1e-6)


def test_a_soma_that_branches_keeps_its_length(tmp_path: Path) -> None:
    """A line of 30 um with a side branch of 5 um from its middle; a dendrite of 20 um hangs on the side branch."""
    path = tmp_path / "cell.swc"
    path.write_text(
        "1 1 0 0 0 5 -1\n2 1 0 10 0 5 1\n3 1 5 10 0 2 2\n4 1 0 20 0 5 2\n5 1 0 30 0 5 4\n"
        "6 3 5 10 1 1 3\n7 3 5 10 20 1 6\n"
    )
    report = Report()
    shape = shape_of(path, report)
    assert [note.code for note in report] == ["branched-soma"]
    soma = shape.groups["soma_group"].rows
    assert shape.length[soma].sum() == pytest.approx(30 + 5, rel=1e-6)
    assert shape.length[shape.groups["dendrite_group"].rows].sum() == pytest.approx(20, rel=1e-6)
    side = next(row for row in soma if shape.distal[row][0] == 5)
    assert shape.proximal[side][:3].tolist() == [0, 10, 0] and shape.start[side] == 10
    assert not path.read_text().startswith("#"), "the file itself is not touched"


def test_branches_of_a_section_of_one_point_begin_there(tmp_path: Path) -> None:
    path = tmp_path / "cell.swc"
    path.write_text("1 1 0 0 0 5 -1\n2 3 0 9 0 1 1\n3 3 0 29 0 1 2\n4 3 40 9 0 1 2\n")
    shape = shape_of(path)
    assert shape.length[shape.groups["dendrite_group"].rows].sum() == pytest.approx(20 + 40, rel=1e-6)


def test_a_branch_from_the_middle_of_a_segment_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "cell.nml").write_text("""<neuroml id="n"><cell id="c"><morphology id="m">
        <segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="9"/><distal x="0" y="30" z="0" diameter="9"/>
        </segment>
        <segment id="1" name="dend"><parent segment="0"/><distal x="0" y="130" z="0" diameter="1"/></segment>
        <segment id="2" name="dend2"><parent segment="1" fractionAlong="0.25"/>
          <proximal x="0" y="55" z="0" diameter="7"/><distal x="50" y="55" z="0" diameter="1"/></segment>
        </morphology></cell></neuroml>""")
    report = Report()
    write(read(tmp_path / "cell.nml"), tmp_path / "cell.swc", report=report)
    shape = shape_of(tmp_path / "cell.swc")
    rows = shape.groups["dendrite_group"].rows
    assert shape.length[rows].sum() == pytest.approx(100 + 50, rel=1e-6)
    fork = [row for row in range(len(shape.ids)) if list(shape.parent).count(row) == 2]
    assert [shape.distal[row].tolist() for row in fork] == [[0, 55, 0, 7]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 1 0 0 0 5 -1\n2 3 0 10 0 1 7\n", "parent"),
        ("1 1 0 0 0 5 -1\n2 3 0 10 zero 1 1\n", None),
        ("1 1 0 0 0 5 -1\n2 3 0 10 0 1\n", None),
        ("# nothing\n", "no point"),
        ("<xml/>", "no SWC"),
    ],
)
def test_a_broken_file_is_one_error(text: str, expected: str | None, tmp_path: Path) -> None:
    path = tmp_path / "bad.swc"
    path.write_text(text)
    with pytest.raises(DocumentError, match=expected) as raised:
        read(path, format="swc")
    assert raised.value.file == str(path)
    assert "\n" not in str(raised.value)


def test_an_swc_file_is_one_morphology(corpus: Path, tmp_path: Path) -> None:
    network = read(corpus / FILES[0])
    other = read(corpus / FILES[1]).components[0]
    network.components.append(other)
    with pytest.raises(UnsupportedError, match="2"):
        write(network, tmp_path / "two.swc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        ("1 1 0 0 0 1 2\n2 1 0 0 1 1 1\n", 1, "1 -> 2 -> 1"),
        ("# a cell\n1 1 0 0 0 1 -1\n2 3 0 0 5 1 4\n3 3 0 0 6 1 2\n4 3 0 0 7 1 3\n", 3, "2 -> 4 -> 3 -> 2"),
        ("1 1 0 0 0 1 -1\n2 3 0 0 5 1 2\n", 2, "2 -> 2"),
    ],
)
def test_points_in_a_circle(tmp_path: Path, rows: str, line: int, said: str) -> None:
    """MorphIO leaves them out and says nothing."""
    (tmp_path / "cell.swc").write_text(rows)
    with pytest.raises(DocumentError, match="are joined in a circle") as raised:
        read(tmp_path / "cell.swc")
    assert raised.value.line == line and said in str(raised.value)

"""Reading XML: columns from bytes, from elements, and from several files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmlbridge import diff, read
from nmlbridge.errors import DocumentError, NetworkError
from nmlbridge.neuroml import read_document

from . import documents as d


def test_everything_that_a_network_may_hold(tmp_path: Path) -> None:
    net = read(d.put(tmp_path, "all.nml", d.neuroml(d.CELLS, d.EVERYTHING)))
    assert net.temperature == pytest.approx(305.15)
    a, b = net.populations["a"], net.populations["b"]
    assert a.instance_ids.tolist() == [7, 3, 5] and b.size == 4
    assert a.positions is not None and a.positions[2, 0] == 0.30000000000000004
    assert a.properties == {"color": "1 0 0"}
    found = {p.id: p for p in net.projections}
    plain = found["plain"]
    assert plain.pre.tolist() == [2, 0]  # rows, not ids
    assert plain.post.tolist() == [3, 0] and plain.ids.tolist() == [4, 9]
    assert plain.post_fraction.tolist() == [0.5, 0.25] and plain.weight is None and plain.delay is None
    weighted = found["weighted"]
    assert weighted.weight is not None and weighted.weight.tolist() == [0.1, -1e-7]
    assert weighted.delay is not None and weighted.delay.tolist() == [0.25, 2.0]
    assert found["gaps"].kind == "electrical" and found["gaps"].synapses == ("gap", "gap2")
    assert found["gaps"].synapse.tolist() == [0, 1]
    assert found["analogue"].pre_components == ("silent",) and found["analogue"].post_components == ("graded",)
    singles = [p for p in net.projections if p.origin.startswith("synaptic")]
    assert [(p.pre.tolist(), p.post.tolist()) for p in singles] == [([0], [2]), ([0], [1])]
    assert singles[1].delay is not None and singles[1].delay.tolist() == [100.0]
    lists = {i.id: i for i in net.inputs}
    assert lists["list"].target.tolist() == [1, 0] and lists["list"].fraction.tolist() == [0.5, 0.75]
    assert lists["weightedInputs"].weight is not None and lists["weightedInputs"].weight.tolist() == [0.3]
    assert net.connections == 10 and net.size == 7


@pytest.mark.parametrize("change", [{"quote": "'"}, {"comment": "<!-- here -->"}, {"comment": "\n\n"}])
def test_rows_read_as_arrays_and_as_elements_are_the_same(change: dict[str, str], tmp_path: Path) -> None:
    fast = read(d.put(tmp_path, "fast.nml", d.many()))
    slow = read(d.put(tmp_path, "slow.nml", d.many(**change)))
    assert len(fast.projections[0]) == 400
    assert diff(fast, slow) == []
    for one, two in zip(fast.projections[0].columns().values(), slow.projections[0].columns().values(), strict=True):
        assert np.array_equal(one, two)  # to the last bit
    assert fast.populations["p"].positions is not None
    assert np.array_equal(fast.populations["p"].positions, slow.populations["p"].positions)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('preCellId="../p/399/iaf"', 'preCellId="../p/400/iaf"'),
        ('preCellId="../p/399/iaf"', 'preCellId="../q/399/iaf"'),
        ('weight="38.900000000000006"', 'weight="38.9o"'),
        ('id="399" preCellId', 'id="39 9" preCellId'),
        ('delay="2.25ms"', 'delay="2.25mV"'),
        ('preCellId="../p/399/iaf"', 'preCellId="../p/-1/iaf"'),
        ('preSegmentId="1"', 'preSegmentId="1.5"'),
        (' postCellId="../p/7/iaf"', ""),
    ],
)
def test_an_odd_row_among_many_is_named(old: str, new: str, tmp_path: Path) -> None:
    text = d.many()
    assert old in text
    path = d.put(tmp_path, "odd.nml", text.replace(old, new))
    with pytest.raises((DocumentError, NetworkError)) as raised:
        read(path)
    assert raised.value.file == str(path) and raised.value.line


def test_lines_of_rows_are_right(tmp_path: Path) -> None:
    text = d.many().replace('preCellId="../p/200/iaf"', 'preCellId="../p/9999/iaf"')
    line = next(number for number, row in enumerate(text.split("\n"), 1) if "9999" in row)
    with pytest.raises(NetworkError) as raised:
        read(d.put(tmp_path, "x.nml", text))
    assert raised.value.line is not None and abs(raised.value.line - line) <= 400  # the block's line at worst
    after = text.replace("9999", "1").replace("</network>", '<explicitInput target="p/7777/iaf" input="x"/></network>')
    line = next(number for number, row in enumerate(after.split("\n"), 1) if "7777" in row)
    with pytest.raises(NetworkError) as raised:
        read(d.put(tmp_path, "y.nml", after))
    assert raised.value.line == line  # lines after the rows are exact


def test_includes_are_read_once_and_relative(tmp_path: Path) -> None:
    d.put(tmp_path, "cells/syn.nml", d.neuroml('<expOneSynapse id="s" gbase="1nS" erev="0mV" tauDecay="3ms"/>'))
    d.put(tmp_path, "cells/cell.nml", d.neuroml('<include href="syn.nml"/>', '<include href="../cells/syn.nml"/>'))
    main = d.put(tmp_path, "main.nml", d.neuroml('<include href="cells/cell.nml"/><include href="cells/syn.nml"/>'))
    document = read_document(main)
    assert [file.path.name for file in document.files] == ["syn.nml", "cell.nml", "main.nml"]


def test_files_that_include_each_other_are_read(tmp_path: Path) -> None:
    d.put(tmp_path, "a.nml", d.neuroml('<include href="b.nml"/>'))
    d.put(tmp_path, "b.nml", d.neuroml('<include href="a.nml"/>'))
    assert len(read_document(tmp_path / "a.nml").files) == 2


def test_text_and_markup_survive_byte_for_byte(tmp_path: Path) -> None:
    from nmlbridge import write

    notes = "<notes>  a &lt; b &amp; <b>c</b> <!-- d --> <![CDATA[e < f]]>\n\té</notes>"
    empty = "<annotation/>"
    path = d.put(tmp_path, "n.nml", d.neuroml(notes, empty, '<silentSynapse id="s"/>'))
    write(read(path), tmp_path / "out.nml")
    text = (tmp_path / "out.nml").read_text()
    assert notes in text and empty in text and text.count("silentSynapse") == 1

"""XML to graph to XML, and by way of HDF5: the same model."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmlbridge import Network, diff, read, write
from nmlbridge.errors import NmlBridgeError
from nmlbridge.graph import Population, Projection
from nmlbridge.neuroml.rows_write import row_texts
from nmlbridge.neuroml.schema import schema_problems
from nmlbridge.report import Report

from . import documents as d


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    second = '<network id="second"><population id="a" component="iaf" size="2"/></network>'
    return d.put(tmp_path, "all.nml", d.neuroml(d.CELLS, d.EVERYTHING, second))


@pytest.mark.parametrize("suffix", [".nml", ".nml.h5"])
def test_everything_comes_back(suffix: str, everything: Path, tmp_path: Path) -> None:
    net = read(everything)
    write(net, tmp_path / f"out{suffix}")
    back = read(tmp_path / f"out{suffix}")
    assert diff(net, back) == []
    assert [p.id for p in back.projections] == [p.id for p in net.projections]  # in order, too
    assert [n.id for n in back.others] == ["second"]
    for one, two in zip(net.projections, back.projections, strict=True):
        for x, y in zip(one.columns().values(), two.columns().values(), strict=True):
            assert (x is None and y is None) or np.array_equal(x, y)


def test_what_is_written_is_valid(tmp_path: Path) -> None:
    text = d.neuroml(d.CELLS, d.standard())
    # components in the wrong order, as hand-written files have them
    jumbled = d.put(tmp_path, "jumbled.nml", text.replace("</neuroml>", '<silentSynapse id="late"/></neuroml>'))
    assert list(schema_problems(jumbled))
    write(read(jumbled), tmp_path / "out.nml")
    assert list(schema_problems(tmp_path / "out.nml")) == []


def test_libneuroml_opens_our_hdf5(everything: Path, tmp_path: Path) -> None:
    loaders = pytest.importorskip("neuroml.loaders")
    pytest.importorskip("tables")
    net = read(everything)
    write(net, tmp_path / "out.nml.h5")
    theirs = loaders.NeuroMLHdf5Loader.load(str(tmp_path / "out.nml.h5")).networks[0]
    weighted = next(p for p in theirs.projections if p.id == "weighted")
    assert [c.weight for c in weighted.connection_wds] == [0.1, -1e-7]
    assert [c.delay for c in weighted.connection_wds] == ["0.25ms", "2.0ms"]
    listed = next(p for p in theirs.populations if p.id == "a")
    assert [i.id for i in listed.instances] == [7, 3, 5]
    assert sum(len(i.input) + len(i.input_ws) for i in theirs.input_lists) == 4  # the explicit one among them


def test_libneuroml_objects_and_back(tmp_path: Path) -> None:
    pytest.importorskip("neuroml")
    plain = d.standard().replace("0.30000000000000004", "0.3")  # libNeuroML writes 15 digits
    net = read(d.put(tmp_path, "all.nml", d.neuroml(d.CELLS, plain)))
    document = net.to_libneuroml()
    assert type(document).__module__.startswith("neuroml") and len(document.networks[0].populations) == 3
    different = [x for x in diff(net, Network.from_libneuroml(document)) if "annotation" not in str(x)]
    assert different == []  # annotations are spelled anew by libNeuroML


def test_what_libneuroml_cannot_hold_is_said(tmp_path: Path) -> None:
    pytest.importorskip("neuroml")
    report = Report()
    read(d.put(tmp_path, "x.nml", d.neuroml('<myOwnType id="m"/>'))).to_libneuroml(report)
    assert [note.component for note in report.losses] == ["m"]


@pytest.mark.parametrize("suffix", [".nml", ".nml.h5"])
def test_a_failed_write_leaves_nothing_behind(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = read(d.put(tmp_path, "in.nml", d.many()))
    target = d.put(tmp_path, f"out/net{suffix}", "before")

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="full"):
        write(net, target)
    assert target.read_text() == "before"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def _public_models(corpus: Path) -> list[Path]:
    return sorted(p for end in ("*.nml", "LEMS*.xml", "*.nml.h5") for p in corpus.rglob(end))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nml", ".nml.h5"])
def test_every_public_model_comes_back(suffix: str, corpus: Path, tmp_path: Path) -> None:
    different, count = [], 0
    for path in _public_models(corpus):
        try:
            net = read(path)
        except NmlBridgeError:
            continue  # an include is missing from the collection
        count += 1
        write(net, tmp_path / f"x{suffix}")
        if diff(net, read(tmp_path / f"x{suffix}")):
            different.append(str(path))
    assert different == []
    assert count > 100


@pytest.mark.parametrize(
    ("name", "reference", "positions"),
    [
        ("hdf5/complete.nml.h5", "hdf5/complete.nml", None),
        ("hdf5/MediumNet.java.net.nml.h5", "ACnet2/neuroConstruct/generatedNeuroML2/MediumNet.net.nml", True),
        (
            "ACnet2/neuroConstruct/generatedNeuroML2/MediumNet.net.nml.h5",
            "ACnet2/neuroConstruct/generatedNeuroML2/MediumNet.net.nml",
            True,
        ),
    ],
)
def test_hdf5_of_other_tools(name: str, reference: str, positions: bool | None, corpus: Path) -> None:
    """Written by new libNeuroML, by Java, and by old libNeuroML; the same networks as XML are there to compare."""
    theirs, xml = read(corpus / name), read(corpus / reference)
    for id, population in xml.populations.items():
        assert theirs.populations[id].size == population.size
        if positions:
            np.testing.assert_allclose(theirs.populations[id].positions, population.positions, rtol=1e-6)  # float32
    for projection in xml.projections:
        if projection.origin.startswith("synaptic") or not len(projection):
            continue
        other = next(p for p in theirs.projections if p.id == projection.id)
        assert other.pre.tolist() == projection.pre.tolist() and other.post.tolist() == projection.post.tolist()
        np.testing.assert_allclose(other.post_fraction, projection.post_fraction, rtol=1e-6)


def test_links_out_of_a_file_are_refused(tmp_path: Path) -> None:
    d.put(tmp_path, "secret.txt", "secret")
    write(read(d.put(tmp_path, "in.nml", d.many())), tmp_path / "net.nml.h5")
    with h5py.File(tmp_path / "net.nml.h5", "a") as file:
        group = file["neuroml/network/population_p"]
        del group["p"]
        group["p"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
    with pytest.raises(NmlBridgeError, match="link"):
        read(tmp_path / "net.nml.h5")


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6).map(lambda i: i / 1000),
    st.decimals(-1000, 1000, places=5).map(float),
)


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), numbers), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_numbers_are_written_exactly(rows: list[tuple[int, float]]) -> None:
    whole, decimal = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    text = b"".join(row_texts("%d|%r|100%%\n", (whole, decimal))).decode()
    back = [line.split("|") for line in text.splitlines()]
    assert [(int(a), float(b)) for a, b, _ in back] == rows
    assert all(len(b) <= len(repr(value)) + 20 for (_, b, _), (_, value) in zip(back, rows, strict=True))
    assert {end for *_, end in back} == {"100%"}


@given(
    weights=st.lists(numbers, min_size=1, max_size=30),
    delays=st.lists(st.integers(0, 10**6).map(lambda i: i / 1000), min_size=30, max_size=30),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_any_projection_comes_back(weights: list[float], delays: list[float], data: st.DataObject) -> None:
    import tempfile

    count, size = len(weights), 5
    rows = st.lists(st.integers(0, size - 1), min_size=count, max_size=count)
    ids = data.draw(st.lists(st.integers(0, 10**9), min_size=size, max_size=size, unique=True))
    population = Population("p", "iaf", ids, np.arange(15).reshape(5, 3) / 7, type="populationList")  # type: ignore[arg-type]
    projection = Projection(
        "c", "chemical", "p", "p", data.draw(rows), data.draw(rows), weight=weights, delay=delays[:count],  # type: ignore[arg-type]
        synapses=("syn",), post_segment=data.draw(rows),  # type: ignore[arg-type]
    )  # fmt: skip
    net = Network("n", {"p": population}, [projection])
    with tempfile.TemporaryDirectory() as folder:
        for name in ("x.nml", "x.nml.h5"):
            write(net, Path(folder) / name)
            back = read(Path(folder) / name).projections[0]
            for one, two in zip(projection.columns().values(), back.columns().values(), strict=True):
                assert (one is None and two is None) or np.array_equal(one, two)

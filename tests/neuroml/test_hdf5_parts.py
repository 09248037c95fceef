"""One table of a network in HDF5, or some of its rows, without the rest of the file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from nmlbridge import read, write
from nmlbridge.errors import DocumentError
from nmlbridge.graph import Network, Population, Projection
from nmlbridge.neuroml.hdf5_parts import hdf5_parts, hdf5_rows

N, M = 2000, 300_000


@pytest.fixture(scope="module")
def network() -> Network:
    rng = np.random.default_rng(1)
    populations = {
        "a": Population.sized("a", "iaf", N, positions=rng.normal(size=(N, 3))),
        "b": Population.sized("b", "iaf", 10),
    }
    projections = [
        Projection(name, "chemical", "a", "a", rng.integers(0, N, M), rng.integers(0, N, M), synapses=("syn",),
                   synapse=np.zeros(M, int), weight=rng.random(M), delay=rng.random(M))
        for name in ("one", "two")
    ]  # fmt: skip
    return Network("net", populations, projections, [])


@pytest.fixture(scope="module")
def file(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts") / "net.nml.h5"
    write(network, path)
    return path


def spoil(path: Path, keep: str, rows: slice) -> int:
    """Overwrite the chunks of all tables but those that hold some rows of one; how many bytes are left alone."""
    spoilt, left = [], 0
    with h5py.File(path, "r") as file:

        def visit(name: str, item: object) -> None:
            nonlocal left
            if isinstance(item, h5py.Dataset):
                for number in range(item.id.get_num_chunks()):
                    chunk = item.id.get_chunk_info(number)
                    first = chunk.chunk_offset[0]
                    wanted = keep in name and first < rows.stop and first + item.chunks[0] > rows.start
                    if wanted:
                        left += chunk.size
                    else:
                        spoilt.append((chunk.byte_offset, chunk.size))

        file.visititems(visit)
    with path.open("r+b") as stream:
        for place, size in spoilt:
            stream.seek(place)
            stream.write(b"\xff" * size)
    return left


def test_the_tables_of_a_file(file: Path) -> None:
    parts = hdf5_parts(file)
    assert {id: (part.kind, part.count) for id, part in parts.items()} == {
        "a": ("population", N), "b": ("population", 0), "one": ("projection", M), "two": ("projection", M),
    }  # fmt: skip
    assert {"pre_cell_id", "post_cell_id", "weight", "delay"} <= set(parts["one"].columns)


def test_some_rows_are_those_of_the_network(file: Path, network: Network) -> None:
    found, two = hdf5_rows(file, "two", 123_456, 123_466), network.projections[1]
    assert found["pre_cell_id"].tolist() == two.pre[123_456:123_466].tolist()
    assert found["post_cell_id"].tolist() == two.post[123_456:123_466].tolist()
    assert two.weight is not None
    assert found["weight"].tolist() == two.weight[123_456:123_466].tolist()
    assert hdf5_rows(file, "a")["y"].tolist() == network.populations["a"].positions[:, 1].tolist()  # type: ignore[index]
    assert hdf5_rows(file, "b") == {}


def test_nothing_else_is_read(file: Path, network: Network, tmp_path: Path) -> None:
    """All other data of the file are destroyed, of the same table too: the rows are read; the whole file is not."""
    copy = tmp_path / "net.nml.h5"
    copy.write_bytes(file.read_bytes())
    rows = slice(200_000, 200_010)
    left = spoil(copy, "projection_one", rows)
    assert 0 < left < copy.stat().st_size / 2
    delay = network.projections[0].delay
    assert delay is not None
    assert hdf5_rows(copy, "one", rows.start, rows.stop)["delay"].tolist() == delay[rows].tolist()
    for call in (lambda: hdf5_rows(copy, "two"), lambda: hdf5_rows(copy, "a"), lambda: read(copy)):
        with pytest.raises(DocumentError):
            call()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count what a process reads")
def test_few_bytes_are_read(file: Path) -> None:
    def count() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])  # rchar

    hdf5_rows(file, "a", 0, 10)
    before = count()
    hdf5_rows(file, "a", 0, 10)
    assert count() - before < file.stat().st_size / 20


@pytest.mark.parametrize(("id", "start", "stop", "words"), [
    ("on", 0, None, "there is no table 'on'.*one"), ("one", 5, M + 1, f"has {M} rows; 5 to {M + 1}"),
    ("one", -3, 5, "-3 to 5 are asked for"),
])  # fmt: skip
def test_what_is_not_there(id: str, start: int, stop: int | None, words: str, file: Path) -> None:
    with pytest.raises(DocumentError, match=words):
        hdf5_rows(file, id, start, stop)


def test_what_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(b"no")
    with h5py.File(tmp_path / "y.h5", "w") as empty:
        empty["data"] = [1.0]
    for name, words in (("x.h5", "cannot be read"), ("y.h5", "/neuroml, /nodes and /edges"), ("z.h5", "no such file")):
        with pytest.raises(DocumentError, match=words):
            hdf5_parts(tmp_path / name)


def test_nodes_and_edges_of_sonata(tmp_path: Path) -> None:
    """Rows of several groups, in the order of the file; columns that a group has not are NaN."""
    with h5py.File(tmp_path / "edges.h5", "w") as out:
        edges = out.create_group("edges/a_to_b")
        edges["source_node_id"], edges["target_node_id"] = np.arange(100), np.arange(100)[::-1]
        edges["edge_type_id"] = np.full(100, 7)
        edges["edge_group_id"], edges["edge_group_index"] = np.arange(100) % 2, np.arange(100) // 2
        edges["0/syn_weight"], edges["0/delay"] = np.arange(50.0), np.arange(50.0) / 10
        edges["1/syn_weight"] = -np.arange(50.0)
    part = hdf5_parts(tmp_path / "edges.h5")["a_to_b"]
    assert (part.kind, part.count) == ("edges", 100)
    found = hdf5_rows(tmp_path / "edges.h5", "a_to_b", 20, 24)
    assert set(found) == set(part.columns)
    assert found["source_node_id"].tolist() == [20, 21, 22, 23] and found["target_node_id"].tolist() == [79, 78, 77, 76]
    assert found["syn_weight"].tolist() == [10, -10, 11, -11]
    np.testing.assert_array_equal(found["delay"], [1.0, np.nan, 1.1, np.nan])

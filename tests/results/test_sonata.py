"""SONATA files in blocks: what is in them, and that they are whole between blocks."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from nmlbridge.results.sonata import Element, ReportFile, SpikeFile


def test_spikes_of_all_blocks_are_there_by_population_and_time(tmp_path: Path) -> None:
    path = tmp_path / "spikes.h5"
    spikes = SpikeFile(path, {"a": (0, 3), "b": (3, 2), "silent": (5, 1)})
    random = np.random.default_rng(1)
    times = np.sort(random.uniform(0, 1, 500))
    gids = random.integers(0, 5, 500)
    for part in np.array_split(np.arange(500), 7):
        spikes.add(gids[part], times[part])
        spikes.add(gids[:0], times[:0])
        with h5py.File(path) as file:  # complete after every block
            assert sum(len(group["timestamps"]) for group in file["spikes"].values()) == part[-1] + 1
    spikes.close()
    assert [p.name for p in tmp_path.iterdir()] == ["spikes.h5"]
    with h5py.File(path) as file:
        assert file.attrs["magic"] == 0x0A7A and file.attrs["version"].tolist() == [0, 1]
        for name, first, size in (("a", 0, 3), ("b", 3, 2), ("silent", 5, 1)):
            mine = (gids >= first) & (gids < first + size)
            np.testing.assert_array_equal(file["spikes"][name]["node_ids"], gids[mine] - first)
            np.testing.assert_allclose(file["spikes"][name]["timestamps"], times[mine] * 1e3)
            assert file["spikes"][name].attrs["sorting"] == 2
            assert file["spikes"][name]["timestamps"].attrs["units"] == "ms"


def test_a_report_has_its_columns_by_population_and_node(tmp_path: Path) -> None:
    elements = [Element("b", 1), Element("a", 7, 2), Element("a", 7, 0), Element("a", 2)]
    values = np.arange(4.0)[:, None] + np.arange(10) / 100
    report = ReportFile(tmp_path / "v.h5", elements, 10, (0.0, 1e-4), "mV", "v")
    report.write(0, values[:, :6])
    with h5py.File(tmp_path / "v.h5") as file:
        data = file["report/a/data"][:]
        assert np.isfinite(data[:6]).all() and np.isnan(data[6:]).all()
    report.write(6, values[:, 6:])
    with h5py.File(tmp_path / "v.h5") as file:
        np.testing.assert_allclose(file["report/a/data"], values[[3, 2, 1]].T, rtol=1e-6)
        np.testing.assert_allclose(file["report/b/data"], values[[0]].T, rtol=1e-6)
        mapping = file["report/a/mapping"]
        assert mapping["node_ids"][:].tolist() == [2, 7]
        assert mapping["index_pointers"][:].tolist() == [0, 1, 3]
        assert mapping["element_ids"][:].tolist() == [0, 0, 2]
        np.testing.assert_allclose(mapping["time"], [0, 1, 0.1])


def test_a_block_of_a_report_changes_nothing_but_its_numbers(tmp_path: Path) -> None:
    """So that a process that is killed while it writes leaves a file that can be read."""
    path = tmp_path / "v.h5"
    report = ReportFile(path, [Element("a", 0), Element("a", 1)], 1000, (0.0, 1.0), "mV", "v")
    before = path.read_bytes()
    report.write(100, np.full((2, 50), 1.25))
    after = path.read_bytes()
    assert len(before) == len(after)
    changed = np.flatnonzero(np.frombuffer(before, "u1") != np.frombuffer(after, "u1"))
    with h5py.File(path) as file:
        start = file["report/a/data"].id.get_offset()
    assert len(changed) and changed.min() >= start + 100 * 8 and changed.max() < start + 150 * 8


def test_no_room_is_an_error_that_leaves_the_last_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spikes = SpikeFile(tmp_path / "s.h5", {"a": (0, 9)})
    spikes.add(np.arange(9), np.arange(9.0))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SpikeFile, "_append", full)
    with pytest.raises(OSError, match="No space"):
        spikes.add(np.arange(9), np.arange(9, 18.0))
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["spikes/a/node_ids"][:].tolist() == list(range(9))

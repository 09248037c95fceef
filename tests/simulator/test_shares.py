"""Shares: every row belongs to the rank of its cell, comes once and in order; tables stay on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmlbridge.simulator.neuron.shares import Shares, divide
from nmlbridge.simulator.program import Program, map_tables, write_tables

from . import programs

RANKS = 3


def rows(shares: Shares, kind: str, size: int, rank: int) -> list[int]:
    return [row for block in shares.rows(kind, 0, size, rank) for row in block.tolist()]


@pytest.mark.parametrize("kind", ["points", "generators", "netcons"])
def test_rows_are_dealt_out_with_their_cells(tmp_path: Path, kind: str) -> None:
    program = programs.ring(cells=7)
    program.save(tmp_path)
    divide(program, RANKS).save(tmp_path)
    shares = Shares.load(tmp_path, Program.load(tmp_path, mapped=True), RANKS)
    group = program.spec[kind][0]
    points = {each["id"]: program.column(each["gid"]) for each in program.spec["points"]}
    of_points = kind == "netcons"
    gids = points[group["points"]][program.column(group["index"])] if of_points else program.column(group["gid"])
    found = [rows(shares, kind, len(gids), rank) for rank in range(RANKS)]
    assert sorted(row for mine in found for row in mine) == list(range(len(gids)))
    for rank, mine in enumerate(found):
        assert mine == sorted(mine)
        assert {int(rank) for rank in shares.placement.of(gids[mine].astype(np.int64))} <= {rank}
    alone = divide(program, 1)
    assert rows(alone, kind, len(gids), 0) == list(range(len(gids)))


def test_a_short_delay_between_ranks_asks_for_a_mirror() -> None:
    """Sources are those of the ring's cells whose next cell is elsewhere, if the delay is below the step."""
    program = programs.ring(cells=7)
    group = program.spec["netcons"][0]
    run = {**program.spec["run"], "dt": 2 * float(program.column(group["delay"]).max())}
    slow = Program({**program.spec, "run": run}, program.tables, program.mods)
    assert not len(divide(program, RANKS).mirrored)
    shares = divide(slow, RANKS)
    points = next(each for each in program.spec["points"] if each["id"] == group["points"])
    sources = program.column(group["source_gid"]).astype(np.int64)
    targets = program.column(points["gid"])[program.column(group["index"])].astype(np.int64)
    apart = shares.placement.of(sources) != shares.placement.of(targets)
    assert apart.any() and shares.mirrored.tolist() == np.unique(sources[apart]).tolist()


def test_mapped_tables_are_those_that_were_written(tmp_path: Path) -> None:
    tables = {
        "file": np.arange(5, dtype=np.int16), "a/b": np.ones((3, 2)), "none": np.zeros((0, 3)),
        "text": np.frombuffer(b"odd", np.uint8), "after": np.linspace(0, 1, 7),
    }  # fmt: skip
    write_tables(tmp_path / "t.npz", tables)
    found, _ = map_tables(tmp_path / "t.npz")
    assert list(found) == list(tables)
    for name, column in tables.items():
        assert found[name].dtype == column.dtype and not (column.size and found[name].flags.writeable)
        np.testing.assert_array_equal(found[name], column)
    with np.load(tmp_path / "t.npz") as again:
        np.testing.assert_array_equal(again["a/b"], tables["a/b"])


def test_a_mapped_program_is_the_same_one(tmp_path: Path) -> None:
    program = programs.ring()
    program.save(tmp_path)
    mapped = Program.load(tmp_path, mapped=True)
    before = {key: column.copy() for key, column in mapped.tables.items()}
    mapped.release()
    assert mapped.hash == program.hash
    assert all((mapped.tables[key] == column).all() for key, column in before.items())

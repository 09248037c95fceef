"""Programs as values and as folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmlbridge.errors import LemsError
from nmlbridge.simulator.program import Program

from . import programs


def test_a_saved_program_comes_back(tmp_path: Path) -> None:
    program = programs.ring()
    program.save(tmp_path)
    again = Program.load(tmp_path)
    assert again.hash == program.hash
    assert dict(again.spec) == dict(program.spec) and dict(again.mods) == dict(program.mods)
    assert all((again.tables[key] == column).all() for key, column in program.tables.items())


def test_same_program_same_bytes_on_disk(tmp_path: Path) -> None:
    for name in ("a", "b"):
        programs.ring().save(tmp_path / name)
    files = sorted((tmp_path / "a").rglob("*.*"))
    assert {"program.json", "tables.npz"} < {path.name for path in files}
    for path in files:
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes(), path


def test_the_hash_sees_everything() -> None:
    program = programs.ring()
    x = program.tables["x"]
    others = [
        replace(program, spec={**program.spec, "run": programs.run(dt=0.05)}),
        replace(program, tables={**program.tables, "x": np.nextafter(x, 1)}),
        replace(program, tables={**program.tables, "row": program.tables["row"].astype(np.int32)}),
        replace(program, tables={**program.tables, "x": x.reshape(-1, 1)}),
        replace(program, mods={**program.mods, "gap.mod": programs.GAP + " "}),
    ]
    assert len({program.hash, *(other.hash for other in others)}) == 6
    backwards = dict(reversed(list(program.tables.items())))
    assert replace(program, tables=backwards).hash == program.hash


def test_any_table_name_can_be_saved(tmp_path: Path) -> None:
    tables = {"file": np.ones(2), "allow_pickle": np.ones(1), "net/pop.a": np.arange(3)}
    assert set(Program.load(Program({}, tables).save(tmp_path)).tables) == set(tables)


def test_tables_cannot_be_changed() -> None:
    values = np.ones(3)
    program = Program({}, {"a": values})
    with pytest.raises(ValueError):
        program.tables["a"][0] = 2
    values[0] = 3  # the caller's own array is still his
    assert program.tables["a"][0] == 1


def test_what_cannot_be_a_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gone"):
        Program({"populations": [{"parameters": {"g": "T:gone"}}]})
    with pytest.raises(ValueError, match="expected numbers"):
        Program({}, {"a": np.array(["text"])})
    with pytest.raises(ValueError, match=r"\.\./evil\.mod"):
        Program({}, {}, {"../evil.mod": ""})
    with pytest.raises(LemsError, match=r"cells\[1\]/L of"):
        _ = Program({"cells": [{"L": 1.0}, {"L": float("nan")}]}).hash
    with pytest.raises(TypeError):
        _ = Program({"run": {"dt": {1, 2}}}).hash
    (tmp_path / "program.json").write_text('{"format": "something else"}')
    with pytest.raises(ValueError, match="something else"):
        Program.load(tmp_path)

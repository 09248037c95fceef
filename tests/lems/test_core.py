"""The core library: read from the jar, kept in a cache that may be lost, damaged or unwritable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nmlbridge.errors import DocumentError, UsageError
from nmlbridge.lems import core as module
from nmlbridge.lems.core import load_core, parse_xml
from nmlbridge.units import Dimension


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NMLBRIDGE_CACHE", str(folder))
    return folder


def test_content(cache: Path) -> None:
    library = load_core()
    assert library.dimension("voltage") == Dimension(m=1, l=2, t=-3, i=-1)
    assert library.convert("10 mV", library.dimension("voltage")) == 0.01
    assert library.type("iafRefCell").ancestors[:3] == ("iafCell", "baseIafCapCell", "baseCellMembPotCap")
    for name in library.type_names:
        assert library.type(name).name == name
    assert len(library.type_names) > 200


def test_every_unit_of_the_core_converts(cache: Path) -> None:
    for unit in load_core().units.values():
        assert unit.to_si("1") == pytest.approx(unit.scale * 10.0**unit.power + unit.offset, rel=1e-15)


def test_warm_start_does_not_open_the_jar(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cold = load_core()
    monkeypatch.setattr(module, "read_core", lambda jar: pytest.fail("the jar was opened"))
    warm = load_core()
    assert warm.type_names == cold.type_names
    assert warm.type("cell").dynamics == cold.type("cell").dynamics


@pytest.mark.parametrize("damage", [b"", b"{}", b"nonsense\n[]", None])
def test_a_damaged_cache_is_rebuilt(cache: Path, damage: bytes | None) -> None:
    names = load_core().type_names
    (file,) = cache.iterdir()
    good = file.read_bytes()
    file.write_bytes(good[:-5] if damage is None else damage)
    assert load_core().type_names == names
    assert file.read_bytes() == good
    assert list(cache.iterdir()) == [file]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("NMLBRIDGE_CACHE", str(blocked / "below"))
    assert load_core().has_type("network")


def test_without_pyneuroml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install pyneuroml"):
        load_core()


def test_a_jar_without_core_types(tmp_path: Path) -> None:
    (tmp_path / "x.jar").write_bytes(b"no zip")
    with pytest.raises(UsageError, match="reinstall"):
        module.read_core(tmp_path / "x.jar")


def test_pyneuroml_and_lxml_are_not_imported() -> None:
    code = (
        "import sys; from nmlbridge.lems import load_core; load_core(); "
        "sys.exit(sorted({'pyneuroml', 'lxml', 'neuron'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_reader_refuses_entities_and_says_where_it_stopped() -> None:
    with pytest.raises(DocumentError, match="entity"):
        parse_xml(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "x.xml")
    with pytest.raises(DocumentError, match=r"x\.xml:2"):
        parse_xml(b"<a>\n<b></a>", "x.xml")

"""Mod files that come with a model."""

from __future__ import annotations

from pathlib import Path

from nmlbridge.nmodl.files import mechanism_of, mods_beside


def test_names_of_files_are_made_fit_for_code(tmp_path: Path) -> None:
    """Nothing of a name that no identifier may have reaches what is generated; other names stay, each is used once."""
    (tmp_path / "mod").mkdir()
    for mechanism, stem in (("a", "k-dr x"), ("b", "k_dr_x"), ("c", "_cad_"), ("d", "2pi"), ("e", "x){}")):
        (tmp_path / "mod" / f"{stem}.mod").write_text(f"NEURON {{ SUFFIX {mechanism} }}")
    found = {mechanism_of(text): name for name, text in mods_beside(tmp_path / "cell.hoc").items()}
    assert found == {"a": "k_dr_x_2.mod", "b": "k_dr_x.mod", "c": "_cad_.mod", "d": "_2pi.mod", "e": "x.mod"}

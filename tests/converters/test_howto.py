"""The worked example of docs/formats.md keeps the contract that the built-in formats keep."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nmlbridge import registry
from nmlbridge.errors import DocumentError, ModelError, NetworkError
from nmlbridge.graph.features import present
from nmlbridge.registry import Format
from nmlbridge.report import Report

from .contract import alike, everything


@pytest.fixture(scope="module")
def example(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Format:
    """The record of the example, imported from a file as another package's would be."""
    import importlib.util

    text = (repository / "docs" / "formats.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "FORMAT = Format(" in block)
    path = tmp_path_factory.mktemp("package") / "edge_list.py"
    path.write_text(code)
    spec = importlib.util.spec_from_file_location("edge_list_of_the_docs", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    record: Format = module.FORMAT
    return record


def test_it_goes_over_and_comes_back_and_says_what_is_lost(example: Format, tmp_path: Path) -> None:
    network = everything(tmp_path)
    report = Report()
    example.write(network, tmp_path / "net.edges", report)
    assert alike(network, example.read(tmp_path / "net.edges"), example.features) == []
    lost = {f"no-{name.replace(' ', '-')}" for name in set(present(network)) - example.features}
    assert {note.code for note in report.losses} == lost
    with pytest.raises(ModelError):
        example.write(network, tmp_path / "strict.edges", Report(strict=True))
    assert not (tmp_path / "strict.edges").exists()


def test_the_registry_takes_it_as_an_entry_point(
    example: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Entry:
        name, value = "edge-list", "my_package.edge_list:FORMAT"

        def load(self) -> Any:
            return example

    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()] if group == "nmlbridge.formats" else [])
    registry.formats.cache_clear()
    try:
        everything(tmp_path)
        registry.convert(tmp_path / "LEMS_everything.xml", tmp_path / "net.edges")
        assert registry.format_to_read(tmp_path / "net.edges").name == "edge-list"
        assert registry.convert(tmp_path / "net.edges", tmp_path / "back.nml").connections == 4
    finally:
        monkeypatch.undo()
        registry.formats.cache_clear()


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("cells,a,iaf,many\n", DocumentError, "many"),
        ("nonsense\n", DocumentError, "nonsense"),
        ("cells,a,iaf,2\nedge,a,0,a,5,syn,1,1\n", NetworkError, "5"),
        ("cells,a,iaf,2\nedge,a,0,b,0,syn,1,1\n", NetworkError, "'b'"),
        ("", DocumentError, "no cells"),
    ],
)
def test_bad_input_is_one_error(
    text: str, error: type[ModelError], message: str, example: Format, tmp_path: Path
) -> None:
    (tmp_path / "bad.edges").write_text(text)
    with pytest.raises(error, match=message):
        example.read(tmp_path / "bad.edges")

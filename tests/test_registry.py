"""Formats are told by content when read and by name when written; other packages may add theirs."""

from __future__ import annotations

import gzip
from importlib import import_module
from pathlib import Path

import pytest

from nmlbridge import registry
from nmlbridge.errors import DocumentError, UsageError
from nmlbridge.registry import Format, format_to_read, format_to_write, formats


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"<neuroml/>", "neuroml"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- <Lems> -->\n<neuroml xmlns="x">', "neuroml"),
        (b'<?xml version="1.0"?>\n<n:neuroml xmlns:n="x">', "neuroml"),
        (b"<Lems>\n<Target/>", "lems"),
        (b"<lems>", "lems"),
        (b"\x89HDF\r\n\x1a\n\0\0", "neuroml-hdf5"),
    ],
)
def test_a_file_is_told_by_its_content(head: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / "misleading.h5"
    path.write_bytes(head)
    assert format_to_read(path).name == name


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"root:x:0:0", gzip.compress(b"<neuroml/>", mtime=0), b"<!-- <neuroml> "]
)
def test_what_is_no_model_is_refused_and_not_echoed(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.nml"
    path.write_bytes(content)
    with pytest.raises(DocumentError) as raised:
        format_to_read(path)
    assert raised.value.file == str(path)
    assert "root:x" not in str(raised.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="folder"):
        format_to_read(tmp_path)
    with pytest.raises(DocumentError, match="no such file"):
        format_to_read(tmp_path / "x.nml")


@pytest.mark.parametrize(
    ("path", "name"),
    [("a.nml", "neuroml"), ("a.net.NML", "neuroml"), ("a.nml.h5", "neuroml-hdf5"), ("a.h5", "neuroml-hdf5"),
     ("out/sonata/", "sonata"), ("neuron", "neuron"), ("sonata/circuit_config.json", "sonata")],
)
def test_a_new_file_is_told_by_its_name(path: str, name: str) -> None:
    assert format_to_write(path).name == name


def test_an_unknown_extension_names_the_known() -> None:
    with pytest.raises(UsageError, match=r"\.nml\.h5"):
        format_to_write("a.doc")


@pytest.mark.parametrize("record", formats().values(), ids=lambda record: record.name)
def test_each_built_in_names_functions_that_are_there(record: Format) -> None:
    for target in (record.reader, record.writer, record.simulation):
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            assert callable(getattr(import_module(module), attribute))


class _Entry:
    """An entry point of another package."""

    def __init__(self, name: str, value: object) -> None:
        self.name, self.value = name, value

    def load(self) -> object:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def test_another_package_adds_a_format_and_a_broken_one_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Format("mine", "Mine", (".mine",), "https://example.org")
    clash = Format("neuroml", "Not NeuroML", (".nml",), "https://example.org")
    entries = [_Entry("a", mine), _Entry("b", ImportError("broken")), _Entry("c", clash), _Entry("d", 42)]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    with pytest.warns(UserWarning) as said:
        table = registry.record_table(Format, registry._FORMATS, "nmlbridge.formats")
    assert table["mine"] is mine
    assert table["neuroml"].title == "NeuroML 2 XML"
    assert len(said) == 3


def test_one_way_formats_say_so(tmp_path: Path) -> None:
    one_way = Format("mine", "Mine", (".mine",), "https://example.org")
    with pytest.raises(UsageError, match="not read"):
        one_way.read(tmp_path)
    with pytest.raises(UsageError, match="not written"):
        one_way.write(None, tmp_path)  # type: ignore[arg-type]

"""What goes wrong on the way between formats: each kind once, through the command line, as one clear error."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nmlbridge.cli import main
from nmlbridge.registry import formats

from .contract import CELLS, everything


def fails(words: list[str], capsys: pytest.CaptureFixture[str], *said: str, code: int = 1) -> str:
    """The one line that a call of the command line complains with."""
    assert main(words) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("nmlbridge: error: ") and "Traceback" not in lines[0]
    assert all(word in lines[0] for word in said), lines[0]
    return lines[0]


@pytest.fixture
def hdf5(tmp_path: Path) -> Path:
    path = tmp_path / "net.nml.h5"
    formats()["neuroml-hdf5"].write(everything(tmp_path), path)
    return path


def group(file: h5py.File, name: str) -> Any:
    return file[f"neuroml/network/{name}"]


def without(name: str, attribute: str) -> Callable[[h5py.File], None]:
    return lambda file: group(file, name).attrs.__delitem__(attribute)


def value(name: str, row: int, column: int, number: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        owner = group(file, name)
        table = next(item for item in owner.values() if isinstance(item, h5py.Dataset))
        table[row, column] = number

    return change


def reshaped(name: str, width: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        owner = group(file, name)
        id = next(key for key, item in owner.items() if isinstance(item, h5py.Dataset))
        del owner[id]
        owner[id] = np.zeros((2, width))

    return change


def shortened(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        owner = group(file, name)
        id, table = next((key, item) for key, item in owner.items() if isinstance(item, h5py.Dataset))
        rows, attributes = table[:1], dict(table.attrs)
        del owner[id]
        owner[id] = rows
        owner[id].attrs.update(attributes)

    return change


HDF5 = {
    "an attribute is missing": (without("projection_ab", "presynapticPopulation"), "presynapticPopulation"),
    "no component": (without("population_b", "component"), "component"),
    "a table without names": (reshaped("projection_ab", 3), "3 columns have no names"),
    "a column of the wrong length": (shortened("population_a"), "no such cell (1 cells)"),
    "an id out of range": (value("projection_ab", 0, 1, 77), "77"),
    "an id that is no whole number": (value("projection_ab", 0, 1, 0.5), "0.5"),
    "a negative id": (value("inputList_list", 0, 1, -4), "-4"),
    "a population that is not there": (
        lambda file: file["neuroml/network"].__delitem__("population_b"), "'b'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HDF5)
def test_hdf5_tables(kind: str, hdf5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, word = HDF5[kind]
    with h5py.File(hdf5, "r+") as file:
        change(file)
    fails(["convert", str(hdf5), str(tmp_path / "out.nml")], capsys, "net.nml.h5", word)
    assert not (tmp_path / "out.nml").exists()


NML1 = """<?xml version="1.0"?><neuroml xmlns="http://morphml.org/neuroml/schema">
<populations xmlns="http://morphml.org/networkml/schema"><population name="p" cell_type="c"/></populations></neuroml>"""


def test_versions_that_do_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.nml").write_text(NML1)
    fails(["convert", str(tmp_path / "old.nml"), str(tmp_path / "out.nml")], capsys, "old.nml", "NeuroML 1")
    (tmp_path / "new.nml").write_text(f'<neuroml id="new"><include href="old.nml"/>{CELLS}</neuroml>')
    fails(["convert", str(tmp_path / "new.nml"), str(tmp_path / "out.nml")], capsys, "old.nml", "NeuroML 1")
    assert not (tmp_path / "out.nml").exists()


def test_the_wrong_format_for_a_name(hdf5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fails(["convert", str(hdf5), str(tmp_path / "out.docx")], capsys, "out.docx", code=2)
    fails(["convert", str(hdf5), str(tmp_path / "out.nml"), "--to", "word"], capsys, "word", code=2)
    fails(["convert", str(hdf5), str(tmp_path / "out.nml"), "--from", "swc"], capsys, "net.nml.h5")
    fails(["convert", str(hdf5), str(tmp_path / "out.asc"), "--to", "neurolucida"], capsys, "not written", code=2)
    assert not list(tmp_path.glob("out*"))


def test_models_and_results_of_sonata_are_told_apart(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    circuit = corpus / "sonata" / "300_intfire"
    spikes = circuit / "output" / "spikes.h5"
    for chosen in ([], ["--from", "sonata"]):
        fails(["convert", str(spikes), str(tmp_path / "x.nml"), *chosen], capsys, "spikes.h5", "nmlbridge results")
    nodes = next((circuit / "network").glob("*nodes.h5"))
    words = ["convert", str(nodes), str(tmp_path / "x.nml"), "--from", "sonata"]
    fails(words, capsys, nodes.name, "circuit_config.json")
    fails(["results", "show", str(nodes), "--from", "sonata"], capsys, nodes.name, "nmlbridge convert")
    fails(["results", "show", str(circuit), "--from", "sonata"], capsys, "300_intfire", "nmlbridge convert")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_row(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(corpus / "sonata" / "300_pointneurons", tmp_path / "s")
    types = next((tmp_path / "s" / "network").glob("*edge_types.csv"))
    rows = types.read_text().splitlines()
    types.write_text("\n".join([*rows[:1], rows[1].rsplit(" ", 1)[0], *rows[2:]]) + "\n")
    fails(["convert", str(tmp_path / "s"), str(tmp_path / "x.nml")], capsys, f"{types.name}:2")
    (tmp_path / "r.csv").write_text("time,a/0/x/v\n0,1\n0.1\n")
    fails(["results", "show", str(tmp_path / "r.csv")], capsys, "r.csv:3")


class Evil:
    """Unpickled, this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["net.pkl", "net_netpyne.json", "net.npjson", "net.nml", "net.nml.h5", "net.npy"])
@pytest.mark.parametrize("words", [["convert", "?", "!.nml"], ["run", "?"], ["results", "show", "?"], ["info", "?"]])
def test_pickles_are_never_read(
    name: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = tmp_path / "ran"
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Evil(ran)))
    given = [word.replace("?", str(path)).replace("!", str(tmp_path / "out")) for word in words]
    fails(given, capsys, "pickle", name)
    assert not ran.exists() and {p.name for p in tmp_path.iterdir()} <= {name}


@pytest.mark.parametrize("name", ["../slipped.nml", "/tmp/slipped.nml", "a/../../slipped.nml"])
def test_archives_that_leave_their_folder(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "a.omex", "w") as archive:
        archive.writestr(name, "x")
    fails(["archive", "extract", str(tmp_path / "a.omex"), "-o", str(tmp_path / "out")], capsys, "a.omex", "slipped")
    assert {p.name for p in tmp_path.iterdir()} == {"a.omex"} and not Path("/tmp/slipped.nml").exists()

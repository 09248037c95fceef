"""Every format of the registry: what it writes it reads, what it cannot hold it says, bad input is one clear error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from nmlbridge import Network
from nmlbridge.converters.native import in_components
from nmlbridge.errors import ModelError, NmlBridgeError, UnsupportedError, UsageError
from nmlbridge.graph.features import FEATURES, present
from nmlbridge.registry import Format, convert, format_to_read, formats, read
from nmlbridge.report import Report

from .contract import VIEWS, alike, everything, suited

WRITTEN = [record for record in formats().values() if record.writer is not None]
BOTH = [record for record in WRITTEN if record.reader is not None and record.name != "pynn"]  # runs: test_pynn.py
READ = [record for record in formats().values() if record.reader is not None]
COMPILED = frozenset({"networks", "positions", "connections", "weights"})
"""what a model and the mechanisms that it was compiled to have the same; delays are those that give its spikes"""
NAMED = {"ids": lambda record: record.name}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return everything(tmp_path_factory.mktemp("everything"))


def target(record: Format, folder: Path, stem: str = "model") -> Path:
    """A name for a new file of this format."""
    if record.writes_folder:
        return folder / stem
    return folder / (f"LEMS_{stem}.xml" if record.name == "lems" else f"{stem}{record.extensions[0]}")


def unplaced(back: Network, network: Network) -> Network:
    """``back`` without the places of cells that had none in ``network``: some formats give every cell a place."""
    populations = {
        p.id: p if network.populations[p.id].positions is not None else replace(p, positions=None)
        for p in back.populations.values()
    }
    return replace(back, populations=populations)


def held(record: Format, report: Report) -> frozenset[str]:
    """The features that a format carries, less those that its writer said it could not carry of this network."""
    said = {note.code.removeprefix("no-").replace("-", " ") for note in report.losses}
    return record.features - said


@pytest.mark.parametrize("record", formats().values(), **NAMED)
def test_the_record_is_complete(record: Format) -> None:
    assert record.title and record.specification.startswith("https://")
    assert record.extensions or record.in_folder
    assert record.features <= set(FEATURES), "a feature that is not in nmlbridge.graph.features cannot be compared"


@pytest.mark.parametrize("record", BOTH, **NAMED)
def test_what_is_written_is_recognised_and_comes_back(record: Format, network: Network, tmp_path: Path) -> None:
    path = target(record, tmp_path)
    network = suited(record, network)
    report = Report()
    record.write(network, path, report)
    assert format_to_read(path).name == record.name
    assert alike(network, read(path), held(record, report)) == []


@pytest.mark.parametrize("record", WRITTEN, **NAMED)
def test_every_loss_is_said_and_a_strict_report_writes_nothing(
    record: Format, network: Network, tmp_path: Path
) -> None:
    report = Report()
    network = suited(record, network)
    record.write(network, target(record, tmp_path), report)
    lost = set(present(network)) - record.features
    codes = {note.code for note in report.losses}
    assert {f"no-{feature.replace(' ', '-')}" for feature in lost} <= codes
    if report.losses:
        empty = tmp_path / "strict"
        empty.mkdir()
        with pytest.raises(ModelError):
            record.write(network, target(record, empty), Report(strict=True))
        assert list(empty.iterdir()) == []


@pytest.mark.parametrize("record", WRITTEN, **NAMED)
def test_a_disk_that_fails_leaves_nothing(
    record: Format, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises((OSError, NmlBridgeError)):
        record.write(suited(record, network), target(record, tmp_path), Report())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("record", WRITTEN, **NAMED)
def test_a_folder_in_the_way_is_an_error(record: Format, network: Network, tmp_path: Path) -> None:
    path = target(record, tmp_path)
    path.mkdir()
    (path / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match="folder"):
        record.write(network, path, Report())
    assert (path / "mine.txt").read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


RUBBISH = [
    b"",
    b"{}",
    b"{",
    b"[1, 2",
    b"null",
    b"\x00\xff\xfe",
    b"<a/>",
    b"\x89HDF\r\n\x1a\n" + bytes(64),
    b"\x80\x04N.",
]


@pytest.mark.parametrize(("record", "content"), list(product(READ, RUBBISH)))
def test_bad_input_is_one_clear_error(record: Format, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / (record.in_folder[0] if record.in_folder else f"bad{record.extensions[0]}")
    path.write_bytes(content)
    with pytest.raises(NmlBridgeError) as raised:
        record.read(path, Report())
    text = str(raised.value)
    assert text and "\n" not in text and "Traceback" not in text
    assert path.name in text or getattr(raised.value, "file", None)


@pytest.mark.parametrize("record", READ, **NAMED)
def test_a_file_that_is_not_there_is_said(record: Format, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"(?i)no such file"):
        record.read(tmp_path / "absent", Report())


@pytest.mark.parametrize(("one", "two"), list(product(BOTH, BOTH)), ids=lambda record: record.name)
def test_round_trip_matrix(one: Format, two: Format, network: Network, tmp_path: Path) -> None:
    """A -> graph -> B -> graph: what both hold is equal, what one cannot is in the report."""
    first, second = target(one, tmp_path, "first"), target(two, tmp_path, "second")
    one.write(suited(one, network), first, Report())
    report = Report()
    if two.compiled and "native mechanisms" not in one.features:
        if one.features == {"morphologies"}:
            with pytest.raises(UnsupportedError, match="no population"):
                convert(first, second, source_format=one.name, target_format=two.name, report=report)
            return
        over = convert(first, second, source_format=one.name, target_format=two.name, report=report)
        assert alike(over, unplaced(read(second, format=two.name), over), COMPILED) == []
        return
    if two.features == {"morphologies"} and "native mechanisms" in one.features:
        with pytest.raises(UnsupportedError, match="one morphology"):
            convert(first, second, source_format=one.name, target_format=two.name, report=report)
        return
    over = convert(first, second, source_format=one.name, target_format=two.name, report=report)
    back = read(second, format=two.name)
    if "native mechanisms" not in two.features:
        over = in_components(over)
    assert alike(over, back, held(one, report) & held(two, report)) == []
    lost = set(present(over)) - two.features
    assert {f"no-{feature.replace(' ', '-')}" for feature in lost} <= {note.code for note in report.losses}


MODELS = [
    "ACnet2/SimpleNet.net.nml", "NML2_LEMS_Examples/NML2_SingleCompHHCell.nml", "hdf5/complete.nml",
    "neuromllite/Example4_PyNN.net.nml",
]  # fmt: skip


@pytest.mark.parametrize("record", BOTH, **NAMED)
@pytest.mark.parametrize("name", MODELS)
def test_published_models_go_over_and_come_back(record: Format, name: str, corpus: Path, tmp_path: Path) -> None:
    source = next(iter(corpus.glob(name)), None) or next(iter(corpus.rglob(Path(name).name)), None)
    if source is None:
        pytest.skip(f"{name} is not in the corpus")
    report = Report()
    if record.features == {"morphologies"} and len(VIEWS["morphologies"](read(source))) != 1:
        with pytest.raises(UnsupportedError, match="one morphology"):
            convert(source, target(record, tmp_path), target_format=record.name)
        assert list(tmp_path.iterdir()) == []
        return
    if record.compiled:
        if not read(source).populations:
            with pytest.raises(UnsupportedError):
                convert(source, target(record, tmp_path), target_format=record.name)
            assert list(tmp_path.iterdir()) == []
            return
        network = convert(source, target(record, tmp_path), target_format=record.name, report=report)
        assert alike(network, unplaced(read(target(record, tmp_path)), network), COMPILED) == []
        return
    network = convert(source, target(record, tmp_path), target_format=record.name, report=report)
    assert alike(network, read(target(record, tmp_path)), held(record, report)) == []
    lost = set(present(network)) - record.features
    assert {f"no-{feature.replace(' ', '-')}" for feature in lost} <= {note.code for note in report.losses}


NETWORKS = [record for record in BOTH if "networks" in record.features]
PAIRED = ["neuromllite/Example4_PyNN.net.nml", "NetPyNEShowcase/NeuroML2/multicomp/DendConn.net.nml"]
SAVED = "netpyne/model_output.json"


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        (name, one, two)
        for one, two in product(NETWORKS, NETWORKS)
        for name in ([SAVED] if one.compiled else PAIRED)  # of mechanisms a saved network; of components, models
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_published_models_by_every_pair(name: str, one: Format, two: Format, corpus: Path, tmp_path: Path) -> None:
    """Model -> A -> graph -> B -> graph: what both can hold is equal, what one cannot is in the report."""
    source = corpus / name
    if not source.is_file():
        pytest.skip(f"{name} is not in the corpus")
    first, second = target(one, tmp_path, "first"), target(two, tmp_path, "second")
    there, over = Report(), Report()
    convert(source, first, target_format=one.name, report=there)
    network = convert(first, second, source_format=one.name, target_format=two.name, report=over)
    back = read(second, format=two.name)
    assert len(network.populations) > 0 and (network.connections > 3 or "connections" not in held(one, there))
    both = held(one, there) & held(two, over)
    if two.compiled and not one.compiled:
        both, back = COMPILED, unplaced(back, network)
    elif one.compiled and not two.compiled:
        network = in_components(network)
    assert alike(network, back, both) == []
    rules = {one.name, two.name} & {"neuromllite"}  # which has no place for connections one by one on parts of cells
    assert {"networks"} | (set() if rules else {"connections", "weights"}) <= both
    lost = set(present(network)) - two.features
    assert {f"no-{feature.replace(' ', '-')}" for feature in lost} <= {note.code for note in over}


@pytest.mark.parametrize("record", WRITTEN, **NAMED)
def test_killed_half_way_leaves_no_file_under_the_final_name(record: Format, tmp_path: Path) -> None:
    """The process stops itself just before anything is given its final name, and is killed there."""
    script = (
        "import os, sys, time, pathlib\n"
        "from nmlbridge.registry import formats, read\n"
        "def wait(*a):\n"
        "    print('written', flush=True); time.sleep(60)\n"
        "network = read(sys.argv[1])\n"
        "os.replace = os.rename = wait\n"
        "formats()[sys.argv[2]].write(network, pathlib.Path(sys.argv[3]))\n"
    )
    network = everything(tmp_path)
    folder = tmp_path / "out"
    folder.mkdir()
    path = target(record, folder)
    source = str(tmp_path / "LEMS_everything.xml")
    if suited(record, network) is not network:
        source = str(target(record, tmp_path, "source"))
        record.write(suited(record, network), source)
    process = subprocess.Popen([sys.executable, "-c", script, source, record.name, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not path.exists()

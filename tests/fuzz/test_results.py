"""Damaged files of results and archives: results, or one error that names the file; never another exception."""

from __future__ import annotations

import contextlib
import random
import warnings
from pathlib import Path

import numpy as np
import pytest

from nmlbridge.errors import NmlBridgeError
from nmlbridge.portal.archive import check_archive, create_archive, extract_archive
from nmlbridge.results import Results, ResultsFormat, SpikeTrains, Traces, results_formats

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_two_populations" / "LEMS_TwoPopulations.xml"
SLOW = {"nwb": 8, "nix": 8}  # files that others' libraries read, some tenth of a second each
ROUNDS = 80


def _damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes with some changed, taken out, put in, or the end cut off."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if not found:
            break
        at, how = rng.randrange(len(found)), rng.random()
        if how < 0.5:
            found[at] = rng.randrange(256)
        elif how < 0.7:
            del found[at : at + rng.randrange(1, 30)]
        elif how < 0.9:
            found[at:at] = bytes(rng.choice(b'0123456789"[]{},:.-eNa\n\t ') for _ in range(rng.randrange(1, 6)))
        else:
            del found[at:]
    return bytes(found)


@pytest.mark.parametrize("record", [r for r in results_formats().values() if r.writer], ids=lambda record: record.name)
def test_damaged_results(record: ResultsFormat, tmp_path: Path) -> None:
    time = np.arange(50) * 1e-4
    traces = Traces(time, np.array([np.sin(time), time]), ("exc[0]/v", "exc[2]/3/caConc"), ("V", "mol/m3"))
    spikes = SpikeTrains(np.array([0, 2, 4]), np.array([0.001, 0.002, 0.003]), {"exc": (0, 3), "inh": (3, 2)})
    path = tmp_path / f"x{record.extensions[0]}"
    record.write(Results(traces, spikes, {"dt": 1e-4}), path)
    whole = {file: file.read_bytes() for file in sorted(tmp_path.iterdir())}
    rng = random.Random(f"{record.name} 1")
    for _ in range(SLOW.get(record.name, ROUNDS)):
        file = rng.choice(list(whole))
        file.write_bytes(_damaged(whole[file], rng))
        with contextlib.suppress(NmlBridgeError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert isinstance(record.read(path), Results)
        file.write_bytes(whole[file])


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.omex"
    create_archive(EXAMPLE, path)
    whole, rng = path.read_bytes(), random.Random(1)
    for number in range(ROUNDS):
        path.write_bytes(_damaged(whole, rng))
        with contextlib.suppress(NmlBridgeError):
            check_archive(path)
        with contextlib.suppress(NmlBridgeError):
            extract_archive(path, tmp_path / f"out{number}")
        # whole or not at all: no scratch folder is left
        assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]

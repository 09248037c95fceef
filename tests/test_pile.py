"""Columns on disk: the same numbers as in memory, and memory for a block only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmlbridge import pile
from nmlbridge.errors import SimulatorError
from nmlbridge.graph import Projection
from nmlbridge.pile import Pile, blank, chosen, copied, counted, extremes, joined, made, picked, release, whole


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Columns of more than a few rows are on disk."""
    monkeypatch.setattr(pile, "LONG", 20)
    monkeypatch.setattr(pile, "BLOCK", 7)
    yield


PIECES: dict[str, list[Any]] = {
    "none": [],
    "empty": [[], []],
    "one number": [np.broadcast_to(3.0, 30), [3.0], np.broadcast_to(3.0, 5)],
    "one number, then others": [np.broadcast_to(3.0, 30), [1.0, 2.0]],
    "zeros of two signs": [np.broadcast_to(0.0, 4), np.broadcast_to(-0.0, 4)],
    "short": [[1.0, 2.0], [3.0]],
    "long": [np.arange(15.0), np.arange(40.0), [1.0]],
    "rows": [np.arange(30.0).reshape(10, 3), np.arange(45.0).reshape(15, 3)],
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=list(PIECES))
def test_pieces_make_a_column(pieces: list[Any], short: None) -> None:
    made_of = Pile(float)
    for piece in pieces:
        made_of.append(piece)
    column = made_of.column()
    expected = np.concatenate([np.asarray(piece, float) for piece in pieces]) if pieces else np.zeros(0)
    assert column.tobytes() == expected.tobytes() and column.shape == expected.shape and column.dtype == float
    assert not column.flags.writeable
    release(column)
    assert np.array_equal(column, expected)
    if len(column):
        assert extremes(column) == (expected.min(), expected.max())


def test_a_single_number_takes_no_memory(short: None) -> None:
    column = Pile(float)
    for _ in range(3):
        column.append(np.broadcast_to(2.0, 10**9))
    assert len(column.column()) == 3 * 10**9
    assert whole(np.broadcast_to(2.0, 50)).flags.c_contiguous


def test_what_is_done_block_by_block(short: None) -> None:
    numbers = counted(100)
    assert np.array_equal(numbers, np.arange(100))
    squares = made(100, float, lambda rows: numbers[rows] ** 2.0, numbers)
    assert np.array_equal(squares, np.arange(100) ** 2.0)
    odd = chosen(lambda rows: numbers[rows] % 2 == 1, 100, numbers)
    assert np.array_equal(picked(squares, odd), np.arange(1, 100, 2) ** 2.0)
    assert picked(squares, None) is squares and joined([squares]) is squares
    assert np.array_equal(picked(np.broadcast_to(4, 9), np.arange(3)), [4, 4, 4])
    assert np.array_equal(joined([squares, odd]), np.concatenate([squares, odd]))
    column = blank(50, np.uint32)
    column[::-1] = np.arange(50)
    release(column)
    assert column.tolist() == list(range(49, -1, -1))
    mine = np.arange(60)
    his = copied(mine)
    mine[:] = 0
    assert np.array_equal(his, np.arange(60))


def test_many_columns_at_once(short: None) -> None:
    """More than a process may usually have files open."""
    columns = [copied(np.full(30, float(number))) for number in range(1500)]
    assert [column[-1] for column in columns] == list(range(1500))


def test_a_projection_leaves_the_callers_array_alone(short: None) -> None:
    pre = np.arange(30)
    projection = Projection("p", "chemical", "a", "a", pre, pre[::-1], synapses=("s",), weight=np.linspace(0, 1, 30))
    pre[0] = 7
    assert projection.pre[0] == 0 and projection.post[-1] == 0 and projection.ids[29] == 29


def test_a_full_disk_is_said(short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    monkeypatch.setattr(pile.tempfile, "TemporaryFile", lambda **_: full.open("wb", buffering=0))
    with pytest.raises(SimulatorError, match=r"is full.*TMPDIR"):
        copied(np.arange(100.0))


GROWS = """
import resource
import numpy as np
from nmlbridge.pile import extremes, made
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
extremes(made(300_000, float, lambda rows: np.arange(rows.start, rows.stop)))
before, count = peak(), 8_000_000
numbers = made(count, float, lambda rows: np.arange(rows.start, rows.stop))
more = made(count, float, lambda rows: numbers[rows] + 1, numbers)
assert extremes(more) == (1, count)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in other units")
def test_memory_is_that_of_a_block() -> None:
    """Two columns of 64 MB."""
    ran = subprocess.run([sys.executable, "-c", GROWS], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 8

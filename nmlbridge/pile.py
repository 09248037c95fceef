"""Columns of any length, made piece by piece: in memory while they are short, on disk beyond.

A long column is a file without a name that is mapped into memory: an array like any other, read-only, whose pages come
from the disk, or the system's cache, when they are looked at. Who walks such columns block by block, and releases
each block, needs memory for a block. The file goes with the last array that looks at it.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .errors import SimulatorError

LONG = 1 << 18  # rows of a column from which on it is on disk
BLOCK = 1 << 16  # rows that are looked at together
_FILES = 256  # open files that others may need
Array = npt.NDArray[Any]


def is_long(count: int) -> bool:
    """Whether a column of so many rows is on disk."""
    return count >= LONG


class Pile:
    """A column that grows. While all its rows are one number it takes no memory at all."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.count = 0
        self._shape: tuple[int, ...] = ()  # of a row
        self._one: Any = None  # the number that all rows are so far
        self._pieces: list[Array] = []
        self._held = 0
        self._file: IO[bytes] | None = None

    def append(self, piece: npt.ArrayLike) -> None:
        """Add rows (n, ...). Raises SimulatorError if the disk is full."""
        rows = np.asarray(piece, self.dtype)
        if not len(rows):
            return
        if not self.count:
            self._shape = rows.shape[1:]
        same = rows.ndim == 1 and (rows.strides == (0,) or len(rows) == 1)
        if same and (not self.count or (self._one is not None and _bits(self._one) == _bits(rows[0]))):
            self._one = rows[0]
            self.count += len(rows)
            return
        if self._one is not None:
            before, self._one = self._one, None
            for block in blocks(self.count):
                self._hold(np.full(block.stop - block.start, before))
        self.count += len(rows)
        self._hold(rows)

    def column(self) -> Array:
        """All rows, read-only. Nothing can be added afterwards."""
        if self._one is not None:
            return np.broadcast_to(self._one, self.count)
        if self._file is None and self._held < LONG:
            found = self._pieces[0] if len(self._pieces) == 1 else np.concatenate(
                [np.zeros((0, *self._shape), self.dtype), *self._pieces])  # fmt: skip
            found = found.view()
            found.flags.writeable = False
            return found
        self._write()
        assert self._file is not None
        with self._file as file:
            return _map(file, self.dtype, (self.count, *self._shape))

    def _hold(self, rows: Array) -> None:
        self._pieces.append(rows)
        self._held += len(rows)
        if self._held >= LONG:
            self._write()

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="nmlbridge-", buffering=0)
            for rows in self._pieces:
                for block in blocks(len(rows)):
                    left = memoryview(np.ascontiguousarray(rows[block]).data).cast("B")
                    while left:
                        left = left[self._file.write(left) :]
                release(rows)
        except OSError as fault:
            raise _full(fault) from fault
        self._pieces, self._held = [], 0


def _full(fault: OSError) -> SimulatorError:
    why = "is full" if fault.errno in (errno.ENOSPC, errno.EDQUOT) else f"cannot be written: {fault.strerror}"
    return SimulatorError(f"the folder for temporary files, {tempfile.gettempdir()}, {why}; connections that do not "
                          "fit into memory are kept there; TMPDIR names another")  # fmt: skip


def _map(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...], access: int = mmap.ACCESS_READ) -> Array:
    untracked: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    if not untracked:
        _room_for(file.fileno())
    memory = mmap.mmap(file.fileno(), 0, access=access, **untracked)
    return np.ndarray(shape, dtype, buffer=memory)


def _room_for(number: int) -> None:
    """A map keeps its file open, before Python 3.13: see to it that there can be many."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if number > soft - _FILES and (hard == resource.RLIM_INFINITY or soft < hard):
            more = 4 * soft if hard == resource.RLIM_INFINITY else min(4 * soft, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))


def blank(count: int, dtype: npt.DTypeLike) -> Array:
    """A column to be filled in whatever order; on disk if it is long. Raises SimulatorError if the disk is full."""
    kind = np.dtype(dtype)
    if count < LONG:
        return np.zeros(count, kind)
    try:
        with tempfile.TemporaryFile(prefix="nmlbridge-", buffering=0) as file:
            if hasattr(os, "posix_fallocate"):  # now, because a page that finds no room later ends the process
                os.posix_fallocate(file.fileno(), 0, count * kind.itemsize)
            else:
                file.truncate(count * kind.itemsize)
            return _map(file, kind, (count,), mmap.ACCESS_WRITE)
    except OSError as fault:
        raise _full(fault) from fault


def release(*columns: Array | None) -> None:
    """Give back the memory of columns that are on disk; what is looked at again is read again."""
    for column in columns:
        owner: Any = column
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, memoryview):
            owner = owner.obj
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.madvise(mmap.MADV_DONTNEED)


def blocks(count: int) -> Iterator[slice]:
    """Rows 0 to ``count`` in slices of BLOCK."""
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))


def made(count: int, dtype: npt.DTypeLike, make: Callable[[slice], Array], *sources: Array | None) -> Array:
    """A column of ``count`` rows that ``make`` gives block by block from ``sources``, which are released on the way."""
    pile = Pile(dtype)
    for block in blocks(count):
        pile.append(make(block))
        release(*sources)
    return pile.column()


def several(
    count: int, dtypes: Sequence[npt.DTypeLike], make: Callable[[slice], Sequence[Array]], *sources: Array | None
) -> list[Array]:
    """As ``made``, for columns that are made together."""
    piles = [Pile(dtype) for dtype in dtypes]
    for block in blocks(count):
        for pile, piece in zip(piles, make(block), strict=True):
            pile.append(piece)
        release(*sources)
    return [pile.column() for pile in piles]


def picked(column: Array, rows: npt.NDArray[np.int64] | None) -> Array:
    """Some rows of a column; all of them, not copied, if ``rows`` is None."""
    if rows is None:
        return column
    if column.strides == (0,):
        return np.broadcast_to(column[:1].reshape(()) if len(column) else column.dtype.type(0), len(rows))
    return made(len(rows), column.dtype, lambda block: column[rows[block]], rows, column)


def chosen(
    flags: Callable[[slice], npt.NDArray[np.bool_]], count: int, *sources: Array | None
) -> npt.NDArray[np.int64]:
    """Which of ``count`` rows have a flag, which is told block by block."""
    pile = Pile(np.int64)
    for block in blocks(count):
        pile.append(np.flatnonzero(flags(block)) + block.start)
        release(*sources)
    return pile.column()


def shifted(column: Array, by: int) -> Array:
    """Whole numbers and ``by``; not copied if that is 0."""
    return made(len(column), column.dtype, lambda rows: column[rows] + by, column) if by else column


def joined(parts: Sequence[Array]) -> Array:
    """Columns one after the other; a single one is not copied."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.zeros(0)
    pile = Pile(np.result_type(*parts))
    for part in parts:
        pile.append(part)
    return pile.column()


def counted(count: int) -> npt.NDArray[np.int64]:
    """0 to ``count``."""
    return made(count, np.int64, lambda rows: np.arange(rows.start, rows.stop, dtype=np.int64))


def extremes(column: Array) -> tuple[Any, Any]:
    """The least and the greatest value of a column that has rows; NaN if there is one."""
    if column.strides == (0,):
        return column[0], column[0]
    found = []
    for block in blocks(len(column)):
        found.append((column[block].min(), column[block].max()))
        release(column)
    return np.min([low for low, _ in found]), np.max([high for _, high in found])


def whole(column: Array) -> Array:
    """A column with a place of its own in memory, or on disk, for each row."""
    return column if column.flags.c_contiguous else copied(column)


def copied(column: Array) -> Array:
    """A copy, read-only."""
    if column.ndim == 0 or len(column) < LONG:
        column = column.copy()
        column.flags.writeable = False
        return column
    pile = Pile(column.dtype)
    pile._shape = column.shape[1:]
    for block in blocks(len(column)):
        pile.count += block.stop - block.start
        pile._hold(np.ascontiguousarray(column[block]))
    return pile.column()


def _bits(value: Any) -> bytes:
    """By which -0.0 is not 0.0, and NaN is itself."""
    return bytes(value.tobytes())

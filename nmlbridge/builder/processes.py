"""The edges of a long rule, built by as many processes as there are processors.

Every draw is a function of what it is for (``randomness``), so each process can build the edges into cells of its own,
and knows nothing of the others. The cells after the synapse are divided in order: one share after the other is what one
process would have built, to the last bit.

Processes are forked, which is only safe where nothing else goes on: on Linux, with one thread, outside MPI. Elsewhere
one process builds all.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any

import numpy as np

from ..errors import SimulatorError
from ..pile import Pile, blocks, release

Groups = dict[tuple[int, int], dict[str, Pile]]
"""The columns of the edges between a population before and one after, which are named by their numbers."""
WORTH = 5_000_000  # pairs of cells that another process is worth starting for: some tens of ms of work
_MOST = 16


def processors(pairs: int) -> int:
    """How many processes should look at so many pairs of cells."""
    if sys.platform != "linux" or threading.active_count() > 1 or "mpi4py.MPI" in sys.modules:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), pairs // WORTH, _MOST))


def together(shares: int, build: Callable[[int], Groups]) -> Groups:
    """What ``build`` gives for share 0, 1, ..., one after the other; each by a process of its own.

    Raises whatever ``build`` raises, as if one process had built one share after the other.
    """
    others: list[_Process] = []
    try:
        with suppress(OSError):  # no room for another process or file: what is left is built here
            for share in range(1, shares):
                others.append(_Process(build, share))
        groups = build(0)
        for share in range(1, shares):
            found = others[share - 1].finish() if share <= len(others) else None
            if found is None:  # whatever was wrong there is told here
                found = build(share)
            _add(groups, found)
    finally:
        for other in others:
            other.end()
    return groups


def _add(groups: Groups, more: Groups) -> None:
    for pair, piles in more.items():
        mine = groups.setdefault(pair, {name: Pile(pile.dtype) for name, pile in piles.items()})
        for name, pile in piles.items():
            for rows in _parts(pile):
                mine[name].append(rows)


def _parts(pile: Pile) -> Iterator[Any]:
    """The rows of a pile, block by block; as one if they are all the same number."""
    column = pile.column()
    if column.strides == (0,):
        yield column
        return
    for block in blocks(len(column)):
        yield column[block]
        release(column)


class _Process:
    """A forked process that leaves its share in a file without a name, and says in a pipe what is there."""

    def __init__(self, build: Callable[[int], Groups], share: int) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="nmlbridge-", buffering=1 << 20)
        here, there = os.pipe()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the threads of BLAS look after themselves
                self.id = os.fork()
        except OSError:
            for number in (here, there):
                os.close(number)
            self.file.close()
            raise
        if self.id == 0:
            code = 1
            try:
                said = json.dumps(_leave(build(share), self.file)).encode()
                while said:
                    said = said[os.write(there, said) :]
                code = 0
            finally:
                os._exit(code)  # nothing of the other process must be done twice: no handlers, no flushing
        os.close(there)
        self.pipe: IO[bytes] = os.fdopen(here, "rb")

    def finish(self) -> Groups | None:
        """Wait for the share; None if the process failed."""
        said = self.pipe.read()
        _, status = os.waitpid(self.id, 0)
        self.id = 0
        return _found(json.loads(said), self.file) if status == 0 else None

    def end(self) -> None:
        """Leave nothing behind, however far it has come."""
        if self.id:
            with suppress(OSError):
                os.kill(self.id, signal.SIGKILL)
                os.waitpid(self.id, 0)
        self.pipe.close()
        self.file.close()


def _leave(groups: Groups, file: IO[bytes]) -> list[Any]:
    """Write the columns; what there is: [before, after, [[name, type, rows, numbers in the file], ...]]."""
    told = []
    for pair, piles in groups.items():
        columns = []
        for name, pile in piles.items():
            written = 0
            for rows in _parts(pile):
                rows = rows[:1] if rows.strides == (0,) else rows
                file.write(np.ascontiguousarray(rows).data)
                written += len(rows)
            columns.append([name, pile.dtype.str, pile.count, written])
        told.append([*pair, columns])
    file.flush()
    return told


def _found(told: list[Any], file: IO[bytes]) -> Groups:
    file.seek(0)
    groups: Groups = {}
    for before, after, columns in told:
        piles = groups[before, after] = {}
        for name, kind, count, written in columns:
            pile = piles[name] = Pile(kind)
            if written == 1:
                pile.append(np.broadcast_to(_numbers(file, kind, 1), count))
            else:
                for block in blocks(written):
                    pile.append(_numbers(file, kind, block.stop - block.start))
    return groups


def _numbers(file: IO[bytes], kind: str, count: int) -> Any:
    size = np.dtype(kind).itemsize * count
    found = file.read(size)
    if len(found) < size:
        raise SimulatorError("a file of connections that are being built has ended too early; is the disk full?")
    return np.frombuffer(found, kind)

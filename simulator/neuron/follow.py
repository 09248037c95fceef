"""The run seen from outside: what the ranks have written so far, read block by block, and put in order.

The ranks write columns into one file and spikes each into its own; nothing is sent to any of them. This side reads
what is new after each block, sorts its spikes, and hands the block on. It holds one block at a time.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Block, Follow
from ..program import Shape
from .record import SPIKE

_PAUSE = 0.2  # s between blocks that are handed on: those of a fast run are put together
_BYTES = 32e6  # of columns in a block


class Follower:
    """Follows a run of ``ranks`` processes whose files are in ``out``."""

    def __init__(self, out: Path, ranks: int, shape: Shape, follow: Follow | None) -> None:
        self.out, self.ranks, self.follow = out, ranks, follow
        self.columns, self.samples = shape.columns, shape.samples
        self.step = shape.dt * shape.every * 1e-3  # s, between samples
        self.hold = shape.dt * 1e-3
        self.end = (shape.duration + 0.5 * shape.dt) * 1e-3  # later spikes do not belong to the run any more
        self.first = 0  # sample
        self.read = [0] * ranks  # bytes of each rank's spikes
        self.waiting = np.empty(0, SPIKE)
        self.sorted = [out / "spike_gids.raw", out / "spike_times.raw"]
        self.count = 0
        for path in self.sorted:
            path.unlink(missing_ok=True)
        self.said: tuple[int, float] = (0, 0.0)
        self.told = 0.0

    def advance(self, samples: int, until: float) -> None:
        """The run says that so many samples, and spikes up to ``until`` (s), are on disk."""
        self.said = (samples, until)
        if time.monotonic() - self.told >= _PAUSE:
            self.catch_up()
            self.told = time.monotonic()

    def catch_up(self, last: bool = False) -> None:
        """Hand on all that is there. Spikes of the last step wait for those of the same time, unless it is the last."""
        samples, until = self.said
        spikes = self._spikes(np.inf if last else until - self.hold)
        longest = max(1, int(_BYTES / 8 / max(self.columns, 1)))
        while self.first < samples or len(spikes):
            count = min(longest, samples - self.first)
            self._hand_on(count, spikes)
            self.first += count
            spikes = spikes[:0]

    def _hand_on(self, count: int, spikes: NDArray[np.void]) -> None:
        for path, name in zip(self.sorted, ("gid", "time"), strict=True):
            with path.open("ab") as stream:
                stream.write(np.ascontiguousarray(spikes[name]).tobytes())
        self.count += len(spikes)
        if self.follow is not None:
            columns = np.empty((self.columns, count))
            if self.columns and count:
                stored = np.load(self.out / "columns.npy", mmap_mode="r", allow_pickle=False)
                columns[:] = stored[:, self.first : self.first + count]
            clock = self._clock(self.first, self.first + count)
            follow, self.follow = self.follow, None  # who fails at a block is not told of another
            follow(Block(self.first, clock, columns, spikes["gid"].copy(), spikes["time"].copy()))
            self.follow = follow

    def _spikes(self, before: float) -> NDArray[np.void]:
        """New spikes of all ranks before a time, in order; later ones wait."""
        parts = [self.waiting]
        for rank in range(self.ranks):
            with (self.out / f"spikes-{rank}.bin").open("rb") as stream:
                stream.seek(self.read[rank])
                data = stream.read()
            whole = len(data) // SPIKE.itemsize * SPIKE.itemsize
            self.read[rank] += whole
            parts.append(np.frombuffer(data[:whole], SPIKE))
        found = np.concatenate(parts)
        found = found[found["time"] <= self.end]
        found = found[np.lexsort((found["gid"], found["time"]))]
        ready = int(np.searchsorted(found["time"], before))
        self.waiting = found[ready:]
        return found[:ready]

    def finish(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """After the last block: gids and times of all spikes and the times of the samples, as arrays on disk."""
        self.catch_up(last=True)
        with (self.out / "time.npy").open("wb") as stream:
            _head(stream, np.dtype(float), self.samples)
            for start in range(0, self.samples, 1 << 20):
                stream.write(self._clock(start, min(start + (1 << 20), self.samples)).tobytes())
        for path, kind in zip(self.sorted, ("<i8", "<f8"), strict=True):
            with path.open("rb") as source, path.with_suffix(".npy").open("wb") as stream:
                _head(stream, np.dtype(kind), self.count)
                shutil.copyfileobj(source, stream, 1 << 20)
            os.unlink(path)
        gids, times, clock = (on_disk(self.out / f"{name}.npy") for name in ("spike_gids", "spike_times", "time"))
        for rank in range(self.ranks):
            (self.out / f"spikes-{rank}.bin").unlink()
        return gids, times, clock

    def _clock(self, start: int, stop: int) -> NDArray[np.float64]:
        return np.arange(start, stop, dtype=float) * self.step


def on_disk(path: Path) -> NDArray[Any]:
    """An array that is read from its file when it is used, and can be changed in memory alone."""
    array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return array if array.size else np.array(array)


def _head(stream: IO[bytes], kind: np.dtype[np.generic], count: int) -> None:
    np.lib.format.write_array_header_1_0(
        stream, {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (count,)}
    )

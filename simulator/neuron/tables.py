"""Numbers of a Program: arrays by key, referred to as "T:key"."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...pile import Pile, blocks, extremes, is_long, release, whole

Ints = npt.NDArray[np.int64]


def distinct(*columns: npt.NDArray[Any]) -> tuple[Ints, Ints, list[npt.NDArray[Any]]]:
    """The first row of each combination of values, the combinations in order, the number of each row's combination,
    and the combinations, as columns.

    As ``np.unique(np.stack(columns), axis=1, return_index=True, return_inverse=True)`` without the slow comparison of
    whole rows. Long columns are walked in blocks: only combinations are held.
    """
    count = len(columns[0])
    if not is_long(count):
        first, number = _distinct(*columns)
        return first, number, [column[first] for column in columns]
    first = np.zeros(0, np.int64)
    known = [column[:0] for column in columns]
    waiting: list[tuple[Ints, list[npt.NDArray[Any]]]] = []

    def settle() -> None:
        nonlocal first, known
        rows = np.concatenate([first, *(found for found, _ in waiting)])
        columns = [np.concatenate([old, *(new[i] for _, new in waiting)]) for i, old in enumerate(known)]
        fresh, _ = _distinct(*columns)
        first, known = rows[fresh], [column[fresh] for column in columns]
        waiting.clear()

    held = 0
    for block in blocks(count):
        parts = [column[block] for column in columns]
        fresh, _ = _distinct(*parts)
        waiting.append((fresh + block.start, [part[fresh] for part in parts]))
        release(*columns)
        held += len(fresh)
        if held > len(first) and is_long(held):
            settle()
            held = 0
    settle()
    numbers = Pile(np.int64)
    for block in blocks(count):
        parts = [column[block] for column in columns]
        # the combinations that may be in this block: columns of connections are mostly in order
        low = int(np.searchsorted(known[0], parts[0].min()))
        high = int(np.searchsorted(known[0], parts[0].max(), side="right"))
        _, number = _distinct(*(np.concatenate([old[low:high], part]) for old, part in zip(known, parts, strict=True)))
        numbers.append(number[high - low :] + low)
        release(*columns)
    return first, numbers.column(), known


def _distinct(*columns: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    order = np.lexsort(columns[::-1])
    fresh = np.ones(len(order), bool)
    if len(order):
        fresh[1:] = np.logical_or.reduce([(c := column[order])[1:] != c[:-1] for column in columns])
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(fresh) - 1
    return order[fresh].astype(np.int64), number


class Tables:
    """Collects the arrays; equal columns are stored as one number where the Program allows it."""

    def __init__(self) -> None:
        self.arrays: dict[str, npt.NDArray[Any]] = {}

    def add(self, key: str, values: npt.ArrayLike) -> str:
        """Store an array and return its reference."""
        self.arrays[key] = whole(np.asarray(values))
        return f"T:{key}"

    def number(self, key: str, values: npt.ArrayLike) -> float | str:
        """The common value of all rows, or a reference to the array."""
        column = np.asarray(values, dtype=float)
        if column.size and not np.isnan(column.flat[0]):
            low, high = extremes(column)
            if low == high:
                return float(column.flat[0])
        return self.add(key, column)

"""Numbers of a Program: arrays by key, referred to as "T:key"."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def distinct(*columns: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """The first row of each combination of values, the combinations in order, and the number of each row's combination.

    As ``np.unique(np.stack(columns), axis=1, return_index=True, return_inverse=True)`` without the slow comparison of
    whole rows.
    """
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
        self.arrays[key] = np.ascontiguousarray(values)
        return f"T:{key}"

    def number(self, key: str, values: npt.ArrayLike) -> float | str:
        """The common value of all rows, or a reference to the array."""
        column = np.asarray(values, dtype=float)
        if column.size and np.all(column == column.flat[0]):
            return float(column.flat[0])
        return self.add(key, column)

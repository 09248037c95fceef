"""Numbers of a Program: arrays by key, referred to as "T:key"."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


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

"""Columns: read-only numpy arrays of one length."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import NetworkError
from ..pile import copied, extremes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def frozen(values: npt.ArrayLike, dtype: Any) -> npt.NDArray[Any]:
    """A read-only array; a copy only where the caller still could write to it, on disk if it is long."""
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable:
        if array.base is not None or isinstance(values, np.ndarray):
            return copied(array)
        array = array.view()
        array.flags.writeable = False
    return array


def filled(values: npt.ArrayLike | None, count: int, default: float, dtype: Any) -> npt.NDArray[Any]:
    """The column, or ``count`` times the default where there is none, which takes no memory."""
    return frozen(np.broadcast_to(np.asarray(default, dtype), count) if values is None else values, dtype)


def same_length(owner: str, columns: dict[str, npt.NDArray[Any] | None], place: dict[str, Any]) -> int:
    """The common length of the columns; NetworkError that names both sides if they disagree."""
    lengths = {name: len(column) for name, column in columns.items() if column is not None}
    counts = set(lengths.values())
    if len(counts) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise NetworkError(f"the columns of {owner} have different lengths: {shown}", **place)
    return counts.pop() if counts else 0


def in_range(owner: str, column: Ints, size: int, what: str, place: dict[str, Any]) -> None:
    """NetworkError if a row index points outside a population of ``size`` cells."""
    if not len(column):
        return
    low, high = extremes(column)
    if low < 0 or high >= size:
        bad = low if low < 0 else high
        raise NetworkError(f"{owner} refers to cell {bad} of {what}, which has {size} cells", **place)


def finite(owner: str, columns: dict[str, npt.NDArray[Any] | None], place: dict[str, Any]) -> None:
    """NetworkError if a number in one of the columns is none, or infinite."""
    for name, column in columns.items():
        if column is not None and len(column) and not np.isfinite(extremes(column)).all():
            raise NetworkError(f"a {name} of {owner} is no finite number", **place)

"""Tables that formulas look numbers up in: along one axis or two, linear in between, constant beyond the ends."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .specification import Specification
from .vocabulary import Table as Stated

if TYPE_CHECKING:
    from .context import Path_

_MOST = 512  # numbers along an axis, beyond which bounds are those of the whole table
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Table:
    """Values (n,) or (n, m) on increasing numbers along each axis."""

    axes: tuple[Floats, ...]
    values: Floats

    def __call__(self, *coordinates: Any) -> Floats:
        """The values at some places, one coordinate for each axis."""
        weights: list[tuple[Any, Any]] = []
        for axis, at in zip(self.axes, coordinates, strict=True):
            below = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, len(axis) - 2)
            weights.append((below, np.clip((at - axis[below]) / (axis[below + 1] - axis[below]), 0.0, 1.0)))
        (i, s) = weights[0]
        if len(weights) == 1:
            return np.asarray(self.values[i] * (1 - s) + self.values[i + 1] * s)
        (j, t) = weights[1]
        near = self.values[i, j] * (1 - t) + self.values[i, j + 1] * t
        far = self.values[i + 1, j] * (1 - t) + self.values[i + 1, j + 1] * t
        return np.asarray(near * (1 - s) + far * s)

    def between(self, intervals: Sequence[tuple[Any, Any]]) -> tuple[Floats, Floats]:
        """The least and the greatest value where each coordinate lies in its interval; with two axes, of the table."""
        if len(self.axes) > 1 or len(self.axes[0]) > _MOST:
            return np.asarray(self.values.min()), np.asarray(self.values.max())
        axis, (low, high) = self.axes[0], intervals[0]
        first = np.clip(np.searchsorted(axis, low, side="right") - 1, 0, len(axis) - 1)
        last = np.clip(np.searchsorted(axis, high, side="left"), 0, len(axis) - 1)
        return self._running(np.minimum)[first, last], self._running(np.maximum)[first, last]

    def _running(self, pick: Any) -> Floats:
        """The least or greatest of the values from each row to each column."""
        count = len(self.values)
        found = np.full((count, count), self.values[0])
        for start in range(count):
            found[start, start:] = pick.accumulate(self.values[start:])
        return found


def tables_of(spec: Specification) -> dict[str, Table]:
    """The tables of a specification. Raises NetworkError at the place of what is wrong."""
    return {name: _table(spec, stated, ("tables", name)) for name, stated in spec.model.tables.items()}


def _table(spec: Specification, stated: Stated, path: Path_) -> Table:
    x, y, values = stated.x, stated.y, stated.values
    if stated.file is not None:
        x, y, values = _read(spec, stated.file, (*path, "file"))
        path = (*path, "file")
    axes = []
    for word, axis in (("x", x), ("y", y)):
        if axis is None:
            continue
        numbers = np.asarray(axis, float)
        if len(numbers) < 2 or not (np.diff(numbers) > 0).all():
            raise spec.error(f"the numbers along {word} must increase, and be two or more", *path, word)
        axes.append(numbers)
    try:
        found = np.asarray(values, float)
    except (TypeError, ValueError):
        found = np.empty(())
    shape = tuple(len(axis) for axis in axes)
    if found.shape != shape or not np.isfinite(found).all():
        wanted = f"{shape[0]} numbers" if len(shape) == 1 else f"{shape[0]} rows (along x) of {shape[1]} numbers"
        raise spec.error(f"values must be {wanted}, all finite", *path, "values")
    return Table(tuple(axes), found)


def _read(spec: Specification, name: str, path: Path_) -> tuple[list[float], list[float] | None, Any]:
    """A CSV file: two columns x and value; or a corner that is not read, y along the first row, x down the column."""
    from .listed import file_of

    file = file_of(spec, name, *path)
    with file.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    flat = bool(rows) and len(rows[0]) == 2
    start = 1 if rows and (not flat or not _numeric(rows[0])) else 0
    body: list[list[float]] = []
    for number, row in enumerate(rows[start:], start + 1):
        if not _numeric(row) or len(row) != len(rows[0]):
            raise spec.error(f"line {number} of '{name}' must have {len(rows[0])} numbers", *path)
        body.append([float(cell) for cell in row])
    if not body:
        raise spec.error(f"'{name}' has no table in it", *path)
    if flat:
        return [row[0] for row in body], None, [row[1] for row in body]
    if not _numeric(rows[0][1:]):
        raise spec.error(f"the first line of '{name}' must give the numbers along y, after a corner", *path)
    return [row[0] for row in body], [float(cell) for cell in rows[0][1:]], [row[1:] for row in body]


def _numeric(row: Sequence[str]) -> bool:
    try:
        return bool([float(cell) for cell in row])
    except ValueError:
        return False

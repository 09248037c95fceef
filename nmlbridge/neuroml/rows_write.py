"""Many rows of one shape as text, made column by column.

Each row becomes a line of bytes of one width: constant text, and cells that are wide enough for the longest number.
Bytes that a number does not need are zero, and are dropped at the end. Numbers are written as the shortest text that
reads back as the same double: m / 10**k is correctly rounded for m < 2**53 and k <= 22, so it is enough to find the
smallest k for which it gives the number back. What has no such k goes through ``repr``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
_BLOCK = 1 << 14  # rows made at once: their bytes stay within the processor's cache
_DECIMALS = 9
_PLACEHOLDER = re.compile(r"%[drs]")


def row_texts(pattern: str, columns: Sequence[Any]) -> Iterator[bytes]:
    """The rows as UTF-8, in blocks.

    ``pattern`` has a %d (integers), %r (floats) or %s (texts) for each column, %% for a percent sign. A column is an
    array (n,), or for %s a pair: the texts, and an array (n,) of indices into them.
    """
    constants = [text.replace("%%", "%").encode() for text in _PLACEHOLDER.split(pattern)]
    first = columns[0][1] if isinstance(columns[0], tuple) else columns[0]
    for start in range(0, len(first), _BLOCK):
        cells = [_cells(column, slice(start, start + _BLOCK)) for column in columns]
        count = min(_BLOCK, len(first) - start)
        width = sum(map(len, constants)) + sum(cell.shape[1] for cell in cells)
        block = np.empty((count, width), dtype=np.uint8)
        at = 0
        for number, constant in enumerate(constants):
            block[:, at : at + len(constant)] = np.frombuffer(constant, np.uint8)
            at += len(constant)
            if number < len(cells):
                size = cells[number].shape[1]
                block[:, at : at + size] = cells[number]
                at += size
        yield block.tobytes().translate(None, b"\0")


def _cells(column: Any, rows: slice) -> Bytes:
    if isinstance(column, tuple):
        values, index = column
        texts = np.array([value.encode() for value in values], dtype=np.bytes_)
        return texts.view(np.uint8).reshape(len(values), -1)[index[rows]]
    values = column[rows]
    return _whole(values) if values.dtype.kind in "iu" else _decimal(values)


def _digits(values: npt.NDArray[np.int64], width: int) -> Bytes:
    """The last ``width`` decimal digits, leading zeros included: (n, width)."""
    rest = values.astype(np.uint32) if width <= 9 else values.astype(np.uint64)
    cells = np.empty((width, len(values)), dtype=np.uint8)
    ten = rest.dtype.type(10)
    for place in range(width - 1, -1, -1):
        quotient = rest // ten
        cells[place] = rest - quotient * ten
        rest = quotient
    cells += 48
    return cells.T


def _whole(values: npt.NDArray[np.int64]) -> Bytes:
    """Integers without leading zeros: (n, width)."""
    negative = values < 0
    size = np.where(negative, -values, values)
    width = len(str(int(size.max()))) if len(size) else 1
    cells = _digits(size, width)
    power = 10 ** np.arange(width - 1, 0, -1, dtype=np.int64)
    cells[:, :-1][size[:, None] < power] = 0
    if not negative.any():
        return cells
    return np.concatenate([np.where(negative, 45, 0).astype(np.uint8)[:, None], cells], axis=1)


def _decimal(values: npt.NDArray[np.float64]) -> Bytes:
    """Floats as the shortest decimals: (n, width)."""
    mantissa = np.zeros(len(values), dtype=np.int64)
    decimals = np.full(len(values), -1)
    left = np.flatnonzero(np.abs(values) < 1e15)
    for k in range(_DECIMALS + 1):
        if not len(left):
            break
        scaled = np.rint(values[left] * 10.0**k)
        found = (scaled / 10.0**k == values[left]) & (np.abs(scaled) < 1e15)
        mantissa[left[found]] = scaled[found]
        decimals[left[found]] = k
        left = left[~found]
    most = max(int(decimals.max()), 0)
    size = np.abs(mantissa)
    power = 10 ** np.arange(_DECIMALS + 1, dtype=np.int64)
    unit = power[np.maximum(decimals, 0)]
    whole = size // unit
    parts = [np.where(np.signbit(values), 45, 0).astype(np.uint8)[:, None], _whole(whole)]
    if most:
        fraction = _digits((size - whole * unit) * power[most - np.maximum(decimals, 0)], most)
        fraction[np.arange(most) >= decimals[:, None]] = 0
        parts += [np.where(decimals > 0, 46, 0).astype(np.uint8)[:, None], fraction]
    cells = np.concatenate(parts, axis=1)
    other = np.flatnonzero(decimals < 0)
    if len(other):
        texts = np.array([repr(value).encode() for value in values[other].tolist()], dtype=np.bytes_)
        spelled = texts.view(np.uint8).reshape(len(other), -1)
        wide = np.zeros((len(values), max(cells.shape[1], spelled.shape[1])), dtype=np.uint8)
        wide[:, : cells.shape[1]] = cells
        wide[other] = 0
        wide[other, : spelled.shape[1]] = spelled
        return wide
    return cells

"""Numbers to text, fast: tab-separated tables as LEMS OutputFiles have them.

Python formats about three million numbers a second, one at a time; here numpy writes the digits of a whole block of
numbers at once, four digits a look-up, into a table of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

DIGITS = 10  # significant digits of every number
_BLOCK = 1 << 18  # numbers that are formatted at once: their work arrays stay within some 50 MB

# One number: sign, digit, point, 9 digits, "e", sign, 3 exponent digits, separator. Bytes left at 0 are dropped.
_WIDTH = 1 + 1 + 1 + (DIGITS - 1) + 1 + 1 + 3 + 1
_SIGN, _FIRST, _POINT, _REST, _E, _ESIGN, _EDIGITS, _SEPARATOR = 0, 1, 2, 3, 12, 13, 14, 17

_FOUR = np.frombuffer("".join(f"{n:04d}" for n in range(10000)).encode(), np.uint8).reshape(10000, 4)
_TENS = np.array([float(f"1e{n}") for n in range(-290, 291)])


def rows(time: np.ndarray, columns: np.ndarray, chosen: Sequence[int] | None = None) -> Iterator[bytes]:
    """The table with ``time`` (n,) in front and ``columns`` (k, n) behind, as lines of text, in pieces.

    ``chosen`` are the rows of ``columns`` to take, in this order (default: all).

    Every number has ten significant digits in the form -1.234567890e-05 (three exponent digits where two are too few);
    numbers that are not finite are nan, inf and -inf.
    """
    chosen = range(len(columns)) if chosen is None else chosen
    step = max(1, _BLOCK // (len(chosen) + 1))
    for start in range(0, len(time), step):
        part = np.empty((min(step, len(time) - start), len(chosen) + 1))
        part[:, 0] = time[start : start + step]
        for column, row in enumerate(chosen, 1):
            part[:, column] = columns[row, start : start + step]
        yield _text(part)


def _text(block: np.ndarray) -> bytes:
    """The lines of ``block`` (rows, columns)."""
    values = block.ravel()
    size = np.abs(values)
    zero = size == 0
    ordinary = (size > 1e-280) & (size < 1e280)
    odd = np.flatnonzero(~(ordinary | zero))  # what would leave the powers of ten, nan and inf: one by one, below
    size = np.where(ordinary, size, 1.0)
    exponent = np.floor(np.log10(size)).astype(np.int64)
    mantissa = _scaled(size, exponent)
    # the logarithm may be off by one beside a power of ten, and rounding may carry into a new digit
    low, high = mantissa < 10 ** (DIGITS - 1), mantissa >= 10**DIGITS
    if low.any() or high.any():
        exponent += high.astype(np.int64) - low
        mantissa = np.where(low | high, _scaled(size, exponent), mantissa)
    mantissa[zero] = 0

    cells = np.zeros((len(values), _WIDTH), np.uint8)
    cells[values < 0, _SIGN] = ord("-")
    head, tail = np.divmod(mantissa, 10**8)
    upper, lower = np.divmod(tail, 10**4)
    cells[:, _FIRST] = head // 10 + ord("0")
    cells[:, _POINT] = ord(".")
    cells[:, _REST] = head % 10 + ord("0")
    cells[:, _REST + 1 : _REST + 5] = _FOUR[upper]
    cells[:, _REST + 5 : _REST + 9] = _FOUR[lower]
    cells[:, _E] = ord("e")
    cells[:, _ESIGN] = np.where(exponent < 0, ord("-"), ord("+"))
    digits = _FOUR[np.abs(exponent)]
    cells[:, _EDIGITS] = np.where(digits[:, 1] == ord("0"), 0, digits[:, 1])
    cells[:, _EDIGITS + 1 : _EDIGITS + 3] = digits[:, 2:]
    for index in odd:
        text = f"{values[index]:.{DIGITS - 1}e}".encode()
        cells[index, :_SEPARATOR] = 0
        cells[index, : len(text)] = np.frombuffer(text, np.uint8)
    cells[:, _SEPARATOR] = ord("\t")
    cells.reshape(*block.shape, _WIDTH)[:, -1, _SEPARATOR] = ord("\n")
    return cells[cells != 0].tobytes()


def _scaled(size: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """``size`` / 10**exponent, with all its digits in front of the point, rounded."""
    shift = exponent - (DIGITS - 1)
    # one division by an exact power where there is one (up to 1e22): the digits of 0.025 are then 2.5, not 2.4999...
    power = _TENS[np.abs(shift) + 290]
    with np.errstate(over="ignore"):  # in the branch that is not taken
        return np.rint(np.where(shift < 0, size * power, size / power)).astype(np.int64)

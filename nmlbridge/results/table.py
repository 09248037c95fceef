"""Numbers to text, fast: tab-separated tables as LEMS OutputFiles have them.

Python formats three million numbers a second, one at a time; here numpy does some twenty million. Every number becomes
a cell of 20 bytes, put together from tables of ready pieces of four: sign, digit, point, digit; twice four digits; the
exponent and the separator. Bytes that a number does not need are zero, and are dropped at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

DIGITS = 10  # significant digits of every number
_BLOCK = 1 << 15  # numbers that are formatted at once: their work arrays fit into a cache
_WORDS = 5  # of four bytes, in a cell
_WIDTH = 4 * _WORDS
_SEPARATOR = 17  # its place in a cell
_REACH = 290  # powers of ten from 1e-290 to 1e290; numbers beyond them go one by one


def _pieces(texts: list[bytes], words: int) -> np.ndarray:
    """The texts, filled up with zero bytes, as rows of ``words`` numbers of four bytes."""
    return np.frombuffer(b"".join(text.ljust(4 * words, b"\0") for text in texts), np.uint32).reshape(-1, words)


def _exponent(power: int) -> bytes:
    """e+05, filled up so that the separator stands in its place."""
    return f"e{power:+03d}".encode().ljust(_SEPARATOR - 12, b"\0") + b"\t"


# first two digits of a positive number 00..99, then of a negative one; the sign is a byte of its own
_HEADS = _pieces([s + b"%d.%d" % divmod(n, 10) for s in (b"\0", b"-") for n in range(100)], 1)[:, 0]
_FOURS = _pieces([b"%04d" % n for n in range(10000)], 1)[:, 0]
_EXPONENTS = _pieces([_exponent(power) for power in range(-_REACH, _REACH + 1)], 2)
_TENS = np.array([float(f"1e{power}") for power in range(-_REACH, _REACH + 1)])


def rows(time: np.ndarray, columns: np.ndarray, chosen: Sequence[int] | None = None) -> Iterator[bytes]:
    """The table with ``time`` (n,) in front and ``columns`` (k, n) behind, as lines of text, in pieces.

    ``chosen`` are the rows of ``columns`` to take, in this order (default: all). Every number has ten significant
    digits in the form -1.234567890e-05 (three exponent digits where two are too few); numbers that are not finite are
    nan, inf and -inf.
    """
    yield from Table(time).rows(columns, chosen)


class Table:
    """Tables that share their first column, ``time`` (n,), whose text is made once."""

    def __init__(self, time: np.ndarray) -> None:
        self.length = len(time)
        self.stamps = np.concatenate(
            [_cells(time[start : start + _BLOCK]) for start in range(0, max(len(time), 1), _BLOCK)]
        )

    def rows(self, columns: np.ndarray, chosen: Sequence[int] | None = None) -> Iterator[bytes]:
        """The lines of the table with ``columns`` (k, n), or the ``chosen`` ones of them, as the function says."""
        picked = np.arange(len(columns)) if chosen is None else np.array(chosen, np.int64)
        step = max(1, _BLOCK // (len(picked) + 1))
        for start in range(0, self.length, step):
            part = slice(start, min(start + step, self.length))
            block = np.empty((part.stop - start, len(picked) + 1, _WORDS), np.uint32)
            block[:, 0] = self.stamps[part]
            values = np.ascontiguousarray(columns[picked, part].T)
            block[:, 1:] = _cells(values.ravel()).reshape(*values.shape, _WORDS)
            text = block.view(np.uint8)
            text[:, -1, _SEPARATOR] = ord("\n")
            yield text.tobytes().translate(None, b"\0")


def _cells(values: np.ndarray) -> np.ndarray:
    """The cells (n, 5) of ``values`` (n,), each with a tab behind."""
    size = np.abs(values)
    zero = size == 0
    ordinary = (size > 1e-280) & (size < 1e280)
    size = np.where(ordinary, size, 1.0)
    exponent = np.floor(np.log10(size)).astype(np.int64)
    mantissa = _scaled(size, exponent)
    # the logarithm may be off by one beside a power of ten, and rounding may carry into a new digit
    low, high = mantissa < 10 ** (DIGITS - 1), mantissa >= 10**DIGITS
    if low.any() or high.any():
        exponent += high.astype(np.int64) - low
        mantissa = np.where(low | high, _scaled(size, exponent), mantissa)
    mantissa[zero] = 0

    cells = np.empty((len(values), _WORDS), np.uint32)
    head, tail = np.divmod(mantissa, 10**8)
    upper, lower = np.divmod(tail, 10**4)
    cells[:, 0] = _HEADS[head + np.where(values < 0, 100, 0)]
    cells[:, 1] = _FOURS[upper]
    cells[:, 2] = _FOURS[lower]
    exponent += _REACH
    cells[:, 3] = _EXPONENTS[:, 0][exponent]
    cells[:, 4] = _EXPONENTS[:, 1][exponent]
    for index in np.flatnonzero(~(ordinary | zero)):  # nan, inf, and what would leave the powers of ten
        text = f"{values[index]:.{DIGITS - 1}e}".encode().ljust(_SEPARATOR, b"\0") + b"\t"
        cells[index] = _pieces([text], _WORDS)
    return cells


def _scaled(size: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """``size`` / 10**exponent, with all its digits in front of the point, rounded."""
    shift = exponent - (DIGITS - 1)
    # one division by an exact power where there is one (up to 1e22): the digits of 0.025 are then 2.5, not 2.4999...
    power = _TENS[np.abs(shift) + _REACH]
    with np.errstate(over="ignore"):  # in the branch that is not taken
        return np.rint(np.where(shift < 0, size * power, size / power)).astype(np.int64)

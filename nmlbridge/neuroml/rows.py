"""Runs of equally shaped rows, read as arrays straight from the bytes of a file.

A large network is a million lines that differ in their numbers only. Between the quotes of such lines everything is the
same, so the places of the quotes give the places of all values at once, and digits become numbers column by column.
Whatever is not exactly of that shape is refused here, and the caller reads it element by element: both ways give the
same columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MINIMUM = 4_000  # bytes in a run; less is not worth the trouble
CHUNK = 2_000_000  # bytes read at once: what the processor's cache holds
START = re.compile(
    rb"<(connectionWD|connection|electricalConnection(?:InstanceW|Instance)?|"
    rb"continuousConnection(?:InstanceW|Instance)?|inputW|input|instance)\s"
)
_TAG = re.compile(rb"<([A-Za-z]+)\s")
_NAME = re.compile(rb"([A-Za-z_][\w.:-]*)\s*=\s*$")
_REFERENCE = re.compile(r"^(?P<head>(?:\.\./)*(?P<pop>[^/\[\]]+)[/\[])(?P<id>\d+)(?P<tail>\]?(?:/[^/\[\]]*)?)$")

INT_NAMES = frozenset("id preSegmentId postSegmentId preSegment postSegment segmentId".split())
FLOAT_NAMES = frozenset("preFractionAlong postFractionAlong fractionAlong weight x y z".split())
REFERENCE_NAMES = frozenset("preCellId postCellId preCell postCell target".split())


@dataclass(frozen=True)
class References:
    """Cell references: instance ids and the population that all of them name (None for plain numbers)."""

    population: str | None
    ids: Ints


@dataclass(frozen=True)
class Block:
    """Rows of one tag: each attribute as ints, floats, References, one text for all rows, or a list of texts."""

    tag: str
    count: int
    columns: dict[str, Any]
    line: int = 0


class Unlike(Exception):
    """The bytes are not a run of equally shaped rows."""


def run_end(data: Any, start: int, tag: bytes) -> int:
    """Where the rows of ``tag`` that begin at ``start`` end: at the next other element, comment or end tag."""
    inner = rb"|location\s|/instance>" if tag == b"instance" else rb""
    other = re.compile(rb"<(?!" + tag + rb"\s" + inner + rb")").search(data, start)
    return other.start() if other is not None else len(data)


def pieces(data: Any, start: int, end: int, tag: bytes) -> Iterator[tuple[int, int]]:
    """Cut a run into pieces of about CHUNK bytes at the ends of rows."""
    closing = b"</instance>" if tag == b"instance" else b"/>"
    while start < end:
        stop = end
        if end - start > CHUNK:
            cut = data.rfind(closing, start, start + CHUNK)
            stop = cut + len(closing) if cut > start else end
        yield start, stop
        start = stop


def read_run(data: bytes, line: int) -> Block:
    """The rows of ``data`` as one Block. Raises Unlike if any row differs in shape from the first."""
    data = data.strip()
    buffer = np.frombuffer(data, dtype=np.uint8)
    if b"'" in data or b"&" in data:
        raise Unlike
    quotes = np.flatnonzero(buffer == 34)
    match = _TAG.match(data)
    if match is None:
        raise Unlike
    tag = match.group(1).decode()
    closing = b"</instance>" if tag == "instance" else b"/>"
    first = data[: data.index(closing) + len(closing)]
    per_row = first.count(b'"')
    if per_row == 0 or len(quotes) % per_row:
        raise Unlike
    count = len(quotes) // per_row
    _check_between(buffer, quotes, count, len(first) - sum(len(v) + 1 for v in first.split(b'"')[1::2]))
    marks = np.ascontiguousarray(quotes.reshape(count, per_row).T)
    starts, ends = marks[0::2] + 1, marks[1::2]
    columns: dict[str, Any] = {}
    pieces = first.split(b'"')
    for number in range(per_row // 2):
        found = _NAME.search(pieces[2 * number])
        if found is None:
            raise Unlike
        name = found.group(1).decode()
        if name in columns or (name == "id" and b"<location" in pieces[2 * number]):
            raise Unlike
        columns[name] = _column(name, buffer, data, starts[number], ends[number])
    return Block(tag, count, columns, line)


def _check_between(buffer: Bytes, quotes: Ints, count: int, length: int) -> None:
    """Everything outside the quotes, the space between rows included, must be the same in each row."""
    marks = np.concatenate(([0], quotes, [len(buffer)]))
    between = np.zeros(len(quotes) + 1, dtype=bool)
    between[::2] = True
    outside = buffer[np.repeat(between, np.diff(marks))]
    if len(outside) % count:
        # the last row has no space behind it
        rest = len(outside) // count + 1
        outside = np.concatenate([outside, outside[length : length + rest * count - len(outside)]])
        if len(outside) != rest * count:
            raise Unlike
    shape = outside.reshape(count, -1)
    if not np.array_equal(shape, np.broadcast_to(shape[0], shape.shape)):
        raise Unlike


def _column(name: str, buffer: Bytes, data: bytes, start: Ints, end: Ints) -> Any:
    if name in REFERENCE_NAMES:
        text = data[int(start[0]) : int(end[0])].decode()
        if text.isdigit():
            return References(None, _ints(buffer, start, end))
        match = _REFERENCE.match(text)
        if match is None:
            raise Unlike
        head, tail = match["head"].encode(), match["tail"].encode()
        _constant(buffer, start, head)
        _constant(buffer, end - len(tail), tail)
        return References(match["pop"], _ints(buffer, start + len(head), end - len(tail)))
    if name in INT_NAMES:
        return _ints(buffer, start, end)
    if name in FLOAT_NAMES:
        return _floats(buffer, data, start, end)
    if name == "delay":
        text = data[int(start[0]) : int(end[0])].decode()
        unit = re.search(r"\s*[A-Za-z_]+\s*$", text)
        if unit is None:
            raise Unlike
        tail = unit.group(0).encode()
        _constant(buffer, end - len(tail), tail)
        return (_floats(buffer, data, start, end - len(tail)), unit.group(0).strip())
    length = end - start
    if np.all(length == length[0]):
        value = data[int(start[0]) : int(end[0])]
        try:
            _constant(buffer, start, value)
            return value.decode()
        except Unlike:
            pass
    return [data[a:b].decode() for a, b in zip(start.tolist(), end.tolist(), strict=True)]


def _constant(buffer: Bytes, start: Ints, text: bytes) -> None:
    if int(start.min()) < 0 or int(start.max()) + len(text) > len(buffer):
        raise Unlike
    for offset, byte in enumerate(text):
        if not np.all(buffer[start + offset] == byte):
            raise Unlike


def _digits(buffer: Bytes, end: Ints, width: int) -> npt.NDArray[np.uint8]:
    """The last ``width`` bytes before each end, one row per place, the last byte first."""
    places = np.empty((width, len(end)), dtype=np.uint8)
    for place in range(width):
        places[place] = buffer[end - (place + 1)]
    return places


def _ints(buffer: Bytes, start: Ints, end: Ints) -> Ints:
    """Digits only, at most 18 of them."""
    length = (end - start).astype(np.uint8) if len(start) else np.zeros(0, np.uint8)
    longest = int((end - start).max())
    if int((end - start).min()) < 1 or longest > 18 or int(end.min()) < longest:
        raise Unlike
    value = np.zeros(len(start), dtype=np.int64)
    power = 1
    for place, byte in enumerate(_digits(buffer, end, longest)):
        digit = byte - np.uint8(48)  # wraps round for anything below '0'
        digit[length <= place] = 0
        if int(digit.max()) > 9:
            raise Unlike
        value += digit.astype(np.int64) * power
        power *= 10
    return value


def _floats(buffer: Bytes, data: bytes, start: Ints, end: Ints) -> Floats:
    """Decimal numbers, correctly rounded: a mantissa below 2**53 over a power of ten below 1e22 divides exactly."""
    span = end - start
    longest = int(span.max())
    if int(span.min()) < 1:
        raise Unlike
    width = min(longest, 17)
    if int(end.min()) < width:
        raise Unlike
    length = np.minimum(span, 255).astype(np.uint8)
    mantissa = np.zeros(len(start), dtype=np.int64)
    scale = np.ones(len(start), dtype=np.int64)  # ten to the number of digits so far
    divisor = np.zeros(len(start), dtype=np.int64)  # ten to the number of decimals, once the point is seen
    plain = span <= 17
    negative = np.zeros(len(start), dtype=bool)
    digits = np.zeros(len(start), dtype=np.uint8)
    for place, byte in enumerate(_digits(buffer, end, width)):
        inside = length > place
        digit = byte - np.uint8(48)
        is_digit = inside & (digit <= 9)
        other = inside & ~is_digit
        if other.any():
            point = other & (byte == 46) & (divisor == 0)
            sign = other & (byte == 45) & (length == place + 1)
            divisor[point] = scale[point]
            negative |= sign
            plain &= ~other | point | sign
        digit[~is_digit] = 0
        mantissa += digit * scale
        digits += is_digit
        scale[is_digit] *= 10
    plain &= (digits >= 1) & (digits <= 15)
    divisor[divisor == 0] = 1
    value = mantissa / divisor
    value[negative] *= -1
    for row in np.flatnonzero(~plain).tolist():
        try:
            value[row] = float(data[int(start[row]) : int(end[row])])
        except ValueError:
            raise Unlike from None
    return value

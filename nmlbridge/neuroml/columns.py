"""Rows of one element as columns, whether they were read as arrays or one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DocumentError, LemsError
from ..units import Unit, parse_quantity
from .rows import Block, References
from .xml_read import Rows

_REFERENCE = re.compile(r"^\s*(?:\.\./)*(?P<pop>[^/\[\]]+)(?:\[(?P<bracket>\d+)\]|/(?P<slash>\d+)(?:/[^/\[\]]*)?)\s*$")
_NUMBER = re.compile(r"^\s*\d+\s*$")


class Reader:
    """Takes the rows of one element apart. ``units`` convert delays; ``file`` and ``owner`` are for errors."""

    def __init__(self, rows: Rows | None, units: Mapping[str, Unit], file: str, owner: str) -> None:
        self.parts = rows.parts if rows is not None else []
        self.units, self.file, self.owner = units, file, owner
        self.count = sum(part.count if isinstance(part, Block) else len(part) for part in self.parts)

    def error(self, message: str, line: int | None) -> DocumentError:
        """A DocumentError in these rows."""
        return DocumentError(message, file=self.file, line=line, component=self.owner)

    def has(self, *names: str) -> bool:
        """Whether any row has one of these attributes."""
        for part in self.parts:
            if isinstance(part, Block):
                if any(name in part.columns for name in names):
                    return True
            elif any(name in row.attributes for row in part for name in names):
                return True
        return False

    def tags(self) -> set[str]:
        """The tags of all rows."""
        found: set[str] = set()
        for part in self.parts:
            found |= {part.tag} if isinstance(part, Block) else {row.tag for row in part}
        return found

    def line_of(self, row: int) -> int | None:
        """The line of a row, as near as it is known."""
        at = 0
        for part in self.parts:
            count = part.count if isinstance(part, Block) else len(part)
            if row < at + count:
                return part.line if isinstance(part, Block) else part[row - at].line
            at += count
        return None

    def ints(self, names: tuple[str, ...], default: int | None) -> npt.NDArray[np.int64]:
        """Whole numbers; the first of ``names`` that a row has."""
        return self._numbers(names, default, np.int64, int)

    def floats(self, names: tuple[str, ...], default: float | None) -> npt.NDArray[np.float64]:
        """Decimal numbers."""
        return self._numbers(names, default, np.float64, float)

    def _numbers(self, names: tuple[str, ...], default: Any, dtype: Any, convert: Any) -> npt.NDArray[Any]:
        pieces = []
        for part in self.parts:
            if isinstance(part, Block):
                value = next((part.columns[name] for name in names if name in part.columns), None)
                if value is None:
                    value = np.full(part.count, self._default(names, default, part.line), dtype=dtype)
                pieces.append(np.asarray(value, dtype=dtype))
                continue
            column = np.empty(len(part), dtype=dtype)
            for row, element in enumerate(part):
                text = next((element.attributes[n] for n in names if n in element.attributes), None)
                if text is None:
                    column[row] = self._default(names, default, element.line)
                    continue
                try:
                    column[row] = convert(text)
                except (ValueError, OverflowError):
                    kind = "a whole number" if convert is int else "a number"
                    raise self.error(f"{names[0]}='{text[:40]}' is not {kind}", element.line) from None
            pieces.append(column)
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=dtype)

    def _default(self, names: tuple[str, ...], default: Any, line: int) -> Any:
        if default is None:
            raise self.error(f"the attribute {' or '.join(names)} is missing", line)
        return default

    def milliseconds(self, name: str) -> npt.NDArray[np.float64]:
        """Times with a unit, in ms; 0 where there is none."""
        pieces = []
        for part in self.parts:
            if isinstance(part, Block):
                if name not in part.columns:
                    pieces.append(np.zeros(part.count))
                    continue
                numbers, unit = part.columns[name]
                factor = self._time(f"1{unit}", part.line)
                pieces.append(numbers if factor == 1.0 else numbers * factor)
                continue
            pieces.append(np.array([
                self._time(e.attributes[name], e.line) if name in e.attributes else 0.0 for e in part
            ], dtype=float))  # fmt: skip
        return np.concatenate(pieces) if pieces else np.zeros(0)

    def _time(self, text: str, line: int) -> float:
        try:
            value, dimension = parse_quantity(text, self.units)
        except LemsError as error:
            raise self.error(error.message, line) from None
        if dimension.exponents != (0, 0, 1, 0, 0, 0, 0):
            raise self.error(f"'{text[:40]}' is not a time; expected something like 5 ms", line)
        return float(f"{value * 1e3:.15g}")

    def references(self, names: tuple[str, ...]) -> tuple[npt.NDArray[np.int64], set[str | None]]:
        """Instance ids and the populations that are named (None for plain numbers)."""
        pieces: list[npt.NDArray[np.int64]] = []
        named: set[str | None] = set()
        for part in self.parts:
            if isinstance(part, Block):
                found = next((part.columns[name] for name in names if name in part.columns), None)
                if not isinstance(found, References):
                    raise self.error(f"the attribute {' or '.join(names)} is missing", part.line)
                pieces.append(found.ids)
                named.add(found.population)
                continue
            ids = np.empty(len(part), dtype=np.int64)
            for row, element in enumerate(part):
                text = next((element.attributes[n] for n in names if n in element.attributes), None)
                if text is None:
                    raise self.error(f"the attribute {' or '.join(names)} is missing", element.line)
                population, ids[row] = self.reference(text, element.line)
                named.add(population)
            pieces.append(ids)
        return (np.concatenate(pieces) if pieces else np.zeros(0, np.int64)), named

    def reference(self, text: str, line: int | None) -> tuple[str | None, int]:
        """(population or None, instance id) of one reference to a cell."""
        if _NUMBER.match(text):
            population, number = None, text.strip()
        elif match := _REFERENCE.match(text):
            population, number = match["pop"], match["bracket"] or match["slash"]
        else:
            raise self.error(
                f"'{text[:60]}' is no reference to a cell; expected ../population/0/component or ../population[0]", line
            )
        if len(number) > 18:  # it would not fit in 64 bits
            raise self.error(f"'{text[:60]}' names the instance {number[:20]}, more than any population has", line)
        return population, int(number)

    def texts(self, name: str) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
        """The distinct values of an attribute and per row an index into them; "" where it is missing."""
        values: dict[str, int] = {}
        pieces = []
        for part in self.parts:
            if isinstance(part, Block):
                value = part.columns.get(name, "")
                if isinstance(value, str):
                    pieces.append(np.full(part.count, values.setdefault(value, len(values)), dtype=np.int32))
                else:
                    pieces.append(np.array([values.setdefault(v, len(values)) for v in value], dtype=np.int32))
            else:
                pieces.append(np.array(
                    [values.setdefault(e.attributes.get(name, ""), len(values)) for e in part], dtype=np.int32
                ))  # fmt: skip
        return tuple(values), (np.concatenate(pieces) if pieces else np.zeros(0, np.int32))

    def positions(self) -> npt.NDArray[np.float64] | None:
        """The locations of instances (n, 3) in um; None if no instance has one."""
        pieces: list[npt.NDArray[np.float64]] = []
        some = False
        for part in self.parts:
            if isinstance(part, Block):
                if "x" not in part.columns:
                    pieces.append(np.zeros((part.count, 3)))
                    continue
                pieces.append(np.stack([part.columns[axis] for axis in "xyz"], axis=1))
                some = True
                continue
            block = np.zeros((len(part), 3))
            for row, element in enumerate(part):
                location = element.find("location")
                if location is None:
                    continue
                some = True
                for axis, name in enumerate("xyz"):
                    text = location.attributes.get(name, "")
                    try:
                        block[row, axis] = float(text)
                    except ValueError:
                        raise self.error(f"{name}='{text[:40]}' of a location is not a number", location.line) from None
            pieces.append(block)
        return np.concatenate(pieces) if some else None

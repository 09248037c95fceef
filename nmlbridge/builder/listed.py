"""Connections that are listed: pairs in the specification, or a CSV or HDF5 file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DocumentError, ModelError, NetworkError
from ..units import nearest
from .context import Context, Path_
from .edges import Ints
from .specification import Specification, dotted
from .vocabulary import Connection

Floats = npt.NDArray[np.float64]
_COLUMNS = ("pre", "post", "weight", "delay")


def listed_pairs(
    context: Context, rule: Connection, path: Path_, before: int, after: int
) -> tuple[Ints, Ints, Floats | None, Floats | None]:
    """Places in ``from`` and ``to``, and weights and delays if the file has them."""
    weight = delay = None
    if rule.pairs is not None:
        path = (*path, "pairs")
        pairs = np.asarray(rule.pairs, np.int64).reshape(-1, 2)
        pre, post = pairs[:, 0], pairs[:, 1]

        def wrong(row: int, message: str) -> ModelError:
            return context.error(f"row {row}: {message}", *path)
    else:
        file = file_of(context.spec, str(rule.file), *path, "file")
        table, lines = _read(file)

        def wrong(row: int, message: str) -> ModelError:
            line = lines[row] if lines else None
            where = "" if lines else f"row {row}: "
            return DocumentError(f"{where}{message}", file=str(file), line=line, component=dotted((*path, "file")))

        for name, column in table.items():
            if not np.isfinite(column).all():
                raise wrong(_first(~np.isfinite(column)), f"'{name}' is not finite")
        for name in ("pre", "post"):
            if (broken := table[name] != np.floor(table[name])).any():
                at = _first(broken)
                raise wrong(at, f"'{name}' is {table[name][at]:g}; expected a whole number, the place of a cell")
        pre, post = table["pre"].astype(np.int64), table["post"].astype(np.int64)
        weight, delay = table.get("weight"), table.get("delay")
        if delay is not None and (delay < 0).any():
            raise wrong(_first(delay < 0), f"the delay is {delay[_first(delay < 0)]:g} ms; it must not be negative")
    for places, size, name, side in ((pre, before, "pre", "from"), (post, after, "post", "to")):
        bad = (places < 0) | (places >= size)
        if bad.any():
            at = _first(bad)
            raise wrong(at, f"'{name}' is {places[at]}, but '{side}' of the rule has {size} cells, of which the first "
                            "is 0")  # fmt: skip
    return pre, post, weight, delay


def _first(bad: npt.NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(bad)[0])


def file_of(spec: Specification, name: str, *path: str | int) -> Path:
    """The path of a file that a specification names, relative to it. Raises NetworkError."""
    given = Path(name)
    if given.is_absolute() or "://" in name:
        raise spec.error(f"the file '{name[:80]}' must be named relative to the specification", *path)
    found = spec.folder / given
    if not found.is_file():
        near = nearest(given.name, [p.name for p in found.parent.iterdir()] if found.parent.is_dir() else [])
        raise spec.error(f"there is no file '{name[:80]}' beside the specification{near}", *path)
    return found


def _read(path: Path) -> tuple[dict[str, Floats], list[int]]:
    """The columns of a file, and the line of each row of a CSV."""

    def wrong(line: int, message: str) -> NetworkError | DocumentError:
        return DocumentError(message, file=str(path), line=line)

    if path.suffix in (".h5", ".hdf5"):
        from ..neuroml.hdf5_columns import read_columns

        return read_columns(path, ("pre", "post"), _COLUMNS), []
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        header = [word.strip() for word in next(reader, [])]
        if "pre" not in header or "post" not in header or not set(header) <= set(_COLUMNS):
            ours = ", ".join(word for word in header if word in _COLUMNS)  # no more of a file that may be any file
            raise wrong(1, "the first line must name the columns: pre and post, and if need be weight and delay, and "
                           f"nothing else; of these it has {ours or 'none'}")  # fmt: skip
        rows: list[list[float]] = []
        lines: list[int] = []
        for row in reader:
            try:
                values = [float(value) for value in row]
            except ValueError:
                raise wrong(reader.line_num, "a value is no number") from None
            if row and len(values) != len(header):
                raise wrong(reader.line_num, f"the row has {len(values)} values; the header names {len(header)}")
            if row:
                rows.append(values)
                lines.append(reader.line_num)
    table: Any = np.asarray(rows, float).reshape(-1, len(header))
    return {name: table[:, index] for index, name in enumerate(header)}, lines

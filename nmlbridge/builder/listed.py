"""Connections that are listed: pairs in the specification, or a CSV or HDF5 file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DocumentError, NetworkError
from ..units import nearest
from .context import Context, Path_
from .edges import Ints
from .specification import Specification
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
    else:
        path = (*path, "file")
        table = _read(file_of(context.spec, str(rule.file), *path))
        pre, post = table["pre"].astype(np.int64), table["post"].astype(np.int64)
        weight, delay = table.get("weight"), table.get("delay")
    for column, size, side in ((pre, before, "from"), (post, after, "to")):
        bad = np.flatnonzero((column < 0) | (column >= size))
        if len(bad):
            raise context.error(f"row {bad[0]} names cell {column[bad[0]]} of '{side}', which has {size}", *path)
    return pre, post, weight, delay


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


def _read(path: Path) -> dict[str, Floats]:
    def wrong(line: int, message: str) -> NetworkError | DocumentError:
        return DocumentError(message, file=str(path), line=line)

    if path.suffix in (".h5", ".hdf5"):
        from ..neuroml.hdf5_columns import read_columns

        return read_columns(path, ("pre", "post"), _COLUMNS)
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        header = [word.strip() for word in next(reader, [])]
        if "pre" not in header or "post" not in header or not set(header) <= set(_COLUMNS):
            raise wrong(1, f"the first line does not name the columns; expected pre and post of {', '.join(_COLUMNS)}")
        rows: list[list[float]] = []
        for row in reader:
            try:
                values = [float(value) for value in row]
            except ValueError:
                raise wrong(reader.line_num, "a value is no number") from None
            if row and len(values) != len(header):
                raise wrong(reader.line_num, f"the row has {len(values)} values; the header names {len(header)}")
            if row:
                rows.append(values)
    table: Any = np.asarray(rows, float).reshape(-1, len(header))
    if not np.isfinite(table).all():
        raise wrong(1, "a value is not finite")
    return {name: table[:, index] for index, name in enumerate(header)}

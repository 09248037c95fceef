"""Parts of a network in HDF5, read by themselves: one population, projection or list of inputs, or some of its rows.

Of the tables only the chunks that hold the rows are read, whatever the size of the rest. Files are NeuroML2 HDF5 in its
dialects, or SONATA's nodes and edges
(https://github.com/AllenInstitute/sonata/blob/master/docs/SONATA_DEVELOPER_GUIDE.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DocumentError
from ..report import Report
from ..units import nearest
from .hdf5_read import Reader


@dataclass(frozen=True)
class Part:
    """A table of a file: ``kind`` is the element ("population", "projection", "electricalProjection",
    "continuousProjection", "inputList"), or "nodes" or "edges" of SONATA; ``columns`` are its names as in the file."""

    id: str
    kind: str
    count: int
    columns: tuple[str, ...]


def hdf5_parts(path: str | Path) -> dict[str, Part]:
    """The tables of a file by id; their rows are not read. Raises DocumentError for what is no network in HDF5."""
    with _opened(Path(path)) as tables:
        return {id: table.part for id, table in tables.items()}


def hdf5_rows(path: str | Path, id: str, start: int = 0, stop: int | None = None) -> dict[str, Any]:
    """Rows from ``start`` up to ``stop`` (the end) of one table: columns by name, as in the file (um, ms).

    Raises DocumentError if there is no such table, or it has not so many rows.
    """
    with _opened(Path(path)) as tables:
        if id not in tables:
            raise DocumentError(f"there is no table '{id}'{nearest(id, list(tables))}; there are "
                                f"{', '.join(list(tables)[:8]) or 'none'}", file=str(path))  # fmt: skip
        table = tables[id]
        end = table.part.count if stop is None else stop
        if not 0 <= start <= end <= table.part.count:
            raise DocumentError(f"'{id}' has {table.part.count} rows; {start} to {end} are asked for", file=str(path))
        return table.rows(start, end)


class _Matrix:
    """A table of NeuroML: one dataset (rows, columns)."""

    def __init__(self, id: str, kind: str, data: h5py.Dataset | None, names: tuple[str | None, ...]) -> None:
        self.data, self.names = data, names
        self.part = Part(id, kind, 0 if data is None else len(data), tuple(name for name in names if name))

    def rows(self, start: int, stop: int) -> dict[str, Any]:
        if self.data is None:
            return {}
        return {name: self.data[start:stop, at] for at, name in enumerate(self.names) if name}


class _Columns:
    """A population of nodes or edges of SONATA: a dataset for each column, some of them in numbered groups."""

    def __init__(self, id: str, kind: str, group: h5py.Group) -> None:
        self.group, self.kind = group, kind.removesuffix("s")
        self.own = {name: data for name, data in group.items() if isinstance(data, h5py.Dataset) and data.ndim == 1}
        self.groups = {int(name): dict(_datasets(item)) for name, item in group.items()
                       if name.isdigit() and isinstance(item, h5py.Group)}  # fmt: skip
        sizes = {len(data) for data in self.own.values()}
        if len(sizes) > 1:
            raise DocumentError(f"the columns of {group.name} have different lengths", file=group.file.filename)
        names = dict.fromkeys(name for name in self.own if "_group_" not in name)
        names |= {name: None for columns in self.groups.values() for name in columns}
        self.part = Part(id, kind, sizes.pop() if sizes else 0, tuple(names))

    def rows(self, start: int, stop: int) -> dict[str, Any]:
        found = {name: _values(data, start, stop) for name, data in self.own.items() if "_group_" not in name}
        where = self.own.get(f"{self.kind}_group_id")
        index = self.own.get(f"{self.kind}_group_index")
        count = stop - start
        at = np.zeros(count, np.int64) if where is None else np.asarray(where[start:stop], np.int64)
        places = np.arange(start, stop) if index is None else np.asarray(index[start:stop], np.int64)
        for number, columns in self.groups.items():
            chosen = np.flatnonzero(at == number)
            if not len(chosen):
                continue
            first, last = int(places[chosen].min()), int(places[chosen].max()) + 1
            for name, data in columns.items():
                values = _values(data, first, last)[places[chosen] - first]
                if len(chosen) == count:
                    found[name] = values
                    continue
                text = values.dtype.kind == "O"
                column = found.setdefault(name, np.full(count, "" if text else np.nan, object if text else np.float64))
                column[chosen] = values
        return found


def _datasets(group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    for name, item in group.items():
        if isinstance(item, h5py.Dataset) and item.ndim == 1:
            yield name, item
        elif name == "dynamics_params" and isinstance(item, h5py.Group):
            yield from _datasets(item)


def _values(data: h5py.Dataset, start: int, stop: int) -> Any:
    if h5py.check_string_dtype(data.dtype) is not None:
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in data[start:stop]], dtype=object)
    return data[start:stop]


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, _Matrix | _Columns]]:
    shown = str(path)
    if not path.is_file():
        raise DocumentError("there is no such file", file=shown)
    try:
        with h5py.File(path, "r") as file:
            sonata = [kind for kind in ("nodes", "edges") if isinstance(file.get(kind), h5py.Group)]
            if "neuroml" not in file and not sonata:
                raise DocumentError("the HDF5 file has none of the groups /neuroml, /nodes and /edges", file=shown)
            tables: dict[str, _Matrix | _Columns] = {}
            reader = Reader(file, path, shown, Report())
            for group in reader.table_groups():
                kind, data, names = reader.layout(group)
                tables[reader.need(group, "id")] = _Matrix(reader.need(group, "id"), kind, data, names)
            for kind in sonata:
                for name, group in reader.groups(file[kind]).items():
                    tables[name] = _Columns(name, kind, group)
            yield tables
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError) as fault:
        why = str(fault).split("\n")[0][:120]
        raise DocumentError(f"the HDF5 file cannot be read; it seems to be cut short or damaged ({why})",
                            file=shown) from None  # fmt: skip

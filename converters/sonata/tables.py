"""Nodes and edges as columns: the HDF5 files with their groups, joined with the CSV files of types."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import DocumentError
from ...report import Report

CHUNK = 1 << 18  # rows that are read or written at once
MISSING = ("", "NULL", "NONE", "None")
Array = npt.NDArray[Any]
Types = dict[int, dict[str, str]]


@dataclass
class Table:
    """The rows of one population: ids of their types, columns of all groups (NaN or None where a row's group has none).

    ``dynamics`` are the columns of the groups' ``dynamics_params``."""

    name: str
    file: str
    type_ids: Array
    types: Types
    columns: dict[str, Array] = field(default_factory=dict)
    dynamics: dict[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.type_ids)

    def number(self, name: str) -> Array | None:
        """A numeric column: the rows' own values, else those of their types; None if there is none at all."""
        own = self.columns.get(name)
        lacking = np.ones(len(self), dtype=bool)
        values = np.full(len(self), np.nan)
        if own is not None:
            try:
                values = own.astype(np.float64)
            except (ValueError, TypeError):
                raise DocumentError(f"'{name}' of '{self.name}' holds no numbers", file=self.file) from None
            lacking = np.isnan(values)
        for id, row in self.types.items():
            if row.get(name, "") not in MISSING:
                values[lacking & (self.type_ids == id)] = _float(row[name], name, id, self.file)
        return None if np.isnan(values).all() and len(self) else values

    def text(self, name: str, type_id: int, row: int) -> str:
        """A text attribute of one row."""
        own = self.columns.get(name)
        if own is not None and own.dtype == object and own[row] is not None:
            return str(own[row])
        value = self.types.get(type_id, {}).get(name, "")
        return "" if value in MISSING else value


def _float(text: str, name: str, id: int, file: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DocumentError(f"{name}='{text[:40]}' of type {id} is no number", file=file) from None


def read_types(path: Path | None, key: str) -> Types:
    """The rows of a types file by id; DocumentError with the line for a row that does not fit."""
    if path is None:
        return {}
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    found: Types = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, delimiter=" ", skipinitialspace=True)
            head = [name for name in next(rows, []) if name]
            if key not in head:
                raise DocumentError(f"there is no column '{key}'; the first line must name the columns, with spaces "
                                    "between them", file=str(path), line=1)  # fmt: skip
            for row in rows:
                while len(row) > len(head) and row[-1] == "":
                    row.pop()
                if not row:
                    continue
                if len(row) != len(head):
                    raise DocumentError(f"{len(row)} values, but the first line names {len(head)} columns",
                                        file=str(path), line=rows.line_num)  # fmt: skip
                values = dict(zip(head, row, strict=True))
                if not values[key].lstrip("-").isdigit():
                    raise DocumentError(f"{key}='{values[key][:40]}' is no whole number", file=str(path),
                                        line=rows.line_num)  # fmt: skip
                id = int(values[key])
                if id in found:
                    raise DocumentError(f"the {key} {id} is used twice", file=str(path), line=rows.line_num)
                found[id] = values
    except (UnicodeDecodeError, csv.Error) as fault:
        raise DocumentError(f"this is no table of types: {fault}", file=str(path)) from None
    return found


@contextmanager
def open_hdf5(path: Path, kind: str) -> Iterator[tuple[h5py.File, h5py.Group]]:
    """An HDF5 file and its group /nodes, /edges or /spikes; DocumentError for what is no such file."""
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    try:
        with h5py.File(path, "r") as file:
            group = file.get(kind)
            if not isinstance(group, h5py.Group):
                raise DocumentError(f"the file has no group /{kind}; it has {', '.join(file) or 'nothing'}",
                                    file=str(path))  # fmt: skip
            yield file, group
    except (OSError, RuntimeError) as fault:
        why = str(fault).split("\n")[0][:120]
        raise DocumentError(f"the HDF5 file cannot be read; it may be cut short or be something else ({why})",
                            file=str(path)) from None  # fmt: skip


def populations(group: h5py.Group, path: Path) -> list[h5py.Group]:
    """The populations of /nodes or /edges."""
    found = [group.get(name) for name in group]
    wrong = [each for each in found if not isinstance(each, h5py.Group)]
    if wrong or not found:
        raise DocumentError(f"{group.name} holds no populations", file=str(path))
    return found


def column(owner: h5py.Group, name: str, count: int | None, path: Path, report: Report | None = None) -> Array:
    """A dataset of one dimension, read in pieces; DocumentError if it is not there or has another length."""
    source = owner.get(name)
    if not isinstance(source, h5py.Dataset) or source.ndim != 1:
        raise DocumentError(f"{owner.name} has no column '{name}'", file=str(path))
    if count is not None and len(source) != count:
        raise DocumentError(f"the column '{name}' of {owner.name} has {len(source)} rows; {count} are expected",
                            file=str(path))  # fmt: skip
    if source.dtype.kind in "OSU" or h5py.check_string_dtype(source.dtype) is not None:
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in source[:]], dtype=object)
    if source.dtype.kind not in "iufb":
        raise DocumentError(f"the column '{name}' of {owner.name} holds neither numbers nor text", file=str(path))
    if source.dtype.kind == "u":
        kind: Any = np.int64
    else:
        kind = source.dtype
    values = np.empty(len(source), dtype=kind)
    for start in range(0, len(source), CHUNK):
        values[start : start + CHUNK] = source[start : start + CHUNK]
        if report is not None:
            report.tell(f"read {name}", min(start + CHUNK, len(source)), len(source))
    return values


def read_table(group: h5py.Group, kind: str, types: Types, path: Path, report: Report) -> Table:
    """One population of nodes or edges with its groups joined; ``kind`` is node or edge."""
    name = group.name.rpartition("/")[2]
    count = len(column(group, f"{kind}_type_id", None, path))
    type_ids = column(group, f"{kind}_type_id", count, path, report)
    unknown = np.setdiff1d(type_ids, [*types, -1])
    if len(unknown) and types:
        raise DocumentError(f"{kind}_type_id {unknown[0]} of '{name}' is not in the types file; it has "
                            f"{', '.join(map(str, list(types)[:8]))}", file=str(path), component=name)  # fmt: skip
    table = Table(name, str(path), type_ids, types)
    groups = sorted(key for key, value in group.items() if key.isdigit() and isinstance(value, h5py.Group))
    where = np.zeros(count, dtype=np.int64)
    index = np.arange(count)
    if f"{kind}_group_id" in group and groups:
        where = column(group, f"{kind}_group_id", count, path, report)
        index = column(group, f"{kind}_group_index", count, path, report)
        lost = np.setdiff1d(where, [int(key) for key in groups])
        if len(lost):
            raise DocumentError(f"{kind}_group_id {lost[0]} of '{name}' names no group; it has {', '.join(groups)}",
                                file=str(path), component=name)  # fmt: skip
    for key in groups:
        rows = np.flatnonzero(where == int(key)) if len(groups) > 1 else slice(None)
        _join(table, group[key], rows, index[rows], path, report)
    return table


def _join(table: Table, group: h5py.Group, rows: Any, index: Array, path: Path, report: Report) -> None:
    """Put a group's columns at the rows that are in it."""
    library = group.get("@library")
    whole = len(index) == len(table) and np.array_equal(index, np.arange(len(table)))
    places = [(table.columns, group)]
    if isinstance(group.get("dynamics_params"), h5py.Group):
        places.append((table.dynamics, group["dynamics_params"]))
    for target, source in places:
        for name, dataset in source.items():
            if not isinstance(dataset, h5py.Dataset):
                continue
            if dataset.ndim != 1:
                report.add("sonata-column", "loss", f"'{name}' of '{table.name}' has {dataset.ndim} dimensions and is "
                           "left out", file=str(path))  # fmt: skip
                continue
            values = column(source, name, None, path, report)
            if len(index) and (int(index.max()) >= len(values) or int(index.min()) < 0):
                raise DocumentError(f"the column '{name}' of {source.name} has {len(values)} rows, but row "
                                    f"{int(index.max())} is referred to", file=str(path))  # fmt: skip
            if isinstance(library, h5py.Group) and name in library:
                names = column(library, name, None, path)
                if len(values) and (int(values.max()) >= len(names) or int(values.min()) < 0):
                    raise DocumentError(f"'{name}' of {source.name} refers to entry {int(values.max())} of its "
                                        f"library, which has {len(names)}", file=str(path))  # fmt: skip
                values = names[values.astype(np.int64)]
            if whole:
                target[name] = values
                continue
            text = values.dtype == object
            if name not in target:
                target[name] = np.full(len(table), None if text else np.nan, dtype=object if text else np.float64)
            elif (target[name].dtype == object) != text:
                raise DocumentError(f"'{name}' is text in one group of '{table.name}' and a number in another",
                                    file=str(path))  # fmt: skip
            target[name][rows] = values[index]

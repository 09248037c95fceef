"""LEMS output and event files: tables without a header, time in s first, all values SI.

https://docs.neuroml.org/Userdocs/LEMS_elements/Simulation.html

The files themselves name nothing. Written beside ``x.dat`` are ``x.spikes`` (id and time of each event, the id being
the gid) where there are any, and ``x.dat.json`` with what the columns and ids are, which is used when it is there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DocumentError
from ...files import atomic
from ...plain import load_json
from ...report import Report
from ..assemble import plain, trains_of
from ..results import Results, SpikeTrains, Traces
from ..table import rows

_NEST_HEADER = 3  # lines in front of the numbers that NEST writes


def read(path: Path, report: Report) -> Results:
    """A table of traces or a list of events, with what lies beside it under the same name."""
    base = path.with_suffix("")
    names = _names(Path(f"{base}.dat.json"))
    events, table = (path, Path(f"{base}.dat")) if path.suffix == ".spikes" else (Path(f"{base}.spikes"), path)
    if path.suffix != ".spikes" and not names and looks_like_events(load(path)):
        spikes = _gids(*read_events(path))
        report.add("ids-unnamed", "info", "nothing says which cells the ids mean; they are taken for gids",
                   file=str(path))  # fmt: skip
        return Results(spikes=spikes, provenance={"file": str(path)})
    if path.suffix == ".spikes" and not names:
        return Results(spikes=_gids(*read_events(path)), provenance={"file": str(path)})
    traces = _traces(load(table), names, table, report) if table.is_file() else Traces.empty()
    spikes = SpikeTrains.empty()
    populations = {str(k): (int(v[0]), int(v[1])) for k, v in names.get("populations", {}).items()}
    if events.is_file() or populations:
        ids, times = read_events(events, "ID_TIME") if events.is_file() else (np.empty(0, np.int64), np.empty(0))
        spikes = SpikeTrains(ids, times, populations)
    return Results(traces=traces, spikes=spikes, provenance=names.get("provenance", {"file": str(path)}))


def _names(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = load_json(path)
    if not (isinstance(found, dict) and all(isinstance(c, dict) for c in found.get("columns", []))):
        raise DocumentError("expected a JSON object with 'columns' and 'populations'", file=str(path))
    return dict(found)


def load(path: Path, header: int = 0) -> np.ndarray:
    """The numbers (rows, columns) of a table separated by blanks. Raises DocumentError with the line of a bad row."""
    try:
        text = path.read_bytes()
    except OSError as fault:
        raise DocumentError(f"cannot be read: {fault.strerror}", file=str(path)) from None
    if not text.strip():
        return np.empty((0, 0))
    lines = text.splitlines()[header:]
    try:
        return np.loadtxt(lines, ndmin=2)
    except ValueError:
        width = len(lines[0].split())
        for number, line in enumerate(lines, header + 1):
            try:
                found = [float(word) for word in line.split()]
            except ValueError:
                raise DocumentError("this line is not numbers only", file=str(path), line=number) from None
            if found and len(found) != width:
                raise DocumentError(
                    f"this line has {len(found)} numbers, the first one {width}", file=str(path), line=number
                ) from None
        raise DocumentError("this is no table of numbers", file=str(path)) from None


def looks_like_events(table: np.ndarray) -> bool:
    """Whether a table is a list of events: two columns, one of them whole numbers, the time not on a grid."""
    if table.shape[1:] != (2,) or not len(table):
        return False
    whole = [bool(np.all(column == np.floor(column)) and np.all(column >= 0)) for column in table.T]
    times = table[:, 0]
    grid = len(table) > 2 and bool(np.all(np.diff(times) > 0)) and np.allclose(np.diff(times, 2), 0, atol=1e-9)
    return any(whole) and not grid


def read_events(path: Path, form: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(ids, times in s) of an event file; without ``form`` (ID_TIME or TIME_ID) the column of whole numbers is the ids.

    Raises DocumentError if it cannot be told, or if the file is no list of events.
    """
    with path.open("rb") as stream:
        header = _NEST_HEADER if stream.readline().startswith(b"#") else 0
    table = load(path, header)
    if not len(table):
        return np.empty(0, np.int64), np.empty(0)
    if table.shape[1] != 2:
        raise DocumentError(f"expected an id and a time on each line, found {table.shape[1]} columns", file=str(path))
    whole = [bool(np.all(column == np.floor(column)) and np.all(column >= 0)) for column in table.T]
    if form is None and not any(whole):
        raise DocumentError("no column has whole numbers that could be ids", file=str(path))
    first = form == "ID_TIME" if form is not None else whole[0]
    ids, times = (table[:, 0], table[:, 1]) if first else (table[:, 1], table[:, 0])
    if not whole[0 if first else 1]:
        raise DocumentError(f"the ids are not whole numbers; is the format {form}?", file=str(path))
    return ids.astype(np.int64), times


def _gids(ids: np.ndarray, times: np.ndarray) -> SpikeTrains:
    return trains_of({"cells": (ids, times)})


def _traces(table: np.ndarray, names: dict[str, Any], path: Path, report: Report) -> Traces:
    if not table.size:
        return Traces.empty()
    columns = names.get("columns", [])
    if columns and len(columns) != table.shape[1] - 1:
        raise DocumentError(
            f"there are {table.shape[1] - 1} columns beside the time, but {path.name}.json names {len(columns)}",
            file=str(path),
        )
    if not columns:
        report.add("columns-unnamed", "info", "nothing says what the columns are; they are called by their number",
                   file=str(path))  # fmt: skip
        columns = [{"quantity": f"column {number}"} for number in range(1, table.shape[1])]
    try:
        return Traces(table[:, 0], np.ascontiguousarray(table[:, 1:].T),
                      tuple(str(c.get("quantity")) for c in columns),
                      tuple(str(c.get("unit", "")) for c in columns))  # fmt: skip
    except ValueError as fault:
        raise DocumentError(f"this is no table of traces: {fault}", file=str(path)) from None


def write(results: Results, path: Path, report: Report) -> None:
    """Write ``x.dat`` with all traces, ``x.spikes`` with the spikes, and ``x.dat.json`` with their names."""
    base, traces = path.with_suffix(""), results.traces
    if len(traces) or path.suffix != ".spikes":
        with atomic(Path(f"{base}.dat")) as stream:
            for piece in rows(traces.time, traces.values) if len(traces) else ():
                stream.write(piece)
    if len(results.spikes) or path.suffix == ".spikes":
        with atomic(Path(f"{base}.spikes")) as stream:
            for gid, time in zip(results.spikes.gid.tolist(), results.spikes.time.tolist(), strict=True):
                stream.write(f"{gid}\t{time:.10g}\n".encode())
    columns = [{"quantity": q, "unit": u} for q, u in zip(traces.quantities, traces.units, strict=True)]
    about = {
        "columns": columns, "populations": {k: list(v) for k, v in results.spikes.populations.items()},
        "provenance": plain(results.provenance),
    }  # fmt: skip
    with atomic(Path(f"{base}.dat.json")) as stream:
        stream.write(json.dumps(about, indent=1).encode())

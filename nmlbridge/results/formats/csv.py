"""Comma-separated values: one table of traces, and one of spikes beside it.

``x.csv`` has the header ``time (s),pop[0]/v (V),...``; ``x.spikes.csv`` has ``population,cell,time (s)``.
https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import DocumentError
from ...files import atomic
from ...report import Report
from ..assemble import Column, by_population, traces_of, trains_of
from ..results import Results, SpikeTrains, Traces
from ..symbols import to_si

_UNIT = re.compile(r"(.*\S)\s+[(\[]([^()\[\]]*)[)\]]\s*")
_SPIKES = ("population", "cell")


def read(path: Path, report: Report) -> Results:
    """A table of traces with the spikes beside it, or a table of spikes."""
    header, table = _table(path)
    if tuple(header[:2]) == _SPIKES:
        return Results(spikes=_spikes(path, header, table), provenance={"file": str(path)})
    beside = path.with_suffix(".spikes.csv")
    spikes = _spikes(beside, *_table(beside)) if beside.is_file() else SpikeTrains.empty()
    return Results(traces=_traces(path, header, table, report), spikes=spikes, provenance={"file": str(path)})


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            header = [word.strip() for word in next(lines, [])]
            table = []
            for row in lines:
                if not row:
                    continue
                if len(row) != len(header):
                    raise DocumentError(f"this row has {len(row)} fields, the header {len(header)}", file=str(path),
                                        line=lines.line_num)  # fmt: skip
                table.append(row)
    except (csv.Error, UnicodeDecodeError) as fault:
        raise DocumentError(f"this is no CSV: {fault}", file=str(path)) from None
    except OSError as fault:
        raise DocumentError(f"cannot be read: {fault.strerror}", file=str(path)) from None
    return header, table


def _split(title: str) -> tuple[str, str]:
    """A column's name and its unit: "pop[0]/v (mV)"."""
    found = _UNIT.fullmatch(title)
    return (found.group(1), found.group(2)) if found else (title, "")


def _number(text: str, path: Path, row: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise DocumentError(f"'{text[:40]}' is not a number", file=str(path), line=row + 2) from None


def _traces(path: Path, header: list[str], table: list[list[str]], report: Report) -> Traces:
    if not header or _split(header[0])[0].lower() not in ("time", "t"):
        raise DocumentError("expected a header with the time first, like: time (s),pop[0]/v (V)", file=str(path))
    numbers = np.array([[_number(text, path, at) for text in row] for at, row in enumerate(table)], float)
    numbers = numbers.reshape(len(table), len(header))
    time = numbers[:, 0] * to_si(_split(header[0])[1])[1]
    found = []
    for number, title in enumerate(header[1:], 1):
        name, symbol = _split(title)
        unit, factor = to_si(symbol)
        found.append(Column(name, unit, time, numbers[:, number] * factor))
    return traces_of(found, str(path), report)


def _spikes(path: Path, header: list[str], table: list[list[str]]) -> SpikeTrains:
    if tuple(header[:2]) != _SPIKES or len(header) != 3:
        raise DocumentError("expected the header population,cell,time (s)", file=str(path))
    factor = to_si(_split(header[2])[1])[1]
    found: dict[str, tuple[list[int], list[float]]] = {}
    for at, (name, cell, time) in enumerate(table):
        index = _number(cell, path, at)
        if index < 0 or index != int(index):
            raise DocumentError(f"the cell '{cell[:40]}' is not a whole number", file=str(path), line=at + 2)
        cells, times = found.setdefault(name, ([], []))
        cells.append(int(index))
        times.append(_number(time, path, at) * factor)
    return trains_of({k: (np.array(c, np.int64), np.array(t, float)) for k, (c, t) in found.items()})


def write(results: Results, path: Path, report: Report) -> None:
    """Write the traces, and the spikes beside them (or alone, where there are no traces)."""
    traces, beside = results.traces, path.with_suffix(".spikes.csv")
    units = [f" ({unit})" if unit else "" for unit in traces.units]
    if len(results.spikes):
        _save(beside if len(traces) else path, _spike_rows(results))
    if len(traces) or not len(results.spikes):
        names = [f"{q}{u}" for q, u in zip(traces.quantities, units, strict=True)]
        columns = [traces.time.tolist(), *traces.values.tolist()]
        _save(path, iter([["time (s)", *names], *([repr(x) for x in row] for row in zip(*columns, strict=True))]))
    silent = sorted(name for name, count in results.spikes.counts().items() if not count)
    if silent:
        report.add("silent-populations", "loss", f"populations without a spike are not in it: {', '.join(silent)}",
                   file=str(path))  # fmt: skip


def _spike_rows(results: Results) -> Iterator[list[str]]:
    yield ["population", "cell", "time (s)"]
    for name, (index, time) in by_population(results).items():
        for cell, moment in zip(index.tolist(), time.tolist(), strict=True):
            yield [name, str(cell), repr(moment)]


def _save(path: Path, table: Iterator[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(table)
    with atomic(path) as stream:
        stream.write(text.getvalue().encode())

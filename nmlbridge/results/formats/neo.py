"""Neo objects, which elephant and others analyse, and their NIX files: https://neo.readthedocs.io

A Block of one Segment; an AnalogSignal for each unit, its channels annotated with ``quantity``; a SpikeTrain for each
cell, annotated with ``population`` and ``cell_index``, silent cells too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DocumentError
from ...extras import require
from ...files import atomic_path
from ...plain import json_object
from ...report import Report
from ..assemble import Column, plain, regular_step, traces_of, trains_of
from ..results import Results, SpikeTrains
from ..symbols import to_si

_EXTRA = "neo"
_NAMES = {"mol/m3": "mol/m**3", "S/m2": "S/m**2", "A/m2": "A/m**2", "": "dimensionless"}


def to_neo(results: Results) -> Any:
    """The results as a ``neo.Block``; times in s, values in SI. Raises UsageError without Neo."""
    neo: Any = require("neo", _EXTRA, "Neo objects")
    pq: Any = require("quantities", _EXTRA, "Neo objects")
    block = neo.Block(name=Path(str(results.provenance.get("model", "results"))).name,
                      nmlbridge=json.dumps(plain(results.provenance)))  # fmt: skip
    segment = neo.Segment(name="run")
    block.segments.append(segment)
    traces = results.traces
    step = regular_step(traces.time)
    for unit in dict.fromkeys(traces.units):
        rows = [row for row, own in enumerate(traces.units) if own == unit]
        data = pq.Quantity(traces.values[rows].T, _NAMES.get(unit, unit) if _known(pq, unit) else "dimensionless")
        names = np.array([traces.quantities[row] for row in rows])
        shared = {"name": f"traces in {unit or 'no unit'}", "array_annotations": {"quantity": names}, "si_unit": unit}
        if step is not None:
            signal = neo.AnalogSignal(data, sampling_period=step * pq.s, t_start=traces.time[0] * pq.s, **shared)
            segment.analogsignals.append(signal)
        else:
            signal = neo.IrregularlySampledSignal(traces.time * pq.s, data, **shared)
            segment.irregularlysampledsignals.append(signal)
    end = max([float(results.provenance.get("duration") or 0), *traces.time[-1:].tolist(),
               *results.spikes.time[-1:].tolist()])  # fmt: skip
    for name, index, times in _each_cell(results.spikes):
        segment.spiketrains.append(
            neo.SpikeTrain(times * pq.s, t_start=min(0.0, *times[:1].tolist(), 0.0) * pq.s, t_stop=end * pq.s,
                           name=f"{name}[{index}]", population=name, cell_index=index)
        )  # fmt: skip
    return block


def _known(pq: Any, unit: str) -> bool:
    try:
        pq.Quantity(1.0, _NAMES.get(unit, unit))
    except (LookupError, SyntaxError, TypeError, ValueError):
        return False
    return True


def _each_cell(trains: SpikeTrains) -> Iterator[tuple[str, int, np.ndarray]]:
    order = np.argsort(trains.gid, kind="stable")
    gid, time = trains.gid[order], trains.time[order]
    populations = trains.populations or ({"cells": (0, int(gid[-1]) + 1)} if len(gid) else {})
    for name, (first, size) in populations.items():
        for index in range(size):
            a, b = np.searchsorted(gid, [first + index, first + index + 1])
            yield name, index, time[a:b]


def from_neo(block: Any, report: Report | None = None, file: str = "Neo block") -> Results:
    """A ``neo.Block`` or ``neo.Segment`` as Results: signals and spike trains of its first segment.

    Names come from the annotations that ``to_neo`` makes, else from the objects' own names.
    """
    segments = getattr(block, "segments", [block])
    if report is not None and len(segments) > 1:
        report.add("one-segment", "loss", f"only the first of {len(segments)} segments is taken over", file=file)
    segment = segments[0] if segments else None
    if segment is None:
        return Results(provenance={"file": file})
    columns = [column for number, signal in enumerate([*segment.analogsignals, *segment.irregularlysampledsignals])
               for column in _columns(signal, number)]  # fmt: skip
    about = getattr(block, "annotations", {}).get("nmlbridge")
    order = list(dict.fromkeys(c.quantity for c in columns))
    traces = traces_of(sorted(columns, key=lambda c: order.index(c.quantity)), file, report)
    return Results(traces, _trains(segment.spiketrains), json_object(about) or {"file": file})


def _columns(signal: Any, number: int) -> Iterator[Column]:
    unit, factor = to_si(str(signal.annotations.get("si_unit", signal.dimensionality.string)))
    if "si_unit" in signal.annotations:
        factor = 1.0
    time = np.asarray(signal.times.rescale("s").magnitude, float)
    names = signal.array_annotations.get("quantity", signal.array_annotations.get("channel_names"))
    for channel in range(signal.shape[1]):
        own = f"{signal.name or f'signal {number}'}" + (f"[{channel}]" if signal.shape[1] > 1 else "")
        name = str(names[channel]) if names is not None else own
        yield Column(name, unit, time, np.asarray(signal.magnitude[:, channel], float) * factor)


def _trains(trains: Any) -> SpikeTrains:
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    sizes: dict[str, int] = {}
    for number, train in enumerate(trains):
        name = str(train.annotations.get("population", "cells"))
        index = int(train.annotations.get("cell_index", number))
        times = np.asarray(train.rescale("s").magnitude, float)
        indices, moments = found.setdefault(name, ([], []))
        indices.append(np.full(len(times), index))
        moments.append(times)
        sizes[name] = max(sizes.get(name, 0), index + 1)
    return trains_of({n: (np.concatenate(i), np.concatenate(t)) for n, (i, t) in found.items()}, sizes)


def read(path: Path, report: Report) -> Results:
    """The first block of a NIX file. Raises UsageError without Neo and nixio."""
    neo: Any = require("neo", _EXTRA, "reading NIX")
    require("nixio", _EXTRA, "reading NIX")
    try:
        with neo.io.NixIO(str(path), "ro") as io:
            blocks = io.read_all_blocks()
            if not blocks:
                raise DocumentError("there is no block in it", file=str(path))
            return from_neo(blocks[0], report, str(path))
    except DocumentError:
        raise
    except Exception as fault:  # nixio and Neo raise what they meet
        raise DocumentError(f"this is no NIX file that Neo reads: {fault}", file=str(path)) from None


def write(results: Results, path: Path, report: Report) -> None:
    """Write a NIX file with one block."""
    neo: Any = require("neo", _EXTRA, "writing NIX")
    require("nixio", _EXTRA, "writing NIX")
    block = to_neo(results)
    with atomic_path(path) as temporary, neo.io.NixIO(str(temporary), "ow") as io:
        io.write_block(block)

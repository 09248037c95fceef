"""Neurodata Without Borders 2: https://nwb-schema.readthedocs.io

A membrane potential is a CurrentClampSeries on an electrode of its own, any other variable a TimeSeries; one series a
trace, since NWB Explorer plots series, and starting at 0 where the run did. Every cell is a row of Units, silent ones
too. The kinds of data are those that pynwb 2.5.0, which NWB Explorer has, opens as well as the current one: no table
of extracellular electrodes.

What the names in the file stand for (paths of quantities, populations) is in ``notes``, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DocumentError
from ...extras import require
from ...files import atomic_path
from ...plain import json_object
from ...report import Report
from ..assemble import Column, plain, regular_step, traces_of, trains_of
from ..paths import place_of
from ..results import Results, SpikeTrains
from ..symbols import to_si

_WORDS = {"V": "volts", "A": "amperes", "S": "siemens", "s": "seconds", "Hz": "Hz", "": "n/a"}
_TOPIC = "nmlbridge"
_ANIMALS = "http://purl.obolibrary.org/obo/NCBITaxon_33208"  # where nothing is said: some animal
_FINEST = 1e-5  # s; what is given as resolution where the step is not known


def write(results: Results, path: Path, report: Report, *, about: dict[str, Any] | None = None) -> None:
    """Write traces and spikes. ``about`` may have NWBFile's session_description, source_script, keywords, species ...

    Raises UsageError without pynwb.
    """
    pynwb: Any = require("pynwb", "nwb", "writing NWB")
    given = dict(about or {})
    names = _series_names(results)
    notes = {_TOPIC: {
        "quantities": dict(zip(names, results.traces.quantities, strict=True)),
        "populations": {name: list(span) for name, span in results.spikes.populations.items()},
        "provenance": plain(results.provenance),
    }}  # fmt: skip
    subject = pynwb.file.Subject(
        subject_id="simulated", species=given.pop("species", _ANIMALS),
        age="P0D", sex="U", description="A model, not an animal: the age is a formality, the species the modelled one.",
    )  # fmt: skip
    content = pynwb.NWBFile(
        session_description=given.pop("session_description", _described(results)),
        identifier=_identifier(results), session_start_time=given.pop("session_start_time", datetime.now(UTC)),
        keywords=given.pop("keywords", ["simulation", "NeuroML"]), notes=json.dumps(notes), subject=subject,
        experimenter=given.pop("experimenter", None), institution=given.pop("institution", "not an experiment"),
        experiment_description="A simulation of a model of neurons.", **given,
    )  # fmt: skip
    _add_traces(pynwb, content, results, names)
    _add_units(pynwb, content, results)
    with atomic_path(path) as temporary, pynwb.NWBHDF5IO(str(temporary), "w") as io:
        io.write(content)


def _identifier(results: Results) -> str:
    """Equal results have equal identifiers."""
    digest = hashlib.sha256(json.dumps(plain(results.provenance), sort_keys=True).encode())
    for part in (results.time, results.traces.values, results.spikes.gid, results.spikes.time):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:32]


def _described(results: Results) -> str:
    model = Path(str(results.provenance.get("model") or results.provenance.get("file") or "a model")).name
    return f"Simulation of {model}: {len(results.traces)} traces, {len(results.spikes)} spikes."


def _series_names(results: Results) -> list[str]:
    """A name of letters, digits and underscores for each trace, all different."""
    taken: dict[str, int] = {}
    names = []
    for quantity in results.traces.quantities:
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in quantity).strip("_") or "trace"
        name = "_".join(part for part in name.split("_") if part)
        taken[name] = taken.get(name, 0) + 1
        names.append(name if taken[name] == 1 else f"{name}_{taken[name]}x")
    return names


def _add_traces(pynwb: Any, content: Any, results: Results, names: list[str]) -> None:
    traces, device = results.traces, None
    step = regular_step(traces.time)
    clock: dict[str, Any] = {"timestamps": traces.time}
    if step is not None and traces.time[0] == 0:
        clock = {"starting_time": 0.0, "rate": float(f"{1 / step:.12g}")}
    for name, quantity, unit, values in zip(names, traces.quantities, traces.units, traces.values, strict=True):
        data = pynwb.H5DataIO(values, compression="gzip") if len(values) > 1000 else values
        place = place_of(quantity)
        if unit == "V" and place is not None and place.variable == "v":
            if device is None:
                device = content.create_device(name="simulator", description="A program: there is no amplifier.")
            electrode = content.create_icephys_electrode(
                name=f"in_{name}", description="Stands for reading the variable from the model.", device=device,
                location=f"segment {place.segment} of {place.population}[{place.index}]", cell_id=name,
            )  # fmt: skip
            series = pynwb.icephys.CurrentClampSeries(
                name=name, data=data, electrode=electrode, description=f"Membrane potential {quantity} of the model.",
                stimulus_description="as the model says", gain=1.0, **clock,
            )  # fmt: skip
        else:
            series = pynwb.TimeSeries(name=name, data=data, unit=_WORDS.get(unit, unit),
                                      description=f"Variable {quantity} of the model.", **clock)  # fmt: skip
        content.add_acquisition(series)


def _add_units(pynwb: Any, content: Any, results: Results) -> None:
    trains = results.spikes
    if not trains.populations:
        if not len(trains):
            return
        trains = SpikeTrains(trains.gid, trains.time, {"cells": (0, int(trains.gid.max()) + 1)})
    end = float(results.provenance.get("duration") or 0.0)
    end = max([end, *results.time[-1:].tolist(), *trains.time[-1:].tolist()])
    gid: list[int] = []
    population: list[str] = []
    index: list[int] = []
    for name, (first, size) in trains.populations.items():
        gid += range(first, first + size)
        population += [name] * size
        index += range(size)
    order = np.argsort(trains.gid, kind="stable")
    ends = np.searchsorted(trains.gid[order], np.array(gid, np.int64), side="right")
    starts = np.searchsorted(trains.gid[order], np.array(gid, np.int64), side="left")
    times = [trains.time[order][a:b] for a, b in zip(starts, ends, strict=True)]
    common = pynwb.core
    flat = np.concatenate([*times, np.empty(0)])
    spike_times = common.VectorData(name="spike_times", description="Times of the spikes, s.", data=flat)
    intervals = common.VectorData(name="obs_intervals", description="The whole run.",
                                  data=np.tile([[0.0, end]], (len(gid), 1)))  # fmt: skip
    columns = [
        spike_times,
        common.VectorIndex(name="spike_times_index", target=spike_times, data=np.cumsum([len(t) for t in times])),
        intervals,
        common.VectorIndex(name="obs_intervals_index", target=intervals, data=np.arange(1, len(gid) + 1)),
        common.VectorData(name="population", description="The model's population that the cell is in.",
                          data=population),
        common.VectorData(name="cell_index", description="The cell's index in its population.", data=index),
    ]  # fmt: skip
    units = pynwb.misc.Units(
        name="units", description="Cells of the model and their spikes.", columns=columns,
        colnames=["spike_times", "obs_intervals", "population", "cell_index"],
        id=common.ElementIdentifiers(name="id", data=gid), resolution=_resolution(results),
    )  # fmt: skip
    content.units = units


def _resolution(results: Results) -> float:
    return float(results.provenance.get("dt") or regular_step(results.time) or _FINEST)


def read(path: Path, report: Report) -> Results:
    """Every series of numbers over time, and the units' spikes. Raises UsageError without pynwb."""
    pynwb: Any = require("pynwb", "nwb", "reading NWB")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about cached namespaces of other versions
        try:
            with pynwb.NWBHDF5IO(str(path), "r") as io:
                return _results(pynwb, io.read(), path, report)
        except DocumentError:
            raise
        except Exception as fault:  # hdmf raises what it meets
            raise DocumentError(f"this is no NWB 2 file: {fault}", file=str(path)) from None


def _results(pynwb: Any, content: Any, path: Path, report: Report) -> Results:
    notes = _notes(content.notes)
    known, about = notes.get("quantities", {}), notes.get("provenance") or {"file": str(path)}
    found = [column for series in _all_series(pynwb, content)
             for column in _columns(series, known.get(series.name), path, report)]  # fmt: skip
    columns = {column.quantity: column for column in found}
    # in the order they were written in, which NWB does not keep
    ordered = [columns.pop(quantity) for quantity in known.values() if quantity in columns] + list(columns.values())
    return Results(traces_of(ordered, str(path), report), _spikes(content, notes, path, report), dict(about))


def _notes(text: Any) -> dict[str, Any]:
    notes = json_object(text).get(_TOPIC, {})
    return notes if isinstance(notes, dict) else {}


def _all_series(pynwb: Any, content: Any) -> Iterator[Any]:
    places = [content.acquisition, content.stimulus, *(m.data_interfaces for m in content.processing.values())]
    for place in places:
        for item in place.values():
            if isinstance(item, pynwb.TimeSeries):
                yield item
            else:
                yield from getattr(item, "electrical_series", getattr(item, "time_series", {})).values()


def _columns(series: Any, quantity: str | None, path: Path, report: Report) -> Iterator[Column]:
    data = np.asarray(series.data[:])
    if data.dtype.kind not in "fiub" or data.ndim > 2 or not len(data):
        report.add("no-trace", "loss", f"'{series.name}' holds no numbers over time; left out", file=str(path))
        return
    unit, factor = to_si(str(series.unit))
    values = data.astype(float) * (float(series.conversion) * factor) + float(series.offset or 0.0) * factor
    if series.timestamps is not None:
        time = np.asarray(series.timestamps[:], float)
    else:
        time = float(series.starting_time or 0.0) + np.arange(len(data)) / float(series.rate)
    if values.ndim == 1:
        yield Column(quantity or series.name, unit, time, values)
    else:
        for number in range(values.shape[1]):
            yield Column(f"{quantity or series.name}[{number}]", unit, time, values[:, number])


def _spikes(content: Any, notes: dict[str, Any], path: Path, report: Report) -> SpikeTrains:
    units = content.units
    if units is None or "spike_times" not in units.colnames:
        return SpikeTrains.empty()
    times = [np.asarray(units["spike_times"][row], float) for row in range(len(units))]
    if {"population", "cell_index"} <= set(units.colnames):
        names = [str(name) for name in units["population"][:]]
        cells = [int(index) for index in units["cell_index"][:]]
    else:
        report.add("cells-unnamed", "info", "the units name no populations; they are called 'units'", file=str(path))
        names, cells = ["units"] * len(units), list(range(len(units)))
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    sizes: dict[str, int] = {}
    for name, cell, train in zip(names, cells, times, strict=True):
        indices, moments = found.setdefault(name, ([], []))
        indices.append(np.full(len(train), cell))
        moments.append(train)
        sizes[name] = max(sizes.get(name, 0), cell + 1)
    if sizes == {k: v[1] for k, v in notes.get("populations", {}).items()}:
        sizes = {name: sizes[name] for name in notes["populations"]}
    return trains_of({n: (np.concatenate(i), np.concatenate(t)) for n, (i, t) in found.items()}, sizes)

"""Reading back what a LEMS Simulation has written, with the names that only its document knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DocumentError
from ..lems import resolve
from ..report import Report
from ..results import EventOutputFile, Results, output_paths, requested
from ..results.assemble import Column, traces_of, trains_of
from ..results.formats.dat import load, read_events
from ..results.paths import place_of
from .document import read_document


def read_lems_run(path: Path, report: Report, folder: Path | None = None) -> Results:
    """The OutputFiles and EventOutputFiles that a LEMS document names, from ``folder`` (default: where it lies itself).

    Quantities are the document's paths; cells of event files are found by the selections' paths. Raises DocumentError
    if none of the files is there.
    """
    document = read_document(path, report)
    simulation = resolve(document.elements(), document.library(report), report).simulation(document.target)
    outputs = requested(simulation)
    places = output_paths(outputs, folder or path.parent)
    absent = [name for name, place in places.items() if not place.is_file()]
    if places and len(absent) == len(places):
        raise DocumentError(
            f"none of the files that it writes is there ({', '.join(absent[:3])}); run it first", file=str(path)
        )
    for name in absent:
        report.add("output-absent", "loss", f"the output file '{name}' is not there", file=str(path))
    columns: list[Column] = []
    for file in outputs.files:
        if file.name in absent:
            continue
        table = load(places[file.name])
        if table.size and table.shape[1] != len(file.columns) + 1:
            raise DocumentError(
                f"{table.shape[1]} columns, but the time and {len(file.columns)} quantities were asked for",
                file=str(places[file.name]),
            )
        columns += [Column(q, _unit(q), table[:, 0], table[:, n])
                    for n, (_, q) in enumerate(file.columns, 1) if table.size]  # fmt: skip
    spikes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for events in outputs.event_files:
        if events.name not in absent:
            _gather(events, places[events.name], spikes, report)
    networks = [n for n in document.networks if n.id == simulation.texts.get("target")] or document.networks[:1]
    sizes = {name: p.size for network in networks for name, p in network.populations.items()}
    traces = traces_of(columns, str(path), report)
    about = {"model": str(path), "dt": simulation.parameters["step"], "duration": simulation.parameters["length"]}
    return Results(traces, trains_of(spikes, sizes), about, outputs=outputs)


def _unit(quantity: str) -> str:
    """V for what is a potential by its name; the unit of anything else is not in the document."""
    return "V" if quantity.rpartition("/")[2] == "v" else ""


def _gather(
    events: EventOutputFile, path: Path, spikes: dict[str, tuple[np.ndarray, np.ndarray]], report: Report
) -> None:
    ids, times = read_events(path, events.format)
    for id, source, _ in events.selections:
        # a selection is of a cell (pop[0]), a place of one of its variables (pop[0]/v)
        place = place_of(f"{source}/v") or place_of(source)
        if place is None or not id.lstrip("-").isdigit():
            report.add("no-cell", "loss", f"the events of '{source}' are left out: it names no cell", file=str(path))
            continue
        mine = times[ids == int(id)]
        index, time = spikes.get(place.population, (np.empty(0, np.int64), np.empty(0)))
        merged = np.concatenate([time, mine]), np.concatenate([index, np.full(len(mine), place.index)])
        # a cell that two selections name is there once
        pairs = np.unique(np.column_stack([merged[1], merged[0]]), axis=0)
        spikes[place.population] = (pairs[:, 0].astype(np.int64), pairs[:, 1])

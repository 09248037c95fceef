"""NetPyNE's saved simulation as JSON: simData, and what of net and simConfig says which cell is which.

http://doc.netpyne.org/user_documentation.html (Saving and loading). Spikes and times are in ms, potentials in mV.
Its pickles are never read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DocumentError
from ...files import atomic
from ...plain import load_json
from ...report import Report
from ..assemble import Column, plain, traces_of
from ..paths import Place, place_of
from ..results import Results, SpikeTrains
from ..symbols import NEURON, to_si

_CELL = "cell_"
_NO_TRACES = frozenset({"spkt", "spkid", "t", "stims", "LFP", "popRates", "avgRate", "dipole", "dipoleSum"})
_GUESSED = {"v": "mV", "i": "nA", "cai": "mM"}


def read(path: Path, report: Report) -> Results:
    """Traces and spikes; cells are numbered within their population, in the order of its gids."""
    content = load_json(path)
    data = content.get("simData") if isinstance(content, dict) else None
    if not isinstance(data, dict):
        raise DocumentError("there is no 'simData' in it: NetPyNE saved no results here", file=str(path))
    try:
        return _results(content, data, path, report)
    except (TypeError, ValueError, KeyError, AttributeError) as fault:
        raise DocumentError(f"simData is not as NetPyNE writes it: {fault}", file=str(path)) from None


def _results(content: dict[str, Any], data: dict[str, Any], path: Path, report: Report) -> Results:
    config = content.get("simConfig") or {}
    ids, times = np.array(data.get("spkid", []), float).astype(np.int64), np.array(data.get("spkt", []), float)
    if ids.shape != times.shape:
        raise DocumentError(f"simData has {len(ids)} spkid, but {len(times)} spkt", file=str(path))
    recorded = {int(cell.removeprefix(_CELL)) for label, traces in data.items()
                if label not in _NO_TRACES and isinstance(traces, dict) for cell in traces}  # fmt: skip
    members = _members(content, {*ids.tolist(), *recorded}, path, report)
    dense: dict[int, int] = {}
    populations: dict[str, tuple[int, int]] = {}
    for name, gids in members.items():
        populations[name] = (len(dense), len(gids))
        dense.update({gid: len(dense) + at for at, gid in enumerate(gids)})
    spikes = SpikeTrains(np.array([dense[i] for i in ids.tolist()], np.int64), times * 1e-3, populations)
    homes = {gid: (name, at) for name, gids in members.items() for at, gid in enumerate(gids)}
    traces = traces_of(_columns(data, config, homes, path, report), str(path), report)
    _note_rest(data, path, report)
    about = {"file": str(path), "simulator": f"NetPyNE {content.get('netpyne_version', '')}".strip()}
    about |= {name: config[key] * 1e-3 for name, key in (("dt", "dt"), ("duration", "duration"))
              if isinstance(config.get(key), int | float)}  # fmt: skip
    return Results(traces, spikes, config.get("nmlbridge") or about)


def _members(content: dict[str, Any], gids: set[int], path: Path, report: Report) -> dict[str, list[int]]:
    """The gids of each population; those that no population names are in one called 'cells'."""
    net = content.get("net") or {}
    pops = net.get("pops") or {}
    found = {str(name): [int(g) for g in (pop or {}).get("cellGids", [])] for name, pop in pops.items()}
    if not any(found.values()):
        for cell in net.get("cells") or []:
            found.setdefault(str(cell["tags"].get("pop", "cells")), []).append(int(cell["gid"]))
    named = [gid for members in found.values() for gid in members]
    if len(set(named)) != len(named):
        raise DocumentError("a gid belongs to two populations", file=str(path))
    rest = sorted(gids - set(named))
    if rest:
        report.add("cells-unnamed", "info", f"{len(rest)} cells belong to no population; they are called 'cells'",
                   file=str(path))  # fmt: skip
        found["cells"] = sorted([*found.get("cells", []), *rest])
    return found


def _columns(
    data: dict[str, Any], config: dict[str, Any], homes: dict[int, tuple[str, int]], path: Path, report: Report
) -> Iterator[Column]:
    clock = np.array(data.get("t", []), float)
    step = float(config.get("recordStep") or config.get("dt") or 0.1)
    labels = config.get("recordTraces") or {}
    axes: dict[int, np.ndarray] = {}
    for label, traces in data.items():
        if label in _NO_TRACES or not isinstance(traces, dict):
            continue
        spec = labels.get(label) or {}
        name = str(spec.get("path") or (spec.get("var") if spec.get("var") == "v" and len(labels) == 1 else label))
        symbol = spec.get("unit", _GUESSED.get(str(spec.get("var", label))))
        if symbol is None:
            report.add("unit-guessed", "approximation", f"the unit of '{label}' is not known; taken as it is",
                       file=str(path))  # fmt: skip
        unit, factor = to_si(str(symbol or ""))
        for cell, values in traces.items():
            if not isinstance(values, list):
                report.add("nested-trace", "loss", f"'{label}' of {cell} is no plain list; left out", file=str(path))
                continue
            population, index = homes[int(cell.removeprefix(_CELL))]
            array = np.array(values, float) * factor
            if len(array) not in axes:
                time = clock if len(clock) == len(array) else np.arange(len(array)) * step
                axes[len(array)] = time * 1e-3
            yield Column(f"{population}[{index}]/{name}", unit, axes[len(array)], array)


def _note_rest(data: dict[str, Any], path: Path, report: Report) -> None:
    for name in ("stims", "LFP", "dipole", "dipoleSum"):
        if data.get(name):
            report.add("not-taken-over", "loss", f"simData.{name} is not taken over", file=str(path))


def write(results: Results, path: Path, report: Report) -> None:
    """Write simData, with the populations and the settings that NetPyNE's own analysis and plots look for."""
    traces, spikes = results.traces, results.spikes
    sizes = {name: size for name, (_, size) in spikes.populations.items()}
    places: list[Place | None] = [place_of(quantity) for quantity in traces.quantities]
    for known in filter(None, places):
        sizes[known.population] = max(sizes.get(known.population, 0), known.index + 1)
    first, total = {}, 0
    for name, size in sizes.items():
        first[name], total = total, total + size
    data: dict[str, Any] = {"t": (traces.time * 1e3).tolist()}
    recorded: dict[str, Any] = {}
    for row, place in enumerate(places):
        if place is None:
            report.add("no-cell", "loss", f"'{traces.quantities[row]}' is left out: it is no variable of a cell",
                       file=str(path))  # fmt: skip
            continue
        symbol, factor = NEURON.get(traces.units[row], (traces.units[row], 1.0))
        inside = f"{place.segment}/{place.variable}" if place.segment else place.variable
        label = "V_soma" if inside == "v" else "".join(c if c.isalnum() else "_" for c in inside)
        recorded[label] = {"var": place.variable, "path": inside, "unit": symbol, "sec": "soma", "loc": 0.5}
        data.setdefault(label, {})[f"{_CELL}{first[place.population] + place.index}"] = \
            (traces.values[row] * factor).tolist()  # fmt: skip
    gids, times = _renumbered(spikes, first)
    data |= {"spkt": (times * 1e3).tolist(), "spkid": gids.tolist()}
    duration = float(results.provenance.get("duration") or (traces.time[-1] if len(traces.time) else 0.0))
    config = {
        "duration": duration * 1e3, "dt": float(results.provenance.get("dt", 0.0)) * 1e3, "recordTraces": recorded,
        "recordStep": float(traces.time[1] - traces.time[0]) * 1e3 if len(traces.time) > 1 else 0.1,
        "nmlbridge": plain(results.provenance),
    }  # fmt: skip
    if duration and total:
        data["avgRate"] = len(gids) / duration / total
    pops = {name: {"tags": {"pop": name, "numCells": size}, "cellGids": list(range(first[name], first[name] + size))}
            for name, size in sizes.items()}  # fmt: skip
    cells = [{"gid": first[name] + at, "tags": {"pop": name, "cellLabel": at}, "conns": [], "stims": [], "secs": {}}
             for name, size in sizes.items() for at in range(size)]  # fmt: skip
    whole = {"net": {"params": {}, "pops": pops, "cells": cells}, "simConfig": config, "simData": data}
    with atomic(path) as stream:
        stream.write(json.dumps(whole, allow_nan=True).encode())


def _renumbered(spikes: SpikeTrains, first: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """gids as they are in the file, by time."""
    gids = spikes.gid.copy()
    for name, (old, size) in spikes.populations.items():
        mine = (spikes.gid >= old) & (spikes.gid < old + size)
        gids[mine] += first[name] - old
    return gids, spikes.time

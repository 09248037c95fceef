"""The folder that a run has written: its files, found by the manifest that the run leaves among them.

``NAME.run.json`` says which tables and lists of events there are, what their columns and ids are, and how large each
population is, silent cells included. Paths are relative to it. One folder may hold several runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DocumentError
from ...files import atomic
from ...plain import load_json
from ...report import Report
from ..assemble import Column, plain, traces_of
from ..lems import output_paths
from ..outputs import EventOutputFile, Outputs
from ..results import Results, SpikeTrains
from . import sonata
from .dat import load, read_events

ENDING = ".run.json"
VERSION = 1
SAME = "ids"  # in place of a million pairs, where the ids of a file are the gids themselves


def write_manifest(
    folder: Path, name: str, outputs: Outputs | None, files: Sequence[Path], units: Mapping[str, str],
    gids: Mapping[str, int], populations: Mapping[str, tuple[int, int]], provenance: Mapping[str, Any],
) -> Path:  # fmt: skip
    """Write ``NAME.run.json`` into ``folder`` (made if needed) and return its path.

    ``outputs`` are the LEMS files that were written (None: none), ``files`` those of SONATA; ``units`` the unit of each
    quantity, ``gids`` the source of each event selection, ``populations`` first gid and size.
    """
    root = folder.resolve()
    paths = {} if outputs is None else output_paths(outputs, folder)
    known = Outputs() if outputs is None else outputs

    def relative(path: Path) -> str:
        return path.resolve().relative_to(root).as_posix()

    about = {
        "nmlbridge_run": VERSION,
        "tables": [{"file": relative(paths[one.name]),
                    "columns": [{"quantity": q, "unit": units.get(q, "")} for _, q in one.columns]}
                   for one in known.files],
        "events": [{"file": relative(paths[one.name]), "format": one.format,
                    "gids": _mapping(one, gids)}
                   for one in known.event_files],
        "sonata": [relative(path) for path in files],
        "populations": {key: [int(first), int(size)] for key, (first, size) in populations.items()},
        "provenance": {key: plain(value) for key, value in provenance.items() if key != "ranks"},  # any: the same files
    }  # fmt: skip
    target = folder / f"{name}{ENDING}"
    with atomic(target) as stream:
        stream.write(json.dumps(about, indent=1).encode())
    return target


def _mapping(events: EventOutputFile, gids: Mapping[str, int]) -> dict[str, int] | str:
    """The gid of each id of a file, or SAME."""
    found = {id: gids[source] for id, source, _ in events.selections if source in gids and id.lstrip("-").isdigit()}
    return SAME if all(id == str(gid) for id, gid in found.items()) else found


def read(path: Path, report: Report) -> Results:
    """The results of the run whose folder or manifest ``path`` is. Raises DocumentError if a folder holds several."""
    manifest = path
    if path.is_dir():
        found = sorted(path.glob(f"*{ENDING}"))
        if len(found) != 1:
            names = ", ".join(one.name for one in found[:5])
            raise DocumentError(f"this folder holds {len(found)} runs; name one of them: {names}", file=str(path))
        manifest = found[0]
    about = _loaded(manifest)
    try:
        return _read(manifest, about, report)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as fault:
        raise DocumentError(f"this is no manifest of a run: {type(fault).__name__} {fault}; run the model again",
                            file=str(manifest)) from None  # fmt: skip


def _loaded(path: Path) -> dict[str, Any]:
    about = load_json(path)
    if not isinstance(about, dict) or about.get("nmlbridge_run") != VERSION:
        raise DocumentError(f"expected a manifest with \"nmlbridge_run\": {VERSION}; run the model again",
                            file=str(path))  # fmt: skip
    return about


def _read(manifest: Path, about: dict[str, Any], report: Report) -> Results:
    populations = {str(name): (int(first), int(size)) for name, (first, size) in about["populations"].items()}
    provenance = dict(about["provenance"])
    if not about["tables"] and not about["events"]:
        # the same gids as the run had; SONATA itself knows only cells that spike
        files = [_place(manifest, one) for one in about["sonata"]]
        found = sonata.read_files(files, str(manifest), report, populations)
        return Results(found.traces, found.spikes, provenance)
    columns: list[Column] = []
    for one in about["tables"]:
        path = _place(manifest, one["file"])
        table = load(path)
        if table.size and table.shape[1] != len(one["columns"]) + 1:
            raise DocumentError(f"{table.shape[1]} columns, but {manifest.name} names the time and "
                                f"{len(one['columns'])} quantities; run the model again", file=str(path))  # fmt: skip
        columns += [Column(str(c["quantity"]), str(c["unit"]), table[:, 0], table[:, n])
                    for n, c in enumerate(one["columns"], 1) if table.size]  # fmt: skip
    traces = traces_of(columns, str(manifest), report)
    pairs = [_events(_place(manifest, one["file"]), one) for one in about["events"]]
    if not pairs:
        return Results(traces, SpikeTrains.empty(), provenance)
    # a cell that two files or selections name is there once
    both = np.unique(np.concatenate(pairs), axis=0)
    return Results(traces, SpikeTrains(both[:, 1].astype(np.int64), both[:, 0], populations), provenance)


def _events(path: Path, one: dict[str, Any]) -> np.ndarray:
    """(n, 2): times (s) and gids of a list of events."""
    ids, times = read_events(path, one["format"])
    if one["gids"] == SAME:
        return np.column_stack([times, ids])
    known = {int(id): int(gid) for id, gid in one["gids"].items()}
    kept = np.isin(ids, np.fromiter(known, np.int64, len(known)))
    gids = np.array([known[id] for id in ids[kept].tolist()], np.int64)
    return np.column_stack([times[kept], gids])


def _place(manifest: Path, name: Any) -> Path:
    """A file of the run. Raises DocumentError if it is gone, or is not below the manifest's folder."""
    root = manifest.parent.resolve()
    path = (root / str(name)).resolve()
    if Path(str(name)).is_absolute() or not path.is_relative_to(root):
        raise DocumentError(f"the path '{name}' leaves the folder of the run", file=str(manifest))
    if not path.is_file():
        raise DocumentError(f"'{name}', which the run wrote, is no longer there; run the model again",
                            file=str(manifest))  # fmt: skip
    return path

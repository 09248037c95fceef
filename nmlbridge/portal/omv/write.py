"""Writing OMV tests for a model from what a run of it gave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ...errors import UsageError
from ...files import atomic
from ...results import Results
from .judge import detect

PROJECT_ENGINE = "PyNEURON"
"""The engine for NEURON projects: OMV calls ``nrniv -python run.py -nogui``."""
ENGINE = "jNeuroML_NEURON"
"""The engine that new tests name: OMV calls ``jnml LEMS -neuron -nogui -run``, which the shim answers."""
_VOLTS = 0.5  # a column within so much of zero is taken for a membrane potential
_SETTLED = 1e-6  # V; a trace that moves less than this at its end rests


def new_tests(
    model: Path, results: Results, output: Path, folder: Path, *, engine: str = ENGINE, tolerance: float = 0.0,
    other: Results | None = None, other_output: Path | None = None, stem: str | None = None, below: str = "",
) -> list[Path]:  # fmt: skip
    """Write ``.test.NAME.omt`` and ``.test.NAME.mep`` into ``folder`` and return their paths.

    ``results`` is a run of ``model`` whose files are below ``output``. Every recorded potential that spikes gives an
    experiment with its spike times (upward crossings of 0 mV, in ms), one that has come to rest gives its resting
    value, an event file gives the mean rate. With a second run (``other``, another dt or method), the tolerance of
    each is what separates the two, rounded up. ``stem`` is NAME, that of the model if not given; ``below`` a folder
    beside the model that its files are written to when ``engine`` runs it. Raises UsageError if there is nothing that a
    test could look at.
    """
    expected: dict[str, Any] = {}
    looked: dict[str, Any] = {}
    second = dict(_observables(other, other_output)) if other is not None and other_output is not None else {}
    home = Path(os.path.relpath(model.resolve().parent, folder.resolve()))
    for name, (kind, value, spec) in _observables(results, output):
        for file in (spec.get("file"), spec.get("spiketimes file")):
            if file is not None:  # as OMV sees it: from the .omt, beside the target
                file["path"] = (home / below / file["path"]).as_posix()
        allowed = tolerance if name not in second else max(tolerance, _apart(name, kind, value, second[name]))
        expected[name] = {"expected": {kind: value}}
        looked[name] = {"observables": {kind: {**spec, "tolerance": allowed}}}
    if not expected:
        raise UsageError(
            "no column of this simulation spikes or comes to rest, and it writes no events: there is nothing to test"
        )
    stem = stem or model.name.removesuffix(".xml").removeprefix("LEMS_")
    mep, omt = folder / f".test.{stem}.mep", folder / f".test.{stem}.omt"
    test = {"target": (home / model.name).as_posix(), "engine": engine, "mep": mep.name, "experiments": looked}
    for path, content in ((mep, {"system": f"Tests of {stem}", "experiments": expected}), (omt, test)):
        with atomic(path) as stream:
            stream.write(yaml.safe_dump(content, sort_keys=False, width=100).encode())
    return [mep, omt]


def _observables(results: Results, output: Path) -> Iterator[tuple[str, tuple[str, Any, dict[str, Any]]]]:
    """(experiment, (kind, value, where it is found)), read from the files as OMV will read them."""
    seen: set[str] = set()
    for file in results.outputs.files:
        for number, (id, _) in enumerate(file.columns, 1):
            spec = {"path": file.name, "columns": [0, number], "scaling": [1000, 1000]}
            table = np.loadtxt(output / file.name, usecols=(0, number), ndmin=2) * 1000
            if not np.isfinite(table).all() or np.abs(table[:, 1]).max() > _VOLTS * 1000:
                continue
            name = id if id not in seen else f"{file.id}_{id}"
            seen.add(name)
            spikes = detect(table, "threshold", 0.0)
            if len(spikes) and spikes[0] > 0:
                how = {"file": spec, "spike detection": {"method": "threshold", "threshold": 0}}
                yield name, ("spike times", [float(f"{t:.10g}") for t in spikes], how)
            elif len(table) > 100 and np.ptp(table[-len(table) // 10 :, 1]) < _SETTLED * 1000:
                yield name, ("resting", float(f"{table[-1, 1]:.10g}"), {"file": spec})
    for events in results.outputs.event_files:
        found = _rates(output / events.name, events.format)
        if found is not None:
            where = {"path": events.name, "format": events.format, "ids": "*"}
            end = float(f"{results.time[-1]:.10g}")
            window = {"method": "duration based", "start_time": 0, "end_time": end}
            yield events.id, ("spike rate", found / end, {"spiketimes file": where, **window})


def _rates(path: Path, form: str) -> float | None:
    """Mean number of events of those ids that have any."""
    if not path.read_bytes().strip():
        return None
    ids = np.loadtxt(path, ndmin=2)[:, 1 if form == "TIME_ID" else 0]
    return float(len(ids) / len(np.unique(ids)))


def _apart(name: str, kind: str, value: Any, other: tuple[str, Any, dict[str, Any]]) -> float:
    a, b = np.atleast_1d(np.asarray(value, float)), np.atleast_1d(np.asarray(other[1], float))
    if kind != other[0] or a.shape != b.shape:
        raise UsageError(f"'{name}' differs between the two runs in more than size: {len(a)} and {len(b)} values")
    needed = float(np.max(np.abs(b - a) / np.abs(a)))
    return float(f"{needed * 1.05:.2g}") if needed else 0.0

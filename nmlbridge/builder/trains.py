"""Populations of spikes that are given: their trains, from the specification or from a file of results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..graph.native import NativeProcess
from ..results import read_results
from ..units import nearest
from .components import Components
from .context import Context, Path_
from .listed import file_of
from .vocabulary import Model, Trains

_GIVEN = "VecStim"  # NEURON's player of given events
_MS = 1e3


@dataclass(frozen=True)
class Given:
    """The events of a population, by time (ms): as the columns train_rows and train_times of ``Population``."""

    rows: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]


def played(context: Context, components: Components) -> tuple[Model, dict[str, Given]]:
    """The model with such populations made into cells of a component, and what each of them sends.

    Raises NetworkError for times that are none, and for a file that has no such population.
    """
    model = context.spec.model
    columns: dict[str, Given] = {}
    populations = dict(model.populations)
    for name, population in model.populations.items():
        if population.spikes is None:
            continue
        path: Path_ = ("populations", name, "spikes")
        rows, times, size = _trains(context, population.spikes, path)
        more: dict[str, Any] = {}
        if population.number is not None:
            size = context.whole(population.number, 0, "populations", name, "number")
        elif population.positions is not None:
            size = len(population.positions)
        elif population.grid is None and population.density is None:
            more["number"] = float(size)
        if len(rows) and population.grid is None and population.density is None and int(rows.max()) >= size:
            raise context.error(f"there are spikes of cell {int(rows.max())}, but the population has {size} cells",
                                *path)  # fmt: skip
        id = f"{name}_trains"
        if id not in components.native:
            components.native[id] = NativeProcess(id, _GIVEN, "source", file=context.spec.source.file,
                                                  line=context.spec.source.line(path))  # fmt: skip
        components.cells[id] = id
        populations[name] = population.model_copy(update={"cell": id, **more})
        order = np.argsort(times, kind="stable")
        columns[name] = Given(rows[order], times[order])
    return (model.model_copy(update={"populations": populations}) if columns else model), columns


def _trains(context: Context, said: Trains, path: Path_) -> tuple[npt.NDArray[Any], npt.NDArray[Any], int]:
    """Rows, times (ms), and the number of cells."""
    if said.times is not None:
        counts = [len(train) for train in said.times]
        rows = np.repeat(np.arange(len(counts)), counts)
        times = np.array([t for train in said.times for t in train], float)
        size = len(counts)
    else:
        path = (*path, "file")
        try:
            spikes = read_results(file_of(context.spec, str(said.file), *path)).spikes
        except ModelError as error:
            raise context.error(f"'{said.file}': {error.message}", *path) from None
        known = list(spikes.populations)
        chosen = said.population if said.population is not None else known[0] if len(known) == 1 else None
        if chosen is None or chosen not in known:
            hint = nearest(str(chosen), known) if chosen is not None else ""
            raise context.error(f"'{said.file}' has {'no population ' + repr(chosen) if chosen else 'several'}"
                                f"{hint or '; there are ' + (', '.join(known) or 'none')}", *path[:-1],
                                *(("population",) if chosen is not None else ()))  # fmt: skip
        first, size = spikes.populations[chosen]
        here = (spikes.gid >= first) & (spikes.gid < first + size)
        rows, times = spikes.gid[here] - first, spikes.time[here] * _MS
    bad = ~(np.isfinite(times) & (times >= 0))
    if bad.any():
        raise context.error(f"{times[bad][0]:g} is no time of a spike; expected ms, not negative", *path)
    return rows, times, size

"""Fields as stimuli: their course in time as numbers, and the cells that they act on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph.fields import ImposedField
from .context import Context, Path_, used_names
from .evaluate import Column
from .listed import file_of
from .select import Selections
from .space import Cells
from .vocabulary import Course, PointElectrode, UniformField

Floats = npt.NDArray[np.float64]


def imposed(context: Context, cells: Cells, select: Selections, name: str) -> list[ImposedField]:
    """The fields of one stimulus, one for each population. Raises NetworkError for what cannot be."""
    item: Any = context.spec.model.stimuli[name]
    path: Path_ = ("stimuli", name)
    rows = select(item.to, *path, "to")
    times, course = _course(context, item, path)
    source = context.spec.source
    more: dict[str, Any] = {"file": source.file, "line": source.line(path)}
    if isinstance(item, UniformField):
        vector = np.array([context.number(v, "", *path, "direction", i) for i, v in enumerate(item.direction)])
        if not np.linalg.norm(vector) > 0:
            raise context.error("the direction is zero", *path, "direction")
        more |= {"vector": tuple((vector / np.linalg.norm(vector)).tolist())}
        values = course * context.number(item.amplitude, "V_per_m", *path, "amplitude")
        place, word = item.origin, "origin"
    else:
        conductivity = context.number(item.conductivity, "S_per_m", *path, "conductivity")
        if not conductivity > 0:
            raise context.error(f"it is {conductivity:g} S/m; it must be more than zero", *path, "conductivity")
        more |= {"conductivity": conductivity}
        values = course * context.number(item.amplitude, "uA", *path, "amplitude")
        place, word = item.position, "position"
    origin = tuple(context.number(v, "um", *path, word, i) for i, v in enumerate(place))
    kind = "uniform" if isinstance(item, UniformField) else "point"
    population = cells.population_of(rows)
    touched = np.unique(population)
    return [
        ImposedField(name if len(touched) == 1 else f"{name}_{cells.names[which]}", cells.names[which],
                     rows[population == which] - cells.offsets[which], kind, (origin[0], origin[1], origin[2]), times,
                     values, **more)
        for which in touched
    ]  # fmt: skip


def _course(context: Context, item: UniformField | PointElectrode, path: Path_) -> tuple[Floats, Floats]:
    """Times (ms) and values of a course that is listed, in a file, or a formula of t."""
    path, course = (*path, "course"), item.course
    if isinstance(course, Course):
        return _listed(context, course, path)
    if not isinstance(course, str) or "t" not in used_names(course):
        return np.zeros(1), np.array([context.number(course, "", *path)])
    if "t" in context.parameters:
        raise context.error("'t' is the time here, and a parameter is called so, too; rename the parameter", *path)
    run = context.spec.model.run
    if run is None:
        raise context.error("a formula of t needs a 'run' that says how long", *path)
    dt, duration = context.number(run.dt, "ms", "run", "dt"), context.number(run.duration, "ms", "run", "duration")
    # steps look at the field in their middle
    times = np.arange(2 * round(duration / dt) + 3).astype(float) * (dt / 2)
    values = context.column(course, "", len(times), lambda name: Column(times, None) if name == "t" else None, ("t",),
                            path)  # fmt: skip
    return times, np.broadcast_to(values, times.shape).astype(float)


def _listed(context: Context, course: Course, path: Path_) -> tuple[Floats, Floats]:
    if course.file is not None:
        file = file_of(context.spec, course.file, *path, "file")
        try:
            table = np.loadtxt(file, ndmin=2, dtype=float, delimiter="," if file.suffix == ".csv" else None)
        except ValueError:
            table = np.zeros((0, 0))
        if table.ndim != 2 or table.shape[1] != 2 or not len(table):
            raise context.error(f"'{course.file}' must have two numbers a line: time (ms) and value", *path, "file")
        times, values = table[:, 0].astype(float), table[:, 1].astype(float)
    else:
        times, values = np.array(course.times, float), np.array(course.values, float)
    if not (np.isfinite(times).all() and np.isfinite(values).all()):
        raise context.error("there are numbers that are not finite", *path)
    if (np.diff(times) < 0).any():
        raise context.error(f"the times decrease at {times[1:][np.diff(times) < 0][0]:g} ms", *path)
    return times, values

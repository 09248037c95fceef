"""Results out of what other programs' files hold: traces on several time axes, spikes by population."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DocumentError
from ..report import Report
from .results import Results, SpikeTrains, Traces


@dataclass(frozen=True)
class Column:
    """One trace as it was read: ``time`` (n,) in s, ``values`` (n,) in the SI ``unit``."""

    quantity: str
    unit: str
    time: np.ndarray
    values: np.ndarray


def traces_of(columns: Iterable[Column], file: str, report: Report | None) -> Traces:
    """Columns as Traces. Those that are not sampled as most of them are, or have a name again, are noted as lost.

    Raises DocumentError if a time axis does not increase.
    """
    groups: list[tuple[np.ndarray, list[Column]]] = []
    seen: set[str] = set()
    for column in columns:
        if len(column.time) != len(column.values):
            raise DocumentError(
                f"'{column.quantity}' has {len(column.values)} values at {len(column.time)} times", file=file
            )
        if column.quantity in seen:
            _lost(report, file, f"'{column.quantity}' is there twice; the first one is kept")
            continue
        seen.add(column.quantity)
        for time, members in groups:
            if time is column.time or np.array_equal(time, column.time):
                members.append(column)
                break
        else:
            groups.append((column.time, [column]))
    if not groups:
        return Traces.empty()
    time, kept = max(groups, key=lambda group: len(group[1]))
    for other, members in groups:
        if other is not time:
            names = ", ".join(c.quantity for c in members[:3]) + (", ..." if len(members) > 3 else "")
            _lost(report, file, f"{len(members)} traces ({names}) are sampled at other times than the rest; left out")
    try:
        return Traces(time, np.array([c.values for c in kept], float).reshape(len(kept), len(time)),
                      tuple(c.quantity for c in kept), tuple(c.unit for c in kept))  # fmt: skip
    except ValueError as fault:
        raise DocumentError(f"these are no traces: {fault}", file=file) from None


def _lost(report: Report | None, file: str, message: str) -> None:
    if report is not None:
        report.add("trace-left-out", "loss", message, file=file)


def trains_of(
    spikes: Mapping[str, tuple[np.ndarray, np.ndarray]], sizes: Mapping[str, int] | None = None
) -> SpikeTrains:
    """SpikeTrains of (cell index, time in s) by population; gids are dense from 0 in the order of the populations.

    ``sizes`` are the sizes of populations where they are known: a population is at least as large as its last index.
    """
    sizes = sizes or {}
    first, gids, times = 0, [np.empty(0, np.int64)], [np.empty(0)]
    populations: dict[str, tuple[int, int]] = {}
    for name in dict.fromkeys([*sizes, *spikes]):
        index, time = spikes.get(name, (np.empty(0, np.int64), np.empty(0)))
        size = max(int(sizes.get(name, 0)), int(index.max()) + 1 if len(index) else 0)
        populations[name] = (first, size)
        gids.append(np.asarray(index, np.int64) + first)
        times.append(np.asarray(time, float))
        first += size
    return SpikeTrains(np.concatenate(gids), np.concatenate(times), populations)


def by_population(results: Results) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(cell index, time in s) by population, each by time; spikes of gids in no population are under ""."""
    trains, found = results.spikes, {}
    rest = np.ones(len(trains), bool)
    for name, (first, size) in trains.populations.items():
        mine = (trains.gid >= first) & (trains.gid < first + size)
        rest &= ~mine
        found[name] = (trains.gid[mine] - first, trains.time[mine])
    if rest.any():
        found[""] = (trains.gid[rest], trains.time[rest])
    return found


def regular_step(time: np.ndarray) -> float | None:
    """The step of a time axis (s) if all steps are equal to a millionth of it, else None (also for under two times)."""
    if len(time) < 2:
        return None
    step = float(time[-1] - time[0]) / (len(time) - 1)
    ideal = time[0] + step * np.arange(len(time))
    return float(f"{step:.12g}") if np.allclose(time, ideal, rtol=1e-12, atol=1e-6 * step) else None


def plain(value: Any) -> Any:
    """A value of a provenance as JSON can hold it."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)

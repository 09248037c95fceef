"""What a run gives: traces, spike trains, and where they came from. All numbers are SI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..report import Report
from .outputs import Outputs

_PIECE = 1 << 18  # values that are looked at at once


def _frozen(array: Any, dtype: type, dimensions: int) -> np.ndarray:
    """A read-only array of this type and number of dimensions."""
    result: np.ndarray = np.ascontiguousarray(array, dtype)
    if result.ndim != dimensions:
        raise ValueError(f"an array of {dimensions} dimensions was expected, not one of shape {result.shape}")
    result = result.view()
    result.flags.writeable = False
    return result


def _ordered(values: np.ndarray, then: np.ndarray | None = None, strictly: bool = False) -> bool:
    """Whether values grow, equal ones by ``then``; looked at in pieces, as they may be on disk and many."""
    for start in range(0, len(values) - 1, _PIECE):
        steps = np.diff(values[start : start + _PIECE + 1])
        if strictly:
            good = steps > 0
        elif then is None:
            good = steps >= 0
        else:
            good = (steps > 0) | ((steps == 0) & (np.diff(then[start : start + _PIECE + 1]) >= 0))
        if not good.all():
            return False
    return True


@dataclass(frozen=True, eq=False)
class Traces:
    """Quantities over time: ``time`` (n,) in s, ``values`` (k, n) in SI, one row a quantity.

    ``quantities`` are LEMS paths ("pop[0]/v"), ``units`` the SI symbols ("V", "" for pure numbers). Time increases.
    """

    time: np.ndarray
    values: np.ndarray
    quantities: tuple[str, ...]
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", _frozen(self.time, float, 1))
        object.__setattr__(self, "values", _frozen(self.values, float, 2))
        object.__setattr__(self, "quantities", tuple(self.quantities))
        object.__setattr__(self, "units", tuple(self.units) or ("",) * len(self.quantities))
        if self.values.shape != (len(self.quantities), len(self.time)) or len(self.units) != len(self.quantities):
            raise ValueError(
                f"{len(self.quantities)} quantities with {len(self.units)} units at {len(self.time)} times "
                f"do not fit values of shape {self.values.shape}"
            )
        if len(set(self.quantities)) != len(self.quantities):
            raise ValueError("a quantity is there twice")
        if not _ordered(self.time, strictly=True):
            raise ValueError("the times do not increase")

    @classmethod
    def empty(cls) -> Traces:
        """No quantities and no times."""
        return cls(np.empty(0), np.empty((0, 0)), ())

    def __getitem__(self, quantity: str) -> np.ndarray:
        """The values (n,) of one quantity; KeyError with the nearest names if it was not recorded."""
        return self.values[self.row(quantity)]

    def row(self, quantity: str) -> int:
        """The row of ``values`` that holds a quantity."""
        try:
            return self.quantities.index(quantity)
        except ValueError:
            from difflib import get_close_matches

            near = get_close_matches(quantity, self.quantities, 3) or list(self.quantities[:3])
            hint = f"; recorded are {', '.join(near)}" + (", ..." if len(self.quantities) > len(near) else "")
            raise KeyError(f"'{quantity}' was not recorded{hint if near else ''}") from None

    def unit(self, quantity: str) -> str:
        """The SI unit of one quantity."""
        return self.units[self.row(quantity)]

    def __contains__(self, quantity: object) -> bool:
        return quantity in self.quantities

    def __iter__(self) -> Iterator[str]:
        return iter(self.quantities)

    def __len__(self) -> int:
        return len(self.quantities)

    def __repr__(self) -> str:
        span = f" from {self.time[0]:g} to {self.time[-1]:g} s" if len(self.time) else ""
        return f"<Traces: {len(self)} quantities at {len(self.time)} times{span}>"


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """Spikes of all recorded cells, by time: ``gid`` int64 (m,), ``time`` float64 (m,) in s.

    ``populations`` maps a population's id to (first gid, size); a cell's index is its gid less the first one.
    """

    gid: np.ndarray
    time: np.ndarray
    populations: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        gid, time = np.asarray(self.gid, np.int64), np.asarray(self.time, float)
        if gid.shape != time.shape:
            raise ValueError(f"{gid.shape} gids do not fit {time.shape} times")
        if not _ordered(time, gid):
            order = np.lexsort((gid, time))
            gid, time = gid[order], time[order]
        object.__setattr__(self, "gid", _frozen(gid, np.int64, 1))
        object.__setattr__(self, "time", _frozen(time, float, 1))
        object.__setattr__(self, "populations", dict(self.populations))

    @classmethod
    def empty(cls) -> SpikeTrains:
        """No spikes and no populations."""
        return cls(np.empty(0, np.int64), np.empty(0))

    def of(self, population: str, index: int | None = None) -> np.ndarray:
        """Spike times (s) of a population, or of its cell with this row index."""
        try:
            first, size = self.populations[population]
        except KeyError:
            known = ", ".join(self.populations) or "none"
            raise KeyError(f"there is no population '{population}'; there are: {known}") from None
        if index is None:
            return self.time[(self.gid >= first) & (self.gid < first + size)]
        if not 0 <= index < size:
            raise IndexError(f"population '{population}' has {size} cells; there is no index {index}")
        return self.of_gid(first + index)

    def of_gid(self, gid: int) -> np.ndarray:
        """Spike times (s) of one cell."""
        return self.time[self.gid == gid]

    def counts(self) -> dict[str, int]:
        """The number of spikes of each population."""
        return {name: len(self.of(name)) for name in self.populations}

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"<SpikeTrains: {len(self)} spikes of {len(np.unique(self.gid))} cells>"


@dataclass(frozen=True, eq=False)
class Results:
    """Traces and spikes of one run, with their provenance.

    ``provenance`` has what is needed to know which run this was: the program's hash, versions, dt (s), duration (s),
    seed, backend, ranks. ``phases`` maps read, compile, instantiate, simulate and save to {"seconds", "peak_mb"}.
    ``outputs`` is what the simulation asked to be saved and shown, ``files`` are those that were written.
    ``results["pop[0]/v"]`` is ``results.traces["pop[0]/v"]``.
    """

    traces: Traces = field(default_factory=Traces.empty)
    spikes: SpikeTrains = field(default_factory=SpikeTrains.empty)
    provenance: dict[str, Any] = field(default_factory=dict)
    phases: dict[str, dict[str, float]] = field(default_factory=dict)
    outputs: Outputs = field(default_factory=Outputs)
    files: tuple[Path, ...] = ()
    report: Report = field(default_factory=Report)

    @property
    def time(self) -> np.ndarray:
        """Times of the traces (n,), s."""
        return self.traces.time

    def __getitem__(self, quantity: str) -> np.ndarray:
        return self.traces[quantity]

    def to_neo(self) -> Any:
        """The results as a ``neo.Block``, for elephant; raises UsageError without Neo."""
        from .formats.neo import to_neo

        return to_neo(self)

    def summary(self) -> dict[str, Any]:
        """What there is, as plain values for JSON: counts, phases, provenance, files, notes."""
        return {
            "traces": len(self.traces),
            "times": len(self.time),
            "spikes": len(self.spikes),
            "spikes_by_population": self.spikes.counts(),
            "phases": self.phases,
            "provenance": self.provenance,
            "files": [str(path) for path in self.files],
            "notes": self.report.to_json(),
        }

    def __repr__(self) -> str:
        lines = [f"<Results: {self.traces!r}, {self.spikes!r}"]
        if self.provenance:
            facts = [name for name in ("backend", "dt", "duration", "seed", "ranks") if name in self.provenance]
            lines.append("  " + ", ".join(f"{name} {self.provenance[name]}" for name in facts))
        if self.spikes.populations:
            lines.append("  spikes: " + ", ".join(f"{name} {count}" for name, count in self.spikes.counts().items()))
        if self.phases:
            lines.append("  " + ", ".join(f"{name} {phase['seconds']:.2f} s" for name, phase in self.phases.items()))
        return "\n".join(lines) + ">"

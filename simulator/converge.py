"""How far a run is from the limit of small steps: the same model at dt, dt/2, dt/4 ...

Each run is compared with the finest one, on the times of the coarsest. The observed order p comes from the last two
differences d1, d2 of successive halvings: p = log2(d1 / d2) (Roache 1994, J. Fluids Eng. 116:405).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..results import Results
from .backend import Progress
from .run import simulate

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One quantity or population: ``errors`` (one a step size, the finest left out) against the finest run.

    For a trace the root mean square of the difference, in SI; for a population the greatest shift of a spike in ms, NaN
    where the numbers of spikes differ. ``order`` is the observed order of convergence, NaN where it cannot be told.
    """

    name: str
    kind: str  # "trace" or "spikes"
    errors: tuple[float, ...]
    order: float
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Convergence:
    """``steps`` are the dt (ms) from the model's own to the finest, which the errors are measured against."""

    steps: tuple[float, ...]
    series: tuple[Series, ...]

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON; NaN as None."""

        def plain(value: float) -> float | None:
            return None if math.isnan(value) else value

        series = [
            asdict(s) | {"errors": [plain(e) for e in s.errors], "order": plain(s.order)} for s in self.series
        ]  # fmt: skip
        return {"steps_ms": list(self.steps), "series": series}


def converge(
    model: str | Path, *, dt: float | None = None, halvings: int = 3, progress: Progress | None = None, **options: Any
) -> Convergence:
    """Run ``model`` at dt (ms; None: the document's), dt/2 ... dt/2^``halvings`` and compare.

    ``options`` are those of ``simulate``. Raises UsageError for fewer than two halvings, and what ``simulate`` raises.
    A model with random input converges only where its random numbers do not depend on the step.
    """
    if halvings < 2:
        raise UsageError(f"{halvings} halvings tell nothing; at least 2 are needed")
    first = simulate(model, dt=dt, progress=progress, **options)
    own = float(first.provenance["dt"]) * 1e3
    steps = [own / 2**n for n in range(halvings + 1)]
    runs = [first, *(simulate(model, dt=step, progress=progress, **options) for step in steps[1:])]
    series = [_trace(quantity, runs) for quantity in first.traces.quantities]
    series += [_spikes(name, runs) for name in first.spikes.populations if any(len(r.spikes.of(name)) for r in runs)]
    return Convergence(tuple(steps), tuple(series))


def _trace(quantity: str, runs: Sequence[Results]) -> Series:
    values = [run[quantity][:: 2**n] for n, run in enumerate(runs)]
    length = min(len(v) for v in values)
    values = [v[:length] for v in values]
    return Series(quantity, "trace", tuple(_rms(v - values[-1]) for v in values[:-1]), _order(values))


def _spikes(name: str, runs: Sequence[Results]) -> Series:
    """Spikes are matched by cell and rank."""
    times, sizes = [], tuple(len(run.spikes.of(name)) for run in runs)
    for run in runs:
        offset, size = run.spikes.populations[name]
        mine = (run.spikes.gid >= offset) & (run.spikes.gid < offset + size)
        order = np.lexsort((run.spikes.time[mine], run.spikes.gid[mine]))
        times.append((run.spikes.gid[mine][order], run.spikes.time[mine][order] * 1e3))
    last_gids, last = times[-1]
    errors = [
        float(np.abs(t - last).max()) if np.array_equal(g, last_gids) else math.nan for g, t in times[:-1]
    ]  # fmt: skip
    alike = all(np.array_equal(g, last_gids) for g, _ in times[-3:])
    return Series(name, "spikes", tuple(errors), _order([t for _, t in times]) if alike else math.nan, sizes)


def _rms(difference: Floats) -> float:
    return float(np.sqrt(np.mean(difference**2))) if len(difference) else 0.0


def _order(values: Sequence[Floats]) -> float:
    one, two = (_rms(values[-k] - values[-k + 1]) for k in (3, 2))
    return math.log2(one / two) if one > 0 and two > 0 else math.nan

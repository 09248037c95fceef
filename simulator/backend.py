"""What a backend is: a program that runs models, behind three functions.

``check`` says everything that the backend cannot do before anything is generated, ``lower`` turns a network into a
Program, ``run`` runs that Program and gives raw results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .program import Program

if TYPE_CHECKING:
    from ..graph import Network
    from ..report import Report

# Called as progress(phase, done, total) with phases "compile", "build", "simulate" and "save".
Progress = Callable[[str, float, float], None]


@dataclass(frozen=True, eq=False)
class Block:
    """What a run recorded since the block before: samples from ``first`` on, and spikes that come after all earlier.

    ``time`` (n,) s; ``columns`` (k, n) SI; ``spike_gids`` and ``spike_times`` (m,) s, sorted by time, then gid.
    """

    first: int
    time: NDArray[np.float64]
    columns: NDArray[np.float64]
    spike_gids: NDArray[np.int64]
    spike_times: NDArray[np.float64]


Follow = Callable[[Block], None]
"""Called with block after block while a run goes on; together they are all that it records."""


@dataclass(frozen=True)
class Checkpointing:
    """A run that can be taken up again: ``folder`` keeps it, ``steps`` are from one checkpoint to the next.

    ``resume``: go on from the newest checkpoint in the folder, if there is one; ``steps`` 0 is then as it was.
    """

    folder: Path
    steps: int = 0
    resume: bool = False


@dataclass(frozen=True, eq=False)
class RawResults:
    """What a run leaves: times, recorded columns and spikes, all in SI units; the arrays may be on disk.

    ``time`` (n,) s; ``columns`` (k, n), one row per recording; ``spike_gids`` int64 and ``spike_times`` (m,) s, sorted
    by time, then gid. ``phases`` maps compile, build, simulate and save to {"seconds", "peak_mb"}; memory is the sum
    over the ranks, seconds those of the slowest, and "cpu" what its processor took. ``notes`` are remarks
    of the run; ``hash`` is that of its Program.
    """

    time: NDArray[np.float64]
    columns: NDArray[np.float64]
    spike_gids: NDArray[np.int64]
    spike_times: NDArray[np.float64]
    phases: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ranks: int = 1
    hash: str = ""

    def __repr__(self) -> str:
        k, n = self.columns.shape
        return f"<RawResults: {k} columns of {n} samples, {len(self.spike_times)} spikes, {self.ranks} rank(s)>"


Runner = Callable[..., RawResults]
"""What runs a Program, with the arguments of ``neuron.launch.run_program``."""


class Backend(Protocol):
    """A program that runs models."""

    name: str
    features: frozenset[str]

    def check(self, network: Network, report: Report) -> None:
        """Raise UnsupportedError for what cannot be run, note in the report what will be approximated."""

    def lower(self, network: Network, **settings: Any) -> Program:
        """The Program for this network; a pure function."""

    def run(self, program: Program, *, ranks: int = 1, progress: Progress | None = None) -> RawResults:
        """Run it; raises SimulatorError."""

"""Simulation: how long to run a network, in which steps, and what to keep of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..errors import UsageError
from .outputs import EventOutputFile, OutputFile, Outputs


@dataclass(frozen=True)
class Simulation:
    """Run settings of a network, wherever they were stated: a netpyne simConfig, a declarative model, Python.

    ``duration`` and ``dt`` in ms; every ``record_every``-th step of a trace is kept. ``method`` is a key of
    ``simulator.run.METHODS`` ("implicit" is NEURON's own default). ``v_init`` (mV) is where native cells start unless
    they say otherwise. ``outputs`` names what is recorded and the files that it goes to. Raises UsageError for times
    that cannot be.
    """

    duration: float
    dt: float = 0.025
    seed: int = 1
    method: str | None = None
    v_init: float | None = None
    record_every: int = 1
    cvode: tuple[float, float] | None = None
    """absolute and relative tolerance of variable steps; None: fixed steps"""
    outputs: Outputs = field(default_factory=Outputs)

    def __post_init__(self) -> None:
        for name in ("duration", "dt"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise UsageError(f"{name} is {value:g} ms; it must be more than zero")
        if self.record_every < 1:
            raise UsageError(f"record_every is {self.record_every}; it must be at least 1")


def saved(traces: dict[str, list[str]], cells: list[str], spikes: str = "spikes.dat") -> Outputs:
    """Outputs by file name: ``traces`` maps a file to the quantities in its columns; ``cells`` are the paths
    ("pop[0]") of those whose spikes go to the file ``spikes`` as ``ID_TIME`` lines, with the path as the id."""
    files = tuple(
        OutputFile(name, name, tuple((quantity, quantity) for quantity in quantities))
        for name, quantities in traces.items()
    )
    selections = tuple((cell, cell, "spike") for cell in cells)
    return Outputs(files, (EventOutputFile(spikes, spikes, "ID_TIME", selections),) if selections else ())

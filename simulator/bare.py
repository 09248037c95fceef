"""A file that holds a network and states no run: what the caller says of it, with the spikes of all cells recorded."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError
from ..graph import Network
from ..results import EventOutputFile, Outputs, Simulation

USUAL = 0.025  # ms, where no step is given


def stated(
    path: Path, network: Network, duration: float | None, dt: float | None, seed: int | None, method: str | None
) -> Simulation:
    """How to run ``network``, which ``path`` holds. Raises UsageError without a ``duration``."""
    if duration is None:
        raise UsageError(
            f"{path}: the file has a network, but no Simulation that says how to run it; say --duration (and --dt; "
            f"{USUAL:g} ms if not), or write the model as LEMS, which states its run: build MODEL -o LEMS_x.xml"
        )
    ids = tuple(
        (str(population.offset + index), f"{population.id}[{index}]", "spike")
        for population in network.populations.values() for index in range(population.size)
    )  # fmt: skip
    name = f"{path.name.partition('.')[0]}.spikes"
    files = (EventOutputFile("spikes", name, "TIME_ID", ids),) if ids else ()
    step, usual = USUAL if dt is None else dt, Simulation.seed
    return Simulation(duration, step, usual if seed is None else seed, method, outputs=Outputs((), files))

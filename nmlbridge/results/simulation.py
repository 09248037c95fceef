"""Simulation: how long to run a network, in which steps, and what to keep of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..element import Element
from ..errors import UsageError
from .electrodes import Electrodes
from .outputs import EventOutputFile, OutputFile, Outputs

MAX_STEPS = 1e12  # a thousand years of computing


def check_steps(duration: float, dt: float) -> None:
    """UsageError for a run (ms) of more steps than anyone can wait for."""
    if duration / dt > MAX_STEPS:
        raise UsageError(
            f"{duration:g} ms in steps of {dt:g} ms are more than {MAX_STEPS:g} steps; take a longer dt"
        )


@dataclass(frozen=True)
class Simulation:
    """Run settings of a network, wherever they were stated: a netpyne simConfig, a declarative model, Python.

    ``duration`` and ``dt`` in ms; every ``record_every``-th step of a trace is kept. ``method`` is a key of
    ``simulator.run.METHODS`` ("implicit" is NEURON's own default). ``v_init`` (mV) is where native cells start unless
    they say otherwise. ``outputs`` names what is recorded and the files that it goes to, ``electrodes`` what is seen
    outside the cells. Raises UsageError for times that cannot be.
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
    electrodes: Electrodes | None = None

    def __post_init__(self) -> None:
        for name in ("duration", "dt"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise UsageError(f"{name} is {value:g} ms; it must be more than zero")
        check_steps(self.duration, self.dt)
        if self.record_every < 1:
            raise UsageError(f"record_every is {self.record_every}; it must be at least 1")


def elements_of(simulation: Simulation, target: str) -> list[Element]:
    """The Simulation and Target elements of LEMS that say the same for the network ``target``.

    ``record_every``, ``method``, ``v_init`` and ``electrodes`` have no place in LEMS and are left out.
    """
    said = {"id": "sim", "length": f"{simulation.duration!r} ms", "step": f"{simulation.dt!r} ms", "target": target,
            "seed": str(simulation.seed)}  # fmt: skip
    children = []
    if simulation.cvode is not None:
        absolute, relative = simulation.cvode
        children.append(Element("Meta", {"for": "neuron", "method": "cvode", "abs_tolerance": repr(absolute),
                                         "rel_tolerance": repr(relative)}))  # fmt: skip
    for number, file in enumerate(simulation.outputs.files):
        columns = [Element("OutputColumn", {"id": f"c{n}", "quantity": q}) for n, (_, q) in enumerate(file.columns)]
        children.append(Element("OutputFile", {"id": f"of{number}", "fileName": file.name}, columns))
    for number, events in enumerate(simulation.outputs.event_files):
        chosen = [
            Element("EventSelection", {"id": str(n), "select": path, "eventPort": port})
            for n, (_, path, port) in enumerate(events.selections)
        ]
        said_of = {"id": f"ef{number}", "fileName": events.name, "format": events.format}
        children.append(Element("EventOutputFile", said_of, chosen))
    return [Element("Simulation", said, children), Element("Target", {"component": "sim"})]


def settings_in(elements: list[Element]) -> Simulation | None:
    """The Simulation that LEMS elements state, as far as plain attributes tell; None if there is none."""
    element = next((e for e in elements if e.tag == "Simulation" or e.get("type") == "Simulation"), None)
    if element is None:
        return None
    length, step = (_milliseconds(element.get(name)) for name in ("length", "step"))
    if length is None or step is None:
        return None
    files = tuple(
        OutputFile(f.get("id") or "", f.get("fileName") or "", tuple(
            (c.get("id") or "", c.get("quantity") or "") for c in f.findall("OutputColumn")))
        for f in element.findall("OutputFile")
    )  # fmt: skip
    seed = element.get("seed") or "1"
    return Simulation(length, step, seed=int(seed) if seed.isdigit() else 1, outputs=Outputs(files))


def _milliseconds(text: str | None) -> float | None:
    for unit, factor in (("ms", 1.0), ("us", 1e-3), ("s", 1e3)):
        if text and text.strip().endswith(unit):
            try:
                return float(text.strip().removesuffix(unit)) * factor
            except ValueError:
                return None
    return None


def saved(traces: dict[str, list[str]], cells: list[str], spikes: str = "spikes.dat") -> Outputs:
    """Outputs by file name: ``traces`` maps a file to the quantities in its columns; ``cells`` are the paths
    ("pop[0]") of those whose spikes go to the file ``spikes`` as ``ID_TIME`` lines, with the path as the id."""
    files = tuple(
        OutputFile(name, name, tuple((quantity, quantity) for quantity in quantities), named=True)
        for name, quantities in traces.items()
    )
    selections = tuple((cell, cell, "spike") for cell in cells)
    return Outputs(files, (EventOutputFile(spikes, spikes, "ID_TIME", selections),) if selections else ())

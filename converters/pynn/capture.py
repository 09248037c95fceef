"""A program of its own: runs a PyNN script on a simulator that computes nothing, and writes the network that it built.

    python -m nmlbridge.converters.pynn.capture REQUEST ANSWER

Whatever simulator the script asks for, it gets ``pyNN.mock``. At its first ``run`` the script ends: what stands then is
the network, how long it would have run the simulation. REQUEST names the "script" and the "model", a LEMS file to be
written; ANSWER holds the notes, or an error with its place. It is run by ``script.py``, never imported.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import NmlBridgeError
from ...registry import formats
from ...report import Report
from ...results import Simulation, elements_of, saved
from .read import Reader

SIMULATORS = ("neuron", "nest", "brian2", "brian", "arbor", "moose", "nemo", "neuroml")


class Built(BaseException):
    """The network is built; what would follow is simulation. No Exception, so that ``except Exception`` lets it by."""


class Capture:
    """What a script has made, in its order."""

    def __init__(self) -> None:
        self.populations: list[Any] = []
        self.projections: list[Any] = []
        self.injected: list[tuple[Any, Any]] = []
        self.duration = self.step = 0.0

    def listen(self, mock: Any) -> None:
        """Have the functions and classes of a simulator tell what they do."""
        _after(mock.Population, "__init__", lambda made, *rest, **more: self.populations.append(made))
        _after(mock.Projection, "__init__", lambda made, *rest, **more: self.projections.append(made))
        for name in ("DCSource", "ACSource", "StepCurrentSource", "NoisyCurrentSource"):
            source = getattr(mock, name)
            source.inject_into = lambda made, cells: self.injected.append((made, cells))
        setup = mock.setup

        def begin(timestep: Any = 0.1, *rest: Any, **more: Any) -> Any:
            self.step = float(timestep) if isinstance(timestep, (int, float)) else 0.1
            return setup(timestep, *rest, **more)

        def run(duration: float, *rest: Any, **more: Any) -> None:
            self.duration = float(duration)
            raise Built

        mock.setup = begin
        mock.run = mock.run_for = mock.run_until = run

    def network(self, id: str, report: Report) -> Any:
        """The network, with the run and what is recorded."""
        reader = Reader(id, report)
        inputs: dict[int, tuple[Any, list[Any]]] = {}
        for source, cells in self.injected:
            whole = hasattr(cells, "grandparent") or cells in self.populations
            inputs.setdefault(source_key(source), (source, []))[1].append(cells if whole else _view(cells))
        network = reader.network(self.populations, self.projections, inputs.values())
        if self.duration > 0:
            traces, spikes = self._recorded(reader, report)
            files = {"v.dat": traces} if traces else {}
            simulation = Simulation(self.duration, self.step or 0.1, outputs=saved(files, spikes))
            network.simulation = elements_of(simulation, id)
        return network

    def _recorded(self, reader: Reader, report: Report) -> tuple[list[str], list[str]]:
        """Paths of the cells whose voltage and whose spikes are recorded."""
        paths: dict[str, list[str]] = {"v": [], "spikes": []}
        for population in self.populations:
            ids, owner, within = reader.places[str(population.label)]
            for variable, cells in population.recorder.recorded.items():
                name = str(getattr(variable, "name", variable))
                if name not in paths:
                    report.add("pynn-recorded", "loss", f"'{name}' is not recorded; v and spikes are",
                               component=str(population.label))  # fmt: skip
                    continue
                for cell in sorted(population.id_to_index(each) for each in cells):
                    place = f"{ids[int(owner[cell])]}[{int(within[cell])}]"
                    paths[name].append(place if name == "spikes" else f"{place}/v")
        return paths["v"], paths["spikes"]


def source_key(source: Any) -> int:
    """What tells one source from another; PyNN's compare by value or not at all."""
    return id(source)


def _view(cells: Any) -> Any:
    """Cells given one by one, as a view of their population."""
    several = list(cells) if hasattr(cells, "__iter__") else [cells]
    parent = several[0].parent
    return parent[[parent.id_to_index(cell) for cell in several]]


def _after(owner: type, name: str, tell: Callable[..., None]) -> None:
    """Have a method of a class tell of each call, once it is done."""
    method = getattr(owner, name)

    def called(self: Any, *rest: Any, **more: Any) -> None:
        method(self, *rest, **more)
        tell(self, *rest, **more)

    setattr(owner, name, called)


def main(request: Path, answer: Path) -> int:
    """Run the script and write what it built; the exit code of the process."""
    asked = json.loads(request.read_text())
    script, target = Path(asked["script"]), Path(asked["model"])
    import pyNN
    import pyNN.mock as mock

    captured, report = Capture(), Report()
    captured.listen(mock)
    for name in SIMULATORS:
        sys.modules[f"pyNN.{name}"] = mock
        setattr(pyNN, name, mock)
    sys.argv = [str(script), "mock"]
    sys.path.insert(0, str(script.parent))
    os.chdir(script.parent)
    found: dict[str, Any] = {}
    try:
        try:
            runpy.run_path(str(script), run_name="__main__")
        except Built:
            pass
        network = captured.network("network", report)
        formats()["lems"].write(network, target)
    except NmlBridgeError as fault:
        found = {"error": str(fault), "line": None}
    except BaseException as fault:
        lines = [frame.lineno for frame in traceback.extract_tb(fault.__traceback__) if frame.filename == str(script)]
        line = getattr(fault, "lineno", None) or (lines[-1] if lines else None)
        found = {"error": f"{type(fault).__name__}: {fault}", "line": line}
    found["notes"] = [[n.code, n.severity, n.message, n.component] for n in report.notes]
    answer.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(word) for word in sys.argv[1:3])))

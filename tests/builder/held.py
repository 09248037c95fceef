"""What each rank of a run really holds: its NetCons as NEURON has them, its point processes, its spikes and traces.

As a script this is one rank: it runs a Program as the worker does, and writes down what NEURON then has.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmlbridge.graph import Network
from nmlbridge.report import Report
from nmlbridge.results import Simulation
from nmlbridge.simulator.neuron.compile import compile_mods
from nmlbridge.simulator.neuron.launch import environment
from nmlbridge.simulator.neuron.mpi import launch_command
from nmlbridge.simulator.neuron.shares import divide
from nmlbridge.simulator.program import Program
from nmlbridge.simulator.run import lowered_of

EDGE = np.dtype([("group", "<i8"), ("row", "<i8"), ("source", "<i8"), ("target", "<i8"), ("section", "<i8"),
                 ("x", "<f8"), ("weight", "<f8"), ("delay", "<f8")])  # fmt: skip
POINT = np.dtype([("group", "<i8"), ("row", "<i8"), ("gid", "<i8"), ("section", "<i8"), ("x", "<f8")])


@dataclass
class Held:
    """All ranks together, in order; ``counts`` are the edges of each rank."""

    program: Program
    edges: np.ndarray[Any, Any]
    points: np.ndarray[Any, Any]
    spikes: np.ndarray[Any, Any]
    traces: np.ndarray[Any, Any]
    counts: list[int]


def held(network: Network, simulation: Simulation, ranks: int) -> Held:
    """Run a network on so many ranks, and gather what each of them has in NEURON."""
    program = lowered_of(network, simulation, Report()).program
    library = compile_mods(program.mods)
    starter, extra = launch_command(ranks) if ranks > 1 else ([], {})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        program.save(folder / "program")
        divide(program, ranks).save(folder / "program")
        command = [*starter, sys.executable, "-P", __file__, str(folder), str(library or ""), str(ranks)]
        done = subprocess.run(command, env=environment(extra), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        parts = [dict(np.load(folder / f"held-{rank}.npz")) for rank in range(ranks)]
        spikes = np.concatenate([np.fromfile(folder / f"spikes-{rank}.bin", [("gid", "<i8"), ("time", "<f8")])
                                 for rank in range(ranks)])  # fmt: skip
        edges, points = (np.sort(np.concatenate([part[name] for part in parts])) for name in ("edges", "points"))
        return Held(program, edges, points, np.sort(spikes, order=("time", "gid")), np.load(folder / "columns.npy"),
                    [len(part["edges"]) for part in parts])  # fmt: skip


def _rank(folder: Path, library: str, ranks: int) -> None:
    from nmlbridge.simulator.neuron import worker

    class Told(worker.Network):
        """Remembers which rows its NetCons are."""

        def build(self) -> None:
            self.made = []
            super().build()

    worker.Network = Told  # type: ignore[misc]
    run = worker.Run(folder / "program", folder, Path(library) if library else None, ranks, False, 0, False)
    net = run.network
    homes = {section: (gid, number) for gid, cell in net.cells.items() for number, section in enumerate(cell.sections)}

    def place(thing: Any) -> tuple[int, int, float]:
        """(gid, section, x) of a point process; an artificial cell is nowhere."""
        if not thing.has_loc():
            return -1, -1, 0.0
        segment = thing.get_segment()
        return (*homes.get(segment.sec, (-2, -2)), segment.x)

    edges = []
    for number, rows, first in net.made or ():
        spec = run.program.spec["netcons"][number]
        slots = range(np.atleast_2d(run.program.column(spec["weight"])[rows].T).shape[0])
        for turn, row in enumerate(rows.tolist()):
            netcon = net.netcons[first + turn]
            weights = [netcon.weight[slot] for slot in slots]
            edges.append((number, row, netcon.srcgid(), *place(netcon.syn()), sum(weights), netcon.delay))
    points = [(number, row, *place(member)) for number, spec in enumerate(run.program.spec.get("points", ()))
              for row, member in net.groups[spec["id"]].members.items()]  # fmt: skip
    np.savez(folder / f"held-{run.rank}.npz", edges=np.array(edges, EDGE), points=np.array(points, POINT))
    run.simulate()
    run.save()
    if ranks > 1:
        run.h.quit()


if __name__ == "__main__":
    _rank(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

"""A built network that waits for commands: run it, change it, run it again, all in one process (of each rank).

The process that asked for it writes command N as ``command-N.json``, with arrays in ``command-N.npz``, and the number N
as a line on the standard input of rank 0, which tells the other ranks. When it is done, rank 0 says ``{"answer": N}``.
What is recorded goes to a folder of each run, as in ``worker``; spikes are there in ms, as NEURON has them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from .record import ColumnFile

if TYPE_CHECKING:
    from .worker import Run

MARK = "@nmlbridge "
Arrays = Mapping[str, NDArray[Any]]


def serve(run: Run) -> None:
    """Do what the commands say until there are none."""
    server = _Server(run)
    server.answer(0)
    while (number := server.next()) > 0:
        text = (run.out / f"command-{number}.json").read_text()
        arrays: Arrays = {}
        if (run.out / f"command-{number}.npz").exists():
            with np.load(run.out / f"command-{number}.npz", allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        command = json.loads(text)
        getattr(server, f"do_{command['do']}")(command, arrays)
        run.pc.barrier()
        server.answer(number)


class _Server:
    def __init__(self, run: Run) -> None:
        self.run, self.network, self.pc = run, run.network, run.pc
        self.done = 0
        self.places: dict[int, NDArray[np.int64]] = {}  # of the NetCons of each group, by row; -1 is elsewhere
        self.voltages: list[tuple[Any, float]] | None = None
        run.spikes.unit = 1.0

    def next(self) -> int:
        """The number of the next command, the same on all ranks; 0 at the end."""
        number = 0
        if self.run.rank == 0:
            line = sys.stdin.readline().strip()
            number = int(line) if line.isdigit() else 0
        if self.run.ranks > 1:
            told = self.run.h.Vector([number])
            self.pc.broadcast(told, 0)
            number = int(told[0])
        return number

    def answer(self, number: int) -> None:
        if self.run.rank == 0:
            sys.stdout.write(MARK + json.dumps({"answer": number, "steps": self.done}) + "\n")
            sys.stdout.flush()

    def do_start(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """From t = 0 on, into the folder ``out``."""
        run, out = self.run, Path(command["out"])
        if run.rank == 0:
            out.mkdir()
        run.recorder.drop()
        run.recorder.seen = 0
        run.spikes.drop()
        if run.field is not None:
            run.field.go_on(0, 0)
        self.pc.barrier()
        run.output = ColumnFile(out / "columns.npy", run.columns, run.shape.samples, create=run.rank == 0)
        self.pc.barrier()
        run.output.open()
        run.spikes.path = out / f"spikes-{run.rank}.bin"
        run.spikes.open()
        run.recorder.fill_constants(run.output)
        self._as_new()
        run.scheme.initialise()
        if run.field is not None:
            run.field.keep()
        self.done = 0
        self._take()

    def do_advance(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """So many steps more."""
        run, left = self.run, int(command["steps"])
        chunk = max(1, int(64e6 / 8 / max(run.columns, 1)))
        while left:
            count = min(left, chunk)
            run.scheme.advance(self.done, count)
            self.done += count
            left -= count
            self._take()

    def _as_new(self) -> None:
        """Voltages, ions and random streams as they were when all was new; NEURON initialises the rest."""
        network = self.network
        if self.voltages is None:
            self.voltages = [
                (segment, segment.v) for cell in network.cells.values() for section in cell.sections
                for segment in section.allseg()
            ]  # fmt: skip
            return
        for segment, v in self.voltages:
            segment.v = v
        for population in self.run.program.spec.get("populations", ()):
            if "template" in population:
                for gid in network.local(population["first_gid"], population["size"]):
                    network.template(population, gid).again(network.cells[gid])
        for stream in network.streams:
            stream.set_seq(0)

    def _take(self) -> None:
        self.run.recorder.take(self.run.output)
        if self.run.field is not None:
            self.run.field.take(self.run.output)
        self.run.spikes.take()

    def do_stop(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """The run is over: its files are complete."""
        self.run.output.close()
        self.run.spikes.close()

    # changes: each names rows of a table of the Program, and has a value for each -------------------------------------

    def do_netcons(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """Weights or delays of rows of a group of connections."""
        number, what = command["number"], command["what"]
        places = self._places(number)[arrays["rows"]]
        here = places >= 0
        for place, value in zip(places[here].tolist(), arrays["values"][here].tolist(), strict=True):
            netcon = self.network.netcons.o(place)
            if what == "weight":
                netcon.weight[0] = value
            else:
                netcon.delay = value

    def _places(self, number: int) -> NDArray[np.int64]:
        if number not in self.places:
            program = self.run.program
            size = len(program.column(program.spec["netcons"][number]["source_gid"]))
            places = np.full(size, -1, np.int64)
            for group, rows, first in self.network.made or ():
                if group == number:
                    places[rows] = first + np.arange(len(rows))
            self.places[number] = places
        return self.places[number]

    def do_plastic(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """A variable of the adjusters of a plastic projection; a weight is at once what events act with."""
        adjusters, name = self.network.adjusters[command["id"]], command["variable"]
        for row, value in zip(arrays["rows"].tolist(), arrays["values"].tolist(), strict=True):
            if row in adjusters:
                setattr(adjusters[row], name, value)
                if name == "w0":
                    adjusters[row].w = adjusters[row].target = value

    def do_field(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """Another course of an imposed field."""
        assert self.network.imposed is not None
        self.network.imposed.courses[command["number"]] = arrays["times"], arrays["values"]

    def do_points(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """A variable of rows of a group of point processes, generators or cells."""
        groups = self.network.generators if command["of"] == "generators" else self.network.groups
        members, (name, _, index) = groups[command["id"]].members, command["variable"].partition("[")
        for row, value in zip(arrays["rows"].tolist(), arrays["values"].tolist(), strict=True):
            if row not in members:
                continue
            if index:
                getattr(members[row], name)[int(index.rstrip("]"))] = value
            else:
                setattr(members[row], name, value)

    def do_membrane(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """A variable of a mechanism in sections of cells, a value for each cell, or for each compartment of all."""
        name, mechanism, sections = command["variable"], command["mechanism"], command["sections"]
        for number, gid in enumerate(arrays["gids"].tolist()):
            cell = self.network.cells.get(gid)
            if cell is None:
                continue
            inside = [s for s in cell.sections if self.run.h.ismembrane(mechanism, sec=s)] if sections is None else [
                cell.sections[index] for index in sections
            ]  # fmt: skip
            if not inside:
                raise SimulatorError(f"cell {gid} has no mechanism '{mechanism}'")
            segments = [segment for section in inside for segment in section]
            along = arrays["along"].tolist() if "along" in arrays else [float(arrays["values"][number])] * len(segments)
            for segment, value in zip(segments, along, strict=True):
                setattr(segment, f"{name}_{mechanism}", value)

    def do_call(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """A procedure of a mod file, of each of some processes or compartments, in the order of the rows. What it
        returns is written: row, section, compartment, value."""
        name, mechanism, arguments = command["procedure"], command["mechanism"], command["arguments"]
        rows = arrays["rows"].tolist()
        found: list[tuple[int, int, int, float]] = []
        gives = float if command["gives"] else (lambda _: 0.0)  # NEURON answers for PROCEDUREs, too
        try:
            if command["kind"] == "membrane":
                found = self._call_in_sections(name, mechanism, command["sections"], rows, arguments, gives)
            else:
                members = self._callable(command, rows)
                for row in rows:
                    if members.get(row) is not None:
                        found.append((row, 0, 0, gives(getattr(members[row], name)(*arguments))))
        except (AttributeError, RuntimeError, TypeError) as fault:
            raise SimulatorError(f"the procedure '{name}' of '{mechanism}' failed: {fault}") from None
        np.save(self.run.out / f"{command['file']}-{self.run.rank}.npy", np.array(found, float).reshape(-1, 4),
                allow_pickle=False)  # fmt: skip

    def _callable(self, command: Mapping[str, Any], rows: list[int]) -> Mapping[int, Any]:
        """The processes that a command to call means, by the rows that it has."""
        network, kind = self.network, command["kind"]
        if kind == "own":
            return {gid: network.cells[gid].points[command["index"]] for gid in rows if gid in network.cells}
        if kind == "plastic":
            return {row: each.adjuster for row, each in network.adjusters[command["id"]].items()}
        members: Mapping[int, Any] = (network.generators if kind == "generators" else network.groups)[
            command["id"]
        ].members
        return members

    def _call_in_sections(
        self,
        name: str,
        mechanism: str,
        sections: list[int],
        gids: list[int],
        arguments: list[float],
        gives: Callable[[Any], float],
    ) -> list[tuple[int, int, int, float]]:
        h = self.run.h
        at, procedure = getattr(h, f"setdata_{mechanism}"), getattr(h, f"{name}_{mechanism}")
        found = []
        for gid in gids:
            cell = self.network.cells.get(gid)
            parts = () if cell is None else [(index, cell.sections[index]) for index in sections]
            for index, section in parts:
                for number, segment in enumerate(() if section is None else section):
                    at(segment)
                    found.append((gid, index, number, gives(procedure(*arguments))))
        return found

    def do_weights(self, command: Mapping[str, Any], arrays: Arrays) -> None:
        """Write the present weights of a projection that this rank has: rows and values."""
        found: dict[int, float] = {}
        if command["kind"] == "plastic":
            found = {row: adjuster.w for row, adjuster in self.network.adjusters[command["id"]].items()}
        elif command["kind"] == "points":
            members = self.network.groups[command["id"]].members
            found = {row: getattr(members[row], command["variable"]) for row in members}
        else:
            places = self._places(command["number"])
            for row in np.flatnonzero(places >= 0).tolist():
                found[row] = self.network.netcons.o(int(places[row])).weight[0]
        rows = np.array(list(found), np.int64)
        both = np.stack([rows.astype(float), np.array([found[row] for row in found])])
        np.save(self.run.out / f"{command['file']}-{self.run.rank}.npy", both, allow_pickle=False)

"""Recording: values at every step into columns on disk, spikes into a file of each rank.

NEURON appends one value a step to a Vector for each recorded variable (25 ns each), and two for each spike. After
every chunk of steps the Vectors are copied into the output files and emptied, so memory does not grow with the length
of the simulation.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from .build import Network
from .places import home_section
from .ranks import template_of
from .words import meant, variables


class Recorder:
    """The recorded columns that belong to this rank; to be made after the network is built, before initialisation."""

    def __init__(
        self, network: Network, recordings: Sequence[Mapping[str, Any]], every: int, times: NDArray[np.float64] | None
    ) -> None:
        """``every``: keep one step of so many; ``times`` (ms): record then, for variable steps."""
        self.network, self.every = network, every
        self.times = None if times is None else network.h.Vector(times)
        self.vectors: list[Any] = []
        self.columns: list[tuple[int, float, list[tuple[int, float]]]] = []  # row, offset, (vector, scale) of terms
        self.constants: list[tuple[int, float]] = []
        self.known: dict[tuple[object, ...], int] = {}
        self.not_finite: set[int] = set()
        for recording in recordings:
            self._add(recording)
        self.seen = 0  # samples taken from the Vectors so far

    def _add(self, recording: Mapping[str, Any]) -> None:
        row, scale, offset = recording["column"], recording.get("scale", 1.0), recording.get("offset", 0.0)
        if "constant" in recording:
            if self.network.rank == 0:
                self.constants.append((row, recording["constant"] * scale + offset))
            return
        parts = recording.get("terms")
        parts = [(recording, scale)] if parts is None else [(p, p.get("scale", 1.0) * scale) for p in parts]
        if not parts:
            raise SimulatorError(f"column {row} is a sum of nothing")
        homes = {self._home(part) for part, _ in parts}
        if len(homes) > 1:
            raise SimulatorError(f"column {row} adds up variables of different cells, which may be on different ranks")
        if homes == {self.network.rank}:
            self.columns.append((row, offset, [(self._vector(part), factor) for part, factor in parts]))

    def _home(self, place: Mapping[str, Any]) -> int:
        """The rank that has the variable."""
        if "at" in place:
            return 0  # every rank has the whole space outside
        network = self.network
        if "gid" in place:
            return int(network.placement.at(*(np.array([number]) for number in self._place(place)))[0])
        key = "points" if "points" in place else "generators"
        groups = network.groups if key == "points" else network.generators
        try:
            gid, row = int(groups[place[key]].gids[place["index"]]), np.array([place["index"]])
        except (KeyError, IndexError):
            raise SimulatorError(f"a recording refers to {_said(place)}, which is not there") from None
        if gid not in network.placement.cuts:
            return network.placement.of(gid)
        if key == "points":
            found = network.places.target({"points": place[key]}, row)
        else:
            entries = network.program.spec["generators"]
            found = network.places.of(next(each for each in entries if each["id"] == place[key]), row)
        return int(network.placement.at(*found)[0])

    def _place(self, place: Mapping[str, Any]) -> tuple[int, int]:
        """Cell and section of a place on a cell."""
        gid = int(place["gid"])
        if gid not in self.network.placement.cuts:
            return gid, 0
        template = template_of(self.network.program, gid)
        if "template_point" in place:
            return gid, int(template["points"][place["template_point"]]["section"])
        if "plastic" in place:
            return gid, home_section(template)
        section = int(place["section"])
        if not 0 <= section < len(template["sections"]):
            raise SimulatorError(f"a recording refers to {_said(place)}, which is not there")
        return gid, section

    def _vector(self, place: Mapping[str, Any]) -> int:
        """Index of the Vector that records this variable; each variable is recorded once."""
        key = tuple(tuple(v) if isinstance(v := place.get(k), list) else v for k in _KEYS)
        if key not in self.known:
            vector = self.network.h.Vector()
            pointer = self._pointer(place)
            if self.times is None:
                vector.record(pointer)
            else:
                vector.record(pointer, self.times)
            self.known[key] = len(self.vectors)
            self.vectors.append(vector)
        return self.known[key]

    def _pointer(self, place: Mapping[str, Any]) -> Any:
        network, name = self.network, f"_ref_{place.get('variable')}"
        try:
            if "species" in place:
                assert network.chemistry is not None
                return network.chemistry.pointer(place)
            if "plastic" in place:
                return getattr(network.adjusters[place["plastic"]][place["row"]], name)
            if "points" in place:
                return getattr(network.groups[place["points"]].members[place["index"]], name)
            if "generators" in place:
                return getattr(network.generators[place["generators"]].members[place["index"]], name)
            if place.get("artificial"):
                return getattr(self._artificial(place["gid"]), name)
            cell = network.cells[place["gid"]]
            if "template_point" in place:
                return getattr(cell.points[place["template_point"]], name)
            segment = cell.sections[place["section"]](place["x"])
            mechanism = place.get("mechanism")
            return getattr(segment, f"{name}_{mechanism}" if mechanism and not mechanism.endswith("_ion") else name)
        except (AttributeError, LookupError):
            raise SimulatorError(f"a recording refers to {_said(place)}{self._named(place)}, which is not there"
                                 + self._meant(place)) from None  # fmt: skip

    def _named(self, place: Mapping[str, Any]) -> str:
        """The cell and the section by their names, in brackets, where there is one."""
        cell = self.network.cells.get(place.get("gid", -1))
        section = place.get("section")
        if cell is None or section is None or not 0 <= section < len(cell.sections):
            return ""
        gid, told = place["gid"], ""
        for population in self.network.program.spec.get("populations", ()):
            if population["first_gid"] <= gid < population["first_gid"] + population["size"]:
                told = f"cell {population['id']}[{gid - population['first_gid']}], "
        return f" ({told}section '{cell.sections[section].name().rpartition('.')[2]}')"

    def _meant(self, place: Mapping[str, Any]) -> str:
        mechanism = place.get("mechanism")
        if not mechanism or mechanism.endswith("_ion"):
            return ""
        return meant(str(place["variable"]), variables(self.network.h, mechanism, (1, 2, 3)))

    def _artificial(self, gid: int) -> Any:
        for group in self.network.groups.values():
            if group.mechanism in self.network.artificial and len(group.gids):
                if group.gids[0] <= gid <= group.gids[-1]:
                    return group.members[gid - int(group.gids[0])]
        raise LookupError

    def fill_constants(self, output: ColumnFile) -> None:
        """Write the columns that never change."""
        for row, value in self.constants:
            output.write(row, 0, np.full(output.samples, value))

    def take(self, output: ColumnFile) -> None:
        """Move the samples since the last call into ``output``, converted to SI."""
        if self.vectors:
            kept = 0 if self.times is None else self.seen  # what a Vector that records at given times still holds
            count = len(self.vectors[0]) - kept
            skip = -self.seen % self.every
            start = -(-self.seen // self.every)
            stop = min(start + len(range(skip, count, self.every)), output.samples)
            raw = [vector.as_numpy()[kept + skip :: self.every][: stop - start] for vector in self.vectors]
            for row, offset, terms in self.columns:
                value = raw[terms[0][0]] * terms[0][1]
                for index, scale in terms[1:]:
                    value += raw[index] * scale
                value += offset
                output.write(row, start, value)
                if len(value) and not math.isfinite(value[-1]):
                    self.not_finite.add(row)
            del raw
            if self.times is None:
                self.drop()
            self.seen += count

    def drop(self) -> None:
        """Forget what waits in the Vectors."""
        for vector in self.vectors:
            vector.resize(0)


class ColumnFile:
    """A .npy file of shape (columns, samples) that several processes write into, each its own rows.

    Plain writes, not a mapped array: the pages of a map would count as memory of the process.
    """

    def __init__(self, path: Path, columns: int, samples: int, create: bool = False) -> None:
        self.path, self.samples = path, samples
        if create and columns:
            np.lib.format.open_memmap(path, "w+", np.float64, (columns, samples)).flush()
        elif create:
            np.save(path, np.zeros((0, samples)), allow_pickle=False)
        self.columns = columns
        self.stream: io.FileIO | None = None

    def open(self) -> None:
        """Once the file is there, get ready to write."""
        self.stream = io.FileIO(self.path, "r+")
        self.start = self.path.stat().st_size - 8 * self.columns * self.samples  # after the header

    def write(self, row: int, first: int, values: NDArray[np.float64]) -> None:
        """Put ``values`` into a row from sample ``first`` on."""
        assert self.stream is not None
        place = self.start + 8 * (row * self.samples + first)
        data = memoryview(values.tobytes())
        while data:
            written = os.pwrite(self.stream.fileno(), data, place)
            data, place = data[written:], place + written

    def close(self) -> None:
        """Nothing more will be written by this process."""
        if self.stream is not None:
            self.stream.close()


class Spikes:
    """Times and gids of the events of chosen sources on this rank, appended to a file of this rank as SPIKE records."""

    def __init__(self, network: Network, wanted: object, path: Path, unit: float = 1e-3) -> None:
        """``unit``: what a ms is in the file."""
        h, pc = network.h, network.pc
        self.path, self.unit = path, unit
        self.times, self.gids = h.Vector(), h.Vector()
        if isinstance(wanted, str) and wanted == "all":
            chosen = sorted(network.sources)
        else:
            gids = network.program.column(wanted) if isinstance(wanted, str) else np.asarray(wanted or [], dtype=int)
            chosen = sorted(network.sources.intersection(gids.tolist()))
        if chosen:
            pc.spike_record(h.Vector(chosen), self.times, self.gids)

    def open(self, keep: int = 0) -> None:
        """Get ready to append after the first ``keep`` records."""
        self.stream = io.FileIO(self.path, "a+")
        self.stream.truncate(keep * SPIKE.itemsize)
        self.count = keep

    def take(self) -> None:
        """Move what was recorded since the last call into the file."""
        records = np.empty(len(self.gids), SPIKE)
        records["gid"], records["time"] = self.gids.as_numpy(), self.times.as_numpy() * self.unit
        data = memoryview(records.tobytes())
        while data:
            data = data[self.stream.write(data) :]
        self.count += len(records)
        self.drop()

    def drop(self) -> None:
        """Forget what waits in the Vectors."""
        self.gids.resize(0)
        self.times.resize(0)

    def close(self) -> None:
        """Nothing more will be written."""
        self.stream.close()


SPIKE = np.dtype([("gid", "<i8"), ("time", "<f8")])
"""One record of a rank's file of spikes: gid, and time in s."""

_KEYS = (
    *("gid", "section", "x", "mechanism", "variable"),
    *("points", "generators", "index", "template_point", "artificial", "plastic", "row"),
    *("species", "region", "at"),
)


def _said(place: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {place[key]}" for key in _KEYS if place.get(key) is not None)

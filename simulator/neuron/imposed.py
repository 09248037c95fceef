"""Potentials that are imposed from outside, as the currents inside of the cells that they amount to.

Where the outside of a cable is held at potentials e, the equations of its membrane are those of the cable without a
field, and a current into each compartment: the sum over its neighbours of (e there - e here) / axial resistance (the
activating function: Rattay 1986, IEEE Trans. Biomed. Eng. 33:974). That is what NEURON's ``extracellular`` computes
with its outer layers at zero resistance; as currents it keeps the quick solver of trees, second-order steps, and the
same last bits on any number of ranks, which a matrix over all cells of a rank does not.

A step of NEURON looks at currents in its middle. So after each step, and at initialisation, the currents of all
compartments in the middle of the next step are made, as columns, and scattered over clamps. Where steps vary, or
CoreNEURON makes them, NEURON plays the courses (``played``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .outline import outline
from .played import play_shares, play_sums
from .shape import define_shape

if TYPE_CHECKING:
    from .build import Network
    from .template import Cell

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Node = tuple[int, int]  # section and compartment; -1 and nseg are the ends of a section, which have no membrane


class Imposed:
    """The fields on this rank's cells; to be made when the cells are there, before initialisation."""

    def __init__(self, network: Network, fields: Sequence[Mapping[str, Any]]) -> None:
        self.network, h = network, network.h
        self.axial: dict[str, Axial] = {}  # of each population
        self.rows: dict[int, slice] = {}  # of each cell
        self.segments: list[Any] = []
        self.clamps: list[Any] = []
        parts = [self._part(field) for field in fields]
        self.shares = np.zeros((len(fields), len(self.segments)))
        for share, part in zip(self.shares, parts, strict=True):
            for rows, currents in part:
                share[rows] += currents
        self.courses = [(network.program.column(f["times"]), network.program.column(f["values"])) for f in fields]
        run = network.program.spec["run"]
        self.stepped = bool(self.segments) and not run.get("cvode") and not run.get("coreneuron")
        if not self.segments:
            return
        if run.get("cvode"):
            self.kept = play_shares(h, self.segments, self.shares, self.courses)
            return
        for segment in self.segments:
            clamp = h.IClamp(segment)
            clamp.delay, clamp.dur, clamp.amp = 0, 1e12, 0
            self.clamps.append(clamp)
        if run.get("coreneuron"):
            self.kept = play_sums(h, self.clamps, self.shares, self.courses)
            return
        self.pointers, self.values = h.PtrVector(len(self.clamps)), h.Vector(len(self.clamps))
        for index, clamp in enumerate(self.clamps):
            self.pointers.pset(index, clamp._ref_amp)
        self.view = self.values.as_numpy()
        self.callback = self._set
        h.CVode().extra_scatter_gather(0, self.callback)
        network.handlers.append(h.FInitializeHandler(0, self._start))

    def _part(self, field: Mapping[str, Any]) -> list[tuple[slice, Floats]]:
        """The compartments of each cell and their currents (nA) for a course of 1."""
        network, name = self.network, field["population"]
        rows = network.program.column(field["rows"])
        places = network.program.column(field["positions"]) if "positions" in field else None
        found = []
        for number, row in enumerate(rows.tolist()):
            gid = field["first_gid"] + row
            cell = network.cells.get(gid)
            if cell is None:
                continue
            if any(not network.h.n3d(sec=section) for section in cell.sections):
                define_shape(network)
            if name not in self.axial:
                self.axial[name] = Axial.of(cell)
            if gid not in self.rows:
                self.rows[gid] = slice(len(self.segments), len(self.segments) + self.axial[name].count)
                self.segments += [segment for section in cell.sections for segment in section]
            place = np.zeros(3) if places is None else places[number]
            for bare in field.get("upright", ()):
                network.stand(gid, bare, place)
            ends, diameters = outline(network.h, cell)
            middle = ends.mean(axis=2)
            if places is not None and "upright" not in field:
                middle = middle + places[number]
            found.append((self.rows[gid], self.axial[name].currents(potential(field, middle, diameters / 2))))
        return found

    def _start(self) -> None:
        self.at(0)

    def at(self, steps: int) -> None:
        """So many steps are done."""
        if self.stepped:
            self.steps = steps - 1
            self._set()

    def _set(self) -> None:
        """Another step is done (NEURON's t does not tell inside of psolve): impose what the next one needs."""
        self.steps += 1
        middle = (self.steps + 0.5) * self.network.dt
        self.view[:] = 0.0
        for share, (times, values) in zip(self.shares, self.courses, strict=True):  # a matrix product would sum in an
            self.view += share * np.interp(middle, times, values)  # order that depends on the number of compartments
        self.pointers.scatter(self.values)


def potential(field: Mapping[str, Any], places: Floats, radii: Floats) -> Floats:
    """Potentials (mV) at places (n, 3), um, for 1 V/m or 1 uA; a point is never nearer than a segment's surface."""
    away = places - np.array(field["origin"])
    if field["kind"] == "uniform":
        return np.asarray(-1e-3 * (away @ np.array(field["vector"])), float)
    distance = np.maximum(np.linalg.norm(away, axis=1), radii)
    return np.asarray(1e3 / (4 * np.pi * field["conductivity"] * distance), float)


@dataclass(frozen=True)
class Axial:
    """What joins the compartments of a kind of cell, in the order of sections and along them.

    ``pairs`` (n, 2) are neighbours with the conductances ``between`` (uS); ``ends`` and ``spokes`` say which
    compartment has which conductance to a node without membrane, such as a branch point, ``hubs`` which node that is.
    """

    count: int
    pairs: Ints
    between: Floats
    hubs: Ints
    ends: Ints
    spokes: Floats

    @classmethod
    def of(cls, cell: Cell) -> Axial:
        """Read off a cell in NEURON."""
        index = {section: number for number, section in enumerate(cell.sections)}
        starts = np.concatenate([[0], np.cumsum([section.nseg for section in cell.sections])])
        pairs, between, hubs, ends, spokes = [], [], [], [], []
        numbers: dict[Node, int] = {}

        def join(here: int, node: Node, conductance: float) -> None:
            if 0 <= node[1] < cell.sections[node[0]].nseg:
                pairs.append((here, int(starts[node[0]]) + node[1]))
                between.append(conductance)
            else:
                hubs.append(numbers.setdefault(node, len(numbers)))
                ends.append(here)
                spokes.append(conductance)

        for number, section in enumerate(cell.sections):
            order = list(range(section.nseg))
            if section.orientation():  # it is joined to its parent by its end 1
                order.reverse()
            before = _above(cell, index, number)
            for place in order:
                segment = section((place + 0.5) / section.nseg)
                join(int(starts[number]) + place, before, 1 / segment.ri())
                before = (number, place)
            far = -1 if section.orientation() else section.nseg
            join(int(starts[number]) + order[-1], (number, far), 1 / section(float(far > 0)).ri())
        return cls(
            int(starts[-1]), np.array(pairs, np.int64).reshape(-1, 2), np.array(between), np.array(hubs, np.int64),
            np.array(ends, np.int64), np.array(spokes),
        )  # fmt: skip

    def currents(self, potentials: Floats) -> Floats:
        """The currents (nA) into compartments whose outside has these potentials (mV).

        A node without membrane passes on what it gets: for its neighbours it is as if its outside had the mean of
        theirs, by conductance.
        """
        into = np.zeros(self.count)
        flow = self.between * (potentials[self.pairs[:, 1]] - potentials[self.pairs[:, 0]])
        np.add.at(into, self.pairs[:, 0], flow)
        np.subtract.at(into, self.pairs[:, 1], flow)
        if len(self.hubs):
            mean = np.bincount(self.hubs, self.spokes * potentials[self.ends]) / np.bincount(self.hubs, self.spokes)
            np.add.at(into, self.ends, self.spokes * (mean[self.hubs] - potentials[self.ends]))
        return into


def _above(cell: Cell, index: Mapping[Any, int], number: int) -> Node:
    """The node that a section begins at."""
    section = cell.sections[number]
    parent = section.parentseg()
    if parent is None:
        return (number, -1)
    above = index[parent.sec]
    count, x = parent.sec.nseg, parent.x
    if 0 < x < 1:
        return (above, min(int(x * count), count - 1))
    far = 0.0 if parent.sec.orientation() else 1.0
    if x == far:
        return (above, count if x else -1)
    return _above(cell, index, above)  # at the beginning of its parent, where that begins

"""Extracellular potentials and dipole moments, as the run goes on: one matrix times the transmembrane currents.

NEURON sums each segment's currents, capacitive ones included, in ``i_membrane_`` (nA). A PtrVector gathers those of
this rank's segments after each recorded step; CoreNEURON, which calls nobody back, fills a Vector for each segment, and
so does cvode at the times of the samples. Blocks of steps are multiplied with the matrix (rows, segments) of the
forward models, and the ranks' products are added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...extras import require
from .build import Network
from .outline import Outline, outline, points_of
from .record import ColumnFile
from .shape import define_shape
from .template import Cell

Floats = NDArray[np.float64]
_STEPS = 64  # that are multiplied at once
_CELLS = 20_000  # segments that LFPykit is given at once


class Field:
    """What the electrodes see; to be made after the network is built, before initialisation."""

    def __init__(
        self, network: Network, spec: Mapping[str, Any], every: int, times: Floats | None = None
    ) -> None:  # fmt: skip
        """``spec`` is "electrodes" of a Program; every ``every``-th step is kept, or what is at ``times`` (ms)."""
        self.network, self.spec, self.every = network, spec, every
        h = network.h
        self.cvode = h.CVode()
        self.cvode.use_fast_imem(1)
        self.spans: list[tuple[int, int]] = []
        segments, self.matrix = self._matrices()
        self.count = len(segments)
        self.seen = self.filled = 0
        self.done: list[Floats] = []
        self.recorded: list[Any] = []
        self.clock: Any = None
        self.varying = times is not None
        if self.varying or network.program.spec["run"].get("coreneuron"):  # each current is recorded
            self.when = [] if times is None else [h.Vector(times)]
            self.recorded = [h.Vector().record(segment._ref_i_membrane_, *self.when) for segment in segments]
            self.clock = h.Vector().record(h._ref_t, *self.when)
            self.taken = 0  # steps taken from the Vectors so far
            return
        self.pointers = h.PtrVector(max(self.count, 1))
        self.values = h.Vector(max(self.count, 1))
        for index, segment in enumerate(segments):
            self.pointers.pset(index, segment._ref_i_membrane_)
        self.steps = 0
        self.waiting = np.zeros((_STEPS, self.count))
        self.view = self.values.as_numpy()
        self.callback = self._step
        self.cvode.extra_scatter_gather(0, self.callback)

    def _matrices(self) -> tuple[list[Any], Floats]:
        """The segments of this rank, and the matrix (contacts and axes of the dipole, segments): V and A m for each nA.

        ``spans`` gets the columns of all and of each view.
        """
        network, spec = self.network, self.spec
        segments: list[Any] = []
        ends, diameters, roots = [], [], []
        columns: dict[int, tuple[int, int]] = {}
        for gid, (shape, diameter) in self._placed():
            ends.append(shape)
            diameters.append(diameter)
            roots.append(len(segments))
            segments += [segment for section in network.cells[gid].sections for segment in section]
            columns[gid] = (roots[-1], len(segments))
        for first, size in ((0, 0), *spec["views"]):
            mine = [columns[gid] for gid in network.local(first, size) if gid in columns]
            self.spans.append((mine[0][0], mine[-1][1]) if mine else (0, 0))
        self.spans[0] = (0, len(segments))
        self.contacts = len(network.program.column(spec["positions"]))
        rows = self.contacts + 3 * spec["dipole"]
        if not segments:
            return [], np.zeros((rows, 0))
        outlines, diam = np.concatenate(ends), np.concatenate(diameters)
        field = self._potentials(outlines, diam, np.array(roots))
        dipole = outlines.mean(axis=2).T * 1e-15 if spec["dipole"] else np.zeros((0, len(diam)))
        return segments, np.ascontiguousarray(np.concatenate([field, dipole]))

    def _placed(self) -> Iterator[tuple[int, Outline]]:
        """The cells of this rank, population by population: gid and outline, where the cell is."""
        network, spec = self.network, self.spec
        everyone = [network.cells[gid] for p in spec["populations"] for gid in network.local(p["first_gid"], p["size"])]
        bare = any(not network.h.n3d(sec=section) for cell in everyone for section in cell.sections)
        if bare or spec["shapes"] != "given":
            define_shape(network)
        for population in spec["populations"]:
            places = network.program.column(population["positions"]) if "positions" in population else None
            shared = spec["shapes"] == "shared"
            yield from (self._shared if shared else self._each)(population, places)

    def _each(self, population: Mapping[str, Any], places: Floats | None) -> Iterator[tuple[int, Outline]]:
        first, turns = population["first_gid"], None
        if "turns" in population:
            turns = _matrices(self.network.program.column(population["turns"]))
        for gid in self.network.local(first, population["size"]):
            shape, diameter = outline(self.network.h, self.network.cells[gid])
            place = np.zeros(3) if places is None else places[gid - first]
            if turns is not None:  # about the cell's own origin
                shape = np.einsum("ij,sje->sie", turns[gid - first], shape - place[:, None] * population["moved"])
                shape = shape + place[:, None]
            elif not population["moved"]:
                shape = shape + place[:, None]
            yield gid, (shape, diameter)

    def _shared(self, population: Mapping[str, Any], places: Floats | None) -> Iterator[tuple[int, Outline]]:
        """As NetPyNE places segments: sections that have no points lie along y; the first cell stands for all."""
        network, h, first = self.network, self.network.h, population["first_gid"]
        mine = list(network.local(first, population["size"]))
        for gid in mine:
            place = np.zeros(3) if places is None else places[gid - first]
            for number in population["bare"]:
                network.stand(gid, number, place)
        model = None
        if first in mine:
            center = _soma(h, network.cells[first], population["somata"])
            shape, diameter = outline(h, network.cells[first], center, stored=True)
            model = (shape, diameter)
        if network.ranks > 1:
            owner = int(network.pc.allreduce(network.rank if first in mine else 0, 1))
            model = network.pc.py_broadcast(model, owner)
        for gid in mine:
            assert model is not None
            place = _soma(h, network.cells[gid], population["somata"])
            if places is not None and not population["moved"] and not population["bare"]:
                place = place + places[gid - first]
            yield gid, (model[0] + place[:, None], model[1])

    def _potentials(self, outlines: Floats, diameters: Floats, roots: NDArray[np.int64]) -> Floats:
        """The potentials (contacts, segments), V for each nA, by LFPykit; it gives mV."""
        lfpykit = require("lfpykit", "signals", "extracellular potentials")
        spec = self.spec
        contacts = self.network.program.column(spec["positions"])
        if not len(contacts):
            return np.zeros((0, len(diameters)))
        more: dict[str, Any] = {}
        if spec["radius"] is not None:
            normals = self.network.program.column(spec["normals"]) if "normals" in spec else None
            more = {"N": np.tile([0.0, 0.0, 1.0], (len(contacts), 1)) if normals is None else np.array(normals),
                    "r": spec["radius"], "n": spec["samples"], "contact_shape": "circle", "seedvalue": 1}  # fmt: skip

        def given(method: str, part: Any) -> Floats:
            geometry = lfpykit.CellGeometry(*(np.array(outlines[part, axis]) for axis in range(3)), diameters[part])
            place = {letter: np.array(contacts[:, axis]) for axis, letter in enumerate("xyz")}
            electrode = lfpykit.RecExtElectrode(geometry, sigma=spec["conductivity"], method=method, **place, **more)
            result: Floats = np.asarray(electrode.get_transformation_matrix()) * 1e-3
            return result

        method = spec["method"]
        plain = "linesource" if method == "root_as_point" else method
        blocks = [given(plain, slice(at, at + _CELLS)) for at in range(0, len(diameters), _CELLS)]
        field = np.concatenate(blocks, axis=1)
        if method == "root_as_point":
            field[:, roots] = given("pointsource", roots)
        return field

    def _step(self) -> None:
        """After a step: keep its currents, if it is one to be kept."""
        self.steps += 1
        if self.steps % self.every == 0:
            self.keep()

    def go_on(self, steps: int, seen: int) -> None:
        """So many steps are done, and the samples of so many are written."""
        self.steps, self.seen, self.filled, self.done = steps, seen, 0, []

    def keep(self) -> None:
        """Take the currents as they are now; to be called once after initialisation, too."""
        if self.clock is not None:
            return
        if self.count:
            self.pointers.gather(self.values)
            self.waiting[self.filled] = self.view
        self.filled += 1
        if self.filled == _STEPS:
            self._multiply()

    def _recorded(self) -> None:
        """Take what the Vectors hold; those that record at given times cannot be emptied."""
        count = len(self.clock)
        kept = range(self.taken, count) if self.varying else range(-self.taken % self.every, count, self.every)
        for at in range(0, len(kept), _STEPS):
            steps = kept[at : at + _STEPS]
            part = slice(steps.start, steps.stop, steps.step)
            currents = [vector.as_numpy()[part] for vector in self.recorded]
            self._product(np.array(currents).reshape(self.count, len(steps)).T)
        if self.varying:
            self.taken = count
            return
        for vector in (*self.recorded, self.clock):
            vector.resize(0)
        self.taken += count

    def _multiply(self) -> None:
        self._product(self.waiting[: self.filled])
        self.filled = 0

    def _product(self, currents: Floats) -> None:
        """What currents (steps, segments), nA, give: all and each view, in the order of the columns."""
        parts = [self.matrix[:, a:b] @ currents[:, a:b].T for a, b in self.spans]
        self.done.append(np.concatenate([part[: self.contacts] for part in parts]
                                        + [part[self.contacts :] for part in parts]))  # fmt: skip

    def take(self, output: ColumnFile) -> None:
        """Add up what the ranks have and write it; all ranks have kept the same steps."""
        if self.clock is not None:
            self._recorded()
        elif self.filled:
            self._multiply()
        if not self.done:
            return
        values = np.concatenate(self.done, axis=1)
        self.done = []
        if self.network.ranks > 1:
            total = self.network.h.Vector(values.ravel())
            self.network.pc.allreduce(total, 1)
            values = np.asarray(total.as_numpy()).reshape(values.shape)
        count = min(values.shape[1], output.samples - self.seen)
        if self.network.rank == 0:
            for row, series in enumerate(values):
                output.write(self.spec["first_column"] + row, self.seen, series[:count])
        self.seen += count


def _soma(h: Any, cell: Cell, somata: Sequence[int]) -> Floats:
    """The mean of the points of the soma's sections."""
    middle: Floats = np.concatenate([points_of(h, cell.sections[number]) for number in somata]).mean(axis=0)
    return middle


def _matrices(quaternions: Floats) -> Floats:
    """Rotations (n, 3, 3) of unit quaternions (n, 4), w first."""
    w, x, y, z = quaternions.T
    rows = [[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]]  # fmt: skip
    return np.moveaxis(np.array(rows), 2, 0)

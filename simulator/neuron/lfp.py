"""Extracellular potentials and dipole moments, as the run goes on: one matrix times the transmembrane currents.

NEURON sums each segment's currents, capacitive ones included, in ``i_membrane_`` (nA). A PtrVector gathers those of
this rank's segments after each recorded step; blocks of steps are multiplied with the matrix (rows, segments) of the
forward models, and the ranks' products are added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ...extras import require
from .build import Network
from .record import ColumnFile
from .template import Cell

Floats = NDArray[np.float64]
_STEPS = 64  # that are multiplied at once
_CELLS = 20_000  # segments that LFPykit is given at once


class Field:
    """What the electrodes see; to be made after the network is built, before initialisation."""

    def __init__(self, network: Network, spec: Mapping[str, Any], every: int) -> None:
        """``spec`` is "electrodes" of a Program; every ``every``-th step is kept."""
        self.network, self.spec, self.every = network, spec, every
        h = network.h
        self.cvode = h.CVode()
        self.cvode.use_fast_imem(1)
        segments, matrices = self._matrices()
        self.matrix = matrices
        self.pointers = h.PtrVector(max(len(segments), 1))
        self.values = h.Vector(max(len(segments), 1))
        for index, segment in enumerate(segments):
            self.pointers.pset(index, segment._ref_i_membrane_)
        self.count = len(segments)
        self.steps, self.seen = 0, 0
        self.waiting = np.zeros((_STEPS, self.count))
        self.filled = 0
        self.done: list[Floats] = []
        self.view = self.values.as_numpy()
        self.callback = self._step
        self.cvode.extra_scatter_gather(0, self.callback)

    def _matrices(self) -> tuple[list[Any], Floats]:
        """The segments of this rank, and the matrix (columns, segments): V and A m for each nA."""
        network, spec = self.network, self.spec
        segments: list[Any] = []
        ends, diameters, roots, owner = [], [], [], []
        unshaped = False
        for number, population in enumerate(spec["populations"]):
            places = network.program.column(population["positions"]) if "positions" in population else None
            first = population["first_gid"]
            for gid in network.local(first, population["size"]):
                cell = network.cells[gid]
                if not unshaped and any(not network.h.n3d(sec=section) for section in cell.sections):
                    network.h.define_shape()
                    unshaped = True
                shape, diameter = outline(network.h, cell)
                ends.append(shape if places is None else shape + places[gid - first][:, None])
                diameters.append(diameter)
                roots.append(len(segments))
                segments += [segment for section in cell.sections for segment in section]
                owner += [number] * len(diameter)
        if not segments:
            return [], np.zeros((spec["columns"], 0))
        outlines, diam = np.concatenate(ends), np.concatenate(diameters)
        field = self._potentials(outlines, diam, np.array(roots))
        dipole = outlines.mean(axis=2).T * 1e-15 if spec["dipole"] else np.zeros((0, len(diam)))
        parts = [[field], [dipole]]
        if spec["split"]:
            for number in range(len(spec["populations"])):
                mine = np.array(owner) == number
                parts[0].append(field * mine)
                parts[1].append(dipole * mine)
        return segments, np.ascontiguousarray(np.concatenate(parts[0] + parts[1]))

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

    def keep(self) -> None:
        """Take the currents as they are now; to be called once after initialisation, too."""
        if self.count:
            self.pointers.gather(self.values)
            self.waiting[self.filled] = self.view
        self.filled += 1
        if self.filled == _STEPS:
            self._multiply()

    def _multiply(self) -> None:
        self.done.append(self.matrix @ self.waiting[: self.filled].T)
        self.filled = 0

    def take(self, output: ColumnFile) -> None:
        """Add up what the ranks have and write it; all ranks have kept the same steps."""
        if self.filled:
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


def outline(h: Any, cell: Cell) -> tuple[Floats, Floats]:
    """Where a cell's segments begin and end, (segments, 3, 2) um, and their diameters (segments,) um.

    The ends of segments lie at equal parts of the arc through a section's 3-D points.
    """
    ends, diameters = [], []
    for section in cell.sections:
        points = int(h.n3d(sec=section))
        if points < 2:
            raise SimulatorError(f"section '{section.name()}' has no shape: its field cannot be computed")
        table = np.array([(section.x3d(i), section.y3d(i), section.z3d(i)) for i in range(points)])
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(table, axis=0), axis=1))])
        marks = np.linspace(0, arc[-1], section.nseg + 1)
        bounds = np.stack([np.interp(marks, arc, table[:, axis]) for axis in range(3)], axis=1)
        ends.append(np.stack([bounds[:-1], bounds[1:]], axis=2))
        diameters.append([segment.diam for segment in section])
    return np.concatenate(ends), np.concatenate(diameters)

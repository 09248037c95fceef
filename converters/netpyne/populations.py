"""Populations of NetPyNE made populations of the hub, and what their cells are made of its components.

Cells of one population that differ in numbers only stay one population, whose cells are individuals. Those that have
other parts become populations of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import NetworkError, UnsupportedError
from ...graph import NativeCell, NativeProcess, Population
from ...report import Report
from . import streams
from .courses import rates_of
from .names import Names
from .sections import cell_of, number

if TYPE_CHECKING:
    from .instance import Cell, Instance, Pop

SENDS = "NeuroML2_SpikeSource"
"""originalFormat of populations whose cells send the events of a process that is called as the cells' type"""
NO_PARAMETER = {"seed", "rate", "rates", "spkTimes", "pulses", "spikePattern", "dynamicRates", "vref", "synList"}


class Populations:
    """The populations of an instance, and where each cell is in them."""

    def __init__(self, instance: Instance, report: Report) -> None:
        self.instance, self.report, self.file = instance, report, instance.file
        self.names = Names()
        self.native: dict[str, Any] = {}
        self.populations: dict[str, Population] = {}
        self.place: dict[int, tuple[str, int]] = {}  # gid -> population, row
        self.kinds: dict[str, str] = {}  # what a cell is made of -> id of the component
        self.cells: dict[str, NativeCell] = {}  # the cell of each kind with sections

    def gid(self, gid: int) -> int:
        population, row = self.place[gid]
        return self.populations[population].offset + row

    def population(self, pop: Pop) -> None:
        groups: dict[Any, dict[str, list[int]]] = {}  # by what cells have in common, then by kind: places in pop.gids
        for place, gid in enumerate(pop.gids):
            cell = self.instance.cells.get(gid)
            if cell is None:
                raise NetworkError(f"population '{pop.label}' has the cell {gid}, which is not there", file=self.file)
            common, kind = self.kind(pop, cell)
            groups.setdefault(common, {}).setdefault(kind, []).append(place)
        cells = [self.instance.cells[gid] for gid in pop.gids]
        tagged = any(cell.tags.get("params") for cell in cells)
        parts: list[tuple[list[int], str, list[str]]] = []
        for kinds in groups.values():
            if len(kinds) > 1 and not tagged:
                each = sorted((place, kind) for kind, places in kinds.items() for place in places)
                parts.append(([place for place, _ in each], each[0][1], [kind for _, kind in each]))
            else:
                parts += [(places, kind, []) for kind, places in kinds.items()]
        for turn, (places, kind, own) in enumerate(sorted(parts)):
            id = self.names.id(pop.label, "population")
            id = self.names.fresh(id) if turn else id
            members = [cells[place] for place in places]
            component = self.component(kind)
            individuals = [self.cells[one] for one in own] or None
            self.populations[id] = self.columns(id, pop, component, members, individuals)
            if members[0].neuroml is not None:
                self.instance.whole[id] = members[0]
            for row, cell in enumerate(members):
                self.place[cell.gid] = (id, row)

    def columns(
        self, id: str, pop: Pop, component: str, cells: list[Cell], individuals: list[NativeCell] | None
    ) -> Population:  # fmt: skip
        positions = None
        if all(all(axis in cell.tags for axis in "xyz") for cell in cells):
            up = -1.0 if self.instance.inverted_y else 1.0
            positions = np.array([[cell.tags["x"], up * cell.tags["y"], cell.tags["z"]] for cell in cells], dtype=float)
            positions -= np.array([cell.origin for cell in cells])
        more: dict[str, Any] = {}
        part = self.native.get(component)
        if isinstance(part, NativeProcess):
            more = self.point_columns(part, cells)
        elif any(cell.tags.get("params") for cell in cells):
            more = {"values": self.own_columns(component, cells)}
        properties = {"netpyne_pop": pop.label} if pop.label != id else {}
        for key in ("cellType", "cellModel"):
            if isinstance(pop.tags.get(key), str):
                properties[f"netpyne_{key}"] = pop.tags[key]
        return Population.sized(id, component, len(cells), positions=positions, properties=properties, file=self.file,
                                individuals=individuals, **more)  # fmt: skip

    def own_columns(self, component: str, cells: list[Cell]) -> dict[str, Any]:
        """Parameters that each cell's process gets from the cell's tags."""
        part = self.native.get(component)
        given = [own for cell in cells if isinstance(own := cell.tags.get("params"), Mapping)]
        if not isinstance(part, NativeCell) or len(part.points) != 1 or len(given) < len(cells):
            raise UnsupportedError(f"cells of the type '{component}' have parameters of their own; those of cells with "
                                   "one process are supported")  # fmt: skip
        names = dict.fromkeys(name for own in given for name in own)
        usual = part.points[0].parameters
        return {
            name: np.array([number(own.get(name, usual.get(name)), component, f"params.{name}", self.file)
                            for own in given])
            for name in names
        }  # fmt: skip

    def kind(self, pop: Pop, cell: Cell) -> tuple[Any, str]:
        """What a cell has in common with those that may differ from it in numbers, and what it is made of."""
        stem = str(cell.tags.get("cellType") or cell.tags.get("cellModel") or pop.label)
        if cell.neuroml is not None:
            return cell.neuroml.id, cell.neuroml.id
        if cell.secs is None:
            id = self.source(pop, cell, stem)
            return id, id
        parts = {name: {k: v for k, v in sec.items() if k not in ("synMechs", "weightNorm", "hObj")}
                 for name, sec in cell.secs.items()}  # fmt: skip
        try:
            sender = str(cell.tags.get("cellType")) if pop.tags.get("originalFormat") == SENDS else None
            key = json.dumps([parts, cell.lists, sender])
        except TypeError as fault:
            raise NetworkError(f"cell {cell.gid}: {fault}", file=self.file, component=stem) from None
        if key not in self.cells:
            self.cells[key] = cell_of(Names().id(stem), cell.secs, cell.lists, self.instance.threshold, self.report,
                                      self.file, self.instance.moved_points, self.instance.v_init, cell.gid,
                                      sender)  # fmt: skip
        return self.cells[key].structure, key

    def component(self, kind: str) -> str:
        """The id of a kind, which is named where it is used first."""
        if kind in self.cells:
            made = self.cells[kind]
            if kind not in self.kinds:
                id = self.kinds[kind] = self.names.fresh(made.id)
                self.native[id] = replace(made, id=id)
            return self.kinds[kind]
        return kind

    def source(self, pop: Pop, cell: Cell, stem: str) -> str:
        mechanism = cell.tags.get("cellModel")
        if not isinstance(mechanism, str):
            raise NetworkError(f"cell {cell.gid} of '{pop.label}' has neither sections nor a cellModel", file=self.file)
        names = sorted(set(cell.params) - NO_PARAMETER) if mechanism != "VecStim" else []
        key = json.dumps([mechanism, names, stem])
        if key not in self.kinds:
            id = self.kinds[key] = self.names.fresh(Names().id(stem))
            self.native[id] = NativeProcess(id, mechanism, "source", self.parameters(cell, mechanism), file=self.file)
        return self.kinds[key]

    def parameters(self, cell: Cell, mechanism: str) -> dict[str, float]:
        """Parameters of an artificial cell in NEURON's words."""
        if mechanism == "VecStim":
            return {}
        found = {}
        for name, value in cell.params.items():
            if name == "rate":
                found["interval"] = 1000.0 / number(value, str(cell.gid), "rate", self.file)
            elif name not in NO_PARAMETER and value is not None:
                found[name] = number(value, str(cell.gid), name, self.file)
        if mechanism == "NetStim":
            found.setdefault("number", 1e9)
        return found

    def point_columns(self, process: NativeProcess, cells: list[Cell]) -> dict[str, Any]:
        """What artificial cells differ in, their random streams, their trains."""
        if process.mechanism == "VecStim":
            rows, times = [], []
            for row, cell in enumerate(cells):
                if cell.times is None:
                    raise UnsupportedError(
                        f"'{process.id}': the spike times of a VecStim are not in the file, and how they were made is "
                        "not supported"
                    )
                rows += [row] * len(cell.times)
                times += cell.times
            order = np.argsort(np.array(times, dtype=float), kind="stable")
            return {"train_rows": np.array(rows, dtype=np.int64)[order], "train_times": np.array(times, float)[order]}
        each = [self.parameters(cell, process.mechanism) for cell in cells]
        values = {name: np.array([one[name] for one in each]) for name in each[0]}
        more: dict[str, Any] = {"values": {n: v for n, v in values.items() if not (v == process.parameters[n]).all()}}
        course = rates_of(cells, process.id, self.file)
        if course is not None:
            more["course"] = course
        if process.mechanism == "NetStim":
            more["random"] = np.array([
                (streams.of_text("NetStim"), cell.gid, int(cell.params.get("seed", self.instance.seed)))
                for cell in cells
            ], dtype=np.uint32)  # fmt: skip
        return more

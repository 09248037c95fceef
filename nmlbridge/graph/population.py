"""Populations: cells of one component, as columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..errors import NetworkError
from .columns import Floats, Ints, filled, finite, frozen, in_range, same_length
from .courses import Course
from .native import NativeCell

Individual = NativeCell | tuple[Element, ...]
"""one cell of a population whose cells have sections and differ; see ``Population.individuals``"""

_BYTES = 64  # of tables for each, before anything runs


def fit_in_memory(rows: float) -> bool:
    """Whether so many cells, events, contacts can be held here at all: a number in a document costs its writer
    nothing."""
    return rows * _BYTES <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(eq=False)
class Population:
    """Cells of one component.

    ``instance_ids`` (n,) int64 are the ids of the document, in its order; a row is a place in that order. ``positions``
    (n, 3) float64 in um, or None where the document states a size only. ``orientations`` (n, 4) are quaternions w, x,
    y, z by which cells are turned about their origin before they are placed (None: not turned). ``offset`` is the gid
    of row 0, given by the Network. ``extra`` keeps what has no column (notes, annotation, layout ...), in document
    order. ``type`` is "populationList" where instances are listed.

    ``values`` override parameters of the component, one number per cell: of abstract LEMS cells and sources in SI, of
    native processes in NEURON's units. For cells of native processes: ``random`` (n, 3) uint32 are the ids of their
    Random123 streams (None: made from the population's id, the row and the seed of the run); ``train_rows`` and
    ``train_times`` (m,), ms, sorted by time, are events that the cells send whatever happens.

    ``individuals`` are the cells where those with sections differ: one for each row, a NativeCell, or LEMS elements of
    which the first is the cell and the others stand in place of the network's components with their ids. They have the
    sections, compartments and mechanisms of ``component``, which stands for all of them where a place on them is meant,
    with other numbers. They may be made when they are asked for, the same each time.
    """

    id: str
    component: str
    instance_ids: Ints
    positions: Floats | None = None
    properties: dict[str, str] = field(default_factory=dict)
    type: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    extra: list[Element] = field(default_factory=list)
    file: str | None = None
    line: int | None = None
    offset: int = 0
    values: dict[str, Floats] = field(default_factory=dict)
    random: npt.NDArray[np.uint32] | None = None
    train_rows: Ints | None = None
    train_times: Floats | None = None
    course: Course | None = None
    """how a parameter of its sources changes in time"""
    orientations: Floats | None = None
    individuals: Sequence[Individual] | None = None

    def __post_init__(self) -> None:
        self.instance_ids = frozen(self.instance_ids, np.int64)
        if self.positions is not None:
            self.positions = frozen(self.positions, np.float64).reshape(-1, 3)
        if self.orientations is not None:
            self.orientations = frozen(self.orientations, np.float64).reshape(-1, 4)
        place = self.place()
        self.values = {name: frozen(column, np.float64) for name, column in self.values.items()}
        self.random = None if self.random is None else frozen(self.random, np.uint32)
        same_length(f"population '{self.id}'", {"instances": self.instance_ids, "positions": self.positions,
                                                "orientations": self.orientations, "random": self.random,
                                                **self.values}, place)  # fmt: skip
        if self.individuals is not None and len(self.individuals) != self.size:
            raise NetworkError(f"population '{self.id}' has {self.size} cells and {len(self.individuals)} individuals",
                               **place)  # fmt: skip
        finite(f"population '{self.id}'", {"coordinate": self.positions}, place)
        if self.train_rows is not None or self.train_times is not None:
            self._check_trains()
        if not self._plain and len(np.unique(self.instance_ids)) != len(self.instance_ids):
            ids, counts = np.unique(self.instance_ids, return_counts=True)
            raise NetworkError(
                f"the instance id {ids[counts > 1][0]} is used twice in population '{self.id}'; ids must differ",
                **place,
            )

    def _check_trains(self) -> None:
        self.train_rows = filled(self.train_rows, 0, 0, np.int64)
        self.train_times = filled(self.train_times, 0, 0.0, np.float64)
        same_length(f"the trains of '{self.id}'", {"rows": self.train_rows, "times": self.train_times}, self.place())
        in_range(f"a train of '{self.id}'", self.train_rows, self.size, "the population", self.place())
        if len(self.train_times) and (np.diff(self.train_times) < 0).any():
            raise NetworkError(f"the events of '{self.id}' are not sorted by time", **self.place())

    @classmethod
    def sized(cls, id: str, component: str, size: int, **more: Any) -> Population:
        """A population that states a size only; instances are 0 .. size-1."""
        return cls(id, component, np.arange(size, dtype=np.int64), **more)

    def place(self) -> dict[str, Any]:
        """Where it stands, for an error."""
        return {"file": self.file, "line": self.line, "component": self.id}

    @property
    def size(self) -> int:
        """The number of cells."""
        return len(self.instance_ids)

    @cached_property
    def _plain(self) -> bool:
        """Whether the ids are 0 .. n-1 in order, so that an id is a row."""
        return bool(np.array_equal(self.instance_ids, np.arange(len(self.instance_ids))))

    @cached_property
    def _order(self) -> Ints:
        return np.argsort(self.instance_ids, kind="stable")

    def rows_of(self, ids: npt.ArrayLike) -> Ints:
        """The rows of instance ids; -1 for an id that is not there."""
        wanted = np.asarray(ids, dtype=np.int64)
        if self._plain:
            return np.where((wanted >= 0) & (wanted < self.size), wanted, -1)
        if not self.size:
            return np.full(wanted.shape, -1, dtype=np.int64)
        at = np.searchsorted(self.instance_ids, wanted, sorter=self._order)
        rows = self._order[np.minimum(at, self.size - 1)]
        return np.where(self.instance_ids[rows] == wanted, rows, -1)

    def row_of(self, id: int) -> int | None:
        """The row of one instance id, or None."""
        row = int(self.rows_of(np.array([id]))[0])
        return None if row < 0 else row

    @property
    def gids(self) -> Ints:
        """The gids of all cells (n,)."""
        return np.arange(self.offset, self.offset + self.size, dtype=np.int64)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        where = "" if self.positions is None else ", positioned"
        return f"<Population {self.id}: {self.size} cells of {self.component}{where}>"

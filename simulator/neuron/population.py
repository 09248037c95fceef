"""What each population is made of: cells with sections, abstract cells on one compartment, or sources of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...graph.native import NativeCell, NativeProcess
from ...nmodl.mechanism import Mechanism
from ...pile import several
from .catalogue import Request
from .cells import CellTemplate

if TYPE_CHECKING:
    from .individuals import Individuals


class Kind(Enum):
    """How NEURON holds a cell."""

    CELL = "cell"  # sections with densities
    POINT = "point"  # one compartment with a point process
    SOURCE = "source"  # an artificial cell


@dataclass
class Placed:
    """A density or pool on sections of a cell; ``values``: the conductance density per NEURON segment if it varies."""

    id: str
    request: Request
    sections: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64] | None = None
    varied: str | None = None
    """the property that ``values`` sets, SI"""
    ion: str | None = None
    """the ion that the density says its current is of"""
    mechanism: Mechanism | None = None

    @property
    def mechanism_name(self) -> str:
        """The SUFFIX that is inserted."""
        assert self.mechanism is not None
        return self.mechanism.name

    def covers(self, section: int) -> bool:
        """Whether it is on a section."""
        return section in self.sections


@dataclass
class CellKind:
    """One kind of cell, shared by all populations of a component."""

    kind: Kind
    component: str
    request: Request | None = None
    template: CellTemplate | None = None
    densities: list[Placed] = field(default_factory=list)
    pools: set[str] = field(default_factory=set)
    """ions that have a concentration model"""
    currents: set[str] = field(default_factory=set)
    """ions whose current some concentration model reads"""
    pool_models: list[Placed] = field(default_factory=list)
    ions: list[dict[str, Any]] = field(default_factory=list)
    native: NativeCell | NativeProcess | None = None
    train: npt.NDArray[np.float64] | None = None
    """times (ms) of a source that is nothing but a table of them"""
    own: Individuals | None = None
    """what its cells have in place of its numbers, where they differ"""
    number: int = -1
    """index of its template in the Program"""

    def inside(self, id: str) -> list[Placed]:
        """The densities and pools with this id."""
        return [placed for placed in (*self.densities, *self.pool_models) if placed.id == id]

    def locate(self, segment: int | None, fraction: float | None) -> tuple[int, float]:
        """(section, x) of a place on one cell; no segment means the root."""
        if self.template is None and self.native is None:
            return 0, 0.5
        sections, xs = self.locate_all(
            np.array([-1 if segment is None else segment]), np.array([0.5 if fraction is None else fraction])
        )
        return int(sections[0]), float(xs[0])

    def locate_all(
        self, segments: npt.NDArray[np.int64], fractions: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """(section, x) of many places; segment -1 means the root segment."""
        if isinstance(self.native, NativeCell):
            return np.where(segments < 0, self.native.spike_section, segments), fractions
        if self.template is None:
            return np.zeros(len(segments), np.int64), np.full(len(segments), 0.5)
        known = np.where(segments < 0, self.template.root_segment, segments)
        return self.template.locate(known, fractions)

    def places(
        self, segments: npt.NDArray[np.int64], fractions: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """(section, x), ``centred``, of columns of any length."""

        def found(block: slice) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
            section, x = self.locate_all(segments[block], fractions[block])
            return section, self.centred(section, x)

        count = len(segments)
        if count and segments.strides == fractions.strides == (0,):
            section, x = found(slice(0, 1))
            return np.broadcast_to(section, count), np.broadcast_to(x, count)
        columns = several(count, (np.int64, np.float64), found, segments, fractions)
        return columns[0], columns[1]

    def centred(
        self, section: npt.NDArray[np.int64], x: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """The middle of the compartment that each place is on: to NEURON the same place, and then one point process
        serves all that is there. The ends of a section are places of their own."""
        if isinstance(self.native, NativeCell):
            nseg = np.array([part.nseg for part in self.native.sections])[section]
        elif self.template is not None:
            nseg = np.array([part.nseg for part in self.template.sections])[section]
        else:
            return x
        return np.where((x > 0) & (x < 1), (np.minimum(np.floor(x * nseg), nseg - 1) + 0.5) / nseg, x)

    def known_variables(self) -> list[str]:
        """Names for an error message."""
        if self.native is not None:
            return ["v", "SECTION(x)/v", "SECTION(x)/MECHANISM/VARIABLE"]
        if self.request is not None:
            return sorted(self.request.flat.paths)
        return ["v", "caConc", *(placed.id + "/..." for placed in (*self.densities, *self.pool_models))]

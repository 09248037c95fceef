"""Projections and input lists: connections and inputs, as columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..pile import chosen, counted
from .columns import Floats, Ints, filled, finite, frozen, same_length
from .courses import Course
from .plasticity import Adjuster, Stdp

DEFAULT: Any = None  # of a column that the constructor fills in: typed as the column that it becomes
KINDS = ("chemical", "electrical", "continuous")


@dataclass(eq=False)
class Projection:
    """Connections between two populations, rows in the order of the document.

    ``pre`` and ``post`` (n,) int64 are rows of the populations (not instance ids), segments are segment ids, fractions
    lie in 0..1 along the segment. ``weight`` None means 1, ``delay`` (ms) None means 0. A chemical or electrical
    projection names its ``synapses`` and per row an index into them; a continuous one has ``pre_components`` and
    ``post_components`` with a column each. ``origin`` is the element it came from ("projection",
    "synapticConnection", "synapticConnectionWD", "explicitConnection", "electricalProjection",
    "continuousProjection"); ``attributes`` keeps what has no column (destination, targetPort ...). ``values`` override
    parameters of native synapses, one number per row. ``plasticity`` changes the weights of a chemical one.
    """

    id: str
    kind: str
    presynaptic: str
    postsynaptic: str
    pre: Ints
    post: Ints
    ids: Ints = DEFAULT
    pre_segment: Ints = DEFAULT
    post_segment: Ints = DEFAULT
    pre_fraction: Floats = DEFAULT
    post_fraction: Floats = DEFAULT
    weight: Floats | None = None
    delay: Floats | None = None
    synapses: tuple[str, ...] = ()
    synapse: npt.NDArray[np.int32] = DEFAULT
    pre_components: tuple[str, ...] = ()
    pre_component: npt.NDArray[np.int32] = DEFAULT
    post_components: tuple[str, ...] = ()
    post_component: npt.NDArray[np.int32] = DEFAULT
    origin: str = "projection"
    attributes: dict[str, str] = field(default_factory=dict)
    extra: list[Element] = field(default_factory=list)
    file: str | None = None
    line: int | None = None
    values: dict[str, Floats] = field(default_factory=dict)
    plasticity: Stdp | Adjuster | None = None
    course: Course | None = None
    """how the weights change in time"""
    rule: str | None = None
    """the rule that made it, where there is one"""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind '{self.kind}' is none of {KINDS}")
        self.pre, self.post = frozen(self.pre, np.int64), frozen(self.post, np.int64)
        count = len(self.pre)
        self.ids = frozen(counted(count) if self.ids is None else self.ids, np.int64)
        self.pre_segment = filled(self.pre_segment, count, 0, np.int64)
        self.post_segment = filled(self.post_segment, count, 0, np.int64)
        self.pre_fraction = filled(self.pre_fraction, count, 0.5, np.float64)
        self.post_fraction = filled(self.post_fraction, count, 0.5, np.float64)
        self.synapse = filled(self.synapse, count, 0, np.int32)
        self.pre_component = filled(self.pre_component, count, 0, np.int32)
        self.post_component = filled(self.post_component, count, 0, np.int32)
        self.weight = None if self.weight is None else frozen(self.weight, np.float64)
        self.delay = None if self.delay is None else frozen(self.delay, np.float64)
        self.values = {name: frozen(column, np.float64) for name, column in self.values.items()}
        same_length(f"projection '{self.id}'", {**self.columns(), **self.values}, self.place())
        finite(f"projection '{self.id}'", {"weight": self.weight, "delay": self.delay}, self.place())

    def columns(self) -> dict[str, npt.NDArray[Any] | None]:
        """All columns by name."""
        return {
            "ids": self.ids, "pre": self.pre, "post": self.post,
            "pre_segment": self.pre_segment, "post_segment": self.post_segment,
            "pre_fraction": self.pre_fraction, "post_fraction": self.post_fraction,
            "weight": self.weight, "delay": self.delay, "synapse": self.synapse,
            "pre_component": self.pre_component, "post_component": self.post_component,
        }  # fmt: skip

    def through(self, number: int) -> Ints | None:
        """The rows that go through one of the ``synapses``; None if all do."""
        rows = chosen(lambda block: self.synapse[block] == number, len(self), self.synapse)
        return None if len(rows) == len(self) else rows

    def place(self) -> dict[str, Any]:
        """Where it stands, for an error."""
        return {"file": self.file, "line": self.line, "component": self.id}

    def __len__(self) -> int:
        return len(self.pre)

    def __repr__(self) -> str:
        through = ", ".join(self.synapses or (*self.pre_components, *self.post_components))
        ends = f"{self.presynaptic} -> {self.postsynaptic}"
        return f"<Projection {self.id}: {len(self)} {self.kind} connections {ends} through {through}>"


@dataclass(eq=False)
class InputList:
    """Inputs of one component into cells of one population; columns as in Projection.

    ``origin`` is "inputList" or "explicitInput". ``values`` override parameters of the component, one number per row:
    of LEMS components in SI, of native processes in NEURON's units. For native processes: ``delay`` (ms; None means 0)
    of the events of a source, and ``random`` as in Population.
    """

    id: str
    component: str
    population: str
    target: Ints
    ids: Ints = DEFAULT
    segment: Ints = DEFAULT
    fraction: Floats = DEFAULT
    weight: Floats | None = None
    origin: str = "inputList"
    attributes: dict[str, str] = field(default_factory=dict)
    extra: list[Element] = field(default_factory=list)
    file: str | None = None
    line: int | None = None
    delay: Floats | None = None
    values: dict[str, Floats] = field(default_factory=dict)
    random: npt.NDArray[np.uint32] | None = None
    course: Course | None = None
    """how the weights change in time"""

    def __post_init__(self) -> None:
        self.target = frozen(self.target, np.int64)
        count = len(self.target)
        self.ids = frozen(counted(count) if self.ids is None else self.ids, np.int64)
        self.segment = filled(self.segment, count, 0, np.int64)
        self.fraction = filled(self.fraction, count, 0.5, np.float64)
        self.weight = None if self.weight is None else frozen(self.weight, np.float64)
        self.delay = None if self.delay is None else frozen(self.delay, np.float64)
        self.values = {name: frozen(column, np.float64) for name, column in self.values.items()}
        self.random = None if self.random is None else frozen(self.random, np.uint32)
        more = {"delay": self.delay, "random": self.random, **self.values}
        same_length(f"input list '{self.id}'", {**self.columns(), **more}, self.place())
        finite(f"input list '{self.id}'", {"weight": self.weight, "delay": self.delay}, self.place())

    def columns(self) -> dict[str, npt.NDArray[Any] | None]:
        """All columns by name."""
        return {"ids": self.ids, "target": self.target, "segment": self.segment, "fraction": self.fraction,
                "weight": self.weight}  # fmt: skip

    def place(self) -> dict[str, Any]:
        """Where it stands, for an error."""
        return {"file": self.file, "line": self.line, "component": self.id}

    def __len__(self) -> int:
        return len(self.target)

    def __repr__(self) -> str:
        return f"<InputList {self.id}: {len(self)} inputs of {self.component} into {self.population}>"

"""Kinetics of a channel: where its gates go at each voltage, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kinetics:
    """``voltage`` (n,) V; ``steady`` maps a gate to its steady values (n,), ``tau`` to its time constants (n,) s.

    A gate without a time constant is instantaneous. Coupled states (a kinetic scheme) have as many as there are ways to
    relax, called "slowest", "second" and so on. ``open`` (n,): the part of the conductance that is open in the steady
    state, if the channel tells.
    """

    name: str
    voltage: Floats
    steady: Mapping[str, Floats]
    tau: Mapping[str, Floats]
    open: Floats | None = None

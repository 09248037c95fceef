"""Numbers that change in steps while a network runs: weights of connections, parameters of sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import NetworkError
from .columns import Floats, frozen


@dataclass(frozen=True, eq=False)
class Course:
    """At each of ``times`` (k,), ms, ``variable`` becomes the number of ``values`` (k,), or (rows, k) for each row.

    They are taken one after the other; a time that is past takes effect at once. Of the variable "weight" the values
    (k,) are factors of each row's weight. Raises NetworkError for what is not so.
    """

    variable: str
    times: Floats
    values: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", frozen(self.times, np.float64))
        object.__setattr__(self, "values", frozen(self.values, np.float64))
        if not len(self.times) or self.values.ndim not in (1, 2) or self.values.shape[-1] != len(self.times):
            raise NetworkError(f"the course of '{self.variable}' has {len(self.times)} times and values of the shape "
                               f"{self.values.shape}; expected a value for each time")  # fmt: skip
        if self.variable == "weight" and self.values.ndim != 1:
            raise NetworkError("the course of weights has values for each row; expected factors for all")
        if not (np.isfinite(self.times).all() and np.isfinite(self.values).all()):
            raise NetworkError(f"the course of '{self.variable}' has a number that is not finite")
        if self.times.min() < 0:
            raise NetworkError(f"the course of '{self.variable}' begins before the run, at {self.times.min():g} ms")

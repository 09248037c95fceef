"""How NEURON integrates, as the ``run`` of a Program says: set once, begun once, then advanced by whole steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program import Shape
from .stepping import Stepper

_AFTER = 1e-6  # of a step: how late samples are under cvode; NEURON 9 fails where only rounding parts them from events


class Scheme:
    """The scheme of one process, which NEURON has from here on. ``pc`` is the ParallelContext."""

    def __init__(self, h: Any, pc: Any, run: Mapping[str, Any], shape: Shape) -> None:
        self.h, self.pc, self.run, self.shape = h, pc, run, shape
        self.tolerances: Mapping[str, Any] | None = run.get("cvode") or None
        h.celsius = float(run.get("celsius", 6.3))
        h.secondorder = 0 if self.tolerances else int(run.get("second_order", 0))
        h.dt = shape.dt
        self.stepper: Stepper | None = None  # takes steps faster than NEURON
        self.cvode = h.CVode()
        if self.tolerances:
            self.cvode.active(1)
            # 2: thresholds are crossed between steps; NEURON 9 has that on one rank alone (netcvode.cpp)
            self.cvode.condition_order(2 if int(pc.nhost()) == 1 else 1)
            self.cvode.atol(self.tolerances.get("atol", 1e-3))
            self.cvode.rtol(self.tolerances.get("rtol", 0.0))
            if "maxstep" in self.tolerances:
                self.cvode.maxstep(self.tolerances["maxstep"])
            for state, scale in self.tolerances.get("scales", {}).items():
                self.cvode.atolscale(state, scale)

    def sampling(self) -> tuple[int, NDArray[np.float64] | None]:
        """Steps between samples, and the times (ms) of the samples where steps vary."""
        if not self.tolerances:
            return self.shape.every, None
        times = (np.arange(self.shape.samples) * self.shape.every + _AFTER) * self.shape.dt
        return 1, np.asarray(times, dtype=np.float64)

    def initialise(self) -> None:
        """Everything as it is at t = 0."""
        self.pc.set_maxstep(max(10.0, 2 * self.shape.dt))
        if self.run.get("v_init") is None:
            self.h.finitialize()
        else:
            self.h.finitialize(self.run["v_init"])

    def advance(self, done: int, count: int) -> None:
        """From ``done`` steps on by ``count``."""
        if self.tolerances:
            self.pc.psolve((done + count + 0.25) * self.shape.dt)
        else:
            if count > 1 and self._step():
                assert self.stepper is not None
                count -= self.stepper.advance(count - 1)
            self.pc.psolve(self.h.t + (count + 0.5) * self.shape.dt)  # the half keeps rounding from losing a step

    def _step(self) -> bool:
        """Whether the stepper can take the next steps, on all ranks: NEURON's psolve waits for the others where the
        stepper does not, so that ranks which went different ways would wait forever."""
        ready = self.stepper is not None and bool(self.stepper.ready())
        return bool(self.pc.allreduce(int(ready), 3)) if int(self.pc.nhost()) > 1 else ready

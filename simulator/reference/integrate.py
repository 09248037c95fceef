"""Steps in time, with conditions found inside a step and events delivered at their own time.

A condition that becomes true within a step is located by bisection, so that resets and spikes do not wait for the grid;
one that stays true fires once a step, as LEMS has it (level triggered). Actions of one list see each other's states
but the derived variables of before.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import SimulatorError
from ...extras import require
from .system import Floats, Group, Rule, System

METHODS = ("rk4", "euler", "lsoda")
_BISECTIONS = 40
_LOCATED = 20  # conditions found inside one step before the rest of it is taken whole: a ball that comes to rest
_SAME_TIME = 10_000  # events at one moment before we call it a circle


class Diverged(SimulatorError):
    """A state is no finite number any more."""


@dataclass
class Trajectory:
    """``values`` (probes, n) at ``time`` (n,); ``events`` are (time, group, row, port) in order."""

    time: Floats
    values: Floats
    events: list[tuple[float, Group, int, str]] = field(default_factory=list)


class Integrator:
    """Integrates a System from 0 to ``duration`` in steps of ``dt`` (s)."""

    def __init__(self, system: System, dt: float, duration: float, method: str = "rk4") -> None:
        self.system, self.dt, self.duration = system, dt, duration
        advances: dict[str, Callable[[float, Floats, float], Floats]] = {
            "rk4": self._rk4, "euler": self._euler, "lsoda": self._lsoda,
        }  # fmt: skip
        self.advance = advances[method]
        if method == "lsoda":
            self.scipy = require("scipy.integrate", "reference", "the method lsoda")
        self.queue: list[tuple[float, int, Group, int, str]] = []
        self.count = 0
        self.events: list[tuple[float, Group, int, str]] = []

    def run(
        self, probes: Sequence[tuple[Group, str, int]], progress: Callable[[str, float, float], None] | None = None
    ) -> Trajectory:
        """Integrate; ``probes`` are (group, flat name, row). Raises Diverged where a state is lost to NaN."""
        steps = round(self.duration / self.dt)
        values = np.empty((len(probes), steps + 1))
        time = np.arange(steps + 1) * self.dt
        places = [(group.registers, group.slots[name], None if group.single else row) for group, name, row in probes]
        y = self.system.start()
        y = self._settle(0.0, y, None)
        for step in range(steps + 1):
            if step:
                y = self._step(float(time[step - 1]), y, float(time[step]))
            self.system.load(float(time[step]), y)
            for at, (registers, slot, row) in enumerate(places):
                value = registers[slot]
                values[at, step] = value if row is None or np.ndim(value) == 0 else value[row]
            if progress is not None and step % 1000 == 0:
                progress("simulate", float(time[step]), self.duration)
        return Trajectory(np.asarray(time, dtype=np.float64), values, self.events)

    # one step ---------------------------------------------------------------------------------------------------------

    def _step(self, t: float, y: Floats, end: float) -> Floats:
        before = self._truth(t, y)
        located = 0
        while t < end:
            target = min(end, self.queue[0][0]) if self.queue else end
            after = self.advance(t, y, target - t) if target > t else y
            now = self._truth(target, after)
            if _newly(before, now) and target > t and located < _LOCATED:
                target, after, now = self._locate(t, y, target, before)
                located += 1
            if not np.isfinite(after).all():
                self._lost(target, after)
            fresh = [n & ~b for n, b in zip(now, before, strict=True)]
            y, t = after, target
            if any(f.any() for f in fresh):
                y = self._settle(t, y, fresh)
            y = self._deliver(t, y)
            before = self._truth(t, y) if t < end else now
            if t >= end:
                held = [n & ~f for n, f in zip(self._truth(t, y), fresh, strict=True)]
                if any(h.any() for h in held):
                    y = self._settle(t, y, held)
                    y = self._deliver(t, y)
        return y

    def _locate(self, t: float, y: Floats, end: float, before: list[Any]) -> tuple[float, Floats, list[Any]]:
        """The first moment in (t, end] at which a condition has become true."""
        low, high = 0.0, end - t
        state = self.advance(t, y, high)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            if not low < middle < high:
                break
            trial = self.advance(t, y, middle)
            if _newly(before, self._truth(t + middle, trial)):
                high, state = middle, trial
            else:
                low = middle
        moment = end if high == end - t else t + high
        return moment, state, self._truth(moment, state)

    def _truth(self, t: float, y: Floats) -> list[Any]:
        """For each condition, which instances meet it."""
        self.system.load(t, y)
        found = []
        for rule in self.system.conditions:
            assert rule.test is not None
            met = np.broadcast_to(np.asarray(rule.test(rule.group.registers), bool), rule.group.size)
            if rule.guard is not None:
                met = met & np.asarray(rule.guard(rule.group.registers), bool)
            found.append(met)
        return found

    def _settle(self, t: float, y: Floats, chosen: list[Any] | None) -> Floats:
        """Do what the conditions say for the chosen instances (None: for all that meet them)."""
        chosen = self._truth(t, y) if chosen is None else chosen
        self.system.load(t, y)
        y = y.copy()
        for rule, mask in zip(self.system.conditions, chosen, strict=True):
            if mask.any():
                self._do(rule, np.flatnonzero(mask), t, y)
                self.system.load(t, y)
        return y

    def _do(self, rule: Rule, rows: npt.NDArray[np.int64], t: float, y: Floats) -> None:
        group = rule.group
        for kind, name, value in rule.steps:
            if kind == "send":
                for row in rows.tolist():
                    self._send(group, row, name, t)
                continue
            assert value is not None
            new = np.broadcast_to(np.asarray(value(group.registers), float), group.size)
            part = self.system.where[id(group), name]
            y[part.start + rows] = new[rows]
            group.registers[group.slots[name]] = float(y[part.start]) if group.single else y[part].copy()

    def _send(self, group: Group, row: int, port: str, t: float) -> None:
        self.events.append((t, group, row, port))
        for target, target_row, into, delay in group.links.get((row, port), ()):
            self.count += 1
            heapq.heappush(self.queue, (t + delay, self.count, target, target_row, into))

    def _deliver(self, t: float, y: Floats) -> Floats:
        done = 0
        while self.queue and self.queue[0][0] <= t:
            _, _, group, row, port = heapq.heappop(self.queue)
            self.system.load(t, y)
            y = y.copy()
            for rule in self.system.ports.get((id(group), port), ()):
                guard = True if rule.guard is None else np.broadcast_to(rule.guard(group.registers), group.size)[row]
                if guard:
                    self._do(rule, np.array([row]), t, y)
            done += 1
            if done > _SAME_TIME:
                raise SimulatorError(f"events at {t * 1e3:g} ms set each other off without end")
        return y

    def _lost(self, t: float, y: Floats, what: str = "") -> None:
        for group, name, _, part in self.system.states:
            if not np.isfinite(y[part]).all():
                raise Diverged(
                    f"{what}'{name}' of '{group.flat.id}' is no finite number at {t * 1e3:g} ms; look for a division "
                    "by zero or an overflow, or try a smaller dt or the method lsoda"
                )

    # methods ----------------------------------------------------------------------------------------------------------

    def _euler(self, t: float, y: Floats, h: float) -> Floats:
        return y + h * self.system.slope(t, y)

    def _rk4(self, t: float, y: Floats, h: float) -> Floats:
        f = self.system.slope
        a = f(t, y)
        b = f(t + h / 2, y + h / 2 * a)
        c = f(t + h / 2, y + h / 2 * b)
        d = f(t + h, y + h * c)
        return y + h / 6 * (a + 2 * b + 2 * c + d)

    def _lsoda(self, t: float, y: Floats, h: float) -> Floats:
        solution = self.scipy.solve_ivp(self._finite_slope, (t, t + h), y, method="LSODA", rtol=1e-9, atol=1e-15)
        if not solution.success:
            raise SimulatorError(f"lsoda failed at {t * 1e3:g} ms: {solution.message}")
        return np.asarray(solution.y[:, -1])

    def _finite_slope(self, t: float, y: Floats) -> Floats:
        """dy/dt for lsoda, which would never come to an end on what is no number."""
        slope = self.system.slope(t, y)
        if not np.isfinite(slope).all():
            self._lost(t, slope, "the derivative of ")
        return slope


def _newly(before: list[Any], now: list[Any]) -> bool:
    return any(bool((n & ~b).any()) for b, n in zip(before, now, strict=True))

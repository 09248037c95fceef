"""Activation and time constants of LEMS channels, from their equations alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..lems import Component, FlatComponent, Library, flatten, load_core, resolve
from ..lems.evaluate import evaluate
from ..results.kinetics import Floats, Kinetics

_ASIDE = 1e-6  # V
_RANKS = ("slowest", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
USUAL = {"temperature": 273.15 + 6.3, "caConc": 5e-5, "vShift": 0.0}
"""What a channel may require besides its voltage, if nobody says: K, mol/m3 (50 nM), V"""


def channels(network: Any) -> dict[str, Component]:
    """The channels among the components of a Network (or of a sequence of elements), by id."""
    elements = getattr(network, "components", network)
    library = load_core().extended(elements)
    found = resolve(elements, library).components
    return {id: component for id, component in found.items() if component.type.is_a("baseIonChannel")}


def channel_kinetics(
    channel: Component, library: Library | None = None, voltage: npt.ArrayLike | None = None,
    given: Mapping[str, float] | None = None,
) -> Kinetics:  # fmt: skip
    """Steady states and time constants of a channel at each ``voltage`` (n,) V (default: -120 to 60 mV).

    ``given`` are values of what else it requires, in SI: "caConc", "temperature" (default 6.3 degC) and so on. At a
    fixed voltage the equations of gates are linear, dq/dt = A q + b: the steady state solves A q = -b, the time
    constants are -1 over the eigenvalues of A. Raises UsageError where they are not linear, or a value is missing.
    """
    volts = np.linspace(-0.12, 0.06, 361) if voltage is None else np.atleast_1d(np.asarray(voltage, float))
    flat = flatten(channel, library if library is not None else load_core())
    base: dict[str, Any] = {"t": 0.0, "v": volts}
    base |= {name: parameter.value for name, parameter in flat.parameters.items()}
    base |= {name: item.default for name, item in flat.properties.items()}
    for name in flat.externals:
        if name == "v":
            continue
        value = {**USUAL, **(given or {})}.get(name)
        if value is None:
            raise UsageError(f"the channel '{channel.id}' requires '{name}'; its value must be given")
        base[name] = value
    moving = [name for name in flat.states if _is_gate(flat, name)]
    held = dict.fromkeys(flat.states, 0.0)
    n, points = len(moving), len(volts)

    def at(v: Floats, values: Floats) -> Floats:
        """Rates of change (points, n) of the gates' values (points, n)."""
        env = {**base, "v": v, **held, **{name: values[:, k] for k, name in enumerate(moving)}}
        for name, derived in flat.derived.items():
            env[name] = evaluate(derived.expr, env)
        rates = dict.fromkeys(moving, np.zeros(points))
        for name, expr in flat.derivatives.items():
            if name in rates:
                rates[name] = np.broadcast_to(evaluate(expr, env), points).astype(float)
        for scheme in flat.kinetics:
            for move in scheme.transitions:
                forward = env[move.forward] * env[move.source] if move.forward else 0.0
                backward = env[move.reverse] * env[move.target] if move.reverse else 0.0
                rates[move.source] = rates[move.source] - forward + backward
                rates[move.target] = rates[move.target] + forward - backward
        return np.stack([rates[name] for name in moving], axis=1) if moving else np.zeros((points, 0))

    def slope(values: Floats) -> Floats:
        """The same; where (v - v0) / (1 - exp(v0 - v)) is near v0, the mean of both sides: there digits are lost."""
        rates, sides = at(volts, values), (at(volts - _ASIDE, values) + at(volts + _ASIDE, values)) / 2
        rough = ~(np.abs(rates - sides) <= 1e-6 * np.abs(sides))
        return np.where(rough, sides, rates)

    start = slope(np.zeros((points, n)))
    matrix = np.stack([slope(np.tile(np.eye(n)[k], (points, 1))) - start for k in range(n)], axis=2) if n else None
    label = {name: _label(flat, name) for name in moving}
    steady: dict[str, Floats] = {}
    tau: dict[str, Floats] = {}
    rest = np.zeros((points, n))
    if matrix is not None:
        probe = np.tile(np.linspace(0.2, 0.7, n), (points, 1))
        linear = np.einsum("pij,pj->pi", matrix, probe) + start
        scale = np.abs(matrix).max(axis=(1, 2), initial=1e-300)
        if not (np.abs(slope(probe) - linear).max(axis=1) <= 1e-6 * scale).all():
            raise UsageError(f"the gates of '{channel.id}' are not linear in their states: they have no time constant")
        for members in _blocks(matrix):
            part = matrix[:, members][:, :, members]
            conserved = np.abs(part.sum(axis=1)).max() <= 1e-9 * np.abs(part).max()
            values, constants = _relax(part, start[:, members], conserved)
            rest[:, members] = values
            for row, k in enumerate(members):
                steady[label[moving[k]]] = values[:, row]
            single = label[moving[members[0]]] if len(members) == 1 else ""
            prefix = single.rpartition("/")[0] or label[moving[members[0]]].rpartition("/")[0]
            for number in range(constants.shape[1]):
                rank = _RANKS[number] if number < len(_RANKS) else f"{number + 1}th"
                tau[single or f"{prefix}/{rank}".lstrip("/")] = constants[:, number]
    env = {**base, **held, **{name: rest[:, k] for k, name in enumerate(moving)}}
    for name, derived in flat.derived.items():
        env[name] = evaluate(derived.expr, env)
    paths = {flat_name: path for path, flat_name in flat.paths.items()}
    for name in flat.derived:  # gates that follow the voltage at once
        path = paths.get(name, "")
        if path.endswith("/q") and path.removesuffix("/q") not in steady:
            steady[path.removesuffix("/q")] = np.broadcast_to(env[name], points).astype(float)
    opened = flat.paths.get("fopen")
    part_open = None if opened is None else np.broadcast_to(env[opened], points).astype(float)
    return Kinetics(channel.id, volts, steady, tau, part_open)


def _is_gate(flat: FlatComponent, name: str) -> bool:
    return name in flat.derivatives or any(name in scheme.states for scheme in flat.kinetics)


def _label(flat: FlatComponent, name: str) -> str:
    """The gate of a state: its path without the last part, where that is the usual q."""
    path = flat.states[name].path or name
    return path.removesuffix("/q").removesuffix("/occupancy") or name


def _blocks(matrix: Floats) -> list[list[int]]:
    """States that act on each other, in groups."""
    linked: npt.NDArray[np.bool_] = np.asarray((np.abs(matrix) > 0).any(axis=0))
    linked |= linked.T
    left, found = set(range(len(linked))), []
    while left:
        group, todo = set(), [min(left)]
        while todo:
            one = todo.pop()
            if one not in group:
                group.add(one)
                todo += [other for other in left - group if linked[one, other]]
        left -= group
        found.append(sorted(group))
    return found


def _relax(matrix: Floats, start: Floats, conserved: bool) -> tuple[Floats, Floats]:
    """Steady values (points, n) and time constants (points, n, or n - 1 if the sum is conserved), the slowest first."""
    size = matrix.shape[1]
    values = np.linalg.eigvals(matrix).real
    if conserved and size > 1:
        values = np.sort(values, axis=1)[:, :-1]  # without the one of 0, which keeps the sum
        square = matrix.copy()
        right = -start
        square[:, -1], right = 1.0, np.concatenate([right[:, :-1], np.ones((len(right), 1))], axis=1)
    else:
        square, right = matrix, -start
    with np.errstate(divide="ignore"):
        constants = np.sort(-1 / values, axis=1)[:, ::-1]
    return np.asarray(np.linalg.solve(square, right[:, :, None])[:, :, 0], float), constants

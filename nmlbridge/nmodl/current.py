"""Currents in NEURON's terms: of a role, and the one that makes a section follow the voltage of a cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import UnsupportedError
from ..lems.evaluate import evaluate
from ..lems.expression import Bin, Expr, Name, Num, Piecewise, names
from .algebra import ZERO, add, linear, multiply, negate, simplify, subtract
from .equations import Array, Equations
from .mechanism import Role
from .mod import Ion

DENSITY_TO_NEURON = 1e-6  # nA/cm2 -> mA/cm2
HOLD = 1e4  # 1/ms: rate at which a voltage that LEMS holds still is pulled back to its value


def scale_of(eq: Equations, name: str, neuron: float) -> float:
    """What a value of ``name`` in the system of ``eq`` is multiplied with for NEURON's unit (SI times ``neuron``)."""
    dimension = eq.dimensions.get(name)
    if dimension is not None and dimension.dimensionless:
        return 1.0
    return neuron / eq.factors.get(name, 1.0)


def role_current(eq: Equations, role: Role) -> Expr:
    """NEURON's current, outward positive for all but electrodes."""
    assert role.current is not None
    name = role.current
    inward: Expr = Name(name)
    if name in eq.derived:
        inward = (
            eq.expand(inward, {"v"} | set(eq.states))
            if name in eq.depends({"v"} | set(eq.states))
            else eq.derived[name]
        )
    if role.kind == "density":
        return simplify(multiply(Num(-DENSITY_TO_NEURON * scale_of(eq, name, 1e5)), inward))
    sign = 1.0 if role.kind == "electrode" and role.ion is None else -1.0
    return simplify(multiply(Num(sign * scale_of(eq, name, 1e9)), inward))


def cell_current(eq: Equations) -> tuple[Expr, Array, Equations]:
    """The current that makes a section follow dv/dt, its capacitance (nF), and the equations without attachments."""
    attached = {n: x for n, x in eq.externals.items() if x.kind == "attachments"}
    rate = simplify(eq.expand(eq.derivatives["v"], set(attached)))
    to_mv = 1e3 / eq.factors.get("v", 1.0)
    branches = list(rate.cases) if isinstance(rate, Piecewise) else [(None, rate)]
    slopes: list[Array] = []
    active: list[tuple[Expr | None, Expr]] = []
    for condition, value in branches:
        rest, slope = value, np.zeros(eq.members)
        for name in attached:
            split = linear(rest, name)
            if split is None or not names(split[0]) <= set(eq.values):
                raise UnsupportedError(
                    f"'{eq.id}' ({eq.type}): dv/dt is not a constant times the sum of the attached currents '{name}'; "
                    "NEURON needs a capacitance"
                )
            dimension = eq.dimensions[name]
            unit = 1.0 if dimension.dimensionless else eq.factors.get(name, 1.0) / 1e9
            slope = slope + np.broadcast_to(evaluate(split[0], eq.values), (eq.members,)) * to_mv * unit
            rest = simplify(split[1])
        active.append((condition, rest))
        if np.any(slope != 0):
            slopes.append(slope)
    capacitance = 1.0 / slopes[0] if slopes else np.ones(eq.members)
    values = dict(eq.values)
    farad = farad_of(eq, capacitance)
    if isinstance(farad, Name):
        values[farad.id] = capacitance
    cases: list[tuple[Expr | None, Expr]] = []
    for condition, rest in active:
        if rest == ZERO and len(active) > 1:
            cases.append((condition, multiply(Num(HOLD), farad, subtract(Name("v"), Name("v_hold")))))
        else:
            cases.append((condition, simplify(multiply(Num(-to_mv), farad, rest))))
    current = cases[0][1] if len(cases) == 1 else Piecewise(tuple(cases))
    dimensions = {**eq.dimensions}
    return current, capacitance, replace(eq, values=values, dimensions=dimensions)


def farad_of(eq: Equations, capacitance: Array) -> Expr:
    return Num(float(capacitance[0])) if np.all(capacitance == capacitance[0]) else Name("c_cell")


def start_voltage(eq: Equations) -> Array:
    """The initial v in mV, one per member."""
    env: dict[str, Array] = dict(eq.values)
    for name in eq.states:
        env.setdefault(name, np.zeros(eq.members))
    for assign in eq.on_start:
        try:
            for name, expr in eq.derived.items():
                if names(expr) <= env.keys():
                    env[name] = np.broadcast_to(evaluate(expr, env), (eq.members,))
            env[assign.variable] = np.broadcast_to(evaluate(assign.expr, env), (eq.members,))
        except Exception as error:
            if assign.variable == "v":
                raise UnsupportedError(
                    f"'{eq.id}' ({eq.type}): the initial v cannot be computed beforehand: {error}"
                ) from error
    return np.asarray(env["v"] * (1e3 / eq.factors.get("v", 1.0)), dtype=float)


def current_line(role: Role, ions: list[Ion]) -> tuple[str, str] | None:
    if role.carrier is not None:
        return "ION", f"i{role.carrier}"
    if role.kind == "density":
        return "NONSPECIFIC_CURRENT", "i_m"
    if role.kind == "electrode":
        return "ELECTRODE_CURRENT", "i_m"
    if role.kind == "point" or role.kind == "cell":
        return "NONSPECIFIC_CURRENT", "i_m"
    return None


def around(slope: Expr, rest: Expr, current: Expr) -> Expr:
    """g*(v - e) if the current has that form, else g*v + rest."""
    reversal = simplify(Bin("/", negate(rest), slope))
    if isinstance(reversal, (Num, Name)):
        return Bin("*", Name("g_m"), simplify(subtract(Name("v"), reversal)))
    return add(multiply(Name("g_m"), Name("v")), rest)

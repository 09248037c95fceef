"""The scaling pass: from SI to a coherent system whose units are NEURON's own.

Base units: ms, nA, cm, umol, K and a mass chosen so that a voltage comes out in mV. Conductance is then uS, capacitance
nF, concentration mM, current density nA/cm2. Because the system is coherent, no equation changes: only numbers do. A
component whose equations mix dimensions (the core's pinskyRinzelCA3Cell does) would change its meaning, so it stays in
SI, as jLEMS computes it, and is converted where it meets NEURON.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from ..lems.expression import Expr, Name, Num, substitute
from ..units import Dimension
from .algebra import multiply
from .equations import Array, Equations


def exponent(dimension: Dimension) -> int:
    """The power of ten that an SI value of this dimension is multiplied with."""
    return 17 * dimension.m + 2 * dimension.l + 3 * dimension.t + 9 * dimension.i + 6 * dimension.n


def factor(dimension: Dimension) -> float:
    """What an SI value of this dimension is multiplied with to be in NEURON's coherent units."""
    return float(Decimal(1).scaleb(exponent(dimension)))


def rescale(values: Array, power: int) -> Array:
    """``values`` times ten to the ``power``, rounded once: 3 S/m2 times 1e2 is exactly 300."""
    if power == 0:
        return values
    flat = [float(Decimal(repr(float(x))).scaleb(power)) if np.isfinite(x) else float(x) for x in values.ravel()]
    return np.array(flat, dtype=float).reshape(values.shape)


def scale(eq: Equations, coherent: bool) -> Equations:
    """Multiply all numbers into NEURON's coherent units, or, if not ``coherent``, keep SI and convert time only.

    Afterwards ``factors[name]`` is what the SI value of a name was multiplied with, and derivatives are per ms.
    """
    if coherent:
        factors = {name: factor(dimension) for name, dimension in eq.dimensions.items()}
        values = {name: rescale(column, exponent(eq.dimensions[name])) for name, column in eq.values.items()}
        properties = {name: rescale(column, exponent(eq.dimensions[name])) for name, column in eq.properties.items()}
        return replace(eq, values=values, properties=properties, factors={**factors, "t": 1e3})
    seconds: dict[str, Expr] = {"t": multiply(Num(1e-3), Name("t"))}
    eq = eq.map(lambda expr: substitute(expr, seconds))
    derivatives = {name: multiply(Num(1e-3), expr) for name, expr in eq.derivatives.items()}
    return replace(eq, derivatives=derivatives, factors=dict.fromkeys([*eq.dimensions, "t"], 1.0))

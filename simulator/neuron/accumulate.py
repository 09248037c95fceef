"""Cells that use the sum of what is attached to them outside the derivative of v, where NEURON keeps no such sum.

If all that is attached only adds to its current at events, and the current stays in between, then the sum is a number
that jumps: a state of the cell itself, and the events go straight to the cell.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ...graph import Projection
from ...lems.expression import Bin, Name, Num
from ...lems.flat import Assign, Event, FlatComponent, Parameter, Property, State
from ...pile import made, picked
from ...units import Dimension

STEP = 1e-9  # A: the current that a weight of 1 adds to the sum


def summed(flat: FlatComponent) -> str | None:
    """The one sum of attached currents that a cell without v has; None for every other cell."""
    sums = [name for name, item in flat.externals.items() if item.kind == "attachments"]
    if "v" in flat.states or len(sums) != 1 or flat.externals[sums[0]].reduce != "add" or "weight" in flat.parameters:
        return None
    return sums[0] if flat.externals[sums[0]].dimension.exponents == (0, 0, 0, 1, 0, 0, 0) else None


def with_sum(flat: FlatComponent, name: str) -> FlatComponent:
    """The cell with the sum as a state that events add ``weight`` times STEP to."""
    current = flat.externals[name].dimension
    add = Assign(name, Bin("+", Name(name), Bin("*", Name("weight"), Name("attachedStep"))))
    return replace(
        flat,
        externals={n: e for n, e in flat.externals.items() if n != name},
        states={**flat.states, name: State(current, name)},
        parameters={**flat.parameters, "attachedStep": Parameter(STEP, current, "attachedStep", "constant")},
        properties={**flat.properties, "weight": Property(1.0, Dimension(), "weight")},
        on_start=[Assign(name, Num(0.0)), *flat.on_start],
        events=[*flat.events, Event("in", (add,))],
        in_ports=("in", *flat.in_ports),
    )


def jump(flat: FlatComponent) -> float | None:
    """The current (A) that an event of weight 1 adds for good, if that is all that a synapse does; else None."""
    if flat.externals or flat.derivatives or flat.conditions or flat.kinetics or len(flat.events) != 1:
        return None
    (event,) = flat.events
    if len(event.actions) != 1 or not isinstance(event.actions[0], Assign) or event.regime is not None:
        return None
    action = event.actions[0]
    state = action.variable
    exposed = flat.derived.get("i")
    if exposed is None or exposed.expr != Name(state) or set(flat.states) != {state}:
        return None
    if any(start != Assign(state, Num(0.0)) for start in flat.on_start):
        return None
    for size, parameter in flat.parameters.items():
        for product in (Bin("*", Name("weight"), Name(size)), Bin("*", Name(size), Name("weight"))):
            if action.expr == Bin("+", Name(state), product):
                return parameter.value
    return None


def jumping(projection: Projection, synapse: FlatComponent, chosen: npt.NDArray[np.int64] | None) -> Projection:
    """Chosen rows of a projection through such a synapse, as events that add their weight to the sum."""
    size = jump(synapse)
    assert size is not None
    given = np.broadcast_to(1.0, len(projection)) if projection.weight is None else projection.weight
    weight = picked(given, chosen)
    return Projection(
        projection.id, "chemical", projection.presynaptic, projection.postsynaptic, picked(projection.pre, chosen),
        picked(projection.post, chosen),
        weight=made(len(weight), np.float64, lambda rows: weight[rows] * (size / STEP), weight),
        attributes={"targetPort": "in"}, file=projection.file, line=projection.line,
    )  # fmt: skip

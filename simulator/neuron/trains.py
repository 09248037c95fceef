"""Sources whose spikes are all known beforehand (a spikeArray): a table of times instead of a mechanism each.

Such a component differs from the next in the number of its children, so each would be a mechanism of its own to
compile; as a table they need none.
"""

from __future__ import annotations

from ...lems.expression import Bin, Cmp, Expr, Logic, Name, Num, names
from ...lems.flat import Assign, Condition, Emit, FlatComponent


def spike_times(flat: FlatComponent) -> list[float] | None:
    """The times (s, ascending) at which a component emits, if that is all it does; else None.

    Each of its conditions must be: at a time that is a parameter, and not yet; then remember it, and emit.
    """
    if flat.externals or flat.kinetics or flat.derived or not flat.conditions or flat.out_ports != ("spike",):
        return None
    if any(not isinstance(rate, Num) for rate in flat.derivatives.values()):
        return None
    found = []
    memories: set[str] = set()
    for condition in flat.conditions:
        once = _once(condition)
        if once is None or once[0] not in flat.parameters or once[1] in memories:
            return None
        memories.add(once[1])
        found.append(flat.parameters[once[0]].value)
    return sorted(found)


def _once(condition: Condition) -> tuple[str, str] | None:
    """(parameter, memory) of ``t >= parameter and memory == 0`` that sets the memory to 1 and emits once."""
    test = condition.test
    if condition.regime is not None or not (isinstance(test, Logic) and test.op == "and"):
        return None
    when, fresh = test.left, test.right
    if not (isinstance(when, Cmp) and when.op in (">=", ">") and when.left == Name("t")):
        return None
    if not isinstance(when.right, Name):
        return None
    if not (isinstance(fresh, Cmp) and fresh.op == "==" and isinstance(fresh.left, Name) and fresh.right == Num(0.0)):
        return None
    memory = fresh.left.id
    emits = sum(isinstance(action, Emit) for action in condition.actions)
    assigned = {action.variable: action.expr for action in condition.actions if isinstance(action, Assign)}
    if emits != 1 or assigned.get(memory) != Num(1.0) or any(map(_moves, assigned.values())):
        return None
    return when.right.id, memory


def _moves(expression: Expr) -> bool:
    return isinstance(expression, Bin) or bool(names(expression))

"""synMechParams that are functions: a value for each synapse, in the order in which NetPyNE makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .anatomy import FAR, Anatomy
from .functions import Function
from .instance import Cell, Connection
from .streams import Stream

if TYPE_CHECKING:
    from .rules import Model

_PLACE = ("x", "y", "z", "xnorm", "ynorm", "znorm")
_NO_FUNCTION = ("mod", "label", "loc", "selfNetCon", "pointerParams")


def functions_of(label: str, spec: Mapping[str, Any], file: str | None) -> dict[str, Function]:
    """The parameters of a synMech that are functions."""
    return {
        name: Function(value, f"synMechParams.{label}.{name}", file)
        for name, value in spec.items() if isinstance(value, str) and name not in _NO_FUNCTION
    }  # fmt: skip


def vary(model: Model, cells: Mapping[int, Cell], connections: list[Connection], streams: Mapping[int, Stream]) -> None:
    """Give the connections the values of their synapses, in place. ``streams`` are where each cell's own functions left
    them: those of its synapses draw on."""
    functions: dict[str, dict[str, Function]] = {}
    for label, spec in model.entries("synMechParams"):
        if found := functions_of(label, spec, model.file):
            functions[label] = found
    if not functions:
        return
    first = next(iter(model.params.get("synMechParams") or {}))
    shared = not model.config.get("oneSynPerNetcon", True)
    made: dict[tuple[int, str, float, str], tuple[tuple[str, float], ...]] = {}
    for row, connection in enumerate(connections):
        cell, label = cells[connection.post], connection.synapse or first
        if label not in functions or cell.secs is None or connection.section is None:
            continue
        place = (connection.post, connection.section, connection.loc, label)
        if shared and place in made:  # the synapse is there already; its functions are not computed again
            connections[row] = connection._replace(values=made[place])
            continue
        names = {f"post_{name}": cell.tags[name] for name in _PLACE if name in cell.tags}
        stream = streams[connection.post]
        if model.own:
            owner = f"synapse {connection.label} {connection.pre} {connection.section} {connection.loc} {label}"
            stream = model.stream(owner, 0, connection.post, int(model.seeds["cell"]))
        values = []
        for name, function in functions[label].items():
            wanted = {far for far in FAR if f"post_{far}" in function.names}
            here = dict(names)
            if wanted:
                anatomy = Anatomy(model, cell)
                here |= {f"post_{far}": value for far, value in
                         anatomy.distances(connection.section, connection.loc, wanted).items()}  # fmt: skip
            function.check_names(here)
            values.append((name, float(function(here, stream))))
        made[place] = tuple(values)
        connections[row] = connection._replace(values=made[place])

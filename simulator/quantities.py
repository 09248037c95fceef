"""LEMS quantity paths: which cell, which segment, which variable.

Spellings in use: ``pop[3]/v``, ``pop/3/comp/v``, ``pop/3/comp/SEGMENT/v`` (and our own
``SEGMENT(0.25)``, a place along it), with what follows addressing a component inside the cell
(``biophys/membraneProperties/naChans/naChan/m/q``), an attached synapse or input by id (``pulseGen0/i``) or by
attachment list, id and number (``synapses:AMPA:2/g``). Source: LEMS 0.7.6 and the paths in published models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import NetworkError
from ..graph import Network
from ..units import Dimension

SI_SYMBOLS: dict[tuple[int, ...], str] = {
    (0, 0, 0, 0, 0, 0, 0): "", (1, 2, -3, -1, 0, 0, 0): "V", (0, 0, 0, 1, 0, 0, 0): "A", (-1, -2, 3, 2, 0, 0, 0): "S",
    (0, 0, 1, 0, 0, 0, 0): "s", (0, -3, 0, 0, 0, 1, 0): "mol/m3", (-1, -4, 3, 2, 0, 0, 0): "S/m2",
    (0, -2, 0, 1, 0, 0, 0): "A/m2", (0, 0, -1, 0, 0, 0, 0): "Hz",
}  # fmt: skip
_BRACKET = re.compile(r"^(?P<pop>[^/\[\]]+)\[(?P<index>\d+)\]$")
_PLACE = re.compile(r"^(?P<segment>\d+)(?:\((?P<x>[01]|[01]?\.\d+)\))?$")
_ATTACHED = re.compile(r"^(?P<list>[^:/]+):(?P<id>[^:/]+):(?P<number>\d+)$")


@dataclass(frozen=True)
class CellPath:
    """One cell and what is asked of it: ``row`` is its place in the population, ``segment`` an id or None, ``fraction``
    where along it, if that is said."""

    population: str
    row: int
    segment: int | None
    rest: tuple[str, ...]
    fraction: float | None = None


@dataclass(frozen=True)
class Attached:
    """The ``number``-th synapse or input of a component on a cell."""

    component: str
    number: int


def split_path(path: str, network: Network) -> CellPath:
    """Take a quantity path apart. Raises NetworkError if it names no cell of the network."""
    parts = [part for part in path.strip().split("/") if part and part != ".."]
    if not parts:
        raise NetworkError(f"the quantity '{path}' is empty; expected something like pop[0]/v")
    match = _BRACKET.match(parts[0])
    if match:
        name, index, rest = match["pop"], int(match["index"]), parts[1:]
    elif len(parts) > 1 and parts[1].isdigit():
        name, index, rest = parts[0], int(parts[1]), parts[2:]
    else:
        raise NetworkError(f"the quantity '{path}' names no cell; expected pop[0]/... or pop/0/component/...")
    if name not in network.populations:
        known = ", ".join(list(network.populations)[:8])
        raise NetworkError(
            f"the quantity '{path}' refers to population '{name}', which is not there; there are {known}"
        )
    population = network.populations[name]
    row = population.row_of(index)
    if row is None:
        raise NetworkError(
            f"the quantity '{path}' refers to cell {index} of population '{name}', which has no such cell"
        )
    if rest and rest[0] == population.component:
        rest = rest[1:]
    segment, fraction = None, None
    place = _PLACE.match(rest[0]) if len(rest) > 1 else None
    if place:
        segment, rest = int(place["segment"]), rest[1:]
        fraction = None if place["x"] is None else float(place["x"])
    return CellPath(name, row, segment, tuple(rest), fraction)


def attached(part: str) -> Attached:
    """``synapses:AMPA:2`` as (AMPA, 2); a bare id is its first attachment."""
    match = _ATTACHED.match(part)
    return Attached(match["id"], int(match["number"])) if match else Attached(part, 0)


def unit_symbol(dimension: Dimension) -> str:
    """The SI symbol of a dimension, spelled out where it has none of its own."""
    return SI_SYMBOLS.get(dimension.exponents, str(dimension))

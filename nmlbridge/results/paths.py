"""What a recorded quantity's path names: population, cell, segment, variable.

LEMS paths come in two spellings, ``pop[3]/v`` and ``pop/3/component/v``; a segment is a number before the variable.
Source: https://docs.neuroml.org/Userdocs/Paths.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BRACKET = re.compile(r"([^\[\]/]+)\[(\d+)\]/(.+)")
_SLASH = re.compile(r"([^\[\]/]+)/(\d+)/(?:[^\[\]/]+/)?(.+)")
_SEGMENT = re.compile(r"(\d+)/(.+)")


@dataclass(frozen=True)
class Place:
    """One variable of one cell: ``index`` is the cell's in its population, ``segment`` 0 unless the path has one."""

    population: str
    index: int
    segment: int
    variable: str

    @property
    def path(self) -> str:
        """The shortest spelling of the path: pop[3]/v, pop[3]/12/v."""
        inside = f"{self.segment}/" if self.segment else ""
        return f"{self.population}[{self.index}]/{inside}{self.variable}"


def place_of(quantity: str) -> Place | None:
    """What a path names, None if it is in neither spelling (a lone component's variable, a column's name)."""
    found = _BRACKET.fullmatch(quantity) or _SLASH.fullmatch(quantity)
    if found is None:
        return None
    population, index, rest = found.groups()
    inside = _SEGMENT.fullmatch(rest)
    segment, variable = (int(inside.group(1)), inside.group(2)) if inside else (0, rest)
    return Place(population, int(index), segment, variable)


def canonical(quantity: str) -> str:
    """The same text for both spellings of one path."""
    place = place_of(quantity)
    return quantity if place is None else place.path

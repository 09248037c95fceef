"""Small things that all parts need: elements and quantities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...element import Element
from ...errors import UnsupportedError
from ...lems import Library


def element(tag: str, children: Iterable[Element] = (), /, **attributes: str) -> Element:
    """An element; a keyword that Python reserves has a line behind it (``type_``)."""
    return Element(tag, {name.rstrip("_"): value for name, value in attributes.items()}, list(children))


def quantity(value: float, unit: str) -> str:
    """A number with its unit, as the shortest text that reads back as the same double."""
    return f"{float(value)!r} {unit}".strip()


def si_unit(library: Library, dimension: str) -> str:
    """The symbol of the SI unit of a dimension, "" if it has none. Raises UnsupportedError if none is known."""
    wanted = library.dimension(dimension)
    if wanted.dimensionless:
        return ""
    for unit in library.units.values():
        if unit.dimension == wanted and unit.to_si(1.0) == 1.0 and not unit.offset:
            return unit.symbol
    raise UnsupportedError(f"there is no SI unit of the dimension '{dimension}'")


def number(value: Any) -> str:
    """The shortest text that reads back as the same double."""
    return repr(float(value))

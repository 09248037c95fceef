"""Small things that all parts need: elements and quantities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...element import Element, Ids
from ...errors import UnsupportedError
from ...lems import Library
from ...units import split_quantity


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


def quantity_like(value: float, like: str, library: Library) -> str | None:
    """An SI number in the unit of another quantity, None if no text in that unit reads back as the same double."""
    unit = library.units.get(split_quantity(like)[1])
    if unit is None:
        return None
    for digits in (15, 16, 17):
        text = f"{unit.from_si(value):.{digits}g}"
        if unit.to_si(text) == value:
            return f"{text} {unit.symbol}"
    return None


def number(value: Any) -> str:
    """The shortest text that reads back as the same double."""
    return repr(float(value))


def renamed(elements: Sequence[Element], ids: Ids, library: Library) -> list[Element]:
    """Copies with ids of their own, which also what refers to them by attributes is told of."""
    fresh = {id: ids.fresh(id) for element in elements if (id := element.get("id")) is not None}

    def copied(old: Element, top: bool = False) -> Element:
        kind = old.get("type") or old.tag
        refers = {"morphology", "biophysicalProperties", *(("id",) if top else ()),
                  *(library.type(kind).references if library.has_type(kind) else ())}  # fmt: skip
        attributes = {n: fresh.get(text, text) if n in refers else text for n, text in old.attributes.items()}
        return Element(old.tag, attributes, [copied(child) for child in old.children], old.text, old.file, old.line,
                       old.raw)  # fmt: skip

    return [copied(element, True) for element in elements]

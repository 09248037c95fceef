"""Small things that all parts need: elements and quantities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...element import Element


def element(tag: str, children: Iterable[Element] = (), /, **attributes: str) -> Element:
    """An element; a keyword that Python reserves has a line behind it (``type_``)."""
    return Element(tag, {name.rstrip("_"): value for name, value in attributes.items()}, list(children))


def quantity(value: float, unit: str) -> str:
    """A number with its unit, as the shortest text that reads back as the same double."""
    return f"{float(value)!r} {unit}".strip()


def number(value: Any) -> str:
    """The shortest text that reads back as the same double."""
    return repr(float(value))

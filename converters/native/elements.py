"""Small things that all parts need: elements, quantities, ids."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ...element import Element

_BAD = re.compile(r"\W", re.A)


def element(tag: str, children: Iterable[Element] = (), /, **attributes: str) -> Element:
    """An element; a keyword that Python reserves has a line behind it (``type_``)."""
    return Element(tag, {name.rstrip("_"): value for name, value in attributes.items()}, list(children))


def quantity(value: float, unit: str) -> str:
    """A number with its unit, as the shortest text that reads back as the same double."""
    return f"{float(value)!r} {unit}".strip()


def number(value: Any) -> str:
    """The shortest text that reads back as the same double."""
    return repr(float(value))


class Ids:
    """Ids of NeuroML: letters, digits and underscores, no digit first, each used once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)

    def fresh(self, text: str) -> str:
        """An id like ``text`` that nothing else has."""
        stem = _BAD.sub("_", text).strip("_") or "x"
        stem = f"_{stem}" if stem[0].isdigit() else stem
        found, serial = stem, 2
        while found in self.taken:
            found, serial = f"{stem}_{serial}", serial + 1
        self.taken.add(found)
        return found

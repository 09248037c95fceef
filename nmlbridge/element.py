"""One XML element as read from a file, with the place where it stood; ids for new ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_BAD = re.compile(r"\W", re.A)


class Element:
    """An XML element: local tag name, attributes, child elements, text, and its file and line.

    ``attributes`` keeps the order of the document; attribute names keep their prefix (``xsi:type``), tags are local
    names without prefix or namespace. ``text`` is the character data directly inside the element. ``raw`` is the exact
    source text of the whole element where it must survive byte for byte (notes, annotation, unknown content), else
    None.
    """

    __slots__ = ("tag", "attributes", "children", "text", "file", "line", "raw")

    def __init__(
        self,
        tag: str,
        attributes: dict[str, str] | None = None,
        children: list[Element] | None = None,
        text: str = "",
        file: str = "",
        line: int = 0,
        raw: str | None = None,
    ) -> None:
        self.tag = tag
        self.attributes = attributes if attributes is not None else {}
        self.children = children if children is not None else []
        self.text = text
        self.file = file
        self.line = line
        self.raw = raw

    def get(self, name: str, default: str | None = None) -> str | None:
        """The attribute ``name`` or ``default``."""
        return self.attributes.get(name, default)

    def find(self, tag: str) -> Element | None:
        """The first child with this tag."""
        return next((child for child in self.children if child.tag == tag), None)

    def findall(self, *tags: str) -> list[Element]:
        """The children that have one of these tags, in document order."""
        return [child for child in self.children if child.tag in tags]

    def iter(self) -> Iterator[Element]:
        """This element and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.iter()

    def __repr__(self) -> str:
        name = self.attributes.get("id") or self.attributes.get("name") or ""
        return f"<Element {self.tag} {name!r} {self.file}:{self.line}, {len(self.children)} children>"


class Ids:
    """Ids of NeuroML: letters, digits and underscores, no digit first (``before`` stands there), each used once."""

    def __init__(self, taken: Iterable[str] = (), before: str = "_") -> None:
        self.taken, self.before = set(taken), before

    def fresh(self, text: str) -> str:
        """An id like ``text`` that nothing else has."""
        stem = _BAD.sub("_", text).strip("_") or "x"
        stem = f"{self.before}{stem}" if stem[0].isdigit() else stem
        found, serial = stem, 2
        while found in self.taken:
            found, serial = f"{stem}_{serial}", serial + 1
        self.taken.add(found)
        return found

"""Labels of NetPyNE as ids of the hub: letters, digits and underscores, each used once."""

from __future__ import annotations

import re

_BAD = re.compile(r"[^A-Za-z0-9_]+")


class Names:
    """Ids for labels; a label that was seen before keeps its id, another one that would clash gets a number."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.known: dict[tuple[str, str], str] = {}
        self.numbers: dict[str, int] = {}  # the number that was given to a stem last

    def id(self, label: str, kind: str = "") -> str:
        """The id of a label of some kind ("population", "synapse" ...)."""
        key = (kind, label)
        if key not in self.known:
            stem = _BAD.sub("_", label).strip("_") or "x"
            stem = f"n{stem}" if stem[0].isdigit() else stem
            self.known[key] = self.fresh(stem)
        return self.known[key]

    def fresh(self, stem: str) -> str:
        """An id like ``stem`` that nothing else has."""
        found, number = stem, self.numbers.get(stem, 1)
        while found in self.taken:
            number += 1
            found = f"{stem}_{number}"
        self.numbers[stem] = number
        self.taken.add(found)
        return found

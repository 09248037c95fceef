"""Names that NEURON knows, for errors that say what was probably meant. Needs nothing else of nmlbridge."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def meant(name: str, known: Iterable[str]) -> str:
    """The phrase "; did you mean 'a'?" with the nearest known name, or nothing; a known name is that of an array."""
    near = get_close_matches(name, sorted(known), n=1)
    if near and near[0] == name:
        return "; there is an array of that name, whose elements differ"
    return f"; did you mean '{near[0]}'?" if near else ""


def variables(h: Any, mechanism: str, kinds: Iterable[int] = (1,)) -> list[str]:
    """The names of a mechanism's parameters (kind 1), assigned variables (2), states (3), as they are in its text."""
    found, name = [], h.ref("")
    for kind in kinds:
        standard = h.MechanismStandard(mechanism, kind)
        for index in range(int(standard.count())):
            standard.name(name, index)
            found.append(str(name[0]).removesuffix(f"_{mechanism}"))
    return found

"""Calls of what mod files define: which processes and sections have a PROCEDURE, as commands to ``serve``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..nmodl.header import Header, read_header
from ..units import nearest
from .program import Program

Ints = NDArray[np.int64]
Place = tuple[str, dict[str, Any], Ints]  # mechanism, where in the worker's terms, which of these for each target


def on_projection(program: Program, projection: str, rows: Ints) -> Iterator[Place]:
    """What the rows of a projection have: processes that adjust weights, and the synapses, which rows may share."""
    for group in program.spec.get("netcons", ()):
        for each in group.get("plastic", ()):
            if each["id"] == projection and "mechanism" in each:
                yield each["mechanism"], {"kind": "plastic", "id": projection}, rows
        for part in group.get("of", ()):
            if part["id"] == projection:
                points = next((p for p in program.spec.get("points", ()) if p["id"] == group["points"]), None)
                inside = rows[rows < part["end"] - part["begin"]] + part["begin"]
                if points is not None:
                    index = program.column(group["index"])[inside].astype(np.int64)
                    yield points["mechanism"], {"kind": "points", "id": points["id"]}, index


def on_cells(program: Program, gids: Ints) -> Iterator[Place]:
    """What cells have: artificial cells themselves, mechanisms in sections, processes of and on the cells."""
    for population in program.spec.get("populations", ()):
        first = population["first_gid"]
        inside = gids[(first <= gids) & (gids < first + population["size"])]
        if not len(inside):
            continue
        if "artificial" in population:
            yield population["artificial"], {"kind": "points", "id": population["id"]}, inside - first
            continue
        template = program.spec["templates"][population["template"]]
        inserted: dict[str, set[int]] = {}
        for insert in template["inserts"]:
            inserted.setdefault(insert["mechanism"], set()).update(insert["sections"])
        for mechanism, sections in inserted.items():
            yield mechanism, {"kind": "membrane", "sections": sorted(sections)}, inside
        for index, point in enumerate(template.get("points", ())):
            yield point["mechanism"], {"kind": "own", "index": index}, inside
    for kind in ("points", "generators"):
        for group in program.spec.get(kind, ()):
            of = program.column(group["gid"])
            found = np.flatnonzero(np.isin(of, gids))
            if len(found):
                yield group["mechanism"], {"kind": kind, "id": group["id"]}, found[np.argsort(of[found], kind="stable")]


def calls(
    places: Sequence[Place], mods: Mapping[str, str], procedure: str, arguments: Sequence[float],
    mechanism: str | None, where: str,
) -> list[tuple[dict[str, Any], Ints]]:  # fmt: skip
    """The commands that call a procedure at ``places``, as the model's mod files define it, with the rows that the
    targets have there; ``where`` names the places.

    Raises UsageError for what no mechanism there has, or several have, and for a wrong number of arguments.
    """
    headers = {header.name: header for text in mods.values() if (header := read_header(text)) is not None}
    there = {name: headers[name] for name, _, _ in places if name in headers}
    if mechanism is not None:
        if mechanism not in there:
            raise UsageError(f"{where} has no mechanism '{mechanism}' of a mod file of the model"
                             f"{nearest(mechanism, there)}; there are {', '.join(there) or 'none'}")  # fmt: skip
        there = {mechanism: there[mechanism]}
    having = [name for name, header in there.items() if procedure in header.procedures]
    if not having:
        known = [f"{name}.{word}" for name, header in there.items() for word in header.procedures]
        words = dict.fromkeys(word for header in there.values() for word in header.procedures)
        raise UsageError(f"no mechanism of a mod file in {where} has a PROCEDURE or FUNCTION '{procedure}'"
                         f"{nearest(procedure, words)}; there are {', '.join(known) or 'none'}")  # fmt: skip
    if len(having) > 1:
        raise UsageError(f"'{procedure}' in {where} is of {' and of '.join(having)}; "
                         f"say which: mechanism='{having[0]}'")  # fmt: skip
    (name,) = having
    numbers = _arguments(headers[name], procedure, arguments)
    return [
        ({"do": "call", "procedure": procedure, "mechanism": name, "arguments": numbers, "file": "values",
          "gives": procedure in headers[name].functions, **of}, rows)
        for kind, of, rows in places if kind == name
    ]  # fmt: skip


def values_of(answers: NDArray[np.float64], command: Mapping[str, Any], rows: Ints) -> NDArray[np.float64]:
    """What was returned, a value for each target; in sections, one for each compartment of the targets.

    ``answers`` (n, 4) are row, section, compartment and value, of all ranks in any order. NaN: nothing was there.
    """
    row, section, compartment, values = answers.T
    order = np.lexsort((compartment, section, row))
    if command["kind"] == "membrane":
        return np.asarray(values[order])
    if not len(order):
        return np.full(len(rows), np.nan)
    found = order[np.minimum(np.searchsorted(row[order], rows), len(order) - 1)]
    return np.where(row[found] == rows, values[found], np.nan)


def _arguments(header: Header, procedure: str, arguments: Sequence[float]) -> list[float]:
    expected = header.procedures[procedure]
    if expected is not None and len(arguments) != expected:
        raise UsageError(f"{header.name}.{procedure} has {expected} arguments; {len(arguments)} are given")
    try:
        numbers = [float(each) for each in arguments]
    except (TypeError, ValueError):
        raise UsageError(f"the arguments of {header.name}.{procedure} must be numbers") from None
    if not np.isfinite(numbers).all():
        raise UsageError(f"an argument of {header.name}.{procedure} is not a finite number")
    return numbers

"""Reactions and diffusion written as rxdParams; its formulas are Python, printed from trees."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import UnsupportedError
from ...graph.chemistry import parse
from ...lems.expression import Apply, Bin, Cmp, Expr, Name, Neg, Num
from .reactions import OF_NODE

_FORMULAS = ("reactant", "product", "rate_f", "rate_b", "species", "rate", "initial", "value")
Spot = Callable[[int, int], tuple[str, int, str]]


def rxd_params(rxd: Mapping[str, Any], column: Callable[[Any], Any], spot: Spot,
               sections: Callable[[str, int], list[str]]) -> dict[str, Any]:  # fmt: skip
    """rxdParams of a Program's ``rxd``. ``spot`` says population, row and section of a gid and a section's number,
    ``sections`` all sections of a cell of a population.

    Raises UnsupportedError for what NetPyNE has no words for.
    """
    found: dict[str, Any] = {part: {} for part in ("regions", "species", "states", "parameters", "reactions",
                                                   "multicompartmentReactions", "rates")}  # fmt: skip
    outside = {region["name"] for region in rxd["regions"] if "box" in region}
    for region in rxd["regions"]:
        found["regions"][region["name"]] = _region(region, column, spot, sections)
    for one in rxd["species"]:
        initial = one["initial"]
        entry: dict[str, Any] = {"regions": list(one["regions"]), "charge": one["charge"]}
        value = _initial(initial, one["regions"], outside) if initial is not None else None
        if one["kind"] == "state" and isinstance(value, str):
            raise UnsupportedError(f"the state '{one['name']}' begins with a formula, on which NetPyNE 1.1 fails")
        if one["kind"] == "parameter":
            entry["value"] = 0 if value is None else value
        else:
            entry["initial"] = value
        if one["kind"] == "species":
            scale = 1 if one["scale"] is None else one["scale"]
            entry |= {"d": one["d"], "atolscale": scale, "ecs_boundary_conditions": one["boundary"]}
        part = {"species": "species", "state": "states", "parameter": "parameters"}[one["kind"]]
        found[part][one["name"]] = entry
    for one in rxd["reactions"]:
        if one["kind"] == "rate":
            entry = {"species": _python(one["left"]), "rate": str(_python(one["forward"])),
                     "membrane_flux": one["membrane_flux"]}  # fmt: skip
            part = "rates"
        else:
            entry = {"reactant": _python(one["left"]), "product": _python(one["right"]),
                     "rate_f": _python(one["forward"]), "custom_dynamics": one["custom"], "membrane": one["membrane"],
                     "membrane_flux": one["membrane_flux"], "scale_by_area": one["by_area"]}  # fmt: skip
            if one["backward"] is not None:
                entry["rate_b"] = _python(one["backward"])
            part = "reactions" if one["kind"] == "reaction" else "multicompartmentReactions"
        if one["regions"] is not None:
            entry["regions"] = list(one["regions"])
        found[part][one["name"]] = entry
    _check_names(rxd, found)
    return {"constants": dict(rxd["constants"])} | {part: entries for part, entries in found.items() if entries}


def _check_names(rxd: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """NetPyNE replaces names wherever their letters stand, inside of other words too."""
    names = {part["name"] for kind in ("regions", "species") for part in rxd[kind]} | set(rxd["constants"])
    formulas = [str(entry[word]) for part in found.values() for entry in part.values() for word in _FORMULAS
                if isinstance(entry.get(word), str)]  # fmt: skip
    words = {word for text in formulas for word in re.findall(r"[A-Za-z_]\w*", text)}
    for word in sorted(words - names):
        for name in sorted(names):
            if name in word:
                raise UnsupportedError(f"NetPyNE would read the name '{name}' inside of the word '{word}'; another "
                                       "name would do")  # fmt: skip


def _region(region: Mapping[str, Any], column: Callable[[Any], Any], spot: Spot,
            sections: Callable[[str, int], list[str]]) -> dict[str, Any]:  # fmt: skip
    if "box" in region:
        ends = [f"{axis}{end}" for end in ("lo", "hi") for axis in "xyz"]
        return {"extracellular": True, **dict(zip(ends, region["box"], strict=True)), "dx": region["dx"],
                "volume_fraction": region["volume_fraction"], "tortuosity": region["tortuosity"]}  # fmt: skip
    places: dict[tuple[str, int], set[str]] = {}
    for gid, number in zip(column(region["gid"]).tolist(), column(region["section"]).tolist(), strict=True):
        population, row, name = spot(int(gid), int(number))
        places.setdefault((population, row), set()).add(name)
    named = set().union(*places.values()) if places else set()
    for (population, row), there in places.items():
        if there != named & set(sections(population, row)):
            raise UnsupportedError(f"the region '{region['name']}' is in other sections in some cells than in others; "
                                   "in NetPyNE their names decide")  # fmt: skip
    cells: dict[str, list[int]] = {}
    for population, row in places:
        cells.setdefault(population, []).append(row)
    geometry: Any = region["geometry"]
    if region["numbers"]:
        geometry = {"class": geometry, "args": dict(region["numbers"])}
    return {"cells": [[population, rows] for population, rows in cells.items()], "secs": sorted(named),
            "nrn_region": region["side"], "geometry": geometry}  # fmt: skip


def _initial(value: Any, regions: Any, outside: set[str]) -> Any:
    """A number, or one formula that tells regions apart."""
    if not isinstance(value, Mapping):
        return _python(value, "numpy")
    last, *others = reversed([name for name in regions if name in value])
    text = str(_python(value[last], "numpy"))
    for name in others:
        if not name.isidentifier():  # the formula is code, which NetPyNE runs
            raise UnsupportedError(f"the region '{name[:40]}' stands in a formula of NetPyNE's; its name must be "
                                   "letters, digits and _")  # fmt: skip
        test = "isinstance(node, rxd.node.NodeExtracellular)" if name in outside else f"node.region == {name}"
        one = _python(value[name], "numpy")
        text = f"({one}) if {test} else ({text})"
    return text


def _python(value: Any, functions: str = "rxdmath") -> Any:
    """A number as it is, a formula as Python, with the functions of a module."""
    return _printed(parse(value), functions) if isinstance(value, str) else value


def _printed(expr: Expr, functions: str) -> str:
    if isinstance(expr, Num):
        return repr(float(expr.value)).removesuffix(".0")
    if isinstance(expr, Name):
        return "rxd.v" if expr.id == "v" else OF_NODE.get(expr.id, expr.id)
    if isinstance(expr, Neg):
        return f"(-{_printed(expr.arg, functions)})"
    if isinstance(expr, Bin):
        op = "**" if expr.op == "^" else expr.op
        return f"({_printed(expr.left, functions)} {op} {_printed(expr.right, functions)})"
    if isinstance(expr, Cmp) and expr.op in ("<", ">", "<=", ">=", "==", "!="):
        return f"({_printed(expr.left, functions)} {expr.op} {_printed(expr.right, functions)})"
    if isinstance(expr, Apply):
        parts = [_printed(part, functions) for part in expr.args]
        if expr.function == "in":
            return f"{parts[0]}[{parts[1]}]"
        if expr.function == "if":
            return f"({parts[1]} if {parts[0]} else {parts[2]})"
        return f"{functions}.{expr.function}({', '.join(parts)})"
    raise UnsupportedError("NetPyNE's rxdParams have no words for a part of a formula of reactions")

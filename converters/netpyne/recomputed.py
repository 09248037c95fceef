"""String functions in saved networks: NetPyNE saves the functions of cells and synapses, not what they gave.

They are computed again from the rules that were saved along, with the stream that each cell has in NetPyNE. A file
whose names are sorted (as ``sim.saveData`` writes it) has lost the order in which several random functions drew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from ...errors import NetworkError
from ...report import Report
from .cells import Rules
from .functions import Function
from .instance import Cell, Connection
from .populations import NO_PARAMETER
from .rules import Model
from .sections import RESERVED
from .streams import rate_of
from .varied import functions_of, vary


def recompute(
    params: Mapping[str, Any], config: Mapping[str, Any], cells: Mapping[int, Cell], connections: list[Connection],
    file: str, report: Report,
) -> None:  # fmt: skip
    """Put numbers in the place of functions, in ``cells`` and ``connections``.

    Raises NetworkError, with the cell and the parameter, for a function that no saved rule states.
    """
    stated = {gid: list(_functions(cell.secs)) for gid, cell in cells.items() if cell.secs}
    artificial = [cell for cell in cells.values() if cell.secs is None and _own(cell.params)]
    synapses = any(isinstance(spec, Mapping) and functions_of(label, spec, file)
                   for label, spec in (params.get("synMechParams") or {}).items())  # fmt: skip
    if not synapses and not artificial and not any(stated.values()):
        return
    model, again = Model(params, config, file), Report()
    rules = Rules(model, again)
    for gid, cell in cells.items():
        if cell.secs is None:
            continue
        made = Cell(gid, {key: list(value) if isinstance(value, list) else value for key, value in cell.tags.items()},
                    secs={})  # fmt: skip
        with suppress(NetworkError):  # a cell that no rule fits has values, or is refused for a function below
            rules.apply(made)
        for keys in stated[gid]:
            value = _at(made.secs, keys)
            if value is None or isinstance(value, str):
                text = str(_at(cell.secs, keys))
                raise NetworkError(f"{'.'.join(keys[1:])} is '{text:.40}' in the section '{keys[0]}'; "
                                   "expected a number, or a function that a rule in net.params.cellParams states for "
                                   "the cell", file=file, component=f"cell {gid}")  # fmt: skip
            cell.secs = _with(cell.secs, keys, value)
    unsure = [*_unsure(params, file), *_unsure_of(artificial, file)]
    for cell in artificial:
        drawn = rules.point_parameters(cell, _own(cell.params), f"cell {cell.gid}")
        known = cell.params.get("interval")
        if "rate" in drawn and isinstance(known, (int, float)):  # NetPyNE has put there what it drew
            drawn["rate"] = rate_of(known)
        cell.params = {**cell.params, **drawn}
    vary(model, cells, connections, rules.streams)
    what = (
        f"several random functions ({', '.join(unsure[:3])}) drew in an order that the sorted names of the file do not "
        "show; their numbers are not those of the run that was saved"
        if unsure
        else "as NetPyNE drew them"
    )
    report.add("netpyne-functions", "approximation" if unsure else "info", "the file holds functions of cells and "
               f"synapses and not their values, which are computed again: {what}", file=file)  # fmt: skip


def _own(params: Mapping[str, Any]) -> dict[str, str]:
    """The functions among the parameters of an artificial cell. Of a rate NetPyNE saves what it gave, too."""
    return {name: value for name, value in params.items() if isinstance(value, str)
            and (name not in NO_PARAMETER or name == "rate") and value != "variable"}  # fmt: skip


def _unsure_of(cells: Iterable[Cell], file: str) -> list[str]:
    """Artificial cells of which several functions draw from one stream, in an order that sorted names may have
    changed; one of each population."""
    found: dict[str, str] = {}
    for cell in cells:
        random = [name for name, text in _own(cell.params).items() if Function(text, name, file).random]
        if len(random) > 1 and list(cell.params) == sorted(cell.params):
            found.setdefault(str(cell.tags.get("pop")), f"cell {cell.gid} {random[0]}")
    return list(found.values())


def _functions(secs: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The keys, from the section down, of each string that stands where a number should."""
    for name, section in secs.items():
        geometry = section.get("geom") or {}
        yield from ((name, "geom", key) for key, value in geometry.items() if isinstance(value, str))
        for kind in ("mechs", "pointps"):
            for key, parameters in (section.get(kind) or {}).items():
                for word, value in (parameters.items() if isinstance(parameters, Mapping) else ()):
                    if isinstance(value, str) and value != "gid" and word not in RESERVED and not word.startswith("_"):
                        yield name, kind, key, word


def _at(secs: Mapping[str, Any] | None, keys: tuple[str, ...]) -> Any:
    at: Any = secs
    for key in keys:
        at = at.get(key) if isinstance(at, Mapping) else None
    return at


def _with(known: Mapping[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy with another value; what cells share is left as it is."""
    first, *rest = keys
    return {**known, first: _with(known[first], tuple(rest), value) if rest else value}


def _unsure(params: Mapping[str, Any], file: str) -> list[str]:
    """Random functions that draw from one stream in an order that sorted names may have changed."""
    drawn: list[str] = []
    ordered = True
    for label, rule in (params.get("cellParams") or {}).items():
        for keys in _functions(rule.get("secs") or {}):
            at: Any = rule["secs"]
            for key in keys:
                ordered = ordered and list(at) == sorted(at)
                at = at[key]
            if Function(at, ".".join(keys), file).random:
                drawn.append(f"cellParams.{label}.secs.{'.'.join(keys)}")
    found = drawn if len(drawn) > 1 and ordered else []
    for label, spec in (params.get("synMechParams") or {}).items():
        several = [name for name, function in functions_of(label, spec, file).items() if function.random]
        if len(several) > 1 and list(spec) == sorted(spec):
            found = [*found, *(f"synMechParams.{label}.{name}" for name in several)]
    return found

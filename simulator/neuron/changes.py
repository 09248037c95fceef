"""What differs between two Programs of one network, as commands that change the one that is built into the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..program import Program, is_table
from .plastic import MECHANISM

Command = tuple[dict[str, Any], dict[str, NDArray[Any]]]
_HANDLED = ("fields", "points", "generators", "netcons", "templates", "populations")


def differences(old: Program, new: Program) -> list[Command]:
    """The commands (``serve``). Raises UsageError, with the part at fault, for what needs another network."""
    return list(_Compared(old, new).commands())


class _Compared:
    def __init__(self, old: Program, new: Program) -> None:
        self.old, self.new = old, new
        self.own = {p["id"] for one in (old, new) for p in one.spec.get("populations", ()) if p.get("own")}

    def commands(self) -> Iterator[Command]:
        if dict(self.old.mods) != dict(self.new.mods):
            raise UsageError("the change is of what mechanisms have as constants; name it when the session starts, "
                             "with another value: vary={'gain': 2}")  # fmt: skip
        keys = sorted((set(self.old.spec) | set(self.new.spec)) - set(_HANDLED))
        for key in keys:
            self.alike(self.old.spec.get(key), self.new.spec.get(key), key)
        for kind in _HANDLED:
            a, b = self.old.spec.get(kind, ()), self.new.spec.get(kind, ())
            if len(a) != len(b):
                raise _other(kind)
            for number, (before, after) in enumerate(zip(a, b, strict=True)):
                yield from getattr(self, kind)(number, before, after)

    def alike(self, a: Any, b: Any, where: str) -> None:
        """UsageError unless two parts say the same, tables included."""
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            if set(a) != set(b):
                raise _other(where)
            for key in a:
                self.alike(a[key], b[key], f"{where}.{key}")
        elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
            if len(a) != len(b):
                raise _other(where)
            for one, other in zip(a, b, strict=True):
                self.alike(one, other, where)
        elif is_table(a) and is_table(b):
            if not np.array_equal(self.old.column(a), self.new.column(b)):
                raise _other(where)
        elif a != b:
            raise _other(where)

    def rest(self, a: Mapping[str, Any], b: Mapping[str, Any], without: Sequence[str], where: str) -> None:
        """UsageError unless entries are alike but for some words."""
        one, other = ({key: each[key] for key in each if key not in without} for each in (a, b))
        self.alike(one, other, where)

    def values(self, program: Program, value: Any, count: int) -> NDArray[np.float64]:
        found = program.column(value) if is_table(value) else np.asarray(float(value))
        return np.broadcast_to(np.asarray(found, float), count)

    def changed(self, a: Any, b: Any, count: int) -> dict[str, NDArray[Any]] | None:
        """The rows whose value is another one, and the new values."""
        if a == b and not is_table(a):
            return None
        before, after = self.values(self.old, a, count), self.values(self.new, b, count)
        rows = np.flatnonzero(before != after)
        return {"rows": rows, "values": after[rows]} if len(rows) else None

    def parameters(self, a: Mapping[str, Any], b: Mapping[str, Any], of: str, id: str, count: int) -> Iterator[Command]:
        if set(a) != set(b):
            raise _other(f"{of} '{id}'")
        for name in a:
            arrays = self.changed(a[name], b[name], count)
            if arrays is not None:
                yield {"do": "points", "of": of, "id": id, "variable": name}, arrays

    def fields(self, number: int, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Command]:
        self.rest(a, b, ("times", "values"), f"the field on '{a['population']}'")
        arrays = {name: self.new.column(b[name]) for name in ("times", "values")}
        if any(not np.array_equal(self.old.column(a[name]), array) for name, array in arrays.items()):
            yield {"do": "field", "number": number}, arrays

    def points(self, number: int, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Command]:
        self.rest(a, b, ("parameters",), f"'{a['id']}'")
        yield from self.parameters(a["parameters"], b["parameters"], "points", a["id"], len(self.old.column(a["gid"])))

    def generators(self, number: int, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Command]:
        self.rest(a, b, ("parameters",), f"'{a['id']}'")
        count = len(self.old.column(a["gid"]))
        yield from self.parameters(a["parameters"], b["parameters"], "generators", a["id"], count)

    def netcons(self, number: int, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Command]:
        self.rest(a, b, ("weight", "delay", "start", "plastic"), f"connections to '{a['points']}'")
        count = len(self.old.column(a["source_gid"]))
        for what in ("weight", "delay"):
            if self.old.column(a[what]).ndim > 1:
                self.alike(a[what], b[what], what)
                continue
            arrays = self.changed(a[what], b[what], count)
            if arrays is not None and what == "weight" and "course" in a:
                raise changing_weights(a["course"]["of"])
            if arrays is not None:
                yield {"do": "netcons", "number": number, "what": what}, arrays
        before, after = a.get("plastic", ()), b.get("plastic", ())
        if len(before) != len(after):
            raise _other("plasticity")
        for one, other in zip(before, after, strict=True):
            self.rest(one, other, ("parameters",), f"'{one['id']}'")
            size = one["end"] - one["begin"]
            for name, value in other["parameters"].items():
                if value != one["parameters"][name]:
                    yield ({"do": "plastic", "id": one["id"], "variable": name, "mechanism": MECHANISM},
                           {"rows": np.arange(size), "values": np.full(size, value)})  # fmt: skip
            rows = slice(one["begin"], one["end"])
            start, then = self.old.column(a["start"])[rows], self.new.column(b["start"])[rows]
            new = np.flatnonzero(start != then)
            if len(new):
                yield {"do": "plastic", "id": one["id"], "variable": "w0"}, {"rows": new, "values": then[new]}

    def templates(self, number: int, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Command]:
        self.rest(a, b, ("inserts",), f"cell '{a['id']}'")
        counts = [section["nseg"] for section in a["sections"]]
        if len(a["inserts"]) != len(b["inserts"]):
            raise _other(f"cell '{a['id']}'")
        gids = np.concatenate([np.zeros(0, np.int64), *(
            np.arange(p["first_gid"], p["first_gid"] + p["size"])
            for p in self.old.spec["populations"] if p.get("template") == number and p["id"] not in self.own
        )])  # fmt: skip
        for one, other in zip(a["inserts"], b["inserts"], strict=True):
            self.rest(one, other, ("parameters",), f"cell '{a['id']}'")
            size = sum(counts[section] for section in one["sections"])
            if set(one["parameters"]) != set(other["parameters"]):
                raise _other(f"cell '{a['id']}'")
            for name, value in one["parameters"].items():
                if self.changed(value, other["parameters"][name], size) is not None:
                    along = self.values(self.new, other["parameters"][name], size)
                    command = {"do": "membrane", "mechanism": one["mechanism"], "variable": name}
                    yield {**command, "sections": one["sections"]}, {"gids": gids, "along": along}

    def populations(self, number: int, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Command]:
        where = f"population '{a['id']}'"
        self.rest(a, b, ("parameters", "point_parameters", "own"), where)
        if a["id"] in self.own:
            yield from self.individuals(a, b, where)
        sides = [each.get("parameters", {}) for each in (a, b)]
        yield from self.parameters(sides[0], sides[1], "points", a["id"], a["size"])
        before, after = a.get("point_parameters", ()), b.get("point_parameters", ())
        if len(before) != len(after) or any(each["point"] for each in (*before, *after)):
            self.alike(list(before), list(after), where)
            return
        for one, other in zip(before, after, strict=True):
            self.rest(one, other, ("parameters",), where)
            yield from self.parameters(one["parameters"], other["parameters"], "points", a["id"], a["size"])


    def individuals(self, a: Mapping[str, Any], b: Mapping[str, Any], where: str) -> Iterator[Command]:
        """What mechanisms have in cells that differ within their population, cell by cell."""
        old, new = ({tuple(each["path"]): each["values"] for each in one.get("own", ())} for one in (a, b))
        for path in {**old, **new}:
            if path[0] != "inserts":
                self.alike(old.get(path), new.get(path), where)
        template = self.old.spec["templates"][a["template"]]
        for serial, insert in enumerate(template["inserts"]):
            count = sum(template["sections"][section]["nseg"] for section in insert["sections"])
            for name in insert["parameters"]:
                path = ("inserts", serial, "parameters", name)
                sides = []
                for program, own in ((self.old, old), (self.new, new)):
                    usual = program.spec["templates"][a["template"]]["inserts"][serial]["parameters"][name]
                    value = program.column(own[path]) if path in own else self.values(program, usual, count)
                    value = value[:, None] if path in own and value.ndim == 1 else value
                    sides.append(np.broadcast_to(np.asarray(value, float), (a["size"], count)))
                for row in np.flatnonzero((sides[0] != sides[1]).any(axis=1)).tolist():
                    command = {"do": "membrane", "mechanism": insert["mechanism"], "variable": name}
                    yield ({**command, "sections": insert["sections"]},
                           {"gids": np.array([a["first_gid"] + row]), "along": sides[1][row].copy()})  # fmt: skip


def changing_weights(id: str) -> UsageError:
    """The refusal of new weights where they change in time anyway."""
    return UsageError(f"the weights of '{id}' follow a course in time (NetPyNE's shape), which is played as it was "
                      "when the network was built: start another session with the new weights")  # fmt: skip


def _other(where: str) -> UsageError:
    return UsageError(f"the change makes another network ({where} differ), to be built anew: start another session")

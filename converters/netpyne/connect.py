"""connParams: which cells are connected, with what weights and delays, at which places; NetPyNE's numbers and order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import UnsupportedError
from ...report import Report
from ...units import nearest
from .functions import Function
from .instance import Cell, Connection
from .many_streams import Dealt
from .streams import of_gids, of_text
from .synapses import Contacts
from .vocabulary import CONNECTION, CONNECTION_UNDONE

if TYPE_CHECKING:
    from .rules import Model

Ints = npt.NDArray[np.int64]
_AXES = ("x", "y", "z", "xnorm", "ynorm", "znorm")
_FUNCTIONS = ("weight", "delay", "synsPerConn", "loc")
_BEFORE = ("preSecs", "preLocs")
_CHUNK = 1 << 18  # pairs that are looked at together
_TOGETHER = 1 << 16  # connections whose streams draw together


def chosen(conditions: Mapping[str, Any], cells: Mapping[int, Cell]) -> list[int]:
    """The gids that meet the conditions of a connection or stimulus: coordinates lie in [low, high)."""
    found = list(cells)
    for key, wanted in conditions.items():
        if key == "cellList":
            continue
        if key in _AXES:
            low, high = wanted
            found = [gid for gid in found if low <= cells[gid].tags.get(key, np.nan) < high]
        elif isinstance(wanted, list):
            found = [gid for gid in found if cells[gid].tags.get(key) in wanted]
        else:
            found = [gid for gid in found if cells[gid].tags.get(key) == wanted]
    return found


def connect(model: Model, cells: Mapping[int, Cell], connections: list[Connection], report: Report) -> None:
    """Append the connections of all rules, in NetPyNE's order."""
    contacts = Contacts(model, cells, report)
    for label, rule in model.entries("connParams"):
        for word, what in CONNECTION_UNDONE.items():
            if rule.get(word):
                raise UnsupportedError(f"connParams.{label}.{word}: {what} is not supported")
        for word in sorted(set(rule) - CONNECTION - set(CONNECTION_UNDONE)):
            report.add("netpyne-rule", "loss", f"connParams.{label}: '{word}' is not read"
                       f"{nearest(word, CONNECTION)}", file=model.file)  # fmt: skip
        pre = chosen(rule.get("preConds") or {}, cells)
        post = chosen(rule.get("postConds") or {}, cells)
        if not pre or not post:
            report.add("netpyne-empty", "info", f"connParams.{label}: no cell meets its "
                       f"{'preConds' if not pre else 'postConds'}", file=model.file)  # fmt: skip
            continue
        made = _Rule(model, label, rule, cells, sorted(pre), sorted(post), contacts)
        if made.kind != "fromListConn" and (unread := [word for word in _BEFORE if rule.get(word)]):
            report.add("netpyne-rule", "loss", f"connParams.{label}: {' and '.join(unread)} belong to connList; as in "
                       "NetPyNE they are not read, and the place is preSec and preLoc", file=model.file)  # fmt: skip
        made.connect(connections)


class _Rule:
    def __init__(
        self, model: Model, label: str, rule: dict[str, Any], cells: Mapping[int, Cell], pre: list[int],
        post: list[int], contacts: Contacts,
    ) -> None:  # fmt: skip
        self.model, self.label, self.rule, self.cells, self.contacts = model, label, rule, cells, contacts
        self.pre, self.post = pre, post
        self.seed = int(model.seeds["conn"])
        self.kind = self._kind()
        self.stream = model.stream(label, of_text(f"conn_{self.kind}"), of_gids(pre + post), self.seed)
        self.tags = {
            axis: np.array([float(cells[gid].tags.get(axis, np.nan)) for gid in range(max(cells) + 1)])
            if len(cells) == max(cells) + 1
            else np.array([])
            for axis in _AXES
        }
        self.border = np.array([cells[gid].tags["borderCorrect"] for gid in range(len(cells))]) \
            if model.params.get("correctBorder") else None  # fmt: skip
        self.functions = {
            name: self.function(name) for name in (*_FUNCTIONS, "probability", "convergence", "divergence")
            if isinstance(rule.get(name), str)
        }  # fmt: skip

    def _kind(self) -> str:
        kinds = {"probability": "probConn", "convergence": "convConn", "divergence": "divConn",
                 "connList": "fromListConn"}  # fmt: skip
        stated = self.rule.get("connFunc")
        if stated is None:
            return next((kind for word, kind in kinds.items() if word in self.rule), "fullConn")
        if stated not in {*kinds.values(), "fullConn"}:
            raise UnsupportedError(f"connParams.{self.label}.connFunc: '{stated}' is not supported")
        return str(stated)

    def function(self, name: str) -> Function:
        function = Function(self.rule[name], f"connParams.{self.label}.{name}", self.model.file)
        function.check_names(self.names(np.array(self.pre[:1]), np.array(self.post[:1])))
        return function

    def names(self, pre: Any, post: Any, only: Collection[str] | None = None) -> dict[str, Any]:
        """Variables of pairs of cells (gids, or columns of them that broadcast against each other): ``only`` these."""
        found: dict[str, Any] = dict(self.model.constants)

        def wanted(name: str) -> bool:
            return only is None or name in only

        for axis in _AXES:
            if pre is not None and wanted(f"pre_{axis}"):
                found[f"pre_{axis}"] = self.tags[axis][pre]
            if post is not None and wanted(f"post_{axis}"):
                found[f"post_{axis}"] = self.tags[axis][post]
        if pre is None or post is None:
            return found

        def apart(axis: str) -> Any:
            return self.tags[axis][pre] - self.tags[axis][post]

        for axis in _AXES:
            if wanted(f"dist_{axis}"):
                found[f"dist_{axis}"] = np.abs(apart(axis))
        if wanted("dist_3D"):
            found["dist_3D"] = np.sqrt(apart("x") ** 2 + apart("y") ** 2 + apart("z") ** 2)
        if wanted("dist_2D"):
            found["dist_2D"] = np.sqrt(apart("x") ** 2 + apart("z") ** 2)
        if self.border is not None and wanted("dist_3D_border"):
            off = self.border[post]
            found["dist_3D_border"] = np.sqrt(sum((np.abs(apart(axis)) - off[..., n]) ** 2
                                                  for n, axis in enumerate("xyz")))  # fmt: skip
        for name, axes in (("dist_norm3D", "xyz"), ("dist_norm2D", "xz")):
            if not wanted(name):
                continue
            first, *others = (apart(f"{axis}norm") for axis in axes)
            if self.model.own:
                found[name] = np.sqrt(sum((other**2 for other in others), first**2))
            else:
                with np.errstate(invalid="ignore"):  # NetPyNE takes roots of differences here, which are NaN below zero
                    found[name] = np.sqrt(sum((np.sqrt(other) for other in others), first**2))
        return found

    # which cells -----------------------------------------------------------------------------------------------------

    def connect(self, connections: list[Connection]) -> None:
        """Append the rule's connections."""
        makers: dict[str, Callable[[], tuple[Ints, Ints]]] = {
            "probConn": self.probable, "convConn": self.convergent, "divConn": self.divergent,
            "fromListConn": self.listed, "fullConn": self.full,
        }  # fmt: skip
        pre, post = makers[self.kind]()
        values = self.values(pre, post)
        first = len(connections)
        self.contacts.add(self.label, self.rule, pre, post, values, connections)
        if self.kind == "fromListConn" and not self.model.own:  # NetPyNE's lists leave out cells that reach themselves
            connections[first:] = [made for made in connections[first:] if made.pre != made.post]

    def full(self) -> tuple[Ints, Ints]:
        a, b = np.array(self.pre, dtype=np.int64), np.array(self.post, dtype=np.int64)
        return np.tile(a, len(b)), np.repeat(b, len(a))

    def probable(self) -> tuple[Ints, Ints]:
        a, b = np.array(self.pre, dtype=np.int64), np.array(self.post, dtype=np.int64)
        draws = self.model.stream(f"{self.label} pairs", of_gids(self.pre), of_gids(self.post), self.seed)
        draws.next()
        function = self.functions.get("probability")
        constant = self.rule["probability"]
        step = max(1, _CHUNK // len(b))
        found: list[tuple[Ints, Ints]] = []
        for start in range(0, len(a), step):
            rows = a[start : start + step]
            u = draws.many(len(rows) * len(b)).reshape(len(rows), len(b))
            if function is None:
                p: Any = constant
            elif function.random:
                p = self.drawn(function, np.repeat(rows, len(b)), np.tile(b, len(rows))).reshape(u.shape)
            else:
                p = function(self.names(rows[:, None], b[None, :], function.names))
            self._finite(p, "probability")
            i, j = np.nonzero(p >= u)
            found.append((rows[i], b[j]))
        pre, post = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.lexsort((pre, post))
        return pre[order], post[order]

    def _finite(self, values: Any, name: str) -> None:
        if isinstance(values, bool) or not isinstance(values, (int, float, np.ndarray, np.generic)):
            raise self.model.error(f"connParams.{self.label}.{name} is {values!r:.40}; expected a number or a function")
        if np.isnan(values).any():
            raise self.model.error(f"connParams.{self.label}.{name} is not a number for some cells")

    def degree(self, name: str, gids: Sequence[int], among: Sequence[int]) -> list[int]:
        """How many partners each cell has: at most all but one, as NetPyNE has it; or all but itself."""
        function = self.functions.get(name)
        members = set(among)
        found = []
        for gid in gids:
            value: Any = self.rule[name]
            if function is not None:
                one = np.int64(gid)
                names = self.names(None, one) if name == "convergence" else self.names(one, None)
                function.check_names(names)
                value = function(names, self.stream)
            self._finite(value, name)
            most = len(among) - (not self.model.own or gid in members)
            found.append(max(min(round(float(value)), most), 0))
        return found

    def convergent(self) -> tuple[Ints, Ints]:
        rows: list[tuple[int, int]] = []
        hashed = of_gids(self.pre)
        for gid, count in zip(self.post, self.degree("convergence", self.post, self.pre), strict=True):
            rows += [(source, gid) for source in sorted(set(self.partners(hashed, gid, count, self.pre)))]
        return _columns(rows)

    def divergent(self) -> tuple[Ints, Ints]:
        rows: list[tuple[int, int]] = []
        hashed = of_gids(self.post)
        for gid, count in zip(self.pre, self.degree("divergence", self.pre, self.post), strict=True):
            rows += [(gid, target) for target in dict.fromkeys(self.partners(hashed, gid, count, self.post))]
        return _columns(rows)

    def partners(self, hashed: int, gid: int, count: int, among: Sequence[int]) -> list[int]:
        """Distinct others of a cell as they are drawn; one more is drawn, for the place of the cell itself."""
        stream = self.model.stream(f"{self.label} pairs", hashed, gid, self.seed)
        drawn = [among[i] for i in stream.distinct(min(count + 1, len(among)), 0, len(among) - 1)]
        chosen = [drawn[-1] if other == gid else other for other in drawn[:count]]
        return [other for other in chosen if other != gid]

    def listed(self) -> tuple[Ints, Ints]:
        rows = []
        for number, pair in enumerate(self.rule["connList"]):
            try:
                i, j = (int(part) for part in pair)
            except (TypeError, ValueError):
                raise self.model.error(f"connParams.{self.label}.connList[{number}]: expected two indices") from None
            if not -len(self.pre) <= i < len(self.pre) or not -len(self.post) <= j < len(self.post):
                raise self.model.error(f"connParams.{self.label}.connList[{number}]: there is no pair {pair}")
            rows.append((self.pre[i], self.post[j]))
        return _columns(rows)

    # with what -------------------------------------------------------------------------------------------------------

    def values(self, pre: Ints, post: Ints) -> dict[str, Any]:
        """weight, delay, synsPerConn, loc and sec: a column where they differ between pairs, else as stated."""
        found: dict[str, Any] = {}
        functions = {name: self.functions[name] for name in _FUNCTIONS if name in self.functions}
        whole = self.kind in ("fullConn", "fromListConn")
        for name, function in functions.items():
            if not function.random:
                found[name] = np.broadcast_to(function(self.names(pre, post, function.names)), pre.shape).astype(float)
            elif whole:
                found[name] = self.in_order(function, pre, post)
        drawn = {name: function for name, function in functions.items() if function.random and not whole}
        if drawn:
            found |= {name: np.empty(len(pre)) for name in drawn}
            for start in range(0, len(pre), _TOGETHER):
                rows = slice(start, start + _TOGETHER)
                streams = self.model.streams(f"{self.label} values", pre[rows], post[rows], self.seed)
                for name, function in drawn.items():
                    found[name][rows] = function(self.names(pre[rows], post[rows], function.names), streams)
        if self.kind == "fromListConn":
            found |= self.own_lists(len(pre))
        for name, column in found.items():
            if not isinstance(column, list):
                self._finite(column, name)
        stated = {name: self.rule.get(name) for name in (*_FUNCTIONS, "sec", *_BEFORE)}
        if self.kind != "fromListConn":
            stated |= dict.fromkeys(_BEFORE)
        return stated | found | {"columns": list(found)}

    def in_order(self, function: Function, pre: Ints, post: Ints) -> npt.NDArray[np.float64]:
        """Values of a random function that NetPyNE draws for all pairs at once, those of one source together."""
        if self.kind == "fullConn":
            order = np.lexsort((post, pre))
            found = np.empty(len(pre))
            found[order] = self.drawn(function, pre[order], post[order])
            return found
        pairs = list(zip(pre.tolist(), post.tolist(), strict=True))
        drawn = dict(zip(pairs, self.drawn(function, pre, post), strict=True))  # the last of a pair is that of all
        return np.array([drawn[pair] for pair in pairs])

    def drawn(self, function: Function, pre: Ints, post: Ints) -> npt.NDArray[np.float64]:
        """Values of a random function for pair after pair, all of the rule's stream."""
        found = np.empty(len(pre))
        for start in range(0, len(pre), _TOGETHER):
            rows = slice(start, start + _TOGETHER)
            names = self.names(pre[rows], post[rows], function.names)
            if function.draws is not None:
                found[rows] = function(names, Dealt(self.stream, len(pre[rows]), function.draws))
                continue
            columns = {name: names[name] for name in function.names}
            found[rows] = [float(function({name: value[row] if np.ndim(value) else value
                                           for name, value in columns.items()}, self.stream))
                           for row in range(len(pre[rows]))]  # fmt: skip
        return found

    def own_lists(self, count: int) -> dict[str, Any]:
        """Values that a list gives one by one for the pairs of connList."""
        found: dict[str, Any] = {}
        for name in ("weight", "delay", "loc", "sec", *_BEFORE):
            value = self.rule.get(name)
            if not isinstance(value, list):
                continue
            if len(value) != count:
                raise self.model.error(f"connParams.{self.label}.{name} has {len(value)} entries for {count} pairs of "
                                       "connList")  # fmt: skip
            found[name] = value
        return found


def _columns(rows: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]

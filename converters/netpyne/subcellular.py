"""subConnParams: synapses moved along their cells, evenly, by a map of densities, to a distance; as NetPyNE does."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from ...report import Report
from .anatomy import Anatomy
from .connect import chosen
from .instance import Cell, Connection
from .synapses import Contacts

if TYPE_CHECKING:
    from .rules import Model

Place = tuple[str, float]


def redistribute(model: Model, cells: Mapping[int, Cell], connections: list[Connection], report: Report) -> None:
    """Move the connections that the rules of subConnParams name, in place."""
    if not model.params.get("subConnParams"):
        return
    by_cell: dict[int, list[int]] = {}
    for row, connection in enumerate(connections):
        by_cell.setdefault(connection.post, []).append(row)
    contacts = Contacts(model, cells, report)
    for label, rule in model.entries("subConnParams"):
        pre = set(chosen(rule.get("preConds") or {}, cells))
        moved = False
        for gid in chosen(rule.get("postConds") or {}, cells):
            rows = [row for row in by_cell.get(gid, ()) if connections[row].pre in pre]
            if rows and cells[gid].secs is not None:
                moved = True
                _Redistribution(model, label, rule, cells[gid], contacts).apply(rows, connections)
        if not moved:
            report.add("netpyne-empty", "info", f"subConnParams.{label}: no connection is moved", file=model.file)


class _Redistribution:
    """One rule on one cell."""

    def __init__(self, model: Model, label: str, rule: Mapping[str, Any], cell: Cell, contacts: Contacts) -> None:
        self.model, self.label, self.rule = model, f"subConnParams.{label}", rule
        self.cell, self.contacts = cell, contacts
        self.anatomy = Anatomy(model, cell)
        self.sections = contacts.sections(cell, rule.get("sec"))

    def apply(self, rows: list[int], connections: list[Connection]) -> None:
        leaders, followers = self._groups(rows, connections)
        leaders.sort(key=lambda row: f"{connections[row].section}{connections[row].loc}{connections[row].pre}")
        for row, (section, loc) in zip(leaders, self._places(len(leaders)), strict=False):
            # NetPyNE keeps clear of the ends, where a synapse that needs an ion cannot be
            loc = 0.00001 if loc == 0.0 else 0.99999 if loc == 1.0 else loc
            old = connections[row]
            for one in (row, followers.get(row)):
                if one is not None:
                    weight = connections[one].weight * self._norm(old, section, loc)
                    connections[one] = connections[one]._replace(section=section, loc=loc, weight=weight)

    def _groups(self, rows: list[int], connections: list[Connection]) -> tuple[list[int], dict[int, int]]:
        """The rows that are given places, and those of the other synapses that go along with them."""
        group = self.rule.get("groupSynMechs")
        if not group or len(group) < 2:
            return list(rows), {}
        leaders: list[int] = []
        partner: dict[str, int] = {}
        taken: set[int] = set()

        def key(row: int) -> str:
            connection = connections[row]
            return f"{connection.pre}_{connection.section}_{connection.loc:.4f}"

        at_place: defaultdict[tuple[Any, ...], deque[int]] = defaultdict(deque)
        for row in rows:
            connection = connections[row]
            at_place[connection.synapse, connection.section, connection.loc].append(row)
        for row in rows:
            if row in taken:
                continue
            leaders.append(row)
            connection = connections[row]
            if connection.synapse not in group:
                continue
            for synapse in group:
                if synapse == connection.synapse:
                    continue
                # NetPyNE takes the first at the place, whichever cell it comes from
                queue = at_place[synapse, connection.section, connection.loc]
                while queue and queue[0] in taken:
                    queue.popleft()
                with_it = queue[0] if queue else None
                if with_it is not None:
                    taken.add(with_it)
                    partner[key(row)] = with_it
        return leaders, {row: partner[key(row)] for row in leaders
                         if key(row) in partner and connections[row].synapse in group}  # fmt: skip

    def _norm(self, old: Connection, section: str, loc: float) -> float:
        """By what the weight changes: the ratio of weightNorm at the two places."""
        secs = self.cell.secs
        assert secs is not None and old.section is not None
        before, after = secs[old.section].get("weightNorm"), secs[section].get("weightNorm")
        if not isinstance(before, list):
            return 1.0
        new = after[round(loc * self.anatomy.nseg(section)) - 1] if isinstance(after, list) else 1.0
        return float(1.0 / before[round(old.loc * self.anatomy.nseg(old.section)) - 1] * new)

    # places ----------------------------------------------------------------------------------------------------------

    def _places(self, count: int) -> list[Place]:
        density = self.rule.get("density")
        if density == "uniform":
            return [(str(name), x) for name, x in self.contacts.even(self.cell, self.sections, count)]
        kind = density
        if isinstance(density, Mapping):
            kind = density.get("type")
            if kind in ("1Dmap", "2Dmap"):
                return self._mapped(density, count)
            if kind == "distance":
                return [self._at_distance(density)] * count
        raise UnsupportedError(f"{self.label}.density: '{kind}' is not supported; there are uniform, 1Dmap, 2Dmap, "
                               "distance")  # fmt: skip

    def _mapped(self, density: Mapping[str, Any], count: int) -> list[Place]:
        soma = self.anatomy.point(self.anatomy.origin, 0.5)
        grid_y = self._numbers(density, "gridY")
        if density.get("fixedSomaY") is not None:
            grid_y = [y + (soma[1] - density["fixedSomaY"]) for y in grid_y]
        grid_x = None
        if density["type"] == "2Dmap":
            grid_x = [x - soma[0] for x in self._numbers(density, "gridX")]
        values = density.get("gridValues")
        if not isinstance(values, list) or len(values) != len(grid_y if grid_x is None else grid_x):
            raise self.model.error(f"{self.label}.density: gridValues must have a row for each of the grid")
        amounts: dict[str, list[float]] = {}
        for section in self.sections:
            share = self.anatomy.length(section)
            each = [self._density(self.anatomy.point(section, x), grid_x, grid_y, values)
                    for x in self.anatomy.centres(section)]  # fmt: skip
            amounts[section] = [sigma * share / len(each) for sigma in each]
        return self._apportioned(amounts, count)

    def _apportioned(self, amounts: Mapping[str, list[float]], count: int) -> list[Place]:
        """Whole numbers of synapses in proportion, the largest remainders rounded up while some are missing."""
        total = sum(sum(parts) for parts in amounts.values())
        scale = count / total if total > 0 else 0.0
        numbers = {section: [round(part * scale) for part in parts] for section, parts in amounts.items()}
        missing = count - sum(sum(parts) for parts in numbers.values())
        rest = [(part * scale - numbers[section][n], section, n)
                for section, parts in amounts.items() for n, part in enumerate(parts)]  # fmt: skip
        rest = sorted((one for one in rest if one[0] > 0), key=lambda one: one[0], reverse=True)
        for _, section, n in rest[: max(missing, 0)]:
            numbers[section][n] += 1
        return [(section, x) for section, parts in numbers.items()
                for x, number in zip(self.anatomy.centres(section), parts, strict=True) for _ in range(number)]

    def _numbers(self, density: Mapping[str, Any], word: str) -> list[float]:
        found = density.get(word)
        if not isinstance(found, list) or len(found) < 2 or not all(isinstance(one, (int, float)) for one in found):
            raise self.model.error(f"{self.label}.density: {word} must be a list of two numbers or more")
        return found

    def _density(self, at: tuple[float, float, float], grid_x: list[float] | None, grid_y: list[float],
                 values: Any) -> float:  # fmt: skip
        """Between the two nearest lines of the grid, along each axis."""
        j, k = _nearest(grid_y, at[1])
        one, two = grid_y[j], grid_y[k]
        if grid_x is None:
            return float((values[j] * (two - at[1]) + values[k] * (at[1] - one)) / (two - one))
        i, h = _nearest(grid_x, at[0])
        left, right = grid_x[i], grid_x[h]
        return float((
            values[i][j] * (right - at[0]) * (two - at[1]) + values[h][j] * (at[0] - left) * (two - at[1])
            + values[i][k] * (right - at[0]) * (at[1] - one) + values[h][k] * (at[0] - left) * (at[1] - one)
        ) / ((right - left) * (two - one)))  # fmt: skip

    def _at_distance(self, density: Mapping[str, Any]) -> Place:
        """The segment nearest to a distance from a reference; none is farther off than the reference itself."""
        section = density.get("ref_sec")
        if section not in self.anatomy.secs:
            section = self.anatomy.origin
        x, wanted = float(density.get("ref_seg", 0.5)), float(density.get("target_distance", 0.0))
        best: Place = (section, x)
        start = (section, self.anatomy.node(section, x))
        off = wanted
        for name in self.sections:
            for centre in self.anatomy.centres(name):
                if density.get("coord") == "cartesian":
                    far = float(np.linalg.norm(np.subtract(self.anatomy.point(name, centre),
                                                           self.anatomy.point(section, start[1]))))  # fmt: skip
                else:
                    far = self.anatomy.path(start, (name, centre))
                if abs(far - wanted) <= off:
                    off, best = abs(far - wanted), (name, centre)
        return best


def _nearest(grid: list[float], at: float) -> tuple[int, int]:
    """The places of the two nearest numbers of a grid, the smaller place first."""
    nearest = np.array([abs(line - at) for line in grid]).argsort()[:2]
    return int(nearest.min()), int(nearest.max())

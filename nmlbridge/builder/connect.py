"""Rules to projections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph import Projection
from ..graph.population import fit_in_memory
from ..pile import Pile
from .bounds import Interval, bounds
from .context import Context, Path_, used_names
from .edges import Ints, Keys, distinct, pair_keys, ragged, skips
from .evaluate import Column
from .language import is_random, parse
from .listed import listed_pairs
from .plasticity import stdp
from .processes import Groups, processors, together
from .segments import EVENTS, CellParts, Sites
from .select import Rows, Selections
from .space import AXES, Cells, Space
from .vocabulary import Connection

Floats = npt.NDArray[np.float64]
SILENT = "silent"
"""the component on the side of a graded synapse where nothing acts"""
PIECE = 1 << 14  # edges (or candidates) that are looked at together
_BOX = 50  # cells before, in one box of space
_MOST_BOXES = 512
GEOMETRY = tuple(f"{side}_{name}" for side in ("pre", "post")
                 for name in (*AXES, "depth", "xnorm", "ynorm", "znorm", "index"))  # fmt: skip
DISTANCES = ("dist_x", "dist_y", "dist_z", "dist_2d", "dist_3d")


@dataclass(frozen=True)
class Edges:
    """Pairs of cells, as rows of ``Cells``; ``weight`` and ``delay`` where a list or file gives them."""

    pre: Ints
    post: Ints
    weight: Floats | None = None
    delay: Floats | None = None


class Rule:
    """One rule for connections while it is built. ``posts`` limits it to some cells (a rank's own)."""

    def __init__(self, context: Context, space: Space, cells: Cells, select: Selections, name: str,
                 posts: npt.NDArray[np.bool_] | None = None) -> None:  # fmt: skip
        self.context, self.space, self.cells, self.name = context, space, cells, name
        self.rule: Connection = context.spec.model.connections[name]
        self.path: Path_ = ("connections", name)
        self.pre = select(self.rule.from_, *self.path, "from")
        self.post = select(self.rule.to, *self.path, "to")
        self.posts = posts
        self.same = np.searchsorted(self.pre, self.post)  # where a cell after is among those before, if it is
        inside = self.same < len(self.pre)
        inside[inside] = self.pre[self.same[inside]] == self.post[inside]
        self.same = np.where(inside, self.same, -1)
        if self.rule.autapses:
            self.same = np.full(len(self.post), -1)
        self.chosen = np.arange(len(self.post))
        if posts is not None:
            self.chosen = self.chosen[posts[self.post]]

    # columns of edges ----------------------------------------------------------------------------------------------

    def geometry(self, name: str, pre: Rows, post: Rows) -> Column | None:
        """A name of geometry for pairs of cells."""
        where = self.cells.positions
        if name in DISTANCES:
            axes = {"dist_2d": (0, 2), "dist_3d": (0, 1, 2)}.get(name) or (AXES.index(name[-1]),)
            square = sum((where[pre, axis] - where[post, axis]) ** 2 for axis in axes)
            return Column(np.sqrt(np.asarray(square)), None)
        side, _, rest = name.partition("_")
        rows = pre if side == "pre" else post
        if name not in GEOMETRY:
            return None
        if rest == "index":
            return Column((rows - self.cells.offsets[self.cells.population_of(rows)]).astype(float), None)
        return self.space.point(rest, where[rows])

    def values(self, value: float | str, unit: str, purpose: str, pre: Rows, post: Rows, count: Ints | None = None,
               more: dict[str, Column] | None = None, path: Path_ = ()) -> npt.NDArray[Any]:  # fmt: skip
        """Numbers for pairs of cells: one for all, or one for each."""
        draw = None
        if isinstance(value, str) and is_random(parse(value)):
            keys = pair_keys(self.cells.keys[pre], self.cells.keys[post])
            numbers = count if count is not None else np.zeros(1, np.int64)
            draw = self.context.draws(self.context.key("connection", self.name, purpose), keys, numbers)
        extra = more or {}
        return self.context.column(value, unit, len(post), lambda n: extra.get(n) or self.geometry(n, pre, post),
                                   (*GEOMETRY, *DISTANCES, *extra), (*self.path, *(path or (purpose,))),
                                   draw)  # fmt: skip

    # who is connected ----------------------------------------------------------------------------------------------

    def edges(self) -> Iterator[Edges]:
        """The pairs, in pieces, by the cell after and then the cell before."""
        rule = self.rule
        if rule.probability is not None:
            yield from self._probability(rule.probability)
        elif rule.convergence is not None or rule.degrees is not None:
            yield from self._convergence()
        elif rule.divergence is not None:
            yield from self._divergence(rule.divergence)
        elif rule.pattern == "all_to_all":
            for part in self._pieces(len(self.pre)):
                row, place = ragged(np.full(len(part), len(self.pre)))
                yield self._without_self(part[row], place)
        elif rule.pattern == "one_to_one":
            if len(self.pre) != len(self.post):
                raise self.context.error(f"one_to_one needs as many cells on both sides; there are {len(self.pre)} and "
                                         f"{len(self.post)}", *self.path, "pattern")  # fmt: skip
            yield Edges(self.pre[self.chosen], self.post[self.chosen])
        elif rule.small_world is not None:
            yield from self._small_world(rule.small_world.neighbours, rule.small_world.rewire)
        else:
            yield from self._listed()

    def _pieces(self, each: float) -> Iterator[Ints]:
        """The places of the cells after, so many at a time that a piece has about PIECE edges."""
        step = max(1, int(PIECE / max(each, 1e-9)))
        for begin in range(0, len(self.chosen), step):
            yield self.chosen[begin : begin + step]

    def _without_self(self, post: Ints, pre: Ints) -> Edges:
        keep = pre != self.same[post]
        return Edges(self.pre[pre[keep]], self.post[post[keep]])

    def _probability(self, value: float | str) -> Iterator[Edges]:
        key = self.context.key("connection", self.name, "candidates")
        used = used_names(value) - set(self.context.parameters)
        spatial = any(name.startswith(("dist_", "pre_")) for name in used)
        boxes = _Boxes(self.cells.positions[self.pre], spatial)
        count = len(boxes.low)
        constant = not used and not (isinstance(value, str) and is_random(parse(value)))
        if constant:
            number = self.context.number(value, "", *self.path, "probability")
            if not 0 <= number <= 1:
                raise self.context.error(f"the probability is {number:g}; expected 0 to 1", *self.path, "probability")
        step = max(1, min(int(PIECE / 4 / count), len(self.chosen)))
        begin = 0
        while begin < len(self.chosen):
            part = self.chosen[begin : begin + step]
            if constant:
                most = np.full(len(part), number)
            else:
                most = self._most(value, boxes, part)
            expected = float((most * np.tile(boxes.sizes, len(part))).sum())
            if expected > 2 * PIECE and len(part) > 1:
                step = max(1, int(len(part) * PIECE / expected))
                continue
            begin += len(part)
            row_keys = pair_keys(np.repeat(self.cells.keys[self.post[part]], count),
                                 np.tile(np.arange(count, dtype=np.uint64), len(part)))  # fmt: skip
            row, place = skips(np.tile(boxes.sizes, len(part)), most, key, row_keys)
            post, pre = part[row // count], boxes.members[boxes.begin[row % count] + place]
            if not constant:
                p = self.values(value, "", "probability", self.pre[pre], self.post[post])
                accept = self.context.draws(
                    self.context.key("connection", self.name, "accept"),
                    pair_keys(self.cells.keys[self.pre[pre]], self.cells.keys[self.post[post]]),
                )
                keep = accept(0) * most[row] < p
                post, pre = post[keep], pre[keep]
            if count > 1:
                order = np.lexsort((pre, post))
                post, pre = post[order], pre[order]
            yield self._without_self(post, pre)

    def _most(self, value: float | str, boxes: _Boxes, part: Ints) -> Floats:
        """An upper bound of the probability for each cell after and each box of cells before."""
        count, where = len(boxes.low), self.cells.positions[self.post[part]]
        low, high = np.tile(boxes.low, (len(part), 1)), np.tile(boxes.high, (len(part), 1))
        post = np.repeat(where, count, axis=0)
        gap, far = np.maximum(np.maximum(low - post, post - high), 0), np.maximum(high - post, post - low)

        def box(name: str) -> Interval | None:
            parameter = self.context.named(name)
            if parameter is not None:
                return parameter.values, parameter.values
            if name in DISTANCES:
                axes = {"dist_2d": [0, 2], "dist_3d": [0, 1, 2]}.get(name) or [AXES.index(name[-1])]
                near, away = (np.sqrt((d[:, axes] ** 2).sum(axis=1)) for d in (gap, far))
                return near * (1 - 1e-12), away * (1 + 1e-12)
            side, _, rest = name.partition("_")
            if side not in ("pre", "post"):
                return None
            one = self.space.point(rest, post if side == "post" else low)
            two = self.space.point(rest, post if side == "post" else high)
            return None if one is None or two is None else (one.values, two.values)

        assert isinstance(value, str)
        most = bounds(parse(value), box, self.context.tables)[1]
        return np.broadcast_to(np.clip(most * (1 + 1e-9), 0, 1), (len(part) * count,))

    def _numbers(self, value: float | str, word: str, rows: Rows, most: Ints, what: str, path: Path_) -> Ints:
        """How many for each cell; never more than there are."""
        draw = self.context.draws(self.context.key("connection", self.name, word), self.cells.keys[rows])
        side = "post" if word in ("convergence", "into") else "pre"
        found = np.rint(np.broadcast_to(self.context.column(
            value, "", len(rows), lambda name: self.geometry(name, rows, rows) if name.startswith(f"{side}_") else None,
            [name for name in GEOMETRY if name.startswith(side)], path, draw,
        ), len(rows))).astype(np.int64)  # fmt: skip
        if len(found) and (found < 0).any():
            raise self.context.error(f"it is {found.min()} for a cell; expected 0 or more", *path)
        if (found > most).any():
            worst = int(np.argmax(found - most))
            raise self.context.error(f"{found[worst]} {what} are asked for, but there are {most[worst]} to choose from",
                                     *path)  # fmt: skip
        return found

    def _convergence(self) -> Iterator[Edges]:
        rule = self.rule
        path: Path_ = (*self.path, "convergence")
        value, word, cumulative = rule.convergence, "convergence", None
        if rule.degrees is not None:
            path, value, word = (*self.path, "degrees", "into"), rule.degrees.into, "into"
            cumulative = self._propensity(rule.degrees.out)
        assert value is not None
        sizes = len(self.pre) - (self.same >= 0)
        key = self.context.key("connection", self.name, "convergence")
        numbers = np.zeros(len(self.post), np.int64)
        numbers[self.chosen] = self._numbers(value, word, self.post[self.chosen], sizes[self.chosen],
                                             "inputs from distinct cells", path)  # fmt: skip
        for part in self._pieces(float(numbers[self.chosen].mean()) if len(self.chosen) else 1.0):
            keys = self.cells.keys[self.post[part]]
            if cumulative is None:
                row, place = distinct(numbers[part], sizes[part], key, keys)
                place += (self.same[part][row] >= 0) & (place >= self.same[part][row])
                yield Edges(self.pre[place], self.post[part[row]])
            else:
                row, place = distinct(numbers[part], np.full(len(part), len(self.pre)), key, keys, cumulative)
                yield self._without_self(part[row], place)

    def _propensity(self, value: float | str) -> Floats:
        path = (*self.path, "degrees", "out")
        draw = self.context.draws(self.context.key("connection", self.name, "out"), self.cells.keys[self.pre])
        found = np.broadcast_to(self.context.column(
            value, "", len(self.pre), lambda n: self.geometry(n, self.pre, self.pre) if n.startswith("pre_") else None,
            [name for name in GEOMETRY if name.startswith("pre")], path, draw), len(self.pre))  # fmt: skip
        if (found <= 0).any():
            raise self.context.error("it is not more than zero for some cell", *path)
        total = np.cumsum(found)
        return np.asarray(total / total[-1])

    def _divergence(self, value: float | str) -> Iterator[Edges]:
        path = (*self.path, "divergence")
        back = np.searchsorted(self.post, self.pre)  # where a cell before is among those after
        inside = back < len(self.post)
        inside[inside] = self.post[back[inside]] == self.pre[inside]
        back = np.where(inside & (not self.rule.autapses), back, -1)
        sizes = len(self.post) - (back >= 0)
        numbers = self._numbers(value, "divergence", self.pre, sizes, "outputs to distinct cells", path)
        key = self.context.key("connection", self.name, "divergence")
        step = max(1, int(PIECE / max(float(numbers.mean()), 1e-9)))
        found = []
        for begin in range(0, len(self.pre), step):
            part = np.arange(begin, min(begin + step, len(self.pre)))
            row, place = distinct(numbers[part], sizes[part], key, self.cells.keys[self.pre[part]])
            place += (back[part][row] >= 0) & (place >= back[part][row])
            pre, post = self.pre[part[row]], self.post[place]
            if self.posts is not None:
                mine = self.posts[post]
                pre, post = pre[mine], post[mine]
            found.append((pre, post))
        pre, post = (np.concatenate(columns) for columns in zip(*found, strict=True))
        order = np.lexsort((pre, post))
        yield Edges(pre[order], post[order])

    def _small_world(self, neighbours: int, rewire: float | str) -> Iterator[Edges]:
        """Watts & Strogatz 1998, doi:10.1038/30918, directed: each cell after keeps its number of inputs."""
        path = (*self.path, "small_world")
        count = len(self.pre)
        if not np.array_equal(self.pre, self.post):
            raise self.context.error("small_world needs the same cells in from and to", *path)
        if neighbours % 2 or neighbours >= count:
            raise self.context.error(f"neighbours is {neighbours}; expected an even number below {count}",
                                     *path, "neighbours")  # fmt: skip
        chance = self.context.number(rewire, "", *path, "rewire")
        if not 0 <= chance <= 1:
            raise self.context.error(f"the probability is {chance:g}; expected 0 to 1", *path, "rewire")
        half = neighbours // 2
        steps = np.concatenate([np.arange(-half, 0), np.arange(1, half + 1)])
        key = self.context.key("connection", self.name, "rewire")
        for part in self._pieces(neighbours):
            keys = self.cells.keys[self.post[part]]
            near = (part[:, None] + steps[None, :]) % count
            kept = self.context.draws(key, keys[:, None], steps[None, :] % count)(0) >= chance
            left = neighbours - kept.sum(axis=1)
            # candidates for the rewired ones: enough to leave out the neighbours that were kept, and the cell itself
            wanted = np.where(left > 0, np.minimum(neighbours + 1, count), 0)
            row, place = distinct(wanted, np.full(len(part), count), key, keys)
            taken = set_codes(np.repeat(np.arange(len(part)), neighbours)[kept.ravel()], near.ravel()[kept.ravel()],
                              count)  # fmt: skip
            free = ~np.isin(row * count + place, taken) & (place != part[row])
            order = np.argsort(self.context.draws(key, keys[row], place)(1), kind="stable")
            order = order[free[order]]
            order = order[np.argsort(row[order], kind="stable")]
            rank = np.arange(len(order)) - np.searchsorted(row[order], row[order])
            order = order[rank < left[row[order]]]
            post = np.concatenate([np.repeat(part, neighbours)[kept.ravel()], part[row[order]]])
            pre = np.concatenate([near.ravel()[kept.ravel()], place[order]])
            order = np.lexsort((pre, post))
            yield Edges(self.pre[pre[order]], self.post[post[order]])

    def _listed(self) -> Iterator[Edges]:
        pre, post, weight, delay = listed_pairs(self.context, self.rule, self.path, len(self.pre), len(self.post))
        keep = np.ones(len(pre), bool) if self.posts is None else self.posts[self.post[post]]
        order = np.lexsort((pre[keep], post[keep]))
        yield Edges(
            self.pre[pre[keep]][order],
            self.post[post[keep]][order],
            None if weight is None else weight[keep][order],
            None if delay is None else delay[keep][order],
        )

    # what a connection is ------------------------------------------------------------------------------------------

    def projections(self, parts: CellParts) -> list[Projection]:
        """The projections that this rule makes: one for each pair of populations and each synapse."""
        rule, defaults = self.rule, self.context.spec.model.defaults
        named = rule.synapse or defaults.synapse
        synapses = [named] if isinstance(named, str) else named or []
        direct = {number for number, name in enumerate(self.cells.names) if parts.artificial(name)}
        reached = {int(number) for number in np.unique(self.cells.population_of(self.post))}
        for number in reached & direct:
            parts.check_events(self.cells.names[number], rule.kind, self.path)
        if not synapses and not (reached and reached <= direct):
            raise self.context.error("it names no synapse", *self.path)
        for number, synapse in enumerate(synapses):
            if rule.kind == "chemical" and parts.process(synapse, "synapse"):
                continue
            parts.need(synapse, *self.path, "synapse", *((number,) if isinstance(rule.synapse, list) else ()))
        if rule.from_synapse is not None:
            parts.need(rule.from_synapse, *self.path, "from_synapse")
        if rule.kind != "continuous" and rule.from_synapse is not None:
            raise self.context.error(f"a rule of kind {rule.kind} has no from_synapse", *self.path, "from_synapse")
        weights = rule.weight if isinstance(rule.weight, list) else [rule.weight] * max(len(synapses), 1)
        groups = self._together(weights, parts)
        made = []
        single = len(groups) <= 1
        for (before, after), piles in sorted(groups.items()):
            columns = {name: pile.column() for name, pile in piles.items()}
            pre, post = self.cells.names[before], self.cells.names[after]
            chosen = [EVENTS] if after in direct else synapses
            for number, synapse in enumerate(chosen):
                id = self.name if single else f"{self.name}_{pre}_{post}"
                more: dict[str, Any] = {"synapses": (synapse,)}
                if rule.kind == "continuous":
                    more = {"pre_components": (rule.from_synapse or SILENT,), "post_components": (synapse,)}
                if rule.kind == "chemical":
                    more["delay"] = columns["delay"]
                if rule.plasticity is not None:
                    more["plasticity"] = stdp(self.context, rule, columns[f"weight{number}"], self.path)
                made.append(Projection(
                    id if len(chosen) == 1 else f"{id}_{synapse}", rule.kind, pre, post,
                    columns["pre"], columns["post"],
                    pre_segment=columns["pre_segment"], pre_fraction=columns["pre_fraction"],
                    post_segment=columns["post_segment"], post_fraction=columns["post_fraction"],
                    weight=columns[f"weight{number}"], synapse=_same(0, columns, np.int32),
                    pre_component=_same(0, columns, np.int32), post_component=_same(0, columns, np.int32),
                    origin={"chemical": "projection"}.get(rule.kind, f"{rule.kind}Projection"),
                    file=self.context.spec.source.file, line=self.context.spec.source.line(self.path), rule=self.name,
                    **more,
                ))  # fmt: skip
        return made

    def _together(self, weights: list[Any], parts: CellParts) -> Groups:
        """The columns of all edges, by pairs of populations. Several processes build those of a long rule."""
        whole = self.chosen
        costly = self.rule.divergence is None and self.rule.pattern != "one_to_one" and self.rule.pairs is None
        pairs = len(self.pre) * len(whole) if costly and self.rule.file is None else 0
        shares = np.array_split(whole, processors(pairs))

        def build(number: int) -> Groups:
            self.chosen = shares[number]
            groups: Groups = {}
            for edges in self.edges():
                for pair, piece in self._pieces_of(edges, weights, parts):
                    piles = groups.setdefault(pair, {name: Pile(_kind(name)) for name in piece})
                    for name, column in piece.items():
                        piles[name].append(column)
            return groups

        try:
            return together(len(shares), build)
        finally:
            self.chosen = whole

    def _pieces_of(
        self, edges: Edges, weights: list[Any], parts: CellParts
    ) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
        """The columns of a piece of edges, for each pair of populations in it."""
        before, after = self.cells.population_of(edges.pre), self.cells.population_of(edges.post)
        codes = before * len(self.cells.names) + after
        kinds = np.unique(codes)
        for code in kinds:
            here = slice(None) if len(kinds) == 1 else np.flatnonzero(codes == code)
            part = Edges(edges.pre[here], edges.post[here], None if edges.weight is None else edges.weight[here],
                         None if edges.delay is None else edges.delay[here])  # fmt: skip
            pair = (int(code) // len(self.cells.names), int(code) % len(self.cells.names))
            yield pair, self._columns(part, weights, parts, pair)

    def _columns(self, edges: Edges, weights: list[Any], parts: CellParts, pair: tuple[int, int]) -> dict[str, Any]:
        rule, defaults = self.rule, self.context.spec.model.defaults
        pre, post = edges.pre, edges.post
        number: Ints | None = None
        listed = {"weight": edges.weight, "delay": edges.delay}
        if rule.contacts != 1:
            contacts = np.rint(np.broadcast_to(self.values(rule.contacts, "", "contacts", pre, post), len(pre)))
            if (contacts < 0).any():
                raise self.context.error("the number of contacts is negative", *self.path, "contacts")
            if not fit_in_memory(len(pre) + contacts.sum()):
                raise self.context.error(f"{contacts.sum():.4g} contacts are more than this machine can hold",
                                         *self.path, "contacts")  # fmt: skip
            row, number = ragged(contacts.astype(np.int64))
            pre, post = pre[row], post[row]
            listed = {name: None if column is None else column[row] for name, column in listed.items()}
        columns: dict[str, Any] = {}
        more: dict[str, Column] = {}
        for side, rows, place in (("pre", pre, rule.from_at), ("post", post, rule.at)):
            sites = self._sites(place, parts, side, pair, pre, post, number)
            columns[f"{side}_segment"] = _spread(sites.segment, len(rows))
            columns[f"{side}_fraction"] = _spread(sites.fraction, len(rows))
            if side == "post":
                more["path_dist"] = Column(sites.path_dist, None)
        for index, weight in enumerate(weights):
            path: Path_ = ("weight", index) if isinstance(rule.weight, list) else ("weight",)
            chosen = listed["weight"]
            if chosen is None:
                chosen = self.values(defaults.weight if weight is None else weight, "", f"weight{index}", pre, post,
                                     number, more, path if weight is not None else ("weight",))  # fmt: skip
            columns[f"weight{index}"] = _spread(chosen, len(pre))
        delay = listed["delay"]
        if delay is None:
            delay = self.values(defaults.delay if rule.delay is None else rule.delay, "ms", "delay", pre, post, number,
                                more)  # fmt: skip
        if rule.velocity is not None:
            velocity = self.values(rule.velocity, "um_per_ms", "velocity", pre, post, number, more)
            if (velocity <= 0).any():
                raise self.context.error("the velocity must be more than zero", *self.path, "velocity")
            distance = self.geometry("dist_3d", pre, post)
            assert distance is not None
            delay = delay + distance.values / velocity
        if delay.size and delay.min() < 0:
            raise self.context.error(f"a delay is {delay.min():g} ms; it must not be negative"
                                     + ("; clip(..., 0, 100) keeps it from that" if delay.ndim else ""),
                                     *self.path, "delay")  # fmt: skip
        columns["delay"] = _spread(delay, len(pre))
        columns["pre"] = pre - self.cells.offsets[pair[0]]
        columns["post"] = post - self.cells.offsets[pair[1]]
        return columns

    def _sites(self, place: Any, parts: CellParts, side: str, pair: tuple[int, int], pre: Rows, post: Rows,
               number: Ints | None) -> Sites:  # fmt: skip
        population = self.cells.names[pair[0] if side == "pre" else pair[1]]
        keys: Keys = pair_keys(self.cells.keys[pre], self.cells.keys[post])
        draw = self.context.draws(self.context.key("connection", self.name, f"{side} place"), keys,
                                  number if number is not None else np.zeros(1, np.int64))  # fmt: skip
        return parts.sites(population, place, draw, (*self.path, "at" if side == "post" else "from_at"))


class _Boxes:
    """Cells in boxes of space: for each box its bounds, and its members in one row."""

    def __init__(self, positions: Floats, divided: bool) -> None:
        count = min(max(len(positions) // _BOX, 1), _MOST_BOXES) if divided else 1
        size = np.ptp(positions, axis=0)
        axes = np.flatnonzero(size > 0)
        box = np.zeros(len(positions), np.int64)
        if count > 1 and len(axes):
            side = (np.prod(size[axes]) / count) ** (1 / len(axes))
            for axis in axes:
                cuts = min(max(int(np.ceil(size[axis] / side)), 1), count)
                place = ((positions[:, axis] - positions[:, axis].min()) / size[axis] * cuts).astype(np.int64)
                box = box * cuts + np.minimum(place, cuts - 1)
        self.members = np.argsort(box, kind="stable")
        _, self.begin, self.sizes = np.unique(box[self.members], return_index=True, return_counts=True)
        ordered = positions[self.members]
        self.low = np.minimum.reduceat(ordered, self.begin, axis=0)
        self.high = np.maximum.reduceat(ordered, self.begin, axis=0)


def set_codes(rows: Ints, values: Ints, width: int) -> Ints:
    """Pairs as single numbers."""
    return rows * width + values


def _spread(values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """A column; a single number takes no memory."""
    return np.broadcast_to(values, count)


def _same(value: float, columns: dict[str, Any], dtype: Any) -> npt.NDArray[Any]:
    return np.broadcast_to(np.asarray(value, dtype), len(columns["pre"]))


def _kind(column: str) -> type:
    return np.int64 if column in ("pre", "post", "pre_segment", "post_segment") else np.float64

"""Where the synapses of a connection are on its target, and what each weighs: one row of a rule made into contacts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import NetworkError, UnsupportedError
from ...graph.native import ADDING
from ...report import Report
from ...units import nearest
from .anatomy import Anatomy
from .instance import Cell, Connection
from .streams import Stream, of_text

if TYPE_CHECKING:
    from .rules import Model

_PLACES = of_text("connSynMechsSecs")


class Contacts:
    """Makes contacts for the rules of a model."""

    def __init__(self, model: Model, cells: Mapping[int, Cell], report: Report) -> None:
        self.model, self.cells, self.report = model, cells, report
        self.fallen: set[str] = set()
        self.measured: Anatomy | None = None
        self.spread_evenly: tuple[tuple[Any, ...], list[tuple[str | None, float]]] | None = None
        """the last places that were spread evenly: on which cell, how many, over which sections; and where they are"""
        config = model.config
        self.random_section = bool(config.get("connRandomSecFromList", True))
        self.uniform = bool(config.get("distributeSynsUniformly", True))
        self.self_connections = bool(config.get("allowSelfConns", False))
        self.zero_weights = bool(config.get("allowConnsWithWeight0", True))
        self.default_synapse = next(iter(model.params.get("synMechParams") or {}), None)

    def add(
        self, label: str, rule: Mapping[str, Any], pre: Any, post: Any, values: Mapping[str, Any],
        connections: list[Connection],
    ) -> None:  # fmt: skip
        """Append the contacts of a rule's pairs, in order."""
        columns, count = values["columns"], len(pre)
        rows = zip(pre.tolist(), post.tolist(),
                   *(_each(values[name], columns, name, count)
                     for name in ("weight", "delay", "synsPerConn", "loc", "sec", "preSecs", "preLocs")),
                   strict=True)  # fmt: skip
        synapses = rule.get("synMech")
        synapses = synapses if isinstance(synapses, list) else [synapses]
        if self.plain(label, rule, pre, post, values, synapses, connections):
            return
        for a, b, weight, delay, per, loc, section, *before in rows:
            own = {**rule, **{key: one for key, one in zip(("preSec", "preLoc"), before, strict=True)
                              if one is not None}}  # fmt: skip
            stated = {"weight": weight, "delay": delay, "loc": loc, "synsPerConn": per}
            for number, synapse in enumerate(synapses):
                one = self.of_synapse(stated, rule, synapses, number, label)
                self.contact(label, own, a, b, synapse, section, one, connections)

    def plain(
        self, label: str, rule: Mapping[str, Any], pre: Any, post: Any, values: Mapping[str, Any],
        synapses: Sequence[Any], connections: list[Connection],
    ) -> bool:  # fmt: skip
        """Append all contacts at once where each pair has one, at one place of its cell; False if it is not so."""
        columns = values["columns"]
        if any(self.joins(rule, synapse) for synapse in synapses):
            return False
        if len(synapses) != 1 or {"synsPerConn", "sec"} & set(columns) or values["synsPerConn"] not in (None, 1):
            return False
        numbers = {}
        for name, usual in (("weight", self.model.constants["defaultWeight"]),
                            ("delay", self.model.constants["defaultDelay"]), ("loc", 0.5)):  # fmt: skip
            value = usual if values[name] is None else values[name]
            if isinstance(value, (bool, list, str)) or not isinstance(value, (int, float, np.number, np.ndarray)):
                return False
            numbers[name] = np.broadcast_to(np.asarray(value, float), len(pre))
        if (numbers["delay"] < 0).any():
            return False  # the other way names the pair
        at = np.unique(post)
        places = [self._place(self.cells[gid], synapses[0], values["sec"]) for gid in at.tolist()]
        if any(place is None for place in places):
            return False
        rows = np.searchsorted(at, post)
        scales = np.array([1.0 if rule.get("shape") else self.scale(self.cells[gid]) for gid in at.tolist()])
        weights = scales[rows] * numbers["weight"]
        apart = np.array([self.cells[gid].secs is None or not self.self_connections for gid in at.tolist()], bool)
        keep = (pre != post) | ~apart[rows]
        if not self.zero_weights:
            keep &= weights != 0.0
        sections, kinds = zip(*places, strict=True) if places else ((), ())
        chosen = rows[keep].tolist()
        points = np.array([section is not None for section in sections], bool)
        locs = np.where(points[rows], numbers["loc"], 0.5)
        slot = int(rule.get("weightIndex") or 0)
        connections.extend(map(Connection._make, zip(
            pre[keep].tolist(), post[keep].tolist(), map(sections.__getitem__, chosen), locs[keep].tolist(),
            map(kinds.__getitem__, chosen), weights[keep].tolist(), numbers["delay"][keep].tolist(), repeat(label),
            repeat(False), repeat(slot), repeat(()), repeat(None),
        )))  # fmt: skip
        return True

    def joins(self, rule: Mapping[str, Any], synapse: Any) -> bool:
        """Whether a rule's contacts are junctions, which read a variable of the cell before."""
        spec = (self.model.params.get("synMechParams") or {}).get(synapse or self.default_synapse) or {}
        return bool(rule.get("gapJunction") or spec.get("pointerParams"))

    def _place(self, cell: Cell, synapse: Any, wanted: Any) -> tuple[str | None, Any] | None:
        """(section, synMech) of a contact where that is the same for all onto a cell, else None."""
        if cell.secs is None:
            return None, synapse
        names = self.sections(cell, wanted)
        if len(names) != 1 or isinstance(cell.secs[names[0]].get("weightNorm"), list):
            return None
        if any("vref" in point for point in (cell.secs[names[0]].get("pointps") or {}).values()):
            return names[0], synapse
        synapse = synapse if synapse else self.default_synapse
        return None if synapse is None else (names[0], synapse)

    def of_synapse(
        self, stated: Mapping[str, Any], rule: Mapping[str, Any], synapses: Sequence[Any], number: int, label: str
    ) -> dict[str, Any]:
        """Each value for one of several synapses: of a list, or scaled by a factor."""
        if len(synapses) == 1:
            return dict(stated)
        found = {}
        for name, value in stated.items():
            factors = rule.get(f"synMech{name.capitalize()}Factor") if name != "synsPerConn" else None
            if isinstance(value, list):
                if len(value) != len(synapses):
                    raise self.error(label, f"{name} has {len(value)} entries for {len(synapses)} synMechs")
                found[name] = value[number]
            elif factors is not None and value is not None:
                if len(factors) != len(synapses):
                    raise self.error(label, f"the factors of {name} must be one for each synMech")
                found[name] = value * factors[number]
            else:
                found[name] = value
        return found

    def error(self, label: str, message: str) -> NetworkError:
        """A NetworkError that names the rule."""
        return NetworkError(f"{label}: {message}", file=self.model.file)

    def contact(
        self, label: str, rule: Mapping[str, Any], pre: int, post: int, synapse: Any, section: Any,
        values: Mapping[str, Any], connections: list[Connection], driven: bool = False, scale: float | None = None,
        stim: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Append the contacts of one pair. With ``stim`` each is driven by a NetStim of its own on the target."""
        cell = self.cells[post]
        if pre == post and not driven and (cell.secs is None or not self.self_connections):
            return
        weight = values["weight"] if values["weight"] is not None else self.model.constants["defaultWeight"]
        delay = values["delay"] if values["delay"] is not None else self.model.constants["defaultDelay"]
        count = int(values["synsPerConn"]) if values["synsPerConn"] is not None else 1
        shaped = bool(rule.get("shape"))  # NetPyNE plays the weight as it is stated
        if shaped:
            scale = 1.0
            if isinstance(weight, list):
                raise UnsupportedError(f"{label}: a shape of weights in a list is not supported")
        elif scale is None:
            scale = self.scale(cell)
        weights = self.spread(weight, count, "weight", label)
        delays = self.spread(delay, count, "delay", label)
        for one in delays:
            if one < 0:
                raise self.error(
                    label, f"a delay from cell {pre} to cell {post} is {one:g} ms; it must not be negative"
                )
        slot = int(rule.get("weightIndex") or 0)
        peer = None
        if not driven and self.joins(rule, synapse):
            before, place = rule.get("preSec", "soma"), rule.get("preLoc")
            if not isinstance(before, str) or isinstance(place, list):
                raise UnsupportedError(f"connParams.{label}: preSec and preLoc are one place; lists for a connList "
                                       "are called preSecs and preLocs")  # fmt: skip
            peer = (before, 0.5 if place is None else float(place))
        if cell.secs is None:
            places: list[tuple[str | None, float]] = [(None, 0.5)] * count
        else:
            places, synapse = self.places(
                label, rule, cell, 0 if driven else pre, synapse, section, values["loc"], count
            )
        for (name, x), w, d in zip(places, weights, delays, strict=True):
            amount = scale * w
            if cell.secs is not None and name is not None:
                norm = cell.secs[name].get("weightNorm")
                if isinstance(norm, list) and not shaped:
                    amount *= norm[round(x * int(cell.secs[name]["geom"].get("nseg", 1))) - 1]
            if not self.zero_weights and amount == 0.0:
                continue
            source = pre
            if stim is not None:
                source = len(cell.stims)
                cell.stims.append(dict(stim))
            connections.append(Connection(source, post, name, float(x), synapse, float(amount), float(d), label, driven,
                                          slot, peer=peer))  # fmt: skip

    def scale(self, cell: Cell) -> float:
        """What weights onto a cell are multiplied with."""
        models = self.model.params.get("scaleConnWeightModels")
        if isinstance(models, Mapping) and cell.tags.get("cellModel") in models:
            return float(models[cell.tags["cellModel"]])
        return float(self.model.constants["scaleConnWeight"])

    def spread(self, value: Any, count: int, name: str, label: str) -> list[float]:
        if isinstance(value, list):
            if len(value) != count:
                raise self.error(label, f"{name} has {len(value)} entries for {count} synapses")
            return [float(one) for one in value]
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise self.error(label, f"{name} is {value!r:.40}; expected a number")
        return [float(value)] * count

    # places ----------------------------------------------------------------------------------------------------------

    def sections(self, cell: Cell, wanted: Any) -> list[str]:
        """The sections that a rule means: a section, a section list or several; else the soma, or the first."""
        assert cell.secs is not None
        if isinstance(wanted, list) or (isinstance(wanted, str) and wanted in cell.lists):
            listed = wanted if isinstance(wanted, list) else cell.lists[wanted]
            return [name for name in listed if name in cell.secs]
        if isinstance(wanted, str) and wanted in cell.secs:
            return [wanted]
        if wanted and str(wanted) not in self.fallen:
            self.fallen.add(str(wanted))
            hint = nearest(str(wanted), [*cell.secs, *cell.lists])
            self.report.add("netpyne-section", "approximation", f"cell {cell.gid} has no section or list '{wanted}', "
                            f"so its soma or first section is taken{hint}", file=self.model.file)  # fmt: skip
        return ["soma" if "soma" in cell.secs else next(iter(cell.secs))]

    def places(
        self, label: str, rule: Mapping[str, Any], cell: Cell, pre: int, synapse: Any, wanted: Any, loc: Any, count: int
    ) -> tuple[list[tuple[str | None, float]], Any]:
        """(section, x) of each synapse of a pair, and its synMech."""
        assert cell.secs is not None
        names = self.sections(cell, wanted)
        if not names:
            raise self.error(label, f"none of the sections {wanted} is on cell {cell.gid}")
        if len(names) == 1 and any("vref" in p for p in (cell.secs[names[0]].get("pointps") or {}).values()):
            if count > 1:
                raise UnsupportedError(f"{label}: several synapses for a pair, onto a cell that is a point process")
            return [(names[0], 0.5 if loc is None else float(loc))], synapse
        synapse = synapse if synapse else self.default_synapse
        if synapse is None:
            raise self.error(label, "there is no synMech to use")
        random = bool(rule.get("connRandomSecFromList", self.random_section))
        uniform = bool(rule.get("distributeSynsUniformly", self.uniform))
        if count == 1:
            return [self.single(label, cell, pre, names, 0.5 if loc is None else loc, random)], synapse
        if len(names) == 1:
            xs = loc if isinstance(loc, list) else [i / count + 1 / count / 2 for i in range(count)]
            if loc is not None and (not isinstance(loc, list) or len(loc) != count):
                raise self.error(label, f"loc must be a list of {count} places")
            return [(names[0], float(x)) for x in xs], synapse
        if uniform:
            if loc is not None:
                raise self.error(label, "loc cannot be stated where synapses are spread evenly over sections")
            return self.even(cell, names, count), synapse
        if random:
            return self.drawn(label, cell, pre, names, loc, count), synapse
        xs = loc if isinstance(loc, list) else [0.5 if loc is None else loc] * count
        if len(names) != count or len(xs) != count:
            raise self.error(label, f"sec and loc must be lists of {count} entries")
        return [(name, float(x)) for name, x in zip(names, xs, strict=True)], synapse

    def stream(self, label: str, gid: int, pre: int) -> Stream:
        """The stream of the places of a pair; NetPyNE's heeds neither rule nor seed."""
        return self.model.stream(f"{label} {self.model.seeds['loc']}", _PLACES, gid, pre)

    def single(
        self, label: str, cell: Cell, pre: int, names: list[str], loc: Any, random: bool
    ) -> tuple[str | None, float]:
        xs = loc if isinstance(loc, list) else [loc]
        if not random or len(names) == 1:
            return names[0], float(xs[0])
        if len(xs) == 1:
            xs = xs * len(names)
        if len(xs) != len(names):
            raise self.error(label, f"loc has {len(xs)} entries for {len(names)} sections")
        at = int(self.stream(label, cell.gid, pre).discunif(0, len(names) - 1))
        return names[at], float(xs[at])

    def even(self, cell: Cell, names: list[str], count: int) -> list[tuple[str | None, float]]:
        """Evenly over the summed length of the sections; NetPyNE measures from the far end of each."""
        key = (cell.gid, count, *names)
        if self.spread_evenly is not None and self.spread_evenly[0] == key:  # rules go cell by cell
            return self.spread_evenly[1]
        lengths = [self._length(cell, name) for name in names]
        ends = np.cumsum(lengths).tolist()
        total = sum(lengths)
        found: list[tuple[str | None, float]] = []
        for i in range(count):
            at = i * (total / count) + total / count / 2
            index = next(n for n, end in enumerate(ends) if end >= at)
            found.append((names[index], (ends[index] - at) / lengths[index]))
        self.spread_evenly = (key, found)
        return found

    def _length(self, cell: Cell, section: str) -> float:
        """L as stated (um), or the length that NEURON finds of the 3-D points where the cell lies."""
        assert cell.secs is not None
        stated = (cell.secs[section].get("geom") or {}).get("L")
        if isinstance(stated, (int, float)):
            return float(stated)
        if self.measured is None or self.measured.cell is not cell:  # of the last cell alone: rules go cell by cell
            self.measured = Anatomy(self.model, cell)
        return self.measured.length(section)

    def drawn(
        self, label: str, cell: Cell, pre: int, names: list[str], loc: Any, count: int
    ) -> list[tuple[str | None, float]]:
        """Sections, then places, from a stream of the pair's own."""
        stream = self.stream(label, cell.gid, pre)
        chosen = [names[i] for i in _indices(stream, count, len(names))]
        if isinstance(loc, list):
            return list(zip(chosen, [float(loc[i]) for i in _indices(stream, count, len(loc))], strict=True))
        if loc is not None:
            raise self.error(label, "loc must be a list, or not stated, where sections are drawn")
        stream.next()
        return list(zip(chosen, stream.many(count).tolist(), strict=True))


def _indices(stream: Stream, count: int, size: int) -> list[int]:
    if count <= size:
        return stream.distinct(count, 0, size - 1)
    stream.next()
    return [int(stream.discunif(0, size - 1)) for _ in range(count)]


def _each(values: Any, columns: Sequence[str], name: str, count: int) -> Iterator[Any]:
    """The value of each row: of a column, or the same for all."""
    if name in columns:
        yield from (values.tolist() if isinstance(values, np.ndarray) else values)
    else:
        yield from (values for _ in range(count))


def one_each(parts: Iterable[tuple[str, str, bool]], report: Report) -> bool:
    """``oneSynPerNetcon`` for synapses (id, mechanism, whether shared). It holds for all: what differs is noted."""
    parts = [part for part in parts if part[1] not in ADDING]
    shared = any(part[2] for part in parts)
    for id, mechanism, own in parts:
        if shared and not own:
            report.add("netpyne-synapse", "approximation", f"in NetPyNE connections share a {mechanism} at one place, "
                       "as they do other synapses of the model", component=id)  # fmt: skip
    return not shared

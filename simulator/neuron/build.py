"""A Program made into a network in NEURON, on the rank that this process is: cells, points, events, transfers.

The tables are walked column by column. Of what is made, NEURON needs one reference per cell, point process and
NetCon, or it would delete them; nothing else is kept for a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ..program import Program, is_table
from .alone import alone_share, replay
from .diffusion import Chemistry
from .handed import Handed, stream_of
from .imposed import Imposed
from .mirrors import Mirrors
from .pieces import Pieces, join
from .places import Places
from .plastic import Plastic
from .shares import Shares, divide, numbers
from .template import Cell, Template, individual
from .transfers import by_pointers, start_of
from .words import meant, variables

_BLOCK = 8192  # rows of a table that are Python numbers at one time
Tick = Callable[[int], None]  # told how many things were made


@dataclass
class Group:
    """Point processes or artificial cells of one table: ``members`` of this rank by row, ``gids`` of all rows, as the
    table or the population has them."""

    id: str
    mechanism: str
    gids: NDArray[Any] | range
    members: dict[int, Any] = field(default_factory=dict)


class Network:
    """What was built on this rank. ``h`` is NEURON's top level, ``pc`` its ParallelContext; ``shares`` are found here
    if they are not given."""

    def __init__(
        self, h: Any, pc: Any, program: Program, tick: Tick = lambda count: None, shares: Shares | None = None
    ) -> None:
        self.h, self.pc, self.program, self.tick = h, pc, program, tick
        self.rank, self.ranks = int(pc.id()), int(pc.nhost())
        self.alone = program.spec.get("alone")
        self.shares = alone_share(program) if self.alone else shares or divide(program, self.ranks)
        self.placement = self.shares.placement
        self.dt = float(program.spec["run"]["dt"])
        self.places = Places(program)
        self.cells: dict[int, Cell] = {}
        self.pieces = {gid: Pieces(cut, self.rank) for gid, cut in self.placement.cuts.items()}
        self.groups: dict[str, Group] = {}
        self.generators: dict[str, Group] = {}
        self.sources: set[int] = set()  # gids of this rank that send events
        self.courses: list[Any] = []  # Vectors that are played
        self.netcons = h.List()  # takes a quarter less memory than a Python list of them
        self.further = h.List()  # NetCons inside of plastic connections
        self.made: list[tuple[int, NDArray[np.int64], int]] | None = None  # group, rows, place in netcons of the first
        self.streams: list[Any] = []  # of random numbers, where ``made`` is kept; those that are handed over, always
        self.templates: list[Template] = []
        self.handlers: list[Any] = []  # called at initialisation
        self.standing: set[tuple[int, int]] = set()  # sections that were turned upright
        self.adjusters: dict[str, dict[int, Any]] = {}  # of plastic projections, by row
        self.chemistry: Chemistry | None = None
        self.imposed: Imposed | None = None
        self.lengthened = 0  # connections whose delay had to become dt
        self.template = partial(individual, self)
        self.processes, self.artificial, self.densities = _registered(h)

    def build(self) -> None:
        """Make everything; raises SimulatorError that names the group and the mechanism at fault."""
        spec = self.program.spec
        self._check(spec)
        templates = self.templates = [Template(self.h, self.program, each) for each in spec.get("templates", ())]
        for population in spec.get("populations", ()):
            if "artificial" in population:
                self._artificial(population)
            else:
                self._cells(population)
        for population in spec.get("populations", ()):
            if "template" in population:
                for gid in self.local(population["first_gid"], population["size"]):
                    self.template(population, gid).start(self.cells[gid], self.pieces.get(gid))
                    if "v_init" in population:
                        self._own_voltage(population, gid, 0.0)
        if spec.get("rxd"):
            self.chemistry = Chemistry(self, spec["rxd"])
        if spec.get("fields"):
            self.imposed = Imposed(self, spec["fields"])
        for number, group in enumerate(spec.get("points", ())):
            self._points(group, number)
        for number, group in enumerate(spec.get("generators", ())):
            self._generators(group, number)
        self.spiking = _spiking(spec)
        for source in spec.get("sources", ()):
            self._source(source)
        if self.alone:
            replay(self, self.alone)
        self.mirrors = Mirrors(self.h, self.pc, self.program, self.shares.mirrored)
        for number, group in enumerate(spec.get("netcons", ())):
            self._netcons(group, number)
        if spec.get("transfers") and spec["run"].get("pointers"):
            by_pointers(self, spec["transfers"])
        elif spec.get("transfers") or len(self.mirrors.gids):
            self._transfers(spec.get("transfers", ()))
        cuts = self.placement.cuts  # joined last: NEURON then knows all sections
        join(self.pc, self.cells, {gid: templates[self._template(gid)] for gid in cuts}, cuts, self.rank)

    def _template(self, gid: int) -> int:
        """The number of a cell's template."""
        return next(p["template"] for p in self.program.spec["populations"]
                    if p["first_gid"] <= gid < p["first_gid"] + p["size"])  # fmt: skip

    # cells

    def _cells(self, population: Mapping[str, Any]) -> None:
        first, size, name = population["first_gid"], population["size"], population["id"]
        template = self.templates[population["template"]]
        group = Group(name, template.points[0][0] if template.points else "", range(first, first + size))
        extra = [
            (each["point"], list(each.get("parameters", {}).items()), each)
            for each in population.get("point_parameters", ())
        ]
        positions = self.program.column(population["positions"]) if population.get("positions") else None
        origins = self.program.column(population["origins"]) if "origins" in population else None
        for gid in self.local(first, size):
            origin = None if origins is None else origins[gid - first].tolist()
            template = self.template(population, gid)
            source = template.source
            make = partial(template.make, origin=origin, pieces=self.pieces.get(gid))
            cell = self._try(make, f"{name}[{gid - first}]", place=f"population '{name}'")
            self.cells[gid] = cell
            if positions is not None:
                cell.shift(self.h, *positions[gid - first].tolist())
            if cell.points and cell.points[0] is not None:
                group.members[gid - first] = cell.points[0]
            if "cm" in population:
                self._set(cell.sections[0](0.5), [("cm", population["cm"])], gid - first, name)
            if "v_init" in population:
                self._own_voltage(population, gid, 0.5)
                self._own_voltage(population, gid, 1.0)
            for index, parameters, each in extra:
                if cell.points[index] is not None:
                    self._set(cell.points[index], parameters, gid - first, name)
                    self._random(cell.points[index], each, gid - first)
            if self.placement.of(gid) != self.rank:
                pass  # another rank has the piece that sends its events
            elif source is None:
                if self.program.spec["run"].get("coreneuron"):
                    self._silent(gid, cell)
            elif source["kind"] == "point":
                self._spiking(gid, self._of_point(cell, source))
            else:
                section = cell.sections[source["section"]]
                netcon = self.h.NetCon(section(source["x"])._ref_v, None, sec=section)
                netcon.threshold = source["threshold"]
                self._spiking(gid, netcon)
            self.tick(1)
        self.groups[name] = group

    def _own_voltage(self, population: Mapping[str, Any], gid: int, x: float) -> None:
        """Where a cell of one compartment starts, in a population that gives each its own."""
        place = self.cells[gid].sections[0](x)
        self._set(place, [("v", population["v_init"])], gid - population["first_gid"], population["id"])

    def _silent(self, gid: int, cell: Cell) -> None:
        """A source that never fires: CoreNEURON wants each cell to have one."""
        netcon = self.h.NetCon(cell.sections[0](0.5)._ref_v, None, sec=cell.sections[0])
        netcon.threshold = 1e9
        self.pc.set_gid2node(gid, self.rank)
        self.pc.cell(gid, netcon)

    def _of_point(self, cell: Cell, source: Mapping[str, Any]) -> Any:
        """A NetCon from one of the cell's own processes: from its events, or from crossings by its variable."""
        point = cell.points[source["point"]]
        if "variable" not in source:
            return self.h.NetCon(point, None)
        netcon = self.h.NetCon(self.pointer(point, source["variable"]), None, sec=point.get_segment().sec)
        netcon.threshold = source["threshold"]
        return netcon

    def _artificial(self, population: Mapping[str, Any]) -> None:
        first, size, name = population["first_gid"], population["size"], population["id"]
        group = Group(name, population["artificial"], range(first, first + size))
        make = getattr(self.h, group.mechanism)
        parameters = list(population.get("parameters", {}).items())
        for gid in self.local(first, size):
            cell = group.members[gid - first] = make()
            self._set(cell, parameters, gid - first, name)
            self._random(cell, population, gid - first)
            self._spiking(gid, self.h.NetCon(cell, None))
            self.tick(1)
        self.groups[name] = group
        if "course" in population:
            course = population["course"]
            times, values = self._steps(course)
            places = ((getattr(cell, f"_ref_{course['variable']}"), row) for row, cell in group.members.items())
            for place, row in places:
                self._follow(place, times, values if values.ndim == 1 else values[row])
        if "trains" in population:
            self._play(population["trains"], group)

    def _steps(self, course: Mapping[str, Any]) -> tuple[Any, NDArray[np.float64]]:
        """When a number changes, as a Vector that all rows share, and what it becomes."""
        times = self.h.Vector(self.program.column(course["times"]))
        self.courses.append(times)
        return times, np.asarray(self.program.column(course["values"]))

    def _follow(self, place: Any, times: Any, values: NDArray[np.float64]) -> None:
        """A variable takes one value after the other."""
        vector = self.h.Vector(values)
        vector.play(place, times)
        self.courses.append(vector)

    def _play(self, trains: Mapping[str, Any], group: Group) -> None:
        """Have the members, NetStims, send given events: a NetStim at rest sends one event for each that it gets."""
        for stim in group.members.values():
            stim.number, stim.start, stim.noise = 1, -1, 0
        rows = self._integers(trains["rows"])
        times = _apart(rows, self.program.column(trains["times"]))
        mine = np.isin(rows, np.fromiter(group.members, np.int64, len(group.members)))
        netcons = {row: self.h.NetCon(None, stim) for row, stim in group.members.items()}
        for netcon in netcons.values():
            netcon.weight[0] = 1
            self.netcons.append(netcon)

        def start() -> None:
            for row, time in zip(rows[mine].tolist(), times[mine].tolist(), strict=True):
                netcons[row].event(time)

        self.handlers.append(self.h.FInitializeHandler(1, start))

    def _spiking(self, gid: int, netcon: Any) -> None:
        """Make the source of ``netcon`` the one that sends the events of ``gid``."""
        self.pc.set_gid2node(gid, self.rank)
        self.pc.cell(gid, netcon)
        self.sources.add(gid)

    def stand(self, gid: int, number: int, place: NDArray[np.float64]) -> None:
        """Turn a section that NEURON laid along x, so that it stands along y at a cell's place; once."""
        if (gid, number) in self.standing:
            return
        self.standing.add((gid, number))
        h, section = self.h, self.cells[gid].sections[number]
        x, y, z = place.tolist()
        for i in range(int(h.n3d(sec=section))):
            across, up = h.y3d(i, sec=section), h.x3d(i, sec=section)
            h.pt3dchange(i, x + across, y + up, z, h.diam3d(i, sec=section), sec=section)

    def _source(self, spec: Mapping[str, Any]) -> None:
        """Another place on the cells of a population that sends events when v passes a threshold there."""
        first, cells = spec["first_gid"], spec["cells"]
        for cell in self.local(cells, spec["size"]):
            if cell in self.pieces and not self.pieces[cell].has(spec["section"]):
                continue
            section = self.section(cell, spec["section"], "sources")
            netcon = self.h.NetCon(section(spec["x"])._ref_v, None, sec=section)
            netcon.threshold = spec["threshold"]
            gid = first + cell - cells
            self.pc.set_gid2node(gid, self.rank)
            self.pc.cell(gid, netcon)

    # point processes and events

    def _points(self, spec: Mapping[str, Any], number: int) -> None:
        gids = self.program.column(spec["gid"])
        group = self.groups[spec["id"]] = Group(spec["id"], spec["mechanism"], gids)
        make = getattr(self.h, spec["mechanism"])
        columns = [gids, self.program.column(spec["section"]), self.program.column(spec["x"])]
        for rows in self.shares.rows("points", number, len(gids), self.rank):
            places = zip(rows.tolist(), *(column[rows].tolist() for column in columns), strict=True)
            for row, gid, section, x in places:
                group.members[row] = make(self.section(int(gid), int(section), spec["id"])(x))
            self._fill(group, spec, rows)
            self.tick(len(rows))
            self.program.release()

    def _generators(self, spec: Mapping[str, Any], number: int) -> None:
        gids = self.program.column(spec["gid"])
        group = self.generators[spec["id"]] = Group(spec["id"], spec["mechanism"], gids)
        make, connect = getattr(self.h, spec["mechanism"]), self.h.NetCon
        for rows in self.shares.rows("generators", number, len(gids), self.rank):
            for row in rows.tolist():
                group.members[row] = make()
            self._fill(group, spec, rows)
            if spec.get("targets"):
                members = self._members(spec["targets"])
                self._connect(
                    spec["targets"], members, rows, rows, lambda row, target: connect(group.members[row], target)
                )
            self.tick(len(rows))
        self.program.release()

    def _netcons(self, spec: Mapping[str, Any], number: int) -> None:
        targets, column = self._target(spec["points"]), self.program.column
        sources, cells = column(spec["source_gid"]), column(spec.get("source_cell", spec["source_gid"]))
        plastic = None
        if "plastic" in spec:
            plastic = Plastic(self, spec, np.asarray(targets.gids)[self._integers(spec["index"])])
        members = self._members(spec)
        for rows in self.shares.rows("netcons", number, len(sources), self.rank):
            heads = sources[rows].astype(np.int64)
            silent = self.silent(heads)
            if len(silent):
                raise SimulatorError(f"connections start from cell {silent[0]}, which sends no events")
            elsewhere = None
            if self.ranks > 1:
                elsewhere = self._homes_of(heads, cells[rows].astype(np.int64)) != self.rank
                seen = elsewhere & (column(spec["delay"])[rows] < self.dt - 1e-9) & np.isin(heads, self.mirrors.gids)
                if seen.any():  # they would be late; the others are connected as usual
                    see: Callable[[int, Any], Any] = self.mirrors.connect
                    see = see if plastic is None else plastic.through(rows[seen], see)
                    self._remember(number, rows[seen])
                    self._connect(spec, members, rows[seen], heads[seen], see)
                    rows, heads, elsewhere = rows[~seen], heads[~seen], elsewhere[~seen]
            connect = self.pc.gid_connect if plastic is None else plastic.through(rows, self.pc.gid_connect)
            self._remember(number, rows)
            self._connect(spec, members, rows, heads, connect, elsewhere)
            self.program.release()

    def _homes_of(self, heads: NDArray[np.int64], cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ranks that events come from."""
        if not self.placement.cuts:
            return self.placement.of(cells)
        return self.placement.at(*self.places.source(heads))

    def _remember(self, number: int, rows: NDArray[np.int64]) -> None:
        """Where the NetCons of rows will be, for who wants to change them."""
        if self.made is not None:
            self.made.append((number, rows, len(self.netcons)))

    def silent(self, gids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some gids that no cell or further place sends events by, on whatever rank."""
        starts, ends = self.spiking
        if not len(starts):
            return gids
        place = np.searchsorted(starts, gids, side="right") - 1
        return np.asarray(gids[(place < 0) | (gids >= ends[place])])

    def _connect(
        self,
        spec: Mapping[str, Any],
        members: Mapping[int, Any],
        rows: NDArray[np.int64],
        heads: NDArray[np.int64],
        connect: Callable[[int, Any], Any],
        elsewhere: NDArray[np.bool_] | None = None,
    ) -> None:
        """One NetCon for each of ``rows``, made by ``connect(head, target)``; ``members`` are the targets by index.

        An event that comes from another rank (``elsewhere``) takes at least one step, so shorter delays become dt.
        NEURON asks for 1e-10 ms more than dt; it delivers such an event at the same step.
        """
        index = self.program.column(spec["index"])[rows].astype(np.int64)
        weight = self.program.column(spec["weight"])[rows]
        delay = self.program.column(spec["delay"])[rows].astype(float)
        if elsewhere is not None:
            least = self.dt + 1e-9
            short = elsewhere & (delay < least)
            self.lengthened += int((short & (delay < self.dt - 1e-9)).sum())
            delay[short] = least
        keep, begin = self.netcons.append, len(self.netcons)
        try:
            for start in range(0, len(rows), _BLOCK):
                part = slice(start, start + _BLOCK)
                columns = (heads[part].tolist(), index[part].tolist(), weight[part].tolist(), delay[part].tolist())
                if weight.ndim == 1:
                    for head, target, w, d in zip(*columns, strict=True):
                        netcon = connect(head, members[target])
                        netcon.weight[0] = w
                        netcon.delay = d
                        keep(netcon)
                else:
                    for head, target, several, d in zip(*columns, strict=True):
                        netcon = connect(head, members[target])
                        for slot, w in enumerate(several):
                            netcon.weight[slot] = w
                        netcon.delay = d
                        keep(netcon)
                self.tick(len(columns[0]))
        except KeyError as missing:
            raise SimulatorError(f"connections to '{spec['points']}': there is no row {missing}") from None
        if "course" in spec:
            times, factors = self._steps(spec["course"])
            slot = 0 if weight.ndim == 1 else weight.shape[1] - 1
            for at in range(len(rows)):
                amount = weight[at] if weight.ndim == 1 else weight[at, slot]
                self._follow(self.netcons[begin + at]._ref_weight[slot], times, factors * amount)

    # continuous coupling

    def _transfers(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """Give every source a number that all ranks agree on, then pair sources and targets."""
        self.mirrors.show(self.cells)
        sent: dict[int, Any] = {}
        got: list[tuple[Any, int]] = []
        base = len(self.mirrors.gids)
        for group, spec in enumerate(groups):
            number, count = self._numbers(group, spec)
            index, variable = self.program.column(spec["index"]), spec["source_variable"]
            of_points = not isinstance(variable, str)
            first: dict[int, int] = {}  # row of each source of this rank
            for rows in self.shares.rows("sources", group, len(index), self.rank):
                for sid, row in zip(number[rows].tolist(), rows.tolist(), strict=True):
                    first.setdefault(sid, row)
            for sid in sorted(first):
                if of_points:
                    place = self._member(variable["points"], self.program.column(variable["index"])[first[sid]])
                    pointer, section = self.pointer(place, variable["variable"]), place.get_segment().sec
                    sent[base + sid] = pointer
                else:
                    gid, at, x = (self.program.column(spec[f"source_{c}"])[first[sid]] for c in ("gid", "section", "x"))
                    section = self.section(int(gid), int(at), "transfers")
                    pointer = self.pointer(section(float(x)), variable)
                self.pc.source_var(pointer, base + sid, sec=section)
            for rows in self.shares.rows("targets", group, len(index), self.rank):
                for sid, row in zip(number[rows].tolist(), index[rows].tolist(), strict=True):
                    target = self._member(spec["points"], row)
                    pointer = self.pointer(target, spec["variable"])
                    self.pc.target_var(target, pointer, base + sid)
                    if of_points:
                        got.append((pointer, base + sid))
            base += count
        self.program.release()
        self.pc.setup_transfer()
        if any(not isinstance(spec["source_variable"], str) for spec in groups):
            begin = start_of(self.pc, self.ranks, sent, got)
            self.handlers.append(self.h.FInitializeHandler(1, begin))

    # help

    def local(self, first: int, size: int) -> list[int]:
        """The gids from ``first`` on, ``size`` of them, that are on this rank."""
        return self.placement.local(first, size, self.rank)

    def section(self, gid: int, index: int, who: str) -> Any:
        """Section ``index`` of a cell of this rank."""
        try:
            if (found := self.cells[gid].sections[index]) is not None:
                return found
            raise KeyError(index)
        except (KeyError, IndexError):
            raise SimulatorError(f"'{who}' refers to section {index} of cell {gid}, which is not there") from None

    def _integers(self, reference: str) -> NDArray[np.int64]:
        """A table of gids, indices or sections, whatever number type it was stored as."""
        return self.program.column(reference).astype(np.int64, copy=False)

    def _numbers(self, group: int, spec: Mapping[str, Any]) -> tuple[NDArray[np.int64], int]:
        """As ``shares.numbers``."""
        if self.ranks == 1:
            return numbers(self.program, spec)
        tables = self.shares.tables
        return tables[f"transfers{group}.number"], int(tables[f"transfers{group}.count"][0])

    def _member(self, id: str, row: int) -> Any:
        """A row of a group, which is on this rank."""
        try:
            return self._target(id).members[int(row)]
        except KeyError:
            raise SimulatorError(f"'transfers' refers to row {row} of '{id}', which is not there") from None

    def _target(self, id: str) -> Group:
        try:
            return self.groups[id]
        except KeyError:
            raise SimulatorError(f"connections lead to '{id}', which is no group of points and no population") from None

    def _members(self, spec: Mapping[str, Any]) -> Mapping[int, Any]:
        """What the rows of ``index`` stand for: members of the group, or the cells' own points."""
        group = self._target(spec["points"])
        point = spec.get("template_point", 0)
        if point == 0:
            return group.members
        first = int(group.gids[0]) if len(group.gids) else 0
        points = {gid - first: self.cells[gid].points[point] for gid in self.local(first, len(group.gids))}
        return {row: made for row, made in points.items() if made is not None}

    def _fill(self, group: Group, spec: Mapping[str, Any], rows: NDArray[np.int64]) -> None:
        """Set the parameters and random streams of the members in ``rows``, column by column."""
        members = [group.members[row] for row in rows.tolist()]
        for name, value in spec.get("parameters", {}).items():
            values = self.program.column(value)[rows].tolist() if is_table(value) else [value] * len(members)
            array, _, index = name.partition("[")
            try:
                if index:  # an element of an array, as amp[0] of a VClamp
                    for member, one in zip(members, values, strict=True):
                        getattr(member, array)[int(index.rstrip("]"))] = one
                    continue
                for member, one in zip(members, values, strict=True):
                    setattr(member, name, one)
            except (AttributeError, LookupError):
                raise self._no_parameter(group.mechanism, name, group.id) from None
        if spec.get("random") is not None:
            for row, member in zip(rows.tolist(), members, strict=True):
                self._random(member, spec, row)

    def _set(self, member: Any, parameters: Sequence[tuple[str, Any]], row: int, place: str) -> None:
        for name, value in parameters:
            try:
                setattr(member, name, float(self.program.column(value)[row]) if is_table(value) else value)
            except (AttributeError, LookupError):
                raise self._no_parameter(str(member).partition("[")[0], name, place) from None

    def _no_parameter(self, mechanism: str, name: str, place: str) -> SimulatorError:
        hint = meant(name, variables(self.h, mechanism))
        return SimulatorError(f"'{place}': the mechanism '{mechanism}' has no parameter '{name}'{hint}")

    def _random(self, member: Any, spec: Mapping[str, Any], row: int) -> None:
        """Give the member's RANDOM variable its own Random123 stream."""
        if spec.get("random") is not None:
            first, second, third = self.program.column(spec["random"])[row].tolist()
            stream = stream_of(self.h, member, spec.get("rng") or "rng", (first, second, third))
            if self.made is not None or isinstance(stream, Handed):
                self.streams.append(stream)

    def pointer(self, owner_of: Any, variable: str) -> Any:
        """Where a variable of a segment or a process is."""
        try:
            return getattr(owner_of, f"_ref_{variable}")
        except (AttributeError, LookupError):
            raise SimulatorError(f"there is no variable '{variable}' at {owner_of}") from None

    def _try(self, make: Callable[[str], Cell], name: str, *, place: str) -> Cell:
        try:
            return make(name)
        except (AttributeError, LookupError, ValueError, RuntimeError) as fault:
            raise SimulatorError(f"{place}: {fault}") from fault

    def _check(self, spec: Mapping[str, Any]) -> None:
        """Every mechanism that is used is there, and of the right kind."""
        wanted = [(i["mechanism"], self.densities, t["id"]) for t in spec.get("templates", ()) for i in t["inserts"]]
        wanted += [
            (p["mechanism"], self.processes, t["id"]) for t in spec.get("templates", ()) for p in t.get("points", ())
        ]
        wanted += [(p["mechanism"], self.processes, p["id"]) for p in spec.get("points", ())]
        wanted += [(g["mechanism"], self.artificial, g["id"]) for g in spec.get("generators", ())]
        populations = (p for p in spec.get("populations", ()) if "artificial" in p)
        wanted += [(p["artificial"], self.artificial, p["id"]) for p in populations]
        kinds = {id(self.densities): "density mechanism", id(self.processes): "point process"}
        for mechanism, known, place in wanted:
            if mechanism not in known:
                kind = kinds.get(id(known), "artificial cell")
                raise SimulatorError(f"'{place}' needs the {kind} '{mechanism}', which NEURON does not have"
                                     + meant(mechanism, known))  # fmt: skip


def _registered(h: Any) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Names of the point processes, artificial cells and density mechanisms that NEURON knows."""
    name = h.ref("")
    found: list[set[str]] = [set(), set(), set()]
    for kind in (0, 1):
        types = h.MechanismType(kind)
        for index in range(int(types.count())):
            types.select(index)
            types.selected(name)
            found[2 if kind == 0 else 1 if types.is_artificial(index) else 0].add(name[0])
    return frozenset(found[0]), frozenset(found[1]), frozenset(found[2])


def _spiking(spec: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First gids, and those after the last, of all that sends events, on whatever rank."""
    ranges = [
        (p["first_gid"], p["first_gid"] + p["size"])
        for p in spec.get("populations", ())
        if "artificial" in p or spec["templates"][p["template"]].get("source") is not None
    ]
    ranges += [(source["first_gid"], source["first_gid"] + source["size"]) for source in spec.get("sources", ())]
    starts, ends = np.array(sorted(ranges), np.int64).reshape(-1, 2).T
    return starts, ends


def _apart(rows: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times of which no two of a row are the same: a NetStim sends one event where it gets two at one time, so that of
    the second is the next number."""
    order = np.lexsort((times, rows))
    row, found = rows[order], np.array(times, float)[order]
    for at in (np.flatnonzero((row[1:] == row[:-1]) & (found[1:] <= found[:-1])) + 1).tolist():
        found[at] = np.nextafter(max(found[at], found[at - 1]), np.inf)
    apart = np.empty_like(found)
    apart[order] = found
    return apart

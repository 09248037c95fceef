"""Lowering of native cells and processes: NEURON's own mechanisms go into the Program by their names.

Nothing is compiled from equations here. Steps, delays and thresholds are taken as they are written, so a network gives
what NEURON gives when a script builds it by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import UnsupportedError
from ...graph import Adjuster, Course, InputList, Network, Population, Projection, Stdp
from ...graph.native import ADDING, Along, NativeCell, NativeProcess, mechanisms_of
from ...nmodl.files import mechanism_of
from ...nmodl.header import read_header
from ...pile import counted, joined, made, picked, shifted
from ..saving import random_variables
from .attachments import Floats, Ints, matching, stream_of
from .handed import PROCEDURE
from .individuals import Differences
from .population import CellKind, Kind
from .roles import BUILT_IN_IONS, valence
from .tables import Tables, distinct

RANDOM = {"NetStim": "ranvar"}
"""RANDOM variables of NEURON's own mechanisms"""
CLAMPS = frozenset({"SEClamp", "VClamp"})
PLAYED = "VecStim"
"""artificial cells that send given trains; the worker plays them, so that no mod file is needed"""
_USED_ION = re.compile(r"\bUSEION\s+(\w+)")
_SAFE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


Place = tuple[Ints, Ints, Floats]
"""(gid, section, x) of rows"""


@dataclass
class Arrivals:
    """Rows of one projection or input list at a native synapse. ``source_gid`` or ``generator`` says what sends."""

    gid: Ints
    section: Ints
    x: Floats
    weight: Floats
    delay: Floats
    source_gid: Ints | None = None
    generator: NativeProcess | None = None
    values: Mapping[str, Floats] = field(default_factory=dict)
    random: npt.NDArray[np.uint32] | None = None
    label: str = ""
    peers: tuple[Ints, Ints, Floats] | None = None
    """(gid, section, x) of the other sides of junctions"""
    plastic: Stdp | Adjuster | None = None
    course: Course | None = None
    whole: bool = True  # whether these are all rows of the projection


@dataclass
class Group:
    """All rows of one native process in one role: the points that it becomes, and what arrives there."""

    process: NativeProcess
    chunks: list[Arrivals] = field(default_factory=list)
    recorded: bool = False
    index: Ints | None = None

    @property
    def key(self) -> str:
        """Its id in the Program."""
        return f"native:{self.process.id}"

    def column(self, name: str) -> npt.NDArray[Any]:
        """One column over all chunks."""
        return joined([getattr(chunk, name) for chunk in self.chunks])

    def row(self, gid: int, section: int | None, number: int) -> int | None:
        """The ``number``-th row on a cell, in the order of the network."""
        wanted = {"gid": gid} | ({} if section is None else {"section": section})
        rows = matching([{name: getattr(chunk, name) for name in wanted} for chunk in self.chunks], wanted)
        if self.process.shared:  # the number is of those that are made
            places = zip(self.column("section")[rows].tolist(), self.column("x")[rows].tolist(), strict=True)
            rows = rows[list({place: at for at, place in reversed(list(enumerate(places)))}.values())]
            rows = np.sort(rows)
        return int(rows[number]) if number < len(rows) else None


class Natives:
    """The native parts of one network on their way into a Program."""

    def __init__(self, network: Network, tables: Tables, seed: int, v_init: float | None) -> None:
        self.network, self.tables, self.seed, self.v_init = network, tables, seed, v_init
        self.groups: dict[str, Group] = {}
        self.ports: list[tuple[NativeProcess, str, Arrivals]] = []
        for part in network.native.values():
            for mechanism in mechanisms_of(part):
                if not _SAFE.match(mechanism):
                    raise UnsupportedError(f"'{part.id}': '{mechanism[:60]}' cannot be the name of a mechanism")

    def has(self, component: str) -> bool:
        """Whether a component is native."""
        return component in self.network.native

    def kind(self, population: Population) -> CellKind:
        """What a population of a native cell or source is made of."""
        part = self.network.native[population.component]
        if isinstance(part, NativeCell):
            return CellKind(Kind.CELL, part.id, native=part)
        if part.kind != "source":
            raise UnsupportedError(f"population '{population.id}' is made of the {part.kind} '{part.id}'; "
                                   "expected a cell or a source")  # fmt: skip
        return CellKind(Kind.SOURCE, part.id, native=part)

    # what arrives --------------------------------------------------------------------------------------------------

    def projection(
        self, projection: Projection, synapse: str, chosen: Ints | None, places: tuple[Ints, Ints, Floats],
        weight: Floats, delay: Floats, pre: Population, post: Population,
    ) -> None:  # fmt: skip
        """Rows of a chemical projection (all, if ``chosen`` is None) through a native synapse."""
        process = self.process(synapse)
        gid, section, x = places
        rows = Arrivals(
            gid, section, x, weight, delay, source_gid=shifted(picked(projection.pre, chosen), pre.offset),
            values={name: picked(column, chosen) for name, column in projection.values.items()}, label=projection.id,
            plastic=projection.plasticity, course=projection.course, whole=chosen is None,
        )  # fmt: skip
        if process.kind == "port":
            self.ports.append((process, post.id, rows))
        else:
            self.group(process).chunks.append(rows)

    def junctions(
        self, projection: Projection, components: tuple[str, str], ends: tuple[Place, Place], weight: Floats
    ) -> None:  # fmt: skip
        """Rows of a projection of junctions: one process on each side, which is told of the other."""
        for component, here, there in zip(components, ends, ends[::-1], strict=True):
            process = self.process(component)
            if process.kind == "port":
                continue
            if process.kind != "junction" or process.peer is None:
                raise UnsupportedError(f"projection '{projection.id}': the {process.kind} '{component}' is no junction")
            values = {"weight": weight} if self._weighted(process.mechanism) else {}
            delay = np.zeros(len(weight))
            self.group(process).chunks.append(Arrivals(*here, weight, delay, values=values, label=projection.id,
                                                       peers=there))  # fmt: skip

    def _weighted(self, mechanism: str) -> bool:
        """Whether the text of a mechanism has a variable for the weight."""
        texts = (text for text in self.network.mods.values()
                 if re.search(rf"\bPOINT_PROCESS\s+{mechanism}\b", text))  # fmt: skip
        return any(re.search(r"(?m)^[^:\n]*\bRANGE\b[^\n:]*\bweight\b", text) for text in texts)

    def inputs(self, inputs: InputList, places: tuple[Ints, Ints, Floats], weight: Floats) -> None:
        """An input list of a native process: points of its own, or a source of events for each row."""
        process = self.process(inputs.component)
        gid, section, x = places
        delay = inputs.delay if inputs.delay is not None else np.zeros(len(gid))
        if process.kind == "source" and process.drives is None:
            raise UnsupportedError(f"the input list '{inputs.id}' uses the source '{process.id}', which drives nothing")
        if process.drives is None:
            rows = Arrivals(gid, section, x, weight, delay, values=inputs.values, label=inputs.id)
            self.group(process).chunks.append(rows)
            return
        random = inputs.random
        if random is None:
            random = self._streams(inputs.id, len(gid))
        rows = Arrivals(gid, section, x, weight, delay, generator=process, values=inputs.values, random=random,
                        label=inputs.id, course=inputs.course)  # fmt: skip
        self.group(self.process(process.drives)).chunks.append(rows)

    def process(self, id: str) -> NativeProcess:
        """The native process with this id."""
        part = self.network.native[id]
        if not isinstance(part, NativeProcess):
            raise UnsupportedError(f"'{id}' is a cell; expected a synapse or an input")
        return part

    def group(self, process: NativeProcess) -> Group:
        """The group of a process; made on first use."""
        return self.groups.setdefault(process.id, Group(process))

    def _streams(self, label: str, count: int) -> npt.NDArray[np.uint32]:
        ids = np.stack([np.full(count, stream_of(label)), np.arange(count), np.full(count, self.seed)], axis=1)
        return (ids % 2**32).astype(np.uint32)

    # the Program ---------------------------------------------------------------------------------------------------

    def emit(self) -> dict[str, list[dict[str, Any]]]:
        """The Program's points, netcons and generators."""
        out: dict[str, list[dict[str, Any]]] = {"points": [], "netcons": [], "generators": [], "transfers": []}
        for group in self.groups.values():
            self._emit(group, out)
        for number, (process, population, rows) in enumerate(self.ports):
            key = f"port{number}"
            offset = self.network.populations[population].offset
            out["netcons"].append(self._netcon(key, population, rows, shifted(rows.gid, -offset), process))
        return out

    def _emit(self, group: Group, out: dict[str, list[dict[str, Any]]]) -> None:
        key, process = group.key, group.process
        gid, section, x = (group.column(name) for name in ("gid", "section", "x"))
        own = [{} if chunk.generator is not None else chunk.values for chunk in group.chunks]
        varied = list(dict.fromkeys(name for values in own for name in values))
        parameters: dict[str, Any] = dict(process.parameters)
        columns = {}
        for name in varied:
            parts = [
                values[name] if name in values else self._default(process, name, len(chunk.gid))
                for values, chunk in zip(own, group.chunks, strict=True)
            ]
            columns[name] = joined(parts)
        index = counted(len(gid))
        if process.shared or (process.mechanism in ADDING and not group.recorded):
            first, combination, known = distinct(gid, section, x, *columns.values())
            order = np.argsort(first)  # the points in the order of their first use
            rank = np.empty(len(order), np.int64)
            rank[order] = np.arange(len(order))
            index = made(len(combination), np.int64, lambda rows: rank[combination[rows]], combination)
            gid, section, x, *varying = (column[order] for column in known)
            columns = dict(zip(columns, varying, strict=True))
        group.index = index
        for name, column in columns.items():
            parameters[name] = self.tables.number(f"{key}.{name}", column)
        out["points"].append({
            "id": key, "mechanism": process.mechanism, "gid": self.tables.add(f"{key}.gid", gid),
            "section": self.tables.add(f"{key}.section", section), "x": self.tables.add(f"{key}.x", x),
            "parameters": parameters, "random": None, **({"shared": True} if process.shared else {}),
        })  # fmt: skip
        at = 0
        for number, chunk in enumerate(group.chunks):
            rows = index[at : at + len(chunk.gid)]
            at += len(chunk.gid)
            if chunk.source_gid is not None:
                out["netcons"].append(self._netcon(f"{key}.{number}", key, chunk, rows))
            elif chunk.peers is not None and process.peer is not None:
                places = zip(("gid", "section", "x"), chunk.peers, strict=True)
                out["transfers"].append({
                    **{f"source_{axis}": self.tables.add(f"{key}.{number}.{axis}", one) for axis, one in places},
                    "source_variable": process.peer[0], "points": key, "variable": process.peer[1],
                    "index": self.tables.add(f"{key}.{number}.index", rows),
                })  # fmt: skip
            elif chunk.generator is not None:
                out["generators"].append(self._generator(f"{key}.{number}", key, chunk, rows))

    def _default(self, process: NativeProcess, name: str, count: int) -> Floats:
        if name not in process.parameters:
            raise UnsupportedError(f"'{process.id}': some rows give '{name}' and others do not; state its usual value")
        return np.broadcast_to(float(process.parameters[name]), count)

    def _netcon(
        self, key: str, points: str, rows: Arrivals, index: Ints, port: NativeProcess | None = None
    ) -> dict[str, Any]:
        assert rows.source_gid is not None
        weight: npt.NDArray[Any] = rows.weight
        more: dict[str, Any] = {}
        if port is not None:
            slot = int(port.parameters.get("slot", 0))
            weight = np.zeros((len(rows.gid), slot + 1)) if slot else weight
            if slot:
                weight[:, slot] = rows.weight
            more = {"template_point": int(port.parameters.get("point", 0))}
        if port is None and rows.label and rows.whole:
            more |= {"of": [{"id": rows.label, "begin": 0, "end": len(rows.gid)}], "variable": None}
        if rows.plastic is not None and port is not None:
            raise UnsupportedError(f"the plastic connections '{rows.label}' lead straight into cells, with no synapse")
        if rows.plastic is not None:
            entry = {"id": rows.label, "begin": 0, "end": len(rows.gid), "variable": None, **rows.plastic.stated()}
            more |= {"plastic": [entry], "start": self.tables.add(f"{key}.start", weight)}
        more |= self._course(key, rows.course, rows.label)
        return {
            "source_gid": self.tables.add(f"{key}.source", rows.source_gid), "points": points,
            "index": self.tables.add(f"{key}.index", index), "weight": self.tables.add(f"{key}.weight", weight),
            "delay": self.tables.add(f"{key}.delay", rows.delay), **more,
        }  # fmt: skip

    def _course(self, key: str, course: Course | None, of: str) -> dict[str, Any]:
        """What a Program says of numbers that change in time."""
        if course is None:
            return {}
        columns = {name: self.tables.add(f"{key}.{name}", getattr(course, name)) for name in ("times", "values")}
        return {"course": {"of": of, "variable": course.variable, **columns}}

    def _generator(self, key: str, points: str, rows: Arrivals, index: Ints) -> dict[str, Any]:
        source = rows.generator
        assert source is not None
        parameters: dict[str, Any] = dict(source.parameters)
        for name, column in rows.values.items():
            parameters[name] = self.tables.number(f"{key}.{name}", column)
        entry = {
            "id": f"{rows.label}:{key}", "mechanism": source.mechanism,
            "gid": self.tables.add(f"{key}.gid", rows.gid), "parameters": parameters, "random": None,
            "targets": {
                "points": points, "index": self.tables.add(f"{key}.index", index),
                "weight": self.tables.add(f"{key}.weight", rows.weight),
                "delay": self.tables.add(f"{key}.delay", rows.delay), **self._course(key, rows.course, rows.label),
            },
        }  # fmt: skip
        rng = self._rng(source.mechanism)
        if rng is not None and rows.random is not None:
            entry |= {"random": self.tables.add(f"{key}.random", rows.random), "rng": rng}
        return entry

    def _rng(self, mechanism: str) -> str | None:
        """The RANDOM variable of a source, or the PROCEDURE that takes a Random instead; None if it has neither."""
        text = next((text for text in self.network.mods.values() if mechanism_of(text) == mechanism), None)
        header = read_header(text) if text is not None else None
        if text is None or header is None:
            return RANDOM.get(mechanism)
        own = random_variables(text)[1]
        return own[0] if own else PROCEDURE if PROCEDURE in header.procedures else None

    def clamped(self) -> bool:
        """Whether a native process holds a voltage, which rings under second-order steps."""
        return any(group.process.mechanism in CLAMPS for group in self.groups.values())

    def cell_entry(self, cell: NativeCell, key: str, tables: Tables) -> dict[str, Any]:
        """The Program's template of a native cell; its tables have keys that begin with ``key``."""
        counts = [section.nseg for section in cell.sections]
        sections = []
        for number, section in enumerate(cell.sections):
            entry = {
                "name": section.name, "nseg": section.nseg, "parent": section.parent, "parent_x": section.parent_x,
                "child_x": section.child_x, "Ra": section.Ra,
            }  # fmt: skip
            if section.points is not None:
                entry["points"] = tables.add(f"{key}.points{number}", np.asarray(section.points, float))
            else:
                entry |= {"L": section.L, "diam": _along(tables, f"{key}.diam{number}", [section.diam], [section.nseg])}
            sections.append(entry)
        rest = -65.0 if self.v_init is None else self.v_init
        rest = rest if cell.v_init is None else cell.v_init
        v_init = [rest if section.v_init is None else section.v_init for section in cell.sections]
        cm = [section.cm for section in cell.sections]
        return {
            "id": cell.id, "sections": sections, "inserts": _inserts(cell, key, tables),
            "ions": self._ions(cell, key, tables),
            "points": [
                {"mechanism": p.mechanism, "section": p.section, "x": p.x, "parameters": dict(p.parameters)}
                for p in cell.points
            ],
            "cm": _along(tables, f"{key}.cm", cm, counts),
            "v_init": tables.add(f"{key}.v", np.repeat(v_init, counts)),
            "source": _source(cell),
        }  # fmt: skip

    def _ions(self, cell: NativeCell, key: str, tables: Tables) -> list[dict[str, Any]]:
        spelled = {"e": "reversal", "i": "internal", "o": "external"}
        groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        # ions that NEURON or a mechanism brings along, each with its charge
        known = {*BUILT_IN_IONS, *(name for text in self.network.mods.values() for name in _USED_ION.findall(text))}
        for number, section in enumerate(cell.sections):
            for ion, values in section.ions.items():
                if not _SAFE.match(ion):
                    raise cell.error(f"'{ion[:40]}' cannot be the name of an ion")
                groups.setdefault((ion, tuple(values)), []).append(number)
        return [
            {
                "ion": ion, "sections": members, "as_written": True,
                **({} if ion in known else {"charge": valence(ion)}),
                **{
                    spelled[name]: _along(
                        tables, f"{key}.ion{serial}.{name}", [cell.sections[i].ions[ion][name] for i in members],
                        [cell.sections[i].nseg for i in members],
                    )
                    for name in names
                },
            }
            for serial, ((ion, names), members) in enumerate(groups.items())
        ]  # fmt: skip

    def population_entry(self, population: Population, kind: CellKind) -> dict[str, Any]:
        """What a population of native cells has besides its id, size and template."""
        values: dict[str, Any] = {
            name: self.tables.number(f"{population.id}.{name}", column) for name, column in population.values.items()
        }
        entry: dict[str, Any] = {}
        if isinstance(kind.native, NativeProcess):
            played = kind.native.mechanism == PLAYED
            parameters: dict[str, Any] = {} if played else {**kind.native.parameters, **values}
            entry = {"artificial": "NetStim" if played else kind.native.mechanism, "parameters": parameters}
            entry |= self._course(population.id, population.course, population.id)
            random = population.random
            if kind.native.mechanism in RANDOM and random is None:
                random = self._streams(population.id, population.size)
            rng = self._rng(kind.native.mechanism)
            if rng is not None and random is not None:
                entry |= {"random": self.tables.add(f"{population.id}.random", random), "rng": rng}
        elif values:
            entry = {"point_parameters": [{"point": 0, "parameters": values}]}
        if isinstance(kind.native, NativeCell) and population.individuals is not None:
            entry["own"] = self._own(population, kind.native)
        moved = isinstance(kind.native, NativeCell) and (kind.native.moved or self.network.outside)
        if moved and population.positions is not None:
            entry["origins"] = self.tables.add(f"{population.id}.origins", population.positions)
        if isinstance(kind.native, NativeProcess) and kind.native.mechanism == PLAYED:
            entry["trains"] = {
                "rows": self.tables.add(f"{population.id}.train_rows", _given(population.train_rows)),
                "times": self.tables.add(f"{population.id}.train_times", _given(population.train_times)),
            }  # fmt: skip
        return entry

    def _own(self, population: Population, cell: NativeCell) -> list[dict[str, Any]]:
        """Where the cells of a population depart from their template."""
        assert population.individuals is not None
        tables = Tables()
        found = Differences(population, self.cell_entry(cell, "", tables), tables.arrays)
        for row, each in enumerate(population.individuals):
            if not isinstance(each, NativeCell):
                raise UnsupportedError(f"population '{population.id}' is of native cells; cell {row} is none")
            tables = Tables()
            found.add(row, self.cell_entry(each, "", tables), tables.arrays)
        return found.stated(self.tables)


def _along(tables: Tables, key: str, values: Sequence[Along], counts: Sequence[int]) -> float | str:
    """One number, or a table over the segments of several sections."""
    column = np.concatenate([np.broadcast_to(v, (n,)) for v, n in zip(values, counts, strict=True)]).astype(float)
    return tables.number(key, column)


def _inserts(cell: NativeCell, key: str, tables: Tables) -> list[dict[str, Any]]:
    """One entry for the sections that give a mechanism the same parameters (by name)."""
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for number, section in enumerate(cell.sections):
        for mechanism, parameters in section.mechanisms.items():
            groups.setdefault((mechanism, tuple(parameters)), []).append(number)
    found = []
    for serial, ((mechanism, names), members) in enumerate(groups.items()):
        counts = [cell.sections[i].nseg for i in members]
        along: dict[str, Any] = {
            name: _along(
                tables, f"{key}.insert{serial}.{name}", [cell.sections[i].mechanisms[mechanism][name] for i in members],
                counts,
            )
            for name in names
        }  # fmt: skip
        found.append({"mechanism": mechanism, "sections": members, "parameters": along})
    return found


def _given(column: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    return np.zeros(0) if column is None else column


def _source(cell: NativeCell) -> dict[str, Any]:
    if cell.spike_point is None:
        return {"kind": "voltage", "section": cell.spike_section, "x": cell.spike_x, "threshold": cell.threshold}
    source: dict[str, Any] = {"kind": "point", "point": cell.spike_point}
    if cell.spike_variable is not None:
        source |= {"variable": cell.spike_variable, "threshold": cell.threshold}
    return source

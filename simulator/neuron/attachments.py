"""Synapses, gap junctions and inputs: what is attached to cells, as columns.

Rows are gathered per component first; only when the mechanisms are compiled is it known whether many rows may share one
point process (linear synapses whose events add up) and where a weight goes (into the NetCon or into the instance).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import UnsupportedError
from ...graph import Adjuster, Stdp
from ...pile import blocks, counted, joined, made, release, shifted
from .catalogue import Request
from .tables import Tables, distinct

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PeerPoint:
    """A variable of the other end: ``name`` (flat) of the rows ``rows`` of a group of points, or of a population."""

    points: str
    rows: Ints
    request: Request
    name: str
    ahead: bool = False  # read by a current, which can do with what the state will be then


@dataclass
class Rows:
    """Places on cells, one row each, with what arrives there. Columns of one length."""

    gid: Ints
    section: Ints
    x: Floats
    segment: Ints
    weight: Floats
    source_gid: Ints | None = None  # events come from this cell, or this place on a cell
    source_cell: Ints | None = None  # the cell that the place is on, if it is not everywhere the same as source_gid
    delay: Floats | None = None  # ms
    peer_gid: Ints | None = None  # the other end of a tunnel
    peer_section: Ints | None = None
    peer_x: Floats | None = None
    peers: dict[str, str | PeerPoint] = field(default_factory=dict)
    """path of each peer variable -> the variable of the far place, or of a point process there"""
    owner: str = ""  # the projection whose rows these all are, in order
    plastic: Stdp | Adjuster | None = None
    stream: Callable[[], Ints] | None = None  # gives what the random stream of a row is keyed by


@dataclass
class Attachment:
    """All rows of one component in one role (a synapse, a half of a gap junction, an input)."""

    key: str
    component: str
    request: Request
    chunks: list[Rows] = field(default_factory=list)
    index: Ints | None = None
    """row -> row in the Program's group of point processes (known after ``emit``)"""

    def column(self, name: str) -> npt.NDArray[Any]:
        """One column over all chunks."""
        return joined([getattr(chunk, name) for chunk in self.chunks])

    def find(self, gid: int, segment: int | None, number: int) -> int | None:
        """The row of the ``number``-th attachment on a cell (on a segment of it, if given), in document order."""
        rows = self.rows(gid, segment)
        return int(rows[number]) if number < len(rows) else None

    def rows(self, gid: int, segment: int | None) -> Ints:
        """The rows on a cell (on a segment of it, if given)."""
        wanted = {"gid": gid} | ({} if segment is None else {"segment": segment})
        return matching([{name: getattr(chunk, name) for name in wanted} for chunk in self.chunks], wanted)


def matching(chunks: Sequence[Mapping[str, Ints]], wanted: Mapping[str, int]) -> Ints:
    """The rows, counted over all chunks, that have the wanted numbers in their columns."""
    found, begin = [np.zeros(0, np.int64)], 0
    for columns in chunks:
        count = len(next(iter(columns.values())))
        for block in blocks(count):
            same = np.logical_and.reduce([columns[name][block] == number for name, number in wanted.items()])
            found.append(np.flatnonzero(same) + begin + block.start)
            release(*columns.values())
        begin += count
    return np.concatenate(found)


def stream_of(text: str) -> int:
    """A number for the name of what a random stream belongs to, the same on every machine."""
    return zlib.crc32(text.encode())


def streams(id: str, rows: Ints | None, count: int) -> Callable[[], Ints]:
    """Gives what random streams of rows of a projection or input list are keyed by: its id (high word) and the row."""
    key = (stream_of(id) & 0x7FFFFFFF) << 32
    return lambda: shifted(counted(count) if rows is None else rows, key)


def emit(attachment: Attachment, tables: Tables, seed: int) -> dict[str, list[dict[str, Any]]]:
    """The Program's entries for one attachment: its points, NetCons and transfers."""
    request, mechanism = attachment.request, attachment.request.made
    out: dict[str, list[dict[str, Any]]] = {"points": [], "netcons": [], "transfers": []}
    if mechanism.silent or not attachment.chunks:
        return out
    key = attachment.key
    gid, section, x = (attachment.column(name) for name in ("gid", "section", "x"))
    weight = attachment.column("weight")
    if mechanism.shareable and not request.varied:
        _, index, (gid, section, x) = distinct(gid, section, x)
    else:
        index = counted(len(gid))
    attachment.index = index
    parameters: dict[str, Any] = {}
    for name, value in request.parameters().items():
        own = mechanism.parameters[name][request.own]
        parameters[name] = tables.number(f"{key}.{name}", own) if request.varied else value
    for name, variable in mechanism.instance.items():
        if name == "weight" and (not mechanism.shareable or request.varied):
            parameters[variable] = tables.number(f"{key}.weight", weight)
    entry: dict[str, Any] = {
        "id": key,
        "mechanism": mechanism.name,
        "gid": tables.add(f"{key}.gid", gid),
        "section": tables.add(f"{key}.section", section),
        "x": tables.add(f"{key}.x", x),
        "parameters": parameters,
        "random": None,
    }
    if mechanism.random:
        keys = joined([chunk.stream() for chunk in attachment.chunks if chunk.stream is not None])
        entry["random"] = tables.add(f"{key}.random", made(len(keys), np.uint32, lambda rows: np.stack(
            [keys[rows] >> 32, keys[rows] & 0xFFFFFFFF, np.full(rows.stop - rows.start, seed % 2**32)], axis=1,
        ) % 2**32, keys))  # fmt: skip
        entry["rng"] = "rng"
    out["points"].append(entry)
    if any(chunk.source_gid is not None for chunk in attachment.chunks):
        apart = any(chunk.source_cell is not None for chunk in attachment.chunks)
        cells: list[Any] = [chunk.source_gid if chunk.source_cell is None else chunk.source_cell
                            for chunk in attachment.chunks]  # fmt: skip
        out["netcons"].append({
            "source_gid": tables.add(f"{key}.source", attachment.column("source_gid")),
            **({"source_cell": tables.add(f"{key}.source_cell", joined(cells))} if apart else {}),
            "points": key,
            "index": tables.add(f"{key}.index", index),
            "weight": tables.add(f"{key}.netweight",
                                 weight if mechanism.weight == "weight" else np.broadcast_to(1.0, len(weight))),
            "delay": tables.add(f"{key}.delay", attachment.column("delay")),
            **_owners(attachment),
            **_plastic(attachment, weight, tables),
        })  # fmt: skip
    for target, variable in mechanism.peers.items():
        out["transfers"] += _transfers(attachment, target, variable, index, tables)
    return out


def _owners(attachment: Attachment) -> dict[str, Any]:
    """Which rows of the NetCons are whose, and the variable of the synapse that has the weight, if it is not theirs."""
    begin, of = 0, []
    for chunk in attachment.chunks:
        of += [{"id": chunk.owner, "begin": begin, "end": begin + len(chunk.gid)}] if chunk.owner else []
        begin += len(chunk.gid)
    mechanism = attachment.request.made
    return {"of": of, "variable": None if mechanism.weight == "weight" else mechanism.instance.get("weight")}


def _plastic(attachment: Attachment, weight: Floats, tables: Tables) -> dict[str, Any]:
    """The rules of those chunks that have one, with the rows of the NetCons."""
    mechanism, begin = attachment.request.made, 0
    variable = None if mechanism.weight == "weight" else mechanism.instance.get("weight")
    entries = []
    for chunk in attachment.chunks:
        end = begin + len(chunk.gid)
        if chunk.plastic is not None:
            if mechanism.weight != "weight" and variable is None:
                raise UnsupportedError(f"'{attachment.component}' has no weight that could change")
            entries.append({"id": chunk.owner, "begin": begin, "end": end, "variable": variable,
                            **chunk.plastic.stated()})  # fmt: skip
        begin = end
    return {"plastic": entries, "start": tables.add(f"{attachment.key}.start", weight)} if entries else {}


def _transfers(
    attachment: Attachment, target: str, variable: str, index: Ints, tables: Tables
) -> list[dict[str, Any]]:
    """What brings one variable of the peers here: an entry for each kind of place that it comes from."""
    begins = np.concatenate(([0], np.cumsum([len(chunk.gid) for chunk in attachment.chunks])))
    places: dict[str, list[int]] = {}
    entries: list[dict[str, Any]] = []
    for number, chunk in enumerate(attachment.chunks):
        source = chunk.peers[target]
        if isinstance(source, str):
            places.setdefault(source, []).append(number)
            continue
        key = f"{attachment.key}.peer{number}.{variable}"
        found = source.request.sent(source.name, source.ahead)
        assert found is not None, "marked as recorded, so it is kept"
        entries.append({
            "source_gid": tables.add(f"{key}.gid", attachment.column("peer_gid")[begins[number] : begins[number + 1]]),
            "source_variable": {"points": source.points, "index": tables.add(f"{key}.rows", source.rows),
                                "variable": found},
            "points": attachment.key, "index": tables.add(f"{key}.index", index[begins[number] : begins[number + 1]]),
            "variable": variable,
        })  # fmt: skip
    for number, (source, numbers) in enumerate(places.items()):
        key = f"{attachment.key}.peer_{number or ''}"
        chunks = [attachment.chunks[n] for n in numbers]
        rows = np.concatenate([index[begins[n] : begins[n + 1]] for n in numbers])
        columns = {
            column: np.concatenate([getattr(chunk, f"peer_{column}") for chunk in chunks])
            for column in ("gid", "section", "x")
        }
        entries.append({
            **{f"source_{name}": tables.add(f"{key}{name}", column) for name, column in columns.items()},
            "source_variable": source, "points": attachment.key, "index": tables.add(f"{key}index", rows),
            "variable": variable,
        })  # fmt: skip
    return entries

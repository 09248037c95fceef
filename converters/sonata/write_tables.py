"""The HDF5 files of SONATA: nodes, edges with their indices, spikes. Written in pieces, each file in a new folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...graph import Network, Population, Projection
from ...report import Report
from .read import COLUMN
from .tables import CHUNK, Array

_MAGIC, _VERSION = 0x0A7A, (0, 1)


@dataclass
class EdgeGroup:
    """A population of edges: its projections with their types, and the rows of the types file that it had."""

    source: str
    target: str
    before: list[dict[str, str]] = field(default_factory=list)
    columns: list[str] | None = None
    """the columns that it had, where it was read from SONATA"""
    delay: float = 0.0
    """what was taken for a delay (ms) that was not stated"""
    members: list[tuple[Projection, int]] = field(default_factory=list)
    scales: dict[str, float] = field(default_factory=dict)


def edge_groups(network: Network, meta: dict[str, Any], owner: dict[str, str]) -> dict[str, EdgeGroup]:
    """The chemical projections by the population of edges that they come from or are to be."""
    groups: dict[str, EdgeGroup] = {}
    home = {id: (name, int(type_id)) for name, entry in meta.items() for id, type_id in entry["projections"].items()}
    for projection in network.projections:
        if projection.kind != "chemical":
            continue
        source, target = owner[projection.presynaptic], owner[projection.postsynaptic]
        name, type_id = home.get(projection.id, ("", -1))
        entry = meta.get(name, {})
        if (entry.get("source"), entry.get("target")) != (source, target):
            name, type_id = f"{source}_to_{target}", -1
            entry = {}
        group = groups.setdefault(name, EdgeGroup(source, target, entry.get("types", []), entry.get("columns"),
                                                  float(entry.get("delay", 0))))  # fmt: skip
        if type_id == -1 and not entry:
            used = [*(t for _, t in group.members), *(int(row["edge_type_id"]) for row in group.before), 99]
            type_id = max(used) + 1
        group.members.append((projection, type_id))
    return groups


def _new(path: Path) -> h5py.File:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = h5py.File(path, "x")
    file.attrs["magic"] = np.uint32(_MAGIC)
    file.attrs["version"] = np.array(_VERSION, dtype=np.uint32)
    return file


def _put(group: Any, name: str, values: Array, report: Report | None = None) -> Any:
    """A dataset, written in pieces so that a bar can move."""
    if values.dtype == object:
        return group.create_dataset(name, data=list(values), dtype=h5py.string_dtype())
    dataset = group.create_dataset(name, values.shape, values.dtype)
    for start in range(0, len(values), CHUNK):
        dataset[start : start + CHUNK] = values[start : start + CHUNK]
        if report is not None:
            report.tell(f"write {name}", min(start + CHUNK, len(values)), len(values))
    return dataset


# nodes --------------------------------------------------------------------------------------------------------------


def node_order(members: list[Population]) -> tuple[Array, bool]:
    """(n,) the place in the file of each cell of the members in turn, and whether the instance ids are these places."""
    ids = np.concatenate([p.instance_ids for p in members]) if members else np.zeros(0, dtype=np.int64)
    if np.array_equal(np.sort(ids), np.arange(len(ids))):
        return ids, True
    return np.arange(len(ids)), False


def write_nodes(path: Path, name: str, members: list[Population], types: dict[str, int], report: Report) -> None:
    """One population of nodes; members that have the same columns share a group."""
    places, plain = node_order(members)
    count = len(places)
    type_ids, where, index = (np.zeros(count, dtype=np.int64) for _ in range(3))
    kinds: dict[tuple[str, ...], list[tuple[Array, dict[str, Array]]]] = {}
    start = 0
    for population in members:
        here = places[start : start + population.size]
        start += population.size
        type_ids[here] = types[population.id]
        columns = _node_columns(population)
        if not plain:
            columns["neuroml_instance_id"] = population.instance_ids
        kinds.setdefault(tuple(sorted(columns)), []).append((here, columns))
    with _new(path) as file:
        group = file.create_group(f"nodes/{name}")
        for number, (names, parts) in enumerate(kinds.items()):
            rows = np.concatenate([here for here, _ in parts])
            order = np.argsort(rows, kind="stable")
            where[rows[order]], index[rows[order]] = number, np.arange(len(rows))
            inner = group.create_group(str(number))
            for column in names:
                values = np.concatenate([columns[column] for _, columns in parts])[order]
                _put(inner, column, values, report)
        _put(group, "node_type_id", type_ids)
        _put(group, "node_id", np.arange(count).astype(np.uint64))
        _put(group, "node_group_id", where.astype(np.uint32))
        _put(group, "node_group_index", index.astype(np.uint64))


def _node_columns(population: Population) -> dict[str, Array]:
    """Positions, and the columns that came from SONATA and are kept as properties."""
    found: dict[str, Array] = {}
    if population.positions is not None:
        axes = population.properties.get("sonata_axes", "x y z").split()
        found = {name: population.positions[:, "xyz".index(name)] for name in axes if name in "xyz"}
    for key, text in population.properties.items():
        if not key.startswith(COLUMN):
            continue
        words = text.split(" ")
        if len(words) != population.size:
            continue
        try:
            numbers: Array = np.array([int(w) for w in words], dtype=np.int64)
        except ValueError:
            try:
                numbers = np.array([float(w) for w in words])
            except ValueError:
                numbers = np.array([w.replace("\xa0", " ") for w in words], dtype=object)
        found[key.removeprefix(COLUMN)] = numbers
    return found


# edges --------------------------------------------------------------------------------------------------------------


def write_edges(
    path: Path, name: str, group: EdgeGroup, network: Network, nodes: dict[str, list[Population]],
    rows: dict[int, dict[str, str]], report: Report,
) -> None:  # fmt: skip
    """One population of edges. What ``rows``, the types file, says already is not repeated for each edge."""
    members = group.members
    ends = {"source": node_places(nodes[group.source]), "target": node_places(nodes[group.target])}
    source = np.concatenate([ends["source"][p.presynaptic][p.pre] for p, _ in members])
    target = np.concatenate([ends["target"][p.postsynaptic][p.post] for p, _ in members])
    kinds = np.concatenate([np.full(len(p), t, dtype=np.int64) for p, t in members])
    ids = np.concatenate([p.ids for p, _ in members])
    count = len(ids)
    ordered = np.array_equal(np.sort(ids), np.arange(count))
    order = np.argsort(ids, kind="stable") if ordered else np.arange(count)
    columns = _edge_columns(members, group, kinds, rows)
    if not ordered:
        columns["neuroml_id"] = ids
    with _new(path) as file:
        edges = file.create_group(f"edges/{name}")
        for side, values, population in (("source", source, group.source), ("target", target, group.target)):
            dataset = _put(edges, f"{side}_node_id", values[order].astype(np.uint64), report)
            dataset.attrs["node_population"] = population
        _put(edges, "edge_type_id", kinds[order], report)
        _put(edges, "edge_group_id", np.zeros(count, dtype=np.uint32))
        _put(edges, "edge_group_index", np.arange(count, dtype=np.uint64))
        inner = edges.create_group("0")
        for column, values in columns.items():
            _put(inner, column, values[order], report)
        for side, values, size in (
            ("source_to_target", source[order], sum(p.size for p in nodes[group.source])),
            ("target_to_source", target[order], sum(p.size for p in nodes[group.target])),
        ):
            _index(edges.create_group(f"indices/{side}"), values, size)


def node_places(members: list[Population]) -> dict[str, Array]:
    """Of each population: the node ids of its rows."""
    places, start, found = node_order(members)[0], 0, {}
    for population in members:
        found[population.id] = places[start : start + population.size]
        start += population.size
    return found


def _edge_columns(
    members: list[tuple[Projection, int]], group: EdgeGroup, kinds: Array, rows: dict[int, dict[str, str]]
) -> dict[str, Array]:
    """The columns that the edges need beyond their types."""

    def joined(values: list[Any], default: float) -> Array:
        parts = [np.full(len(p), default) if v is None else v for (p, _), v in zip(members, values, strict=True)]
        return np.concatenate(parts)

    found: dict[str, Array] = {}
    weights = [None if p.weight is None else p.weight * group.scales[p.id] for p, _ in members]
    weights = [np.full(len(p), group.scales[p.id]) if w is None and group.scales[p.id] != 1 else w
               for (p, _), w in zip(members, weights, strict=True)]  # fmt: skip
    for name, values, default in (
        ("syn_weight", weights, 1.0), ("delay", [p.delay for p, _ in members], group.delay),
    ):  # fmt: skip
        if all(v is None for v in values):
            continue
        column = joined(values, default)
        said = _said(rows, name, kinds)
        if said is None and group.columns is not None and name not in group.columns and np.all(column == default):
            continue  # NeuroML states what SONATA leaves to defaults
        if said is not None and np.array_equal(said, column):
            continue
        copies = np.rint(column / said) if name == "syn_weight" and said is not None and np.all(said) else None
        if copies is not None and np.all(copies >= 1) and np.array_equal(copies * said, column):
            found["nsyns"] = copies.astype(np.uint32)
        else:
            found[name] = column
    for name, key, default in (
        ("neuroml_pre_segment", "pre_segment", 0), ("neuroml_pre_fraction", "pre_fraction", 0.5),
        ("neuroml_post_segment", "post_segment", 0), ("neuroml_post_fraction", "post_fraction", 0.5),
    ):  # fmt: skip
        column = np.concatenate([getattr(p, key) for p, _ in members])
        if np.any(column != default):
            found[name] = column
    return found


def _said(rows: dict[int, dict[str, str]], name: str, kinds: Array) -> Array | None:
    """What the types say of each edge; None if one does not."""
    ids, inverse = np.unique(kinds, return_inverse=True)
    values = []
    for id in ids:
        try:
            values.append(float(rows.get(int(id), {}).get(name, "")))
        except ValueError:
            return None
    return np.array(values)[inverse.reshape(-1)] if values else None


def _index(group: Any, nodes: Array, size: int) -> None:
    """Ranges of edges of each node: rows of ``range_to_edge_id`` from .. to for each row of ``node_id_to_range``."""
    count = len(nodes)
    breaks = np.flatnonzero(np.diff(nodes)) + 1 if count else np.zeros(0, dtype=np.int64)
    starts = np.concatenate([[0], breaks]).astype(np.int64) if count else np.zeros(0, dtype=np.int64)
    ends = np.concatenate([breaks, [count]]).astype(np.int64) if count else np.zeros(0, dtype=np.int64)
    runs = nodes[starts]
    order = np.argsort(runs, kind="stable")
    _put(group, "range_to_edge_id", np.stack([starts[order], ends[order]], axis=1).astype(np.uint64))
    first = np.searchsorted(runs[order], np.arange(size), side="left")
    last = np.searchsorted(runs[order], np.arange(size), side="right")
    ranges = np.stack([first, last], axis=1).astype(np.uint64)
    group["node_id_to_range"] = _put(group, "node_id_to_ranges", ranges)  # the specification's name, and libsonata's


# spikes -------------------------------------------------------------------------------------------------------------


def write_spikes(path: Path, name: str, ids: list[int], times: list[float]) -> None:
    """Spikes of one population, in ms, by time."""
    order = np.argsort(np.array(times), kind="stable")
    with _new(path) as file:
        group = file.create_group(f"spikes/{name}")
        kind = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1")
        group.attrs.create("sorting", 2, dtype=kind)
        dataset = _put(group, "timestamps", np.array(times)[order])
        dataset.attrs["units"] = "ms"
        _put(group, "node_ids", np.array(ids, dtype=np.uint64)[order])

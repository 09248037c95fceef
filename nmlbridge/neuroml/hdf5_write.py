"""Writing NeuroML2 HDF5: the layout that libNeuroML writes and reads, with nothing lost.

Groups, attributes and columns are named as libNeuroML (NeuroMLHdf5Writer, 0.6) has them. What these cannot hold is kept
where libNeuroML does not look: the XML of each network without its rows as an attribute, further columns behind the
standard ones, further networks in a group of their own. Numbers are float32 where that is exact and float64 where it is
not.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..element import Element
from ..files import atomic_path
from ..graph import InputList, Network, Population, Projection
from ..pile import blocks, picked, release
from ..report import Report
from .xml_write import header_of, skeleton, top_level

SKELETON = "nmlbridge_skeleton"
"""attribute of a network's group: its XML without rows"""
SINGLE = "nmlbridge_origin"
"""attribute of a group whose one row stands as an element of its own in the skeleton"""
ROWS = "nmlbridge_rows"
DESTINATION = "nmlbridge_destination"
NAMES = "nmlbridge_names"
"""what begins the attributes that list the components of a mixed projection, one a line"""
MORE = "nmlbridge"
"""group of further networks"""
_CHUNK = 1 << 13  # rows
_LEVEL = 1
_LIBNEUROML_LOOKS_FOR = re.compile(r"(population|projection|inputList|input_list|column)_")


@contextmanager
def _replacing(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file that becomes ``path`` when all is written."""
    # the file format of HDF5 1.8: attributes may be longer than 64 kB
    with atomic_path(path) as temporary, h5py.File(temporary, "x", libver=("v108", "v108")) as file:
        yield file


def write_network(network: Network, path: Path, report: Report | None = None) -> None:
    """Write a network, the others of its document and all components as one NeuroML2 HDF5 file."""
    report = report if report is not None else Report()
    header = header_of(network, path.name.split(".")[0])
    with _replacing(path) as file:
        _attributes(file, {"TITLE": header["id"], "CLASS": "GROUP", "PYTABLES_FORMAT_VERSION": "2.1", "VERSION": "1.0"})
        root = file.create_group("neuroml", track_order=True)
        _attributes(root, {"id": header["id"], "notes": _notes(network.components),
                           "neuroml_top_level": top_level(network, header)})  # fmt: skip
        _attributes(root, {"GENERATED_BY": "nmlbridge"})
        if network.id is not None:
            _network(root.create_group("network", track_order=True), network, report)
        for number, other in enumerate(network.others):
            _network(file.create_group(f"{MORE}/network_{number:04d}", track_order=True), other, report)


def _attributes(owner: Any, values: dict[str, str | int]) -> None:
    for name, value in values.items():
        if isinstance(value, int):
            owner.attrs[name] = value
            continue
        data = value.encode()
        # PyTables takes text of fixed length that is marked as UTF-8 for a str
        kind = h5py.string_dtype("utf-8", max(len(data), 1))
        owner.attrs.create(name, np.array(data, dtype=kind), dtype=kind)


def _notes(elements: list[Element]) -> str:
    return next((element.text for element in elements if element.tag == "notes"), "")


def _network(group: Any, network: Network, report: Report) -> None:
    _attributes(group, {"id": str(network.id), "notes": _notes(network.extra), SKELETON: skeleton(network)})
    if network.temperature is not None:
        _attributes(group, {"temperature": f"{float(f'{network.temperature - 273.15:.12g}')!r} degC"})
    taken: set[str] = set()
    for population in network.populations.values():
        _population(group.create_group(_name("population", population.id, taken)), population, report)
    for projection in network.projections:
        _projection(group.create_group(_name("projection", projection.id, taken)), projection, network, report)
    for inputs in network.inputs:
        _inputs(group.create_group(_name("inputList", inputs.id, taken)), inputs, network, report)


def _name(kind: str, id: str, taken: set[str]) -> str:
    """A group's name. libNeuroML takes a group for a population if its name has "population_" anywhere."""
    text = _LIBNEUROML_LOOKS_FOR.sub(r"\1-", re.sub(r"[^\w+-]", "_", id))
    name = f"{kind}_{text}"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _table(group: Any, id: str, title: str, columns: dict[str, Any], report: Report) -> None:
    """The dataset of a group (n, columns); the standard columns come first."""
    count = len(next(iter(columns.values())))
    if not count:
        return
    exact = all(_is_float32(column) for column in columns.values())
    rows = min(count, _CHUNK)
    kind = np.dtype(np.float32 if exact else np.float64)
    # chunks of one column each: half the size and twice the speed of chunks of rows
    dataset = group.create_dataset(re.sub(r"[^\w+-]", "_", id), (count, len(columns)), kind, chunks=(rows, 1),
                                   compression="gzip", compression_opts=_LEVEL)  # fmt: skip
    places = [(start, number) for start in range(0, count, rows) for number in range(len(columns))]
    values = list(columns.values())

    def packed(place: tuple[int, int]) -> bytes:
        start, number = place
        chunk = np.zeros(rows, dtype=kind)  # the last one is filled up
        part = values[number][start : start + rows]
        chunk[: len(part)] = part
        return zlib.compress(chunk.tobytes(), _LEVEL)

    # HDF5's own filter uses one processor only
    with ThreadPoolExecutor(min(len(places), os.cpu_count() or 1)) as pool:
        for place, data in zip(places, pool.map(packed, places), strict=True):
            dataset.id.write_direct_chunk(place, data)
            release(values[place[1]])
            report.tell(f"write {id}", min(place[0] + rows, count), count)
    _attributes(dataset, {"CLASS": "CARRAY", "VERSION": "1.1", "TITLE": title})
    _attributes(dataset, {f"column_{number}": column for number, column in enumerate(columns)})


def _every(true: Callable[[Any], Any], column: Any) -> bool:
    """Whether something holds for all rows of a column, which is looked at block by block."""
    for block in blocks(len(column)):
        if not np.all(true(column[block])):
            return False
        release(column)
    return True


def _is_float32(column: Any) -> bool:
    with np.errstate(over="ignore"):
        return _every(lambda rows: rows.astype(np.float32).astype(rows.dtype) == rows, column)


def _plain(ids: Any) -> bool:
    """Whether ids are what a reader counts anyway."""
    return all(np.array_equal(ids[block], np.arange(block.start, block.stop)) for block in blocks(len(ids)))


def _population(group: Any, population: Population, report: Report) -> None:
    attributes: dict[str, str | int] = {"id": population.id, "component": population.component, "size": population.size}
    attributes |= {f"property:{tag}": value for tag, value in population.properties.items()}
    columns = {}
    if population.positions is not None:
        columns = dict(zip("xyz", population.positions.T, strict=True))
    if not _plain(population.instance_ids):
        columns["id"] = population.instance_ids
    if columns:
        attributes["type"] = population.type or "populationList"
    elif population.type is not None:
        attributes["type"] = population.type
    _attributes(group, attributes)
    if columns:
        _table(group, population.id, f"Locations of cells in {population.id}", columns, report)


def _projection(group: Any, projection: Projection, network: Network, report: Report) -> None:
    pre, post = network.populations[projection.presynaptic], network.populations[projection.postsynaptic]
    kind = {"chemical": "projection"}.get(projection.kind, f"{projection.kind}Projection")
    attributes: dict[str, str | int] = {
        "id": projection.id, "type": kind, "presynapticPopulation": pre.id, "postsynapticPopulation": post.id,
    }  # fmt: skip
    if projection.origin in ("synapticConnection", "synapticConnectionWD", "explicitConnection"):
        attributes[SINGLE] = projection.origin
    for name, key in (("rows", ROWS), ("destination", DESTINATION)):
        if name in projection.attributes:
            attributes[key] = projection.attributes[name]
    columns: dict[str, Any] = {"id": projection.ids} if kind != "projection" else {}
    columns |= {
        "pre_cell_id": picked(pre.instance_ids, projection.pre),
        "post_cell_id": picked(post.instance_ids, projection.post),
    }
    placed = {
        "pre_segment_id": projection.pre_segment,
        "post_segment_id": projection.post_segment,
        "pre_fraction_along": projection.pre_fraction,
        "post_fraction_along": projection.post_fraction,
    }
    usual = {"pre_segment_id": 0, "post_segment_id": 0, "pre_fraction_along": 0.5, "post_fraction_along": 0.5}
    if kind != "projection" or not all(_every(lambda rows, at=at: rows == at, placed[name])  # type: ignore[misc]
                                       for name, at in usual.items()):  # fmt: skip
        columns |= placed
    if projection.weight is not None:
        columns["weight"] = projection.weight
    if projection.delay is not None:
        columns["delay"] = projection.delay
    if kind == "projection" and not _plain(projection.ids):
        columns["id"] = projection.ids
    for name, values, index in (
        ("synapse", projection.synapses, projection.synapse),
        ("preComponent", projection.pre_components, projection.pre_component),
        ("postComponent", projection.post_components, projection.post_component),
    ):
        if values:
            attributes[name] = values[0]
        if len(values) > 1:
            attributes[f"{NAMES}_{name}"] = "\n".join(values)
            columns[f"{name}_index"] = index
    _attributes(group, attributes)
    _table(group, projection.id, f"Connections of cells in {projection.id}", columns, report)


def _inputs(group: Any, inputs: InputList, network: Network, report: Report) -> None:
    population = network.populations[inputs.population]
    attributes: dict[str, str | int] = {"id": inputs.id, "component": inputs.component, "population": population.id}
    if inputs.origin == "explicitInput":
        attributes[SINGLE] = inputs.origin
    if "destination" in inputs.attributes:
        attributes[DESTINATION] = inputs.attributes["destination"]
    columns: dict[str, Any] = {
        "id": inputs.ids, "target_cell_id": population.instance_ids[inputs.target],
        "segment_id": inputs.segment, "fraction_along": inputs.fraction,
    }  # fmt: skip
    if inputs.weight is not None:
        columns["weight"] = inputs.weight
    _attributes(group, attributes)
    _table(group, inputs.id, f"Locations of inputs in {inputs.id}", columns, report)

"""Writing NeuroML XML: components as they were read, networks from their columns.

Numbers are written as the shortest text that reads back as the same double. What was kept as source text (notes,
annotations) goes out byte for byte.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from ..element import Element
from ..files import atomic_path
from ..graph import InputList, Network, Population, Projection
from ..graph.projection import KINDS
from .rows_write import row_texts
from .schema import document_order

NAMESPACE = "http://www.neuroml.org/schema/neuroml2"
SCHEMA = "https://raw.github.com/NeuroML/NeuroML2/development/Schemas/NeuroML2/NeuroML_v2.3.1.xsd"
_FIRST = ("notes", "property", "annotation")
_BEFORE = ("space", "region", "extracellularProperties")
_KELVIN = 273.15


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text stream whose content becomes ``path`` when all is written."""
    with atomic_path(path) as temporary, temporary.open("x", encoding="utf-8", newline="\n") as stream:
        yield stream


_CORE = ("Cells.xml", "Networks.xml", "Simulation.xml", "PyNN.xml")


def write_network(network: Network, path: Path, lems: bool = False) -> None:
    """Write a network with all its components as one NeuroML file, or with its simulation as one LEMS file."""
    if lems:
        return _write_lems(network, path)
    header = header_of(network, path.name.split(".")[0])
    before, after = _in_order(network.components)
    with replacing(path) as stream:
        stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        stream.write(f"<neuroml{_attributes(header)}>\n")
        for element in before:
            write_element(stream, element, 1)
        for each in (network, *network.others):
            if each.id is not None:
                _write_network(stream, each)
        for element in after:
            write_element(stream, element, 1)
        stream.write("</neuroml>\n")


def _write_lems(network: Network, path: Path) -> None:
    with replacing(path) as stream:
        stream.write('<?xml version="1.0" encoding="UTF-8"?>\n<Lems>\n')
        for element in network.simulation:
            if element.tag == "Target":
                write_element(stream, element, 1)
        for name in _CORE:
            stream.write(f'    <Include file="{name}"/>\n')
        before, after = _in_order([e for e in network.components if e.tag not in ("notes", "annotation")])
        for element in before:
            write_element(stream, element, 1)
        for each in (network, *network.others):
            if each.id is not None:
                _write_network(stream, each)
        for element in (*after, *(e for e in network.simulation if e.tag != "Target")):
            write_element(stream, element, 1)
        stream.write("</Lems>\n")


def _in_order(components: list[Element]) -> tuple[list[Element], list[Element]]:
    """The components in the order of the schema: before the networks, and after them."""
    rank = document_order()
    last = len(rank)
    ordered = sorted(components, key=lambda element: rank.get(element.tag, last))
    before = sum(rank.get(element.tag, last) < rank.get("network", last) for element in ordered)
    return ordered[:before], ordered[before:]


def write_root(root: Element, networks: Iterable[Network], path: Path) -> None:
    """Write one file as it was read, with its includes; ``networks`` stand for its network elements, in order."""
    left = iter(networks)
    with replacing(path) as stream:
        stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        stream.write(f"<{root.tag}{_attributes(root.attributes)}>\n")
        for element in root.children:
            if element.tag == "network" or element.get("type") in ("network", "networkWithTemperature"):
                _write_network(stream, next(left))
            else:
                write_element(stream, element, 1)
        stream.write(f"</{root.tag}>\n")


def _attributes(values: dict[str, str]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items())


def write_element(stream: IO[str], element: Element, depth: int) -> None:
    """Write an Element and all below it."""
    pad = "    " * depth
    if element.raw is not None:
        stream.write(f"{pad}{element.raw}\n")
        return
    head = f"{pad}<{element.tag}{_attributes(element.attributes)}"
    text = element.text.strip()
    if not element.children:
        stream.write(f"{head}>{escape(element.text)}</{element.tag}>\n" if text else f"{head}/>\n")
        return
    stream.write(f"{head}>{escape(element.text) if text else ''}\n")
    for child in element.children:
        write_element(stream, child, depth + 1)
    stream.write(f"{pad}</{element.tag}>\n")


def skeleton(network: Network) -> str:
    """The network's XML without the rows of its populations, projections and input lists."""
    stream = io.StringIO()
    _write_network(stream, network, rows=False)
    return stream.getvalue()


def top_level(network: Network, header: dict[str, str]) -> str:
    """The XML of all that is not a network."""
    stream = io.StringIO()
    stream.write(f"<neuroml{_attributes(header)}>\n")
    before, after = _in_order(network.components)
    for element in (*before, *after):
        write_element(stream, element, 1)
    stream.write("</neuroml>\n")
    return stream.getvalue()


def header_of(network: Network, name: str) -> dict[str, str]:
    """The attributes of the root element of a document that holds this network."""
    header = {"xmlns": NAMESPACE, "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
              "xsi:schemaLocation": f"{NAMESPACE} {SCHEMA}"}  # fmt: skip
    header |= {k: v for k, v in network.header.items() if k.startswith("xmlns:") or k == "id"}
    header.setdefault("id", network.id or name)
    return header


def _write_network(stream: IO[str], network: Network, rows: bool = True) -> None:
    attributes: dict[str, str] = {"id": str(network.id)}
    if network.temperature is not None:
        attributes["type"] = network.type or "networkWithTemperature"
        attributes["temperature"] = f"{float(f'{network.temperature - _KELVIN:.12g}')!r} degC"
    elif network.type is not None:
        attributes["type"] = network.type
    stream.write(f"    <network{_attributes(attributes | network.attributes)}>\n")
    placed = {*_FIRST, *_BEFORE}
    for tags in (_FIRST, _BEFORE):
        for tag in tags:
            for element in network.extra:
                if element.tag == tag:
                    write_element(stream, element, 2)
    for population in network.populations.values():
        _write_population(stream, population, rows)
    for element in network.extra:
        if element.tag not in placed:
            write_element(stream, element, 2)
    single = [p for p in network.projections if p.origin in _SINGLE]
    others = [p for p in network.projections if p.origin not in _SINGLE]
    others.sort(key=lambda p: KINDS.index(p.kind))  # the order of the schema
    for projection in (*single, *others):
        _write_projection(stream, projection, network, rows)
    explicit = [i for i in network.inputs if i.origin == "explicitInput"]
    for inputs in (*explicit, *(i for i in network.inputs if i.origin != "explicitInput")):
        _write_inputs(stream, inputs, network, rows)
    stream.write("    </network>\n")


def _write_population(stream: IO[str], population: Population, rows: bool) -> None:
    attributes = {"id": population.id, "component": population.component}
    listed = population.positions is not None or not np.array_equal(population.instance_ids, np.arange(population.size))
    if listed:
        attributes["type"] = population.type or "populationList"
    elif population.type is not None and population.type != "populationList":
        attributes["type"] = population.type
    attributes["size"] = str(population.size)
    head = f"        <population{_attributes(attributes | population.attributes)}"
    inner = bool(population.properties or population.extra or (listed and population.size))
    if not inner:
        stream.write(head + "/>\n")
        return
    stream.write(head + ">\n")
    first = [e for e in population.extra if e.tag in ("notes", "annotation")]
    for element in first:
        if element.tag == "notes":
            write_element(stream, element, 3)
    for tag, value in population.properties.items():
        stream.write(f"            <property{_attributes({'tag': tag, 'value': value})}/>\n")
    for element in first:
        if element.tag != "notes":
            write_element(stream, element, 3)
    for element in population.extra:
        if element not in first:
            write_element(stream, element, 3)
    if listed and rows:
        ids = population.instance_ids
        if population.positions is None:
            _rows(stream, '            <instance id="%d"/>\n', (ids,))
        else:
            x, y, z = population.positions.T
            row = (
                '            <instance id="%d">\n                <location x="%r" y="%r" z="%r"/>\n'
                "            </instance>\n"
            )
            _rows(stream, row, (ids, x, y, z))
    stream.write("        </population>\n")


def _rows(stream: IO[str], row: str, columns: tuple[Any, ...]) -> None:
    """One line per row, past the stream's encoder."""
    stream.flush()
    for block in row_texts(row, columns):
        stream.buffer.write(block)  # type: ignore[attr-defined]


_SINGLE = ("synapticConnection", "synapticConnectionWD", "explicitConnection")


def _percent(text: str) -> str:
    return quoteattr(text).replace("%", "%%")


def _reference(population: Population, up: str = "../") -> str:
    """A pattern for references to cells of a population."""
    id = escape(population.id).replace("%", "%%")
    if population.positions is not None or population.type == "populationList":
        return f'"{up}{id}/%d/{escape(population.component).replace("%", "%%")}"'
    return f'"{up}{id}[%d]"'


def _write_projection(stream: IO[str], projection: Projection, network: Network, rows: bool) -> None:
    pre, post = network.populations[projection.presynaptic], network.populations[projection.postsynaptic]
    pre_ids, post_ids = pre.instance_ids[projection.pre], post.instance_ids[projection.post]
    attributes = dict(projection.attributes)
    layout = attributes.pop("rows", "")
    destination = attributes.pop("destination", "")
    if projection.origin in _SINGLE:
        values = {"from": _reference(pre, "")[1:-1] % pre_ids[0], "to": _reference(post, "")[1:-1] % post_ids[0]}
        if projection.synapses:
            values["synapse"] = projection.synapses[0]
        if projection.weight is not None:
            values["weight"] = repr(float(projection.weight[0]))
        if projection.delay is not None:
            values["delay"] = f"{float(projection.delay[0])!r} ms"
        if destination:
            values["destination"] = destination
        stream.write(f"        <{projection.origin}{_attributes(values | attributes)}/>\n")
        return
    head = {"id": projection.id, "presynapticPopulation": pre.id, "postsynapticPopulation": post.id}
    tag = {"chemical": "projection", "electrical": "electricalProjection"}.get(projection.kind, "continuousProjection")
    if projection.kind == "chemical":
        head["synapse"] = projection.synapses[0] if projection.synapses else ""
    opening = f"        <{tag}{_attributes(head | attributes)}"
    if not (len(projection) and rows) and not projection.extra:
        stream.write(opening + "/>\n")
        return
    stream.write(opening + ">\n")
    for element in projection.extra:
        write_element(stream, element, 3)
    if len(projection) and rows:
        row, columns = _row_of(projection, pre, post, pre_ids, post_ids, layout)
        if destination:
            row += f" destination={_percent(destination)}"
        _rows(stream, f"            <{row}/>\n", columns)
    stream.write(f"        </{tag}>\n")


def _row_of(
    projection: Projection, pre: Population, post: Population, pre_ids: Any, post_ids: Any, layout: str
) -> tuple[str, tuple[Any, ...]]:
    """The pattern of one row and its columns."""
    weighted = projection.weight is not None or projection.delay is not None
    columns: list[Any] = [projection.ids, pre_ids, post_ids]
    if projection.kind == "chemical":
        tag = "connectionWD" if weighted else "connection"
        row = f'{tag} id="%d" preCellId={_reference(pre)} postCellId={_reference(post)}'
        suffix = "Id"
    else:
        stem = "electricalConnection" if projection.kind == "electrical" else "continuousConnection"
        plain = layout == stem or (not layout and pre.positions is None and post.positions is None)
        tag = stem if plain and not weighted else f"{stem}Instance{'W' if weighted else ''}"
        if tag == stem:
            row = f'{tag} id="%d" preCell="%d" postCell="%d"'
        else:
            row = f'{tag} id="%d" preCell={_reference(pre)} postCell={_reference(post)}'
        suffix = ""
    for side in ("pre", "post"):
        segment, fraction = getattr(projection, f"{side}_segment"), getattr(projection, f"{side}_fraction")
        if segment.any():
            row += f' {side}Segment{suffix}="%d"'
            columns.append(segment)
        if not np.all(fraction == 0.5):
            row += f' {side}FractionAlong="%r"'
            columns.append(fraction)
    texts = {
        "electrical": (("synapse", projection.synapses, projection.synapse),),
        "continuous": (("preComponent", projection.pre_components, projection.pre_component),
                       ("postComponent", projection.post_components, projection.post_component)),
    }.get(projection.kind, ())  # fmt: skip
    for name, values, index in texts:
        if len(values) == 1:
            row += f" {name}={_percent(values[0])}"
        else:
            row += f" {name}=%s"
            columns.append(([quoteattr(value) for value in values], index))
    if weighted:
        row += ' weight="%r"'
        columns.append(projection.weight if projection.weight is not None else np.ones(len(projection)))
    if projection.kind == "chemical" and weighted:
        row += ' delay="%r ms"'
        columns.append(projection.delay if projection.delay is not None else np.zeros(len(projection)))
    return row, tuple(columns)


def _write_inputs(stream: IO[str], inputs: InputList, network: Network, rows: bool) -> None:
    population = network.populations[inputs.population]
    targets = population.instance_ids[inputs.target]
    attributes = dict(inputs.attributes)
    if inputs.origin == "explicitInput":
        values = {"target": _reference(population, "")[1:-1] % targets[0], "input": inputs.component}
        stream.write(f"        <explicitInput{_attributes(values | attributes)}/>\n")
        return
    destination = attributes.pop("destination", "synapses")
    head = {"id": inputs.id, "population": population.id, "component": inputs.component}
    stream.write(f"        <inputList{_attributes(head | attributes)}>\n")
    for element in inputs.extra:
        write_element(stream, element, 3)
    row = f'{"inputW" if inputs.weight is not None else "input"} id="%d" target={_reference(population)}'
    row += f" destination={_percent(destination)}"
    columns: list[Any] = [inputs.ids, targets]
    if inputs.segment.any():
        row += ' segmentId="%d"'
        columns.append(inputs.segment)
    if not np.all(inputs.fraction == 0.5):
        row += ' fractionAlong="%r"'
        columns.append(inputs.fraction)
    if inputs.weight is not None:
        row += ' weight="%r"'
        columns.append(inputs.weight)
    if len(inputs) and rows:
        _rows(stream, f"            <{row}/>\n", tuple(columns))
    stream.write("        </inputList>\n")

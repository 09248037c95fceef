"""The NeuroML formats as the registry knows them: a file to a Network, a Network to a file."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from ..element import Element
from ..errors import LemsError
from ..graph import Network
from ..lems.library import same
from ..registry import format_to_read
from ..report import Report
from .document import Document, SourceFile, read_document

_INSIDE = re.compile(r"^<annotation\b[^>]*?(?:/>|>(.*)</annotation\s*>)$", re.S)
_LEMS_ONLY = frozenset({"Simulation", "Target", "Lems"})


def as_network(document: Document, report: Report | None = None) -> Network:
    """The hub's view of a document: its first network (the others beside it) with all components; a Network without id
    and populations if it holds components only. What runs a model (Simulation, Target) is kept apart."""
    components, simulation = [], []
    for element in document.elements():
        if element.tag in _LEMS_ONLY or element.get("type") == "Simulation":
            simulation.append(element)
        elif not any(element.get("id") == n.id and element.line == n.line for n in document.networks):
            components.append(element)
    _distinct(components)
    networks = document.networks or [Network(None)]
    first = networks[0]
    first.components = _one_header(components, document)
    first.others = networks[1:]
    first.simulation = simulation
    for file in document.files:
        first.header |= {k: v for k, v in file.root.attributes.items() if k.startswith("xmlns:")}
    name = document.main.root.get("id")
    if name:
        first.header["id"] = name
    return first


def _distinct(components: list[Element]) -> None:
    seen: dict[str, Element] = {}
    for element in components:
        id = element.get("id")
        if id is None or seen.setdefault(id, element) is element:
            continue
        before = seen[id]
        if not same(before, element):
            raise LemsError(
                f"the id '{id}' is used twice: by <{before.tag}> at {before.file}:{before.line} and by this "
                f"<{element.tag}>; rename one", file=element.file or None, line=element.line or None, component=id,
            )  # fmt: skip


def _one_header(components: list[Element], document: Document) -> list[Element]:
    """A document has one <notes> and one <annotation>: those of included files are added to the main file's."""
    result = [element for element in components if element.tag not in ("notes", "annotation")]
    main = {id(element) for element in document.main.root.children}
    for tag in ("annotation", "notes"):
        found = [element for element in components if element.tag == tag]
        found.sort(key=lambda element: id(element) not in main)
        if len(found) == 1:
            result.insert(0, found[0])
        elif tag == "notes" and found:
            text = "\n\n".join(
                element.text.strip() if id(element) in main else f"{Path(element.file).name}: {element.text.strip()}"
                for element in found
            )
            result.insert(0, Element("notes", text=text, file=found[0].file, line=found[0].line))
        elif found:
            children = [child for element in found for child in element.children]
            raw = "".join(_INSIDE.sub(r"\1", element.raw) for element in found if element.raw is not None)
            result.insert(0, Element("annotation", children=children, file=found[0].file, line=found[0].line,
                                     raw=f"<annotation>{raw}</annotation>"))  # fmt: skip
    return result


def read_xml(path: str | Path, report: Report | None = None) -> Network:
    """Read a NeuroML or LEMS file with all it includes as one Network."""
    return as_network(read_document(path, report), report)


def write_xml(network: Network, path: str | Path, report: Report | None = None) -> None:
    """Write a network and its components as one NeuroML file."""
    from .xml_write import write_network

    write_network(network, Path(path))


def write_lems(network: Network, path: str | Path, report: Report | None = None) -> None:
    """Write a network, its components and its simulation as one LEMS file."""
    from .xml_write import write_network

    write_network(network, Path(path), lems=True)


def as_document(network: Network, path: str | Path) -> Document:
    """A Document of a network that was read from another format, so that it can be run; ``path`` is what to call it."""
    root = Element("Lems", children=[*network.components, *network.simulation], file=str(path))
    networks = [each for each in (network, *network.others) if each.id is not None]
    target = next((e.get("component") for e in network.simulation if e.tag == "Target"), None)
    return Document(Path(path), [SourceFile(Path(path), root, "lems", networks=networks)], networks, target)


def read_any(path: str | Path, report: Report | None = None, allow: Collection[str] = ()) -> Document:
    """A Document of a file of any format that the registry knows; NeuroML and LEMS as they stand, others converted.

    ``allow`` names the code that may come with a model, as in ``registry.read``.
    """
    record = format_to_read(path)
    if record.name in ("lems", "neuroml", "neuroml-hdf5"):
        return read_document(path, report)
    return as_document(record.read(path, report, allow), path)


def write_document(document: Document, path: str | Path) -> None:
    """Write a document's main file as it was read: includes stay includes."""
    from .xml_write import write_root

    write_root(document.main.root, document.main.networks, Path(path))


def read_hdf5(path: str | Path, report: Report | None = None) -> Network:
    """Read a NeuroML2 HDF5 file with all it includes as one Network."""
    return as_network(read_document(path, report), report)


def write_hdf5(network: Network, path: str | Path, report: Report | None = None) -> None:
    """Write a network and its components as one NeuroML2 HDF5 file."""
    from .hdf5_write import write_network

    write_network(network, Path(path), report)

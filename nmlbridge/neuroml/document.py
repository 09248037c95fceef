"""Document: one or more files as read, includes resolved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..element import Element
from ..errors import DocumentError
from ..graph import Network
from ..lems import Library, load_core
from ..report import Report
from .includes import find_include, include_of
from .networks import build_network
from .xml_read import Rows, read_tree

ROOTS = {"Lems": "lems", "LEMS": "lems", "neuroml": "neuroml"}
_FIRST = "morphml.org"  # in the namespaces of NeuroML 1, MorphML, ChannelML and NetworkML
MAX_INCLUDES = 200
HDF5_SUFFIXES = (".h5", ".hdf5")


@dataclass
class SourceFile:
    """One file of a document: ``kind`` is lems, neuroml or hdf5."""

    path: Path
    root: Element
    kind: str
    rows: dict[int, Rows] = field(default_factory=dict)
    networks: list[Network] = field(default_factory=list)


@dataclass
class Document:
    """The files of a model, included ones before those that include them; networks as columns."""

    path: Path
    files: list[SourceFile]
    networks: list[Network] = field(default_factory=list)
    target: str | None = None
    nested: dict[str, Network] = field(default_factory=dict)
    """networks inside another component (a tissue around it), by the id of that component"""

    @property
    def main(self) -> SourceFile:
        """The file that was asked for."""
        return self.files[-1]

    def elements(self) -> Iterator[Element]:
        """All top-level elements of all files, without the includes."""
        for file in self.files:
            for child in file.root.children:
                if child.tag not in ("Include", "include"):
                    yield child

    def library(self, report: Report | None = None) -> Library:
        """The core types with those of the document added."""
        return load_core().extended(self.elements(), report)

    def __repr__(self) -> str:
        names = ", ".join(file.path.name for file in self.files[-4:])
        return f"<Document {self.path.name}: {len(self.files)} files ({names}), {len(self.networks)} networks>"


def read_document(path: str | Path, report: Report | None = None) -> Document:
    """Read a NeuroML or LEMS file with all it includes; networks become columns.

    An include of a core file (Cells.xml ...) means the bundled core types. Raises DocumentError or NetworkError, with
    file, line and component, for what is wrong; nothing of a file that is neither NeuroML nor LEMS is ever shown.
    """
    main = Path(path)
    if not main.is_file():
        raise DocumentError("there is no such file", file=str(path))
    files: dict[Path, SourceFile] = {}
    _load(main.resolve(), str(path), None, main.resolve().parent, files, [], report)
    return assemble(main, list(files.values()), report)


def assemble(main: Path, files: list[SourceFile], report: Report | None = None) -> Document:
    """A Document from its parsed files: the networks' rows become columns."""
    document = Document(main, files)
    for element in document.main.root.children:
        if element.tag == "Target":
            document.target = element.get("component")
    if report is None:
        report = Report()
    units = document.library(report).units
    for file in document.files:
        for element in file.root.children:
            if is_network(element):
                file.networks.append(build_network(element, file.rows, units, report))
            elif element.tag != "ComponentType" and element.get("id"):
                for child in filter(is_network, element.children):
                    document.nested[element.attributes["id"]] = build_network(child, file.rows, units, report)
        file.rows = {}
        document.networks += file.networks
    components = [e for e in document.elements() if not is_network(e) and e.tag not in ("Target", "Simulation")]
    for network in document.networks:
        network.components = components
    return document


def is_network(element: Element) -> bool:
    """Whether a top-level element is a network, in either spelling."""
    return element.tag == "network" or (
        element.tag == "Component" and (element.get("type") or "") in ("network", "networkWithTemperature")
    )


def _load(
    path: Path, shown: str, by: Element | None, home: Path, files: dict[Path, SourceFile], open_: list[Path],
    report: Report | None,
) -> None:  # fmt: skip
    """Read a file after all that it includes, each once."""
    if path in files or path in open_:
        return
    if len(open_) > MAX_INCLUDES:
        place = {} if by is None else {"file": by.file, "line": by.line}
        raise DocumentError(f"more than {MAX_INCLUDES} files include each other in a row", **place)  # type: ignore[arg-type]
    open_.append(path)
    if path.suffix.lower() in HDF5_SUFFIXES:
        from .hdf5_read import read_hdf5

        source = read_hdf5(path, shown, report)
    else:
        tree = read_tree(path, shown)
        if tree.root.tag not in ROOTS:
            message = "the root element is neither <neuroml> nor <Lems>; this is no NeuroML or LEMS document"
            if by is not None:
                raise _no_model(include_of(by) or "", by)
            raise DocumentError(message, file=shown, line=tree.root.line)
        if any(_FIRST in (tree.root.get(name) or "") for name in tree.root.attributes if name.startswith("xmlns")):
            raise DocumentError("this is NeuroML 1, which does not go together with NeuroML 2; neuroConstruct writes "
                                "it as NeuroML 2", file=shown, line=tree.root.line)  # fmt: skip
        source = SourceFile(path, tree.root, ROOTS[tree.root.tag], tree.rows)
    for element in source.root.children:
        name = include_of(element)
        if name is None:
            continue
        found = find_include(element, name, [path.parent, home])
        try:
            _load(found, _shown(found, home), element, home, files, open_, report)
        except DocumentError as error:
            if error.file == _shown(found, home) and not _looks_like_xml(found):
                raise _no_model(name, element) from None
            raise
    open_.pop()
    files[path] = source


def _no_model(name: str, by: Element) -> DocumentError:
    return DocumentError(f"the include '{name[:80]}' is neither NeuroML nor LEMS", file=by.file, line=by.line)


def _shown(path: Path, home: Path) -> str:
    """A file's name in errors: relative to the main file where that is short."""
    try:
        return str(path.relative_to(home))
    except ValueError:
        return str(path)


def _looks_like_xml(path: Path) -> bool:
    if path.suffix.lower() in HDF5_SUFFIXES:
        return True
    with path.open("rb") as stream:
        head = stream.read(4096)
    return b"<neuroml" in head or b"<Lems" in head or b"<LEMS" in head

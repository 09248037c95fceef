"""Adding an annotation to a NeuroML file, with every other byte left as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from ...errors import DocumentError
from ..about import About, component_rdf

_FIRST = ("notes", "property")  # what the schema wants in front of an annotation
_WHOLE = frozenset({"network", "cell", "cell2CaPools"})


@dataclass
class _Target:
    """An element that may get an annotation, and where in the bytes."""

    id: str
    at: int = -1
    annotated: bool = False


@dataclass
class _Finder:
    """Looks for networks and cells at the top of a document. Positions are found out at the event that follows."""

    parser: expat.XMLParserType
    found: list[_Target] = field(default_factory=list)
    depth: int = 0
    current: _Target | None = None
    pending: bool = False

    def event(self) -> None:
        if self.pending and self.current is not None:
            self.current.at = self.parser.CurrentByteIndex
        self.pending = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.event()
        name = tag.rpartition(":")[2]
        if self.depth == 1 and name in _WHOLE and attributes.get("id"):
            self.current = _Target(attributes["id"])
            self.found.append(self.current)
            self.pending = True
        elif self.depth == 2 and name == "annotation" and self.current is not None:
            self.current.annotated = True
        self.depth += 1

    def end(self, tag: str) -> None:
        self.event()
        self.depth -= 1
        if self.depth == 2 and tag.rpartition(":")[2] in _FIRST:
            self.pending = self.current is not None
        elif self.depth == 1:
            self.current = None

    def other(self, *_: object) -> None:
        self.event()


def annotated(data: bytes, about: About, shown: str) -> tuple[bytes, list[str], list[str]]:
    """The bytes of a NeuroML document with ``about`` on each of its networks and cells.

    With it the ids that got it, and those that have an annotation of their own and keep it. Raises DocumentError for
    what is not well-formed.
    """
    parser = expat.ParserCreate()
    finder = _Finder(parser)
    parser.StartElementHandler, parser.EndElementHandler = finder.start, finder.end
    parser.CharacterDataHandler = parser.CommentHandler = finder.other
    parser.ProcessingInstructionHandler = finder.other
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as fault:
        raise DocumentError(f"this is not well-formed XML: {fault}", file=shown, line=fault.lineno) from None
    new, kept = [], []
    for target in sorted(finder.found, key=lambda t: -t.at):
        if target.annotated or target.at < 2 or data[target.at - 2 : target.at] == b"/>":
            kept.append(target.id)
            continue
        said = component_rdf(about, target.id)
        if said is None:
            continue
        text = f"\n<annotation>\n{said}</annotation>"
        data = data[: target.at] + text.encode() + data[target.at :]
        new.append(target.id)
    return data, sorted(new), sorted(kept)


def _refuse(*_: object) -> None:
    raise DocumentError("entities are not allowed", file="")


def annotate_file(path: Path, about: About) -> tuple[list[str], list[str]]:
    """``annotated`` on a file that is ours to change."""
    data, new, kept = annotated(path.read_bytes(), about, path.name)
    if new:
        path.write_bytes(data)
    return new, kept

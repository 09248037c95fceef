"""The manifest of a COMBINE archive: which file is of which format.

Source: COMBINE Archive specification version 1 (doi:10.1186/s12859-014-0369-z). Formats with an identifiers.org URI
are named by it, others by their media type; LEMS has no URI of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import quoteattr

from ...errors import DocumentError
from ...neuroml.xml_read import read_text

NAME = "manifest.xml"
METADATA = "metadata.rdf"
NAMESPACE = "http://identifiers.org/combine.specifications/omex-manifest"
_COMBINE = "http://identifiers.org/combine.specifications/"
_MEDIA = "http://purl.org/NET/mediatypes/"
OMEX, NEUROML, SEDML = _COMBINE + "omex", _COMBINE + "neuroml", _COMBINE + "sed-ml"
LEMS, RDF = _MEDIA + "application/lems+xml", _COMBINE + "omex-metadata"
_COMBINE_KINDS = {".nml": NEUROML, ".nml.h5": NEUROML, ".sedml": SEDML, ".sbml": _COMBINE + "sbml", ".rdf": RDF}
_MEDIA_KINDS = {
    "application/x-hdf": ".h5 .hdf5 .nwb", "text/x-nmodl": ".mod", "text/x-hoc": ".hoc",
    "application/x-python-code": ".py", "application/json": ".json .npjson", "text/csv": ".csv",
    "text/markdown": ".md", "text/plain": ".txt .dat .spikes .bib", "text/html": ".html", "image/png": ".png",
    "image/svg+xml": ".svg", "image/jpeg": ".jpg .jpeg", "application/pdf": ".pdf",
    "application/x-ipynb+json": ".ipynb", "application/x-yaml": ".yml .yaml .omt .mep .cff",
    "application/xml": ".xml", "application/zip": ".zip",
}  # fmt: skip
_BY_END = _COMBINE_KINDS | {end: _MEDIA + kind for kind, ends in _MEDIA_KINDS.items() for end in ends.split()}
_OTHER = _MEDIA + "application/octet-stream"
_PLAIN_NAMES = ("LICENSE", "CITATION", "README", "AUTHORS")


@dataclass(frozen=True)
class Entry:
    """One file of an archive; "." is the archive itself. ``line`` is where the manifest has it."""

    location: str
    format: str
    master: bool = False
    line: int | None = None

    @property
    def name(self) -> str:
        """The location without a leading "./"."""
        return self.location.removeprefix("./")

    def is_a(self, format: str) -> bool:
        """Whether the format is this one, in the spellings that are met: with a colon, https, a version behind."""
        return _plain(self.format) == _plain(format)


def _plain(format: str) -> str:
    text = format.replace("https://", "http://").replace("combine.specifications:", "combine.specifications/")
    head, _, tail = text.partition("combine.specifications/")
    return head + "combine.specifications/" + tail.split(".")[0] if tail else text


def format_of(name: str, head: bytes) -> str:
    """The format of a file by its name, and for XML by its first bytes."""
    lower = name.lower()
    if lower.endswith((".xml", ".nml")):
        if b"<Lems" in head or b"<LEMS" in head:
            return LEMS
        if b"<neuroml" in head or b":neuroml" in head:
            return NEUROML
        if b"<sbml" in head:
            return _COMBINE + "sbml"
    fitting = [end for end in _BY_END if lower.endswith(end)]
    if fitting:
        return _BY_END[max(fitting, key=len)]
    return _MEDIA + "text/plain" if PurePosixPath(name).name.startswith(_PLAIN_NAMES) else _OTHER


def manifest_text(entries: Iterable[Entry]) -> bytes:
    """The manifest of an archive with these entries; "." is put in front."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<omexManifest xmlns="{NAMESPACE}">']
    for entry in (Entry(".", OMEX), *entries):
        master = ' master="true"' if entry.master else ""
        location = entry.location if entry.location == "." else f"./{entry.location}"
        lines.append(f"  <content location={quoteattr(location)} format={quoteattr(entry.format)}{master}/>")
    return "\n".join([*lines, "</omexManifest>", ""]).encode()


def read_manifest(data: bytes, shown: str) -> list[Entry]:
    """The entries of a manifest. Raises DocumentError for XML that is none, and for entries without a location."""
    root = read_text(data, Path(NAME), shown).root
    if root.tag != "omexManifest":
        raise DocumentError(f"the root element is <{root.tag}>, expected <omexManifest>", file=shown, line=root.line)
    entries = []
    for element in root.children:
        if element.tag != "content":
            continue
        location = element.get("location")
        if not location:
            raise DocumentError("a content without a location", file=shown, line=element.line)
        master = (element.get("master") or "false").strip().lower() in ("true", "1")
        entries.append(Entry(location, element.get("format") or "", master, element.line))
    return entries

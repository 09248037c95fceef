"""Who made a model, what it is, where it comes from: what people say, and what its notes and annotations say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from itertools import zip_longest
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ..element import Element
from ..errors import DocumentError, UsageError
from ..neuroml import Document
from ..neuroml.xml_read import read_text

_DOI = re.compile(r"10\.\d{4,9}/\S+")
_ORCID = re.compile(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")
_STRUCTURE = ("Bag", "Seq", "Alt", "li", "Description", "RDF", "annotation")
_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "bqmodel": "http://biomodels.net/model-qualifiers/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
}


@dataclass(frozen=True)
class Author:
    """A person: ``family`` and ``given`` names and an ORCID, if there is one."""

    family: str
    given: str = ""
    orcid: str | None = None

    @property
    def name(self) -> str:
        """As one reads it."""
        return f"{self.given} {self.family}".strip()


@dataclass(frozen=True)
class About:
    """What is said of a model; ``links`` are (URL, what is there) found in its annotations."""

    title: str
    description: str = ""
    authors: tuple[Author, ...] = ()
    doi: str | None = None
    source: str | None = None
    license: str | None = None
    keywords: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def author(text: str, orcid: str | None = None) -> Author:
    """An author from "Given Family" or "Family, Given". Raises UsageError for an ORCID that is none."""
    family, comma, given = text.partition(",")
    if not comma:
        given, _, family = text.strip().rpartition(" ")
    if not family.strip():
        raise UsageError("an author needs a name, like 'Ada Lovelace'")
    if orcid is not None:
        found = _ORCID.fullmatch(orcid.strip())
        if found is None:
            raise UsageError(f"'{orcid}' is no ORCID; expected 0000-0002-1825-0097")
        orcid = found.group(1)
    return Author(family.strip(), given.strip(), orcid)


def doi(text: str) -> str:
    """A DOI without the resolver in front. Raises UsageError for what is none."""
    found = _DOI.search(text)
    if found is None:
        raise UsageError(f"'{text}' is no DOI; expected 10.1523/JNEUROSCI.16-20-06402.1996")
    return found.group(0)


def url(text: str) -> str:
    """A web address. Raises UsageError for what is none."""
    if not re.fullmatch(r"https?://[^\s<>\"]+", text):
        raise UsageError(f"'{text}' is no web address; expected https://...")
    return text


def about_from(given: Mapping[str, Any], title: str) -> About:
    """What the options --title, --description, --author, --orcid, --doi, --source and --license say."""
    authors, orcids = given.get("author") or [], given.get("orcid") or []
    if len(orcids) > len(authors):
        raise UsageError("there are more ORCIDs than authors; give --author before each --orcid")
    people = [author(name, orcid) for name, orcid in zip_longest(authors, orcids)]
    return About(
        given.get("title") or title,
        given.get("description") or "",
        tuple(people),
        doi(given["doi"]) if given.get("doi") else None,
        url(given["source"]) if given.get("source") else None,
        given.get("license"),
    )


def described(document: Document, fallback: str = "") -> str:
    """The first notes in a document: its networks', then its main file's, then any; one paragraph."""
    places = [e for network in document.networks for e in network.extra]
    places += list(document.main.root.children)
    places += [child for file in reversed(document.files) for e in file.root.children for child in e.children]
    for element in places:
        if element.tag == "notes":
            text = " ".join(unescape(re.sub(r"<[^>]*>", " ", element.raw or element.text)).split())
            if text:
                return text
    return fallback


def links(document: Document) -> tuple[tuple[str, str], ...]:
    """The resources that the annotations of a document name, with the relation; each once."""
    found: dict[str, str] = {}
    for file in document.files:
        for element in file.root.iter():
            if element.tag == "annotation":
                found |= {k: v for k, v in _resources(element) if k not in found}
    for network in document.networks:
        for element in network.extra:
            if element.tag == "annotation":
                found |= {k: v for k, v in _resources(element) if k not in found}
    return tuple(found.items())


def _resources(annotation: Element) -> Iterator[tuple[str, str]]:
    """(URI, relation) in an annotation's RDF, from its source text; nothing for one that is not well-formed."""
    parsed = annotation
    if annotation.raw is not None and not annotation.children:
        try:
            parsed = read_text(annotation.raw.encode(), Path("annotation"), "annotation").root
        except DocumentError:
            return
    yield from _inside(parsed, "")


def _inside(element: Element, relation: str) -> Iterator[tuple[str, str]]:
    inner = (
        element.tag if element.tag not in ("Bag", "Seq", "Alt", "li", "Description", "RDF", "annotation") else relation
    )
    resource = next((v for k, v in element.attributes.items() if k.endswith("resource")), None)
    if resource and re.match(r"(https?://|urn:)", resource):
        yield resource, inner
    for child in element.children:
        yield from _inside(child, inner)


def archive_rdf(about: About, subject: str) -> str:
    """What is said of an archive, as RDF without bags, in the way of BioSimulations."""
    parts = [_literal("dc:title", about.title)]
    if about.description:
        parts.append(_literal("dcterms:abstract", about.description))
    for person in about.authors:
        same = f'<foaf:accountName rdf:resource="https://orcid.org/{person.orcid}"/>' if person.orcid else ""
        name = f"<foaf:name>{escape(_printable(person.name))}</foaf:name>"
        parts.append(f'<dc:creator rdf:parseType="Resource">{name}{same}</dc:creator>')
    if about.doi:
        parts.append(_resource("bqmodel:isDescribedBy", f"https://doi.org/{about.doi}"))
    if about.source:
        parts.append(_resource("dc:source", about.source))
    if about.license:
        parts.append(_resource("dcterms:license", f"https://spdx.org/licenses/{about.license}"))
    return _rdf(subject, parts, ("rdf", "dc", "dcterms", "bqmodel", "foaf"))


def component_rdf(about: About, id: str) -> str | None:
    """What is said of a component inside a NeuroML document: MIRIAM's bags of resources. None if there is nothing.

    LEMS resolves annotations like components, and its core types know resources below COMBINE's qualifiers only: a
    title or a creator in here would make the document unreadable to jNeuroML.
    """
    said = [("isDescribedBy", f"https://doi.org/{about.doi}")] if about.doi else []
    if about.source:
        said.append(("isDerivedFrom", about.source))
    parts = [f"<bqmodel:{tag}><rdf:Bag><rdf:li rdf:resource={quoteattr(what)}/></rdf:Bag></bqmodel:{tag}>"
             for tag, what in said]  # fmt: skip
    return _rdf(id, parts, ("rdf", "bqmodel")) if parts else None


def _rdf(subject: str, parts: Sequence[str], prefixes: Sequence[str]) -> str:
    spaces = " ".join(f'xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in prefixes)
    body = "\n".join(f"    {part}" for part in parts)
    head = f"<rdf:RDF {spaces}>\n  <rdf:Description rdf:about={quoteattr(subject)}>"
    return f"{head}\n{body}\n  </rdf:Description>\n</rdf:RDF>\n"


def _literal(tag: str, text: str) -> str:
    return f"<{tag}>{escape(_printable(text))}</{tag}>"


def _printable(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)


def _resource(tag: str, uri: str) -> str:
    return f"<{tag} rdf:resource={quoteattr(uri)}/>"

"""The XML schema of NeuroML2, as installed with libNeuroML."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

from ..errors import UsageError

_STREAM_ABOVE = 64 << 20  # bytes; larger files are checked without a tree, which costs the line numbers
_NAMESPACE = re.compile(r"\{[^{}]*\}")
_CHOICES = re.compile(r"Expected is (?:one of )?\( (.*) \)\.?$")
_MOST_CHOICES = 12


def schema_path() -> Path:
    """The newest NeuroML schema of the installed libNeuroML, found without importing it.

    Raises UsageError if it is not installed.
    """
    spec = importlib.util.find_spec("neuroml")
    folders = [Path(folder) / "nml" for folder in (spec.submodule_search_locations or ())] if spec else []
    found = [path for folder in folders for path in folder.glob("NeuroML_v2.*.xsd")]
    if not found:
        raise UsageError("the NeuroML schema is missing; install it with: pip install libNeuroML")
    return max(found, key=_version)


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.stem)]


@cache
def _schema() -> Any:
    return etree.XMLSchema(etree.parse(str(schema_path()), _parser()))


@cache
def document_order() -> dict[str, int]:
    """The places of the elements of a NeuroML document: tag to rank. Empty if the schema is not installed."""
    try:
        root = etree.parse(str(schema_path()), _parser()).getroot()
    except UsageError:
        return {}
    space = {"xs": "http://www.w3.org/2001/XMLSchema"}
    groups = {g.get("name"): g for g in root.findall("xs:group", space)}
    tags = []
    for name in ("Standalone", "NeuroMLDocument"):
        kind = next(t for t in root.findall("xs:complexType", space) if t.get("name") == name)
        for item in kind.iterfind("xs:complexContent/xs:extension/xs:sequence/*", space):
            if item.get("ref"):
                tags += [e.get("name") for e in groups[item.get("ref")].iter(f"{{{space['xs']}}}element")]
            elif item.get("name"):
                tags.append(item.get("name"))
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def _parser(**more: Any) -> Any:
    return etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False, **more)


def schema_problems(path: Path) -> Iterator[tuple[int | None, str]]:
    """What the schema says against a NeuroML file: (line, message). The file must be well-formed XML."""
    schema = _schema()
    if path.stat().st_size > _STREAM_ABOVE:
        parser = _parser(schema=schema, target=_Nothing())
        try:
            etree.parse(str(path), parser)
        except etree.XMLSyntaxError:
            pass  # what it says is in the log
        log = parser.error_log
    else:
        try:
            schema.validate(etree.parse(str(path), _parser()))
        except etree.XMLSyntaxError as error:  # libxml2 is stricter than expat about an XML declaration
            yield error.lineno, _readable(str(error.msg))
            return
        log = schema.error_log
    for entry in log:
        yield entry.line or None, _readable(entry.message)


def _readable(message: str) -> str:
    """The message of libxml2 without namespaces, and with no more choices than can be read."""
    text = _NAMESPACE.sub("", message).strip()
    match = _CHOICES.search(text)
    if match is not None:
        choices = match.group(1).split(", ")
        if len(choices) > _MOST_CHOICES:
            text = f"{text[: match.start(1)]}{', '.join(choices[:_MOST_CHOICES])} ... )"
    return text


class _Nothing:
    """A parser target that keeps nothing."""

    def start(self, tag: str, attributes: Any) -> None: ...

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...

    def close(self) -> None: ...

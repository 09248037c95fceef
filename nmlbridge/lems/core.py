"""The NeuroML 2 core ComponentTypes, read from the jar inside the installed pyneuroml distribution.

pyneuroml is found, never imported. What is read is kept in the user's cache directory, so that a warm start does not
open the jar: $NMLBRIDGE_CACHE, else $XDG_CACHE_HOME/nmlbridge, else ~/.cache/nmlbridge.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ..element import Element
from ..errors import DocumentError, UsageError
from .library import Library

FILES = (
    "NeuroMLCoreDimensions.xml",
    "NeuroMLCoreCompTypes.xml",
    "Channels.xml",
    "Inputs.xml",
    "Synapses.xml",
    "Cells.xml",
    "Networks.xml",
    "PyNN.xml",
    "Simulation.xml",
)
_FOLDER = "NeuroML2CoreTypes/"
_FORMAT = 1  # of the cache; to be raised whenever _pack changes
_INSTALL = "pip install pyneuroml"


def load_core() -> Library:
    """The core library of NeuroML 2.

    Raises UsageError with the line that installs pyneuroml if that is missing.
    """
    jar = core_jar()
    status = jar.stat()
    key = f"{_FORMAT}:{jar}:{status.st_size}:{status.st_mtime_ns}"
    cache = _cache_directory() / f"core-{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"
    packed = _load(cache)
    if packed is None:
        packed = [[name, [_pack(e) for e in root.children if e.tag in _KEPT]] for name, root in read_core(jar).items()]
        _store(cache, packed)
    return Library(_unpack(raw, name) for name, elements in packed for raw in elements)


def core_jar() -> Path:
    """The jar of the installed pyneuroml; UsageError if there is none."""
    try:
        spec = find_spec("pyneuroml")
    except (ImportError, ValueError):
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    jars = [jar for folder in folders for jar in sorted(Path(folder, "lib").glob("*.jar"))]
    if not jars:
        raise UsageError(f"the NeuroML core types come with pyneuroml, which is not installed here: {_INSTALL}")
    return jars[-1]


def read_core(jar: Path) -> dict[str, Element]:
    """The root elements of the core files inside the jar, by file name; UsageError if the jar lacks them."""
    try:
        with zipfile.ZipFile(jar) as archive:
            return {name: parse_xml(archive.read(_FOLDER + name), name) for name in FILES}
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise UsageError(f"{jar} does not hold the NeuroML core types ({error}); reinstall: {_INSTALL}") from None


def parse_xml(data: bytes, file: str) -> Element:
    """Read XML that we trust, with line numbers; tags lose their prefix. DocumentError if it is not well formed."""
    parser = expat.ParserCreate()
    top = Element("")
    stack = [top]

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag.rsplit(":", 1)[-1], attributes, file=file, line=parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def entity(*_: object) -> None:
        raise DocumentError("entity declarations are not allowed", file=file, line=parser.CurrentLineNumber)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DocumentError(f"not well-formed XML: {error}", file=file, line=error.lineno) from None
    return top.children[0]


_KEPT = ("Dimension", "Unit", "Constant", "ComponentType")


def _pack(element: Element) -> list[Any]:
    attributes = {k: v for k, v in element.attributes.items() if k != "description"}
    return [element.tag, attributes, element.line, [_pack(child) for child in element.children]]


def _unpack(packed: list[Any], file: str) -> Element:
    tag, attributes, line, children = packed
    return Element(tag, attributes, [_unpack(child, file) for child in children], file=file, line=line)


def _cache_directory() -> Path:
    if own := os.environ.get("NMLBRIDGE_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base, "nmlbridge")
    return Path(os.path.expanduser("~"), ".cache", "nmlbridge")


def _load(cache: Path) -> list[Any] | None:
    """The content of the cache file, or None if it is missing or damaged."""
    try:
        digest, _, body = cache.read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        packed = json.loads(body)
    except (OSError, ValueError):
        return None
    return packed if isinstance(packed, list) else None


def _store(cache: Path, packed: list[Any]) -> None:
    """Write the cache file in one step; a cache that cannot be written is done without."""
    body = json.dumps(packed, separators=(",", ":")).encode()
    temporary = ""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=cache.parent, prefix=".core-")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        os.replace(temporary, cache)
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

"""Is an archive right? Its ZIP, its manifest, what the manifest names, the models in it."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...element import Element
from ...errors import DocumentError, NmlBridgeError, placed
from ...neuroml import read_document
from ...neuroml.xml_read import read_text
from .extract import Limits, extract_archive, members, open_archive, read_member
from .manifest import LEMS, METADATA, NAME, NAMESPACE, NEUROML, OMEX, SEDML, Entry, read_manifest

_FORMAT = re.compile(r"https?://(identifiers\.org|purl\.org/NET/mediatypes)/")
_MOST = 64 << 20  # bytes of an XML file that is looked into


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong ("error") or unwise ("warning") with an archive, at a file in it."""

    severity: str
    code: str
    message: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.severity}: {placed(self.message, self.file, self.line)} [{self.code}]"


def check_archive(path: str | Path, limits: Limits | None = None) -> list[Finding]:
    """Everything that is wrong with an archive; empty if it is valid. Nothing of it is run.

    The rules are those of the specification and of BioSimulators: a manifest that names each file once with a format,
    "." first of all, one master; SED-ML whose models are there; NeuroML and LEMS that can be read with their includes.
    Raises DocumentError if there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    try:
        with open_archive(path) as archive:
            infos = {info.orig_filename: info for info in members(archive, str(path), limits)}
            if NAME not in infos:
                return [Finding("error", "no-manifest", f"there is no {NAME} at the top of the archive")]
            data = read_member(archive, infos[NAME], _MOST, str(path))
            entries = read_manifest(data, NAME)
            found = [*_namespace(data), *_entries(entries, set(infos))]
            found += [
                f
                for entry in entries
                if entry.is_a(SEDML) and entry.name in infos
                for f in _sedml(archive, infos, entry, path)
            ]
        return [*found, *_models(path, entries, limits)]
    except DocumentError as fault:
        return [Finding("error", "damaged", fault.message, fault.file, fault.line)]


def _namespace(data: bytes) -> Iterator[Finding]:
    root = read_text(data, Path(NAME), NAME).root
    spaces = [v.rstrip("/") for k, v in root.attributes.items() if k.startswith("xmlns")]
    spaces = [s.replace("https://", "http://").replace("specifications:", "specifications/") for s in spaces]
    if NAMESPACE not in spaces:
        yield Finding("error", "namespace", f"the manifest's namespace is not {NAMESPACE}", NAME, root.line)


def _entries(entries: list[Entry], there: set[str]) -> Iterator[Finding]:
    counts = Counter(entry.name for entry in entries)
    for name, count in counts.items():
        if count > 1:
            yield Finding("error", "duplicate", f"'{name}' is listed {count} times", NAME)
    own = [entry for entry in entries if entry.name == "."]
    if not own:
        yield Finding(
            "error", "no-root", f'the archive itself is not listed: <content location="." format="{OMEX}"/>', NAME
        )
    for entry in entries:
        if not entry.format:
            yield Finding("error", "no-format", f"'{entry.name}' has no format", NAME, entry.line)
        elif not _FORMAT.match(entry.format):
            said = f"the format of '{entry.name}' is neither a COMBINE nor a media type URI: {entry.format[:80]}"
            yield Finding("warning", "format", said, NAME, entry.line)
        if entry.name == ".":
            if not entry.is_a(OMEX):
                yield Finding("error", "root-format", f"the format of '.' is not {OMEX}", NAME, entry.line)
        elif entry.name.startswith("/") or ".." in PurePosixPath(entry.name).parts or ":" in entry.name.split("/")[0]:
            said = f"'{entry.location[:80]}' is no path inside the archive"
            yield Finding("error", "location", said, NAME, entry.line)
        elif entry.name not in there and entry.name != NAME:
            yield Finding("error", "missing", f"'{entry.name}' is listed, but not in the archive", NAME, entry.line)
    if NAME in counts:
        yield Finding("warning", "lists-itself", "the manifest lists itself, which BioSimulators warns of", NAME)
    for name in sorted(there - set(counts) - {NAME}):
        yield Finding("error", "not-listed", f"'{name}' is in the archive, but the manifest does not list it", NAME)
    masters = [entry.name for entry in entries if entry.master]
    if len(masters) != 1:
        said = "no file is the master" if not masters else f"{len(masters)} files are masters: {', '.join(masters[:3])}"
        yield Finding("warning", "master", said, NAME)
    if METADATA not in counts and not any("metadata" in entry.format for entry in entries):
        yield Finding("warning", "no-metadata", "there is no metadata, which BioSimulations asks for", NAME)


def _sedml(archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo], entry: Entry, path: Path) -> Iterator[Finding]:
    try:
        root = read_text(read_member(archive, infos[entry.name], _MOST, str(path)), Path(entry.name), entry.name).root
    except DocumentError as fault:
        yield Finding("error", "sedml", fault.message, entry.name, fault.line)
        return
    if root.tag != "sedML":
        yield Finding("error", "sedml", f"the root element is <{root.tag}>, not <sedML>", entry.name, root.line)
        return
    for model in (e for e in root.iter() if e.tag == "model"):
        source = model.get("source") or ""
        if source.startswith(("#", "urn:", "http://", "https://")):
            continue
        target = _joined(PurePosixPath(entry.name).parent, source)
        if target is None or target not in infos:
            yield Finding(
                "error", "sedml-model", f"the model '{source[:80]}' is not in the archive", entry.name, model.line
            )
    yield from _references(root, entry.name)


def _references(root: Element, name: str) -> Iterator[Finding]:
    ids = {e.get("id") for e in root.iter()}
    for element in root.iter():
        for key, value in element.attributes.items():
            if key.endswith("Reference") and value not in ids:
                yield Finding("error", "sedml-reference", f"{key}='{value[:60]}' names nothing", name, element.line)


def _joined(folder: PurePosixPath, name: str) -> str | None:
    parts: list[str] = []
    for part in (*folder.parts, *name.split("/")):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in (".", ""):
            parts.append(part)
    return "/".join(parts)


def _models(path: Path, entries: list[Entry], limits: Limits | None) -> Iterator[Finding]:
    """NeuroML and LEMS files that cannot be read where they lie."""
    models = [entry for entry in entries if entry.is_a(NEUROML) or entry.is_a(LEMS)]
    if not models:
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "archive")
        extract_archive(path, folder, limits)
        for entry in models:
            file = folder.joinpath(*entry.name.split("/"))
            if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
                continue
            try:
                document = read_document(file)
            except NmlBridgeError as fault:
                line, message = getattr(fault, "line", None), getattr(fault, "message", str(fault))
                yield Finding("error", "model", message, entry.name, line)
                continue
            outside = [f.path for f in document.files if not f.path.resolve().is_relative_to(folder.resolve())]
            if outside:
                yield Finding("error", "model", f"includes '{outside[0].name}' from outside of the archive", entry.name)

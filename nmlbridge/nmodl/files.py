"""Mod files that come with a model: found, read with what they include, told by the mechanism that they define."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..element import Ids
from ..errors import DocumentError, UnsupportedError

FOLDERS = ("mod", "mods", "mechanisms", "modfiles", ".")
"""where models keep their mod files, beside the file that uses them"""
_COMMENTS = re.compile(r"(?is)\bCOMMENT\b.*?\bENDCOMMENT\b|:[^\n]*|\?[^\n]*")
_NAME = re.compile(r"\b(?:SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)")
_INCLUDE = re.compile(r'^[ \t]*INCLUDE[ \t]+"([^"\n]+)"[^\n]*$', re.M)
_PARAMETER = re.compile(r"\bPARAMETER\s*\{([^}]*)\}")
_GLOBALS = re.compile(r"\bGLOBAL\s+([\w\s,]+?)(?=\n\s*[A-Z]|\})")


def mods_beside(file: Path, folders: Iterable[str] | None = None) -> dict[str, str]:
    """The mod files of the first of ``folders`` (FOLDERS), beside ``file``, that has any: texts by file name, with what
    they include.

    Raises DocumentError for a file that cannot be read, UnsupportedError for an INCLUDE of a file elsewhere.
    """
    for name in FOLDERS if folders is None else folders:
        found = sorted((file.parent / name).glob("*.mod"))
        if found:
            return texts_of(found)
    return {}


def texts_of(files: Iterable[Path]) -> dict[str, str]:
    """The texts of mod files, with what they include, by file names that may stand in generated code: letters, digits
    and _, no digit first. Others get such a name, which is theirs alone."""
    files = list(files)
    plain = {file.stem for file in files if file.stem.isidentifier() and file.stem.isascii()}
    ids = Ids(plain)
    return {f"{f.stem if f.stem in plain else ids.fresh(f.stem)}.mod": whole_text(f) for f in files}


def whole_text(path: Path) -> str:
    """The text of a mod file, with the files that it includes put in."""

    def put_in(match: re.Match[str]) -> str:
        file = path.parent / match[1]
        if "/" in match[1] or not file.is_file():
            raise UnsupportedError(f'{path}: INCLUDE "{match[1]}" is no file beside it')
        return text_of(file)

    return _INCLUDE.sub(put_in, text_of(path))


def mechanism_of(text: str) -> str | None:
    """The name of the mechanism that NMODL defines; None if it says none."""
    found = _NAME.search(_COMMENTS.sub(" ", text))
    return found[1] if found else None


def global_parameters(text: str) -> dict[str, float]:
    """The GLOBAL parameters of a mechanism that have a default, by name."""
    plain = _COMMENTS.sub(" ", text)
    names = {name for found in _GLOBALS.findall(plain) for name in re.split(r"[\s,]+", found) if name}
    values: dict[str, float] = {}
    for block in _PARAMETER.findall(plain):
        for name in names:
            value = re.search(rf"\b{name}\s*=\s*([-+.\deE]+)", block)
            if value:
                values[name] = float(value[1])
    return values


def with_globals(text: str, values: Mapping[str, float]) -> str:
    """NMODL with other defaults for some of its parameters."""
    for name, value in values.items():
        blocks = (block for block in _PARAMETER.finditer(text) if re.search(rf"\b{name}\s*=", block[1]))
        found = next(blocks, None)
        if found is None:
            raise UnsupportedError(f"the default of '{name}' is not found in {mechanism_of(text)}, so it cannot be set")
        start, end = found.span()
        block = re.sub(rf"(\b{name}\s*=\s*)[-+.\deE]+", rf"\g<1>{value!r}", text[start:end])
        text = text[:start] + block + text[end:]
    return text


def used(mods: Mapping[str, str], mechanisms: Iterable[str]) -> dict[str, str]:
    """Those of the mod files that define one of these mechanisms."""
    wanted = set(mechanisms)
    return {name: text for name, text in mods.items() if mechanism_of(text) in wanted}


def fingerprints(mods: Mapping[str, str]) -> dict[str, str]:
    """The SHA-256 of each text, by file name."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(mods.items())}


def text_of(path: Path) -> str:
    """The text of a mod file alone. Raises DocumentError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as fault:
        raise DocumentError(f"the file cannot be read: {fault.strerror}", file=str(path)) from None

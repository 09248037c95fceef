"""Mod files that come with a model: found, read with what they include, told by the mechanism that they define."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..element import Ids
from ..errors import DocumentError, UnsupportedError
from .header import COMMENTS, read_header, without_comments

FOLDERS = ("mod", "mods", "mechanisms", "modfiles", ".")
"""where models keep their mod files, beside the file that uses them"""
_NAME = re.compile(r"\b(?:SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)")
_INCLUDE = re.compile(r'^[ \t]*INCLUDE[ \t]+"([^"\n]+)"[^\n]*$', re.M)
_PARAMETER = re.compile(r"\bPARAMETER\s*\{([^}]*)\}")


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
    found = _NAME.search(without_comments(text))
    return found[1] if found else None


def _blanked(text: str) -> str:
    """NMODL without comments, in which all else has its place."""
    return COMMENTS.sub(lambda found: " " * len(found[0]), text)


def global_parameters(text: str) -> dict[str, float]:
    """The parameters that all instances of a mechanism share, by name, with their defaults."""
    header = read_header(text)
    return {} if header is None else {name: value for name, value in header.shared.items() if value is not None}


def with_globals(text: str, values: Mapping[str, float]) -> str:
    """NMODL with other defaults for some of its parameters."""
    for name, value in values.items():
        plain = _blanked(text)
        for block in _PARAMETER.finditer(plain):
            found = re.compile(rf"\b{name}\b(\s*=\s*[-+.\deE]+)?").search(plain, block.start(1), block.end(1))
            if found:
                break
        else:
            raise UnsupportedError(f"the default of '{name}' is not found in {mechanism_of(text)}, so it cannot be set")
        text = f"{text[: found.start()]}{name} = {value!r}{text[found.end() :]}"
    return text


def renamed(text: str, name: str) -> str:
    """NMODL whose mechanism is called ``name``. Raises UnsupportedError if C code in it may depend on the name."""
    found = _NAME.search(_blanked(text))
    if found is None or re.search(rf"(?s)\bVERBATIM\b.*_{found[1]}\b.*\bENDVERBATIM\b", text):
        raise UnsupportedError(f"{found[1] if found else 'what defines no mechanism'} cannot get another name")
    return f"{text[: found.start(1)]}{name}{text[found.end(1) :]}"


def same_code(one: str, other: str) -> bool:
    """Whether two mod files say the same but for comments, spaces and how the values of GLOBALs are spelt."""
    values = global_parameters(one)
    if global_parameters(other) != values:
        return False
    plain = (without_comments(with_globals(text, values)).split() for text in (one, other))
    return next(plain) == next(plain)


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

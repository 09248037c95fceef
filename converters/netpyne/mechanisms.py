"""Mod files beside a NetPyNE model: those of the mechanisms that its network uses, where the user allows it."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from ...errors import DocumentError, UnsupportedError
from ...graph import NativeCell, Network
from ...report import Report
from .document import beside

BUILT_IN = frozenset({
    "hh", "pas", "fastpas", "extracellular", "capacitance", "ExpSyn", "Exp2Syn", "AlphaSynapse", "IClamp", "SEClamp",
    "VClamp", "APCount", "NetStim", "IntFire1", "IntFire2", "IntFire4", "PatternStim", "VecStim",
})  # fmt: skip
"""what NEURON has, and VecStim, whose trains are played without a mod file"""
FOLDERS = ("mod", "mods", "mechanisms", ".")
_COMMENTS = re.compile(r"(?is)\bCOMMENT\b.*?\bENDCOMMENT\b|:[^\n]*|\?[^\n]*")
_NAME = re.compile(r"\b(?:SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)")
_INCLUDE = re.compile(r'^[ \t]*INCLUDE[ \t]+"([^"\n]+)"[^\n]*$', re.M)


def used(network: Network) -> set[str]:
    """The names of NEURON's mechanisms in a network."""
    found: set[str] = set()
    for native in network.native.values():
        if isinstance(native, NativeCell):
            found |= {name for section in native.sections for name in section.mechanisms}
            found |= {point.mechanism for point in native.points}
        elif native.kind != "port":
            found.add(native.mechanism)
    return found


def mods_of(
    folder: Path, named: str | None, network: Network, allow: Collection[str], report: Report
) -> dict[str, str]:  # fmt: skip
    """The texts of the mod files that the network needs, by file name: of the folder ``named`` by an index, else of the
    first of FOLDERS that is there.

    Without "mods" in ``allow`` none are taken, and ``report`` says which would be.
    """
    wanted = used(network) - BUILT_IN
    if not wanted:
        return {}
    if named is not None:
        places = [beside(folder / "index.npjson", named, "mod_folder")]
    else:
        places = [folder / name for name in FOLDERS]
    files: dict[str, Path] = {}
    for place in places:
        for path in sorted(place.glob("*.mod")) if place.is_dir() else ():
            name = _NAME.search(_COMMENTS.sub(" ", _text(path)))
            if name and name[1] in wanted:
                if name[1] in files:
                    raise DocumentError(f"mechanism '{name[1]}' is in '{files[name[1]].name}' too", file=str(path))
                files[name[1]] = path
        if files:
            break
    if files and "mods" not in allow:
        report.add("netpyne-mods", "loss", f"mod files of {', '.join(sorted(files))} are in '{place}'; they are taken "
                   "only if you say so: --allow-mods, or allow=('mods',)", file=str(network.file))  # fmt: skip
        return {}
    return {path.name: _included(path) for path in files.values()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as fault:
        raise DocumentError(f"the file cannot be read: {fault.strerror}", file=str(path)) from None


def _included(path: Path) -> str:
    """The text of a mod file, with the files that it includes put in."""

    def put_in(match: re.Match[str]) -> str:
        file = path.parent / match[1]
        if "/" in match[1] or not file.is_file():
            raise UnsupportedError(f'{path}: INCLUDE "{match[1]}" is no file beside it')
        return _text(file)

    return _INCLUDE.sub(put_in, _text(path))

"""What a mod file offers to those who use its mechanism: its kind, its parameters with units, whether events arrive.

Only the declarations are looked at, so files with C code (VERBATIM) are read too; ``read_nmodl`` reads the equations.
Source: https://nrn.readthedocs.io/en/latest/hoc/modelspec/programmatic/mechanisms/nmodl.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_VERBATIM = re.compile(r"(?s)\bVERBATIM\b.*?\bENDVERBATIM\b")
COMMENTS = re.compile(r"(?is)\bCOMMENT\b.*?\bENDCOMMENT\b|[:?][^\n]*")
_KIND = re.compile(r"\b(SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)")
_WORDS = frozenset({
    "SUFFIX", "POINT_PROCESS", "ARTIFICIAL_CELL", "USEION", "READ", "WRITE", "VALENCE", "REPRESENTS", "RANGE", "GLOBAL",
    "NONSPECIFIC_CURRENT", "ELECTRODE_CURRENT", "POINTER", "BBCOREPOINTER", "EXTERNAL", "THREADSAFE", "RANDOM",
})  # fmt: skip
_NEURONS = frozenset({"v", "t", "dt", "celsius", "diam", "area"})
"""names that are NEURON's own in every mod file, whatever block declares them"""
_DRIVEN = ("READ", "NONSPECIFIC_CURRENT", "ELECTRODE_CURRENT", "POINTER", "RANDOM")
_PARAMETER = re.compile(r"([A-Za-z_]\w*)\s*(?:\[\s*\w+\s*\])?\s*(?:=\s*[-+.\dEe]+)?\s*(?:\(([^()]*)\))?")
_DEFAULT = re.compile(r"([A-Za-z_]\w*)\s*(\[\s*\w+\s*\])?\s*(?:=\s*([-+.\dEe]+))?\s*(?:\([^()]*\))?")
_PROCEDURE = re.compile(r"\b(PROCEDURE|FUNCTION)\s+([A-Za-z_]\w*)\s*\(((?:[^()]|\([^()]*\))*)\)")
_UNITS = {
    "mV": "mV", "mv": "mV", "millivolt": "mV", "S/cm2": "S_per_cm2", "mho/cm2": "S_per_cm2", "siemens/cm2": "S_per_cm2",
    "ms": "ms", "mM": "mM", "milli/liter": "mM", "nA": "nA", "nanoamp": "nA", "uS": "uS", "umho": "uS", "nS": "nS",
    "micromho": "uS", "degC": "degC", "degc": "degC", "um": "um", "micron": "um",
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """``kind`` is SUFFIX, POINT_PROCESS or ARTIFICIAL_CELL. ``parameters`` are those that each instance has for itself,
    with their unit as nmlbridge spells it, "" if it has none or an unknown one. ``left_open`` are those among them that
    are ASSIGNED, but never by the mechanism itself (jNeuroML's ``e``). ``shared`` are those that all instances share,
    with their default: PARAMETERs that are GLOBAL, which they are unless RANGE says otherwise, and, with None, GLOBALs
    that are left open. ``pointers`` must be set from outside;
    ``receives``: events may arrive. ``procedures`` are its PROCEDUREs and FUNCTIONs, with the number of their
    arguments; None where C code may take any number. ``functions`` are the names of the FUNCTIONs among them."""

    name: str
    kind: str
    parameters: dict[str, str] = field(default_factory=dict)
    left_open: tuple[str, ...] = ()
    shared: dict[str, float | None] = field(default_factory=dict)
    pointers: tuple[str, ...] = ()
    receives: bool = False
    procedures: dict[str, int | None] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()


def without_comments(text: str) -> str:
    """NMODL with a space in place of each comment."""
    return COMMENTS.sub(" ", text)


def read_header(text: str) -> Header | None:
    """The header of a mod file's text; None if it defines no mechanism."""
    plain = without_comments(_VERBATIM.sub(" ", text))
    block = re.search(r"\bNEURON\s*\{([^}]*)\}", plain)
    kind = _KIND.search(block[1]) if block else None
    if block is None or kind is None:
        return None
    lists: dict[str, list[str]] = {}
    current = ""
    for word in re.findall(r"[A-Za-z_]\w*", block[1]):
        if word in _WORDS:
            current = word
        else:
            lists.setdefault(current, []).append(word)
    declared: dict[str, str] = {}
    for parameters in re.findall(r"\bPARAMETER\s*\{([^}]*)\}", plain):
        bare = re.sub(r"<[^<>]*>", " ", parameters)
        declared |= {name: _UNITS.get(unit.strip(), "") for name, unit in _PARAMETER.findall(bare)}
    ranges = dict.fromkeys(lists.get("RANGE", ()))
    assigned = {name: _UNITS.get(unit.strip(), "") for found in re.findall(r"\bASSIGNED\s*\{([^}]*)\}", plain)
                for name, unit in _PARAMETER.findall(found)}  # fmt: skip
    left_open: tuple[str, ...] = ()
    shared: dict[str, float | None] = {}
    driven = {name for word in _DRIVEN for name in lists.get(word, ())}
    if "VERBATIM" not in text:  # C may set anything
        body = re.sub(r"\b(?:PARAMETER|ASSIGNED|CONSTANT|UNITS|NEURON)\s*\{[^}]*\}", " ", plain)
        open_ = [
            name for name in (*ranges, *lists.get("GLOBAL", ())) if name in assigned and name not in declared
            and name not in driven and not re.search(rf"\b{name}\b\s*(?:\[[^\]]*\]\s*)?=(?!=)", body)
        ]  # fmt: skip
        left_open = tuple(name for name in open_ if name in ranges)
        shared = dict.fromkeys(name for name in open_ if name not in ranges)
    ions = {name for word in ("WRITE", "VALENCE") for name in lists.get(word, ())}
    for parameters in re.findall(r"\bPARAMETER\s*\{([^}]*)\}", plain):
        for name, array, value in _DEFAULT.findall(re.sub(r"<[^<>]*>", " ", parameters)):
            if not array and name not in ranges and name not in driven | ions | _NEURONS:
                shared[name] = float(value) if value else 0.0
    own = {n: declared.get(n) or assigned.get(n, "") for n in ranges if n in declared or n in left_open}
    receives = re.search(r"\bNET_RECEIVE\b", plain) is not None
    pointers = tuple(lists.get("POINTER", ()))
    return Header(kind[2], kind[1], own, left_open, shared, pointers, receives, *_procedures(text))


def _procedures(text: str) -> tuple[dict[str, int | None], frozenset[str]]:
    """The PROCEDUREs and FUNCTIONs of a mod file, with how many arguments they take; which of them are FUNCTIONs."""
    plain = without_comments(_VERBATIM.sub(" VERBATIM ", text))
    found = list(_PROCEDURE.finditer(plain))
    counts: dict[str, int | None] = {}
    for number, each in enumerate(found, 1):
        end = found[number].start() if number < len(found) else len(plain)
        bare = re.sub(r"\([^()]*\)", "", each[3])
        open_ = re.search(r"\bVERBATIM\b", plain[each.end() : end])
        counts[each[2]] = None if open_ else len(re.findall(r"[A-Za-z_]\w*", bare))
    return counts, frozenset(each[2] for each in found if each[1] == "FUNCTION")

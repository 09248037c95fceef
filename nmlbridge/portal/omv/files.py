"""Reading .omt and .mep files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ...errors import DocumentError, UsageError

SIMULATE = frozenset({
    *("jNeuroML", "jNeuroML_NEURON", "jNeuroML_EDEN", "jNeuroML_Brian2", "jNeuroML_Moose"),
    *("jNeuroML_NetPyNE", "jNeuroML_NetPyNE_NP2", "jNeuroML_NetPyNE_NP4"),
    *("jNeuroML_PyNN_NEURON", "pyNeuroML", "PyLEMS", "PyLEMS_NeuroML2", "nmlbridge"),
})  # fmt: skip
"""Engines whose target is a LEMS file to simulate."""
VALIDATE = frozenset({"jNeuroML_validate", "jNeuroML_validatev1"})
"""Engines whose targets are NeuroML files to validate."""
_MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class Observable:
    """One thing to look at: its kind, where it is found, what is expected and how close it must be."""

    kind: str
    spec: Any
    expected: Any


@dataclass(frozen=True)
class Test:
    """An .omt file with what its .mep file says. Without experiments it is a dry run: the engine must not fail."""

    path: Path
    engine: str
    targets: tuple[Path, ...]
    mep: Path | None = None
    experiments: dict[str, tuple[Observable, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def find(places: Sequence[Path]) -> list[Path]:
    """The .omt files in ``places``, files or folders; hidden ones too. Raises UsageError for what is not there."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(p for p in place.rglob("*.omt") if p.is_file())
        elif place.is_file():
            found.append(place)
        else:
            raise UsageError(f"'{place}' is neither a file nor a folder")
    return list(dict.fromkeys(found))


def read_test(path: Path) -> Test:
    """An .omt file and its .mep. Raises DocumentError if either is not what OMV expects."""
    spec = _mapping(path)
    for key in ("target", "engine"):
        if not isinstance(spec.get(key), str):
            raise DocumentError(f"an OMV test needs '{key}: text'", file=str(path))
    words = spec["target"].split(" ") if " " in spec["target"] else [spec["target"]]
    targets = tuple(target for word in words for target in _expand(path.parent, word.strip()))
    mep = path.parent / spec["mep"] if spec.get("mep") else None
    if mep is None:
        return Test(path, spec["engine"], targets)
    known = _mapping(mep).get("experiments")
    wanted = spec.get("experiments")
    if not isinstance(known, dict) or not isinstance(wanted, dict):
        which = mep if not isinstance(known, dict) else path
        raise DocumentError("expected 'experiments:' with one entry per experiment", file=str(which))
    experiments, warnings = {}, []
    for name, experiment in wanted.items():
        if name not in known:
            raise DocumentError(f"the experiment '{name}' is not in {mep.name}", file=str(path))
        observables = (experiment or {}).get("observables") or {}
        expected = (known[name] or {}).get("expected") or {}
        experiments[str(name)] = tuple(Observable(k, s, expected.get(k)) for k, s in observables.items())
        warnings += [f"{name}: {said}" for k, s in observables.items() for said in _odd(s)]
    return Test(path, spec["engine"], targets, mep, experiments, tuple(warnings))


def _odd(spec: Any) -> Iterator[str]:
    inner = spec.get("spiketimes file") if isinstance(spec, dict) else None
    if isinstance(inner, dict) and "id" in inner:
        yield "'id:' is not a key of 'spiketimes file' (it is 'ids:'); OMV takes id 0"


def _expand(folder: Path, word: str) -> list[Path]:
    if any(c in word for c in "*?["):
        return sorted(folder.glob(word))
    return [folder / word]


def _mapping(path: Path) -> dict[Any, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DocumentError("this is too large for an OMV file", file=str(path))
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise DocumentError(f"cannot be read: {fault.strerror}", file=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as fault:
        mark = getattr(fault, "problem_mark", None)
        said = getattr(fault, "problem", None) or type(fault).__name__
        raise DocumentError(f"this is not YAML: {said}", file=str(path), line=mark and mark.line + 1) from None
    if not isinstance(found, dict):
        raise DocumentError("expected YAML with keys such as 'target:' or 'experiments:'", file=str(path))
    return found

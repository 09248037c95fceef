"""The files that a model needs: the one that is asked for and everything that it includes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from ..neuroml import Document, read_document
from ..report import Report


@dataclass(frozen=True)
class Closure:
    """A model's files: ``names`` are their paths relative to ``root``, their deepest common folder; ``main`` is one."""

    document: Document
    root: Path
    main: str
    names: tuple[str, ...]


def closure(model: Path, report: Report | None = None) -> Closure:
    """The files that ``model`` is read from. Raises ModelError for a model that cannot be read, or whose files' names
    would not survive on another system: blanks, backslashes, control characters, names that differ in case alone."""
    document = read_document(model, report)
    paths = [file.path.resolve() for file in document.files]
    root = Path(os.path.commonpath([path.parent for path in paths]))
    names = sorted(path.relative_to(root).as_posix() for path in paths)
    for name in names:
        problem = name_problem(name)
        if problem:
            raise ModelError(f"the file name '{name}' {problem}; rename it", file=str(model))
    clash = case_clash(names)
    if clash:
        raise ModelError(f"'{clash[0]}' and '{clash[1]}' are one file where case does not count", file=str(model))
    return Closure(document, root, model.resolve().relative_to(root).as_posix(), tuple(names))


def name_problem(name: str) -> str | None:
    """What makes a relative path unfit to be shared, or None."""
    if "\\" in name:
        return "has a backslash, which Open Source Brain takes for a separator"
    if any(c.isspace() for c in name):
        return "has a blank, at which OMV splits paths"
    if not name.isprintable():
        return "has a control character"
    return None


def case_clash(names: list[str]) -> tuple[str, str] | None:
    """Two of the names that differ in case alone."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            return other, name
    return None

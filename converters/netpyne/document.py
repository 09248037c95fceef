"""Reading JSON files of NetPyNE, with one clear error for anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import DocumentError
from ...plain import load_json
from ...registry import REFUSED_PICKLE


def load(path: Path) -> dict[str, Any]:
    """The content of a JSON file. Raises DocumentError with the line if it is none, or holds no object."""
    if path.suffix in (".pkl", ".p"):
        raise DocumentError(REFUSED_PICKLE, file=str(path))
    data = load_json(path)
    if not isinstance(data, dict):
        raise DocumentError(f"expected a JSON object, found a {type(data).__name__}", file=str(path))
    return data


def beside(path: Path, name: object, what: str) -> Path:
    """A file that an index names. Raises DocumentError if it is absolute, leaves the index's folder or is not there."""
    if not isinstance(name, str) or not name:
        raise DocumentError(f"the index names no {what}", file=str(path))
    folder = path.parent.resolve()
    found = (folder / name).resolve()
    if Path(name).is_absolute() or not found.is_relative_to(folder):
        raise DocumentError(f"{what} '{name}' leaves the folder of the index", file=str(path))
    if not found.exists():
        raise DocumentError(f"{what} '{name}' is not there", file=str(path))
    return found

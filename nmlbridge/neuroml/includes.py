"""Where an include leads, and where it must not."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..element import Element
from ..errors import DocumentError

CORE = frozenset(
    "Cells.xml Networks.xml Simulation.xml Synapses.xml Channels.xml Inputs.xml PyNN.xml NeuroMLCoreDimensions.xml "
    "NeuroMLCoreCompTypes.xml NeuroML2CoreTypes.xml".split()
)
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")


def include_of(element: Element) -> str | None:
    """What an Include (LEMS) or include (NeuroML) names, blanks removed; None for a core file or another element."""
    if element.tag not in ("Include", "include"):
        return None
    text = element.get("file") or element.get("href") or element.get("url")
    if text is None:
        raise DocumentError("the include names no file (file= in LEMS, href= in NeuroML)", file=element.file,
                            line=element.line)  # fmt: skip
    name = text.strip()
    return None if PurePosixPath(name).name in CORE else name


def find_include(element: Element, name: str, folders: list[Path]) -> Path:
    """The file that an include means, looked for in the given folders in turn.

    Raises DocumentError for an absolute path, a URL or a file that is not there.
    """
    place: dict[str, Any] = {"file": element.file, "line": element.line}
    if (_SCHEME.match(name) and not re.match(r"^[A-Za-z]:[\\/]", name)) or name.startswith("//"):
        raise DocumentError(
            f"the include '{name[:80]}' is a URL; download the file and include it by a relative path", **place
        )
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute() or "\0" in name:
        raise DocumentError(f"the include '{name[:80]}' is an absolute path; use a path relative to this file", **place)
    for folder in folders:
        path = folder / name
        if os.path.isfile(path):  # false, not an error, for a name that no file system takes
            return path.resolve()
    raise DocumentError(f"the include '{name[:80]}' is not there; it was looked for beside this file", **place)

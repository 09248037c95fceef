"""The record by which Open Source Brain version 2 knows a repository.

Source: the portal's OpenAPI description (OSBRepository): name, repository_type, content_types and uri are required.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

NAME = "osb_repository.json"
_MOST = 2000  # characters of a summary


def repository_record(folder: Path, repository: str | None = None, branch: str | None = None) -> dict[str, Any]:
    """What would be posted for the repository in ``folder``, as plain values; nothing is sent.

    Title and keywords are those of CITATION.cff, the summary is README's first paragraph. ``repository`` is OWNER/NAME;
    without it, that of the record that lies in the folder, or of CITATION.cff.
    """
    saved = _mapping(folder / NAME)
    citation = _mapping(folder / "CITATION.cff")
    known = saved.get("uri") or citation.get("repository-code") or ""
    uri = f"https://github.com/{repository}" if repository else known
    keywords = citation.get("keywords")
    tags = [str(k) for k in keywords] if isinstance(keywords, list) else []
    return {
        "name": str(citation.get("title") or saved.get("name") or folder.resolve().name),
        "summary": _summary(folder) or str(citation.get("abstract") or ""),
        "tags": [{"tag": tag} for tag in dict.fromkeys([*tags, "NeuroML"])],
        "repository_type": "github",
        "content_types": "modeling",
        "content_types_list": ["modeling"],
        "auto_sync": True,
        "default_context": branch or str(saved.get("default_context") or "main"),
        "uri": str(uri),
    }


def _mapping(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8", errors="replace"))
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _summary(folder: Path) -> str:
    """The first paragraph of the README that is text: no heading, badge, table or list."""
    path = next((p for p in sorted(folder.iterdir()) if p.name.lower() in ("readme.md", "readme")), None)
    if path is None:
        return ""
    for paragraph in re.split(r"\n\s*\n", path.read_text(encoding="utf-8", errors="replace")):
        text = " ".join(paragraph.split())
        if text and text[0] not in "#[!|<-*`=>":
            return text[:_MOST]
    return ""


def record_text(record: dict[str, Any]) -> str:
    """As a file."""
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"

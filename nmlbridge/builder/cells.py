"""Cells written out as sections, and reconstructions: NeuroML cells made of them."""

from __future__ import annotations

from typing import Any

from ..element import Element
from .context import Context, Path_


def cell_element(context: Context, name: str, item: Any, path: Path_) -> Element:
    """The NeuroML <cell>."""
    raise context.error("not yet", *path)

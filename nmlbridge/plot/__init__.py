"""Figures as PNG. The only part of the package that imports matplotlib, and only when a figure is drawn."""

from .figures import draw, draw_display, draw_raster, require_matplotlib

__all__ = ["draw", "draw_display", "draw_raster", "require_matplotlib"]

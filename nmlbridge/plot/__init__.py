"""Figures. The only part of the package that imports matplotlib, and only when a figure is drawn."""

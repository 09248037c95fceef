"""Figures. The only part of the package that imports matplotlib, and only when a figure is drawn.

Each function takes axes or makes them, and returns them; ``save`` writes a figure as PNG, PDF, SVG or, if the name ends
in .html, as an interactive page. ``kinds`` lists what the command line can draw.
"""

from .cells import kinetics, morphology
from .chord import chord
from .fields import csd, dipole, eeg, lfp
from .figures import draw, draw_display, draw_raster
from .kinds import KINDS, Options, figure, kind_named
from .networks import connectivity, layout, movie
from .page import page, statistics
from .signals import coherence, phase_plane, spectrogram, spectrum, traces
from .spikes import intervals, raster, raster_with_rate, rate, rate_bars, rate_distribution
from .style import require_matplotlib, save

__all__ = [
    "KINDS", "Options", "chord", "coherence", "connectivity", "csd", "dipole", "draw", "draw_display",
    "draw_raster", "eeg", "figure", "intervals", "kind_named", "kinetics", "layout", "lfp", "morphology", "movie",
    "page", "phase_plane", "raster", "raster_with_rate", "rate", "rate_bars", "rate_distribution",
    "require_matplotlib", "save", "spectrogram", "spectrum", "statistics", "traces",
]  # fmt: skip

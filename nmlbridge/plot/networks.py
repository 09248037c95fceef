"""Figures of networks: who is connected to whom, and where the cells are."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .. import analysis
from ..errors import UsageError
from ..graph import Network
from ..results import SpikeTrains
from .style import MOST_IN_LEGEND, canvas, color_bar, colors, legend, nothing, short

_MOST_CELLS = 5_000  # a matrix of cells has at most so many rows
_MOST_LINES = 2_000
_VIEWS = {"xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}
_UNITS = {"delay": " (ms)"}


def connectivity(network: Network, feature: str = "number", by: str = "population", axes: Any = None) -> Any:
    """One feature of the connections as a matrix, from (rows) to (columns); by "population" or "cell", or in slabs
    of 100 um along "x", "y" or "z".

    The features are those of ``analysis.connectivity_matrix``. Returns the axes. Raises UsageError for an unknown one,
    and for more than 5000 cells.
    """
    if by == "cell" and network.size > _MOST_CELLS:
        raise UsageError(f"a matrix of {network.size} cells is too large to be seen; draw it by population")
    names, matrix = analysis.connectivity_matrix(network, feature, by)
    named = by != "cell" and len(names) <= 40
    side = 5.5 + 0.12 * max(0, len(names) - 10) if named else 5.5
    axes = canvas(axes, (side + 1, side))
    if not names or not len(network.projections):
        return nothing(axes, "there are no connections")
    values = np.asarray(matrix.toarray() if by == "cell" else matrix, float)
    if by in ("x", "y", "z"):
        axes.set_title(f"slabs along {by} (um)")
    if by == "cell" or feature in ("number", "probability", "convergence", "divergence", "strength"):
        values = np.where(values == 0, np.nan, values)
    image = axes.imshow(values, cmap="viridis", interpolation="nearest", vmin=min(0.0, np.nanmin(values, initial=0.0)))
    color_bar(axes, image, feature + _UNITS.get(feature, ""))
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    if named:
        shown = [short(name, 24) for name in names]
        upright = len(names) * max(map(len, shown)) > 32
        size = "medium" if len(names) <= 15 else "small"
        axes.set_xticks(range(len(names)), shown, rotation=90 if upright else 0, fontsize=size)
        axes.set_yticks(range(len(names)), shown, fontsize=size)
        if len(names) <= 6:
            _write_values(axes, values)
    return axes


def _write_values(axes: Any, values: Any) -> None:
    """The numbers in the squares, dark on bright and bright on dark."""
    top = np.nanmax(values) if np.isfinite(values).any() else 1.0
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8,
                      color="black" if value > 0.6 * top else "white")  # fmt: skip


def layout(network: Network, view: str = "xy", connections: bool = True, axes: Any = None) -> Any:
    """Cells where they are (um), a colour a population, and up to 2000 of the connections as lines.

    ``view`` is a plane, xy, xz or yz, or 3d. Returns the axes. Raises UsageError for another view, and if no population
    has positions.
    """
    if view not in (*_VIEWS, "3d"):
        raise UsageError(f"there is no view '{view}'; there are {', '.join([*_VIEWS, '3d'])}")
    placed = {name: p for name, p in network.populations.items() if p.positions is not None and p.size}
    axes = canvas(axes, (7.5, 5.5), "3d" if view == "3d" else None)
    if not placed:
        if view == "3d":
            axes.text2D(0.5, 0.5, "no population has positions", ha="center", transform=axes.transAxes)
            return axes
        return nothing(axes, "no population has positions")
    plane = (0, 1, 2) if view == "3d" else _VIEWS[view]
    if connections:
        _lines(axes, network, plane)
    size = float(np.clip(4000 / sum(p.size for p in placed.values()), 2, 40))
    for (name, population), color in zip(placed.items(), colors(len(placed)), strict=True):
        points = np.asarray(population.positions)[:, plane]
        more = {"depthshade": False} if view == "3d" else {"zorder": 2}
        axes.scatter(*points.T, s=size, color=color, label=name, linewidths=0, **more)
    for letter, which in zip("xyz"[: len(plane)], plane, strict=True):
        getattr(axes, f"set_{letter}label")(f"{'xyz'[which]} (um)")
    if view != "3d":
        axes.set_aspect("equal", adjustable="datalim")
    legend(axes, len(placed))
    if len(placed) > MOST_IN_LEGEND:
        axes.set_title(f"{len(placed)} populations")
    return axes


def _lines(axes: Any, network: Network, plane: tuple[int, ...]) -> None:
    ends = []
    for projection in network.projections:
        pre, post = (network.populations[name].positions for name in (projection.presynaptic, projection.postsynaptic))
        if pre is not None and post is not None and len(projection):
            ends.append(np.stack([pre[projection.pre][:, plane], post[projection.post][:, plane]], axis=1))
    if not ends:
        return
    pairs = np.concatenate(ends)
    if len(pairs) > _MOST_LINES:
        pairs = pairs[np.linspace(0, len(pairs) - 1, _MOST_LINES).astype(np.int64)]
    if len(plane) == 3:
        from mpl_toolkits.mplot3d.art3d import Line3DCollection as Collection
    else:
        from matplotlib.collections import LineCollection as Collection
    axes.add_collection(Collection(pairs, colors="#999999", linewidths=0.4, alpha=0.4))


def movie(
    network: Network, spikes: SpikeTrains, path: Any, stop: float | None = None, start: float = 0.0,
    frames: int = 100, view: str = "xy",
) -> Any:  # fmt: skip
    """Activity as a moving picture: cells where they are, lit in the frames that they spike in.

    A .gif has 12 frames a second, a .html a slider through them (plotly). Returns the path. Raises UsageError for no
    positions, or another ending.
    """
    from pathlib import Path

    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from .spikes import last_time

    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".gif", ".html"):
        raise UsageError(f"'{path.name}' cannot be a movie; expected a name that ends in .gif or .html")
    if view not in _VIEWS:
        raise UsageError(f"there is no view '{view}' of a movie; there are {', '.join(_VIEWS)}")
    placed = [p for p in network.populations.values() if p.positions is not None and p.size]
    if not placed:
        raise UsageError("no population has positions: there is nothing to show in a movie")
    axes = layout(network, view, connections=False)
    FigureCanvasAgg(axes.figure)
    for points in axes.collections:
        points.set_alpha(0.2)
    gids = np.concatenate([p.offset + np.arange(p.size) for p in placed])
    places = np.concatenate([np.asarray(p.positions)[:, _VIEWS[view]] for p in placed])
    row = np.full(max(network.size, 1), -1, np.int64)
    row[gids] = np.arange(len(gids))
    paint = np.repeat(colors(len(placed)), [p.size for p in placed])
    lit = axes.scatter([], [], s=50, edgecolors="black", linewidths=0.8, zorder=3)
    edges = np.linspace(start, last_time(spikes, stop), frames + 1)
    bounds = np.searchsorted(spikes.time, edges)
    edge = axes.set_title(" ")

    def fired_in(number: int) -> Any:
        """Rows of the cells that spike in a frame."""
        fired = np.unique(spikes.gid[bounds[number] : bounds[number + 1]])
        fired = row[fired[fired < len(row)]]
        return fired[fired >= 0]

    words = [f"{a * 1e3:.1f} to {b * 1e3:.1f} ms" for a, b in pairwise(edges)]

    def frame(number: int) -> list[Any]:
        fired = fired_in(number)
        lit.set_offsets(places[fired])
        lit.set_facecolors(paint[fired])
        edge.set_text(words[number])
        return [lit]

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new{kind}")
    try:
        if kind == ".html":
            from .interactive import movie_of

            lit.remove()
            shown = [(places[fired], paint[fired].tolist()) for fired in map(fired_in, range(frames))]
            fresh.write_text(movie_of(axes.figure, shown, words), encoding="utf-8")
            fresh.replace(path)
            return path
        FuncAnimation(axes.figure, frame, frames=frames, blit=False).save(fresh, PillowWriter(fps=12), dpi=80)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return path

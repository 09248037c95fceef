"""A network as a chord diagram: populations around a circle, ribbons for what joins them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import analysis
from ..errors import UsageError
from ..graph import Network
from .style import canvas, colors, nothing, short

Floats = npt.NDArray[np.float64]
FEATURES = ("number", "strength", "probability", "convergence", "divergence")
_GAP, _MOST = 0.03, 60  # of the circle between two populations; populations that can be told apart


def chord(network: Network, feature: str = "number", axes: Any = None) -> Any:
    """Ribbons from population to population as wide as a feature of their connections, in the colour of the source.

    A ribbon leaves its source at the rim and ends a little inside of it at its target. The features are those of
    ``analysis.connectivity_matrix`` that can be added up. Returns the axes. Raises UsageError for others, and for more
    than 60 populations.
    """
    if feature not in FEATURES:
        raise UsageError(f"'{feature}' cannot be drawn as ribbons; there are {', '.join(FEATURES)}")
    names, matrix = analysis.connectivity_matrix(network, feature)
    values = np.abs(np.nan_to_num(np.asarray(matrix, float)))
    joined = (values.sum(axis=0) + values.sum(axis=1)) > 0
    names, values = [n for n, there in zip(names, joined, strict=True) if there], values[joined][:, joined]
    if len(names) > _MOST:
        raise UsageError(f"{len(names)} populations cannot be told apart around a circle; draw the matrix")
    axes = canvas(axes, (7.0, 6.5))
    axes.set_axis_off()
    if not names:
        return nothing(axes, "there are no connections")
    gap = _GAP if len(names) <= 20 else 0.6 / len(names)
    size = values.sum(axis=0) + values.sum(axis=1)
    span = size / size.sum() * (1 - gap * len(names))
    begin = np.concatenate([[0.0], np.cumsum(span + gap)[:-1]])
    paint = colors(len(names))
    at = begin.copy()
    leave, arrive = np.zeros_like(values), np.zeros_like(values)
    part = values / size.sum() * (1 - gap * len(names))
    for i in range(len(names)):
        for j in range(len(names)):
            leave[i, j] = at[i]
            at[i] += part[i, j]
    for j in range(len(names)):
        for i in range(len(names)):
            arrive[i, j] = at[j]
            at[j] += part[i, j]
    for i, j in sorted(np.ndindex(*values.shape), key=lambda place: -float(values[place])):
        if values[i, j]:
            _ribbon(axes, (leave[i, j], arrive[i, j]), float(part[i, j]), paint[i])
    for name, a, width, color in zip(names, begin, span, paint, strict=True):
        _rim(axes, a, width, color)
        _name(axes, name, a + width / 2, len(names))
    axes.set_aspect("equal")
    room = 1.13 / (1 - 2 * 0.075 * max(len(short(name, 20)) for name in names) / 6.5)  # names, as parts of 6.5 inches
    axes.set_xlim(-room, room)
    axes.set_ylim(-room, room)
    axes.set_title({"number": "connections"}.get(feature, feature))
    return axes


def _point(turn: npt.ArrayLike, radius: float) -> Floats:
    """Points on a circle; a turn of 0 is at the top, and turns go clockwise."""
    angle = 2 * np.pi * (0.25 - np.asarray(turn, float))
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _arc(first: float, width: float, radius: float) -> Floats:
    return _point(np.linspace(first, first + width, max(3, int(200 * width) + 2)), radius)


def _bend(start: Floats, end: Floats) -> Floats:
    """A curve through the neighbourhood of the middle."""
    t = np.linspace(0, 1, 24)[1:-1, None]
    return np.asarray((1 - t) ** 2 * start + t**2 * end)


def _ribbon(axes: Any, ends: tuple[float, float], width: float, color: str) -> None:
    from matplotlib.patches import Polygon

    source, target = _arc(ends[0], width, 0.97), _arc(ends[1], width, 0.93)
    outline = [source, _bend(source[-1], target[0]), target, _bend(target[-1], source[0])]
    axes.add_patch(Polygon(np.concatenate(outline), facecolor=color, edgecolor=color, alpha=0.55, linewidth=0.3))


def _rim(axes: Any, first: float, width: float, color: str) -> None:
    from matplotlib.patches import Polygon

    outline = np.concatenate([_arc(first, width, 1.06), _arc(first, width, 0.99)[::-1]])
    axes.add_patch(Polygon(outline, facecolor=color, edgecolor="none"))


def _name(axes: Any, name: str, turn: float, count: int) -> None:
    x, y = _point(turn, 1.09)
    degrees = 90 - 360 * turn
    flipped = turn % 1 > 0.5
    axes.text(x, y, short(name, 20), rotation=degrees + 180 * flipped, rotation_mode="anchor", va="center",
              ha="right" if flipped else "left", fontsize="small" if count <= 30 else "x-small")  # fmt: skip

"""Any of our figures as a page that can be zoomed, read off and turned: matplotlib's artists given to plotly.

A line becomes a line, steps steps, points points, an image a heat map; axes keep their place, labels and limits. So
every function that draws is interactive with the same call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASH = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}


def page_of(figure: Figure) -> str:
    """A whole HTML page that needs no network. Raises UsageError if plotly is not installed."""
    page: str = plotly_of(figure).to_html(include_plotlyjs=True, full_html=True)
    return page


def movie_of(figure: Figure, lit: Sequence[Any], words: Sequence[str]) -> str:
    """A page with a figure and, over it, points (n, 2) with their colours, new in each frame; ``words`` name it."""
    graph = require("plotly.graph_objects", "interactive", "interactive figures")
    result = plotly_of(figure)
    look = {"size": 9, "line": {"color": "black", "width": 1}}

    def points(frame: tuple[Any, list[str]]) -> Any:
        places, paint = frame
        return graph.Scatter(x=places[:, 0], y=places[:, 1], mode="markers", marker=look | {"color": paint},
                             name="spikes", showlegend=False)  # fmt: skip

    number = len(result.data)
    result.add_trace(points(lit[0]))
    result.frames = [graph.Frame(data=[points(frame)], traces=[number], name=name)
                     for frame, name in zip(lit, words, strict=True)]  # fmt: skip
    how = {"mode": "immediate", "frame": {"duration": 80, "redraw": False}, "transition": {"duration": 0}}
    steps = [{"method": "animate", "label": name, "args": [[name], how]} for name in words]
    buttons = [{"method": "animate", "label": "play", "args": [None, how]},
               {"method": "animate", "label": "stop", "args": [[None], how]}]  # fmt: skip
    result.update_layout(
        sliders=[{"steps": steps, "currentvalue": {"prefix": ""}, "y": -0.08}],
        updatemenus=[{"type": "buttons", "direction": "left", "buttons": buttons, "x": 0, "xanchor": "left", "y": 1.1}],
    )
    page: str = result.to_html(include_plotlyjs=True, full_html=True, auto_play=False)
    return page


def plotly_of(figure: Figure) -> Any:
    """The figure as a ``plotly.graph_objects.Figure``."""
    graph = require("plotly.graph_objects", "interactive", "interactive figures")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()  # places the axes
    wide, high = figure.get_size_inches() * 96
    result = graph.Figure(layout={"width": int(wide * 1.1), "height": int(high * 1.1), "template": "simple_white"})
    bars = {id(axes) for axes in figure.axes if axes.get_label() == "<colorbar>"}
    number = 0
    for axes in figure.axes:
        if id(axes) in bars:
            continue
        number += 1
        if axes.name == "3d":
            _solid(graph, result, axes, number)
        else:
            _flat(graph, result, axes, number)
    return result


def _flat(graph: Any, result: Any, axes: Any, number: int) -> None:
    mark = "" if number == 1 else str(number)
    where = {"xaxis": f"x{mark}", "yaxis": f"y{mark}"}
    place = axes.get_position()
    for name, low, high, limits, label, scale, other in (
        ("xaxis", place.x0, place.x1, axes.get_xlim(), axes.get_xlabel(), axes.get_xscale(), f"y{mark}"),
        ("yaxis", place.y0, place.y1, axes.get_ylim(), axes.get_ylabel(), axes.get_yscale(), f"x{mark}"),
    ):
        options = {"domain": [max(low, 0), min(high, 1)], "anchor": other, "title": {"text": label}, "type": scale}
        options["range"] = list(np.log10(limits)) if scale == "log" else list(limits)
        options["visible"] = bool(axes.axison)
        if name == "yaxis" and axes.get_aspect() != "auto":
            options |= {"scaleanchor": f"x{mark}", "scaleratio": float(axes.get_aspect())}
        ticks = _names(axes, name)
        if ticks:
            options |= {"tickvals": ticks[0], "ticktext": ticks[1]}
        result.update_layout({f"{name}{mark}": options})
    if axes.get_title().strip():
        result.add_annotation(text=axes.get_title(), x=(place.x0 + place.x1) / 2, y=place.y1, xref="paper",
                              yref="paper", yanchor="bottom", showarrow=False)  # fmt: skip
    for text in axes.texts:
        if text.get_transform() is axes.transAxes:
            result.add_annotation(text=text.get_text(), x=(place.x0 + place.x1) / 2, y=(place.y0 + place.y1) / 2,
                                  xref="paper", yref="paper", showarrow=False)  # fmt: skip
        elif text.get_text().strip():
            x, y = text.get_position()
            result.add_annotation(text=text.get_text(), x=x, y=y, xref=where["xaxis"], yref=where["yaxis"],
                                  textangle=-_upright(text.get_rotation()), xanchor=text.get_ha(),
                                  yanchor={"center": "middle"}.get(text.get_va(), text.get_va()), showarrow=False,
                                  font={"color": _hex(text.get_color())})  # fmt: skip
    for image in axes.images:
        _image(graph, result, image, where)
    for part in axes.collections:
        _collection(graph, result, part, where)
    for line in axes.lines:
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        lines = line.get_linestyle() in _DASH
        name = _label(line)
        style: dict[str, Any] = {"color": _hex(line.get_color())}
        if lines:
            style |= {"width": line.get_linewidth(), "dash": _DASH[line.get_linestyle()]}
            result.add_trace(graph.Scattergl(x=x, y=y, mode="lines", line=style, name=name, showlegend=bool(name),
                                             **where))  # fmt: skip
        else:
            symbol = "line-ns-open" if line.get_marker() == "|" else "circle"
            style |= {"symbol": symbol, "size": line.get_markersize()}
            result.add_trace(graph.Scattergl(x=x, y=y, mode="markers", marker=style, name=name, showlegend=bool(name),
                                             **where))  # fmt: skip
    for patch in axes.patches:
        _patch(graph, result, patch, where)


def _names(axes: Any, which: str) -> tuple[list[float], list[str]] | None:
    """Ticks with words, such as names of populations."""
    axis = getattr(axes, which)
    texts = [tick.get_text() for tick in axis.get_ticklabels()]
    if not any(any(letter.isalpha() for letter in text.replace("\\mathdefault", "")) for text in texts):
        return None
    return [float(value) for value in axis.get_ticklocs()], texts


def _image(graph: Any, result: Any, image: Any, where: dict[str, str]) -> None:
    values = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    first, last = (top, bottom) if image.origin == "upper" else (bottom, top)
    colored = values.ndim == 3
    if colored:  # colours: shown by how opaque they are
        values = np.where(values[..., 3] > 0, values[..., 3], np.nan)
    x = left + (np.arange(values.shape[1]) + 0.5) * (right - left) / values.shape[1]
    y = first + (np.arange(values.shape[0]) + 0.5) * (last - first) / values.shape[0]
    look = {"colorscale": "Viridis", "showscale": False} if colored else _scale(image)
    result.add_trace(graph.Heatmap(x=x, y=y, z=np.ma.filled(values.astype(float), np.nan), **look, **where))


def _scale(part: Any) -> dict[str, Any]:
    """Colours, limits and the bar of something that shows values."""
    low, high = part.get_clim()
    bar: dict[str, Any] = {"showscale": part.colorbar is not None, "zmin": low, "zmax": high,
                           "colorscale": "RdBu" if part.get_cmap().name.startswith("RdBu") else "Viridis",
                           "reversescale": part.get_cmap().name == "RdBu_r"}  # fmt: skip
    if part.colorbar is not None:
        bar["colorbar"] = {"title": {"text": part.colorbar.ax.get_ylabel(), "side": "right"}}
    return bar


def _grouped(part: Any, lines: Any) -> Iterator[tuple[tuple[str, float], Any]]:
    """Points of the lines of each colour and width, with gaps between the lines."""
    paint = [_hex(color) for color in part.get_colors()] or ["#000000"]
    widths = [round(float(width), 1 if width < 2 else 0) for width in part.get_linewidths()] or [1.0]
    looks: dict[tuple[str, float], list[Any]] = {}
    for number, line in enumerate(lines):
        look = (paint[number % len(paint)], widths[number % len(widths)])
        looks.setdefault(look, []).append(np.vstack([line, np.full((1, len(line[0])), np.nan)]))
    for look, pieces in looks.items():
        yield look, np.concatenate(pieces)


def _bar(graph: Any, result: Any, part: Any, **where: Any) -> None:
    """A bar for the colours of lines."""
    if part.colorbar is not None:
        look = _scale(part)
        marker = {"color": [look["zmin"]], "cmin": look["zmin"], "cmax": look["zmax"], "showscale": True,
                  "colorscale": look["colorscale"], "colorbar": look["colorbar"], "size": 0.1}  # fmt: skip
        kind = graph.Scatter3d if "scene" in where else graph.Scatter
        place: dict[str, Any] = {"z": [None]} if "scene" in where else {}
        result.add_trace(kind(x=[None], y=[None], mode="markers", marker=marker, showlegend=False, **place, **where))


def _upright(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def _collection(graph: Any, result: Any, part: Any, where: dict[str, str]) -> None:
    kind = type(part).__name__
    name = _label(part)
    if kind == "QuadMesh":
        corners = part.get_coordinates()
        x = (corners[0, 1:, 0] + corners[0, :-1, 0]) / 2
        y = (corners[1:, 0, 1] + corners[:-1, 0, 1]) / 2
        z = np.ma.filled(np.ma.asarray(part.get_array()).astype(float), np.nan).reshape(len(y), len(x))
        result.add_trace(graph.Heatmap(x=x, y=y, z=z, **_scale(part), **where))
    elif kind == "PathCollection":
        points = np.asarray(part.get_offsets(), float)
        size = float(np.sqrt(part.get_sizes()[0])) if len(part.get_sizes()) else 6.0
        paint = [_hex(color) for color in part.get_facecolors()]
        marker = {"color": paint if len(paint) == len(points) else (paint[0] if paint else "black"), "size": size}
        if part.get_alpha() is not None:
            marker["opacity"] = part.get_alpha()
        result.add_trace(graph.Scattergl(x=points[:, 0], y=points[:, 1], mode="markers", marker=marker, name=name,
                                         showlegend=bool(name), **where))  # fmt: skip
    elif kind == "LineCollection":
        _segments(graph, result, part, where)


def _segments(graph: Any, result: Any, part: Any, where: dict[str, str]) -> None:
    """Lines: one trace for each look, with gaps between the lines."""
    for (color, wide), points in _grouped(part, part.get_segments()):
        result.add_trace(graph.Scattergl(x=points[:, 0], y=points[:, 1], mode="lines", showlegend=False,
                                         line={"color": color, "width": wide}, **where))  # fmt: skip
    _bar(graph, result, part, **where)


def _patch(graph: Any, result: Any, patch: Any, where: dict[str, str]) -> None:
    name = _label(patch)
    kind = type(patch).__name__
    if kind == "StepPatch":
        values, edges, _ = patch.get_data()
        result.add_trace(graph.Scatter(x=edges, y=np.append(values, values[-1]), mode="lines", name=name,
                                       line={"shape": "hv", "color": _hex(patch.get_edgecolor())},
                                       showlegend=bool(name), **where))  # fmt: skip
    elif kind == "Rectangle":
        result.add_trace(graph.Bar(x=[patch.get_x() + patch.get_width() / 2], y=[patch.get_height()],
                                   base=[patch.get_y()], width=[patch.get_width()], showlegend=False,
                                   marker={"color": _hex(patch.get_facecolor())}, **where))  # fmt: skip
    elif kind == "Polygon":
        points = patch.get_xy()
        red, green, blue, alpha = patch.get_facecolor()
        fill = f"rgba({red * 255:.0f},{green * 255:.0f},{blue * 255:.0f},{alpha:.2f})"
        result.add_trace(graph.Scatter(x=points[:, 0], y=points[:, 1], mode="lines", fill="toself", fillcolor=fill,
                                       line={"width": 0}, name=name, showlegend=bool(name), hoverinfo="skip",
                                       **where))  # fmt: skip


def _solid(graph: Any, result: Any, axes: Any, number: int) -> None:
    mark = "" if number == 1 else str(number)
    scene = f"scene{mark}"
    spans = np.abs([np.diff(getattr(axes, f"get_{letter}lim")())[0] for letter in "xyz"])
    titles = {
        f"{letter}axis": {
            "title": {"text": getattr(axes, f"get_{letter}label")()},
            "nticks": max(2, round(6 * span / (spans.max() or 1.0))),  # a short axis has no room for more
        }
        for letter, span in zip("xyz", spans.tolist(), strict=True)
    }
    # plotly scales the box to the volume 1 and looks at it from 1.25 on each axis: too near for a long one
    away = 1.3 * (max(1.0, float(spans.max() / np.cbrt(np.prod(spans)))) if spans.all() else 1.0)
    camera = {"eye": {"x": away, "y": away, "z": 0.7 * away}}
    margin = {"l": 10, "r": 10, "t": 40, "b": 10}
    result.update_layout({scene: titles | {"aspectmode": "data", "camera": camera}, "margin": margin})
    for part in axes.collections:
        if hasattr(part, "_offsets3d"):
            x, y, z = part._offsets3d
            name = _label(part)
            paint = _hex(part.get_facecolors()[0]) if len(part.get_facecolors()) else "black"
            result.add_trace(graph.Scatter3d(x=np.asarray(x), y=np.asarray(y), z=np.asarray(z), mode="markers",
                                             marker={"size": 3, "color": paint}, name=name, showlegend=bool(name),
                                             scene=scene))  # fmt: skip
        elif hasattr(part, "_segments3d"):
            for (color, wide), points in _grouped(part, np.asarray(part._segments3d)):
                result.add_trace(graph.Scatter3d(x=points[:, 0], y=points[:, 1], z=points[:, 2], mode="lines",
                                                 line={"color": color, "width": wide}, showlegend=False,
                                                 scene=scene))  # fmt: skip
            _bar(graph, result, part, scene=scene)


def _label(artist: Any) -> str:
    text = str(artist.get_label() or "")
    return "" if text.startswith("_") else text


def _hex(color: Any) -> str:
    from matplotlib.colors import to_hex

    return str(to_hex(color))

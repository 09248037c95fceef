"""How figures look: size, colours, fonts; where they are drawn and how they are saved.

The colours are those of Okabe and Ito (Color Universal Design, 2008), which people with any colour vision can tell
apart, followed by Paul Tol's muted ones (2021) where there are more than eight; maps are viridis. No global state of
matplotlib is changed.
"""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..extras import require
from ..files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
    "#332288", "#44AA99", "#117733", "#999933", "#882255", "#AA4499", "#DDCC77", "#88CCEE",
)  # fmt: skip
SIZE, DPI = (9.0, 4.5), 120
MOST_IN_LEGEND = 16  # as many as there are colours
LONGEST_NAME = 36  # in a legend; of a longer one the middle is left out


def require_matplotlib() -> None:
    """Raise UsageError with the install line if matplotlib is not there."""
    require("matplotlib", "plot", "drawing figures")


def colors(count: int) -> list[str]:
    """So many colours; they repeat after sixteen."""
    return list(islice(cycle(PALETTE), count))


def canvas(axes: Any = None, size: tuple[float, float] = SIZE, projection: str | None = None) -> Any:
    """The axes to draw on: those given, or those of a new figure, without matplotlib's global state."""
    if axes is not None:
        return axes
    require_matplotlib()
    from matplotlib.figure import Figure

    if projection == "3d":
        import_3d = require("mpl_toolkits.mplot3d", "plot", "figures in three dimensions")
        assert import_3d is not None
    axes = Figure(figsize=size, layout="constrained").add_subplot(projection=projection)
    if projection is None:
        axes.spines[["top", "right"]].set_visible(False)
    return axes


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """The name, or its beginning and end where it is longer than that."""
    if len(name) <= longest:
        return name
    end = (longest - 3) // 2
    return f"{name[: longest - 3 - end]}...{name[-end:]}"


def legend(axes: Any, count: int, grow: float = 1.0) -> None:
    """A legend beside the axes, if there are more than one and not too many names; ``grow`` enlarges marks."""
    if 1 < count <= MOST_IN_LEGEND:
        for artist in axes.get_legend_handles_labels()[0]:
            artist.set_label(short(str(artist.get_label())))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", frameon=False, markerscale=grow)


def nothing(axes: Any, message: str) -> Any:
    """Axes that say in plain words why there is nothing to see."""
    axes.text(0.5, 0.5, message, ha="center", va="center", transform=axes.transAxes, color="#555555", wrap=True)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def color_bar(axes: Any, artist: Any, label: str, extend: str = "neither") -> None:
    """A colour bar beside the axes; ``extend`` gives it points where values lie beyond: "both", "max" ..."""
    more = {"pad": 0.12} if axes.name == "3d" else {}  # where the label of the third axis is
    axes.figure.colorbar(artist, ax=axes, label=label, shrink=0.9, extend=extend, **more)


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure; the name's ending tells how: png, pdf, svg, or html (interactive, by plotly).

    The file appears whole or not at all. Raises UsageError for another ending.
    """
    path = Path(path)
    kind = path.suffix.lower()
    with atomic_path(path) as fresh:
        if kind in (".html", ".htm"):
            from .interactive import page_of

            fresh.write_text(page_of(figure), encoding="utf-8")
        elif kind in (".png", ".pdf", ".svg"):
            from matplotlib.backends.backend_agg import FigureCanvasAgg

            FigureCanvasAgg(figure)
            figure.savefig(fresh, dpi=DPI)
        else:
            raise UsageError(f"'{path.name}' does not say what figure to write; expected .png, .pdf, .svg or .html")
    return path

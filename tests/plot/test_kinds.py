"""Every kind of figure: what is in it, its words and limits, and what it says where there is nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmlbridge.cli import main
from nmlbridge.errors import UsageError
from nmlbridge.graph import Network, Population, Projection
from nmlbridge.plot import KINDS, Options, figure, movie, raster_with_rate, rate, save, signals, spikes
from nmlbridge.results import Results, SpikeTrains, Traces, write_results

pytest.importorskip("matplotlib", reason="figures need the extra 'plot'")
EXAMPLE = Path(__file__).parents[2] / "examples/01_two_populations/TwoPopulations.net.nml"


def some_results() -> Results:
    random = np.random.default_rng(1)
    clock = np.arange(2000) * 1e-3
    values = np.stack([np.sin(2 * np.pi * 40 * clock), np.sin(2 * np.pi * 40 * clock + 1)]) * 0.01 - 0.06
    values += random.normal(0, 1e-4, values.shape)
    traces = Traces(clock, values, ("a[0]/v", "b[0]/v"), ("V", "V"))
    trains = SpikeTrains(random.integers(0, 30, 900), random.uniform(0, 2, 900), {"a": (0, 20), "b": (20, 10)})
    return Results(traces, trains, {"duration": 2.0})


def some_network() -> Network:
    random = np.random.default_rng(2)
    cells = {
        name: Population(name, "c", np.arange(size), random.uniform(0, 100, (size, 3)))
        for name, size in (("a", 20), ("b", 10))
    }
    ends = {"pre": random.integers(0, 20, 60), "post": random.integers(0, 10, 60)}
    return Network(
        "n", populations=cells, projections=[Projection("p", "chemical", "a", "b", synapses=("s",), **ends)]
    )


def empty() -> Results:
    traces = Traces(np.empty(0), np.empty((0, 0)), ())
    return Results(traces, SpikeTrains(np.empty(0, int), np.empty(0), {"a": (0, 5)}), {"duration": 1.0})


def single() -> Results:
    traces = Traces(np.array([0.0]), np.array([[1.0]]), ("a[0]/v",), ("V",))
    return Results(traces, SpikeTrains(np.array([3]), np.array([0.5]), {"a": (0, 5)}), {"duration": 1.0})


def overlaps(drawn: Any) -> list[tuple[str, str]]:
    """Pairs of words of a figure that lie on each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    boxes = []
    for axes in drawn.axes:
        if axes.name == "3d":
            continue
        words = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
            words += [word for place, word in ticks if low <= place <= high]
        if axes.get_legend():
            words += axes.get_legend().get_texts()
        boxes += [(word.get_text(), word.get_window_extent()) for word in words if word.get_text().strip()]
    return [
        (one, other)
        for number, (one, first) in enumerate(boxes)
        for other, second in boxes[:number]
        if first.shrunk(0.9, 0.9).overlaps(second.shrunk(0.9, 0.9))
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_labels_that_do_not_overlap(kind: str, tmp_path: Path) -> None:
    source = some_network() if KINDS[kind].source == "network" else some_results()
    drawn = figure(kind, source)
    main_axes = drawn.axes[0]
    assert main_axes.get_ylabel() or kind == "raster"
    assert drawn.axes[1].get_xlabel() if kind == "raster" else main_axes.get_xlabel() or kind == "rates"
    assert overlaps(drawn) == []
    assert save(drawn, tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].source != "network"])
@pytest.mark.parametrize("source", [empty, single])
def test_little_data_gives_a_plain_message(kind: str, source: Any, tmp_path: Path) -> None:
    try:
        drawn = figure(kind, source())
    except UsageError as error:
        assert "recorded quantities" in str(error)
        return
    save(drawn, tmp_path / "x.png")
    words = " ".join(text.get_text() for axes in drawn.axes for text in axes.texts)
    shown = any(axes.lines or axes.patches or axes.collections for axes in drawn.axes)
    assert words or shown


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_interactive_with_the_same_call(kind: str) -> None:
    pytest.importorskip("plotly", reason="interactive figures need the extra 'interactive'")
    from nmlbridge.plot.interactive import plotly_of

    drawn = figure(kind, some_network() if KINDS[kind].source == "network" else some_results())
    page = plotly_of(drawn)
    assert len(page.data) >= 1
    last = drawn.axes[1] if kind == "raster" else drawn.axes[0]
    layout = json.loads(page.to_json())["layout"]
    titles = [part.get("title", {}).get("text") for name, part in layout.items() if "xaxis" in name]
    assert last.get_xlabel() in titles


def test_a_raster_shows_every_spike_and_the_rate_their_number() -> None:
    results = some_results()
    upper, lower = raster_with_rate(results.spikes, 2.0, width=0.1)
    assert sum(len(line.get_xdata()) for line in upper.lines) == 900
    assert upper.get_xlim() == pytest.approx((0, 2000))
    for patch, size, count in zip(lower.patches, (20, 10), results.spikes.counts().values(), strict=True):
        assert patch.get_data()[0].sum() * 0.1 * size == pytest.approx(count)


def test_a_spectrum_peaks_where_the_signal_does() -> None:
    axes = figure("spectrum", some_results(), Options(limit=200)).axes[0]
    x, y = axes.lines[0].get_data()
    assert x[np.argmax(y)] == pytest.approx(40, abs=4)
    assert axes.get_ylabel() == "power (V²/Hz)"


def test_a_matrix_holds_the_counts() -> None:
    image = figure("connectivity", some_network()).axes[0].images[0].get_array()
    assert image[0, 1] == 60
    assert np.ma.getmaskarray(np.ma.masked_invalid(image)).sum() == 3


def test_units_get_the_prefix_that_suits() -> None:
    assert signals._prefixed([np.array([-0.065])], "V") == (1e-3, "mV")
    assert signals._prefixed([np.array([3e-10])], "A") == (1e-12, "pA")
    assert signals._prefixed([np.array([0.5])], "") == (1.0, "")


def test_unknown_names_are_answered(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no kind of figure 'rastr'; there are raster"):
        figure("rastr", some_results())
    with pytest.raises(UsageError, match="no population 'z'"):
        figure("raster", some_results(), Options(population="z"))
    with pytest.raises(UsageError, match="was not recorded"):
        figure("traces", some_results(), Options(quantities=("z",)))
    with pytest.raises(UsageError, match="made from a model"):
        figure("network", some_results())
    with pytest.raises(UsageError, match=r"expected \.png"):
        save(figure("rates", some_results()), tmp_path / "x.bmp")
    assert list(tmp_path.iterdir()) == []


def test_the_verb_draws_results_and_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = tmp_path / "r.csv"
    write_results(some_results(), csv)
    assert main(["plot", "traces", str(csv), "-o", str(tmp_path / "t.svg")]) == 0
    assert main(["plot", "connectivity", str(EXAMPLE), "-o", str(tmp_path / "c.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["kind"] == "connectivity"
    assert "<svg" in (tmp_path / "t.svg").read_text()
    assert (tmp_path / "c.png").stat().st_size > 5000


def test_a_movie_has_its_frames(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    path = movie(some_network(), some_results().spikes, tmp_path / "m.gif", frames=5)
    with image.open(path) as picture:
        assert picture.n_frames == 5


@pytest.mark.slow
def test_ten_million_spikes_take_seconds() -> None:
    random = np.random.default_rng(3)
    count = 10_000_000
    trains = SpikeTrains(random.integers(0, 100_000, count), np.sort(random.uniform(0, 10, count)),
                         {"e": (0, 80_000), "i": (80_000, 20_000)})  # fmt: skip
    start = time.process_time()
    upper, lower = raster_with_rate(trains, 10.0)
    assert time.process_time() - start < 10
    assert len(upper.images) == 1
    totals = [patch.get_data()[0].sum() * 0.1 * size for patch, size in zip(lower.patches, (8e4, 2e4), strict=True)]
    assert sum(totals) == pytest.approx(count)
    assert rate(trains, 10.0).get_xlim() == pytest.approx((0, 10_000))
    assert spikes.last_time(trains, None) > trains.time[-1]

"""Every kind of figure: what is in it, its words and limits, and what it says where there is nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmlbridge import analysis
from nmlbridge.cli import main
from nmlbridge.errors import UsageError
from nmlbridge.graph import NativeCell, NativeSection, Network, Population, Projection
from nmlbridge.plot import KINDS, Options, figure, movie, raster_with_rate, rate, save, signals, spikes
from nmlbridge.registry import read
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


def some_fields() -> Results:
    """A wave down eight contacts, and a dipole."""
    clock = np.arange(1000) * 1e-3
    waves = np.stack([1e-5 * np.sin(2 * np.pi * (7 * clock - k / 8)) for k in range(8)])
    moment = np.stack([0 * clock, 3e-13 * np.sin(2 * np.pi * 5 * clock), 1e-13 * np.cos(2 * np.pi * 9 * clock)])
    names = [f"lfp[{k}]" for k in range(8)] + [f"dipole/{axis}" for axis in "xyz"]
    return Results(Traces(clock, np.concatenate([waves, moment]), names, ["V"] * 8 + ["A m"] * 3))


def a_cell() -> Network:
    """A branched cell with a channel, synapses on its dendrite."""
    points = [[[0, 0, 0, 15], [0, 15, 0, 12]], [[0, 15, 0, 3], [5, 90, 10, 2], [40, 160, 30, 1]],
              [[0, 15, 0, 3], [-60, 110, -20, 1]]]  # fmt: skip
    parts = zip(("soma", "apical", "side"), (-1, 0, 0), points, strict=True)
    sections = [NativeSection(name, parent, points=np.array(place, float), nseg=3, mechanisms={"hh": {}})
                for name, parent, place in parts]  # fmt: skip
    random = np.random.default_rng(3)
    cells = {"p": Population.sized("p", "cell", 3)}
    link = Projection("e", "chemical", "p", "p", random.integers(0, 3, 90), random.integers(0, 3, 90),
                      post_segment=np.full(90, 1), post_fraction=random.uniform(0, 1, 90), synapses=("s",))  # fmt: skip
    network = Network("n", cells, [link], native={"cell": NativeCell("cell", tuple(sections))})
    network.components.extend(parse_channel())
    return network


def parse_channel() -> list[Any]:
    """Sodium of Hodgkin and Huxley, as elements."""
    folder = Path(__file__).parent
    return read(folder / "na.channel.nml").components


SPECIAL = {"lfp": some_fields, "csd": some_fields, "dipole": some_fields, "eeg": some_fields, "kinetics": a_cell,
           "morphology": a_cell}  # fmt: skip
OPTIONS = Options(spacing=100.0)


def source_of(kind: str) -> Any:
    return SPECIAL.get(kind, some_network if KINDS[kind].source == "network" else some_results)()


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
    drawn = figure(kind, source_of(kind), OPTIONS)
    main_axes = drawn.axes[1 if kind == "eeg" else 0]
    assert main_axes.get_ylabel() or kind in ("raster", "chord")
    assert drawn.axes[1].get_xlabel() if kind == "raster" else main_axes.get_xlabel() or kind in ("rates", "chord")
    assert overlaps(drawn) == []
    assert save(drawn, tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].source != "network"])
@pytest.mark.parametrize("source", [empty, single])
def test_little_data_gives_a_plain_message(kind: str, source: Any, tmp_path: Path) -> None:
    try:
        drawn = figure(kind, source(), OPTIONS)
    except UsageError as error:
        assert "recorded" in str(error)
        return
    save(drawn, tmp_path / "x.png")
    words = " ".join(text.get_text() for axes in drawn.axes for text in axes.texts)
    shown = any(axes.lines or axes.patches or axes.collections for axes in drawn.axes)
    assert words or shown


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_interactive_with_the_same_call(kind: str) -> None:
    pytest.importorskip("plotly", reason="interactive figures need the extra 'interactive'")
    from nmlbridge.plot.interactive import plotly_of

    drawn = figure(kind, source_of(kind), OPTIONS)
    page = plotly_of(drawn)
    assert len(page.data) >= 1
    last = drawn.axes[1] if kind in ("raster", "eeg") else drawn.axes[0]
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


def test_a_movie_is_a_page_with_a_slider(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="interactive figures need the extra 'interactive'")
    path = movie(some_network(), some_results().spikes, tmp_path / "m.html", frames=5)
    text = path.read_text()
    assert text.count('"method":"animate"') == 5 + 2
    assert '"label":"0.0 to ' in text
    with pytest.raises(UsageError, match=r"\.gif or \.html"):
        movie(some_network(), some_results().spikes, tmp_path / "m.mp4")


def crowd() -> tuple[Results, Network]:
    """Twenty-four populations with names too long for any figure."""
    names = [f"layer{k // 4 + 1}_cells_of_a_kind_that_has_a_long_name_{k}" for k in range(24)]
    random = np.random.default_rng(5)
    trains = SpikeTrains(random.integers(0, 240, 2000), random.uniform(0, 1, 2000),
                         {name: (10 * k, 10) for k, name in enumerate(names)})  # fmt: skip
    clock = np.arange(500) * 1e-3
    paths = [f"{name}[0]/biophys/membraneProperties/a_density/gate/v" for name in names]
    traces = Traces(clock, random.normal(-0.065, 1e-3, (24, 500)), paths, ["V"] * 24)
    cells = {name: Population(name, "c", np.arange(10), random.uniform(0, 500, (10, 3))) for name in names}
    links = [Projection(f"{a}{b}", "chemical", a, b, np.arange(10), random.integers(0, 10, 10), synapses=("s",))
             for a in names for b in names if random.random() < 0.15]  # fmt: skip
    return Results(traces, trains, {"duration": 1.0}), Network("n", cells, links)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SPECIAL])
def test_many_populations_with_long_names_stay_readable(kind: str) -> None:
    results, network = crowd()
    drawn = figure(kind, network if KINDS[kind].source == "network" else results)
    if kind != "chord":  # its names are turned: the boxes around them overlap, they do not
        assert overlaps(drawn) == []
    for axes in drawn.axes:
        box = axes.title.get_window_extent()
        assert not axes.title.get_text() or (box.x0 >= 0 and box.x1 <= drawn.bbox.width)
        inside = axes.get_window_extent()
        if axes.get_label() != "<colorbar>" and kind != "chord":
            assert inside.width > 0.3 * drawn.bbox.width  # names leave room for the figure itself


def test_potentials_are_stacked_by_contact() -> None:
    data = some_fields().traces
    axes = figure("lfp", some_fields()).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 1000]
    step = np.ptp(np.quantile(data["lfp[0]"], [0.002, 0.998]))
    for contact, line in enumerate(lines):
        wave = data[f"lfp[{contact}]"]
        assert line.get_ydata() == pytest.approx((wave - wave.mean()) / step - contact, abs=5e-3)
    (bar,) = [line for line in axes.lines if len(line.get_xdata()) == 2]
    assert axes.texts[0].get_text().strip() == "20 uV"
    assert np.ptp(bar.get_ydata()) == pytest.approx(2e-5 / step, rel=1e-2)
    with pytest.raises(UsageError, match="no potentials of 'q'"):
        figure("lfp", some_fields(), Options(part="q"))
    with pytest.raises(UsageError, match="--spacing"):
        figure("csd", some_fields())


def test_the_scalp_sees_the_dipole() -> None:
    disc, lines, *_ = figure("eeg", some_fields()).axes
    curves = {line.get_label(): line.get_ydata() for line in lines.lines}
    moment = np.array([some_fields().traces[f"dipole/{axis}"] for axis in "zxy"])  # y points out of the head
    expected = analysis.eeg(moment, [0, 0, 77e3], [[0, 0, 90e3]])[0]
    assert curves["0°"] == pytest.approx(expected * 1e12, rel=1e-6)
    assert lines.get_ylabel() == "potential on the scalp (pV)"
    assert np.abs(curves["90°"]).max() < 0.2 * np.abs(curves["0°"]).max()
    assert "seen from above" in disc.get_title()
    peak = int(np.abs(expected).argmax())
    (mesh,) = disc.collections
    shown = np.ma.filled(mesh.get_array(), np.nan).reshape(61, 61)
    for row, column in ((30, 30), (30, 50), (12, 22)):  # y and x of the map, in steps of 1/30 of its radius
        x, y = (column - 30) / 30, (row - 30) / 30
        tilt, around = np.hypot(x, y) * np.pi / 2, np.arctan2(y, x)
        place = 90e3 * np.array([np.sin(tilt) * np.cos(around), np.sin(tilt) * np.sin(around), np.cos(tilt)])
        there = analysis.eeg(moment[:, [peak]], [0, 0, 77e3], [place])[0, 0]
        assert shown[row, column] == pytest.approx(there * 1e12, abs=2e-3 * np.abs(expected).max() * 1e12)


def test_a_cell_is_coloured_by_its_synapses_and_by_what_was_recorded() -> None:
    network = a_cell()
    drawn = figure("morphology", network, Options(color="synapses")).axes[0].collections[0]
    shape = analysis.pieces(network, "p")
    density = np.asarray(drawn.get_array())
    assert (density * shape.length).sum() == pytest.approx(90 / 3)  # synapses on a cell
    assert set(shape.part[density > 0]) == {1}
    assert np.asarray(drawn.get_linewidths())[0] > 3 * np.asarray(drawn.get_linewidths())[-1]
    names = ["p[0]/soma(0.5)/v", "p[0]/apical(0.1)/v", "p[0]/apical(0.9)/v", "p[1]/side(0.5)/v"]
    values = np.array([[0.0, -0.06], [0.0, -0.05], [0.0, 0.02], [0.0, 0.03]])
    results = Results(Traces(np.array([0.0, 1e-3]), values, names, ["V"] * 4))
    axes = figure("morphology", network, Options(color="v", time=1e-3), results).axes
    shown = np.ma.filled(axes[0].collections[0].get_array(), np.nan)
    apical = shown[shape.part == 1]
    assert (apical[0], apical[-1]) == (pytest.approx(-50), pytest.approx(20))
    assert np.isnan(shown[shape.part == 2]).all()  # of another cell
    assert axes[1].get_ylabel() == "v (mV)"
    assert axes[0].get_title() == "p at 1 ms"
    for options, given, words in ((Options(color="v"), None, "results are needed"),
                                  (Options(view="zz"), None, "no view"), (Options(color="u"), results, "no 'u' of p"),
                                  (Options(population="q"), None, "no population 'q'")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            figure("morphology", network, options, given)


def test_a_cell_without_points_is_laid_out() -> None:
    bare = [NativeSection("soma", L=20.0, diam=20.0), NativeSection("dend", 0, L=100.0, diam=2.0, nseg=2),
            NativeSection("twig", 1, parent_x=0.5, L=30.0, diam=1.0)]  # fmt: skip
    network = Network("n", {"p": Population.sized("p", "c", 1)}, native={"c": NativeCell("c", tuple(bare))})
    shape = analysis.pieces(network, "p")
    assert shape.length == pytest.approx([20, 50, 50, 30])
    assert shape.path == pytest.approx([10, 45, 95, 85])
    assert shape.start[3, :3] == pytest.approx(shape.end[1, :3])
    assert "laid out" in figure("morphology", network).axes[0].get_title()


def test_ribbons_are_as_wide_as_what_they_show() -> None:
    axes = figure("chord", some_network()).axes[0]
    assert len(axes.patches) == 1 + 2  # one ribbon, two rims
    assert {text.get_text() for text in axes.texts} == {"a", "b"}
    with pytest.raises(UsageError, match="cannot be drawn as ribbons"):
        figure("chord", some_network(), Options(feature="delay"))


def test_the_verb_draws_channels_and_shapes(tmp_path: Path) -> None:
    channel = Path(__file__).parent / "na.channel.nml"
    assert main(["plot", "kinetics", str(channel), "-o", str(tmp_path / "k.svg")]) == 0
    assert main(["plot", "raster", str(csv(tmp_path)), "--include", "a[3]", "-o", str(tmp_path / "r.png")]) == 0
    assert main(["plot", "kinetics", str(channel), "--channel", "k", "-o", str(tmp_path / "x.png")]) != 0
    assert {path.name for path in tmp_path.glob("[kx]*")} == {"k.svg"} and (tmp_path / "r.png").exists()


def csv(folder: Path) -> Path:
    path = folder / "r.csv"
    write_results(some_results(), path)
    return path


def test_bars_that_lie_do_so_on_a_page(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="interactive figures need the extra 'interactive'")
    from nmlbridge.plot.interactive import plotly_of

    results, _ = crowd()
    drawn = figure("rates", results)
    bars = [trace for trace in plotly_of(drawn).data if trace.type == "bar"]
    means = [analysis.rates(results.spikes, 1.0, population=name).mean() for name in results.spikes.populations]
    assert [bar.width[0] for bar in bars] == pytest.approx(means)
    assert [bar.base[0] + bar.y[0] / 2 for bar in bars] == pytest.approx(range(24))


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


@pytest.mark.neuron
def test_a_run_of_rules_draws_what_it_records(tmp_path: Path) -> None:
    """Tables of voltages, weights and concentrations, one figure each; many columns are thinned out."""
    for example, names in (("18_learning/latency", {"latency.raster", "latency.v", "latency.weights"}),
                           ("16_nmda_spike/dendrite", {"dendrite.soma", "dendrite.tuft"})):  # fmt: skip
        model = EXAMPLE.parents[1] / f"{example}.yaml"
        out = tmp_path / example.partition("/")[0]
        assert main(["run", str(model), "-o", str(out), "--duration", "120", "--plot"]) == 0
        assert {path.stem for path in out.glob("*.png")} == names
    trace = Traces(np.arange(10) * 1e-3, np.full((1, 10), 2e-4), ("rxd/ca/cyt/0.541666666",), ("mol/m3",))
    axes = signals.traces(trace)
    assert axes.get_ylabel() == "nM" and axes.get_title() == "rxd/ca/cyt/0.5417"
    assert axes.lines[0].get_ydata() == pytest.approx(np.full(10, 200.0))

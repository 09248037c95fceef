"""Figures show what is in the results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmlbridge.plot import draw, draw_display, draw_raster
from nmlbridge.plot.signals import envelope
from nmlbridge.results import Display, Line, OutputFile, Outputs, Results, SpikeTrains, Traces

pytest.importorskip("matplotlib", reason="figures need the extra 'plot'")

TIME = np.arange(100_001) * 25e-6
VOLTAGE = np.where(np.arange(100_001) == 777, 0.03, -0.065)
DISPLAY = Display(
    "d1", "Membrane", (Line("v0", "p[0]/v", 1e-3, 1e-3, "#ffffff"), Line("v1", "p[0]/v", 1e-3, 1e-3, "red"))
)


@pytest.fixture
def results() -> Results:
    traces = Traces(TIME, VOLTAGE[None, :], ("p[0]/v",), ("V",))
    spikes = SpikeTrains(np.array([0, 3]), np.array([0.1, 0.2]), {"p": (0, 2), "q": (2, 2)})
    return Results(traces, spikes, {"duration": 2.5}, outputs=Outputs(displays=(DISPLAY,)))


def test_a_display_is_drawn_in_its_units(results: Results) -> None:
    (axes,) = draw_display(results, DISPLAY).axes
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("Membrane", "time (ms)", "mV")
    x, y = axes.lines[0].get_data()
    assert x.max() == pytest.approx(2500)
    assert axes.get_xlim() == pytest.approx((0, 2500))
    assert (y.min(), y.max()) == pytest.approx((-65, 30))
    assert axes.lines[0].get_color() == "#888888"  # white would not be seen


def test_a_raster_has_a_row_for_each_spiking_population(results: Results) -> None:
    (axes,) = draw_raster(results).axes
    assert [line.get_label() for line in axes.lines] == ["p", "q"]
    assert axes.lines[1].get_data()[0].tolist() == pytest.approx([200.0])


def test_thinning_keeps_the_extremes() -> None:
    x, y = envelope(TIME, VOLTAGE)
    assert len(x) <= 25_000
    assert y.max() == 0.03
    assert x[y.argmax()] == TIME[777]
    assert (np.diff(x) >= 0).all()


def test_each_figure_becomes_a_png(results: Results, tmp_path: Path) -> None:
    paths = draw(results, tmp_path / "new", "LEMS_x")
    assert [path.name for path in paths] == ["LEMS_x.d1.png", "LEMS_x.raster.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_tables_are_called_after_the_file_that_is_run(results: Results, tmp_path: Path) -> None:
    """Whatever the model in it, and so its table, is called; one that is called raster stands beside the raster."""
    columns = tuple((quantity, quantity) for quantity in results.traces.quantities)
    tables = [("v", "other.v.dat"), ("Vm.dat", "Vm.dat"), ("raster", "other.raster.dat")]
    outputs = Outputs(tuple(OutputFile(id, name, columns, named=True) for id, name in tables))
    paths = draw(replace(results, outputs=outputs), tmp_path, "mine")
    assert [path.name for path in paths] == ["mine.raster.png", "mine.v.png", "mine.Vm.png", "mine.raster.table.png"]

"""Measures between results, against what they are by hand or by elephant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nmlbridge import compare_results, write_results
from nmlbridge.cli import main
from nmlbridge.errors import UsageError
from nmlbridge.results import Limits, Results, Scales, SpikeTrains, Traces
from nmlbridge.results.compare import coincidence, spike_distances


def _results(shift: float = 0.0, offset: float = 0.0, spelling: str = "pop[0]/v", step: float = 1e-4) -> Results:
    time = np.arange(0, 0.1, step)
    return Results(
        Traces(time, np.array([np.sin(time * 100) * 0.05 + offset]), (spelling,), ("V",)),
        SpikeTrains(np.array([0, 0, 1]), np.array([0.01, 0.05, 0.02]) + shift, {"pop": (0, 3)}),
        {"duration": 0.1},
    )


def test_equal_results_are_equal_in_both_spellings() -> None:
    found = compare_results(_results(), _results(spelling="pop/0/cell/v"), Limits(rms=0, shift=0))
    assert found.passed
    assert found.traces[0].rms == 0
    assert found.trains[0].coincidence == pytest.approx(1)
    assert found.alone == ()


def test_an_offset_is_its_rms() -> None:
    found = compare_results(_results(), _results(offset=0.001))
    assert found.traces[0].rms == pytest.approx(0.001)
    assert found.traces[0].relative == pytest.approx(0.01, rel=1e-3)
    assert not found.passed
    assert compare_results(_results(), _results(offset=0.001), Limits(rms=0.011)).passed


def test_what_only_one_has_is_a_difference_if_strict() -> None:
    whole = _results()
    less = Results(whole.traces, SpikeTrains.empty(), {"duration": 0.1})
    for pair in ((whole, less), (less, whole)):
        assert compare_results(*pair).alone == ("population pop",)
        assert compare_results(*pair).passed and not compare_results(*pair, strict=True).passed
    assert compare_results(whole, whole, strict=True).passed


def test_other_steps_are_interpolated() -> None:
    found = compare_results(_results(), _results(step=0.5e-4))
    assert found.traces[0].relative < 1e-12
    coarse = compare_results(_results(), _results(step=5e-4)).traces[0]
    # linear interpolation of a sine of angular frequency w errs by (w h)^2 / 8 of its amplitude at most
    assert coarse.largest < 0.05 * (100 * 5e-4) ** 2 / 8 * 1.01


def test_shifts_and_missing_spikes() -> None:
    found = compare_results(_results(), _results(shift=0.5e-3))
    assert [train.shift for train in found.trains] == pytest.approx([0.5e-3, 0.5e-3])
    assert not found.passed
    assert compare_results(_results(), _results(shift=0.5e-3), Limits(shift=0.5e-3)).passed
    fewer = Results(spikes=SpikeTrains(np.array([0]), np.array([0.01]), {"pop": (0, 3)}))
    lost = compare_results(_results(), fewer)
    assert lost.rates["pop"][:2] == (3, 1)
    assert lost.trains[0].shift is None
    assert not lost.passed
    assert not compare_results(_results(), fewer, Limits(shift=None, rate=0.5)).passed
    assert compare_results(_results(), fewer, Limits(shift=None, rate=0.7)).passed


def test_coincidence_by_hand() -> None:
    a, b = np.array([0.010, 0.050, 0.090]), np.array([0.011, 0.055, 0.0905])
    chance = 2 * 3 / 0.1 * 0.002
    assert coincidence(a, b, 0.002, 0.1) == pytest.approx((2 - chance * 3) / 3 / (1 - chance))
    # two spikes cannot share one counterpart
    assert coincidence(np.array([0.010, 0.0105]), np.array([0.0102]), 0.002, 10.0) == pytest.approx(2 / 3, rel=1e-3)
    assert coincidence(a[:0], b[:0], 0.002, 0.1) is None
    rng = np.random.default_rng(1)
    trains = [np.sort(rng.uniform(0, 1000, 20000)) for _ in range(2)]
    assert abs(coincidence(*trains, 0.002, 1000.0) or 1) < 0.05  # independent trains: as by chance


def test_distances_of_the_field() -> None:
    pytest.importorskip("elephant")
    a, b = np.array([0.01, 0.05]), np.array([0.012])
    purpura, rossum = spike_distances(a, b, Scales(), 0.1)
    assert purpura == pytest.approx(1 + 0.2)  # one deletion, one shift of 2 ms at 1 per 10 ms
    # van Rossum with normalisation 2/tau: D² = sum over pairs of exp(-|Δt|/tau), signed by train
    gaps = [(1, 0.01), (1, 0.05), (-1, 0.012)]
    square = sum(s * r * np.exp(-abs(t - u) / 0.01) for s, t in gaps for r, u in gaps)
    assert rossum == pytest.approx(np.sqrt(square), rel=1e-6)
    assert spike_distances(a[:0], b[:0], Scales(), 0.1) == (0.0, 0.0)
    found = compare_results(_results(), _results(shift=1e-3), Limits(shift=None, victor_purpura=0.21))
    assert found.trains[0].victor_purpura == pytest.approx(0.2)
    assert found.passed


def test_nothing_in_common_is_an_error() -> None:
    other = Results(spikes=SpikeTrains(np.array([0]), np.array([0.1]), {"q": (0, 1)}))
    with pytest.raises(UsageError, match=r"pop\[0\]/v"):
        compare_results(_results(), other)


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "a.dat", tmp_path / "b.json"
    write_results(_results(), first)
    assert main(["results", "convert", str(first), str(second), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []
    assert main(["results", "compare", str(first), str(second)]) == 0
    assert "equal within the limits" in capsys.readouterr().out
    write_results(_results(shift=1e-3), second)
    assert main(["results", "compare", str(first), str(second), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert not answer["passed"]
    assert answer["trains"][0]["shift"] == pytest.approx(1e-3)
    assert main(["results", "compare", str(first), str(second), "--shift", "1ms"]) == 0
    assert main(["results", "compare", str(first), str(second), "--shift", "none", "--coincidence", "0.9"]) == 0
    assert main(["results", "compare", str(first), str(second), "--shift", "x"]) == 2
    capsys.readouterr()
    assert main(["results", "show", str(second), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["spikes_by_population"] == {"pop": 3}
    assert shown["traces"][0]["quantity"] == "pop[0]/v"
    assert main(["results", "convert", str(first), str(first)]) == 2

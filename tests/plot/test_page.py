"""The page about a run: whole, standing alone, with the numbers of the run."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import nmlbridge
from nmlbridge.analysis import rates
from nmlbridge.cli import main
from nmlbridge.plot import page, statistics
from nmlbridge.results import Results, SpikeTrains, Traces, write_results

pytest.importorskip("matplotlib", reason="figures need the extra 'plot'")
EXAMPLE = Path(__file__).parents[2] / "examples/12_cortical_column/column.yaml"


class Balance(HTMLParser):
    """Fails where an element is closed that was not the last to be opened; gathers the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_model_becomes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "r.html"
    assert main(["report", str(EXAMPLE), "-o", str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(target)}
    text = target.read_text()
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert {"Model", "Provenance", "Statistics", "Figures"} <= set(parser.words)
    network = nmlbridge.read(EXAMPLE)
    assert set(network.populations) <= set(parser.words)
    assert text.count("data:image/png;base64,") == 8
    assert not re.search(r'(src|href)="(?!data:)', text)  # nothing is fetched
    assert list(target.parent.iterdir()) == [target]


def test_fields_are_shown_once() -> None:
    clock = np.arange(100) * 1e-3
    names = ["a[0]/v", "lfp[0]", "lfp[1]", "dipole/x", "dipole/y", "dipole/z"]
    values = np.random.default_rng(1).normal(0, 1e-3, (6, 100))
    text = page(Results(Traces(clock, values, names, ["V"] * 3 + ["A m"] * 3)))
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert captions == ["recorded quantities over time", "power by frequency",
                        "extracellular potentials, contact by contact", "current dipole moment over time"]  # fmt: skip


def test_statistics_are_those_of_the_spikes() -> None:
    regular = np.arange(10) * 0.1 + 0.05
    trains = SpikeTrains(np.repeat([0, 1], 10), np.tile(regular, 2), {"p": (0, 4)})
    (row,) = statistics(Results(spikes=trains, provenance={"duration": 1.0}))
    assert (row["cells"], row["spikes"]) == (4, 20)
    assert row["rate (Hz)"] == pytest.approx(rates(trains, 1.0).mean()) == pytest.approx(5)
    assert row["CV"] == pytest.approx(0, abs=1e-9)


def test_words_of_a_model_are_escaped_and_emptiness_is_said() -> None:
    text = page(Results(provenance={"model": "<script>alert(1)</script>"}))
    assert "<script" not in text and "&lt;script" in text
    assert "nothing to draw" in text


def test_results_are_read_and_not_run(tmp_path: Path) -> None:
    trains = SpikeTrains(np.array([0]), np.array([0.1]), {"p": (0, 1)})
    write_results(Results(spikes=trains), tmp_path / "s.csv")
    assert main(["report", str(tmp_path / "s.csv"), "-o", str(tmp_path / "s.html")]) == 0
    assert "1 spikes" in (tmp_path / "s.html").read_text()


def test_what_is_neither_results_nor_a_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("words")
    assert main(["report", str(tmp_path / "x.txt"), "-o", str(tmp_path / "x.html")]) == 1
    assert not (tmp_path / "x.html").exists()

"""The progress bar: patient, on terminals only, and gone at the end."""

from __future__ import annotations

import io

import pytest

from nmlbridge.cli import progress
from nmlbridge.cli.progress import ProgressBar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_drawn_in_the_first_second(clock: list[float]) -> None:
    with ProgressBar(Terminal()) as bar:
        for clock[0] in (0.0, 0.5, 0.9):
            bar("simulate", clock[0], 10)
        assert bar.stream.getvalue() == ""


def test_it_draws_after_a_second_and_wipes_itself_away(clock: list[float]) -> None:
    stream = Terminal()
    with ProgressBar(stream) as bar:
        bar("simulate", 0, 10)
        clock[0] = 2.0
        bar("simulate", 5, 10)
    text = stream.getvalue()
    assert "simulate" in text
    assert "50%" in text
    assert "2 s left" in text
    assert text.endswith("\r\x1b[K")


def test_it_does_not_draw_too_often(clock: list[float]) -> None:
    stream = Terminal()
    with ProgressBar(stream) as bar:
        bar("simulate", 0, 1000)
        for step in range(1000):
            clock[0] = 2 + step * 1e-3
            bar("simulate", step, 1000)
    assert stream.getvalue().count("simulate") <= 11


def test_a_file_gets_nothing(clock: list[float]) -> None:
    stream = io.StringIO()
    with ProgressBar(stream) as bar:
        bar("simulate", 0, 10)
        clock[0] = 5.0
        bar("simulate", 5, 10)
    assert stream.getvalue() == ""

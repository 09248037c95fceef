"""A bar on the terminal for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_WIDTH = 30
_PATIENCE = 1.0  # seconds before anything is drawn
_REFRESH = 0.1  # seconds between drawings


class ProgressBar:
    """Called as progress(phase, done, total); draws on a terminal only, and wipes itself away at the end.

    A total of 0 means that nobody knows how long it will take.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.phase = ""
        self.began = self.drawn = time.monotonic()
        self.visible = False

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *fault: object) -> None:
        if self.visible:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self.visible = False

    def __call__(self, phase: str, done: float = 0, total: float = 0) -> None:
        """Show how far a phase has come."""
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.began = phase, now
            if not self.visible:
                self.drawn = now
        if not self.stream.isatty() or now - self.began < _PATIENCE or now - self.drawn < _REFRESH:
            return
        self.drawn, self.visible = now, True
        self.stream.write(f"\r\x1b[K{self._text(now, done, total)}")
        self.stream.flush()

    def _text(self, now: float, done: float, total: float) -> str:
        spent = now - self.began
        if total <= 0:
            return f"{self.phase:12} {spent:.0f} s"
        fraction = min(max(done / total, 0.0), 1.0)
        filled = round(fraction * _WIDTH)
        left = f", {spent / fraction - spent:.0f} s left" if fraction > 0.02 else ""
        return f"{self.phase:12} [{'#' * filled}{'.' * (_WIDTH - filled)}] {fraction:4.0%} {spent:.0f} s{left}"

"""A closed loop: the slice of 15_epilepsy with weak inhibition is watched as it runs; a seizure that begins is stopped.

    python stop_a_wave.py

After every 2 ms the spikes of the last 2 ms are counted. Where they are many, inhibition gets its full strength back,
and the wave ends before it has crossed the slice.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nmlbridge

MODEL = Path(__file__).resolve().parent.parent / "15_epilepsy" / "slice.yaml"
WINDOW = 2.0  # ms
MANY = 10  # spikes in the window


class Guard:
    """Called by the session; remembers when it acted (ms)."""

    def __init__(self) -> None:
        self.acted: float | None = None

    def __call__(self, session: nmlbridge.Session) -> None:
        recent = session.spikes.of("E") > (session.t - WINDOW) * 1e-3
        if self.acted is None and recent.sum() > MANY:
            session.set_weights("inhibition_", 4)
            self.acted = session.t


def main() -> tuple[int, int, float | None]:
    """Cells that fire without the guard and with it, and when it acted."""
    guard = Guard()
    with nmlbridge.build(MODEL, inhibition=0.1).session() as session:
        free = session.run()
        guarded = session.run(every=WINDOW, call=guard)
    counts = [len(set(results.spikes.gid[results.spikes.gid < 400].tolist())) for results in (free, guarded)]
    return counts[0], counts[1], guard.acted


if __name__ == "__main__":
    free, guarded, acted = main()
    sys.stdout.write(f"{free} of 400 cells fire; {guarded} where inhibition comes back at {acted} ms\n")

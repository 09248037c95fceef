"""Random numbers of mechanisms that have no RANDOM of their own: a Random of NEURON's, which is handed to them.

Mod files that descend from NEURON's netstim.mod take one by their PROCEDURE ``noiseFromRandom``, and draw from it
numbers of an exponential distribution with the mean 1.
"""

from __future__ import annotations

from typing import Any

PROCEDURE = "noiseFromRandom"
"""what takes the Random; stands for the name of a RANDOM variable in a Program"""


class Handed:
    """A Random123 stream as a mechanism draws from it, with the words of a RANDOM variable."""

    def __init__(self, h: Any, member: Any, ids: tuple[int, int, int]) -> None:
        self.random = h.Random()
        self.random.Random123(*ids)
        self.random.negexp(1)  # which draws a number
        self.begin = float(self.random.seq())
        getattr(member, PROCEDURE)(self.random)

    def get_seq(self) -> float:
        """How many numbers were drawn."""
        return float(self.random.seq()) - self.begin

    def set_seq(self, position: float) -> None:
        """As if so many numbers had been drawn."""
        self.random.seq(self.begin + position)


def stream_of(h: Any, member: Any, name: str, ids: tuple[int, int, int]) -> Any:
    """A stream at its beginning, of the RANDOM variable ``name`` or handed over by PROCEDURE."""
    if name == PROCEDURE:
        return Handed(h, member, ids)
    # set_ids keeps the numbers already drawn for the old ids; set_seq draws anew
    return getattr(member, name).set_ids(*ids).set_seq(0)

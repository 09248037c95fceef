"""How a network is lowered and run, in NEURON's units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How to run: times in ms. ``second_order`` None means the best that the model allows.

    ``v_init`` (mV) is where native cells start that say nothing else (None: -65); one step in ``record_every`` is kept.
    ``compat`` asks for the compatibility scheme: first order, explicit, as jNeuroML's generated code.
    """

    dt: float
    duration: float
    seed: int = 1
    second_order: int | None = None
    cvode: dict[str, float] | None = None
    compat: bool = False
    coreneuron: bool = False
    v_init: float | None = None
    record_every: int = 1

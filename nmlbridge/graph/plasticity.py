"""Plasticity that depends on the times of spikes on both sides of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Stdp:
    """Pairs of spikes change a weight w between ``w_min`` and ``w_max`` (Song et al. 2000, Nature Neurosci. 3:919).

    Each side keeps a trace, which a spike raises by 1 (sets to 1 if only ``nearest`` spikes make pairs) and which
    decays with ``tau_plus`` or ``tau_minus`` (ms). A postsynaptic spike adds a_plus w_max (1 - w / w_max)^mu times the
    presynaptic trace; the arrival of a presynaptic spike takes away a_minus w_max (w / w_max)^mu times the
    postsynaptic one, and then acts with the weight that is left. A spike that arrives at the time of a postsynaptic
    one counts as before it. ``mu`` 0 is the additive rule, 1 the multiplicative one (Guetig et al. 2003,
    J. Neurosci. 23:3697).
    """

    tau_plus: float = 20.0
    tau_minus: float = 20.0
    a_plus: float = 0.01
    a_minus: float = 0.0105
    w_min: float = 0.0
    w_max: float = 1.0
    mu: float = 0.0
    nearest: bool = False

    def stated(self) -> dict[str, Any]:
        """What a Program says of the rule."""
        return {"parameters": {each.name: float(getattr(self, each.name)) for each in fields(self)}}


@dataclass(frozen=True)
class Adjuster:
    """A point process of a mod file, one for each connection, adjusts the weight that its ``pointer`` leads to.

    It stands at the beginning of the section that the synapse is on, and is told of presynaptic spikes by events of the
    weight 1, of postsynaptic ones by events of the weight -1, each 1 ms after the spike.
    """

    mechanism: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    pointer: str = "synweight"

    def stated(self) -> dict[str, Any]:
        """What a Program says of the rule."""
        return {"parameters": dict(self.parameters), "mechanism": self.mechanism, "pointer": self.pointer}

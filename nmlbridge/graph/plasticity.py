"""Plasticity that depends on the times of spikes on both sides of a connection."""

from __future__ import annotations

from dataclasses import dataclass, fields


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

    def parameters(self) -> dict[str, float]:
        """All parameters as numbers."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}

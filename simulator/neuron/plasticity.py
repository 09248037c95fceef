"""Lowering of plastic connections: what may be plastic, the mechanism, and the weights that are recorded.

A weight is the quantity ``weights/EE[3]``: of row 3 of the projection EE.
"""

from __future__ import annotations

import re

from ...errors import UnsupportedError
from ...graph import Adjuster, Network, Projection, Stdp
from ...nmodl.files import mechanism_of
from ...results.outputs import Place
from .plastic import MECHANISM, MOD
from .recordings import Recording

_WEIGHT = re.compile(r"^weights/(?P<projection>[^\[\]/]+)\[(?P<row>\d+)\]$")


def may_be_plastic(projection: Projection, network: Network, adds_up: bool) -> None:
    """UnsupportedError for plastic connections whose weights nothing could change."""
    if projection.plasticity is None:
        return
    if projection.kind != "chemical" or len(projection.synapses) != 1:
        raise UnsupportedError(f"the plastic projection '{projection.id}' needs one kind of chemical synapse")
    rule = projection.plasticity
    if isinstance(rule, Adjuster) and rule.mechanism not in map(mechanism_of, network.mods.values()):
        raise UnsupportedError(f"the plastic projection '{projection.id}' needs the mod file of '{rule.mechanism}'; "
                               "mod files beside a model are taken with --allow-mods")  # fmt: skip
    if adds_up:
        raise UnsupportedError(f"the plastic projection '{projection.id}' leads to cells that sum what is attached to "
                               "them by themselves; their weights cannot change")  # fmt: skip


def plastic_mods(network: Network) -> dict[str, str]:
    """The mechanism that plastic connections need, if there are any."""
    some = any(isinstance(projection.plasticity, Stdp) for projection in network.projections)
    return {f"{MECHANISM}.mod": MOD} if some else {}


def weight_of(quantity: str, network: Network, where: Place) -> Recording | None:
    """How to record the weight of a plastic connection; None for another kind of quantity."""
    match = _WEIGHT.match(quantity)
    if match is None:
        return None
    projection = next((p for p in network.projections if p.id == match["projection"]), None)
    if projection is None or projection.plasticity is None:
        known = [p.id for p in network.projections if p.plasticity is not None]
        raise where.error(f"'{match['projection']}' is no plastic projection; there are {', '.join(known) or 'none'}")
    row = int(match["row"])
    if row >= len(projection):
        raise where.error(f"the projection '{projection.id}' has {len(projection)} connections; there is no {row}")
    gid = network.populations[projection.postsynaptic].offset + int(projection.post[row])
    return Recording(quantity, "", lambda: {"gid": gid, "plastic": projection.id, "row": row, "variable": "w"})

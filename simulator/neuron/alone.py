"""One cell on its own, with the events that the rest of its network sent it: a network clamp.

The tables of the Program are those of the whole network, so that parameters, random streams and the order of things are
the same; but only rows of this cell are made, and the cells that send events to it are sources that replay theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..program import Program
from .ranks import Placement
from .shares import Shares, divide

if TYPE_CHECKING:
    from .build import Network


def alone_share(program: Program) -> Shares:
    """The cell on this process, all others where no process is."""
    size = max(each["first_gid"] + each["size"] for each in program.spec["populations"])
    homes = np.ones(size, np.uint16)
    homes[program.spec["alone"]["gid"]] = 0
    shares = divide(program, 2, Placement(program, 2, homes))
    return Shares(shares.placement, {name: table for name, table in shares.tables.items() if name != "mirrored"})


def replay(network: Network, spec: Mapping[str, Any]) -> None:
    """Sources in place of the cells that send events; they send again what these sent, in the same order."""
    h, pc, column = network.h, network.pc, network.program.column
    heads = [
        column(group["source_gid"])[rows]
        for number, group in enumerate(network.program.spec.get("netcons", ()))
        for rows in network.shares.rows("netcons", number, len(column(group["source_gid"])), 0)
    ]
    wanted = np.setdiff1d(np.concatenate(heads) if heads else np.zeros(0, np.int64), [spec["gid"]])
    stims = {}
    for gid in wanted.tolist():
        stim = h.NetStim()
        stim.number, stim.start, stim.noise = 1, -1, 0  # at rest it sends one event for each that it gets
        pc.set_gid2node(gid, network.rank)
        pc.cell(gid, h.NetCon(stim, None))
        told = h.NetCon(None, stim)
        told.weight[0] = 1
        network.further.append(told)
        stims[gid] = (stim, told)
    gids, times = column(spec["gids"]), column(spec["times"])
    mine = np.isin(gids, wanted)

    def start() -> None:
        for gid, time in zip(gids[mine].tolist(), times[mine].tolist(), strict=True):
            stims[gid][1].event(time)

    network.handlers.append(h.FInitializeHandler(1, start))

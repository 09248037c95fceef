"""Plastic connections: an artificial cell in each of them passes events on and adjusts the weight that they act with.

It gets the presynaptic spikes, with the connection's delay, and the spikes of the postsynaptic cell, which is on the
same rank. The weight is in the NetCon from it to the synapse, or a parameter of the synapse. It sends an event only
after it has adjusted the weight, so that no order of events of one time matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError

if TYPE_CHECKING:
    from .build import Network

Ints = NDArray[np.int64]
MECHANISM = "NmlbridgeStdp"
BACK = 1e-6  # ms: postsynaptic spikes come after presynaptic ones of the same time
MOD = """NEURON {
    ARTIFICIAL_CELL NmlbridgeStdp
    RANGE w, w0, w_min, w_max, a_plus, a_minus, tau_plus, tau_minus, mu, nearest
    POINTER target
}

PARAMETER {
    w0 = 1
    w_min = 0
    w_max = 1
    a_plus = 0.01
    a_minus = 0.0105
    tau_plus = 20
    tau_minus = 20
    mu = 0
    nearest = 0
}

ASSIGNED {
    w
    target
    before
    after
    tbefore
    tafter
}

INITIAL {
    w = w0
    target = w
    before = 0
    after = 0
    tbefore = 0
    tafter = 0
}

NET_RECEIVE(weight, back) {
    INITIAL {
    }
    if (back == 0) {
        w = w - a_minus * w_max * pow(w / w_max, mu) * after * exp(-(t - tafter) / tau_minus)
        if (w < w_min) {
            w = w_min
        }
        target = w
        net_event(t)
        before = before * exp(-(t - tbefore) / tau_plus) + 1
        if (nearest) {
            before = 1
        }
        tbefore = t
    } else {
        w = w + a_plus * w_max * pow(1 - w / w_max, mu) * before * exp(-(t - tbefore) / tau_plus)
        if (w > w_max) {
            w = w_max
        }
        target = w
        after = after * exp(-(t - tafter) / tau_minus) + 1
        if (nearest) {
            after = 1
        }
        tafter = t
    }
}
"""


class Plastic:
    """The adjusters of one group of connections, by their row; to be made before the connections."""

    def __init__(self, network: Network, spec: Mapping[str, Any], homes: Ints) -> None:
        """``homes`` are the gids of the cells that the connections of ``spec`` lead to."""
        self.network, self.homes = network, homes
        self.entries: Sequence[Mapping[str, Any]] = spec["plastic"]
        self.weights = network.program.column(spec["weight"] if "start" not in spec else spec["start"])
        for entry in self.entries:
            silent = network.silent(homes[entry["begin"] : entry["end"]])
            if len(silent):
                id = entry["id"]
                raise SimulatorError(f"the plastic connections '{id}' lead to cell {silent[0]}, which sends no spikes")
            network.adjusters[entry["id"]] = {}

    def through(self, rows: Ints, connect: Callable[[int, Any], Any]) -> Callable[[int, Any], Any]:
        """As ``connect``, called for each of ``rows`` in turn, with an adjuster between where the row has one."""
        places: Iterator[int] = iter(rows.tolist())

        def connected(head: int, target: Any) -> Any:
            row = next(places)
            for entry in self.entries:
                if entry["begin"] <= row < entry["end"]:
                    return self._adjusted(entry, row, head, target, connect)
            return connect(head, target)

        return connected

    def _adjusted(
        self, entry: Mapping[str, Any], row: int, head: int, target: Any, connect: Callable[[int, Any], Any]
    ) -> Any:
        network, h = self.network, self.network.h
        adjuster = getattr(h, MECHANISM)()
        for name, value in entry["parameters"].items():
            setattr(adjuster, name, value)
        adjuster.w0 = float(self.weights[row])
        arrival = connect(head, adjuster)
        onward = h.NetCon(adjuster, target)
        onward.delay, onward.weight[0] = 0, 1
        place = onward._ref_weight[0] if entry["variable"] is None else getattr(target, f"_ref_{entry['variable']}")
        h.setpointer(place, "target", adjuster)
        back = network.pc.gid_connect(int(self.homes[row]), adjuster)
        back.delay, back.weight[1] = BACK, 1
        network.further.append(onward)
        network.further.append(back)
        network.adjusters[entry["id"]][row - entry["begin"]] = adjuster
        return arrival

"""Plastic connections: an artificial cell in each of them passes events on and adjusts the weight that they act with.

It gets the presynaptic spikes, with the connection's delay, and the spikes of the postsynaptic cell, which is on the
same rank. The weight is in the NetCon from it to the synapse, or a parameter of the synapse. It sends an event only
after it has adjusted the weight, so that no order of events of one time matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ...nmodl.files import mechanism_of, used
from ...nmodl.header import without_comments

if TYPE_CHECKING:
    from .build import Network

Ints = NDArray[np.int64]
MECHANISM = "NmlbridgeStdp"
BACK = 1e-6  # ms: postsynaptic spikes come after presynaptic ones of the same time
LATER = 1e-9
"""ms: on one rank the spikes of one step arrive in the order of their cells; on several, those of a rank's own cells
would come before all others, so the one that comes second says so. Mechanisms that compare times to tell spikes of one
step apart do not care for their order, and need the times as they are."""
_COMPARED = re.compile(r"[!=]=\s*\(?\s*t\b|\bt\b(\s*[-+]\s*[\d.]+)?\s*\)?\s*[!=]=")
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
        names = {entry["mechanism"] for entry in self.entries if "mechanism" in entry}
        self.exact = {mechanism_of(text) for text in used(network.program.mods, names).values()
                      if _COMPARED.search(without_comments(text))}  # fmt: skip
        self.given: list[Given] = []
        if any("mechanism" in entry for entry in self.entries):
            network.handlers.append(network.h.FInitializeHandler(3, self._again))

    def _again(self) -> None:
        """Every run begins with the weights as they were stated."""
        for one in self.given:
            one.w = one.w0

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
        if "mechanism" in entry:
            return self._as_given(entry, row, head, target, connect)
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

    def _as_given(
        self, entry: Mapping[str, Any], row: int, head: int, target: Any, connect: Callable[[int, Any], Any]
    ) -> Any:
        """A connection whose weight a process of the model's own mod file adjusts."""
        network, name = self.network, entry["mechanism"]
        netcon = connect(head, target)
        try:
            adjuster = getattr(network.h, name)(target.get_segment().sec(0.0))
            for word, value in entry["parameters"].items():
                setattr(adjuster, word, value)
            before = network.pc.gid_connect(head, adjuster)
            after = network.pc.gid_connect(int(self.homes[row]), adjuster)
            before.delay = 1.0
            after.delay = 1.0 + (LATER if head < int(self.homes[row]) and name not in self.exact else 0.0)
            before.weight[0], after.weight[0] = 1.0, -1.0
            network.h.setpointer(netcon._ref_weight[0], entry["pointer"], adjuster)
        except (AttributeError, LookupError, TypeError) as fault:
            raise SimulatorError(f"the plastic connections '{entry['id']}': the mechanism '{name}' cannot adjust them: "
                                 f"{fault}") from None  # fmt: skip
        network.further.append(before)
        network.further.append(after)
        made = Given(netcon, adjuster, float(self.weights[row]))
        self.given.append(made)
        network.adjusters[entry["id"]][row - entry["begin"]] = made
        return netcon


class Given:
    """The weight of a connection that a mod file of the model adjusts, by the names that our own rule has."""

    def __init__(self, netcon: Any, adjuster: Any, start: float) -> None:
        self.netcon, self.adjuster, self.w0 = netcon, adjuster, start

    @property
    def w(self) -> float:
        """The weight as it is now."""
        return float(self.netcon.weight[0])

    @w.setter
    def w(self, value: float) -> None:
        self.netcon.weight[0] = value

    target = w

    @property
    def _ref_w(self) -> Any:
        return self.netcon._ref_weight[0]

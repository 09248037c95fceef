"""``plast`` of connections: a mechanism of the model that adjusts their weights.

Written, our own rule becomes such a mechanism. NetPyNE tells it of spikes on both sides 1 ms after each, whatever the
delay of the connection; so it takes them in the order in which they count, 1 ms late.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import NetworkError
from ...graph import Adjuster
from ...nmodl.files import mechanism_of
from ...report import Report
from .sections import number

WIRED = "STDP"
"""the one mechanism that NetPyNE tells of spikes and leads to a weight"""

POINTER = "synweight"
"""the pointer of it that NetPyNE sets"""

MOD = """: pairs of spikes change a weight (Song et al. 2000), each change 1 ms after it counts
NEURON {
    POINT_PROCESS STDP
    POINTER synweight
    RANGE w_min, w_max, a_plus, a_minus, tau_plus, tau_minus, mu, nearest, delay
}

PARAMETER {
    w_min = 0
    w_max = 1
    a_plus = 0.01
    a_minus = 0.0105
    tau_plus = 20
    tau_minus = 20
    mu = 0
    nearest = 0
    delay = 1 : of the connection; an event of a spike before it comes 1 ms after the spike
}

ASSIGNED {
    synweight
    before
    after
    tbefore
    tafter
}

INITIAL {
    before = 0
    after = 0
    tbefore = 0
    tafter = 0
}

BREAKPOINT {
}

NET_RECEIVE(side) {
    if (flag == 0 && side > 0) {
        net_send(delay, 1)
    } else if (flag == 0) {
        net_send(1e-6, 2) : after spikes before it of the same time
    } else if (flag == 1) {
        synweight = synweight - a_minus * w_max * pow(synweight / w_max, mu) * after * exp((tafter - t) / tau_minus)
        if (synweight < w_min) {
            synweight = w_min
        }
        before = before * exp(-(t - tbefore) / tau_plus) + 1
        if (nearest) {
            before = 1
        }
        tbefore = t
    } else {
        synweight = synweight + a_plus * w_max * pow(1 - synweight / w_max, mu) * before * exp((tbefore - t) / tau_plus)
        if (synweight > w_max) {
            synweight = w_max
        }
        after = after * exp(-(t - tafter) / tau_minus) + 1
        if (nearest) {
            after = 1
        }
        tafter = t
    }
}
"""


def adjuster_of(spec: Any, where: str, file: str | None, report: Report) -> Adjuster | None:
    """The process that a ``plast`` states; None, noted, for one that changes nothing in NetPyNE either."""
    if not spec:
        return None
    if not isinstance(spec, Mapping) or not isinstance(spec.get("mech"), str):
        raise NetworkError(f"{where}.plast: expected a mech and params", file=file)
    if spec["mech"] != WIRED:
        report.add("netpyne-plasticity", "approximation", f"{where}.plast: as in NetPyNE, '{spec['mech']}' changes "
                   f"nothing; only the mechanism '{WIRED}' is told of spikes", file=file)  # fmt: skip
        return None
    given = spec.get("params") or {}
    if not isinstance(given, Mapping):
        raise NetworkError(f"{where}.plast: params must be an object", file=file)
    return Adjuster(WIRED, {name: number(value, where, f"plast {name}", file) for name, value in given.items()})


def adjusters_of(rules: Mapping[str, Mapping[str, Any]], file: str | None, report: Report) -> dict[str, Adjuster]:
    """Those of connParams, by label."""
    found = {}
    for label, rule in rules.items():
        adjuster = adjuster_of(rule.get("plast"), f"connParams.{label}", file, report)
        if adjuster is not None:
            found[label] = adjuster
        if rule.get("plasticity"):
            report.add("netpyne-plasticity", "approximation", f"connParams.{label}: as in NetPyNE 1.1, 'plasticity' "
                       "changes nothing; the word that it reads is 'plast'", file=file)  # fmt: skip
    return found


def plast_of(
    rule: Mapping[str, Any], delay: float, mods: dict[str, str], report: Report, id: str
) -> dict[str, Any] | None:  # fmt: skip
    """The ``plast`` of a connection for what ``stated`` says of an Stdp or Adjuster; None, noted, if there is none.

    The mod file of our own rule is put into ``mods``.
    """
    theirs = any(text != MOD and mechanism_of(text) == WIRED for text in mods.values())
    if "mechanism" in rule:
        if (rule["mechanism"], rule["pointer"]) == (WIRED, POINTER):
            return {"mech": WIRED, "params": dict(rule["parameters"])}
        report.add("netpyne-plasticity", "loss", f"its plasticity is left out: NetPyNE tells the mechanism {WIRED} of "
                   "spikes, and no other", component=id)  # fmt: skip
        return None
    if theirs:
        report.add("netpyne-plasticity", "loss", f"its plasticity is left out: the model has a mechanism {WIRED} "
                   "already, and NetPyNE tells no other of spikes", component=id)  # fmt: skip
        return None
    mods[f"{WIRED}.mod"] = MOD
    report.add("netpyne-plasticity", "approximation", "NetPyNE tells of spikes 1 ms late: events act with the weight "
               "of 1 ms before", component=id)  # fmt: skip
    return {"mech": WIRED, "params": dict(rule["parameters"]) | {"delay": delay}}

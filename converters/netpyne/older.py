"""NetStims as NEURON 8 and older had them, for results of that time.

With noise they drew from a Random that NetPyNE had made exponential, by which it draws a number; so they began with the
second number of their streams. NEURON 9 begins at the beginning.
"""

from __future__ import annotations

from dataclasses import replace

from ...graph import NativeProcess, Network

MECHANISM = "NetStimOfNeuron8"
MOD = """: sends events at intervals with noise, as NEURON's NetStim does, from the second number of its stream on
NEURON {
    ARTIFICIAL_CELL NetStimOfNeuron8
    RANGE interval, number, start, noise
    RANDOM ranvar
}

PARAMETER {
    interval = 10 (ms)
    number = 10
    start = 50 (ms)
    noise = 0
}

ASSIGNED {
    sent
}

INITIAL {
    LOCAL first
    random_setseq(ranvar, 1)
    sent = 0
    if (start >= 0 && number > 0) {
        first = start + next() - interval * (1 - noise)
        if (first < 0) {
            first = 0
        }
        net_send(first, 1)
    }
}

NET_RECEIVE(w) {
    LOCAL pause
    if (flag == 1) {
        sent = sent + 1
        net_event(t)
        pause = next()
        if (sent < number) {
            net_send(pause, 1)
        }
    }
}

FUNCTION next() (ms) {
    LOCAL mean
    mean = interval
    if (mean <= 0) {
        mean = 0.01
    }
    if (noise > 0) {
        next = (1 - noise) * mean + noise * mean * random_negexp(ranvar, 1)
    } else {
        next = mean
    }
}
"""


def as_older(network: Network) -> None:
    """Let all NetStims of a network begin with the second number of their streams."""
    found = {id: part for id, part in network.native.items()
             if isinstance(part, NativeProcess) and part.mechanism == "NetStim"}  # fmt: skip
    if found:
        network.native.update({id: replace(part, mechanism=MECHANISM) for id, part in found.items()})
        network.mods[f"{MECHANISM}.mod"] = MOD

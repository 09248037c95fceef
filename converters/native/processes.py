"""Point processes and artificial cells of NEURON as NeuroML components, with their parameters in the same law.

A weight of NEURON is a conductance in uS, so synapses get a gbase of 1 uS and connections keep their weights. What
NeuroML has no type for gets one of our own (``types.py``). Source: the mod files of NEURON 9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, log, prod

from ...element import Element
from ...errors import UnsupportedError
from .elements import element, number, quantity
from .types import TYPES

Parameters = Mapping[str, float]
LONG = 1000
"""how many events of a regular NetStim are written out one by one"""
FOREVER = 1e8
"""a NetStim of so many events is one that does not end"""


def _exp_syn(id: str, p: Parameters) -> Element:
    return element("expOneSynapse", id=id, gbase="1 uS", erev=quantity(p["e"], "mV"),
                   tauDecay=quantity(p["tau"], "ms"))  # fmt: skip


def _exp2_syn(id: str, p: Parameters) -> Element:
    rise, decay = p["tau1"], p["tau2"]
    # as Exp2Syn itself does where the two are too close, or too far apart, for its formula
    if rise / decay > 0.9999:
        rise = 0.9999 * decay
    if rise / decay < 1e-9:
        rise = decay * 1e-9
    return element("expTwoSynapse", id=id, gbase="1 uS", erev=quantity(p["e"], "mV"), tauRise=quantity(rise, "ms"),
                   tauDecay=quantity(decay, "ms"))  # fmt: skip


def _clamp(id: str, p: Parameters) -> Element:
    return element("pulseGenerator", id=id, delay=quantity(p["delay"], "ms"), duration=quantity(p["dur"], "ms"),
                   amplitude=quantity(p["amp"], "nA"))  # fmt: skip


def _voltage_clamp(id: str, p: Parameters) -> Element:
    times = {f"dur{n}": quantity(p[f"dur{n}"], "ms") for n in (1, 2, 3)}
    levels = {f"amp{n}": quantity(p[f"amp{n}"], "mV") for n in (1, 2, 3)}
    return element("seClamp", id=id, **times, **levels, rs=quantity(p["rs"], "Mohm"))


def _alpha(id: str, p: Parameters) -> Element:
    return element("alphaConductance", id=id, onset=quantity(p["onset"], "ms"), tau=quantity(p["tau"], "ms"),
                   gmax=quantity(p["gmax"], "uS"), erev=quantity(p["e"], "mV"))  # fmt: skip


def net_stim(id: str, p: Parameters) -> Element:
    """NetStim: the type of NeuroML that sends the same, else our own."""
    interval, start, count = p["interval"], p["start"], p["number"]
    noise = min(max(p["noise"], 0.0), 1.0)
    interval = interval if interval > 0 else 0.01  # as NetStim itself does
    if count <= 0 or start < 0:
        return spike_array(id, ())
    if noise == 0 and count <= LONG:
        return spike_array(id, [start + n * interval for n in range(int(count))])
    if noise == 0 and count >= FOREVER and start == interval:
        return element("spikeGenerator", id=id, period=quantity(interval, "ms"))
    if noise == 1 and count >= FOREVER and start == 0:
        return element("spikeGeneratorPoisson", id=id, averageRate=quantity(1000.0 / interval, "Hz"))
    return element("netStim", id=id, interval=quantity(interval, "ms"), start=quantity(start, "ms"),
                   number=number(count), noise=number(noise))  # fmt: skip


def spike_array(id: str, times: Sequence[float]) -> Element:
    """A source that sends at given times (ms)."""
    return element("spikeArray", [element("spike", id=str(n), time=quantity(t, "ms")) for n, t in enumerate(times)],
                   id=id)  # fmt: skip


def _int_fire1(id: str, p: Parameters) -> Element:
    return element("intFire1", id=id, tau=quantity(p["tau"], "ms"), refrac=quantity(p["refrac"], "ms"))


def _int_fire2(id: str, p: Parameters) -> Element:
    return element("intFire2", id=id, taum=quantity(p["taum"], "ms"), taus=quantity(p["taus"], "ms"),
                   ib=number(p["ib"]))  # fmt: skip


def _int_fire4(id: str, p: Parameters) -> Element:
    times = dict(zip(("taue", "taui1", "taui2", "taum"), int_fire4_times(p), strict=True))
    return element("intFire4", id=id, **{name: quantity(value, "ms") for name, value in times.items()})


def int_fire4_times(p: Parameters) -> tuple[float, float, float, float]:
    """taue, taui1, taui2, taum (ms) in the order and at the distances that IntFire4 brings them to."""
    least = 0.01  # taueps there
    e, i1, i2, m = (max(p[name], n * least) for name, n in (("taue", 2), ("taui1", 3), ("taui2", 4), ("taum", 1)))
    i1, i2 = min(i1, i2), max(i1, i2)
    e, i1 = min(e, i2 - least), min(i1, i2 - least)
    if abs(m - i2) < least:
        m = i2 + least if m > i2 else i2 - least
    for other in sorted((e, i1), reverse=True):
        m = other - least if abs(m - other) < least else m
    return e, i1, i2, m


def int_fire4_arrival(id: str, given: Parameters, excites: bool) -> Element:
    """What an event of either sign to an IntFire4 goes through: the current that it makes, so scaled that a weight of 1
    moves m by 1 at most, and a weight of -1 the inhibitory current and m by -1."""
    e, i1, i2, m = int_fire4_times({**SOURCES["IntFire4"][1], **given})
    ke, k1, k2, km = 1 / e, 1 / i1, 1 / i2, 1 / m

    def summit(a: float, b: float) -> float:
        """The maximum of exp(-b t) - exp(-a t), of either sign."""
        at = log(b / a) / (b - a)
        return exp(-b * at) - exp(-a * at)

    if excites:
        scale = (ke - km) / summit(ke, km)
        return element("intFire4Excitation", id=id, taue=quantity(e, "ms"), scale=number(scale))
    gain = (k1 - k2) / summit(k1, k2)

    def response(t: float) -> float:
        """m after an event of -1, of the opposite sign, before it is scaled."""
        parts = (k1, k2, km)
        return gain * sum(exp(-k * t) / prod(j - k for j in parts if j != k) for k in parts)

    low, high = 0.0, 20 * max(i1, i2, m)
    for _ in range(200):  # it has one summit: thirds of the interval that has it are left out in turn
        first, second = low + (high - low) / 3, high - (high - low) / 3
        low, high = (first, high) if response(first) < response(second) else (low, second)
    return element("intFire4Inhibition", id=id, taui1=quantity(i1, "ms"), taui2=quantity(i2, "ms"),
                   gain=number(gain), scale=number(1 / response((low + high) / 2)))  # fmt: skip


def arrival(id: str) -> Element:
    """What an event to an IntFire1 or IntFire2 goes through: a jump by its weight, of which the cell makes its own."""
    return element("instantaneousSynapse", id=id, ibase="1 nA")


Maker = Callable[[str, Parameters], Element]
SYNAPSES: Mapping[str, tuple[Maker, Parameters]] = {
    "ExpSyn": (_exp_syn, {"tau": 0.1, "e": 0.0}),
    "Exp2Syn": (_exp2_syn, {"tau1": 0.1, "tau2": 10.0, "e": 0.0}),
}
INPUTS: Mapping[str, tuple[Maker, Parameters]] = {
    "IClamp": (_clamp, {"delay": 0.0, "dur": 0.0, "amp": 0.0}),
    "SEClamp": (_voltage_clamp, {"dur1": 0.0, "dur2": 0.0, "dur3": 0.0, "amp1": 0.0, "amp2": 0.0, "amp3": 0.0,
                                 "rs": 1.0}),
    "AlphaSynapse": (_alpha, {"onset": 0.0, "tau": 0.1, "gmax": 0.0, "e": 0.0}),
}  # fmt: skip
SOURCES: Mapping[str, tuple[Maker, Parameters]] = {
    "NetStim": (net_stim, {"interval": 10.0, "number": 10.0, "start": 50.0, "noise": 0.0}),
    "IntFire1": (_int_fire1, {"tau": 10.0, "refrac": 5.0}),
    "IntFire2": (_int_fire2, {"taum": 10.0, "taus": 20.0, "ib": 0.0}),
    "IntFire4": (_int_fire4, {"taue": 5.0, "taui1": 10.0, "taui2": 20.0, "taum": 50.0}),
}
"""maker and NEURON's defaults of what is known, by its name in NEURON"""
TABLES = {"synapse": SYNAPSES, "input": INPUTS, "source": SOURCES}
_ALIASES = {"del": "delay"}


def known(kind: str, mechanism: str) -> bool:
    """Whether a process has a counterpart. ``kind`` as in NativeProcess."""
    return mechanism in TABLES.get(kind, {}) or (kind == "source" and mechanism == "VecStim")


def component(kind: str, mechanism: str, id: str, given: Parameters) -> Element:
    """The component that equals a process. Raises UnsupportedError for a parameter that has no counterpart."""
    make, defaults = TABLES[kind][mechanism]
    values = {_ALIASES.get(name, name): value for name, value in given.items()}
    odd = sorted(set(values) - set(defaults))
    if odd:
        raise UnsupportedError(f"the parameter '{odd[0]}' of {mechanism} has no counterpart in NeuroML")
    return make(id, {**defaults, **values})


def own_types(components: Sequence[Element]) -> list[Element]:
    """The ComponentTypes that are not NeuroML's own, as far as ``components`` use them."""
    return [TYPES[tag]() for tag in dict.fromkeys(c.tag for c in components) if tag in TYPES]

"""ComponentTypes for processes of NEURON that NeuroML has no type for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...element import Element
from ..sonata.models import component_type
from .elements import element


def _parameters(**dimensions: str) -> list[Element]:
    return [element("Parameter", name=name, dimension=dimension) for name, dimension in dimensions.items()]


def _set(variable: str, value: str) -> Element:
    return element("StateAssignment", variable=variable, value=value)


def _net_stim() -> Element:
    wait = "interval * (1 - noise + noise * (-1) * ln(random(1)))"
    dynamics = element("Dynamics", [
        element("StateVariable", name="tsince", dimension="time", exposure="tsince"),
        element("StateVariable", name="tnext", dimension="time"),
        element("StateVariable", name="left", dimension="none"),
        element("TimeDerivative", variable="tsince", value="1"),
        element("OnStart", [
            _set("tsince", "0"), _set("left", "number"),
            _set("tnext", "start + interval * noise * (-1) * ln(random(1))"),
        ]),
        element("OnCondition", [
            _set("left", "left - 1"), _set("tsince", "0"), _set("tnext", f"tnext + {wait}"),
            element("EventOut", port="spike"),
        ], test="t .geq. tnext .and. left .gt. 0"),
    ])  # fmt: skip
    return element("ComponentType", [
        *_parameters(interval="time", start="time", number="none", noise="none"), dynamics,
    ], name="netStim", extends="baseSpikeSource", description="NetStim of NEURON: up to number events from start on, "
        "interval apart, of which the part noise is drawn from an exponential distribution")  # fmt: skip


def _clamp(name: str, description: str, parameters: list[Element], dynamics: list[Element]) -> Element:
    weight = element("Property", name="weight", dimension="none", defaultValue="1")
    return element("ComponentType", [weight, *parameters, element("Dynamics", dynamics)], name=name,
                   extends="baseVoltageDepPointCurrent", description=description)  # fmt: skip


def _se_clamp() -> Element:
    ends = ("dur1", "dur1 + dur2", "dur1 + dur2 + dur3")
    cases = [
        element("Case", condition=f"t .lt. {end}", value=f"weight * (amp{n} - v) / rs") for n, end in enumerate(ends, 1)
    ]
    held = element("ConditionalDerivedVariable", [*cases, element("Case", value="0")], name="i", exposure="i",
                   dimension="current")  # fmt: skip
    times, levels = {f"dur{n}": "time" for n in (1, 2, 3)}, {f"amp{n}": "voltage" for n in (1, 2, 3)}
    return _clamp("seClamp", "SEClamp of NEURON: three voltages in turn, held through a series resistance",
                  _parameters(**times, **levels, rs="resistance"), [held])  # fmt: skip


def _alpha() -> Element:
    rise = "weight * gmax * ((t - onset) / tau) * exp(1 - (t - onset) / tau) * (erev - v)"
    # NEURON ends it after ten time constants
    cases = [element("Case", condition="t .geq. onset .and. t .leq. onset + 10 * tau", value=rise),
             element("Case", value="0")]  # fmt: skip
    current = element("ConditionalDerivedVariable", cases, name="i", exposure="i", dimension="current")
    return _clamp("alphaConductance", "AlphaSynapse of NEURON: one alpha function of conductance",
                  _parameters(onset="time", tau="time", gmax="conductance", erev="voltage"), [current])  # fmt: skip


def _int_fire2() -> Element:
    dynamics = element("Dynamics", [
        element("StateVariable", name="u", dimension="none"), element("StateVariable", name="m", dimension="none",
                                                                      exposure="m"),
        element("DerivedVariable", name="iSyn", exposure="iSyn", dimension="current", select="synapses[*]/i",
                reduce="add"),
        element("DerivedVariable", name="i", dimension="none", value="u + iSyn/UNIT"),
        element("TimeDerivative", variable="u", value="(ib - u - iSyn/UNIT)/taus"),
        element("TimeDerivative", variable="m", value="(u + iSyn/UNIT - m)/taum"),
        element("OnStart", [_set("u", "ib"), _set("m", "0")]),
        element("OnCondition", [_set("m", "0"), element("EventOut", port="spike")], test="m .gt. 1"),
    ])  # fmt: skip
    return element("ComponentType", [
        *_parameters(taum="time", taus="time", ib="none"), element("Constant", name="UNIT", dimension="current",
                                                                   value="1nA"),
        element("Attachments", name="synapses", type_="basePointCurrent"),
        element("Exposure", name="m", dimension="none"), element("Exposure", name="iSyn", dimension="current"),
        dynamics,
    ], name="intFire2", extends="baseSpikingCell", description="IntFire2 of NEURON: i decays to ib with taus, an event "
        "adds its weight to it; m follows i with taum, and above 1 it fires. i is the decaying part of what has "
        "arrived as jumps of a current by 1 nA times the weight.")  # fmt: skip


def _int_fire4() -> Element:
    dynamics = element("Dynamics", [
        element("StateVariable", name="v", dimension="voltage", exposure="v"),
        element("DerivedVariable", name="iSyn", exposure="iSyn", dimension="current", select="synapses[*]/i",
                reduce="add"),
        element("DerivedVariable", name="m", exposure="m", dimension="none", value="v/UNIT"),
        element("TimeDerivative", variable="v", value="iSyn/C - v/taum"),
        element("OnStart", [_set("v", "0")]),
        element("OnCondition", [_set("v", "0"), element("EventOut", port="spike")], test="v .gt. UNIT"),
    ])  # fmt: skip
    return element("ComponentType", [
        *_parameters(taue="time", taui1="time", taui2="time", taum="time"),
        element("Constant", name="UNIT", dimension="voltage", value="1mV"),
        element("Constant", name="C", dimension="capacitance", value="1nF"),
        element("Attachments", name="synapses", type_="basePointCurrent"),
        element("Exposure", name="m", dimension="none"), element("Exposure", name="iSyn", dimension="current"),
        dynamics,
    ], name="intFire4", extends="baseCellMembPot", description="IntFire4 of NEURON: m, a potential v in mV, "
        "follows with taum the currents of intFire4Excitation and intFire4Inhibition; above 1 it fires.")  # fmt: skip


def _arriving(name: str, parameters: list[Element], dynamics: list[Element], description: str) -> Element:
    weight = element("Property", name="weight", dimension="none", defaultValue="1")
    unit = element("Constant", name="UNIT", dimension="current", value="1nA")
    return element("ComponentType", [weight, *parameters, unit, element("Dynamics", dynamics)], name=name,
                   extends="baseCurrentBasedSynapse", description=description)  # fmt: skip


def _excitation() -> Element:
    return _arriving("intFire4Excitation", _parameters(taue="time", scale="none"), [
        element("StateVariable", name="e", dimension="none"),
        element("DerivedVariable", name="i", exposure="i", dimension="current", value="scale*e*UNIT"),
        element("TimeDerivative", variable="e", value="-e/taue"),
        element("OnStart", [_set("e", "0")]),
        element("OnEvent", [_set("e", "e + weight")], port="in"),
    ], "Events of positive weight to intFire4: a current that decays with taue.")  # fmt: skip


def _inhibition() -> Element:
    constant = [element("Constant", name="MSEC", dimension="time", value="1ms")]
    return _arriving("intFire4Inhibition", [*_parameters(taui1="time", taui2="time", gain="none", scale="none"),
                                            *constant], [
        element("StateVariable", name="first", dimension="none"),
        element("StateVariable", name="second", dimension="none"),
        element("DerivedVariable", name="i", exposure="i", dimension="current", value="scale*second*UNIT"),
        element("TimeDerivative", variable="first", value="-first/taui1"),
        element("TimeDerivative", variable="second", value="gain*first/MSEC - second/taui2"),
        element("OnStart", [_set("first", "0"), _set("second", "0")]),
        element("OnEvent", [_set("first", "first + weight")], port="in"),
    ], "Events of negative weight to intFire4: a current that rises with taui1 and decays with taui2.")  # fmt: skip


TYPES: Mapping[str, Callable[[], Element]] = {
    "netStim": _net_stim, "seClamp": _se_clamp, "alphaConductance": _alpha,
    "intFire1": lambda: component_type("intFire1"), "intFire2": _int_fire2,
    "intFire4": _int_fire4, "intFire4Excitation": _excitation, "intFire4Inhibition": _inhibition,
    "instantaneousSynapse": lambda: component_type("instantaneousSynapse"),
}  # fmt: skip
"""what makes the ComponentType, by the name of its components' elements"""

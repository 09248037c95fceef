"""Point neurons and synapses: the models that SONATA names, as LEMS components.

NEST's models become PyNN's cells of the core types, whose equations are the same. Parameters and defaults:
https://nest-simulator.readthedocs.io (iaf_psc_alpha and its kind), https://neuralensemble.org/docs/PyNN/standardmodels.html,
and for IntFire1 https://nrn.readthedocs.io/en/latest/python/modelspec/programmatic/mechanisms/mech.html#IntFire1.
A synapse's base carries the unit of SONATA's weights, so that the weights themselves stay what they are in the file.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from ...element import Element

_IAF = {
    "C_m": "cm", "t_ref": "tau_refrac", "E_L": "v_rest", "V_th": "v_thresh", "V_reset": "v_reset", "I_e": "i_offset",
    "tau_syn_ex": "tau_syn_E", "tau_syn_in": "tau_syn_I",
}  # fmt: skip
_CURR = {"tau_m": "tau_m", **_IAF}
_COND = {**_IAF, "E_ex": "e_rev_E", "E_in": "e_rev_I"}
_ADEX = {**_COND, "Delta_T": "delta_T", "a": "a", "b": "b", "tau_w": "tau_w", "V_peak": "v_spike"}
_THOUSANDTH = {"C_m", "I_e", "b"}  # pF to nF, pA to nA
_CURR_DEFAULTS = {"C_m": 250, "tau_m": 10, "t_ref": 2, "E_L": -70, "V_th": -55, "V_reset": -70, "I_e": 0,
                  "tau_syn_ex": 2, "tau_syn_in": 2}  # fmt: skip
_COND_DEFAULTS = {"C_m": 250, "g_L": 16.6667, "t_ref": 2, "E_L": -70, "V_th": -55, "V_reset": -60, "I_e": 0,
                  "tau_syn_ex": 0.2, "tau_syn_in": 2, "E_ex": 0, "E_in": -85}  # fmt: skip
_ADEX_DEFAULTS = {"C_m": 281, "g_L": 30, "t_ref": 0, "E_L": -70.6, "V_th": -50.4, "V_reset": -60, "I_e": 0,
                  "tau_syn_ex": 0.2, "tau_syn_in": 2, "E_ex": 0, "E_in": -85, "Delta_T": 2, "a": 4, "b": 80.5,
                  "tau_w": 144, "V_peak": 0}  # fmt: skip

NEST: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "iaf_psc_alpha": ("IF_curr_alpha", _CURR, _CURR_DEFAULTS),
    "iaf_psc_exp": ("IF_curr_exp", _CURR, _CURR_DEFAULTS),
    "iaf_cond_alpha": ("IF_cond_alpha", _COND, _COND_DEFAULTS),
    "iaf_cond_exp": ("IF_cond_exp", _COND, _COND_DEFAULTS),
    "aeif_cond_alpha": ("EIF_cond_alpha_isfa_ista", _ADEX, _ADEX_DEFAULTS),
    "aeif_cond_exp": ("EIF_cond_exp_isfa_ista", _ADEX, _ADEX_DEFAULTS),
}
"""NEST's model: PyNN's cell, its parameters by NEST's names, NEST's defaults."""

PYNN = ("IF_curr_alpha", "IF_curr_exp", "IF_cond_alpha", "IF_cond_exp", "EIF_cond_alpha_isfa_ista",
        "EIF_cond_exp_isfa_ista", "HH_cond_exp")  # fmt: skip

_TYPES = """
<ComponentType name="intFire1" extends="baseSpikingCell" description="NEURON's IntFire1: m decays with tau; an event
adds its weight to it; above 1 it fires, and for refrac ignores all events. The events arrive as a current that jumps by
1 nA times the weight and stays: m is the decaying part u of what has arrived.">
  <Parameter name="tau" dimension="time"/><Parameter name="refrac" dimension="time"/>
  <Constant name="UNIT" dimension="current" value="1nA"/>
  <Attachments name="synapses" type="basePointCurrent"/>
  <Exposure name="m" dimension="none"/><Exposure name="iSyn" dimension="current"/>
  <Dynamics>
    <StateVariable name="u" dimension="none"/><StateVariable name="lastSpikeTime" dimension="time"/>
    <DerivedVariable name="iSyn" exposure="iSyn" dimension="current" select="synapses[*]/i" reduce="add"/>
    <DerivedVariable name="m" exposure="m" dimension="none" value="u + iSyn/UNIT"/>
    <OnStart><StateAssignment variable="u" value="0"/></OnStart>
    <Regime name="refractory">
      <OnEntry><StateAssignment variable="lastSpikeTime" value="t"/></OnEntry>
      <OnCondition test="t .gt. lastSpikeTime + refrac">
        <StateAssignment variable="u" value="-iSyn/UNIT"/><Transition regime="integrating"/>
      </OnCondition>
    </Regime>
    <Regime name="integrating" initial="true">
      <TimeDerivative variable="u" value="-(u + iSyn/UNIT)/tau"/>
      <OnCondition test="m .gt. 1"><EventOut port="spike"/><Transition regime="refractory"/></OnCondition>
    </Regime>
  </Dynamics>
</ComponentType>
<ComponentType name="instantaneousSynapse" extends="baseCurrentBasedSynapse" description="For intFire1: a current that
jumps by ibase times the weight at an event, and stays.">
  <Property name="weight" dimension="none" defaultValue="1"/>
  <Parameter name="ibase" dimension="current"/>
  <Dynamics>
    <StateVariable name="I" dimension="current"/>
    <DerivedVariable name="i" exposure="i" dimension="current" value="I"/>
    <OnStart><StateAssignment variable="I" value="0"/></OnStart>
    <OnEvent port="in"><StateAssignment variable="I" value="I + weight*ibase"/></OnEvent>
  </Dynamics>
</ComponentType>
<ComponentType name="expCurrentSynapse" extends="baseCurrentBasedSynapse" description="A current that jumps by ibase
times the weight at an event and decays with tauDecay.">
  <Property name="weight" dimension="none" defaultValue="1"/>
  <Parameter name="tauDecay" dimension="time"/><Parameter name="ibase" dimension="current"/>
  <Dynamics>
    <StateVariable name="I" dimension="current"/>
    <DerivedVariable name="i" exposure="i" dimension="current" value="I"/>
    <TimeDerivative variable="I" value="-I/tauDecay"/>
    <OnStart><StateAssignment variable="I" value="0"/></OnStart>
    <OnEvent port="in"><StateAssignment variable="I" value="I + weight*ibase"/></OnEvent>
  </Dynamics>
</ComponentType>
<ComponentType name="CaDynamics" extends="concentrationModel" description="Calcium under the membrane: a fraction gamma
of the current enters a shell of some depth, and decays to minCai (Hay et al., PLoS Comput Biol 7:e1002107, 2011).">
  <Parameter name="gamma" dimension="none"/><Parameter name="minCai" dimension="concentration"/>
  <Parameter name="decay" dimension="time"/><Parameter name="depth" dimension="length"/>
  <Constant name="Faraday" dimension="charge_per_mole" value="96485.309C_per_mol"/>
  <Requirement name="iCa" dimension="current"/>
  <Text name="ion"/>
  <Dynamics>
    <StateVariable name="concentration" exposure="concentration" dimension="concentration"/>
    <StateVariable name="extConcentration" exposure="extConcentration" dimension="concentration"/>
    <TimeDerivative variable="concentration"
      value="iCa*gamma/(2*Faraday*surfaceArea*depth) - (concentration - minCai)/decay"/>
    <OnStart>
      <StateAssignment variable="concentration" value="initialConcentration"/>
      <StateAssignment variable="extConcentration" value="initialExtConcentration"/>
    </OnStart>
    <OnCondition test="concentration .lt. 0"><StateAssignment variable="concentration" value="0"/></OnCondition>
  </Dynamics>
</ComponentType>
"""


def component_type(name: str) -> Element:
    """One of the types above as an element."""
    from xml.etree import ElementTree  # our own text, no model's

    def element(source: ElementTree.Element) -> Element:
        values = {key: " ".join(value.split()) for key, value in source.attrib.items()}
        return Element(source.tag, values, [element(child) for child in source])

    for source in ElementTree.fromstring(f"<types>{_TYPES}</types>"):
        if source.get("name") == name:
            return element(source)
    raise KeyError(name)


OWN_TYPES = ("intFire1", "instantaneousSynapse", "expCurrentSynapse", "CaDynamics")


def number(value: Any) -> Decimal | None:
    """A parameter as an exact decimal, None if it is no number."""
    try:
        found = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def shown(value: Decimal) -> str:
    """The shortest text of a decimal of at most 16 digits."""
    return repr(float(f"{value:.16g}")) if value != value.to_integral() else str(float(value))


def nest_cell(model: str, id: str, parameters: dict[str, Any]) -> tuple[Element | None, list[str]]:
    """A PyNN cell for one of NEST's, and the parameters that have no place in it; None for a model without a like."""
    if model not in NEST:
        return None, []
    tag, names, defaults = NEST[model]
    values = {name: number(parameters.get(name, default)) for name, default in defaults.items()}
    bad = [name for name, value in values.items() if value is None]
    if bad:
        raise ValueError(f"{bad[0]}={str(parameters[bad[0]])[:40]!r} is no number")
    attributes = {"id": id}
    for name, to in names.items():
        value = values[name]
        assert value is not None
        attributes[to] = shown(value / 1000 if name in _THOUSANDTH else value)
    if "g_L" in values:
        capacity, leak = values["C_m"], values["g_L"]
        if not leak:
            raise ValueError("g_L is 0; the cell has no leak")
        assert capacity is not None
        attributes["tau_m"] = shown(capacity / leak)
    start = number(parameters.get("V_m", parameters.get("E_L", defaults["E_L"])))
    attributes["v_init"] = shown(start if start is not None else Decimal(-70))
    rest = [name for name in parameters if name not in names and name not in ("g_L", "V_m", "type")]
    return Element(tag, attributes), rest


def intfire1(id: str, parameters: dict[str, Any]) -> Element:
    """NEURON's IntFire1 with the parameters given, else NEURON's defaults; times are in ms."""
    values = {"tau": number(parameters.get("tau", 10)), "refrac": number(parameters.get("refrac", 5))}
    for name, value in values.items():
        if value is None:
            raise ValueError(f"{name}={str(parameters[name])[:40]!r} is no number")
    return Element("intFire1", {"id": id, **{name: f"{shown(v)} ms" for name, v in values.items() if v is not None}})


def synapse(
    kind: str, id: str, cell: Element | None, parameters: dict[str, Any], inhibitory: bool
) -> tuple[Element, bool] | None:
    """A synapse onto a cell, and whether it differs for negative weights.

    ``kind`` is the template or level of detail; None if the model is not known.
    """
    tag = cell.tag if cell is not None else ""
    end = "I" if inhibitory else "E"
    if cell is not None and tag in PYNN:
        tau = f"{cell.get(f'tau_syn_{end}')} ms"
        two = cell.get("tau_syn_E") != cell.get("tau_syn_I")
        if tag == "IF_curr_alpha":
            return Element("alphaCurrentSynapse", {"id": id, "tau": tau, "ibase": "1pA"}), two
        if tag == "IF_curr_exp":
            return Element("expCurrentSynapse", {"id": id, "tauDecay": tau, "ibase": "1pA"}), two
        # NEST takes a negative weight for the inhibitory conductance: minus by minus is a conductance again
        values = {"id": id, "gbase": "-1nS" if inhibitory else "1nS", "erev": f"{cell.get(f'e_rev_{end}')} mV"}
        if "alpha" in tag:
            return Element("alphaSynapse", values | {"tau": tau}), True
        return Element("expOneSynapse", values | {"tauDecay": tau}), True
    level = kind.lower()
    if tag == "intFire1" and level in ("instanteneous", "instantaneous", ""):
        base = "-1nA" if (number(parameters.get("sign", 1)) or 1) < 0 else "1nA"
        return Element("instantaneousSynapse", {"id": id, "ibase": base}), False
    if level in ("exp2syn", "expsyn"):
        names = {"tau1": "tauRise", "tau2": "tauDecay"} if level == "exp2syn" else {"tau": "tauDecay"}
        defaults = {"tau1": 0.1, "tau2": 10, "tau": 0.1, "e": 0}
        values = {"id": id, "gbase": "1uS"}
        erev = number(parameters.get("erev", parameters.get("e", defaults["e"])))
        taus = {to: number(parameters.get(name, defaults[name])) for name, to in names.items()}
        if erev is None or None in taus.values():
            raise ValueError("a time constant or the reversal potential is no number")
        values |= {"erev": f"{shown(erev)} mV"} | {to: f"{shown(v)} ms" for to, v in taus.items() if v is not None}
        return Element("expTwoSynapse" if level == "exp2syn" else "expOneSynapse", values), False
    return None

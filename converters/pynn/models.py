"""Which of NeuroML's cells, synapses and sources are standard models of PyNN, and with which numbers.

PyNN's units are ms, mV, nF, nA, uS and Hz. The cells and synapses of the PyNN part of NeuroML's core types have the
same equations and the same numbers; those of NeuroML's own that are the same models in other units are recast. Sources:
NeuroML's Cells.xml, Synapses.xml, Inputs.xml, PyNN.xml, and https://neuralensemble.org/docs/PyNN/standardmodels.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...lems import Component

_IAF = ("cm", "i_offset", "tau_m", "tau_refrac", "v_reset", "v_rest", "v_thresh")
_COND = (*_IAF, "e_rev_E", "e_rev_I", "tau_syn_E", "tau_syn_I")
_EIF = (*_COND, "a", "b", "delta_T", "tau_w", "v_spike")
CELLS: dict[str, tuple[str, ...]] = {
    "IF_curr_alpha": (*_IAF, "tau_syn_E", "tau_syn_I"),
    "IF_curr_exp": (*_IAF, "tau_syn_E", "tau_syn_I"),
    "IF_cond_alpha": _COND,
    "IF_cond_exp": _COND,
    "EIF_cond_exp_isfa_ista": _EIF,
    "EIF_cond_alpha_isfa_ista": _EIF,
    "HH_cond_exp": ("cm", "i_offset", "gbar_K", "gbar_Na", "g_leak", "e_rev_K", "e_rev_Na", "e_rev_leak", "v_offset",
                    "e_rev_E", "e_rev_I", "tau_syn_E", "tau_syn_I"),
}  # fmt: skip
"""PyNN's cells that are core types of the same name, and their parameters (v_init is an initial value to PyNN)."""

SYNAPSES = {"expCondSynapse": "cond_exp", "alphaCondSynapse": "cond_alpha", "expCurrSynapse": "curr_exp",
            "alphaCurrSynapse": "curr_alpha"}  # fmt: skip


@dataclass
class Cell:
    """A cell class of PyNN. ``takes`` is the kind of its synapses, "" for none; it is chosen by what leads to the cell
    where ``takes`` is None (then ``name`` is "IF")."""

    name: str
    parameters: Mapping[str, object]
    initial: dict[str, float] = field(default_factory=dict)
    takes: str | None = ""
    note: str = ""
    """what is approximated"""


@dataclass(frozen=True)
class Receptor:
    """What PyNN has in the cell and NeuroML in the synapse: ``kind``, time constant (ms), reversal (mV, None for a
    current); ``scale`` makes PyNN's weights (uS, nA) of NeuroML's."""

    kind: str
    tau: float
    reversal: float | None
    scale: float = 1.0


def cell_of(component: Component) -> Cell | None:
    """The cell or source of PyNN's that this component is; None if there is none."""
    p = component.parameters
    for name, parameters in CELLS.items():
        if component.is_a(name):
            note = ""
            if name == "HH_cond_exp":
                note = "NeuroML starts the gates of HH_cond_exp at 0, PyNN at rest"
            return Cell(name, {k: p[k] for k in parameters}, {"v": p["v_init"]}, _takes(name), note)
    if component.is_a("iafTauCell") or component.is_a("iafCell"):
        rest, capacity = p["leakReversal"] * 1e3, 1.0
        if component.is_a("iafTauCell"):
            tau = p["tau"] * 1e3
        else:
            capacity, tau = p["C"] * 1e9, p["C"] / p["leakConductance"] * 1e3
        numbers = {"cm": capacity, "tau_m": tau, "tau_refrac": p.get("refract", 0.0) * 1e3,
                   "v_rest": rest, "v_reset": p["reset"] * 1e3, "v_thresh": p["thresh"] * 1e3,
                   "i_offset": 0.0}  # fmt: skip
        return Cell("IF", numbers, {"v": rest}, None)
    if component.is_a("izhikevichCell"):
        v = p["v0"] * 1e3
        note = "" if abs(p["thresh"] * 1e3 - 30) < 1e-9 else "PyNN's Izhikevich has its threshold at 30 mV"
        return Cell("Izhikevich", {k: p[k] for k in "abcd"} | {"i_offset": 0.0}, {"v": v, "u": p["b"] * v}, "", note)
    if component.is_a("SpikeSourcePoisson"):
        given = {"rate": p["rate"], "start": p["start"] * 1e3, "duration": p["duration"] * 1e3}
        return Cell("SpikeSourcePoisson", given)
    if component.is_a("spikeGeneratorPoisson") and not component.is_a("spikeGeneratorRefPoisson"):
        return Cell("SpikeSourcePoisson", {"rate": p["averageRate"], "start": 0.0, "duration": 1e10})
    if component.is_a("spikeArray"):
        return Cell("SpikeSourceArray", {"spike_times": times(component)})
    return None


def times(component: Component) -> list[float]:
    """The times (ms) of the spikes in a spikeArray or timedSynapticInput."""
    return sorted(child.parameters["time"] * 1e3 for _, child in component.children if child.is_a("spike"))


def _takes(name: str) -> str:
    return ("curr" if "curr" in name else "cond") + ("_alpha" if "alpha" in name else "_exp")


def receptor_of(component: Component) -> Receptor | None:
    """The receptor that a synapse stands for, None if PyNN's standard models have none like it."""
    p = component.parameters
    for name, kind in SYNAPSES.items():
        if component.type.name == name:
            return Receptor(kind, p["tau_syn"], p.get("e_rev"))
    if component.type.name == "expOneSynapse":
        return Receptor("cond_exp", p["tauDecay"] * 1e3, p["erev"] * 1e3, p["gbase"] * 1e6)
    if component.type.name == "alphaSynapse":
        return Receptor("cond_alpha", p["tau"] * 1e3, p["erev"] * 1e3, p["gbase"] * 1e6)
    if component.type.name == "alphaCurrentSynapse":
        return Receptor("curr_alpha", p["tau"] * 1e3, None, p["ibase"] * 1e9)
    return None

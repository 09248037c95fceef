"""One small component for each type of the NeuroML core that can be part of a running network."""

from __future__ import annotations

from pathlib import Path

from . import models

PULSE = '<pulseGenerator id="{}" delay="5ms" duration="40ms" amplitude="{}"/>'
PULSE_DL = '<pulseGeneratorDL id="{}" delay="5ms" duration="40ms" amplitude="{}"/>'
CHANNELS = models.PASSIVE + models.HH
_PYNN = 'v_init="-65" v_rest="-65" tau_m="20" tau_syn_E="5" tau_syn_I="5"'
CELLS: dict[str, tuple[str, str, str]] = {
    "iafTauCell": ('leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="30ms"', "", "v"),
    "iafTauRefCell": ('leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="30ms" refract="5ms"', "", "v"),
    "iafCell": ('leakReversal="-60mV" thresh="-55mV" reset="-70mV" C="0.2nF" leakConductance="10nS"', "0.1nA", "v"),
    "iafRefCell": (
        'leakReversal="-60mV" thresh="-55mV" reset="-70mV" C="0.2nF" leakConductance="10nS" refract="5ms"',
        "0.1nA", "v"),
    "izhikevichCell": ('v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-65" d="6"', "15", "v"),
    "izhikevich2007Cell": (
        'v0="-60mV" C="100pF" k="0.7nS_per_mV" vr="-60mV" vt="-40mV" vpeak="35mV" a="0.03per_ms" b="-2nS" c="-50mV" '
        'd="100pA"', "200pA", "v"),
    "adExIaFCell": (
        'C="281pF" gL="30nS" EL="-70.6mV" reset="-48.5mV" VT="-50.4mV" thresh="-40.4mV" refract="0ms" delT="2mV" '
        'tauw="40ms" a="4nS" b="0.08nA"', "0.8nA", "v"),
    "fitzHughNagumoCell": ('I="0.8"', "", "V"),
    "fitzHughNagumo1969Cell": ('a="0.7" b="0.8" I="0.35" phi="0.08" V0="0" W0="0"', "", "V"),
    "hindmarshRose1984Cell": (
        'a="1" b="3" c="-3" d="5" s="4" x1="-1.3" r="0.002" x0="-1.1" y0="-9" z0="1" v_scaling="35.71mV" '
        'C="28.57142857pF"', "0.1nA", "v"),
    "pinskyRinzelCA3Cell": (
        'iSoma="0.75uA_per_cm2" iDend="0uA_per_cm2" gc="2.1mS_per_cm2" qd0="0" gLs="0.1mS_per_cm2" '
        'gLd="0.1mS_per_cm2" gNa="30mS_per_cm2" gKdr="15mS_per_cm2" gCa="10mS_per_cm2" gKahp="0.8mS_per_cm2" '
        'gKC="15mS_per_cm2" eNa="60mV" eCa="80mV" eK="-75mV" eL="-60mV" pp="0.5" cm="3uF_per_cm2" alphac="2" '
        'betac="0.1" gNmda="0mS_per_cm2" gAmpa="0mS_per_cm2"', "", "Vs"),
    "IF_curr_alpha": (f'cm="1" i_offset="0.9" tau_refrac="10" v_reset="-62" v_thresh="-52" {_PYNN}', "", "v"),
    "IF_curr_exp": (f'cm="1" i_offset="1" tau_refrac="0" v_reset="-62" v_thresh="-52" {_PYNN}', "", "v"),
    "IF_cond_alpha": (
        f'cm="1" e_rev_E="0" e_rev_I="-70" i_offset="0.9" tau_refrac="5" v_reset="-65" v_thresh="-50" {_PYNN}', "",
        "v"),
    "IF_cond_exp": (
        f'cm="1" e_rev_E="0" e_rev_I="-70" i_offset="1" tau_refrac="8" v_reset="-68" v_thresh="-52" {_PYNN}', "", "v"),
    "EIF_cond_exp_isfa_ista": (
        'a="0" b="0.0805" cm="0.281" delta_T="2" e_rev_E="0" e_rev_I="-80" i_offset="0.6" tau_m="9.3667" '
        'tau_refrac="5" tau_syn_E="5" tau_syn_I="5" tau_w="144" v_init="-65" v_reset="-68" v_rest="-70.6" '
        'v_spike="-40" v_thresh="-52"', "", "v"),
    "EIF_cond_alpha_isfa_ista": (
        'a="0" b="0.0805" cm="0.281" delta_T="0" e_rev_E="0" e_rev_I="-80" i_offset="0.6" tau_m="9.3667" '
        'tau_refrac="5" tau_syn_E="5" tau_syn_I="5" tau_w="144" v_init="-65" v_reset="-68" v_rest="-70.6" '
        'v_spike="-40" v_thresh="-52"', "", "v"),
    "HH_cond_exp": (
        'cm="0.2" e_rev_E="0" e_rev_I="-80" e_rev_K="-90" e_rev_Na="50" e_rev_leak="-65" g_leak="0.01" gbar_K="6" '
        'gbar_Na="20" i_offset="0.2" tau_syn_E="0.2" tau_syn_I="2" v_init="-65" v_offset="-63"', "", "v"),
}  # fmt: skip
"""type: attributes, amplitude of a pulse (nothing: none), what is recorded"""

PASSIVE = '<iafCell id="rc" leakReversal="-60mV" thresh="0mV" reset="-70mV" C="0.2nF" leakConductance="10nS"/>'
TRAIN = (
    '<spikeArray id="train"><spike id="0" time="10ms"/><spike id="1" time="20ms"/><spike id="2" time="20.51ms"/>'
    '<spike id="3" time="30ms"/></spikeArray>'
)
SYN = '<expTwoSynapse id="driven" gbase="1nS" erev="0mV" tauDecay="5ms" tauRise="1ms"/>'
_SINE = 'phase="0" delay="{}" duration="30ms" amplitude="{}" period="20ms"'
_RAMP = 'delay="5ms" duration="30ms" startAmplitude="{0}0{1}" finishAmplitude="{0}5{1}" baselineAmplitude="{0}0{1}"'
INPUTS: dict[str, str] = {
    "pulseGenerator": 'delay="5ms" duration="20ms" amplitude="0.1nA"',
    "sineGenerator": _SINE.format("5ms", "0.1nA"),
    "rampGenerator": _RAMP.format("0.0", "nA"),
    "compoundInput": 'CHILDREN<pulseGenerator id="a" delay="5ms" duration="20ms" amplitude="0.05nA"/>'
    f'<sineGenerator id="b" {_SINE.format("8ms", "0.05nA")}/>',
    "voltageClamp": 'delay="5ms" duration="20ms" targetVoltage="-50mV" simpleSeriesResistance="20Mohm"',
    "voltageClampTriple": 'active="1" delay="5ms" duration="20ms" conditioningVoltage="-70mV" testingVoltage="-50mV" '
    'returnVoltage="-65mV" simpleSeriesResistance="20Mohm"',
    "timedSynapticInput": 'synapse="driven" spikeTarget="./driven"CHILDREN<spike id="0" time="10ms"/>'
    '<spike id="1" time="15.01ms"/><spike id="2" time="15.02ms"/>',
}
INPUTS_DL: dict[str, str] = {
    "pulseGeneratorDL": 'delay="5ms" duration="20ms" amplitude="3"',
    "sineGeneratorDL": _SINE.format("5ms", "3"),
    "rampGeneratorDL": _RAMP.format("", ""),
    "compoundInputDL": 'CHILDREN<pulseGeneratorDL id="a" delay="5ms" duration="20ms" amplitude="2"/>'
    f'<sineGeneratorDL id="b" {_SINE.format("8ms", "1")}/>',
}
_G = 'gbase="2nS" erev="0mV"'
_BLOCK = (
    '<blockMechanism type="voltageConcDepBlockMechanism" species="mg" blockConcentration="1.2mM" '
    'scalingConc="1.92mM" scalingVolt="16.129mV"/>'
)
SYNAPSES: dict[str, str] = {
    "alphaCurrentSynapse": 'tau="5ms" ibase="50pA"',
    "expOneSynapse": f'{_G} tauDecay="5ms"',
    "alphaSynapse": f'{_G} tau="5ms"',
    "expTwoSynapse": f'{_G} tauDecay="5ms" tauRise="1ms"',
    "expThreeSynapse": 'gbase1="2nS" gbase2="1nS" erev="0mV" tauDecay1="5ms" tauDecay2="20ms" tauRise="1ms"',
    "blockingPlasticSynapse": f'{_G} tauRise="1ms" tauDecay="13ms"CHILDREN<plasticityMechanism '
    'type="tsodyksMarkramDepFacMechanism" initReleaseProb="0.5" tauRec="120ms" tauFac="10ms"/>' + _BLOCK,
    "stdpSynapse": f'{_G} tauRise="1ms" tauDecay="13ms" tsinceRate="1" longTime="1000s"',
    "doubleSynapse": 'synapse1="expTwoSynapse_" synapse2="blockingPlasticSynapse_" synapse1Path="./expTwoSynapse_" '
    'synapse2Path="./blockingPlasticSynapse_"',
    "expCondSynapse": 'e_rev="0" tau_syn="5"',
    "expCurrSynapse": 'tau_syn="5"',
    "alphaCondSynapse": 'e_rev="0" tau_syn="5"',
    "alphaCurrSynapse": 'tau_syn="5"',
}
SOURCES: dict[str, str] = {
    "spikeGenerator": 'period="7ms"',
    "spikeArray": 'CHILDREN<spike id="0" time="20ms"/><spike id="1" time="10ms"/><spike id="2" time="25.01ms"/>'
    '<spike id="3" time="25.02ms"/>',
}

_F = '<forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>'
_R = '<reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/>'
_SS = '<steadyState type="HHSigmoidVariable" rate="1" midpoint="-50mV" scale="10mV"/>'
_TC = '<timeCourse type="fixedTimeCourse" tau="3ms"/>'
_Q10 = '<q10Settings type="q10ExpTemp" q10Factor="2" experimentalTemp="22degC"/>'
_N = 'id="n" instances="4"'
_OHMIC = 'channelDensity condDensity="3mS_per_cm2" erev="-77mV" ion="k"'
_POOL = (
    '<decayingPoolConcentrationModel id="pool" ion="ca" restingConc="1e-4mM" decayConstant="20ms" '
    'shellThickness="0.2um"/>'
)
_CA = f'<gateHHrates id="n" instances="2">{_F}{_R}</gateHHrates>'
GATES: dict[str, tuple[str, str, str, str]] = {
    "gateHHrates": ("ionChannelHH", f"<gateHHrates {_N}>{_Q10}{_F}{_R}</gateHHrates>", _OHMIC, ""),
    "gateHHratesTau": ("ionChannelHH", f"<gateHHratesTau {_N}>{_F}{_R}{_TC}</gateHHratesTau>", _OHMIC, ""),
    "gateHHratesInf": ("ionChannelHH", f"<gateHHratesInf {_N}>{_F}{_R}{_SS}</gateHHratesInf>", _OHMIC, ""),
    "gateHHratesTauInf": (
        "ionChannelHH", f"<gateHHratesTauInf {_N}>{_F}{_R}{_TC}{_SS}</gateHHratesTauInf>", _OHMIC, ""),
    "gateHHtauInf": ("ionChannelHH", f"<gateHHtauInf {_N}>{_Q10}{_TC}{_SS}</gateHHtauInf>", _OHMIC, ""),
    "gateHHInstantaneous": (
        "ionChannelHH", f"<gateHHInstantaneous {_N}>{_SS}</gateHHInstantaneous>", _OHMIC, ""),
    "gateFractional": (
        "ionChannelHH",
        f'<gateFractional id="n" instances="1">{_Q10}<subGate id="f" fractionalConductance="0.3">{_SS}{_TC}</subGate>'
        f'<subGate id="s" fractionalConductance="0.7">{_SS}<timeCourse type="fixedTimeCourse" tau="30ms"/></subGate>'
        "</gateFractional>", _OHMIC, ""),
    "vHalfTransition": (
        "ionChannelKS",
        '<gateKS id="n" instances="1"><closedState id="c1"/><closedState id="c2"/><openState id="o1"/>'
        f'<reverseTransition id="r1" from="c1" to="c2">{_R.replace("reverseRate", "rate")}</reverseTransition>'
        f'<forwardTransition id="f1" from="c1" to="c2">{_F.replace("forwardRate", "rate")}</forwardTransition>'
        '<vHalfTransition id="v1" from="c2" to="o1" vHalf="-40mV" z="2" gamma="0.5" tau="3ms" tauMin="0.1ms"/>'
        "</gateKS>", _OHMIC, ""),
    "tauInfTransition": (
        "ionChannelKS",
        '<gateKS id="n" instances="2"><closedState id="c1"/><openState id="o1"/>'
        f'<tauInfTransition id="f1" from="c1" to="o1">{_SS}{_TC}</tauInfTransition></gateKS>', _OHMIC, ""),
    "q10ConductanceScaling": (
        "ionChannelHH",
        f'<q10ConductanceScaling q10Factor="1.5" experimentalTemp="22degC"/><gateHHrates {_N}>{_F}{_R}</gateHHrates>',
        _OHMIC, ""),
    "channelPopulation": (
        "ionChannelHH", f"<gateHHrates {_N}>{_F}{_R}</gateHHrates>",
        'channelPopulation number="4000" erev="-77mV" ion="k"', ""),
    "decayingPoolConcentrationModel": (
        "ionChannelHH", _CA, 'channelDensity condDensity="0.5mS_per_cm2" erev="120mV" ion="ca"', _POOL),
    "fixedFactorConcentrationModel": (
        "ionChannelHH", _CA, 'channelDensity condDensity="0.5mS_per_cm2" erev="120mV" ion="ca"',
        '<fixedFactorConcentrationModel id="pool" ion="ca" restingConc="1e-4mM" decayConstant="20ms" '
        'rho="2e-3mol_per_m_per_A_per_s"/>'),
    "channelDensityNernst": ("ionChannelHH", _CA, 'channelDensityNernst condDensity="0.5mS_per_cm2" ion="ca"', _POOL),
    "channelDensityGHK": ("ionChannelHH", _CA, 'channelDensityGHK permeability="1e-6m_per_s" ion="ca"', _POOL),
    "channelDensityGHK2": ("ionChannelHH", _CA, 'channelDensityGHK2 condDensity="0.5mS_per_cm2" ion="ca"', _POOL),
    "channelPopulationNernst": ("ionChannelHH", _CA, 'channelPopulationNernst number="600" ion="ca"', _POOL),
}  # fmt: skip
"""type: kind of the channel, its content, the density with its attributes, a concentration model"""


def element(type: str, id: str, text: str) -> str:
    """A component of this type; ``text`` is its attributes, and after CHILDREN its content."""
    attributes, _, content = text.partition("CHILDREN")
    return f'<{type} id="{id}" {attributes}>{content}</{type}>'


def one_segment(name: str) -> str:
    """A cell of one cylinder with squid channels and the channel of an entry of GATES."""
    channel, content, density, pool = GATES[name]
    species = ' species="ca"' if pool else ""
    own = pool.replace('"pool"', f'"pool_{name}"')
    inside = (
        f'<species id="ca" ion="ca" concentrationModel="pool_{name}" initialConcentration="1e-4mM" '
        'initialExtConcentration="2mM"/>' if pool else ""
    )  # fmt: skip
    return (
        f'<{channel} id="x_{name}" conductance="10pS"{species}>{content}</{channel}>{own}'
        f'<cell id="cell_{name}"><morphology id="m_{name}"><segment id="0" name="soma">'
        '<proximal x="0" y="0" z="0" diameter="20"/><distal x="20" y="0" z="0" diameter="20"/></segment></morphology>'
        f'<biophysicalProperties id="b"><membraneProperties><{density} id="xd" ionChannel="x_{name}"/>'
        '<channelDensity id="leak" ionChannel="pas" condDensity="0.3mS_per_cm2" erev="-54.3mV" ion="non_specific"/>'
        '<channelDensity id="nad" ionChannel="na" condDensity="120mS_per_cm2" erev="50mV" ion="na"/>'
        '<channelDensity id="kd" ionChannel="k" condDensity="36mS_per_cm2" erev="-77mV" ion="k"/>'
        '<spikeThresh value="0mV"/><specificCapacitance value="1uF_per_cm2"/><initMembPotential value="-65mV"/>'
        f'</membraneProperties><intracellularProperties>{inside}<resistivity value="0.1kohm_cm"/>'
        "</intracellularProperties></biophysicalProperties></cell>"
    )


def document(folder: Path, components: str, network: str, record: dict[str, str], length: float, step: float) -> Path:
    """A LEMS file that runs the network; ``record`` maps column ids to quantities."""
    columns = "".join(f'<OutputColumn id="{id}" quantity="{path}"/>' for id, path in record.items())
    file = folder / "LEMS_Core.xml"
    file.write_text(
        '<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>'
        f'<Include file="Simulation.xml"/><Include file="PyNN.xml"/>{components}'
        f'<network id="net" type="networkWithTemperature" temperature="25degC">{network}</network>'
        f'<Simulation id="sim" length="{length}ms" step="{step}ms" target="net">'
        f'<OutputFile id="o" fileName="core.dat">{columns}</OutputFile></Simulation></Lems>'
    )
    return file


# One document for each family of types ------------------------------------------------------------------------------


def cells(folder: Path) -> tuple[Path, dict[str, str]]:
    """Every abstract cell, driven until it spikes; and what is recorded, by type."""
    components, network, record = "", "", {}
    for type, (attributes, amplitude, variable) in CELLS.items():
        components += element(type, f"{type}_", attributes)
        network += f'<population id="{type}" component="{type}_" size="1"/>'
        record[type] = f"{type}[0]/{variable}"
        if amplitude:
            pulse = PULSE if amplitude.endswith("A") else PULSE_DL
            components += pulse.format(f"p_{type}", amplitude)
            network += f'<explicitInput target="{type}[0]" input="p_{type}"/>'
    return document(folder, components, network, record, 50, 0.025), record


def inputs(folder: Path) -> tuple[Path, dict[str, str]]:
    """Every input, with two weights, into a cell that suits it."""
    components = PASSIVE + SYN + element("izhikevichCell", "iz", CELLS["izhikevichCell"][0])
    network, record = "", {}
    for type, text in (INPUTS | INPUTS_DL).items():
        components += element(type, f"{type}_", text)
        network += (
            f'<population id="{type}" component="{"iz" if type.endswith("DL") else "rc"}" size="2"/>'
            f'<inputList id="l_{type}" population="{type}" component="{type}_">'
            f'<input id="0" target="../{type}[0]" destination="synapses"/>'
            f'<inputW id="1" target="../{type}[1]" destination="synapses" weight="0.5"/></inputList>'
        )
        record |= {f"{type}{n}": f"{type}[{n}]/v" for n in (0, 1)}
    return document(folder, components, network, record, 40, 0.025), record


def synapses(folder: Path) -> tuple[Path, dict[str, str]]:
    """Every synapse, with two weights and delays, behind a train of spikes."""
    components, network, record = PASSIVE + TRAIN, '<population id="pre" component="train" size="1"/>', {}
    for type, text in SYNAPSES.items():
        components += element(type, f"{type}_", text)
        dimensionless = type.endswith(("CondSynapse", "CurrSynapse"))
        weights = (0.004, 0.002) if dimensionless else (1, 0.5)
        network += (
            f'<population id="{type}" component="rc" size="2"/><projection id="j_{type}" presynapticPopulation="pre" '
            f'postsynapticPopulation="{type}" synapse="{type}_">'
            f'<connectionWD id="0" preCellId="../pre[0]" postCellId="../{type}[0]" weight="{weights[0]}" delay="0ms"/>'
            f'<connectionWD id="1" preCellId="../pre[0]" postCellId="../{type}[1]" weight="{weights[1]}" delay="2ms"/>'
            "</projection>"
        )
        record |= {f"{type}{n}": f"{type}[{n}]/v" for n in (0, 1)}
    return document(folder, components, network, record, 40, 0.025), record


def sources(folder: Path) -> tuple[Path, dict[str, str]]:
    """Every source of spikes that is not random."""
    components, network, record = PASSIVE + SYN, "", {}
    for type, text in SOURCES.items():
        components += element(type, f"{type}_", text)
        network += f'<population id="{type}" component="{type}_" size="1"/>'
        record[type] = f"{type}[0]/tsince"
    return document(folder, components, network, record, 40, 0.025), record


def gates(folder: Path) -> tuple[Path, dict[str, str]]:
    """A spiking cell for each kind of gate, density and concentration model."""
    components, network, record = CHANNELS + PULSE.format("p", "0.3nA"), "", {}
    for name in GATES:
        components += one_segment(name)
        network += f'<population id="{name}" component="cell_{name}" size="1"/>'
        network += f'<explicitInput target="{name}[0]" input="p"/>'
        record[name] = f"{name}[0]/v"
        if GATES[name][3]:
            record[f"{name}_ca"] = f"{name}[0]/caConc"
    return document(folder, components, network, record, 20, 0.025), record

"""Types that the document defines itself, one for each base type, and the core types that are hardly ever used.

NEURON against the reference integrator: they share the flattened equations, neither compiler nor integrator.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from . import models

pytestmark = pytest.mark.neuron

DERIVED = '<DerivedVariable name="{0}" exposure="{0}" dimension="{1}" value="{2}"/>'
SS = '<steadyState type="HHSigmoidVariable" rate="1" midpoint="-50mV" scale="8mV"/>'
TC = '<timeCourse type="fixedTimeCourse" tau="2ms"/>'
CONSTANTS = (
    '<Constant name="MV" dimension="voltage" value="1mV"/><Constant name="MS" dimension="time" value="1ms"/>'
    '<Constant name="UM" dimension="concentration" value="1e-3mM"/><Constant name="KELVIN" dimension="temperature" '
    'value="1K"/>'
)


def type_of(name: str, base: str, dynamics: str, more: str = "") -> str:
    inside = f"{CONSTANTS}{more}<Dynamics>{dynamics}</Dynamics>"
    return f'<ComponentType name="{name}" extends="{base}">{inside}</ComponentType>'


TYPES = (
    type_of("myRate", "baseVoltageDepRate", DERIVED.format("r", "per_time", "H(v + 50*MV) * exp(v/(40*MV)) / MS"))
    + type_of("myCaRate", "baseVoltageConcDepRate", DERIVED.format("r", "per_time", "caConc / (caConc + UM) / MS"))
    + type_of("myInf", "baseVoltageDepVariable", '<ConditionalDerivedVariable name="x" exposure="x" dimension="none">'
              '<Case condition="v .gt. -45*MV .or. v .lt. -90*MV" value="0.9"/><Case condition="v .gt. -60*MV" '
              'value="(v + 60*MV)/(20*MV)"/><Case value="0"/></ConditionalDerivedVariable>')
    + type_of("myCaInf", "baseVoltageConcDepVariable", DERIVED.format("x", "none", "caConc^2 / (caConc^2 + UM^2)"))
    + type_of("myTau", "baseVoltageDepTime",
              DERIVED.format("t", "time", "MS * (1 + abs(v + 50*MV)/(10*MV)) * temperature / (298.15*KELVIN)"),
              '<Requirement name="temperature" dimension="temperature"/>')
    + type_of("myCaTau", "baseVoltageConcDepTime", DERIVED.format("t", "time", "MS + 4*MS * UM / (caConc + UM)"))
    + type_of("myQ10", "baseQ10Settings",
              DERIVED.format("q10", "none", "1 + (temperature - 288.15*KELVIN)/(10*KELVIN)"))
    + type_of("myScaling", "baseConductanceScaling", DERIVED.format("factor", "none", "temperature / (290*KELVIN)"))
    + type_of("myCaScaling", "baseConductanceScalingCaDependent",
              DERIVED.format("factor", "none", "0.2 + caConc / (caConc + UM)"))
    # a gate of its own with a state and an instance power, reading a child of the core
    + type_of("myGate", "gate", '<StateVariable name="q" exposure="q" dimension="none"/>'
              '<DerivedVariable name="drive" dimension="none" select="steadyState/x"/>'
              + DERIVED.format("fcond", "none", "q^instances * (1 + 0.5 * (1 - q))")
              + '<TimeDerivative variable="q" value="(drive - q) * (1 + q) / (3*MS)"/><OnStart><StateAssignment '
              'variable="q" value="drive"/></OnStart>', '<Child name="steadyState" type="baseVoltageDepVariable"/>')
    # a whole channel with two coupled states
    + type_of("myChannel", "baseIonChannel", '<StateVariable name="a" dimension="none"/><StateVariable name="b" '
              'dimension="none"/><DerivedVariable name="target" dimension="none" '
              'value="1/(1 + exp((-45*MV - v)/(7*MV)))"/>'
              + DERIVED.format("fopen", "none", "a * b") + DERIVED.format("g", "conductance", "conductance * fopen")
              + '<TimeDerivative variable="a" value="(target - a)/MS"/><TimeDerivative variable="b" '
              'value="(1 - a - b)/(5*MS)"/><OnStart><StateAssignment variable="a" value="target"/><StateAssignment '
              'variable="b" value="1 - target"/></OnStart>', '<Text name="species"/>')
)  # fmt: skip
POOL = (
    '<decayingPoolConcentrationModel id="pool" ion="ca" restingConc="1e-4mM" decayConstant="20ms" '
    'shellThickness="0.2um"/><fixedFactorConcentrationModelTraub id="traub" ion="ca" species="ca" '
    'restingConc="0 mM" beta="0.1per_ms" phi="5e9mol_per_m_per_A_per_s"/>'
)
CA = (
    '<ionChannelHH id="cav" conductance="10pS" species="ca"><gateHHtauInf id="m" instances="2">' + SS + TC
    + "</gateHHtauInf></ionChannelHH>"
)  # fmt: skip
CA_DENSITY = '<channelDensity id="cad" ionChannel="cav" condDensity="1mS_per_cm2" erev="120mV" ion="ca"/>'
N = 'id="n" instances="2"'
R = '<reverseRate type="HHExpRate" rate="0.5per_ms" midpoint="-65mV" scale="-20mV"/>'
CHANNELS = {
    "rate": f'<gateHHrates {N}><forwardRate type="myRate"/>{R}</gateHHrates>',
    "ca_rate": f'<gateHHrates {N}><forwardRate type="myCaRate"/>{R}</gateHHrates>',
    "inf": f'<gateHHtauInf {N}><steadyState type="myInf"/>{TC}</gateHHtauInf>',
    "ca_inf": f'<gateHHtauInf {N}><steadyState type="myCaInf"/>{TC}</gateHHtauInf>',
    "tau": f'<gateHHtauInf {N}>{SS}<timeCourse type="myTau"/></gateHHtauInf>',
    "ca_tau": f'<gateHHtauInf {N}>{SS}<timeCourse type="myCaTau"/></gateHHtauInf>',
    "q10": f'<gateHHtauInf {N}><q10Settings type="myQ10"/><q10Settings type="q10Fixed" fixedQ10="0.7"/>{SS}{TC}</gateHHtauInf>',  # noqa: E501
    "scaling": f'<conductanceScaling type="myScaling"/><gateHHtauInf {N}>{SS}{TC}</gateHHtauInf>',
    "ca_scaling": f'<conductanceScaling type="myCaScaling"/><gateHHtauInf {N}>{SS}{TC}</gateHHtauInf>',
    "gate": f'<gate type="myGate" id="n" instances="2">{SS}</gate>',
    # core types that are hardly ever used
    "exp_inf": f'<gateHHtauInf {N}><steadyState type="HHExpVariable" rate="0.2" midpoint="-60mV" scale="20mV"/>{TC}</gateHHtauInf>',  # noqa: E501
    "linear_inf": f'<gateHHtauInf {N}><steadyState type="HHExpLinearVariable" rate="0.1" midpoint="-60mV" scale="10mV"/>{TC}</gateHHtauInf>',  # noqa: E501
    "sigmoid_rate": f'<gateHHrates {N}><forwardRate type="HHSigmoidRate" rate="1per_ms" midpoint="-50mV" scale="10mV"/>{R}</gateHHrates>',  # noqa: E501
}  # fmt: skip


def test_channels_and_their_parts(tmp_path: Path) -> None:
    shifted = type_of(
        "shiftRate", "baseVoltageDepRate", DERIVED.format("r", "per_time", "exp((v - vShift)/(30*MV)) / MS"),
        '<Requirement name="vShift" dimension="voltage"/>',
    )  # fmt: skip
    components = models.PAS + TYPES + shifted + POOL + CA + models.pulse("p", "40pA", "2ms")
    kinds = {name: ("ionChannelHH", gate) for name, gate in CHANNELS.items()}
    kinds["channel"] = ("myChannel", "")
    kinds["shift"] = ("ionChannelVShift", f'<gateHHrates {N}><forwardRate type="shiftRate"/>{R}</gateHHrates>')
    network, record = "", {}
    for name, (kind, content) in kinds.items():
        extra = ' vShift="10mV"' if name == "shift" else ""
        components += f'<{kind} id="x_{name}" conductance="10pS"{extra}>{content}</{kind}>'
        density = "channelDensityVShift" if name == "shift" else "channelDensity"
        membrane = models.LEAK + CA_DENSITY + (
            f'<{density} id="d" ionChannel="x_{name}" condDensity="0.3mS_per_cm2" erev="-90mV" ion="k"{extra}/>'
        )  # fmt: skip
        species = (
            f'<species id="ca" ion="ca" concentrationModel="{"traub" if name == "ca_inf" else "pool"}" '
            'initialConcentration="1e-4mM" initialExtConcentration="2mM"/>'
        )
        components += models.cell(name, membrane, species=species)
        network += models.populations(name) + f'<explicitInput target="p_{name}[0]" input="p"/>'
        record[name] = f"p_{name}[0]/v"
        record[f"{name}_x"] = f"p_{name}[0]/bio/membraneProperties/d/x_{name}/fopen"
    ours, reference = models.both(models.write(tmp_path, components, network, record, 12))
    for name, quantity in record.items():
        assert np.ptp(reference[quantity]) > 1e-4, name
        # where a rate jumps at a voltage, a crossing is seen a part of a step late
        assert models.difference(ours, reference, quantity) < (1e-2 if name.endswith("_x") else 5e-3), name


SYNAPSE_TYPES = (
    # a conductance with a rise of its own, a current without, a dimensionless one
    type_of("mySynapse", "baseConductanceBasedSynapse",
            '<StateVariable name="s" dimension="none"/><StateVariable name="z" dimension="none"/>'
            + DERIVED.format("g", "conductance", "gbase * s / (1 + s)")
            + DERIVED.format("i", "current", "weight * g * (erev - v)")
            + '<TimeDerivative variable="s" value="(z - s)/tau"/><TimeDerivative variable="z" value="-z/(3*tau)"/>'
            '<OnEvent port="in"><StateAssignment variable="z" value="z + 1 / (1 + z)"/></OnEvent>',
            '<Property name="weight" dimension="none" defaultValue="1"/><Parameter name="tau" dimension="time"/>')
    + type_of("myCurrent", "baseCurrentBasedSynapse", '<StateVariable name="x" dimension="none"/>'
              + DERIVED.format("i", "current", "weight * top * x * (1 + sin(t/MS)/2)")
              + '<TimeDerivative variable="x" value="-x/(4*MS)"/><OnEvent port="in"><StateAssignment variable="x" '
              'value="1"/></OnEvent>', '<Property name="weight" dimension="none" defaultValue="1"/>'
              '<Parameter name="top" dimension="current"/>')
    # a plasticity with a memory of the last event, and a block with a state of its own
    + '<ComponentType name="myPlasticity" extends="basePlasticityMechanism">' + CONSTANTS
    + '<Dynamics><StateVariable name="seen" dimension="time"/><StateVariable name="f" dimension="none"/>'
    + DERIVED.format("plasticityFactor", "none", "f")
    + '<OnStart><StateAssignment variable="f" value="1"/><StateAssignment variable="seen" value="-1000*MS"/></OnStart>'
    '<OnEvent port="in"><StateAssignment variable="f" value="1 - 0.7 * exp((seen - t)/(10*MS))"/><StateAssignment '
    'variable="seen" value="t"/></OnEvent></Dynamics><Structure><With instance="parent" as="a"/><With instance="this" '
    'as="b"/><EventConnection from="a" to="b"/></Structure></ComponentType>'
    + type_of("myBlock", "baseBlockMechanism", '<StateVariable name="open" dimension="none"/>'
              '<DerivedVariable name="free" dimension="none" value="1/(1 + exp((-50*MV - v)/(5*MV)))"/>'
              + DERIVED.format("blockFactor", "none", "0.2 + 0.8*open")
              + '<TimeDerivative variable="open" value="(free - open)/(2*MS)"/>',
              '<Requirement name="v" dimension="voltage"/><Text name="species"/>')
)  # fmt: skip
G = 'gbase="3nS" erev="0mV"'
SYNAPSES = {
    "mine": f'<mySynapse id="mine" {G} tau="1ms"/>',
    "current": '<myCurrent id="current" top="60pA"/>',
    "plastic": f'<blockingPlasticSynapse id="plastic" {G} tauRise="0.5ms" tauDecay="4ms"><plasticityMechanism '
    'type="myPlasticity"/><blockMechanism type="myBlock" species="mg"/></blockingPlasticSynapse>',
    "depressing": f'<blockingPlasticSynapse id="depressing" {G} tauRise="0.5ms" tauDecay="4ms"><plasticityMechanism '
    'type="tsodyksMarkramDepMechanism" initReleaseProb="0.6" tauRec="80ms"/></blockingPlasticSynapse>',
}
TRAIN = "".join(f'<spike id="{n}" time="{t}ms"/>' for n, t in enumerate((3, 8, 10, 10.51, 18)))


def test_synapses_and_their_parts(tmp_path: Path) -> None:
    components = models.RC + SYNAPSE_TYPES + f'<spikeArray id="train">{TRAIN}</spikeArray>'
    network, record = models.populations("train"), {}
    for name, text in SYNAPSES.items():
        components += text
        network += f'<population id="{name}_" component="rc" size="2"/>' + (
            f'<projection id="j_{name}" presynapticPopulation="p_train" postsynapticPopulation="{name}_" '
            f'synapse="{name}">' + "".join(
                f'<connectionWD id="{n}" preCellId="../p_train[0]" postCellId="../{name}_[{n}]" weight="{w}" '
                f'delay="{n}ms"/>' for n, w in enumerate((1, 0.4))
            ) + "</projection>"
        )  # fmt: skip
        record |= {f"{name}{n}": f"{name}_[{n}]/v" for n in (0, 1)}
    ours, reference = models.both(models.write(tmp_path, components, network, record, 25))
    for name, quantity in record.items():
        assert np.ptp(reference[quantity]) > 2e-4, name
        assert models.difference(ours, reference, quantity) < 3e-3, name


INPUT_TYPES = (
    # time dependence, a condition that switches, a current that depends on voltage, and one without dimension
    type_of("wave", "basePointCurrent", '<StateVariable name="on" dimension="none"/>'
            + DERIVED.format("i", "current", "weight * on * top * sin(t/(3*MS))^2")
            + '<OnCondition test="t .gt. begin"><StateAssignment variable="on" value="1"/></OnCondition>'
            '<OnCondition test="t .gt. begin + 15*MS"><StateAssignment variable="on" value="0"/></OnCondition>',
            '<Property name="weight" dimension="none" defaultValue="1"/><Parameter name="top" dimension="current"/>'
            '<Parameter name="begin" dimension="time"/>')
    + type_of("pump", "baseVoltageDepPointCurrent", '<StateVariable name="y" dimension="none"/>'
              + DERIVED.format("i", "current", "top * (1 - y) * exp((-60*MV - v)/(10*MV))")
              + '<TimeDerivative variable="y" value="(exp((v + 60*MV)/(20*MV)) - 1 - y)/(5*MS)"/>',
              '<Parameter name="top" dimension="current"/>')
    + type_of("waveDL", "basePointCurrentDL", DERIVED.format("I", "none", "12 * (1 - exp(-t/(10*MS)))"))
    # a source with random intervals, and one with rules of its own
    + type_of("beat", "baseSpikeSource", '<StateVariable name="next" dimension="time"/><StateVariable name="n" '
              'dimension="none"/><StateVariable name="tsince" exposure="tsince" dimension="time"/><TimeDerivative '
              'variable="tsince" value="1"/><OnStart><StateAssignment variable="next" value="2*MS"/></OnStart>'
              '<OnCondition test="t .gt. next"><StateAssignment variable="n" value="n + 1"/><StateAssignment '
              'variable="next" value="next + (1 + n)*MS"/><StateAssignment variable="tsince" value="0"/><EventOut '
              'port="spike"/></OnCondition>')
    + type_of("noisy", "baseSpikeSource", '<StateVariable name="next" dimension="time"/><StateVariable name="tsince" '
              'exposure="tsince" dimension="time"/><TimeDerivative variable="tsince" value="1"/><OnStart>'
              '<StateAssignment variable="next" value="random(10)*MS"/></OnStart><OnCondition test="t .gt. next">'
              '<StateAssignment variable="next" value="t + 5*MS + random(10)*MS"/><StateAssignment variable="tsince" '
              'value="0"/><EventOut port="spike"/></OnCondition>')
)  # fmt: skip


def test_inputs_and_sources(tmp_path: Path) -> None:
    components = models.RC + INPUT_TYPES + (
        '<wave id="w" top="0.1nA" begin="4ms"/><pump id="u" top="20pA"/><waveDL id="d"/><beat id="b"/><noisy id="r"/>'
        '<izhikevichCell id="iz" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-65" d="6"/>'
        '<SpikeSourcePoisson id="poisson" start="100ms" duration="400ms" rate="100Hz"/>'
    )
    network = models.populations("iz", "b") + '<population id="c" component="rc" size="3"/>' + (
        '<inputList id="l" population="c" component="w"><input id="0" target="../c[0]" destination="synapses"/>'
        '<inputW id="1" target="../c[1]" destination="synapses" weight="0.3"/></inputList>'
        '<explicitInput target="c[2]" input="u"/><explicitInput target="p_iz[0]" input="d"/>'
    )  # fmt: skip
    record = {f"v{n}": f"c[{n}]/v" for n in range(3)} | {"iz": "p_iz[0]/v"}
    ours, reference = models.both(models.write(tmp_path, components, network, record, 40))
    for quantity in record.values():
        # the spike of the dimensionless cell is a jump of the whole range
        assert models.difference(ours, reference, quantity) < (5e-2 if "iz" in quantity else 3e-3), quantity
    np.testing.assert_allclose(ours.spikes.of("p_b") * 1e3, [2, 4, 7, 11, 16, 22, 29, 37], atol=1e-3)
    np.testing.assert_allclose(reference.spikes.of("p_b") * 1e3, [2, 4, 7, 11, 16, 22, 29, 37], atol=0.03)
    noise = '<population id="r" component="r" size="200"/><population id="q" component="poisson" size="100"/>'
    found = models.run(tmp_path / "noise", components, noise, {"t": "r[0]/tsince"}, 600, 0.1)
    gaps = np.concatenate([np.diff(found.spikes.of("r", n)) for n in range(200)]) * 1e3
    assert gaps.min() > 5 - 0.2 and gaps.max() < 15 + 0.2
    assert gaps.mean() == pytest.approx(10, abs=4 * np.sqrt(100 / 12 / len(gaps)) + 0.05)
    poisson = np.concatenate([found.spikes.of("q", n) for n in range(100)])
    assert poisson.min() >= 0.1 - 1e-9 and poisson.max() <= 0.5 + 1e-9
    assert len(poisson) == pytest.approx(4000, abs=4 * np.sqrt(4000))


def test_sources_of_chance(tmp_path: Path) -> None:
    """Rates and intervals of the core's random sources: counts within four standard deviations."""
    sources = {
        "spikeGeneratorRandom": ('minISI="4ms" maxISI="12ms"', 8.0, 64 / 12),
        "spikeGeneratorPoisson": ('averageRate="100Hz"', 10.0, 100.0),
        "spikeGeneratorRefPoisson": ('averageRate="100Hz" minimumISI="4ms"', 10.0, 36.0),
    }
    components = "".join(f'<{type} id="{type}_" {text}/>' for type, (text, _, _) in sources.items())
    network = "".join(f'<population id="{type}" component="{type}_" size="100"/>' for type in sources)
    found = models.run(tmp_path, components, network, {}, 1000, 0.1)
    for type, (_, mean, variance) in sources.items():
        gaps = np.concatenate([np.diff(found.spikes.of(type, n)) for n in range(100)]) * 1e3
        assert gaps.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / len(gaps)) + 0.02 * mean), type
        assert gaps.var() == pytest.approx(variance, rel=0.1), type
        assert gaps.min() > (0 if type.endswith("rPoisson") else 4 - 1e-3), type


def test_poisson_inputs_drive_their_synapse(tmp_path: Path) -> None:
    """The mean of a current-based synapse is rate times charge; the transient one only in its window."""
    components = models.RC + '<alphaCurrentSynapse id="a" tau="1ms" ibase="20pA"/>' + (
        '<poissonFiringSynapse id="p" averageRate="200Hz" synapse="a" spikeTarget="./a"/>'
        '<transientPoissonFiringSynapse id="q" averageRate="200Hz" delay="200ms" duration="300ms" synapse="a" '
        'spikeTarget="./a"/>'
    )
    network = "".join(
        f'<population id="{id}_" component="rc" size="50"/>'
        + "".join(f'<explicitInput target="{id}_[{n}]" input="{id}"/>' for n in range(50)) for id in "pq"
    )
    record = {f"{id}{n}": f"{id}_[{n}]/v" for id in "pq" for n in range(50)}
    found = models.run(tmp_path, components, network, record, 800, 0.1)
    charge = 20e-12 * np.e * 1e-3  # of ibase t/tau exp(1 - t/tau)
    rise = 200 * charge / 10e-9
    mean = {id: np.mean([found[f"{id}_[{n}]/v"] for n in range(50)], axis=0) + 60e-3 for id in "pq"}
    late, t = found.time > 0.15, found.time
    # events of 50 cells in a window of 0.65 s: 6500, so 1.2 % each standard deviation
    assert mean["p"][late].mean() == pytest.approx(rise, rel=0.06)
    assert mean["q"][t < 0.2].max() == pytest.approx(0, abs=1e-9)
    assert mean["q"][(t > 0.3) & (t < 0.5)].mean() == pytest.approx(rise, rel=0.1)
    assert mean["q"][t > 0.65].mean() < 0.01 * rise


def test_a_point_cell_with_calcium(tmp_path: Path) -> None:
    """pointCellCondBasedCa sums over the populations of calcium and its pool, by their texts."""
    pool = type_of(
        "pointPool", "concentrationModel", '<StateVariable name="concentration" exposure="concentration" '
        'dimension="concentration"/><StateVariable name="extConcentration" exposure="extConcentration" '
        'dimension="concentration"/><TimeDerivative variable="concentration" '
        'value="iCa * gain - concentration/(10*MS)"/>',
        '<Parameter name="gain" dimension="gain"/><Requirement name="iCa" dimension="current"/><Text name="species"/>',
    )  # fmt: skip
    components = (
        '<Dimension name="gain" l="-3" n="1" i="-1" t="-1"/><Unit symbol="g1" dimension="gain" power="0"/>'
        + models.PAS + TYPES + pool + CA + models.pulse("p", "30pA", "2ms")
        + f'<ionChannelHH id="kca" conductance="10pS">{CHANNELS["ca_inf"]}</ionChannelHH>'
        '<pointCellCondBasedCa id="c" C="10pF" v0="-65mV" thresh="0mV">'
        '<channelPopulation id="l" ionChannel="pas" number="100" erev="-65mV"/>'
        '<channelPopulation id="ca" ionChannel="cav" number="100" erev="120mV" ion="ca"/>'
        '<channelPopulation id="k" ionChannel="kca" number="200" erev="-90mV" ion="k"/>'
        '<concentrationModels type="pointPool" id="pool" ion="ca" species="ca" gain="1e10 g1" '
        'initialConcentration="0 mM" initialExtConcentration="2mM"/></pointCellCondBasedCa>'
    )  # fmt: skip
    network = models.populations("c") + '<explicitInput target="p_c[0]" input="p"/>'
    record = {"v": "p_c[0]/v", "ca": "p_c[0]/caConc", "q": "p_c[0]/k/kca/n/q"}
    ours, reference = models.both(models.write(tmp_path, components, network, record, 20))
    for quantity in record.values():
        assert models.difference(ours, reference, quantity) < 5e-3, quantity


def test_a_population_of_rates(tmp_path: Path) -> None:
    """Cells without a voltage, coupled by what they show: two rates that excite each other go to their fixed point."""
    unit = (
        '<ComponentType name="rateUnit" extends="baseCell"><Parameter name="tau" dimension="time"/><Parameter '
        'name="bias" dimension="none"/><Attachments name="inputs" type="rateLink"/>'
        '<Exposure name="r" dimension="none"/><Dynamics><StateVariable name="r" exposure="r" dimension="none"/>'
        '<DerivedVariable name="sum" dimension="none" '
        'select="inputs[*]/I" reduce="add"/><TimeDerivative variable="r" value="(-r + bias + sum) / tau"/></Dynamics>'
        '</ComponentType><ComponentType name="rateLink" extends="baseGradedSynapse"><Property name="weight" '
        'dimension="none" defaultValue="1"/><Exposure name="I" dimension="none"/><InstanceRequirement name="peer" '
        'type="rateUnit"/><Dynamics><DerivedVariable name="far" dimension="none" select="peer/r"/><DerivedVariable '
        'name="I" exposure="I" dimension="none" value="weight * far"/></Dynamics></ComponentType>'
        '<rateUnit id="u" tau="10ms" bias="1"/><rateLink id="link"/>'
    )
    ends = 'preCell="../a/{}/u" postCell="../a/{}/u"'
    cells = "".join(f'<instance id="{n}"><location x="0" y="0" z="0"/></instance>' for n in range(2))
    network = f'<population id="a" component="u" type="populationList">{cells}</population>' + (
        '<continuousProjection id="c" presynapticPopulation="a" postsynapticPopulation="a">'
        f'<continuousConnectionInstanceW id="0" {ends.format(0, 1)} preComponent="link" postComponent="link" '
        'weight="0.5"/></continuousProjection>'
    )
    found = models.run(tmp_path, unit, network, {"a": "a/0/u/r", "b": "a/1/u/r"}, 200, 0.1)
    # r = 1 + r / 2, reached with tau / (1 - 0.5)
    for n in (0, 1):
        np.testing.assert_allclose(found[f"a/{n}/u/r"], 2 * (1 - np.exp(-found.time / 20e-3)), atol=1.5e-2)
        assert found[f"a/{n}/u/r"][-1] == pytest.approx(2, rel=1e-3)

"""Small models for the tests of whole runs."""

from __future__ import annotations

from pathlib import Path

PASSIVE = '<ionChannelPassive id="pas" conductance="10pS"/>'
HH = """
<ionChannelHH id="leak" conductance="10pS"/>
<ionChannelHH id="na" conductance="10pS" species="na">
  <gateHHrates id="m" instances="3">
    <forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/></gateHHrates>
  <gateHHrates id="h" instances="1">
    <forwardRate type="HHExpRate" rate="0.07per_ms" midpoint="-65mV" scale="-20mV"/>
    <reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/></gateHHrates>
</ionChannelHH>
<ionChannelHH id="k" conductance="10pS" species="k">
  <gateHHrates id="n" instances="4">
    <forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/></gateHHrates>
</ionChannelHH>
"""
SOMA = """<morphology id="m_{id}"><segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="{diameter}"/>
<distal x="0" y="0" z="{length}" diameter="{diameter}"/></segment></morphology>"""
MEMBRANE = """<biophysicalProperties id="b_{id}"><membraneProperties>{channels}
<spikeThresh value="0mV"/><specificCapacitance value="1.0 uF_per_cm2"/><initMembPotential value="-65mV"/>
</membraneProperties><intracellularProperties><resistivity value="{resistivity} kohm_cm"/></intracellularProperties>
</biophysicalProperties>"""
LEAK = '<channelDensity id="pasAll" ionChannel="pas" condDensity="0.1 mS_per_cm2" erev="-65mV" ion="non_specific"/>'
HH_CHANNELS = """
<channelDensity id="leakAll" ionChannel="leak" condDensity="3.0 S_per_m2" erev="-54.3mV" ion="non_specific"/>
<channelDensity id="naAll" ionChannel="na" condDensity="120.0 mS_per_cm2" erev="50.0 mV" ion="na"/>
<channelDensity id="kAll" ionChannel="k" condDensity="360 S_per_m2" erev="-77mV" ion="k"/>"""


def cell(id: str, channels: str, morphology: str = "", diameter: float = 20, length: float = 20) -> str:
    """A cell: one cylinder, or the morphology that is given."""
    shape = morphology or SOMA.format(id=id, diameter=diameter, length=length)
    return f'<cell id="{id}">{shape}{MEMBRANE.format(id=id, channels=channels, resistivity="0.1")}</cell>'


def cable(id: str, length: float, diameter: float, divisions: int) -> str:
    """A morphology of one unbranched cable."""
    return f"""<morphology id="m_{id}"><segment id="0" name="d"><proximal x="0" y="0" z="0" diameter="{diameter}"/>
<distal x="{length}" y="0" z="0" diameter="{diameter}"/></segment>
<segmentGroup id="dend" neuroLexId="sao864921383"><property tag="numberInternalDivisions" value="{divisions}"/>
<member segment="0"/></segmentGroup></morphology>"""


def put(folder: Path, parts: str, network: str, quantities: dict[str, str], length: float, step: float) -> Path:
    """A LEMS file with one OutputFile; ``length`` and ``step`` in ms."""
    columns = "".join(f'<OutputColumn id="{id}" quantity="{path}"/>' for id, path in quantities.items())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.nml").write_text(
        f'<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="test">{parts}'
        f'<network id="net" type="networkWithTemperature" temperature="6.3degC">{network}</network></neuroml>'
    )
    path = folder / "LEMS.xml"
    path.write_text(
        '<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>'
        '<Include file="Simulation.xml"/><Include file="net.nml"/>'
        f'<Simulation id="sim" length="{length}ms" step="{step}ms" target="net">'
        f'<OutputFile id="o" fileName="out.dat">{columns}</OutputFile></Simulation></Lems>'
    )
    return path

"""Small documents for the tests."""

from __future__ import annotations

from pathlib import Path

CELLS = """
  <iafCell id="iaf" leakReversal="-65mV" thresh="-50mV" reset="-65mV" C="1nF" leakConductance="10nS"/>
  <izhikevichCell id="izh" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-65.0" d="6"/>
  <expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="3ms"/>
  <gapJunction id="gap" conductance="10pS"/>
  <gapJunction id="gap2" conductance="20pS"/>
  <silentSynapse id="silent"/>
  <gradedSynapse id="graded" conductance="5pS" delta="5mV" Vth="-55mV" k="0.025per_ms" erev="0mV"/>
  <pulseGenerator id="pulse" delay="1ms" duration="5ms" amplitude="1nA"/>
"""

EVERYTHING = """
  <network id="net" type="networkWithTemperature" temperature="32 degC">
    <notes>Two &lt;populations&gt;, and   all that may stand between them.</notes>
    <annotation><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
        rdf:about="net"/></rdf:RDF></annotation>
    <region id="here" space="there"/>
    <population id="a" component="iaf" type="populationList" size="3">
      <property tag="color" value="1 0 0"/>
      <annotation><property tag="region" value="CA1 &amp; CA3"/></annotation>
      <instance id="7"><location x="1" y="-2.5" z="0.1"/></instance>
      <instance id="3"><location x="1e-3" y="0" z="12345.678"/></instance>
      <instance id="5"><location x="0.30000000000000004" y="0" z="0"/></instance>
    </population>
    <population id="b" component="izh" size="4"/>
    <population id="empty" component="izh" size="0"/>
    <synapticConnection from="a/7/iaf" to="b[2]" synapse="syn" destination="synapses"/>
    <synapticConnectionWD from="b[0]" to="b[1]" synapse="syn" destination="synapses" weight="0.5" delay="0.1 s"/>
    <projection id="plain" presynapticPopulation="a" postsynapticPopulation="b" synapse="syn">
      <connection id="4" preCellId="../a/5/iaf" postCellId="../b[3]"/>
      <connection id="9" preCellId="../a/7/iaf" postCellId="../b[0]" postSegmentId="0" postFractionAlong="0.25"/>
    </projection>
    <projection id="weighted" presynapticPopulation="b" postsynapticPopulation="a" synapse="syn">
      <connectionWD id="0" preCellId="../b[1]" postCellId="../a/3/iaf" weight="0.1" delay="0.00025 s"/>
      <connectionWD id="1" preCellId="../b[2]" postCellId="../a/3/iaf" weight="-1e-7" delay="2 ms"/>
    </projection>
    <projection id="nothing" presynapticPopulation="b" postsynapticPopulation="a" synapse="syn"/>
    <electricalProjection id="gaps" presynapticPopulation="a" postsynapticPopulation="a">
      <electricalConnectionInstanceW id="0" preCell="../a/7/iaf" postCell="../a/3/iaf" synapse="gap" weight="2"/>
      <electricalConnectionInstanceW id="1" preCell="../a/3/iaf" postCell="../a/5/iaf" synapse="gap2" weight="3"/>
    </electricalProjection>
    <electricalProjection id="gapsOfSized" presynapticPopulation="b" postsynapticPopulation="b">
      <electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>
    </electricalProjection>
    <continuousProjection id="analogue" presynapticPopulation="a" postsynapticPopulation="a">
      <continuousConnectionInstance id="0" preCell="../a/7/iaf" postCell="../a/3/iaf"
          preComponent="silent" postComponent="graded"/>
    </continuousProjection>
    <explicitInput target="b[1]" input="pulse" destination="synapses"/>
    <inputList id="list" population="a" component="pulse">
      <input id="0" target="../a/3/iaf" destination="synapses"/>
      <input id="1" target="../a/7/iaf" segmentId="0" fractionAlong="0.75" destination="synapses"/>
    </inputList>
    <inputList id="weightedInputs" population="b" component="pulse">
      <inputW id="0" target="../b[3]" destination="synapses" weight="0.3"/>
    </inputList>
  </network>
"""


def neuroml(*parts: str, id: str = "test") -> str:
    """A NeuroML document."""
    return f'<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="{id}">{"".join(parts)}</neuroml>\n'


def put(folder: Path, name: str, text: str | bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def network(*inside: str, id: str = "net") -> str:
    """A document with the cells above and a network."""
    return neuroml(CELLS, f'<network id="{id}">', *inside, "</network>")


def many(rows: int = 400, quote: str = '"', comment: str = "") -> str:
    """A network whose rows are enough to be read as arrays."""
    lines = [f'<population id="p" component="iaf" type="populationList" size="{rows}">']
    lines += [f'  <instance id="{i}">\n    <location x="{i}.5" y="-{i}" z="1e-3"/>\n  </instance>' for i in range(rows)]
    lines += ['</population><projection id="proj" presynapticPopulation="p" postsynapticPopulation="p" synapse="syn">']
    lines += [
        f'  <connectionWD id="{i}" preCellId="../p/{i}/iaf" postCellId="../p/{(i * 7) % rows}/iaf" '
        f'preSegmentId="{i % 3}" preFractionAlong="0.{i % 10}" weight="{i * 0.1 - 1}" delay="{i % 13 / 4}ms"/>{comment}'
        for i in range(rows)
    ]
    lines += ['</projection><inputList id="l" population="p" component="pulse">']
    lines += [f'  <input id="{i}" target="../p/{i}/iaf" destination="synapses"/>' for i in range(rows)]
    lines += ["</inputList>"]
    return network("\n".join(lines)).replace('"', quote)


def standard() -> str:
    """The network above without what LEMS has and the schema has not."""
    lines = EVERYTHING.split("\n")
    return "\n".join(line for line in lines if "<region" not in line and "synapticConnectionWD" not in line)

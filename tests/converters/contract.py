"""What all formats are held to: a network that has something of everything, and what of it two networks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nmlbridge import Network
from nmlbridge.graph import InputList, NativeCell, NativeProcess, NativeSection, Population, Projection
from nmlbridge.registry import Format, read
from nmlbridge.results import Simulation, elements_of, saved

CELLS = """
  <iafCell id="iaf" leakReversal="-65mV" thresh="-50mV" reset="-65mV" C="1nF" leakConductance="10nS"/>
  <izhikevichCell id="izh" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-65.0" d="6"/>
  <expTwoSynapse id="syn" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="3ms"/>
  <gapJunction id="gap" conductance="10pS"/>
  <silentSynapse id="silent"/>
  <gradedSynapse id="graded" conductance="5pS" delta="5mV" Vth="-55mV" k="0.025per_ms" erev="0mV"/>
  <pulseGenerator id="pulse" delay="1ms" duration="5ms" amplitude="1nA"/>
  <ionChannelHH id="pas" conductance="10pS"/>
  <cell id="shaped"><morphology id="m">
      <segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="10"/><distal x="0" y="10" z="0" diameter="10"/>
      </segment>
      <segment id="1" name="dend"><parent segment="0"/><proximal x="0" y="10" z="0" diameter="2"/>
        <distal x="0" y="60" z="0" diameter="1"/></segment>
      <segment id="2" name="tip"><parent segment="1"/><distal x="5" y="90" z="0" diameter="1"/></segment>
      <segmentGroup id="soma_0" neuroLexId="sao864921383"><member segment="0"/></segmentGroup>
      <segmentGroup id="dend_0" neuroLexId="sao864921383"><member segment="1"/><member segment="2"/></segmentGroup>
      <segmentGroup id="soma_group"><include segmentGroup="soma_0"/></segmentGroup>
      <segmentGroup id="dendrite_group"><include segmentGroup="dend_0"/></segmentGroup>
    </morphology>
    <biophysicalProperties id="b"><membraneProperties>
      <channelDensity id="leak" ionChannel="pas" ion="non_specific" condDensity="0.1 mS_per_cm2" erev="-65 mV"/>
      <spikeThresh value="-20 mV"/><specificCapacitance value="1 uF_per_cm2"/><initMembPotential value="-65 mV"/>
      </membraneProperties><intracellularProperties><resistivity value="100 ohm_cm"/></intracellularProperties>
    </biophysicalProperties></cell>
"""

NETWORK = """
  <network id="net" type="networkWithTemperature" temperature="32 degC">
    <population id="a" component="iaf" type="populationList" size="3">
      <property tag="color" value="1 0 0"/>
      <instance id="7"><location x="1" y="-2.5" z="0.1"/></instance>
      <instance id="3"><location x="1e-3" y="0" z="12345.678"/></instance>
      <instance id="5"><location x="0.3" y="0" z="0"/></instance>
    </population>
    <population id="b" component="izh" size="4"/>
    <population id="c" component="shaped" size="2"/>
    <projection id="ab" presynapticPopulation="a" postsynapticPopulation="b" synapse="syn">
      <connectionWD id="0" preCellId="../a/5/iaf" postCellId="../b[3]" weight="0.1" delay="2 ms"/>
      <connectionWD id="1" preCellId="../a/7/iaf" postCellId="../b[0]" weight="3" delay="0.25 ms"/>
    </projection>
    <projection id="bc" presynapticPopulation="b" postsynapticPopulation="c" synapse="syn">
      <connectionWD id="0" preCellId="../b[1]" postCellId="../c[0]" postSegmentId="1" postFractionAlong="0.25"
        weight="1" delay="1 ms"/>
      <connectionWD id="1" preCellId="../b[1]" postCellId="../c[1]" weight="2" delay="1 ms"/>
    </projection>
    <electricalProjection id="gaps" presynapticPopulation="a" postsynapticPopulation="a">
      <electricalConnectionInstanceW id="0" preCell="../a/7/iaf" postCell="../a/3/iaf" synapse="gap" weight="2"/>
    </electricalProjection>
    <continuousProjection id="analogue" presynapticPopulation="a" postsynapticPopulation="a">
      <continuousConnectionInstance id="0" preCell="../a/7/iaf" postCell="../a/3/iaf"
          preComponent="silent" postComponent="graded"/>
    </continuousProjection>
    <inputList id="list" population="a" component="pulse">
      <input id="0" target="../a/3/iaf" destination="synapses"/>
      <input id="1" target="../a/7/iaf" destination="synapses"/>
    </inputList>
  </network>
"""

SIMULATION = """
  <Simulation id="sim" length="20ms" step="0.025ms" target="net">
    <OutputFile id="out" fileName="out.dat"><OutputColumn id="v" quantity="b[0]/v"/></OutputFile>
  </Simulation><Target component="sim"/>
"""


def everything(folder: Path) -> Network:
    """A network that has something of every feature that a published model has."""
    core = "".join(f'<Include file="{name}.xml"/>' for name in ("Cells", "Networks", "Simulation"))
    path = folder / "LEMS_everything.xml"
    path.write_text(f"<Lems>{core}{CELLS}{NETWORK}{SIMULATION}</Lems>")
    return read(path)


def native_everything() -> Network:
    """The same for formats whose cells are made of the simulator's own mechanisms."""
    soma = NativeSection("soma", L=20.0, diam=20.0, mechanisms={"hh": {"gnabar": 0.1, "el": -60.0}})
    dend = NativeSection("dend", 0, points=np.array([[0.0, 0, 0, 2], [0, 60, 0, 1], [5, 90, 0, 1]]), nseg=3, Ra=120.0,
                         mechanisms={"pas": {"g": (1e-4, 2e-4, 3e-4), "e": -65.0}})  # fmt: skip
    parts = [
        NativeCell("pyr", (soma, dend), {"all": (0, 1)}, threshold=0.0, v_init=-65.0),
        NativeCell("basket", (NativeSection("soma", L=10.0, diam=10.0, mechanisms={"hh": {}}),), v_init=-65.0),
        NativeProcess("exc", "Exp2Syn", "synapse", {"tau1": 0.5, "tau2": 3.0, "e": 0.0}),
        NativeProcess(
            "noise", "NetStim", "source", {"interval": 20.0, "number": 1e9, "start": 0.0, "noise": 1.0}, "exc"
        ),
        NativeProcess("pulse", "IClamp", "input", {"delay": 5.0, "dur": 10.0, "amp": 0.2}),
    ]
    populations = {
        "a": Population.sized("a", "pyr", 3, positions=np.array([[1, -2.5, 0.1], [1e-3, 0, 12345.678], [0.3, 0, 0]])),
        "b": Population.sized("b", "basket", 2, positions=np.zeros((2, 3))),
    }
    links = [
        Projection("ab", "chemical", "a", "b", np.array([0, 2]), np.array([1, 0]), weight=np.array([0.1, 0.003]),
                   delay=np.array([2.0, 0.25]), synapses=("exc",)),
        Projection("ba", "chemical", "b", "a", np.array([1]), np.array([2]), weight=np.array([1.0]),
                   delay=np.array([1.0]), post_segment=np.array([1]), post_fraction=np.array([0.25]),
                   synapses=("exc",)),
    ]  # fmt: skip
    rows = np.arange(3)
    inputs = [
        InputList("bkg", "noise", "a", rows, weight=np.full(3, 0.01), delay=np.full(3, 1.5)),
        InputList("step", "pulse", "b", np.array([1]), values={"amp": np.array([0.3])}),
    ]
    network = Network("net", populations, links, inputs, native={part.id: part for part in parts}, temperature=279.45)
    network.simulation = elements_of(Simulation(20.0, outputs=saved({"v.dat": ["a[0]/v"]}, [])), "net")
    return network


def suited(record: Format, network: Any) -> Any:
    """A network that a format can hold at all."""
    native = "native mechanisms" in record.features and "components" not in record.features
    return native_everything() if native else network


def plain(value: float) -> float:
    """Twelve digits: what a change of units and back keeps."""
    return float(f"{value:.12g}")


def _cell(population: Population, row: int) -> tuple[str, int]:
    return population.id, int(population.instance_ids[row])


def _rows(network: Network, kind: str, *columns: str) -> list[tuple[Any, ...]]:
    """Connections of one kind as a sorted multiset of (pre, post, columns); how projections are cut does not matter."""
    rows = []
    for projection in network.projections:
        if projection.kind != kind:
            continue
        pre, post = network.populations[projection.presynaptic], network.populations[projection.postsynaptic]
        for at in range(len(projection)):
            values = []
            for name in columns:
                column = getattr(projection, name)
                default = {"weight": 1.0, "delay": 0.0}.get(name, 0.0)
                values.append(default if column is None else plain(float(column[at])))
            rows.append((_cell(pre, int(projection.pre[at])), _cell(post, int(projection.post[at])), *values))
    return sorted(rows)


def _inputs(network: Network) -> list[tuple[Any, ...]]:
    def rows(inputs: InputList) -> list[tuple[Any, ...]]:
        population = network.populations[inputs.population]
        return [(inputs.component, _cell(population, int(row))) for row in inputs.target]

    return sorted(row for inputs in network.inputs for row in rows(inputs))


def _on_cell(network: Network) -> list[tuple[Any, ...]]:
    placed = ("post_segment", "post_fraction")
    chemical: list[Projection] = [p for p in network.projections if p.kind == "chemical"]
    return _rows(network, "chemical", *placed) if chemical else []


def _shapes(network: Network) -> dict[str, Any]:
    """Area of every cell, and length without the root: a ball and a cylinder as long as wide are one soma to SWC."""
    from nmlbridge.graph.morphology import Morphology

    found = {}
    for element in network.components:
        source = element.find("morphology")
        if source is not None:
            shape = Morphology.from_element(source)
            found[element.get("id") or ""] = (plain(shape.area.sum()), plain(shape.length[1:].sum()))
    return found


VIEWS: dict[str, Callable[[Network], Any]] = {
    "networks": lambda n: {p.id: (p.component, p.size) for p in n.populations.values()},
    "positions": lambda n: {
        p.id: sorted((int(i), *map(plain, xyz)) for i, xyz in zip(p.instance_ids, p.positions, strict=True))
        for p in n.populations.values()
        if p.positions is not None
    },
    "instance ids": lambda n: {p.id: sorted(p.instance_ids.tolist()) for p in n.populations.values()},
    "connections": lambda n: _rows(n, "chemical"),
    "weights": lambda n: _rows(n, "chemical", "weight"),
    "delays": lambda n: _rows(n, "chemical", "delay"),
    "places on cells": _on_cell,
    "gap junctions": lambda n: _rows(n, "electrical", "weight"),
    "continuous projections": lambda n: _rows(n, "continuous"),
    "inputs": _inputs,
    "temperature": lambda n: n.temperature if n.temperature is None else plain(n.temperature),
    "components": lambda n: sorted(f"{e.tag} {e.get('id')}" for e in n.components if e.get("id")),
    "component types": lambda n: sorted(str(e.get("name")) for e in n.components if e.tag == "ComponentType"),
    "morphologies": _shapes,
    "simulation": lambda n: sorted(e.tag for e in n.simulation),
    "properties": lambda n: {p.id: p.properties.get("color") for p in n.populations.values()},
}
"""Of each feature, what two networks must have the same if formats between them carry it."""


def renumbered(network: Network) -> Network:
    """The network with instance ids 0 .. n-1: what it is to a format that has none."""
    populations = {p.id: replace(p, instance_ids=np.arange(p.size)) for p in network.populations.values()}
    return replace(network, populations=populations)


def alike(a: Network, b: Network, features: frozenset[str] | set[str]) -> list[str]:
    """The features of ``features`` in which two networks differ."""
    differing = []
    if "instance ids" not in features:
        a, b = renumbered(a), renumbered(b)
    for feature in sorted(features & set(VIEWS)):
        one, two = VIEWS[feature](a), VIEWS[feature](b)
        if isinstance(one, np.ndarray) or one != two:
            differing.append(f"{feature}: {str(one)[:300]} | {str(two)[:300]}")
    return differing

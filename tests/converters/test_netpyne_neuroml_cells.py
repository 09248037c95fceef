"""importCellParams of NeuroML files: the cells stay NeuroML, and do what they do in a NeuroML network."""

from __future__ import annotations

import copy
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.converters.netpyne.files import Files
from nmlbridge.converters.netpyne.neuroml_cells import NeuroMLCell
from nmlbridge.errors import ModelError
from nmlbridge.report import Report
from nmlbridge.results import Simulation, saved

pytestmark = pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")

CHANNEL = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="channels">
<ionChannelHH id="leak" conductance="10pS"/>
<ionChannelHH id="kdr" conductance="10pS" species="k"><gateHHrates id="n" instances="4">
<forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
<reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/></gateHHrates></ionChannelHH>
<ionChannelHH id="naf" conductance="10pS" species="na"><gateHHrates id="m" instances="3">
<forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
<reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/></gateHHrates>
<gateHHrates id="h" instances="1"><forwardRate type="HHExpRate" rate="0.07per_ms" midpoint="-65mV" scale="-20mV"/>
<reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/></gateHHrates></ionChannelHH>
</neuroml>
"""
CELL = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="tree"><include href="channels.nml"/>
<cell id="tree"><morphology id="m">
<segment id="0" name="body"><proximal x="50" y="0" z="0" diameter="20"/>
<distal x="50" y="20" z="0" diameter="20"/></segment>
<segment id="4" name="a"><parent segment="0"/><proximal x="50" y="20" z="0" diameter="3"/>
<distal x="50" y="120" z="0" diameter="2"/></segment>
<segment id="7" name="b"><parent segment="4"/><distal x="50" y="320" z="0" diameter="1"/></segment>
<segment id="9" name="c"><parent segment="4" fractionAlong="0.5"/><proximal x="50" y="70" z="0" diameter="1"/>
<distal x="150" y="70" z="0" diameter="1"/></segment>
<segmentGroup id="soma" neuroLexId="sao864921383"><member segment="0"/></segmentGroup>
<segmentGroup id="trunk" neuroLexId="sao864921383"><property tag="numberInternalDivisions" value="6"/>
<member segment="4"/><member segment="7"/></segmentGroup>
<segmentGroup id="dendrites"><include segmentGroup="trunk"/><member segment="9"/></segmentGroup>
</morphology><biophysicalProperties id="b"><membraneProperties>
<channelDensity id="l" ionChannel="leak" condDensity="0.3 mS_per_cm2" erev="-54.4 mV" ion="non_specific"/>
<channelDensity id="k" ionChannel="kdr" condDensity="36 mS_per_cm2" erev="-77 mV" ion="k" segmentGroup="soma"/>
<channelDensity id="na" ionChannel="naf" condDensity="120 mS_per_cm2" erev="50 mV" ion="na" segmentGroup="soma"/>
<spikeThresh value="0 mV"/><specificCapacitance value="1 uF_per_cm2"/><initMembPotential value="-65 mV"/>
</membraneProperties><intracellularProperties><resistivity value="100 ohm_cm"/></intracellularProperties>
</biophysicalProperties></cell></neuroml>
"""
PARAMS = """from netpyne import specs
netParams, cfg = specs.NetParams(), specs.SimConfig()
rule = netParams.importCellParams("tree", "cells/tree.cell.nml", "tree", conds={"cellType": "T"})
netParams.renameCellParamsSec("tree", "trunk", "dend")
assert rule["secs"]["dend"]["geom"]["L"] == 300 and rule["secs"]["dend"]["geom"]["nseg"] == 6
netParams.cellParams["plain"] = {"conds": {"cellType": "P"}, "secs": {"soma": {
    "geom": {"L": 20, "diam": 20}, "mechs": {"hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.0003, "el": -54.3}}}}}
netParams.popParams["T"] = {"cellType": "T", "cellsList": [{"x": 10, "y": 20, "z": 30}, {"x": 0, "y": 0, "z": 0}]}
netParams.popParams["P"] = {"cellType": "P", "numCells": 1}
netParams.synMechParams["exc"] = {"mod": "Exp2Syn", "tau1": 0.5, "tau2": 4, "e": 0}
netParams.connParams["PT"] = {"preConds": {"pop": "P"}, "postConds": {"pop": "T"}, "weight": 0.03, "delay": 2,
                              "sec": "dend", "loc": 0.75, "synMech": "exc"}
netParams.connParams["TP"] = {"preConds": {"pop": "T"}, "postConds": {"pop": "P"}, "weight": 0.01, "delay": 3,
                              "sec": "soma", "loc": 0.5, "synMech": "exc", "connList": [[0, 0]]}
netParams.stimSourceParams["step"] = {"type": "IClamp", "del": 5, "dur": 20, "amp": 0.5}
netParams.stimTargetParams["step"] = {"source": "step", "conds": {"pop": "P"}, "sec": "soma", "loc": 0.5}
netParams.stimSourceParams["noise"] = {"type": "NetStim", "interval": 10, "noise": 0, "start": 30, "number": 2}
netParams.stimTargetParams["noise"] = {"source": "noise", "conds": {"pop": "T", "cellList": [1]}, "sec": "c",
                                       "loc": 0.4, "synMech": "exc", "weight": 0.02, "delay": 1}
cfg.duration, cfg.dt, cfg.recordStep, cfg.recordCells = 60, 0.025, 0.025, ["all"]
cfg.recordTraces = {"V": {"sec": "soma", "loc": 0.5, "var": "v"}, "far": {"sec": "dend", "loc": 0.95, "var": "v"},
                    "near": {"sec": "dend", "loc": 0.05, "var": "v"},
                    "g": {"sec": "dend", "loc": 0.75, "synMech": "exc", "var": "g"}}
"""


def written(folder: Path) -> Path:
    """The model in a folder."""
    (folder / "cells").mkdir()
    (folder / "cells/channels.nml").write_text(CHANNEL)
    (folder / "cells/tree.cell.nml").write_text(CELL)
    (folder / "net.py").write_text(PARAMS)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path)


def test_its_cells_are_neuroml_in_every_place_that_rules_name(folder: Path) -> None:
    network = nmlbridge.read(folder / "net.py", allow=("code",))
    population = network.populations["T"]
    assert population.component == "tree" and "tree" not in network.native
    assert {"tree", "kdr", "naf", "leak"} <= {element.get("id") for element in network.components}
    # NetPyNE puts the middle one of the soma's points at the cell's place, and turns y upside down
    assert population.positions is not None and population.positions.tolist() == [[-40, -40, 30], [-50, -20, 0]]
    onto = next(p for p in network.projections if p.postsynaptic == "T")
    assert onto.post_segment is not None and onto.post_fraction is not None
    assert set(onto.post_segment.tolist()) == {7}  # 0.75 of a section of 100 and 200 um: 125 um along the second
    assert onto.post_fraction == pytest.approx(0.625)
    (drive,) = [inputs for inputs in network.inputs if inputs.population == "T"]
    assert drive.segment is not None and drive.fraction is not None
    assert (drive.target.tolist(), drive.segment.tolist()) == ([1], [9]) and drive.fraction == pytest.approx(0.4)


@pytest.mark.neuron
def test_a_network_of_both_kinds_of_cells_runs(folder: Path) -> None:
    results = [nmlbridge.simulate(folder / "net.py", allow=("code",), ranks=ranks) for ranks in (1, 2)]
    first, second = results
    assert len(first.spikes.of("P")) and len(first.spikes.of("T"))
    assert (first.traces.values == second.traces.values).all() and (first.spikes.time == second.spikes.time).all()
    soma, near, far = first["T[0]/0/v"], first["T[0]/4(0.15)/v"], first["T[0]/7(0.925)/v"]
    assert np.abs(near - soma).max() < np.abs(far - soma).max() / 2 > 1e-3  # first and last of six compartments
    assert first["T[0]/7/synapses:exc:0/g"].max() > 0.02e-6


def test_a_specification_of_json_names_the_file(folder: Path) -> None:
    params = {
        "cellParams": {"tree": {"conds": {"cellType": "T"},
                                "neuroml": {"file": "cells/tree.cell.nml", "cell": "tree"}}},
        "popParams": {"T": {"cellType": "T", "numCells": 1}},
        "synMechParams": {"exc": {"mod": "ExpSyn", "tau": 2, "e": 0}},
        "stimSourceParams": {"n": {"type": "NetStim", "interval": 5}},
        "stimTargetParams": {"n": {"source": "n", "conds": {"pop": "T"}, "sec": "dendrites", "synsPerConn": 2,
                                   "synMech": "exc", "weight": 0.01, "delay": 1}},
    }  # fmt: skip
    (folder / "net.json").write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 10}}))
    network = nmlbridge.read(folder / "net.json")
    assert network.populations["T"].component == "tree"
    (drive,) = network.inputs
    assert drive.segment is not None and set(drive.segment.tolist()) <= {4, 7, 9}


@pytest.fixture(scope="module")
def said_by_python(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The specification as NetPyNE's Python states it, with the rule of the NeuroML cell."""
    place = written(tmp_path_factory.mktemp("stated"))
    files = Files.of(place / "net.py", ("code",), {}, Report())
    return {"net": {"params": files.params}, "simConfig": files.config}


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("cellParams.tree.secs.soma.mechs.pas", {"g": 1},
         "cellParams.tree.*'tree.cell.nml' states it, but section 'soma' states 'mechs' otherwise"),
        ("cellParams.tree.secs.dend.geom.L", 10, "section 'dend' states 'geom' otherwise"),
        ("cellParams.tree.secs.dend.threshold", -20, "section 'dend' states 'threshold' otherwise"),
        ("cellParams.tree.secs.c.topol.parentSec", "soma", "section 'c' states 'topol' otherwise"),
        ("cellParams.tree.secs.c", None, "section 'c' is left out"),
        ("cellParams.tree.secs.e", {"geom": {}}, "section 'e' is none of its sections"),
        ("cellParams.also", {"conds": {"cellType": "T"}, "secs": {"soma": {"geom": {}}}}, "meets another rule too"),
        ("cellParams.tree.neuroml", "cells/tree.cell.nml", "expected {file: ..., cell: ...}"),
        ("cellParams.tree.neuroml.origin", [0, "x", 0], "neuroml.origin: expected three numbers"),
        ("cellParams.tree.neuroml.cell", "three", "the <cell> 'three' is not there; did you mean 'tree'"),
        ("cellParams.tree.neuroml.cell", "kdr", "'kdr' is a <ionChannelHH>, which has no sections"),
        ("cellParams.tree.neuroml.file", "cells/gone.nml", "no such file"),
        ("recordTraces.V.mech", "kdr", r"T\[0\] is a NeuroML cell, of which v"),
    ],
)  # fmt: skip
def test_bad_input(folder: Path, said_by_python: dict[str, Any], where: str, value: Any, said: str) -> None:
    model = copy.deepcopy(said_by_python)
    at = model["net"]["params"] if where.startswith("cellParams") else model["simConfig"]
    *steps, last = where.split(".")
    for step in steps:
        at = at[step]
    at[last] = value
    if value is None:
        del at[last]
    if where.startswith("recordTraces"):
        at["conds"] = {"pop": "T"}
    (folder / "net.json").write_text(json.dumps(model))
    with pytest.raises(ModelError, match=said):
        nmlbridge.read(folder / "net.json")


def test_a_call_that_neuroml_cannot_answer_is_an_error_at_its_line(folder: Path) -> None:
    line = "netParams.importCellParams('x', 'cells/tree.cell.nml', 'three')"
    (folder / "net.py").write_text(f"{PARAMS}{line}\n")
    with pytest.raises(ModelError, match="'three' is not there; did you mean 'tree'") as raised:
        nmlbridge.read(folder / "net.py", allow=("code",))
    assert raised.value.line == len(PARAMS.splitlines()) + 1


STEPS = """from netpyne import specs
netParams, cfg = specs.NetParams(), specs.SimConfig()
for label, cell, amp in (("pyramidals", "pyr_4_sym", 0.6), ("baskets", "bask", 0.1)):
    netParams.importCellParams(label, cell + ".cell.nml", cell, conds={"pop": label})
    netParams.popParams[label] = {"cellType": cell, "numCells": 1}
    netParams.stimSourceParams[label] = {"type": "IClamp", "del": 100, "dur": 500, "amp": amp}
    netParams.stimTargetParams[label] = {"source": label, "conds": {"pop": label}, "sec": "soma", "loc": 0.5}
cfg.duration, cfg.dt, cfg.recordStep, cfg.recordCells = 200, 0.025, 0.025, ["all"]
cfg.recordTraces = {"V": {"sec": "soma", "loc": 0.5, "var": "v"}}
cfg.hParams["celsius"] = 6.3
"""


@pytest.mark.neuron
def test_published_cells_do_what_they_do_in_their_own_network(corpus: Path, tmp_path: Path) -> None:
    """Two cells of ACnet2 with steps of current: importCellParams against the NeuroML network of the same."""
    source = corpus / "NetPyNEShowcase" / "NeuroML2" / "TwoCells"
    if not source.is_dir():
        pytest.skip("the corpus has no NetPyNEShowcase")
    folder = tmp_path / "two"
    shutil.copytree(source, folder)
    (folder / "steps.py").write_text(STEPS)
    theirs = nmlbridge.simulate(folder / "steps.py", allow=("code",))
    names = ["pyramidals[0]/0/v", "baskets[0]/0/v"]
    simulation = Simulation(200.0, 0.025, method="implicit", outputs=saved({"v.dat": names}, []))
    ours = nmlbridge.simulate_network(nmlbridge.read(folder / "TwoCell.net.nml"), simulation)
    for name in names:
        apart = np.abs(theirs[name] - ours[name]).max() * 1e3
        assert np.ptp(ours[name]) > 0.05 and apart < 1e-6, (name, apart)


def test_sections_are_those_of_the_run(corpus: Path) -> None:
    file = corpus / "ACnet2/neuroConstruct/generatedNeuroML2/pyr_4_sym.cell.nml"
    if not file.is_file():
        pytest.skip("the corpus has no ACnet2")
    rule: dict[str, Any] = NeuroMLCell.of(file, "pyr_4_sym", Report()).rule()
    assert list(rule["secs"])[:2] == ["soma", "apical0"] and len(rule["secs"]) == 9
    assert rule["secs"]["basal0"]["topol"] == {"parentSec": "soma", "parentX": 0.0, "childX": 0.0}
    assert rule["secLists"]["basal_dends"] == ["basal0", "basal1", "basal2"]

"""Python that states a model with NetPyNE's specs: run only if allowed, apart, and never NetPyNE's simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge import extras
from nmlbridge.cli import main
from nmlbridge.converters.netpyne.files import Files
from nmlbridge.errors import DocumentError, NmlBridgeError, UsageError

from .netpyne_models import CONFIGS, IZHIKEVICH, MODELS

needs_netpyne = pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
CFG = """from netpyne import specs
cfg = specs.SimConfig()
cfg.duration, cfg.strength = 50, 0.01
cfg.analysis["plotRaster"] = True
"""
PARAMS = """import numpy as np
from netpyne import specs
try:
    from __main__ import cfg
except ImportError:
    from cfg import cfg
netParams = specs.NetParams()
netParams.popParams["S"] = {"cellType": "PYR", "numCells": np.int64(4)}
netParams.cellParams["PYR"] = {"secs": {"soma": {"geom": {"diam": 18.8, "L": 18.8, "Ra": 123.0}, "mechs": {"hh": {}}}}}
netParams.synMechParams["exc"] = {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 5.0, "e": 0}
netParams.connParams["S->S"] = {"preConds": {"pop": "S"}, "postConds": {"pop": ("S",)}, "weight": cfg.strength,
                                "delay": 5, "synMech": "exc", "connList": [(0, 1), (2, 3)]}
"""
WHOLE = """import json
from netpyne import specs, sim
params, config = json.load(open("model.json"))
netParams, simConfig = specs.NetParams(params), specs.SimConfig(config)
sim.createSimulateAnalyze(netParams=netParams, simConfig=simConfig)
open("simulated", "w").write("the simulator was called")
"""


# what of NetPyNE such Python sees, for the tests of how it is run: NetPyNE itself takes seconds to import
PRETENDED = {
    "__init__.py": "",
    "specs.py": """
class SimConfig:
    def __init__(self, given=None):
        self.duration, self.analysis, self.hParams = 1000, {}, {}
        for name, value in (given or {}).items():
            setattr(self, name, value)
class NetParams:
    def __init__(self, given=None):
        for name in ("popParams", "cellParams", "synMechParams", "connParams"):
            setattr(self, name, {})
        for name, value in (given or {}).items():
            setattr(self, name, value)
    def setCfgMapping(self, cfg):
        pass
    def importCellParams(self, label, fileName, cellName):
        raise NotImplementedError
""",
    "sim.py": """
def create(netParams=None, simConfig=None, output=False):
    raise SystemExit("this is NetPyNE's simulator")
load = create
""",
}


@pytest.fixture
def pretended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model that finds this NetPyNE first."""
    (folder / "netpyne").mkdir()
    for name, text in PRETENDED.items():
        (folder / "netpyne" / name).write_text(text)
    monkeypatch.setattr(extras, "find_spec", lambda name: name)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cfg.py").write_text(CFG)
    (tmp_path / "netParams.py").write_text(PARAMS)
    index = {"netParams": "netParams.py", "simConfig": "cfg.py", "mod_folder": "mod"}
    (tmp_path / "index.npjson").write_text(json.dumps(index))
    return tmp_path


def weights(network: nmlbridge.Network) -> list[float]:
    weight = network.projections[0].weight
    assert weight is not None
    return list(weight)


@needs_netpyne
def test_a_script_of_netpyne(folder: Path) -> None:
    text = "from netpyne import sim\ncfg, netParams = sim.readCmdLineArgs()\nsim.create(netParams, cfg)\n"
    (folder / "init.py").write_text(text)
    network = nmlbridge.read(folder / "init.py", allow=("code",))
    assert weights(network) == [0.01, 0.01] and network.settings.duration == 50


LEAKY = """NEURON { SUFFIX leaky  NONSPECIFIC_CURRENT i  RANGE g, e  GLOBAL shift }
PARAMETER { g = 0.0003 (S/cm2)  e = -65 (mV)  shift = 0 (mV) }
ASSIGNED { v (mV)  i (mA/cm2) }
BREAKPOINT { i = g * (v - e - shift) }
"""
CELL = """begintemplate Leaky
public soma, dend
create soma, dend
proc init() {
    create soma, dend
    connect dend(0), soma(1)
    soma { L = 20  diam = 20  insert leaky  g_leaky = 0.0005 }
    dend { L = 100  diam = 2  nseg = 3  insert leaky }
    shift_leaky = 4
}
endtemplate Leaky
"""
IMPORTED = """from netpyne import specs
netParams, cfg = specs.NetParams(), specs.SimConfig()
netParams.importCellParams(label="L", fileName="cell.hoc", cellName="Leaky", conds={"cellType": "L"})
netParams.popParams["L"] = {"cellType": "L", "numCells": 2}
netParams.stimSourceParams["step"] = {"type": "IClamp", "del": 5, "dur": 100, "amp": 0.01}
netParams.stimTargetParams["step"] = {"source": "step", "conds": {"pop": "L"}, "sec": "dend", "loc": 0.5}
cfg.duration, cfg.recordCells, cfg.recordTraces = 40, ["all"], {"V": {"sec": "soma", "loc": 0.5, "var": "v"}}
cfg.hParams["celsius"] = 20
"""
SEEN = """import json, sys
from netpyne import sim
from netParams import netParams, cfg
sim.createSimulate(netParams, cfg)
print("found" + json.dumps(list(sim.simData["V"]["cell_0"])))
"""


@needs_netpyne
@pytest.mark.neuron
def test_cells_of_hoc_with_mod_files(tmp_path: Path) -> None:
    """NetPyNE imports the cell in NEURON, with the mechanisms that it needs, and keeps the globals that it sets."""
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "leaky.mod").write_text(LEAKY)
    for name, text in (("cell.hoc", CELL), ("netParams.py", IMPORTED), ("seen.py", SEEN)):
        (tmp_path / name).write_text(text)
    with pytest.raises(DocumentError, match="--allow-mods"):
        nmlbridge.read(tmp_path / "netParams.py", allow=("code",))
    results = nmlbridge.simulate(tmp_path / "netParams.py", allow=("code", "mods"))
    tools = Path(sys.executable).parent
    subprocess.run([str(tools / "nrnivmodl"), "mod"], cwd=tmp_path, check=True, capture_output=True,
                   env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"})  # fmt: skip
    done = subprocess.run([sys.executable, "seen.py"], cwd=tmp_path, check=True, capture_output=True, text=True)
    theirs = json.loads(next(x for x in done.stdout.splitlines() if x.startswith("found")).removeprefix("found"))
    ours = results["L[0]/soma(0.5)/v"][: len(theirs)] * 1e3
    assert np.ptp(theirs) > 5 and max(theirs) > -60  # the shift is there
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["netParams.py", "init.py", "index.npjson", ""])
def test_ways_to_state_a_model(name: str, pretended: Path) -> None:
    folder = pretended
    if name == "init.py":
        text = "from netpyne import sim\nfrom netParams import cfg, netParams\nsim.create(netParams, cfg)\n"
        (folder / name).write_text(text)
    network = nmlbridge.read(folder / name, allow=("code",))
    assert weights(network) == [0.01, 0.01]
    assert network.settings.duration == 50


@needs_netpyne
@pytest.mark.neuron
def test_what_runs_is_the_model_and_not_netpyne(tmp_path: Path) -> None:
    name = "dendrites"
    (tmp_path / "model.json").write_text(json.dumps([MODELS[name], CONFIGS[name]]))
    (tmp_path / "model.py").write_text(WHOLE)
    (tmp_path / "plain.json").write_text(json.dumps({"net": {"params": MODELS[name]}, "simConfig": CONFIGS[name]}))
    ours = nmlbridge.simulate(tmp_path / "model.py", allow=("code",), duration=60).spikes
    plain = nmlbridge.simulate(tmp_path / "plain.json", duration=60).spikes
    assert len(ours) > 10
    assert ours.time.tolist() == plain.time.tolist() and ours.gid.tolist() == plain.gid.tolist()
    assert not (tmp_path / "simulated").exists()


def test_python_is_not_run_unless_allowed(folder: Path) -> None:
    (folder / "cfg.py").write_text("from netpyne import specs\nopen('ran', 'w')\n")
    for name in ("index.npjson", "cfg.py", ""):
        with pytest.raises(UsageError, match="--allow-code"):
            nmlbridge.read(folder / name)
    assert main(["run", str(folder)]) == 2 and main(["build", str(folder / "netParams.py")]) == 2
    assert not (folder / "ran").exists()


def test_netpyne_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'nmlbridge\[netpyne\]'"):
        nmlbridge.read(folder, allow=("code",))


@pytest.mark.parametrize(
    ("file", "text", "said", "line"),
    [
        ("netParams.py", PARAMS + "netParams.sizeX = 1 / 0\n", "ZeroDivisionError", 13),
        ("netParams.py", PARAMS + "netParams.connParams['S->S']['weight'] = lambda: 1\n", "weight is a function", None),
        ("netParams.py", PARAMS + "from netpyne import sim\nsim.load('x.json')\n", "sim.load is called", None),
        ("cfg.py", CFG + "cfg.x = (\n", "SyntaxError", 5),
        ("netParams.py", PARAMS.replace("specs.NetParams()", "specs.SimConfig()"), "popParams", 8),
        ("cfg.py", "from netpyne import specs\nimport sys\nsys.exit(0)\n", "SystemExit", 3),
        ("cfg.py", "from netpyne import specs\nimport os\nos._exit(3)\n", "ended with code 3", None),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    file: str, text: str, said: str, line: int | None, pretended: Path
) -> None:  # fmt: skip
    folder = pretended
    (folder / file).write_text(text)
    with pytest.raises(DocumentError) as raised:
        nmlbridge.read(folder, allow=("code",))
    assert said in str(raised.value) and "\n" not in str(raised.value)
    assert raised.value.line == line
    if line is not None:
        assert Path(str(raised.value.file)).name == file


def test_values_by_name(pretended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pretended
    from nmlbridge.converters.netpyne.read import read_simulation

    def changed(**changes: Any) -> Any:
        names = {name.replace("__", "."): value for name, value in changes.items()}
        return read_simulation(folder, None, ("python",), names)

    network, simulation = changed(strength=0.5, duration=7)  # what netParams makes of it follows
    assert weights(network) == [0.5, 0.5] and simulation.duration == 7
    with pytest.raises(UsageError, match="did you mean 'strength'"):
        changed(strenth=1)
    assert main(["build", str(folder), "--allow-code", "--set", "netParams.popParams.S.numCells=6"]) == 0
    assert "6 cells" in capsys.readouterr().out


def model(**more: Any) -> dict[str, Any]:
    """Ten cells A, one cell B; two independent noises on each of A."""
    noise = {"type": "NetStim", "rate": 100, "noise": 1}
    target = {"conds": {"pop": "A"}, "weight": 0.01, "delay": 1, "synMech": "exc"}
    link = {"weight": 0.01, "delay": 1, "synMech": "exc"}
    to = {"preConds": {"pop": "A"}, "postConds": {"pop": "B"}}
    back = {"preConds": {"pop": "B"}, "postConds": {"pop": "A"}}
    return {
        "popParams": {"A": {"cellType": "P", "numCells": 10}, "B": {"cellType": "P", "numCells": 1}},
        "cellParams": {"P": {"secs": {"soma": {"geom": {"diam": 20, "L": 20}, "mechs": {"hh": {}}}}}},
        "synMechParams": {"exc": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 1.0, "e": 0}},
        "stimSourceParams": {"one": noise, "two": noise},
        "stimTargetParams": {name: target | {"source": name} for name in ("one", "two")},
        "connParams": {"all": link | to | {"convergence": 10}, "single": link | back | {"convergence": 1},
                       "p": link | to | {"probability": 0.5}, "q": link | to | {"probability": 0.5}},
    } | more  # fmt: skip


def test_native_random_numbers_have_none_of_the_traps(tmp_path: Path) -> None:
    from nmlbridge.converters.netpyne.read import read_simulation

    path = tmp_path / "m.json"
    path.write_text(json.dumps({"net": {"params": model()}, "simConfig": {"duration": 10}}))
    theirs = read_simulation(path, changes={"rng": "netpyne"})[0]
    ours = read_simulation(path, changes={"rng": "native"})[0]

    def edges(network: nmlbridge.Network) -> dict[str, list[int]]:
        return {str(p.attributes["netpyne_label"]): p.pre.tolist() for p in network.projections}

    # convergence reaches all cells of a population, and one cell can be the only source
    assert len(edges(theirs)["all"]) == 9 and "single" not in edges(theirs)
    assert sorted(edges(ours)["all"]) == list(range(10)) and edges(ours)["single"] == [0] * 10
    # two rules over the same cells are two draws
    assert edges(theirs)["p"] == edges(theirs)["q"]
    assert edges(ours)["p"] != edges(ours)["q"]
    # and so are two sources of noise on one cell
    one, two = (inputs.random for inputs in theirs.inputs)
    assert one is not None and two is not None and (one == two).all()
    one, two = (inputs.random for inputs in ours.inputs)
    assert one is not None and two is not None and (one != two).any(axis=1).all()
    with pytest.raises(UsageError, match="rng"):
        read_simulation(path, changes={"rng": "mine"})


def test_native_scale_and_turns(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    cell = MODELS["varied"]["cellParams"]["T"]
    params = model(scale=3, cellParams={"P": cell}, rotateCellsRandomly=[0.1, 0.2], stimTargetParams={}, connParams={})
    path.write_text(json.dumps({"net": {"params": params}, "simConfig": {"duration": 10}}))
    instance = Files.of(path, (), {"rng": "native"}, nmlbridge.Report()).instance(nmlbridge.Report())
    assert list(instance.cells) == list(range(33))
    assert all(0 <= cell.tags[f"{axis}norm"] <= 1 for cell in instance.cells.values() for axis in "xyz")
    plain = np.array(cell["secs"]["basal"]["geom"]["pt3d"])
    angles = []
    for one in instance.cells.values():
        assert one.secs is not None
        points = np.array(one.secs["basal"]["geom"]["pt3d"])
        angles.append(np.arctan2(points[1, 2], points[1, 0]) - np.arctan2(plain[1, 2], plain[1, 0]))
    assert 0.1 <= min(angles) < max(angles) <= 0.2  # as asked for, and not one upon the other


@pytest.mark.neuron
def test_mod_files_are_compiled_only_if_allowed(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"net": {"params": MODELS["point cells"]}, "simConfig": {"duration": 5}}))
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "izhikevich.mod").write_text(IZHIKEVICH)
    (tmp_path / "mod" / "other.mod").write_text("NEURON { SUFFIX other }\n")
    report = nmlbridge.Report()
    assert nmlbridge.read(path, report=report).mods == {}
    assert any("--allow-mods" in str(note) for note in report)
    assert list(nmlbridge.read(path, allow=("mods",)).mods) == ["izhikevich.mod"]
    with pytest.raises(NmlBridgeError, match="Izhi2007b"):
        nmlbridge.simulate(path)
    (tmp_path / "mod" / "again.mod").write_text(": Izhi2007b\nNEURON { POINT_PROCESS Izhi2007b }\n")
    with pytest.raises(DocumentError, match=r"again.mod' too|izhikevich.mod' too"):
        nmlbridge.read(path, allow=("mods",))


CHANGING = """from netpyne import sim
from cfg import cfg
from netParams import netParams
def run():
    sim.create(netParams, cfg)
    sim.net.connectCells()
    for cell in sim.net.cells:
        print(cell)
    sim.net.modifyConns({"conds": {"label": "S->S"}, "weight": 2})
    def shown():
        sim.net.modifyCells({})
    h.celsius = 30
    sim.runSimWithIntervalFunc(20, print)
    h.fadvance(); h.fadvance()
def before():
    sim.net.modifyStims({})
if __name__ == "__main__":
    run()
    sim.analyze()
"""


def test_what_a_script_does_after_it_has_handed_over_is_named(pretended: Path) -> None:
    (pretended / "init.py").write_text(CHANGING)
    report = nmlbridge.Report()
    nmlbridge.read(pretended / "init.py", report=report, allow=("code",))
    (note,) = (note for note in report.losses if note.code == "netpyne-script")
    assert "in line 5 and ends there" in note.message
    shown = "line 9: sim.net.modifyConns(...); line 12: h.celsius = ...; line 13: sim.runSimWithIntervalFunc(...) and 2"
    assert shown in note.message


def test_a_script_that_only_runs_what_it_has_made_is_whole(pretended: Path) -> None:
    lines = ["sim.create(netParams, cfg)", "sim.net.createPops()", "sim.net.addStims()", "sim.simulate()",
             "sim.analysis.plotRaster()", "rates = sim.analysis.popAvgRates()"]  # fmt: skip
    (pretended / "init.py").write_text("\n".join([*CHANGING.split("\n")[:3], *lines]))
    report = nmlbridge.Report()
    nmlbridge.read(pretended / "init.py", report=report, allow=("code",))
    assert not report.losses

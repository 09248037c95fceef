"""An instantiated NetPyNE network is changed and run again: the same spikes as NetPyNE's modify functions give."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.converters.netpyne.read import read_simulation
from nmlbridge.errors import UsageError
from nmlbridge.graph import NativeProcess

from ..converters.netpyne_words import CONFIG as SHORT
from ..converters.netpyne_words import MODELS, NSLOC, ask_netpyne

pytestmark = pytest.mark.neuron

# after NetPyNE's tutorial on instantiated networks, with numbers of our own
PARAMS: dict[str, Any] = {
    "popParams": {"hop": {"cellType": "PYR", "numCells": 12, "cellModel": "HH"},
                  "background": {"cellModel": "NetStim", "numCells": 12, "rate": 60, "noise": 0.5, "start": 1,
                                 "seed": 2}},
    "cellParams": {"PYR": {"conds": {"cellType": "PYR"}, "secs": {"soma": {
        "geom": {"diam": 18.8, "L": 18.8, "Ra": 123.0},
        "mechs": {"hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}}}}}},
    "synMechParams": {"exc": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 1.0, "e": 0},
                      "inh": {"mod": "Exp2Syn", "tau1": 0.1, "tau2": 1.0, "e": -80}},
    "connParams": {"bg": {"preConds": {"pop": "background"}, "postConds": {"pop": "hop"}, "weight": 0.03,
                          "probability": 0.4, "synMech": "exc", "delay": "uniform(1,5)"},
                   "hop": {"preConds": {"pop": "hop"}, "postConds": {"pop": "hop"}, "weight": 0.0, "probability": 0.5,
                           "synMech": "inh", "delay": 5}},
}  # fmt: skip
CONFIG: dict[str, Any] = {"duration": 200, "dt": 0.025}
REFERENCE = """
import json
from netpyne import sim, specs
model = json.load(open("model.json"))
sim.create(specs.NetParams(model["net"]["params"]), specs.SimConfig(model["simConfig"]))
found = []
def run():
    sim.simulate()
    found.append([list(sim.allSimData["spkt"]), list(sim.allSimData["spkid"])])
run()
sim.net.modifyConns({"conds": {"label": "hop"}, "weight": 0.02})
run()
sim.net.modifyCells({"conds": {"pop": "hop"}, "secs": {"soma": {"mechs": {"hh": {"gnabar": 0.09}}}}})
run()
sim.net.modifySynMechs({"conds": {"label": "inh", "sec": "soma"}, "tau2": 6.0})
run()
print("found" + json.dumps(found, default=float))
"""


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
def test_the_spikes_of_netpynes_changes(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"net": {"params": PARAMS}, "simConfig": CONFIG}))
    done = subprocess.run([sys.executable, "-c", REFERENCE], cwd=tmp_path, capture_output=True, text=True, check=False,
                          timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("found"))[5:])
    network, simulation = read_simulation(tmp_path / "model.json")
    (hop,) = (p for p in network.projections if p.attributes.get("netpyne_label") == "hop")
    ours = []
    with nmlbridge.Session(network, simulation) as session:
        ours.append(session.run())
        session.set_weights(hop.id, 0.02)
        ours.append(session.run())
        session.set_membrane(hop.postsynaptic, "hh", "gnabar", 0.09)
        ours.append(session.run())
    # a parameter of synapses, by a network that differs there
    (label,) = hop.synapses
    slow = network.native[label]
    assert isinstance(slow, NativeProcess)
    with nmlbridge.Session(network, simulation) as session:
        session.run()
        session.replace(dataclasses.replace(network, native=network.native | {
            label: dataclasses.replace(slow, parameters={**slow.parameters, "tau2": 6.0})}))  # fmt: skip
        session.set_weights(hop.id, 0.02)
        session.set_membrane(hop.postsynaptic, "hh", "gnabar", 0.09)
        ours.append(session.run())
    counts = []
    for (times, gids), results in zip(theirs, ours, strict=True):
        assert np.allclose(sorted(times), np.sort(results.spikes.time * 1e3), rtol=0, atol=1e-6)
        assert sorted(int(g) for g in gids) == sorted(results.spikes.gid.tolist())
        counts.append(len(times))
    assert len(set(counts)) == 4 and min(counts) > 50


LOOP = """
import json
from netpyne import sim, specs
from neuron import h
model = json.load(open("model.json"))
sim.create(specs.NetParams(model["net"]["params"]), specs.SimConfig(model["simConfig"]))
found, seen = [], []
def spikes():
    found.append([list(sim.allSimData["spkt"]), list(sim.allSimData["spkid"])])
sim.simulate()
spikes()
sim.net.modifyStims({"conds": {"source": "step"}, "amp": 0.6})
sim.simulate()
spikes()
def loop(t):
    count = len([one for one in sim.simData["spkt"] if one <= t - 1])
    weight = 0.004 * (count % 7)
    sim.net.modifyConns({"conds": {"label": "hop"}, "weight": weight})
    seen.append([t, count, weight])
sim.runSimWithIntervalFunc(10, loop)
sim.gatherData()
spikes()
print("found" + json.dumps({"spikes": found, "seen": seen}, default=float))
"""


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
def test_stimuli_and_a_loop_closed_at_intervals(tmp_path: Path) -> None:
    """modifyStims, and a function at intervals that sees the time and the spikes and changes weights by them."""
    params = PARAMS | {
        "stimSourceParams": {"step": {"type": "IClamp", "del": 20, "dur": 150, "amp": 0.1}},
        "stimTargetParams": {"step": {"source": "step", "conds": {"pop": "hop"}, "sec": "soma", "loc": 0.5}},
    }
    (tmp_path / "model.json").write_text(json.dumps({"net": {"params": params}, "simConfig": CONFIG}))
    done = subprocess.run([sys.executable, "-c", LOOP], cwd=tmp_path, capture_output=True, text=True, check=False,
                          timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("found"))[5:])
    network, simulation = read_simulation(tmp_path / "model.json")
    (hop,) = (p for p in network.projections if p.attributes.get("netpyne_label") == "hop")
    (label,) = {i.component for i in network.inputs if network.native[i.component].mechanism == "IClamp"}
    step = network.native[label]
    assert isinstance(step, NativeProcess)
    seen: list[list[float]] = []

    def loop(session: nmlbridge.Session) -> None:
        # the spikes of a step are known in the next one, to either: so those of a ms ago
        count = int((session.spikes.time * 1e3 <= session.t - 1).sum())
        session.set_weights(hop.id, 0.004 * (count % 7))
        seen.append([session.t, count, 0.004 * (count % 7)])

    with nmlbridge.Session(network, simulation) as session:
        ours = [session.run()]
        session.replace(dataclasses.replace(network, native=network.native | {
            label: dataclasses.replace(step, parameters={**step.parameters, "amp": 0.6})}))  # fmt: skip
        ours += [session.run(), session.run(every=10, call=loop)]
    ends = [row for row in theirs["seen"] if row[0] < CONFIG["duration"] - 1]
    assert np.allclose([row for row in seen if row[0] < CONFIG["duration"] - 1], ends, rtol=0, atol=1e-6)
    assert len(ends) == 19 and len({row[2] for row in ends}) > 3
    for (times, gids), results in zip(theirs["spikes"], ours, strict=True):
        assert np.allclose(sorted(times), np.sort(results.spikes.time * 1e3), rtol=0, atol=1e-6)
        assert sorted(int(g) for g in gids) == sorted(results.spikes.gid.tolist())
    assert len({len(times) for times, _ in theirs["spikes"]}) == 3


# rewards come late: spikes leave a mark of what may change, and the reward says whether it does, and which way
STDP = """NEURON {
    POINT_PROCESS STDP
    POINTER synweight
    RANGE before, after, mark, since, rate, most
}
PARAMETER { rate = 0.001  most = 0.02 }
ASSIGNED { synweight  before  after  mark  since (ms) }
INITIAL { before = -1e9  after = -1e9  mark = 0  since = 0 }
BREAKPOINT { }
NET_RECEIVE (w) {
    fade()
    if (w > 0) {
        before = t
        mark = mark - 0.3 * exp(-(t - after) / 20)
    } else {
        after = t
        mark = mark + exp(-(t - before) / 20)
    }
}
PROCEDURE fade() {
    mark = mark * exp(-(t - since) / 50)
    since = t
}
PROCEDURE reward_punish(how) {
    fade()
    synweight = synweight + rate * how * mark
    if (synweight > most) { synweight = most }
    if (synweight < 0) { synweight = 0 }
}
"""
REWARDED = """
import json, sys
from netpyne import sim, specs
asked = json.load(open(sys.argv[1]))
assert sim.h.nrn_load_dll(asked["library"])
config = specs.SimConfig(asked["configs"]["learns"])
sim.create(specs.NetParams(asked["models"]["learns"]), config)
seen = []
def learn(t):
    t = round(t)
    plastic = [k for c in sim.net.cells for k in c.conns if k.get("hSTDP") is not None]
    for each in plastic:
        each["hSTDP"].reward_punish(asked["critics"][t // 20 - 1])
    seen.append(sorted([k["preGid"], c.gid, k["hObj"].weight[0]] for c in sim.net.cells for k in c.conns
                       if k.get("hSTDP") is not None))
sim.runSimWithIntervalFunc(20, learn)
json.dump(seen, open("found.json", "w"))
"""


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
def test_rewards_given_by_a_procedure_of_the_mod_file(tmp_path: Path) -> None:
    """As NetPyNE's models of reinforcement do: each plastic connection's reward_punish, at intervals; two ranks too."""
    rules = {name: dict(rule) for name, rule in PARAMS["connParams"].items()}
    rules["hop"] |= {"synMech": "exc", "weight": 0.004, "plast": {"mech": "STDP", "params": {"rate": 0.002}}}
    params = PARAMS | {"connParams": rules}
    critics = [1.0, 1.0, -1.0, 0.5, 1.0, -2.0, 1.0, 0.0, 1.0, 1.0]
    models, configs = {"learns": params}, {"learns": CONFIG}
    theirs = ask_netpyne(tmp_path, REWARDED, models, configs, {"stdp.mod": STDP}, critics=critics)
    network, simulation = read_simulation(tmp_path / "learns.json", allow=("mods",))
    (hop,) = (p for p in network.projections if p.attributes.get("netpyne_label") == "hop")
    offsets = network.populations[hop.presynaptic].offset, network.populations[hop.postsynaptic].offset
    pre, post = hop.pre + offsets[0], hop.post + offsets[1]
    order = np.lexsort((post, pre))
    for ranks in (1, 2):
        seen = []

        def learn(session: nmlbridge.Session) -> None:
            session.call(hop.id, "reward_punish", critics[len(seen)])  # noqa: B023
            seen.append(session.weights(hop.id)[order])  # noqa: B023

        with nmlbridge.Session(network, simulation, ranks=ranks) as session:
            session.run(every=20, call=learn)
        assert len(seen) == len(theirs) == 10
        for ours, rows in zip(seen, np.array(theirs), strict=True):
            assert np.array_equal(rows[:, :2], np.stack([pre, post], axis=1)[order])
            assert np.allclose(ours, rows[:, 2], rtol=1e-9, atol=0)
        assert np.ptp(seen[-1]) > 0.002 and len({each.tobytes() for each in seen}) == 9  # nothing is changed by 0


# an arm that two groups of motor cells turn; where it is drives the sensory cells, and coming nearer is rewarded
ARM: dict[str, Any] = PARAMS | {
    "popParams": {name: {"cellType": "PYR" if name != "sense" else "S", "numCells": 6}
                  for name in ("sense", "flex", "extend")},
    "cellParams": PARAMS["cellParams"] | {"S": {"secs": {"soma": {
        "geom": {"diam": 18.8, "L": 18.8, "Ra": 123.0},
        "mechs": {"hh": {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.0003, "el": -54.3}}}}}},
    "connParams": {"reach": {"preConds": {"pop": "sense"}, "postConds": {"pop": ["flex", "extend"]}, "weight": 0.014,
                             "probability": 0.6, "delay": "uniform(1,4)", "synMech": "exc",
                             "plast": {"mech": "STDP", "params": {"rate": 0.03, "most": 0.04}}}},
    "stimSourceParams": {"place": {"type": "IClamp", "del": 0, "dur": 1e9, "amp": 0.15},
                         "noise": {"type": "NetStim", "rate": 60, "noise": 0.7, "start": 1}},
    "stimTargetParams": {"place": {"source": "place", "conds": {"pop": "sense"}, "sec": "soma", "loc": 0.5},
                         "noise": {"source": "noise", "conds": {"pop": ["flex", "extend"]}, "sec": "soma", "loc": 0.5,
                                   "weight": 0.02, "delay": 1, "synMech": "exc"}},
}  # fmt: skip


class Arm:
    """It is moved by spikes; its source is part of the script that NetPyNE runs, too."""

    def __init__(self) -> None:
        self.angle = 0.2
        self.seen: list[list[float]] = []

    def moved(self, t: float, times: list[float], gids: list[int]) -> tuple[float, float]:
        """The reward, and the current into the sensory cells (nA)."""
        # the spikes of a step are known in the next one, to either: so those up to a ms ago
        last = self.seen[-1][0] if self.seen else 0.0
        recent = [gid for time, gid in zip(times, gids, strict=True) if last - 1 < time <= t - 1]
        flexed, extended = (sum(first <= gid < first + 6 for gid in recent) for first in (6, 12))
        before = abs(self.angle - 1.0)
        self.angle += 0.03 * (flexed - extended)
        after = abs(self.angle - 1.0)
        critic = 1.0 if after < before else -1.0 if after > before else 0.0
        current = min(max(0.12 + 0.15 * self.angle, 0.0), 0.5)
        self.seen.append([t, flexed, extended, self.angle, critic, current])
        return critic, current


REACHING = """
import json, sys
from netpyne import sim, specs
asked = json.load(open(sys.argv[1]))
assert sim.h.nrn_load_dll(asked["library"])
sim.create(specs.NetParams(asked["models"]["arm"]), specs.SimConfig(asked["configs"]["arm"]))
arm, weights = Arm(), []
def loop(t):
    critic, current = arm.moved(t, list(sim.simData["spkt"]), list(sim.simData["spkid"]))
    for cell in sim.net.cells:
        for each in cell.conns:
            if each.get("hSTDP") is not None:
                each["hSTDP"].reward_punish(critic)
    sim.net.modifyStims({"conds": {"source": "place"}, "amp": current})
    weights.append(sorted([k["preGid"], c.gid, k["hObj"].weight[0]] for c in sim.net.cells for k in c.conns
                          if k.get("hSTDP") is not None))
sim.runSimWithIntervalFunc(20, loop)
json.dump({"seen": arm.seen, "weights": weights}, open("found.json", "w"))
"""


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
def test_an_arm_that_learns_to_reach(tmp_path: Path) -> None:
    """Spikes move it, its place is sensed, nearness rewards: times, movements, rewards and weights are NetPyNE's."""
    configs = {"arm": CONFIG | {"duration": 400}}
    theirs = ask_netpyne(tmp_path, inspect.getsource(Arm) + REACHING, {"arm": ARM}, configs, {"stdp.mod": STDP})
    network, simulation = read_simulation(tmp_path / "arm.json", allow=("mods",))
    reach = [p for p in network.projections if p.attributes.get("netpyne_label") == "reach"]
    (label,) = {i.component for i in network.inputs if network.native[i.component].mechanism == "IClamp"}
    place = network.native[label]
    assert isinstance(place, NativeProcess) and len(reach) == 2
    offset = {name: population.offset for name, population in network.populations.items()}
    pairs = [(p.pre + offset[p.presynaptic], p.post + offset[p.postsynaptic]) for p in reach]
    pre, post = (np.concatenate(column) for column in zip(*pairs, strict=True))
    order = np.lexsort((post, pre))
    for ranks in (1, 2):
        arm, weights = Arm(), []

        def loop(session: nmlbridge.Session) -> None:
            spikes = session.spikes
            critic, current = arm.moved(session.t, (spikes.time * 1e3).tolist(), spikes.gid.tolist())  # noqa: B023
            for each in reach:
                session.call(each.id, "reward_punish", critic)
            parameters = {**place.parameters, "amp": current}
            session.replace(dataclasses.replace(network, native=network.native | {
                label: dataclasses.replace(place, parameters=parameters)}))  # fmt: skip
            weights.append(np.concatenate([session.weights(each.id) for each in reach])[order])  # noqa: B023

        with nmlbridge.Session(network, simulation, ranks=ranks) as session:
            session.run(every=20, call=loop)
        assert [row[0] for row in arm.seen] == pytest.approx(np.arange(20, 401, 20), abs=1e-9)
        assert arm.seen == [pytest.approx(row, abs=1e-6) for row in theirs["seen"]]
        for ours, rows in zip(weights, np.array(theirs["weights"]), strict=True):
            assert np.array_equal(rows[:, :2], np.stack([pre, post], axis=1)[order])
            assert np.allclose(ours, rows[:, 2], rtol=0, atol=1e-9 * 0.04)  # of the largest
        assert np.ptp(weights[-1]) > 0.001
    critics = [row[4] for row in theirs["seen"]]
    assert {1.0, -1.0} <= set(critics) and len({row[5] for row in theirs["seen"]}) > 8


def test_weights_with_a_course_are_read_and_not_changed(tmp_path: Path) -> None:
    """They are played as built: a new weight would be gone at the next step of the course."""
    shaped = {**PARAMS["connParams"]["hop"], "weight": 0.01, "shape": {"switchOnOff": [20, 80]}}
    params = PARAMS | {"connParams": PARAMS["connParams"] | {"hop": shaped}}
    (tmp_path / "model.json").write_text(json.dumps({"net": {"params": params}, "simConfig": CONFIG}))
    network, simulation = read_simulation(tmp_path / "model.json")
    (hop,) = (p for p in network.projections if p.attributes.get("netpyne_label") == "hop")
    (other,) = (p for p in network.projections if p.attributes.get("netpyne_label") == "bg")
    heavier = [dataclasses.replace(p, weight=p.weight * 2) if p is hop else p for p in network.projections]
    with nmlbridge.Session(network, simulation) as session:
        before = session.run()
        with pytest.raises(UsageError, match=f"weights of '{re.escape(hop.id)}' follow a course in time"):
            session.set_weights(hop.id, 0.02)
        with pytest.raises(UsageError, match=r"follow a course in time.*start another session"):
            session.replace(dataclasses.replace(network, projections=heavier))
        again = session.run()
        assert np.array_equal(again.spikes.time, before.spikes.time)
        session.set_weights(other.id, 0)
        assert len(session.run().spikes) < len(before.spikes)


STEERED = """
import json, sys
from netpyne import sim, specs
asked = json.load(open(sys.argv[1]))
assert sim.h.nrn_load_dll(asked["library"])
sim.create(specs.NetParams(asked["models"]["steered"]), specs.SimConfig(asked["configs"]["steered"]))
def steer(t):
    for cell in sim.net.cells:
        for stim in cell.stims:
            if stim["source"] in ("even", "noisy"):
                stim["hObj"].interval = asked["intervals"][round(t / 10) - 1] * (1 + cell.gid)
sim.runSimWithIntervalFunc(10, steer)
sim.gatherData()
json.dump([list(sim.allSimData["spkt"]), list(map(int, sim.allSimData["spkid"]))], open("found.json", "w"))
"""


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
def test_rates_that_are_variable_are_steered(tmp_path: Path) -> None:
    """The intervals of NetStims of a variable rate, set at intervals, as models with a body or a world do."""
    intervals = [400.0 if number % 3 else 3e4 for number in range(15)]
    times, gids = ask_netpyne(tmp_path, STEERED, {"steered": MODELS["changing"]}, {"steered": SHORT},
                              {"nsloc.mod": NSLOC}, intervals=intervals)  # fmt: skip
    network, simulation = read_simulation(tmp_path / "steered.json", allow=("mods",))

    def steer(session: nmlbridge.Session) -> None:
        inputs = []
        for each in session.network.inputs:
            if session.network.native[each.component].mechanism == "NSLOC":  # type: ignore[union-attr]
                gids = each.target + session.network.populations[each.population].offset
                values = {**each.values, "interval": intervals[round(session.t / 10) - 1] * (1 + gids)}
                each = dataclasses.replace(each, values=values)
            inputs.append(each)
        session.replace(dataclasses.replace(session.network, inputs=inputs))

    with nmlbridge.Session(network, simulation) as session:
        still = session.run(60)
        results = session.run(every=10, call=steer)
    expected = sorted(zip(np.round(times, 6).tolist(), gids, strict=True))
    ours = sorted(zip(np.round(results.spikes.time * 1e3, 6).tolist(), results.spikes.gid.tolist(), strict=True))
    assert ours == expected
    assert len(ours) > 40 and len([one for one in ours if one[0] < 60]) != len(still.spikes.time)


# spikes of one step teach nothing: they are told apart by their times, a ms after, as a mod file may do it for MPI
APART = """NEURON {
    ARTIFICIAL_CELL STDP
    POINTER synweight
    RANGE before, after, rate
}
PARAMETER { rate = 0.0001 }
ASSIGNED { synweight  before (ms)  after (ms) }
INITIAL { before = -1  after = -1 }
NET_RECEIVE (w) {
    if (flag == 0 && w > 0) {
        before = t
        net_send(1, 1)
    } else if (flag == 0) {
        after = t
    } else if (after != t - 1) {
        synweight = synweight + rate
    }
}
"""
STILL = REWARDED.replace('each["hSTDP"].reward_punish(asked["critics"][t // 20 - 1])', "pass")


@pytest.mark.skipif(find_spec("netpyne") is None, reason="netpyne is not installed (extra dev)")
def test_a_mod_file_that_tells_spikes_of_one_step_apart(tmp_path: Path) -> None:
    """Of cells that spike together, and of some that do not; two ranks too."""
    beat = {"cellModel": "NetStim", "numCells": 1, "interval": 12, "noise": 0, "start": 5}
    drive = {"weight": 0.05, "synMech": "exc", "sec": "soma", "delay": 1}
    params = PARAMS | {
        "popParams": {"hop": {"cellType": "PYR", "numCells": 6, "cellModel": "HH"}, "beat": beat},
        "connParams": {
            "early": drive | {"preConds": {"pop": "beat"}, "postConds": {"pop": "hop"}},
            "hop": {"preConds": {"pop": "hop"}, "postConds": {"pop": "hop"}, "weight": 1e-6, "synMech": "inh",
                    "delay": 5, "plast": {"mech": "STDP", "params": {"rate": 1e-7}}},
        },
        "stimSourceParams": {"step": {"type": "IClamp", "del": 60, "dur": 90, "amp": 0.8}},
        "stimTargetParams": {"step": {"source": "step", "conds": {"pop": "hop", "cellList": [0, 3]}, "sec": "soma",
                                      "loc": 0.5}},
    }  # fmt: skip
    theirs = ask_netpyne(tmp_path, STILL, {"learns": params}, {"learns": CONFIG}, {"stdp.mod": APART})
    network, simulation = read_simulation(tmp_path / "learns.json", allow=("mods",))
    (hop,) = (p for p in network.projections if p.attributes.get("netpyne_label") == "hop")
    order = np.lexsort((hop.post, hop.pre))
    for ranks in (1, 2):
        with nmlbridge.Session(network, simulation, ranks=ranks) as session:
            session.run()
            np.testing.assert_allclose(session.weights(hop.id)[order], [row[2] for row in theirs[-1]], rtol=1e-12)
    weights = [row[2] for row in theirs[-1]]
    assert min(weights) < 1.5e-6 and max(weights) > 1.8e-6

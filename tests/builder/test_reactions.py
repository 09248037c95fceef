"""Reactions and diffusion, against NEURON's rxd written by hand and the diffusion equation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import nmlbridge
from nmlbridge.builder import build
from nmlbridge.errors import ModelError, UnsupportedError

from .by_hand import by_hand
from .rules import run

pytestmark = pytest.mark.neuron

CELL: dict[str, Any] = {
    "sections": {"soma": {"points": [[0, 0, 0, 12], [0, 12, 0, 12]]},
                 "dend": {"points": [[0, 12, 0, 2], [0, 212, 0, 2]], "parent": "soma", "compartments": 21}},
    "biophysics": {"v_init": -65, "resistivity": 100, "mechanisms": {"hh": {"neuron": "hh"}}},
}  # fmt: skip
NET: dict[str, Any] = {
    "name": "net",
    "parameters": {"kf": 1e6, "kb": 0.01, "fraction": 0.2},
    "cells": {"cell": CELL},
    "populations": {"A": {"cell": "cell", "number": 3}},
    "stimuli": {"i": {"type": "pulse", "to": "A", "amplitude": "0.1 * index", "start": 1, "duration": 20}},
    "rxd": {
        "regions": {"cyt": {"cells": "A", "side": "i"}},
        "species": {"ca": {"regions": "cyt", "charge": 2, "initial": 1e-4, "d": 0.3},
                    "buf": {"regions": "cyt", "initial": "1e-4 + 1e-6 * path_dist"},
                    "cabuf": {"regions": "cyt", "initial": 0}},
        "reactions": {"buffering": {"scheme": "2 * ca + buf <-> cabuf", "forward": "kf", "backward": "kb"}},
        "rates": {"degradation": {"species": "buf", "rate": "-1e-3 * buf * exp(-v / 50)"}},
    },
    "record": {"v": {"cells": "A", "at": "dend"}, "ca": {"cells": "A", "at": "dend", "variable": "ca"},
               "buf": {"cells": "A", "at": "dend", "variable": "buf"},
               "cabuf": {"cells": "A", "variable": "cabuf"}},
    "run": {"duration": 30, "dt": 0.025},
}  # fmt: skip
HAND = """
from neuron import rxd
from neuron.rxd import rxdmath
pc = h.ParallelContext()
cells = []
for index in range(3):
    soma, dend = h.Section(name=f'soma{index}'), h.Section(name=f'dend{index}')
    h.pt3dadd(0, 0, 0, 12, sec=soma); h.pt3dadd(0, 12, 0, 12, sec=soma)
    h.pt3dadd(0, 12, 0, 2, sec=dend); h.pt3dadd(0, 212, 0, 2, sec=dend)
    dend.nseg = 21
    dend.connect(soma(1))
    for s in (soma, dend): s.insert('hh'); s.Ra = 100
    clamp = h.IClamp(soma(0.5)); clamp.delay, clamp.dur, clamp.amp = 1, 20, 0.1 * index
    cells.append((soma, dend, clamp))
sections = [s for cell in cells for s in cell[:2]]
"""


def test_buffering_as_neuron_does_it_by_hand() -> None:
    found = run(NET).traces.values
    hand = np.array(by_hand(HAND + """
cyt = rxd.Region(sections, name='cyt', nrn_region='i')
ca = rxd.Species(cyt, name='ca', charge=2, d=0.3, initial=1e-4)
def initial(node):
    for soma, dend, _ in cells:
        if node.segment.sec in (soma, dend): return 1e-4 + 1e-6 * h.distance(soma(0), node.segment)
buf = rxd.Species(cyt, name='buf', initial=initial)
cabuf = rxd.Species(cyt, name='cabuf', initial=0)
buffering = rxd.Reaction(2 * ca + buf, cabuf, 1e6, 1e-2)
rate = rxd.Rate(buf, -1e-3 * buf * rxdmath.exp(-rxd.v / 50))
kept = [h.Vector().record(c[1](0.5)._ref_v) for c in cells]
kept += [h.Vector().record(ca.nodes(c[1](0.5))[0]._ref_concentration) for c in cells]
kept += [h.Vector().record(buf.nodes(c[1](0.5))[0]._ref_concentration) for c in cells]
kept += [h.Vector().record(cabuf.nodes(c[0](0.5))[0]._ref_concentration) for c in cells]
h.dt = 0.025
h.finitialize(-65)
h.tstop = 30
h.continuerun(30)
result = [list(v) for v in kept]
"""))
    assert np.ptp(found[:3] * 1e3, axis=1).min() > 0.05 and np.ptp(found[2]) > 0.05
    np.testing.assert_allclose(found[:3] * 1e3, hand[:3], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[3:], hand[3:], rtol=0, atol=1e-9 * hand[3:].max())
    assert np.ptp(found[3:], axis=1).min() > 1e-6


ER: dict[str, Any] = {
    "regions": {
        "cyt": {"cells": "A", "side": "i",
                "geometry": {"type": "fraction", "volume_fraction": "1 - fraction", "surface_fraction": 1}},
        "er": {"cells": "A", "geometry": {"type": "fraction", "volume_fraction": "fraction"}},
        "border": {"cells": "A", "geometry": {"type": "border", "scale": 1, "on_cell_surface": False}},
    },
    "species": {"ca": {"regions": ["cyt", "er"], "charge": 2, "d": 0.08,
                       "initial": {"cyt": 1e-5, "er": "if(y > 100, 0.0085, 0.005)"}},
                "ip3": {"regions": "cyt", "initial": 0.1, "d": 1.41}},
    "states": {"gate": {"regions": "border", "initial": 0.8}},
    "parameters": {"leakiness": {"regions": "border", "value": 6.02}},
    "reactions": {
        "serca": {"scheme": "ca[cyt] -> ca[er]", "forward": "0.3913 / ((0.1 / (1000 * ca[cyt])) ** 2 + 1)",
                  "membrane": "border", "custom": True},
        "leak": {"scheme": "ca[er] <-> ca[cyt]", "forward": 6.02, "backward": 6.02, "membrane": "border"},
        "ip3r": {"scheme": "ca[er] <-> ca[cyt]", "membrane": "border",
                 "forward": "1.204e6 * (ip3[cyt] * 1000 * ca[cyt] / (ip3[cyt] + 0.15) / (1000 * ca[cyt] + 0.4) * "
                            "gate[border])^3",
                 "backward": "1.204e6 * (ip3[cyt] * 1000 * ca[cyt] / (ip3[cyt] + 0.15) / (1000 * ca[cyt] + 0.4) * "
                             "gate[border])^3"},
    },
    "rates": {"gating": {"species": "gate[border]", "regions": ["border", "cyt"],
                         "rate": "(1 / (1 + 1000 * ca[cyt] / 0.3) - gate[border]) / 2000"}},
}  # fmt: skip


def test_a_store_with_receptors_as_neuron_does_it_by_hand() -> None:
    names = ("ca[cyt]", "ca[er]", "gate", "ip3")
    data = NET | {"rxd": ER, "stimuli": {}}
    data["record"] = {f"r{i}": {"cells": "A", "at": "dend", "variable": name} for i, name in enumerate(names)}
    data["run"] = {"duration": 100, "dt": 0.025}
    found = run(data).traces.values[::3]
    hand = np.array(by_hand(HAND + """
cyt = rxd.Region(sections, name='cyt', nrn_region='i', geometry=rxd.FractionalVolume(0.8, surface_fraction=1))
er = rxd.Region(sections, name='er', geometry=rxd.FractionalVolume(0.2))
border = rxd.Region(sections, name='border', geometry=rxd.ScalableBorder(1, on_cell_surface=False))
ca = rxd.Species([cyt, er], name='ca', charge=2, d=0.08,
                 initial=lambda n: 1e-5 if n.region is cyt else 0.0085 if n.y3d > 100 else 0.005)
ip3 = rxd.Species(cyt, name='ip3', initial=0.1, d=1.41)
gate = rxd.State(border, name='gate', initial=0.8)
serca = rxd.MultiCompartmentReaction(ca[cyt], ca[er], 0.3913 / ((0.1 / (1000 * ca[cyt])) ** 2 + 1), membrane=border,
                                     custom_dynamics=True)
leak = rxd.MultiCompartmentReaction(ca[er], ca[cyt], 6.02, 6.02, membrane=border)
k = 1.204e6 * (ip3[cyt] * 1000 * ca[cyt] / (ip3[cyt] + 0.15) / (1000 * ca[cyt] + 0.4) * gate[border]) ** 3
ip3r = rxd.MultiCompartmentReaction(ca[er], ca[cyt], k, k, membrane=border)
gating = rxd.Rate(gate[border], (1 / (1 + 1000 * ca[cyt] / 0.3) - gate[border]) / 2000, regions=[border, cyt])
places = [one.nodes(cells[0][1](0.5))[0] for one in (ca[cyt], ca[er], gate[border], ip3[cyt])]
kept = [h.Vector().record(place._ref_concentration) for place in places]
h.dt = 0.025
h.finitialize(-65)
h.tstop = 100
h.continuerun(100)
result = [list(v) for v in kept]
"""))
    np.testing.assert_allclose(found, hand, rtol=1e-9, atol=0)
    assert np.ptp(found[0]) > 5e-6 and np.ptp(found[2]) > 1e-3


def test_a_step_diffuses_as_the_heat_equation_says() -> None:
    """A closed tube of length L, full on one half: 1/2 + sum over k of 2 / (k pi) sin(k pi / 2) cos(k pi x / L) times
    exp(-(k pi / L)^2 d t)."""
    length, d = 100.0, 0.5
    data: dict[str, Any] = {
        "name": "tube",
        "cells": {"tube": {"sections": {"c": {"points": [[x, 0, 0, 1] for x in (0, 1, 24, 26, 99, 100)],
                                              "compartments": 201}},
                           "biophysics": {"mechanisms": {"leak": {"neuron": "pas", "g": 1e-4, "e": -65}}}}},
        "populations": {"A": {"cell": "tube", "number": 1}},
        "rxd": {"regions": {"r": {"cells": "A"}},
                "species": {"s": {"regions": "r", "d": d, "initial": "if(path_dist < 50, 1, 0)"}}},
        "record": {f"at{i}": {"cells": "A", "at": f"c[{i}]", "variable": "s"} for i in (0, 2, 4)},
        "run": {"duration": 1000, "dt": 0.1},
    }  # fmt: skip
    results = run(data)
    k = np.arange(1, 400)[:, None]
    late = results.time * 1e3 > 20
    for row, x in enumerate((0.5, 25.0, 99.5)):
        decay = np.exp(-((k * np.pi / length) ** 2) * d * results.time[None, late] * 1e3)
        exact = 0.5 + (2 / (k * np.pi) * np.sin(k * np.pi / 2) * np.cos(k * np.pi * x / length) * decay).sum(axis=0)
        # of 201 compartments the middle one, across the step, is full or empty: a part in 400 too much or too little
        assert np.abs(results.traces.values[row, late] - exact).max() < 0.004
    assert results.traces.values[2, -1] > 0.1


ECS: dict[str, Any] = {
    "regions": {"cyt": {"cells": "A", "side": "i"},
                "ecs": {"outside": {"x": [-20, 60], "y": [-20, 240], "z": [-20, 20], "voxel": 10,
                                    "volume_fraction": 0.2, "tortuosity": 1.6}}},
    "species": {"k": {"regions": ["cyt", "ecs"], "charge": 1, "d": 1, "initial": {"cyt": 54.4, "ecs": 2.5}}},
}  # fmt: skip


def _outside() -> dict[str, Any]:
    data = copy.deepcopy(NET) | {"rxd": ECS}
    data["populations"] = {"A": {"cell": "cell", "positions": [[0, 0, 0], [15, 0, 0], [30, 5, 0]]}}
    data["stimuli"]["i"]["amplitude"] = "0.3 * (index > 0)"
    data["record"] = {
        "v": {"cells": "A", "at": "dend"}, "ki": {"cells": "A", "variable": "k[cyt]"},
        "near": {"place": [15, 6, 0], "variable": "k[ecs]"}, "ko": {"cells": "A", "variable": "ko"},
    }  # fmt: skip
    return data


def test_potassium_outside_as_neuron_does_it_by_hand() -> None:
    found = run(_outside()).traces.values
    hand = np.array(by_hand(HAND + """
for index, (soma, dend, clamp) in enumerate(cells):
    clamp.amp = 0.3 * (index > 0)
    x, y = ((0, 0), (15, 0), (30, 5))[index]
    for s in (soma, dend):
        for i in range(2): h.pt3dchange(i, s.x3d(i) + x, s.y3d(i) + y, 0, s.diam3d(i), sec=s)
ecs = rxd.Extracellular(-20, -20, -20, 60, 240, 20, dx=10, volume_fraction=0.2, tortuosity=1.6)
cyt = rxd.Region(sections, name='cyt', nrn_region='i')
k = rxd.Species([cyt, ecs], name='k', charge=1, d=1, initial=lambda n: 54.4 if n.region is cyt else 2.5)
kept = [h.Vector().record(c[1](0.5)._ref_v) for c in cells]
kept += [h.Vector().record(c[0](0.5)._ref_ki) for c in cells]
kept += [h.Vector().record(k[ecs].node_by_location(15, 6, 0)._ref_value)]
kept += [h.Vector().record(c[0](0.5)._ref_ko) for c in cells]
h.dt = 0.025
h.finitialize(-65)
h.tstop = 30
h.continuerun(30)
result = [list(v) for v in kept]
"""))
    np.testing.assert_allclose(found[:3] * 1e3, hand[:3], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[3:], hand[3:], rtol=1e-9, atol=0)
    assert found[6].max() > 2.51 and np.ptp(found[2]) > 0.05


@pytest.mark.mpi
@pytest.mark.parametrize("name", ["inside", "store", "outside"])
def test_ranks_agree_to_the_last_bit(launcher: None, name: str) -> None:
    data = {"inside": copy.deepcopy(NET), "store": NET | {"rxd": ER}, "outside": _outside()}[name]
    if name == "store":
        data["record"] = {"er": {"cells": "A", "at": "dend", "variable": "ca[er]"}, "v": {"cells": "A"}}
    data["run"] = {"duration": 3, "dt": 0.025}
    one = run(data)
    assert np.ptp(one.traces.values, axis=1).max() > 0
    for ranks in (2, 4) if name == "outside" else (2,):  # of four ranks one has no cell
        assert np.array_equal(one.traces.values, run(data, ranks).traces.values)


@pytest.mark.parametrize(("place", "change", "message"), [
    ("regions.cyt", {"cells": "B"}, "'B' is not known here"),
    ("regions.cyt", {"where": "axon"}, "axon"),
    ("regions.cyt", {"geometry": {"type": "shell", "low": 0.5}}, "Shell has no 'low'"),
    ("regions.cyt", {"outside": {"x": [0, 1], "y": [0, 1], "z": [0, 1]}}, "'cells' and 'outside' exclude each other"),
    ("species.ca", {"regions": "cit"}, "there is no region 'cit'; did you mean 'cyt'"),
    ("species.ca", {"initial": "exp(w)"}, "'w' is not known here"),
    ("species.ca", {"d": -1}, "must not be negative"),
    ("reactions.buffering", {"scheme": "ca + bof <-> cabuf"}, "'bof' is not known here; did you mean 'buf'"),
    ("reactions.buffering", {"scheme": "ca + buf -> cabuf"}, "its arrow is <->"),
    ("reactions.buffering", {"scheme": "ca + buf"}, "has no arrow"),
    ("reactions.buffering", {"forward": "exec(ca)"}, "'exec' is no function"),
    ("reactions.buffering", {"forward": "ca.__class__"}, "a character that no expression can hold"),
    ("reactions.buffering", {"forward": "ca[er]"}, "'er' is no region"),
    ("rates.degradation", {"rate": "if(ca > 1, 1, 0)"}, "a rate cannot hold comparisons"),
    ("rates.degradation", {"speces": "ca"}, "did you mean 'species'"),
])  # fmt: skip
def test_errors_name_their_place(place: str, change: dict[str, Any], message: str) -> None:
    data = copy.deepcopy(NET)
    at = data["rxd"]
    for step in place.split("."):
        at = at[step]
    at.update(change)
    with pytest.raises(ModelError) as caught:
        build(data)
    assert message in str(caught.value) and f"rxd.{place}" in str(caught.value)


def test_what_has_no_chemistry_says_so() -> None:
    built = build(copy.deepcopy(NET))
    assert built.simulation is not None
    with pytest.raises(UnsupportedError, match="it has no reactions and diffusion"):
        nmlbridge.simulate_network(built.network, built.simulation, backend="coreneuron")

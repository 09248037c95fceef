"""A column of cortex in NetPyNE's words, of any size: synapses in lists of sections, moved by maps."""

from __future__ import annotations

from typing import Any

HH = {"gnabar": 0.12, "gkbar": 0.036, "gl": 0.003, "el": -70}


def column(cells: int = 4) -> dict[str, Any]:
    """A column of cortex after NetPyNE's example M1detailed: layers of reduced cells, lists of sections, several
    synapses for each connection, moved by maps of depth for each layer and
    to lists of sections for each kind of inhibition.

    ``cells`` is how many there are of each excitatory population.
    """
    layers = {"2": [0.12, 0.31], "5": [0.42, 0.77], "6": [0.77, 1.0]}
    reach = {"2": 120, "5": 250, "6": 180}
    kinds = {"IT2": "2", "PT5": "5", "CT6": "6"}
    after = {"parentSec": "soma", "parentX": 1.0, "childX": 0}

    def reduced(long: float) -> dict[str, Any]:
        def sec(parent: str, x: float, points: list[list[float]], nseg: int, norm: float) -> dict[str, Any]:
            return {"geom": {"nseg": nseg, "Ra": 110.0, "cm": 1.3, "pt3d": points},
                    "topol": after | {"parentSec": parent, "parentX": x},
                    "mechs": {"pas": {"g": 5e-5, "e": -70}},
                    "weightNorm": [norm + 0.1 * n for n in range(nseg)]}  # fmt: skip

        ends = [12 + long * n for n in range(4)]
        up = [[[0, a, 0, d], [0, b, 0, d]] for a, b, d in zip(ends, ends[1:], (2.5, 2.0, 1.2), strict=False)]
        secs = {
            "soma": {"geom": {"nseg": 1, "Ra": 110.0, "cm": 1.3, "pt3d": [[0, 0, 0, 15], [0, 12, 0, 15]]},
                     "mechs": {"hh": HH}, "weightNorm": [1.0]},
            "Adend1": sec("soma", 1.0, up[0], 3, 1.1), "Adend2": sec("Adend1", 1.0, up[1], 3, 1.5),
            "Adend3": sec("Adend2", 1.0, up[2], 3, 2.0),
            "Bdend": sec("soma", 0.0, [[0, 0, 0, 2], [0.7 * long, -0.7 * long, 0, 2]], 5, 1.1),
            "axon": sec("soma", 0.0, [[0, 0, 0, 1], [0, -30, 0, 1]], 1, 1.0),
        }  # fmt: skip
        tree = ["Adend1", "Adend2", "Adend3", "Bdend"]
        return {"secs": secs, "secLists": {"alldend": tree, "spiny": tree, "apicdend": tree[:3], "perisom": ["soma"]}}

    small = {"secs": {"soma": {"geom": {"diam": 12, "L": 12, "Ra": 110.0, "cm": 1, "nseg": 1}, "mechs": {"hh": HH}},
                      "dend": {"geom": {"diam": 2, "L": 80, "Ra": 110.0, "cm": 1, "nseg": 1}, "topol": after,
                               "mechs": {"pas": {"g": 5e-5, "e": -70}}}},
             "secLists": {"spiny": ["soma", "dend"]}}  # fmt: skip
    populations = {name: {"cellType": name, "numCells": cells, "ynormRange": layers[layer]}
                   for name, layer in kinds.items()}  # fmt: skip
    populations |= {kind + layer: {"cellType": kind, "numCells": max(1, cells // 2), "ynormRange": span}
                    for layer, span in layers.items() for kind in ("PV", "SOM")}  # fmt: skip
    populations["long"] = {"cellModel": "NetStim", "numCells": 2 * cells, "rate": 40, "noise": 1.0, "start": 1}
    far = "exp(-dist_2D/300)"
    pair = {"synMech": ["AMPA", "NMDA"], "sec": "spiny", "synsPerConn": 5, "weight": [0.0003, 0.0001],
            "delay": "2.0+dist_3D/propVelocity"}  # fmt: skip
    rules: dict[str, Any] = {"long->E": {
        "preConds": {"pop": "long"}, "postConds": {"pop": list(kinds)}, "convergence": cells, **pair,
        "weight": [0.002, 0.0005], "delay": 2}}  # fmt: skip
    for number, (pre, layer) in enumerate(kinds.items()):
        for post in kinds:
            rules[f"{pre}->{post}"] = {"preConds": {"cellType": pre, "ynorm": layers[layer]},
                                       "postConds": {"cellType": post}, "probability": f"{0.5 + 0.1 * number}*{far}",
                                       **pair}  # fmt: skip
        rules[f"{pre}->I"] = {"preConds": {"cellType": pre}, "postConds": {"cellType": ["PV", "SOM"]}, **pair,
                              "probability": f"0.6*{far}"}  # fmt: skip
        for kind, synapse, weight in (("PV", "GABAA", 0.001), ("SOM", ["GABAA", "GABAB"], [0.0005, 0.0002])):
            rules[f"{kind}->{pre}"] = {"preConds": {"cellType": kind}, "postConds": {"cellType": pre, "y": [0, 1300]},
                                       "probability": f"0.9*{far}", "sec": "spiny", "synsPerConn": 5,
                                       "synMech": synapse, "weight": weight,
                                       "delay": "2.0+dist_3D/propVelocity"}  # fmt: skip
    depths = [n * 50 for n in range(-28, 7)]
    both = ["AMPA", "NMDA"]
    moves: dict[str, Any] = {}
    for number, (pre, post) in enumerate((a, b) for a in kinds for b in kinds):
        # two in three by depth alone, as a profile over the tree of the cell after; the others by a map of two axes
        profile = [round(0.05 + ((n * (number + 2)) % 9) * 0.1, 3) for n in range(len(depths))]
        across = [-300, -100, 0, 100, 300]
        density = {"type": "1Dmap", "gridX": None, "gridY": depths, "gridValues": profile,
                   "fixedSomaY": -135 * (number % 3 + 1)} if number % 3 else {
                   "type": "2Dmap", "gridX": across, "gridY": depths, "fixedSomaY": -735,
                   "gridValues": [[v * (m + 1) for v in profile] for m in range(len(across))]}  # fmt: skip
        moves[f"{pre}->{post}"] = {"preConds": {"cellType": pre}, "postConds": {"cellType": post}, "sec": "spiny",
                                   "groupSynMechs": both, "density": density}  # fmt: skip
    to_cells = {"postConds": {"cellType": list(kinds)}}
    moves["PV->E"] = to_cells | {"preConds": {"cellType": "PV"}, "sec": "perisom", "density": "uniform"}
    moves["SOM->E"] = to_cells | {"preConds": {"cellType": "SOM"}, "sec": "apicdend", "density": "uniform",
                                  "groupSynMechs": ["GABAA", "GABAB"]}  # fmt: skip
    moves["long->E"] = to_cells | {"preConds": {"pop": "long"}, "sec": ["Adend3", "Bdend"], "groupSynMechs": both,
                                   "density": {"type": "distance", "ref_sec": "soma", "ref_seg": 0.5,
                                               "target_distance": 200}}  # fmt: skip
    exp2 = {"mod": "Exp2Syn", "e": 0}
    return {
        "shape": "cylinder", "sizeX": 300, "sizeY": 1350, "sizeZ": 300, "propVelocity": 500.0,
        "defaultThreshold": 0.0, "popParams": populations,
        "cellParams": {name: reduced(reach[layer]) for name, layer in kinds.items()} | {"PV": small, "SOM": small},
        "synMechParams": {"AMPA": exp2 | {"tau1": 0.05, "tau2": 5.3}, "NMDA": exp2 | {"tau1": 15, "tau2": 150},
                          "GABAA": exp2 | {"tau1": 0.07, "tau2": 18.2, "e": -80},
                          "GABAB": exp2 | {"tau1": 3.5, "tau2": 260.9, "e": -93}},
        "connParams": rules, "subConnParams": moves,
    }  # fmt: skip

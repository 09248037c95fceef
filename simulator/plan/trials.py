"""The small Programs that are run to learn what each thing costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..program import Program

CELLS, STEPS = 2000, 4000

LIGHT = "NEURON { SUFFIX callight NONSPECIFIC_CURRENT i THREADSAFE } ASSIGNED { v i } BREAKPOINT { i = 1e-4*(v + 65) }"
_TERMS = " + ".join(f"{0.1 + k / 100}*(v + {k})*(v - {k})" for k in range(1, 13))
MANY_OPERATIONS = (
    "NEURON { SUFFIX calops NONSPECIFIC_CURRENT i THREADSAFE RANGE x } ASSIGNED { v i x }\n"
    f"BREAKPOINT {{ x = {_TERMS}\n i = 1e-12*x }}"
)
_GATES = "\n".join(
    f" a = exp(0.0{k + 1}*(v + 40))\n b = exp(-0.0{k + 1}*(v + 65))\n s{k}' = a*(1 - s{k}) - b*s{k}" for k in range(4)
)
MANY_CALLS = f"""
NEURON {{ SUFFIX calexp NONSPECIFIC_CURRENT i THREADSAFE }} ASSIGNED {{ v i }} STATE {{ s0 s1 s2 s3 }}
BREAKPOINT {{ SOLVE states METHOD cnexp i = 1e-12*s0*s1*s2*s3*(v + 65) }}
INITIAL {{ s0 = 0 s1 = 0 s2 = 0 s3 = 0 }}
DERIVATIVE states {{ LOCAL a, b
{_GATES}
}}
"""
POINT = """
NEURON { POINT_PROCESS CalPoint NONSPECIFIC_CURRENT i RANGE tau THREADSAFE } PARAMETER { tau = 3 }
ASSIGNED { v i } STATE { g } INITIAL { g = 0 }
BREAKPOINT { SOLVE states METHOD cnexp i = g*v } DERIVATIVE states { g' = -g/tau } NET_RECEIVE(w) { g = g + w }
"""
SOURCE = """
NEURON { ARTIFICIAL_CELL CalSource RANGE interval RANDOM r } PARAMETER { interval = 50 } ASSIGNED { n }
INITIAL { n = 0 net_send(interval*random_negexp(r), 1) }
NET_RECEIVE(w) { if (flag == 1) { n = n + 1 net_event(t) net_send(interval*random_negexp(r), 1) } }
"""


def trial(
    mods: tuple[str, ...], *, cells: int = CELLS, segments: int = 1, sections: int = 1, steps: int = STEPS,
    points: int = 0, sources: int = 0, fan: int = 0, interval: float = 1e9, columns: int = 0, ring: bool = False,
    outside: Callable[[int, int], tuple[dict[str, Any], dict[str, Any]]] | None = None,
) -> Program:  # fmt: skip
    """Equal cells of some sections; ``mods`` are on all of them, with so many points, sources and connections.

    ``segments`` are those of each section. ``outside`` makes of the numbers of cells and segments what is added to
    the specification, and the tables that it has.
    """
    names = [text.split("{", 1)[1].split()[1] for text in mods]
    kinds = dict(zip(names, [text.split("{", 1)[1].split()[0] for text in mods], strict=True))
    tables: dict[str, Any] = {"cm": np.ones(sections * segments), "v": np.full(sections * segments, -65.0)}
    template = {
        "id": "c",
        "sections": [{"name": f"s{k}", "L": 20.0 * segments, "diam": 5.0, "nseg": segments, "parent": k - 1,
                      "parent_x": 1.0, "Ra": 100.0} for k in range(sections)],
        "cm": "T:cm",
        "v_init": "T:v",
        "inserts": [{"mechanism": n, "sections": list(range(sections)), "parameters": {}}
                    for n in names if kinds[n] == "SUFFIX"],
        "ions": [],
        "points": [],
        "source": {"kind": "voltage", "section": 0, "x": 0.5, "threshold": 0.0},
    }  # fmt: skip
    spec: dict[str, Any] = {
        "templates": [template],
        "populations": [{"id": "p", "template": 0, "first_gid": 0, "size": cells}],
        "recordings": [
            {"column": k, "gid": k, "section": 0, "x": 0.5, "variable": "v", "scale": 1e-3} for k in range(columns)
        ],
        "spikes": "all",
        "run": {"dt": 0.025, "duration": 0.025 * steps, "celsius": 6.3, "seed": 1, "second_order": 0},
    }
    if ring and not points:
        points, mods = 1, (*mods, POINT)
        names.append("CalPoint")
    if points:
        number = cells * points
        tables |= {"gid": np.arange(number) % cells, "section": np.zeros(number, int), "x": np.full(number, 0.5)}
        spec["points"] = [{"id": "s", "mechanism": "CalPoint", "gid": "T:gid", "section": "T:section", "x": "T:x",
                           "parameters": {}}]  # fmt: skip
    if sources:
        spec["populations"].append({"id": "n", "artificial": "CalSource", "first_gid": cells, "size": sources,
                                    "parameters": {"interval": interval}})  # fmt: skip
    heads = np.repeat(np.arange(cells, cells + sources), fan) if fan else np.arange(cells if ring else 0)
    if len(heads):
        tables |= {"head": heads, "row": (np.arange(len(heads)) * 7919 + 1) % (cells * points)}
        tables |= {"weight": np.full(len(heads), 1e-9), "delay": np.full(len(heads), 0.025 if ring else 1.0)}
        spec["netcons"] = [{"source_gid": "T:head", "points": "s", "index": "T:row", "weight": "T:weight",
                            "delay": "T:delay"}]  # fmt: skip
    if outside is not None:
        more, own = outside(cells, segments)
        recordings = [*spec["recordings"], *more.pop("recordings", ())]
        spec, tables = {**spec, **more, "recordings": recordings}, tables | own
    return Program(spec, tables, {f"{name}.mod": text for name, text in zip(names, mods, strict=True)})


Outside = tuple[dict[str, Any], dict[str, Any]]


def field(cells: int, segments: int) -> Outside:
    """A uniform potential on all cells."""
    entry = {"population": "p", "first_gid": 0, "kind": "uniform", "rows": "T:field.rows", "vector": [1.0, 0.0, 0.0],
             "origin": [0.0, 0.0, 0.0], "conductivity": 0.3, "times": "T:field.times",
             "values": "T:field.values"}  # fmt: skip
    ends = {"field.times": np.array([0.0, 1e9]), "field.values": np.array([1e-6, 1e-6])}
    return {"fields": [entry]}, {"field.rows": np.arange(cells), **ends}


def electrodes(contacts: int) -> Callable[[int, int], Outside]:
    """So many contacts, far from all cells."""

    def made(cells: int, segments: int) -> Outside:
        group = {"id": "p", "first_gid": 0, "size": cells, "moved": False, "bare": [0], "somata": [0]}
        entry = {"positions": "T:electrodes", "conductivity": 0.3, "method": "linesource", "radius": None,
                 "samples": 50, "dipole": False, "first_column": 0, "columns": contacts, "views": [],
                 "shapes": "given", "populations": [group]}  # fmt: skip
        places = np.column_stack([1e3 * np.arange(1, contacts + 1), np.full(contacts, 500.0), np.zeros(contacts)])
        columns = [{"column": k, "field": k} for k in range(contacts)]
        return {"electrodes": entry, "recordings": columns}, {"electrodes": places}

    return made


def chemistry(reacting: bool, voxels: int = 0) -> Callable[[int, int], Outside]:
    """Three substances in all segments, the first of which diffuses; or it alone in a cube of ``voxels`` along."""

    def made(cells: int, segments: int) -> Outside:
        cube = [0.0, 0.0, 0.0, *3 * [10.0 * voxels]]
        region = {"box": cube, "dx": 10.0, "volume_fraction": 0.2, "tortuosity": 1.6} if voxels else {
            "side": "i", "geometry": "inside", "numbers": {}, "gid": "T:rxd.gid", "section": "T:rxd.section",
        }  # fmt: skip
        names = ("cala",) if voxels else ("cala", "calb", "calc")
        species = [{"name": name, "kind": "species", "regions": ["r"], "d": 1.0 * (name == "cala"), "charge": 0,
                    "initial": 1.0, "boundary": None, "scale": None} for name in names]  # fmt: skip
        binding = {"name": "b", "kind": "reaction", "left": "cala + calb", "right": "calc", "forward": 0.1,
                   "backward": 0.1, "regions": None, "custom": False, "membrane": None, "membrane_flux": False,
                   "by_area": True}  # fmt: skip
        rxd = {"constants": {}, "regions": [{"name": "r", **region}], "species": species,
               "reactions": [binding] if reacting else []}  # fmt: skip
        places = {"rxd.gid": np.arange(cells), "rxd.section": np.zeros(cells, int)}
        return {"rxd": rxd}, {} if voxels else places

    return made

"""Extracellular electrodes and dipole moments: what is asked for, and its place in a Program.

The forward models are LFPykit's (https://lfpykit.readthedocs.io): the medium is infinite, homogeneous and ohmic, and a
segment is a line, or a point, that its transmembrane current leaves (Holt and Koch 1999, J. Comput. Neurosci. 6:169;
Linden et al. 2014, Front. Neuroinform. 7:41).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UnsupportedError, UsageError
from ..extras import require
from ..results import Electrodes, OutputFile, Outputs
from ..results.electrodes import SOURCES
from .program import Program, Shape

if TYPE_CHECKING:
    from ..graph import Network
    from .neuron.lower import Lowered

__all__ = ["Electrodes", "with_electrodes"]
_AXES = "xyz"
_MOST = 4.0  # GB of currents that wait for the end of a run


def with_electrodes(
    lowered: Lowered, network: Network, wanted: Electrodes, outputs: Outputs
) -> tuple[Lowered, Outputs]:
    """The Program with columns for the electrodes, and the outputs with files for them.

    Quantities: "lfp[3]" (V) of contact 3, "dipole/x" (A m) and so on; of one population "lfp[3]/pop", "dipole/x/pop";
    of one cell "lfp[3]/pop[0]", "dipole/x/pop[0]". The files are lfp.dat and dipole.dat. Raises UnsupportedError where
    no cell has a field, or where variable steps would have to keep too much.
    """
    from .neuron.recordings import Recording

    require("lfpykit", "signals", "extracellular potentials and dipole moments")
    spec, tables = dict(lowered.program.spec), dict(lowered.program.tables)
    groups, segments = [], 0
    for entry in spec["populations"]:
        if "template" not in entry or _is_point(spec["templates"][entry["template"]]):
            continue
        sections = spec["templates"][entry["template"]]["sections"]
        segments += entry["size"] * sum(section["nseg"] for section in sections)
        group = {
            "id": entry["id"], "first_gid": entry["first_gid"], "size": entry["size"],
            "moved": "positions" in entry or "origins" in entry,
            "bare": [number for number, section in enumerate(sections) if "points" not in section],
            "somata": [number for number, section in enumerate(sections) if "soma" in section["name"]] or [0],
        }  # fmt: skip
        places, turns = network.populations[entry["id"]].positions, network.populations[entry["id"]].orientations
        if places is not None and (not group["moved"] or group["bare"] or turns is not None):
            key = f"electrodes.{entry['id']}"
            tables[key] = np.asarray(places, float)
            group["positions"] = f"T:{key}"
        if turns is not None:
            key = f"electrodes.{entry['id']}.turns"
            tables[key], group["turns"] = np.asarray(turns, float), f"T:{key}"
        groups.append(group)
    if not groups:
        raise UnsupportedError("no population of the network has cells with sections: there is no field to record")
    kept = segments * Shape.of(lowered.program).samples * 8e-9
    if spec["run"].get("cvode") and kept > _MOST:
        raise UnsupportedError(
            f"with variable steps (cvode) NEURON keeps the currents of {segments} compartments to the end, {kept:.3g} "
            "GB; take fixed steps (--method best), or fewer samples (a longer --dt)"
        )
    tables["electrodes"] = wanted.positions
    views = _views(groups, wanted)
    marks = ["", *(f"/{name}" for name in views)]
    rows = [(f"lfp[{i}]{mark}", "V") for mark in marks for i in range(len(wanted.positions))]
    dipoles = [(f"dipole/{axis}{mark}", "A m") for mark in marks for axis in _AXES] if wanted.dipole else []
    first = len(lowered.recordings)
    entry = {
        "positions": "T:electrodes", "conductivity": float(wanted.conductivity), "method": SOURCES[wanted.source],
        "radius": wanted.radius, "samples": wanted.samples, "dipole": wanted.dipole, "first_column": first,
        "columns": len(rows) + len(dipoles), "views": list(views.values()), "shapes": wanted.shapes,
        "populations": groups,
    }  # fmt: skip
    if wanted.normals is not None:
        tables["electrodes.normals"] = wanted.normals
        entry["normals"] = "T:electrodes.normals"
    spec["electrodes"] = entry
    added = [Recording(name, unit, dict) for name, unit in (*rows, *dipoles)]
    spec["recordings"] = [*spec["recordings"], *({"column": first + i, "field": i} for i in range(len(added)))]
    spec.pop("mods", None)
    program = Program(spec, tables, lowered.program.mods)
    files = [OutputFile(part, f"{part}.dat", tuple((name, name) for name, _ in those), named=True)
             for part, those in (("lfp", rows), ("dipole", dipoles)) if those]  # fmt: skip
    taken = {file.name for file in outputs.files} | {file.name for file in outputs.event_files}
    for file in files:
        if file.name in taken:
            raise UsageError(f"the model has an output file of the name '{file.name}' already")
    changed: Any = replace(lowered, program=program, recordings=(*lowered.recordings, *added))
    return changed, replace(outputs, files=(*outputs.files, *files))


def _views(groups: Sequence[Mapping[str, Any]], wanted: Electrodes) -> dict[str, tuple[int, int]]:
    """First gid and number of cells of each part that is seen on its own, by name."""
    views = {g["id"]: (g["first_gid"], g["size"]) for g in groups} if wanted.populations else {}
    known = {g["id"]: g for g in groups}
    for name in wanted.cells:
        population, _, number = name.partition("[")
        if population not in known:
            near = get_close_matches(population, known, 3) or list(known)[:3]
            raise UsageError(f"electrodes: no population '{population}' has a field; there are {', '.join(near)}")
        size, first = known[population]["size"], known[population]["first_gid"]
        chosen = [int(number[:-1])] if number else range(size)
        for row in chosen:
            if row >= size:
                raise UsageError(f"electrodes: '{name}' is not there; '{population}' has {size} cells")
            views[f"{population}[{row}]"] = (first + row, 1)
    return views


def _is_point(template: Mapping[str, Any]) -> bool:
    """Whether it is an abstract cell: one compartment around a process, which has no field."""
    alone = len(template["sections"]) == 1 and template["sections"][0]["nseg"] == 1
    return alone and (template.get("source") or {}).get("kind") == "point"

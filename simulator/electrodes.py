"""Extracellular electrodes and dipole moments: what is asked for, and its place in a Program.

The forward models are LFPykit's (https://lfpykit.readthedocs.io): the medium is infinite, homogeneous and ohmic, and a
segment is a line, or a point, that its transmembrane current leaves (Holt and Koch 1999, J. Comput. Neurosci. 6:169;
Linden et al. 2014, Front. Neuroinform. 7:41).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import NmlBridgeError, UnsupportedError, UsageError
from ..extras import require
from ..results import OutputFile, Outputs
from .program import Program

if TYPE_CHECKING:
    from ..graph import Network
    from .neuron.lower import Lowered

SOURCES = {"line": "linesource", "point": "pointsource", "soma_point": "root_as_point"}
_AXES = "xyz"


@dataclass(frozen=True, eq=False)
class Electrodes:
    """Contacts at ``positions`` (n, 3), um, in a medium of ``conductivity`` (S/m); n may be 0 for a dipole alone.

    ``source``: segments are "line", "point", or "soma_point" (the first segment of each cell a sphere, others lines).
    With a ``radius`` (um) contacts are discs with ``normals`` (n, 3; default z), and the potential is the mean over
    ``samples`` points of the disc. ``dipole`` adds the current dipole moment. ``populations``: for each one on its own
    too, not only in total. Raises UsageError for what cannot be.
    """

    positions: npt.NDArray[np.float64]
    conductivity: float = 0.3
    source: str = "line"
    radius: float | None = None
    normals: npt.NDArray[np.float64] | None = None
    samples: int = 50
    dipole: bool = False
    populations: bool = False

    def __post_init__(self) -> None:
        try:
            positions = np.asarray(self.positions, float).reshape(-1, 3)
            normals = None if self.normals is None else np.asarray(self.normals, float).reshape(len(positions), 3)
        except (ValueError, TypeError):
            raise UsageError("positions and normals of electrodes need three numbers each: x, y, z in um") from None
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "normals", normals)
        if not np.isfinite(positions).all():
            raise UsageError("the position of an electrode is not finite")
        if not (isinstance(self.conductivity, (int, float)) and 0 < self.conductivity < np.inf):
            raise UsageError(f"the conductivity is {self.conductivity} S/m; it must be a number of more than 0")
        if self.source not in SOURCES:
            raise UsageError(f"there is no source '{self.source}'; there are {', '.join(SOURCES)}")
        if self.radius is not None and not (self.radius > 0 and self.samples > 1):
            raise UsageError("a disc needs a radius of more than 0 and at least 2 samples")
        if not len(positions) and not self.dipole:
            raise UsageError("there are no electrodes, and no dipole is asked for")

    @classmethod
    def read(cls, path: str | Path) -> Electrodes:
        """From a YAML or JSON file with the fields as keys. Raises UsageError that names the file."""
        import yaml

        try:
            found = yaml.safe_load(Path(path).read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"{path}: no file of electrodes can be read there: {str(error).splitlines()[0]}") from None
        known = cls.__dataclass_fields__
        if not isinstance(found, Mapping) or not set(found) <= set(known):
            strange = min(map(str, set(found) - set(known))) if isinstance(found, Mapping) else type(found).__name__
            raise UsageError(f"{path}: '{strange}' does not belong there; expected {', '.join(known)}")
        try:
            return cls(**{"positions": np.empty((0, 3)), **found})
        except (NmlBridgeError, TypeError) as error:
            raise UsageError(f"{path}: {error}") from None


def with_electrodes(
    lowered: Lowered, network: Network, wanted: Electrodes, outputs: Outputs
) -> tuple[Lowered, Outputs]:
    """The Program with columns for the electrodes, and the outputs with files for them.

    Quantities: "lfp[3]" (V) of contact 3, "dipole/x" (A m) and so on; of one population "lfp[3]/pop", "dipole/x/pop".
    The files are lfp.dat and dipole.dat. Raises UnsupportedError for cvode, CoreNEURON, or where no cell has a field.
    """
    from .neuron.recordings import Recording

    require("lfpykit", "signals", "extracellular potentials and dipole moments")
    spec, tables = dict(lowered.program.spec), dict(lowered.program.tables)
    for key, name in (("cvode", "the method cvode"), ("coreneuron", "CoreNEURON")):
        if spec["run"].get(key):
            raise UnsupportedError(f"{name} records no transmembrane currents; electrodes need NEURON's fixed steps")
    groups = []
    for entry in spec["populations"]:
        if "template" not in entry or _is_point(spec["templates"][entry["template"]]):
            continue
        group = {"id": entry["id"], "first_gid": entry["first_gid"], "size": entry["size"]}
        places = network.populations[entry["id"]].positions
        if places is not None and "positions" not in entry and "origins" not in entry:
            key = f"electrodes.{entry['id']}"
            tables[key] = np.asarray(places, float)
            group["positions"] = f"T:{key}"
        groups.append(group)
    if not groups:
        raise UnsupportedError("no population of the network has cells with sections: there is no field to record")
    tables["electrodes"] = wanted.positions
    names = [("", "")] + ([(f"/{g['id']}", g["id"]) for g in groups] if wanted.populations else [])
    rows = [(f"lfp[{i}]{mark}", "V") for mark, _ in names for i in range(len(wanted.positions))]
    dipoles = [(f"dipole/{axis}{mark}", "A m") for mark, _ in names for axis in _AXES] if wanted.dipole else []
    first = len(lowered.recordings)
    entry = {
        "positions": "T:electrodes", "conductivity": float(wanted.conductivity), "method": SOURCES[wanted.source],
        "radius": wanted.radius, "samples": wanted.samples, "dipole": wanted.dipole, "first_column": first,
        "columns": len(rows) + len(dipoles), "split": wanted.populations, "populations": groups,
    }  # fmt: skip
    if wanted.normals is not None:
        tables["electrodes.normals"] = wanted.normals
        entry["normals"] = "T:electrodes.normals"
    spec["electrodes"] = entry
    added = [Recording(name, unit, dict) for name, unit in (*rows, *dipoles)]
    spec["recordings"] = [*spec["recordings"], *({"column": first + i, "field": i} for i in range(len(added)))]
    spec.pop("mods", None)
    program = Program(spec, tables, lowered.program.mods)
    files = [OutputFile(part, f"{part}.dat", tuple((name, name) for name, _ in those))
             for part, those in (("lfp", rows), ("dipole", dipoles)) if those]  # fmt: skip
    taken = {file.name for file in outputs.files} | {file.name for file in outputs.event_files}
    for file in files:
        if file.name in taken:
            raise UsageError(f"the model has an output file of the name '{file.name}' already")
    changed: Any = replace(lowered, program=program, recordings=(*lowered.recordings, *added))
    return changed, replace(outputs, files=(*outputs.files, *files))


def _is_point(template: Mapping[str, Any]) -> bool:
    """Whether it is an abstract cell: one compartment around a process, which has no field."""
    alone = len(template["sections"]) == 1 and template["sections"][0]["nseg"] == 1
    return alone and (template.get("source") or {}).get("kind") == "point"

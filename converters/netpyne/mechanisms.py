"""Mod files beside a NetPyNE model: those of the mechanisms that its network uses, where the user allows it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ...errors import DocumentError
from ...graph import NativeCell, Network
from ...nmodl.files import FOLDERS, mechanism_of, text_of, texts_of
from ...report import Report
from .document import beside

BUILT_IN = frozenset({
    "hh", "pas", "fastpas", "extracellular", "capacitance", "ExpSyn", "Exp2Syn", "AlphaSynapse", "IClamp", "SEClamp",
    "VClamp", "APCount", "NetStim", "IntFire1", "IntFire2", "IntFire4", "PatternStim", "VecStim",
})  # fmt: skip
"""what NEURON has, and VecStim, whose trains are played without a mod file"""


def used(network: Network) -> set[str]:
    """The names of NEURON's mechanisms in a network."""
    found: set[str] = set()
    for native in network.native.values():
        if isinstance(native, NativeCell):
            found |= {name for section in native.sections for name in section.mechanisms}
            found |= {point.mechanism for point in native.points}
        elif native.kind != "port":
            found.add(native.mechanism)
    return found


def mods_of(
    folder: Path, named: str | None, network: Network, allow: Collection[str], report: Report
) -> dict[str, str]:  # fmt: skip
    """The texts of the mod files that the network needs, by file name: of the folder ``named`` by an index, else of the
    first of FOLDERS that is there.

    Without "mods" in ``allow`` none are taken, and ``report`` says which would be.
    """
    wanted = used(network) - BUILT_IN
    if not wanted:
        return {}
    if named is not None:
        places = [beside(folder / "index.npjson", named, "mod_folder")]
    else:
        places = [folder / name for name in FOLDERS]
    files: dict[str, Path] = {}
    for place in places:
        for path in sorted(place.glob("*.mod")) if place.is_dir() else ():
            name = mechanism_of(text_of(path))
            if name in wanted:
                if name in files:
                    raise DocumentError(f"mechanism '{name}' is in '{files[name].name}' too", file=str(path))
                files[name] = path
        if files:
            break
    if files and "mods" not in allow:
        report.add("netpyne-mods", "loss", f"mod files of {', '.join(sorted(files))} are in '{place}'; they are taken "
                   "only if you say so: --allow-mods, or allow=('mods',)", file=str(network.file))  # fmt: skip
        return {}
    return texts_of(files.values())

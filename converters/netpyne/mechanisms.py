"""Mod files beside a NetPyNE model: those of the mechanisms that its network uses, where the user allows it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ...errors import DocumentError
from ...graph import Adjuster, Network
from ...graph.native import mechanisms_of
from ...nmodl.builtin import BUILT_IN
from ...nmodl.files import FOLDERS, global_parameters, mechanism_of, text_of, texts_of, with_globals
from ...nmodl.header import read_header
from ...report import Report
from .document import beside
from .sections import number

ELSEWHERE = frozenset({"celsius", "v_init", "clamp_resist", "tstop"})
"""hParams that are no parameters of a mechanism: of the run, and one that NEURON's own mechanisms do not read"""

AT_HAND = BUILT_IN | {"VecStim"}
"""what NEURON has, and VecStim, whose trains are played without a mod file"""


def used(network: Network) -> set[str]:
    """The names of NEURON's mechanisms in a network."""
    found = set(mechanisms_of(*network.native.values()))
    return found | {p.plasticity.mechanism for p in network.projections if isinstance(p.plasticity, Adjuster)}


def folder_of_saved(path: Path) -> str:
    """The folder, beside a saved network, of the mod files that are written along with it."""
    return f"{path.stem}_mod"


def mods_of(
    path: Path, named: str | None, network: Network, allow: Collection[str], report: Report
) -> dict[str, str]:  # fmt: skip
    """The texts of the mod files that the network needs, by file name: of the folder ``named`` by an index, else of one
    that goes with the file at ``path``, or the first of FOLDERS that is there.

    Without "mods" in ``allow`` none are taken, and ``report`` says which would be.
    """
    wanted = used(network) - AT_HAND
    if not wanted:
        return {}
    if named is not None:
        places = [beside(path, named, "mod_folder")]
    else:
        places = [path.parent / name for name in (folder_of_saved(path), *FOLDERS)]
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


def hparams_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """simConfig.hParams; a simConfig that has none has NetPyNE's."""
    given = config.get("hParams")
    return {"celsius": 6.3, "v_init": -65.0, "clamp_resist": 0.001} if given is None else given


def celsius_of(params: Mapping[str, Any], config: Mapping[str, Any], file: str | None) -> float:
    """The temperature (degC): of hParams, else of the first rule for cells that has one, else NEURON's own."""
    stated = {"simConfig.hParams": hparams_of(config)} | {
        f"cellParams.{label}.globals": rule.get("globals")
        for label, rule in (params.get("cellParams") or {}).items() if isinstance(rule, Mapping)
    }  # fmt: skip
    for where, given in stated.items():
        if isinstance(given, Mapping) and "celsius" in given:
            return number(given["celsius"], where, "celsius", file)
    return 6.3


def set_globals(
    mods: Mapping[str, str], params: Mapping[str, Any], config: Mapping[str, Any], network: Network, report: Report
) -> dict[str, str]:  # fmt: skip
    """The mod files with the global parameters that simConfig.hParams and the rules of cells set as their defaults.

    As in NetPyNE, hParams come before the rules, and the first rule before the others; a value that another one keeps
    from being used, and what no mod file has, is noted.
    """
    file = str(network.file)
    wanted: dict[str, tuple[Any, str]] = {name: (value, "hParams") for name, value in
                                          hparams_of(config).items()}  # fmt: skip
    for label, rule in (params.get("cellParams") or {}).items():
        given = rule.get("globals") if isinstance(rule, Mapping) else None
        for name, value in (given or {}).items():
            kept, owner = wanted.setdefault(name, (value, f"cellParams.{label}"))
            if kept != value and name not in ("v_init", "clamp_resist"):  # sections have their own v_init
                report.add("netpyne-globals", "approximation", f"cellParams.{label} has {name} = {value}; as in "
                           f"NetPyNE it is {kept}, which {owner} says", file=file, component=label)  # fmt: skip
    found = dict(mods)
    left = dict.fromkeys(name for name in wanted if name not in ELSEWHERE)
    for mod, text in mods.items():
        header = read_header(text)
        if header is None:
            continue
        ours = {name: name.removesuffix(f"_{header.name}") for name in left if name.endswith(f"_{header.name}")}
        values, defaults = {}, global_parameters(text)
        for name, plain in ours.items():
            if plain in defaults:
                values[plain] = number(wanted[name][0], wanted[name][1], name, file)
            computed = plain not in header.shared and re.search(rf"\b{re.escape(plain)}\b", text)
            if plain in defaults or computed or plain == "usetable":
                del left[name]
        changed = {name: value for name, value in values.items() if value != defaults[name]}
        if changed:
            found[mod] = with_globals(text, changed)
        for plain in changed:
            name = f"{plain}_{header.name}"
            others = [label for label, rule in _having(header.name, params).items()
                      if name not in (rule.get("globals") or {})]  # fmt: skip
            if wanted[name][1] != "hParams" and others:
                report.add(
                    "netpyne-globals", "approximation", f"{wanted[name][1]} sets {name} = {values[plain]:g}; as in "
                    f"NetPyNE it is so in the cells of {', '.join(others)} too, which do not set it (the mod file has "
                    f"{defaults[plain]:g})", file=file, component=others[0],
                )  # fmt: skip
    here = used(network) | {"ion"}
    for name in left:
        if any(name.endswith(f"_{mechanism}") for mechanism in here) or wanted[name][1] == "hParams":
            report.add("netpyne-globals", "loss", f"{wanted[name][1]} sets {name}, which is not set here", file=file,
                       component=name)  # fmt: skip
    return found


def _having(mechanism: str, params: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rules of cells whose sections have a mechanism, by label."""
    found = {}
    for label, rule in (params.get("cellParams") or {}).items():
        sections = (rule.get("secs") if isinstance(rule, Mapping) else None) or {}
        for section in sections.values() if isinstance(sections, Mapping) else ():
            points = (section.get("pointps") or {}).values()
            if mechanism in (section.get("mechs") or {}) or any(p.get("mod") == mechanism for p in points):
                found[f"cellParams.{label}"] = rule
    return found

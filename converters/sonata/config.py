"""The JSON files of SONATA: circuit and simulation configuration, manifest variables, node sets, parameter files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ... import plain
from ...errors import DocumentError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_MAX_BYTES = 64 << 20
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass
class Config:
    """A circuit and, where there is one, its simulation; paths are resolved, ``main`` is the file that was given."""

    main: Path
    components: dict[str, Path] = field(default_factory=dict)
    refused: dict[str, DocumentError] = field(default_factory=dict)
    """folders of components that may not be looked into, which matters where a file of one is needed"""
    nodes: list[tuple[Path, Path | None]] = field(default_factory=list)
    edges: list[tuple[Path, Path | None]] = field(default_factory=list)
    simulation: dict[str, Any] = field(default_factory=dict)
    node_sets: dict[str, Any] = field(default_factory=dict)
    home: Path = Path()
    """folder that the paths of the simulation are relative to"""
    variables: dict[str, str] = field(default_factory=dict)
    target_simulator: str = ""
    own: dict[str, Any] = field(default_factory=dict)
    """what our own writer kept of NeuroML's names"""

    def find(self, directory: str, name: str) -> Path | None:
        """A file of one of the components' folders, None if it is not there. Raises DocumentError for a folder that
        may not be looked into."""
        if directory in self.refused and name:
            raise self.refused[directory]
        folder = self.components.get(directory)
        if folder is None or not name:
            return None
        return next((p for p in (folder / name, folder / Path(name).name) if p.is_file()), None)

    def path(self, text: str) -> Path:
        """A path of the simulation configuration."""
        return _path(text, self.variables, self.home, self.main)


def load(path: Path) -> Config:
    """Read a circuit_config, simulation_config or config file and those it names. Raises DocumentError."""
    top = load_json(path)
    config = Config(path, home=path.parent)
    circuit, home, where = top, path.parent, path
    simulation = top.get("simulation")
    if isinstance(simulation, str):
        variables = _manifest(top, path)
        at = _path(simulation, variables, path.parent, path)
        inner = load_json(at)
        _simulation(config, inner, at)
        if "network" not in top and "networks" not in top:
            top = inner
            path, home, where = at, at.parent, at
            circuit = inner
    elif "run" in top or "inputs" in top or "conditions" in top:
        _simulation(config, top, path)
    network = top.get("network")
    if isinstance(network, str):
        where = _path(network, _manifest(top, path), path.parent, path)
        circuit, home = load_json(where), where.parent
    elif isinstance(network, dict):
        circuit = {"manifest": top.get("manifest", {}), **network}
    if not isinstance(circuit.get("networks"), dict):
        raise DocumentError("there is no 'networks' in it, which lists the files of nodes and edges; this is no SONATA "
                            "configuration", file=str(where))  # fmt: skip
    variables = _manifest(circuit, where)
    config.own = _object(circuit, "nmlbridge", where)
    config.target_simulator = str(circuit.get("target_simulator", ""))
    for name, value in _object(circuit, "components", where).items():
        if isinstance(value, str):
            try:
                config.components[name] = _path(value, variables, home, where)
            except DocumentError as refused:
                config.refused[name] = refused
    for kind, files in (("nodes", config.nodes), ("edges", config.edges)):
        entries = circuit["networks"].get(kind, [])
        if not isinstance(entries, list):
            raise DocumentError(f"'{kind}' of 'networks' is no list", file=str(where))
        for entry in entries:
            if not isinstance(entry, dict) or not isinstance(entry.get(f"{kind}_file"), str):
                raise DocumentError(f"an entry of '{kind}' names no '{kind}_file'", file=str(where))
            if entry.get("enabled", True) is False:
                continue
            types = entry.get(f"{kind[:-1]}_types_file")
            types = types if isinstance(types, str) and types not in ("", "NULL") else None
            files.append((
                _path(entry[f"{kind}_file"], variables, home, where),
                None if types is None else _path(types, variables, home, where),
            ))  # fmt: skip
    for text, names, owner in (
        (config.simulation.get("node_sets_file"), config.variables, config.home),
        (circuit.get("node_sets_file"), variables, home),
    ):
        if isinstance(text, str):
            config.node_sets |= load_json(_path(text, names, owner, where))
    return config


def _simulation(config: Config, simulation: dict[str, Any], at: Path) -> None:
    config.simulation, config.home = simulation, at.parent
    config.variables = _manifest(simulation, at)


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, NaN and all; DocumentError with the line if it is none."""
    if path.is_file():
        if path.stat().st_size > _MAX_BYTES:
            raise DocumentError(f"a configuration of more than {_MAX_BYTES >> 20} MB is not read", file=str(path))
        with path.open("rb") as stream:
            if stream.read(len(_HDF5)) == _HDF5:
                raise DocumentError("this is an HDF5 file, no configuration: of a circuit read circuit_config.json, of "
                                    "results see nmlbridge results", file=str(path))  # fmt: skip
    value = plain.load_json(path)
    if not isinstance(value, dict):
        raise DocumentError(f"expected a JSON object {{...}}, found {type(value).__name__}", file=str(path))
    return value


def _object(owner: dict[str, Any], name: str, at: Path) -> dict[str, Any]:
    value = owner.get(name) or {}
    if not isinstance(value, dict):
        raise DocumentError(f"'{name}' is no JSON object", file=str(at))
    return value


def _manifest(owner: dict[str, Any], at: Path) -> dict[str, str]:
    """Variables by name without the $; one may use another."""
    found = {"configdir": ".", "workingdir": "."}
    for name, value in _object(owner, "manifest", at).items():
        if not isinstance(value, str):
            raise DocumentError(f"'{name}' of the manifest is no text", file=str(at))
        found[name.strip("${}")] = value
    return found


def _path(text: str, variables: dict[str, str], home: Path, at: Path) -> Path:
    """A path with its variables filled in, relative to the folder of the file that it stands in."""
    full, left = text, 32
    while (name := _VARIABLE.search(full)) is not None:
        if name.group(1) not in variables:
            known = ", ".join(f"${v}" for v in variables)
            raise DocumentError(f"'{text}' has ${name.group(1)}, which the manifest does not define; it has {known}",
                                file=str(at))  # fmt: skip
        full, left = full[: name.start()] + variables[name.group(1)] + full[name.end() :], left - 1
        if not left:
            raise DocumentError(f"the manifest's variable ${name.group(1)} is defined by itself", file=str(at))
    if PurePosixPath(full).is_absolute() or PureWindowsPath(full).drive or "://" in full:
        raise DocumentError(f"the path '{full}' is absolute; make it relative to the file that it stands in",
                            file=str(at))  # fmt: skip
    return home / full

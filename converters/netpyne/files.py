"""The files of a NetPyNE model: netParams and simConfig, wherever they are stated, and values changed by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DocumentError, UnsupportedError, UsageError
from ...report import Report
from ...units import nearest
from .document import beside, load
from .instance import Instance
from .python import stated
from .rules import build
from .saved import instance_of, is_saved, rules_of

RANDOMS = ("netpyne", "neuron8", "native")


@dataclass
class Files:
    """What the files say: ``data`` of a saved network, or ``params``; ``config``; the folder for mechanisms."""

    path: Path
    config: dict[str, Any]
    params: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    mods: str | None = None
    """the folder of mechanisms that an index names"""
    rng: str = "netpyne"

    @property
    def folder(self) -> Path:
        """Where the model lies."""
        return self.path.parent

    @classmethod
    def of(cls, path: Path, allow: Collection[str], changes: Mapping[str, Any], report: Report) -> Files:
        """Read a JSON file, an index, or Python that states a model.

        ``changes`` with "instantiate" false make a saved network anew from the rules that are saved with it.
        """
        rest = dict(changes)
        rng = str(rest.pop("rng", "netpyne"))
        if rng not in RANDOMS:
            raise UsageError(f"there is no rng '{rng}'; there are {', '.join(RANDOMS)}")
        anew = rest.pop("instantiate", True) in (False, "false", "False", 0)
        if path.suffix == ".py":
            request = {"module": str(path.resolve()), "folder": str(path.resolve().parent)}
            params, config = stated(request | {"changes": _early(rest)}, path, allow, report)
            found = cls(path, config, params, rng=rng)
        else:
            data = load(path)
            config = data.get("simConfig") or {}
            if is_saved(data) and anew:
                found = cls(path, config, rules_of(data, path))
            elif is_saved(data):
                found = cls(path, config, data=data)
                if rng == "native":
                    raise UsageError(f"{path}: the network is saved as it is, and rng has nothing to choose; with "
                                     "instantiate=false it is made anew from its rules")  # fmt: skip
            elif "netParams" in data and isinstance(config, str):
                found = cls._indexed(path, data, _early(rest), allow, report)
            else:
                found = cls(path, config, (data.get("net") or {}).get("params"))
            found.rng = rng
            if found.data is None and not isinstance(found.params, dict):
                raise UnsupportedError(f"{path}: the file holds neither an instantiated network (net.cells and "
                                       "net.pops) nor rules (net.params)")  # fmt: skip
        found._change(rest)
        return found

    @classmethod
    def _indexed(
        cls, path: Path, data: dict[str, Any], early: dict[str, Any], allow: Collection[str], report: Report
    ) -> Files:  # fmt: skip
        """netParams and simConfig of the files that an index names."""
        files = {key: beside(path, data.get(key), key) for key in ("netParams", "simConfig")}
        mods = data.get("mod_folder")
        request: dict[str, Any] = {"folder": str(path.resolve().parent), "changes": early}
        for key, file in files.items():
            if file.suffix == ".py":
                request[key] = str(file)
                request[f"{key}_variable"] = data.get(f"{key}_variable")
            elif file.suffix != ".json":
                raise UnsupportedError(f"{path}: {key} is '{file.name}'; JSON and Python files are read")
        plain = {key: load(file) for key, file in files.items() if file.suffix == ".json"}
        params = (plain.get("netParams", {}).get("net") or {}).get("params")
        config = plain.get("simConfig", {}).get("simConfig")
        for key, value in (("netParams", params), ("simConfig", config)):
            if key in plain and not isinstance(value, dict):
                raise DocumentError("the files of the index need {'net': {'params': ...}} and {'simConfig': ...}",
                                    file=str(files[key]))  # fmt: skip
        if len(plain) < 2:
            request |= {f"{key}_data": value for key, value in (("netParams", params), ("simConfig", config))
                        if key in plain}  # fmt: skip
            params, config = stated(request, path, allow, report, str(mods) if mods else None)
        assert isinstance(config, dict)
        return cls(path, config, params, mods=str(mods) if mods else None)

    def _change(self, changes: Mapping[str, Any]) -> None:
        for name, value in changes.items():
            first, *parts = name.split(".")
            if first == "netParams":
                if self.params is None:
                    raise UsageError(f"'{name}': the network is saved as it is, and its rules are not used; with "
                                     "instantiate=false it is made anew from them")  # fmt: skip
                at: Any = self.params
            else:
                at = self.config
                parts = parts if first == "simConfig" else [first, *parts]
            for number, part in enumerate(parts):
                if not isinstance(at, dict) or part not in at:
                    known = list(at) if isinstance(at, dict) else []
                    raise UsageError(f"there is no '{name}' in the model{nearest(part, known)}")
                if number < len(parts) - 1:
                    at = at[part]
            if not parts:
                raise UsageError(f"'{name}' is no value; name one, such as {name}.duration")
            at[parts[-1]] = value

    def instance(self, report: Report) -> Instance:
        """The network in NetPyNE's words: as saved, or built from its rules."""
        if self.data is not None:
            return instance_of(self.data, self.path, report)
        assert self.params is not None
        drawn = "of its own for each rule" if self.rng == "native" else "that NetPyNE 1.1 draws on one rank"
        report.add("netpyne-rng", "info", f"the network is made from its rules with the random numbers {drawn}",
                   file=str(self.path))  # fmt: skip
        return build(self.params, self.config, report, str(self.path), own=self.rng == "native")


def _early(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that simConfig has while netParams are stated."""
    names = {name.removeprefix("simConfig."): value for name, value in changes.items()}
    return {name: value for name, value in names.items() if "." not in name}

"""A program of its own: runs Python that states a model with NetPyNE's ``specs``, and writes what it states as JSON.

    python specification.py REQUEST ANSWER

Nothing is simulated: at the first call that hands netParams and simConfig to NetPyNE's simulator the Python ends, and
the two are taken from that call. REQUEST names the files and the values that are set in simConfig; ANSWER holds
netParams, simConfig and what was left out, or an error with its place. It is run by ``python.py``, never imported.
"""

from __future__ import annotations

import inspect
import json
import os
import runpy
import sys
import traceback
import types
from pathlib import Path
from typing import Any

STARTS = (
    "initialize", "create", "createSimulate", "createSimulateAnalyze", "createSimulateAnalyzeInterval",
    "createSimulateAnalyzeDistributed", "createExportNeuroML2", "intervalCreateSimulateAnalyze", "createExport",
)  # fmt: skip
"""functions of netpyne.sim that take netParams and simConfig"""
LATER = (
    "simulate", "intervalSimulate", "distributedSimulate", "analyze", "load", "loadSimulate", "loadSimulateAnalyze",
    "loadAll", "runSim", "runFromIndexFile", "importNeuroML2SimulateAnalyze", "runSimIntervalSaving",
)  # fmt: skip
"""functions that make or run a network without stating it"""


class Stated(BaseException):
    """The model is stated; what would follow is simulation. No Exception, so that ``except Exception`` lets it by."""

    def __init__(self, params: Any, config: Any) -> None:
        super().__init__("the model is stated")
        self.params, self.config = params, config
        self.frames = _frames()


def _frames() -> list[list[Any]]:
    """Where the functions that are being run stand: file, line, name and first line of each, the outermost first."""
    found, frame = [], inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        found.append([code.co_filename, frame.f_lineno, code.co_name, code.co_firstlineno])
        frame = frame.f_back
    return found[::-1]


class Unusable(Exception):
    """The Python does what cannot be taken as a specification."""


def main(request: Path, answer: Path) -> int:
    """Run what the request names; the exit code is that of the process."""
    asked = json.loads(request.read_text())
    folder = asked["folder"]
    sys.argv = [asked.get("module") or asked["netParams"]]
    for file in (asked.get("module"), asked.get("simConfig"), asked.get("netParams")):
        if file:
            sys.path.insert(0, str(Path(file).resolve().parent))
    if folder not in sys.path:
        sys.path.insert(1, folder)
    try:
        params, config, frames = _stated(asked)
        found: dict[str, Any] = _answer(params, config)
        folders = tuple(f"{Path(place).resolve()}{os.sep}" for place in {folder, str(Path(sys.argv[0]).parent)})
        found["frames"] = [frame for frame in frames if str(Path(frame[0]).resolve()).startswith(folders)]
    except Unusable as fault:
        found = {"error": str(fault), "file": asked.get("module") or asked["netParams"], "line": None}
    except BaseException as fault:
        found = _error(fault, folder)
    answer.write_text(json.dumps(found))
    return 0


def _stated(asked: dict[str, Any]) -> tuple[Any, Any, list[list[Any]]]:
    """netParams and simConfig, as objects of NetPyNE or dictionaries, and where the Python has ended."""
    from netpyne import sim, specs  # in a folder that holds no compiled mechanisms of anyone

    if asked.get("library") and not sim.h.nrn_load_dll(asked["library"]):
        raise Unusable("NEURON does not load the compiled mechanisms")
    os.chdir(asked["folder"])
    _intercept(sim)
    _import_neuroml(specs.NetParams, asked["folder"])
    changes = asked["changes"]
    if changes:
        _change(specs.SimConfig, changes)
    try:
        if asked.get("module"):
            return *_of_names(runpy.run_path(asked["module"], run_name="__main__"), specs), []
        return *_indexed(asked, specs), []
    except Stated as stated:
        return *_whole(stated, specs), stated.frames


def _intercept(sim: Any) -> None:
    def start(name: str, original: Any) -> Any:
        signature = inspect.signature(original)

        def stop(*given: Any, **named: Any) -> Any:
            bound = signature.bind(*given, **named).arguments
            raise Stated(bound.get("netParams"), bound.get("simConfig"))

        return stop

    def later(name: str) -> Any:
        def refuse(*given: Any, **named: Any) -> Any:
            raise Unusable(f"sim.{name} is called before the model is stated; only what NetPyNE's specs say is taken")

        return refuse

    for name in STARTS:
        if hasattr(sim, name):
            setattr(sim, name, start(name, getattr(sim, name)))
    for name in LATER:
        if hasattr(sim, name):
            setattr(sim, name, later(name))


def _import_neuroml(kind: Any, folder: str) -> None:
    """Let importCellParams take NeuroML files, which NetPyNE does not: their cells stay NeuroML."""
    original = kind.importCellParams
    signature = inspect.signature(original)

    def take(self: Any, *given: Any, **named: Any) -> Any:
        bound = signature.bind(self, *given, **named)
        bound.apply_defaults()
        asked = bound.arguments
        from nmlbridge.converters.netpyne.neuroml_cells import ENDINGS, centred, imported

        if not str(asked["fileName"]).lower().endswith(ENDINGS):
            return original(self, *given, **named)
        if asked["cellArgs"] or asked["cellInstance"]:
            raise Unusable(f"'{asked['fileName']}' is NeuroML, whose cells take no cellArgs and are no instances")
        rule = {"conds": asked["conds"], **imported(str(asked["fileName"]), str(asked["cellName"]), folder)}
        label = asked["label"] or int(self._labelid)
        if not asked["label"]:
            self._labelid += 1
        self.addCellParams(label, centred(rule) if asked["somaAtOrigin"] else rule)
        return self.cellParams[label]

    kind.importCellParams = take


def _change(kind: Any, changes: dict[str, Any]) -> None:
    """Let values of simConfig keep what is asked for, whatever the Python sets, so that netParams sees it."""
    original = kind.__setattr__

    def keep(self: Any, name: str, value: Any) -> None:
        original(self, name, changes.get(name, value))

    kind.__setattr__ = keep


def _whole(stated: Stated, specs: Any) -> tuple[Any, Any]:
    params, config = stated.params, stated.config
    for what, value in (("netParams", params), ("simConfig", config)):
        if isinstance(value, str):
            raise Unusable(f"{what} is the name of a file, '{value}'; name that file instead, or an index.npjson")
    if params is None:
        raise Unusable("NetPyNE is started without netParams")
    return params, config if config is not None else specs.SimConfig()


def _indexed(asked: dict[str, Any], specs: Any) -> tuple[Any, Any]:
    """The files of an index: netParams may import ``cfg`` from __main__."""
    config: Any = None
    if asked.get("simConfig"):
        names = runpy.run_path(asked["simConfig"], run_name="simConfig")
        config = _named(names, asked.get("simConfig_variable"), ("cfg", "simConfig"), specs.SimConfig, "SimConfig")
        if config is None:
            raise Unusable(f"'{asked['simConfig']}' states no SimConfig")
        sys.modules["__main__"].cfg = config  # type: ignore[attr-defined]
    elif "simConfig_data" in asked:
        config = sys.modules["__main__"].cfg = specs.SimConfig(asked["simConfig_data"])  # type: ignore[attr-defined]
    if asked.get("netParams"):
        names = runpy.run_path(asked["netParams"], run_name="netParams")
        params = _named(names, asked.get("netParams_variable"), ("netParams",), specs.NetParams, "NetParams")
        if params is None:
            raise Unusable(f"'{asked['netParams']}' states no NetParams")
    else:
        params = specs.NetParams(asked["netParams_data"])
    return params, config


def _of_names(names: dict[str, Any], specs: Any) -> tuple[Any, Any]:
    """What a module without a call of the simulator has defined or imported."""
    params = _named(names, None, ("netParams",), specs.NetParams, "NetParams")
    if params is None:
        raise Unusable("the module states no NetParams; name the file that does, or an index.npjson")
    config = _named(names, None, ("cfg", "simConfig"), specs.SimConfig, "SimConfig")
    return params, config if config is not None else specs.SimConfig()


def _named(names: dict[str, Any], wanted: str | None, usual: tuple[str, ...], kind: Any, what: str) -> Any:
    if wanted:
        if wanted not in names:
            raise Unusable(f"the module has no variable '{wanted}'")
        return names[wanted]
    objects = {name: value for name, value in names.items() if isinstance(value, kind)}
    for name in usual:
        if name in objects:
            return objects[name]
    distinct = {id(value): name for name, value in objects.items()}
    if len(distinct) > 1:
        raise Unusable(f"the module states several {what}: {', '.join(sorted(distinct.values()))}; "
                       f"call one {usual[0]}")  # fmt: skip
    return next(iter(objects.values()), None)


def _answer(params: Any, config: Any) -> dict[str, Any]:
    from netpyne import specs

    params = params if isinstance(params, specs.NetParams) else specs.NetParams(params)
    config = config if isinstance(config, specs.SimConfig) else specs.SimConfig(config)
    params.setCfgMapping(config)
    left: list[str] = []
    return {
        "netParams": _plain(params.__dict__, "netParams", None),
        "simConfig": _plain(config.__dict__, "simConfig", left),
        "left": left,
    }


def _plain(value: Any, where: str, left: list[str] | None) -> Any:
    """A value that JSON can hold. What cannot be is left out and named in ``left``, or is an error without one."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        found = {}
        for key, entry in value.items():
            if isinstance(key, str) and key.startswith("_"):
                continue
            if not isinstance(key, (str, int, float)):
                if left is None:
                    raise Unusable(f"{where}: the key {key!r:.60} is no text")
                left.append(where)
                continue
            plain = _plain(entry, f"{where}.{key}", left)
            if plain is not _NOTHING:
                found[str(key)] = plain
        return found
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [None if plain is _NOTHING else plain
                for plain in (_plain(entry, f"{where}[{n}]", left) for n, entry in enumerate(value))]  # fmt: skip
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _plain(value.tolist(), where, left)
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
        kind = "a function of Python; only texts are formulas"
    else:
        kind = f"a {type(value).__name__}"
    if left is None:
        raise Unusable(f"{where} is {kind}, which cannot be taken over")
    left.append(where)
    return _NOTHING


_NOTHING = object()


def _error(fault: BaseException, folder: str) -> dict[str, Any]:
    """An exception of the Python, with the last line of the model's own files."""
    place: tuple[str | None, int | None] = (None, None)
    if isinstance(fault, SyntaxError) and fault.filename:
        place = (fault.filename, fault.lineno)
    else:
        for frame in traceback.extract_tb(fault.__traceback__):
            if Path(frame.filename).resolve().is_relative_to(Path(folder).resolve()):
                place = (frame.filename, frame.lineno)
    return {"error": f"{type(fault).__name__}: {fault}".strip(), "file": place[0], "line": place[1]}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

"""netParams: rules made into an instantiated network, with the random numbers that NetPyNE 1.1 draws on one rank.

The order of everything (populations, cells by gid, rules, pairs) is that of NetPyNE, since streams and the order of
connections depend on it. What is not supported is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import NetworkError, UnsupportedError
from ...nmodl.builtin import ARTIFICIAL
from ...report import Report
from .cells import Rules
from .connect import connect
from .courses import rates_in, shape_of
from .instance import Cell, Connection, Instance, Pop
from .many_streams import Streams
from .mechanisms import celsius_of
from .places import Placement, border
from .plasticity import adjusters_of
from .populations import SENDS
from .stimulate import stimulate
from .streams import Stream, of_text
from .subcellular import redistribute
from .trains import spike_times
from .varied import vary

NOT_PARAMETERS = {
    "pop", "cellModel", "cellType", "numCells", "density", "cellsList", "gridSpacing", "xRange", "yRange", "zRange",
    "xnormRange", "ynormRange", "znormRange", "vref", "spkTimes", "dynamicRates",
}  # fmt: skip
POINT_CELLS = {"NetStim", "VecStim", "DynamicNetStim", "PatternStim", *ARTIFICIAL}


class Model:
    """netParams and simConfig together, checked at the top level."""

    def __init__(
        self, params: Mapping[str, Any], config: Mapping[str, Any], file: str | None, own: bool = False
    ) -> None:  # fmt: skip
        self.params, self.config, self.file, self.own = params, config, file, own
        for name in ("popParams", "cellParams", "synMechParams", "connParams", "stimSourceParams", "stimTargetParams",
                     "subConnParams"):
            if not isinstance(params.get(name) or {}, Mapping):
                raise NetworkError(f"netParams.{name}: expected entries by label", file=file)
        if not params.get("popParams"):
            raise NetworkError("netParams.popParams states no population", file=file)
        self.seeds = {"conn": 1, "stim": 1, "loc": 1, "cell": 1} | dict(config.get("seeds") or {})
        self.size = tuple(self.number(f"size{axis}", 100.0) for axis in "XYZ")
        self.constants = {
            name: value for name, value in params.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }  # fmt: skip
        for name, value in (("scale", 1), ("sizeX", 100), ("sizeY", 100), ("sizeZ", 100), ("defaultWeight", 1),
                            ("defaultDelay", 1), ("defaultThreshold", 10), ("propVelocity", 500.0),
                            ("scaleConnWeight", 1), ("scaleConnWeightNetStims", 1)):  # fmt: skip
            self.constants[name] = self.number(name, value)

    def entries(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The entries of popParams and the like, in order."""
        for label, entry in (self.params.get(name) or {}).items():
            if not isinstance(entry, Mapping):
                raise NetworkError(f"{name}.{label}: expected an object", file=self.file)
            yield str(label), dict(entry)

    def number(self, name: str, default: float) -> float:
        """A number at the top level of netParams."""
        value = self.params.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NetworkError(f"netParams.{name} is {value!r:.40}; expected a number", file=self.file)
        return float(value)

    def stream(self, owner: str, first: int, second: int = 0, third: int = 0) -> Stream:
        """NetPyNE's stream of these ids; or one that ``owner``, a rule or a purpose, shares with no other."""
        return Stream(of_text(f"{owner}:{first}"), second, third) if self.own else Stream(first, second, third)

    def streams(self, owner: str, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], third: int) -> Streams:
        """The ``stream`` of each pair of ids."""
        if self.own:
            ids, which = np.unique(first, return_inverse=True)
            first = np.array([of_text(f"{owner}:{id}") for id in ids.tolist()], np.int64)[which]
        return Streams(first, second, third)

    def error(self, message: str) -> NetworkError:
        """A NetworkError in this model's file."""
        return NetworkError(message, file=self.file)


def build(params: Mapping[str, Any], config: Mapping[str, Any], report: Report, file: str | None = None,
          own: bool = False) -> Instance:  # fmt: skip
    """The network that netParams and simConfig state, as NetPyNE 1.1 instantiates it.

    With ``own`` the random numbers are not NetPyNE's: each rule, cell and stimulus has a stream of its own, so that
    none repeats another's, and a rule reaches all cells that it names (NetPyNE leaves one out).
    Raises NetworkError for what is wrong, with the rule and the word at fault, UnsupportedError for what is not
    supported.
    """
    model = Model(params, config, file, own)
    cells: dict[int, Cell] = {}
    pops: list[Pop] = []
    rules = Rules(model, report)
    for label, tags in model.entries("popParams"):
        pops.append(_population(model, label, tags, cells, rules))
    for cell in cells.values():
        if cell.secs is not None:
            rules.apply(cell)
    connections: list[Connection] = []
    connect(model, cells, connections, report)
    redistribute(model, cells, connections, report)
    fields = stimulate(model, cells, connections, report)
    vary(model, cells, connections, rules.streams)
    values = config.get("hParams") or {}
    duration = float(config.get("duration", 1000.0))
    shaped = (((driven, label), shape_of(entry.get("shape"), duration, f"{name}.{label}", file))
              for driven, name in ((False, "connParams"), (True, "stimSourceParams"))
              for label, entry in model.entries(name))  # fmt: skip
    return Instance(
        pops, cells, connections, dict(model.entries("synMechParams")),
        threshold=model.number("defaultThreshold", 10.0), celsius=celsius_of(params, config, file),
        v_init=float(values.get("v_init", -65.0)),
        seed=int(model.seeds["stim"]), own_streams=own, inverted_y=bool(config.get("invertedYCoord", True)),
        fields=fields, plastic=adjusters_of(dict(model.entries("connParams")), file, report),
        courses={label: course for label, course in shaped if course is not None},
        moved_points=bool(config.get("pt3dRelativeToCellLocation", True)),
        shared=not config.get("oneSynPerNetcon", True), file=file,
    )  # fmt: skip


def _population(model: Model, label: str, tags: dict[str, Any], cells: dict[int, Cell], rules: Rules) -> Pop:
    """Make the cells of a population: their tags and places, artificial cells with their parameters."""
    tags["pop"] = label
    if tags.get("originalFormat") not in (None, "", SENDS):
        raise UnsupportedError(f"popParams.{label}: originalFormat '{tags['originalFormat']}' is not supported")
    rule = (model.params.get("cellParams") or {}).get(tags.get("cellType")) or {}
    mechanism = tags.get("cellModel") or rule.get("cellModel")
    artificial = mechanism in POINT_CELLS or (isinstance(rule, Mapping) and "secs" not in rule and "params" in rule)
    artificial |= isinstance(mechanism, str) and not rule and isinstance(tags.get("params"), Mapping)  # of a mod file
    first = max(cells, default=-1) + 1
    shared: dict[str, Any] = {}
    if artificial:
        given = tags.get("params")
        shared = dict(given) if isinstance(given, Mapping) else {
            name: value for name, value in tags.items() if name not in NOT_PARAMETERS
        }  # fmt: skip
        shared |= {name: value for name, value in (rule.get("params") or {}).items() if name not in shared}
        tags["cellModel"] = mechanism
    copied = {*(model.params.get("popTagsCopiedToCells") or ("cellModel", "cellType"))}
    gids = []
    for row, place in enumerate(Placement(model, label, tags, first).cells()):
        gid = first + row
        own = {name: value for name, value in tags.items() if name in copied} | {"pop": label} | place
        if model.params.get("correctBorder"):
            own["borderCorrect"] = border(model, label, tags, own)
        cell = Cell(gid, own, secs=None if artificial else {})
        if artificial:
            changing = rates_in(tags.get("dynamicRates"), row)
            if changing is not None:
                own["params"] = {**dict(own.get("params") or {}), "rates": changing}
            cell.params = rules.point_parameters(cell, {**shared, **dict(own.get("params") or {})}, label)
            cell.params.setdefault("seed", model.seeds["stim"])
            if mechanism == "VecStim":
                given_times = place.get("spkTimes", tags.get("spkTimes"))
                cell.times = spike_times(model, cell, given_times, row, label)
        cells[gid] = cell
        gids.append(gid)
    return Pop(label, tags, gids)

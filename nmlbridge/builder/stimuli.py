"""Stimuli: input lists, and the components that they are of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..element import Element
from ..graph import InputList
from ..graph.native import NativeProcess
from ..graph.population import fit_in_memory
from .components import Components
from .context import Context
from .evaluate import Column, in_si
from .language import is_random, parse
from .listed import file_of
from .segments import CellParts
from .select import Rows, Selections
from .space import AXES, Cells, Space
from .vocabulary import Clamp, Input, Poisson, Pulse, Rhythm, Sine, Times

_MOST_KINDS = 20_000
_FASTEST = 1e9  # Hz
_NEVER = 1e9  # ms between events, and a number of events, that no run reaches
_NAMES = (*AXES, "depth", "xnorm", "ynorm", "znorm", "index")


@dataclass(frozen=True)
class Kinds:
    """What the inputs of a stimulus are: the components' ids, which of them each input is, and by parameter the numbers
    that inputs of one component differ in (SI; in NEURON's units for its own processes)."""

    ids: list[str]
    which: Rows
    values: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)


class Stimuli:
    """Builds the input lists of one stimulus."""

    def __init__(self, context: Context, space: Space, cells: Cells, select: Selections, components: Components,
                 parts: CellParts, name: str) -> None:  # fmt: skip
        self.context, self.space, self.cells, self.components, self.parts = context, space, cells, components, parts
        self.name, self.path = name, ("stimuli", name)
        self.item: Any = context.spec.model.stimuli[name]
        rows = select(self.item.to, *self.path, "to")
        count = getattr(self.item, "number", 1)
        self.rows: Rows = np.repeat(rows, count)
        self.number = np.tile(np.arange(count), len(rows))
        for which in np.unique(cells.population_of(rows)):
            if parts.artificial(cells.names[which]):
                raise context.error(f"the cells of '{cells.names[which]}' are artificial, and reached by events alone: "
                                    "use a population of sources and a connection", *self.path, "to")  # fmt: skip

    def column(self, value: float | str, unit: str, word: str) -> npt.NDArray[np.float64]:
        """A number for each input."""
        where = self.cells.positions[self.rows]

        def named(name: str) -> Column | None:
            if name == "index":
                return Column(self.rows - self.cells.offsets[self.cells.population_of(self.rows)], None)
            return self.space.point(name, where)

        draw = None
        if isinstance(value, str) and is_random(parse(value)):
            draw = self.context.draws(self.context.key("stimulus", self.name, word), self.cells.keys[self.rows],
                                      self.number)  # fmt: skip
        found = self.context.column(value, unit, len(self.rows), named, _NAMES, (*self.path, word), draw)
        return np.broadcast_to(found, len(self.rows))

    def lists(self) -> list[InputList]:
        """The input lists: one for each population and component."""
        kinds, weight = self._components()
        sites: dict[int, Any] = {}
        made: list[InputList] = []
        population = self.cells.population_of(self.rows)
        draw_key = self.context.key("stimulus", self.name, "place")
        for which in np.unique(population):
            here = np.flatnonzero(population == which)
            name = self.cells.names[which]
            draw = self.context.draws(draw_key, self.cells.keys[self.rows[here]], self.number[here])
            sites[int(which)] = self.parts.sites(name, self.item.at, draw, (*self.path, "at"))
            segment = np.broadcast_to(sites[int(which)].segment, len(here))
            fraction = np.broadcast_to(sites[int(which)].fraction, len(here))
            for kind in np.unique(kinds.which[here]):
                mine = kinds.which[here] == kind
                chosen = None if weight is None else weight[here][mine]
                id = self.name if len(kinds.ids) == 1 else f"{self.name}_{kind}"
                made.append(InputList(
                    id if len(np.unique(population)) == 1 else f"{id}_{name}", kinds.ids[kind], name,
                    self.rows[here][mine] - self.cells.offsets[which], segment=segment[mine], fraction=fraction[mine],
                    weight=None if chosen is None or (chosen == 1).all() else chosen,
                    values={parameter: column[here][mine] for parameter, column in kinds.values.items()},
                    file=self.context.spec.source.file, line=self.context.spec.source.line(self.path),
                ))  # fmt: skip
        return made

    def _components(self) -> tuple[Kinds, npt.NDArray[np.float64] | None]:
        """What each input is, and the weights."""
        item = self.item
        if isinstance(item, Input):
            if not self.parts.process(item.component, "input"):
                self.parts.need(item.component, *self.path, "component")
            weight = None if item.weight is None else self.column(item.weight, "", "weight")
            return Kinds([item.component], self._all_alike()), weight
        if isinstance(item, Pulse):
            return self._component("pulseGenerator", {
                "delay": ("start", "ms"), "duration": ("duration", "ms"), "amplitude": ("amplitude", "nA"),
            }), None  # fmt: skip
        if isinstance(item, Sine):
            return self._component("sineGenerator", {
                "delay": ("start", "ms"), "duration": ("duration", "ms"), "amplitude": ("amplitude", "nA"),
                "period": ("period", "ms"), "phase": ("phase", ""),
            }), None  # fmt: skip
        if isinstance(item, Clamp):
            return self._component("voltageClamp", {
                "delay": ("start", "ms"), "duration": ("duration", "ms"), "targetVoltage": ("voltage", "mV"),
                "simpleSeriesResistance": ("resistance", "Mohm"),
            }), None  # fmt: skip
        defaults = self.context.spec.model.defaults
        synapse = item.synapse or defaults.synapse
        if synapse is None:
            raise self.context.error("it names no synapse", *self.path)
        weight = self.column(defaults.weight if item.weight is None else item.weight, "", "weight")
        if self.parts.process(synapse, "synapse"):
            return self._generators(item, synapse), weight
        self.parts.need(synapse, *self.path, "synapse")
        through = {"synapse": synapse, "spikeTarget": f"./{synapse}"}
        if isinstance(item, Poisson):
            return self._poisson(item, through), weight
        return self._trains(item, through), weight

    def _component(self, type: str, values: dict[str, tuple[str, str]], more: dict[str, str] | None = None,
                   columns: dict[str, Any] | None = None) -> Kinds:  # fmt: skip
        """One component, with the values of the first input, and those columns (SI) in which inputs differ."""
        given = columns or {}
        table = {name: given[word] if word in given else self.column(getattr(self.item, word), unit, word)
                 for name, (word, unit) in values.items()}  # fmt: skip
        texts = {name: f"{float(column[0])!r} {values[name][1]}".strip() if len(column) else "0"
                 for name, column in table.items()}  # fmt: skip
        id = self.components.made(f"{self.name}_input", type, {**texts, **(more or {})}, self.path)
        differ = {name: column for name, column in table.items() if len(column) and (column != column[0]).any()}
        own = {name: in_si(column, values[name][1]) for name, column in differ.items()}
        return Kinds([id], self._all_alike(), own)

    def _all_alike(self) -> Rows:
        return np.zeros(len(self.rows), np.int64)

    def _id(self, number: int, count: int) -> str:
        return f"{self.name}_input" if count == 1 else f"{self.name}_input{number}"

    def _not_too_many(self, count: int) -> None:
        if count > _MOST_KINDS:
            raise self.context.error(f"{count} inputs all differ; at most {_MOST_KINDS} different ones can be made",
                                     *self.path)  # fmt: skip

    def _poisson(self, item: Poisson, through: dict[str, str]) -> Kinds:
        rate = self._rate(item)
        if item.stop is None and item.start == 0:
            return self._component("poissonFiringSynapse", {"averageRate": ("rate", "Hz")}, through, {"rate": rate})
        start = self.column(item.start, "ms", "start")
        stop = self.column(1e9 if item.stop is None else item.stop, "ms", "stop")
        if (stop < start).any():
            raise self.context.error("it stops before it starts", *self.path, "stop")
        names = {"averageRate": ("rate", "Hz"), "delay": ("start", "ms"), "duration": ("stop", "ms")}
        columns = {"rate": rate, "start": start, "stop": stop - start}
        return self._component("transientPoissonFiringSynapse", names, through, columns)

    def _rate(self, item: Poisson) -> npt.NDArray[np.float64]:
        """In Hz; a run with more events than there are would not end."""
        rate = self.column(item.rate, "Hz", "rate")
        if (rate < 0).any() or (rate > _FASTEST).any():
            worst = rate.min() if (rate < 0).any() else rate.max()
            raise self.context.error(f"the rate is {worst:g} Hz; expected 0 to {_FASTEST:g} Hz", *self.path, "rate")
        return rate

    def _generators(self, item: Poisson | Rhythm | Times, synapse: str) -> Kinds:
        """NetStims, for a synapse of NEURON's."""
        if isinstance(item, Times) or item.stop is not None or (isinstance(item, Rhythm) and item.jitter != 0):
            word = "times" if isinstance(item, Times) else "jitter" if item.stop is None else "stop"
            raise self.context.error(
                f"'{synapse}' is a mechanism of NEURON's, which a stimulus with '{word}' does not reach; use a "
                "population of sources, such as {number: 10, spikes: {times: [...]}}, and a connection",
                *self.path,
            )  # fmt: skip
        noisy = isinstance(item, Poisson)
        start = self.column(item.start, "ms", "start")
        if isinstance(item, Poisson):
            rate = self._rate(item)
            interval = np.divide(1000.0, rate, out=np.full(len(rate), _NEVER), where=rate > 0)
        else:
            interval = self.column(item.period, "ms", "period")
            if (interval <= 0).any():
                raise self.context.error("the period must be more than zero", *self.path, "period")
        source, id = self.context.spec.source, f"{self.name}_input"
        columns = {"start": start, "interval": interval}
        first = {name: float(column[0]) if len(column) else 0.0 for name, column in columns.items()}
        self.components.native[id] = NativeProcess(
            id, "NetStim", "source", {**first, "number": _NEVER, "noise": float(noisy)}, drives=synapse,
            file=source.file, line=source.line(self.path),
        )  # fmt: skip
        differ = {name: column for name, column in columns.items() if (column != first[name]).any()}
        return Kinds([id], self._all_alike(), differ)

    def _trains(self, item: Rhythm | Times, through: dict[str, str]) -> Kinds:
        """timedSynapticInput: spikes listed."""
        trains = self._rhythm(item) if isinstance(item, Rhythm) else [self._times(item)]
        self._not_too_many(len(trains))
        ids = []
        for number, train in enumerate(trains):
            spikes = [Element("spike", {"id": str(i), "time": f"{float(t)!r} ms"}) for i, t in enumerate(train)]
            id = self._id(number, len(trains))
            ids.append(self.components.made(id, "timedSynapticInput", through, self.path, spikes))
        return Kinds(ids, np.arange(len(self.rows)) if len(trains) > 1 else self._all_alike())

    def _times(self, item: Times) -> npt.NDArray[Any]:
        if item.times is not None:
            times, path = np.asarray(item.times, float), (*self.path, "times")
        else:
            path = (*self.path, "file")
            file = file_of(self.context.spec, str(item.file), *path)
            try:
                times = np.loadtxt(file, ndmin=1, dtype=float)
            except ValueError:
                raise self.context.error(f"'{item.file}' must have one time (ms) a line", *path) from None
        if times.ndim != 1 or not np.isfinite(times).all() or (times < 0).any():
            raise self.context.error("the times must be one row of numbers, none of them negative", *path)
        return np.sort(times)

    def _rhythm(self, item: Rhythm) -> list[npt.NDArray[Any]]:
        period, start = self.column(item.period, "ms", "period"), self.column(item.start, "ms", "start")
        jitter = self.column(item.jitter, "ms", "jitter")
        run = self.context.spec.model.run
        last = item.stop if item.stop is not None else run.duration if run is not None else None
        if last is None:
            raise self.context.error("it needs a stop, since there is no run", *self.path)
        stop = self.column(last, "ms", "stop")
        if (period <= 0).any():
            raise self.context.error("the period must be more than zero", *self.path, "period")
        alike = not jitter.any() and all((c == c[0]).all() for c in (period, start, stop))
        key = self.context.key("stimulus", self.name, "jitter")
        rows = 1 if alike else len(self.rows)
        events = np.maximum((stop - start) / period, 0)[:rows].sum()
        if not fit_in_memory(events):
            raise self.context.error(f"{events:.4g} events are more than this machine can hold", *self.path, "period")
        trains = []
        for row in range(rows):
            times = np.arange(start[row], stop[row], period[row])
            if jitter[row]:
                draw = self.context.draws(key, self.cells.keys[self.rows[row]], self.number[row], np.arange(len(times)))
                normal = np.sqrt(-2 * np.log(draw(1))) * np.cos(2 * np.pi * draw(2))
                times = times + jitter[row] * normal.ravel()
            trains.append(np.sort(times[times >= 0]))
        return trains

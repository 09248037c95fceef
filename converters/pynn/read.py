"""A network that a PyNN script has built, as a Network: its populations and projections are asked, nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...element import Element
from ...errors import NetworkError, UnsupportedError
from ...graph import InputList, Network, Population, Projection
from ...report import Report
from ..swc import safe_id
from .models import CELLS, SYNAPSES, _takes
from .sources import NOISE, noise_type, sources_of

_KINDS = {kind: tag for tag, kind in SYNAPSES.items()}


def from_pynn(
    populations: Iterable[Any], projections: Iterable[Any] = (), *, id: str = "network",
    inputs: Mapping[Any, Iterable[Any]] | None = None, report: Report | None = None,
) -> Network:  # fmt: skip
    """The Network of PyNN's ``populations`` and ``projections`` (objects of any simulator of PyNN's).

    ``inputs`` are current sources and the populations or views that each is injected into, which PyNN does
    not tell. Cells of one population with different parameters become populations of their own, ``pop_0``, ``pop_1``,
    ... Weights stay as PyNN's (uS, nA), delays in ms, positions in um. Raises UnsupportedError for a cell that is no
    core type of NeuroML and for synapses that change, NetworkError for a projection between populations that were not
    given.
    """
    reader = Reader(id, report if report is not None else Report())
    return reader.network(populations, projections, (inputs or {}).items())


class Reader:
    """Asks PyNN's objects. ``places`` says of each label the populations that its cells are in, and of each cell which
    of these and the row there."""

    def __init__(self, id: str, report: Report) -> None:
        self.id, self.report = id, report
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []
        self.inputs: list[InputList] = []
        self.components: list[Element] = []
        self.places: dict[str, tuple[list[str], Any, Any]] = {}
        self.kinds: dict[str, str] = {}
        self.synapses: dict[tuple[Any, ...], str] = {}

    def network(
        self, populations: Iterable[Any], projections: Iterable[Any], inputs: Iterable[tuple[Any, Iterable[Any]]]
    ) -> Network:
        """The Network of all these; ``inputs`` are sources, each with what it is injected into."""
        for population in populations:
            self.population(population)
        for number, projection in enumerate(projections):
            self.projection(number, projection)
        for source, targets in inputs:
            for target in targets:
                self.input(source, target)
        return Network(self.id, self.populations, self.projections, self.inputs, components=self.components,
                       header={"id": self.id})  # fmt: skip

    def free(self, name: str) -> str:
        """A component's id that is not used yet."""
        taken = {e.get("id") for e in self.components} | set(self.populations)
        return next(n for k in range(len(taken) + 2) if (n := safe_id(name) + ("" if not k else f"_{k}")) not in taken)

    def component(self, tag: str, name: str, values: Mapping[str, Any]) -> str:
        id = self.free(name)
        self.components.append(Element(tag, {"id": id, **{k: v if isinstance(v, str) else repr(float(v))
                                                          for k, v in values.items()}}))  # fmt: skip
        return id

    def population(self, source: Any) -> None:
        kind, label = type(source.celltype).__name__, str(source.label)
        if label in self.places:
            raise NetworkError(f"the label '{label}' names two populations; labels must differ", component=label)
        names = list(source.celltype.get_parameter_names())
        columns = [_column(v, source.size) for v in source.get(names, gather=True, simplify=False)] if names else []
        initial = {k: _column(v.evaluate(simplify=False), source.size) for k, v in source.initial_values.items()}
        rows = list(zip(*columns, _initial(initial, "v", source.size), strict=True))
        sets = list(dict.fromkeys(rows))
        owner, within = np.zeros(source.size, dtype=np.int64), np.zeros(source.size, dtype=np.int64)
        order = {values: number for number, values in enumerate(sets)}
        owner[:] = [order[values] for values in rows]
        if len(sets) > 1:
            self.report.add("population-split", "info", f"the cells of '{label}' have {len(sets)} sets of parameters "
                            "and become as many populations", component=label)  # fmt: skip
        ids = []
        positions = np.asarray(source.positions, dtype=np.float64).T
        for number, values in enumerate(sets):
            members = np.flatnonzero(owner == number)
            within[members] = np.arange(len(members))
            id = self.free(label if len(sets) == 1 else f"{label}_{number}")
            numbers = dict(zip([*names, "v_init"], values, strict=True))
            component = self.cell(kind, f"{id}_cell", numbers, label)
            placed = bool(np.isfinite(positions).all()) and positions.any()
            more = {"positions": positions[members], "type": "populationList"} if placed else {}
            self.populations[id] = Population.sized(id, component, len(members), **more)
            ids.append(id)
        self.places[label] = (ids, owner, within)
        self.kinds[label] = kind

    def cell(self, kind: str, name: str, values: dict[str, Any], label: str) -> str:
        if kind in CELLS:
            return self.component(kind, name, {k: values[k] for k in (*CELLS[kind], "v_init")})
        if kind == "SpikeSourcePoisson":
            return self.component(kind, name, {"start": f"{values['start']!r} ms", "rate": f"{values['rate']!r} Hz",
                                               "duration": f"{values['duration']!r} ms"})  # fmt: skip
        if kind == "SpikeSourceArray":
            id = self.component("spikeArray", name, {})
            self.components[-1].children = [Element("spike", {"id": str(n), "time": f"{time!r} ms"})
                                            for n, time in enumerate(values["spike_times"])]  # fmt: skip
            return id
        raise UnsupportedError(f"the cells of '{label}' are of PyNN's type {kind}, which is no core type of NeuroML; "
                               f"there are {', '.join([*CELLS, 'SpikeSourcePoisson', 'SpikeSourceArray'])}")

    def projection(self, number: int, source: Any) -> None:
        label = safe_id(str(source.label or f"projection{number}"))
        if label in {p.id for p in self.projections}:
            label = f"{label}_{number}"
        ends = [str(end.label) for end in (source.pre, source.post)]
        for end in ends:
            if end not in self.places:
                raise NetworkError(f"population '{end}' of the projection was not given; give whole populations, not "
                                   "views or assemblies", component=label)  # fmt: skip
        if type(source.synapse_type).__name__ not in ("StaticSynapse", "StaticSynapseType"):
            raise UnsupportedError(f"'{label}': {type(source.synapse_type).__name__} is not read; a StaticSynapse is")
        table = np.array(source.get(["weight", "delay"], format="list"), dtype=np.float64).reshape(-1, 4)
        pre, post = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
        (pre_ids, pre_owner, pre_row), (post_ids, post_owner, post_row) = (self.places[end] for end in ends)
        pairs = [(a, b) for a in range(len(pre_ids)) for b in range(len(post_ids))]
        for a, b in pairs:
            chosen = np.flatnonzero((pre_owner[pre] == a) & (post_owner[post] == b))
            if not len(chosen):
                continue
            synapse = self.synapse(post_ids[b], self.kinds[ends[1]], str(source.receptor_type), label)
            self.projections.append(Projection(
                label if len(pairs) == 1 else f"{label}_{a}_{b}", "chemical", pre_ids[a], post_ids[b],
                pre_row[pre[chosen]], post_row[post[chosen]], weight=table[chosen, 2], delay=table[chosen, 3],
                synapses=(synapse,),
            ))  # fmt: skip

    def synapse(self, population: str, kind: str, receptor: str, label: str) -> str:
        if receptor not in ("excitatory", "inhibitory") or kind not in CELLS:
            raise UnsupportedError(f"'{label}': the receptor '{receptor}' of {kind} has no counterpart; 'excitatory' "
                                   "and 'inhibitory' of standard cells have")  # fmt: skip
        end = receptor[0].upper()
        cell = next(e for e in self.components if e.get("id") == self.populations[population].component)
        values = {"tau_syn": cell.get(f"tau_syn_{end}")}
        if "cond" in kind:
            values["e_rev"] = cell.get(f"e_rev_{end}")
        tag = _KINDS[_takes(kind)]
        key = (tag, *values.values())
        if key not in self.synapses:
            self.synapses[key] = self.component(tag, f"syn_{receptor}", values)
        return self.synapses[key]

    def input(self, source: Any, target: Any) -> None:
        whole = getattr(target, "grandparent", target)
        rows = np.arange(target.size)
        rows = rows if whole is target else np.asarray(target.index_in_grandparent(rows))
        if str(whole.label) not in self.places:
            raise NetworkError(f"population '{whole.label}' of the input was not given", component=self.id)
        made = sources_of(source)
        component = self.free({"pulseGenerator": "pulse", NOISE: "noise"}.get(made.tag, "current"))
        made.attributes = {"id": component, **made.attributes}
        if made.tag == NOISE and not any(e.get("name") == NOISE for e in self.components):
            self.components.append(noise_type())
        self.components.append(made)
        ids, owner, row = self.places[str(whole.label)]
        for number, id in enumerate(ids):
            chosen = rows[owner[rows] == number]
            if len(chosen):
                self.inputs.append(InputList(f"{component}_{id}", component, id, row[chosen]))


def _column(values: Any, size: int) -> list[Any]:
    """A value per cell; sequences (spike times) as tuples."""
    made = np.broadcast_to(np.asarray(values, dtype=object), (size,)) if not np.ndim(values) else values
    return [tuple(float(t) for t in v.value) if hasattr(v, "value") else float(v) for v in made]


def _initial(values: dict[str, list[Any]], name: str, size: int) -> list[Any]:
    return values.get(name, [0.0] * size)

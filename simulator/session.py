"""A session: a network that is built once, run, looked at and changed while it runs, changed, and run again.

    with nmlbridge.Session(network, simulation) as session:
        session.run(every=10, call=learn)          # learn(session) after every 10 ms
        session.set_weights("EE", session.weights("EE") * 2)
        results = session.run()                    # from t = 0 again, with the new weights
        alone = session.alone("E[3]")              # one cell, with the input that it had

The network lives in processes of its own (one for each rank); calls are commands to them, and ``call`` runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import NetworkError, UnsupportedError, UsageError
from ..graph import Network
from ..report import Report
from ..results import Results, Simulation, SpikeTrains, Traces
from ..units import nearest
from .electrodes import with_electrodes
from .neuron.changes import changing_weights, differences
from .neuron.lower import Lowered
from .neuron.record import SPIKE
from .neuron.talk import Talk
from .procedures import calls, on_cells, on_projection, values_of
from .program import Program, Shape, is_table
from .quantities import split_path
from .run import lowered_of, provenance_of

Rebuild = Callable[[dict[str, Any]], Network]
_ROUND = 1e-6  # of a step: how far from a step a time may be


class Session:
    """A built network. ``ranks`` processes; ``rebuild`` makes the network with other values of its rules (``change``).

    Mechanisms are compiled with what is the same everywhere as constants, unless some of ``variants`` differs there:
    networks of the same shape, one for everything that ``replace`` is to change of components.
    Raises ModelError, UnsupportedError or SimulatorError as ``simulate_network`` does. Close it, or use it with
    ``with``; its processes end with this one at the latest.
    """

    def __init__(
        self, network: Network, simulation: Simulation, *, ranks: int = 1, rebuild: Rebuild | None = None,
        variants: Sequence[Network] = (), report: Report | None = None,
    ) -> None:  # fmt: skip
        self.network, self.simulation, self.ranks, self.rebuild = network, simulation, ranks, rebuild
        self.report = report if report is not None else Report()
        self.changes: dict[str, Any] = {}
        self.variants = [network, *variants] if variants else []
        self._begin(self._lowered(network))

    def _lowered(self, network: Network) -> Lowered:
        """The Program of a network, what electrodes see included."""
        lowered = lowered_of(network, self.simulation, self.report, variants=self.variants)
        electrodes, self.outputs = self.simulation.electrodes, self.simulation.outputs
        if electrodes is not None:
            lowered, self.outputs = with_electrodes(lowered, network, electrodes, self.outputs)
        return lowered

    def _begin(self, lowered: Lowered) -> None:
        if lowered.program.spec["run"].get("cvode"):
            raise UnsupportedError("a session needs NEURON's fixed steps, not cvode; take another method")
        self.lowered = lowered
        self.shape = Shape.of(lowered.program)
        self.talk = Talk(lowered.program, self.ranks)
        self.runs = self.steps = 0
        self._read = [0] * self.ranks
        self._spikes: list[npt.NDArray[np.void]] = []

    # running -------------------------------------------------------------------------------------------------------

    @property
    def t(self) -> float:
        """The time of the run that is under way, or was last, in ms."""
        return self.steps * self.shape.dt

    def run(
        self, until: float | None = None, *, every: float | None = None, call: Callable[[Session], Any] | None = None
    ) -> Results:
        """Run from t = 0 to ``until`` (ms; None: as the Simulation says), and give what was recorded.

        ``call(session)`` is called after every ``every`` ms, at the end too; it may read ``t``, ``spikes`` and weights,
        and set weights and other values, which hold from then on. If it raises, the run ends there.
        """
        total = self._whole(self.shape.duration if until is None else until, "until")
        if total > self.shape.steps:
            raise UsageError(f"until is {until:g} ms; the simulation is of {self.shape.duration:g} ms")
        if (every is None) != (call is None):
            raise UsageError("every and call go together: what is called, and after how many ms")
        between = total if every is None else self._whole(every, "every")
        self.runs += 1
        self._folder = self.talk.out / f"run-{self.runs}"
        self.talk.ask({"do": "start", "out": str(self._folder)})
        self.steps, self._read, self._spikes = 0, [0] * self.ranks, []
        try:
            while self.steps < total:
                count = min(between, total - self.steps)
                self.talk.ask({"do": "advance", "steps": count})
                self.steps += count
                if call is not None:
                    call(self)
        finally:
            if self.talk.process is not None:
                self.talk.ask({"do": "stop"})
        return self._results()

    def _whole(self, time: float, what: str) -> int:
        steps = round(time / self.shape.dt)
        if steps < 1 or abs(time / self.shape.dt - steps) > _ROUND * max(steps, 1):
            raise UsageError(f"{what} is {time:g} ms; expected a whole number of steps of {self.shape.dt:g} ms")
        return steps

    def _results(self) -> Results:
        samples = self.steps // self.shape.every + 1
        columns = np.load(self._folder / "columns.npy", allow_pickle=False)[:, :samples]
        for row, recording in enumerate(self.lowered.recordings):
            if recording.after is not None:
                columns[row] = recording.after(columns[row])
        time = np.arange(samples) * (self.shape.dt * self.shape.every * 1e-3)
        quantities = tuple(r.quantity for r in self.lowered.recordings)
        units = tuple(r.unit for r in self.lowered.recordings)
        facts = provenance_of(self.network.file or self.network.id or "", "neuron", self.shape.dt, self.t,
                              self.simulation.seed, self.ranks)  # fmt: skip
        return Results(
            outputs=self.outputs, traces=Traces(time, columns, quantities, units), spikes=self.spikes,
            provenance=facts | {"program": self.lowered.program.hash}, report=self.report,
        )  # fmt: skip

    @property
    def spikes(self) -> SpikeTrains:
        """All spikes of the run so far (s)."""
        raw = self._raw()
        times = raw["time"] * 1e-3
        inside = times <= (self.t + 0.5 * self.shape.dt) * 1e-3
        raw, times = raw[inside], times[inside]
        order = np.lexsort((raw["gid"], times))
        return SpikeTrains(raw["gid"][order], times[order], self.lowered.populations)

    def _raw(self) -> npt.NDArray[np.void]:
        """All spikes so far with times in ms, as NEURON has them, in the order in which it found them."""
        if not self.runs:
            return np.zeros(0, SPIKE)
        for rank in range(self.ranks):
            with (self._folder / f"spikes-{rank}.bin").open("rb") as stream:
                stream.seek(self._read[rank])
                data = stream.read()
            self._read[rank] += len(data)
            self._spikes.append(np.frombuffer(data, SPIKE))
        found = np.concatenate(self._spikes)
        self._spikes = [found]
        return found if self.ranks == 1 else found[np.argsort(found["time"], kind="stable")]

    # changing ------------------------------------------------------------------------------------------------------

    def weights(self, projection: str) -> npt.NDArray[np.float64]:
        """The weights of a projection as they are now, in its rows' order; plasticity may have changed them."""
        number, group, part = self._connections(projection)
        index = np.arange(part["begin"], part["end"])
        command: dict[str, Any] = {"do": "weights", "file": "weights", "kind": "netcons", "number": number}
        if any(each["id"] == projection for each in group.get("plastic", ())):
            command |= {"kind": "plastic", "id": projection}
            index = index - part["begin"]
        elif group.get("variable"):
            command |= {"kind": "points", "id": group["points"], "variable": group["variable"]}
            index = self.lowered.program.column(group["index"])[index].astype(np.int64)
        self.talk.ask(command)
        found: dict[int, float] = {}
        for rank in range(self.ranks):
            rows, values = np.load(self.talk.out / f"weights-{rank}.npy", allow_pickle=False)
            found.update(zip(rows.astype(int).tolist(), values.tolist(), strict=True))
        return np.array([found[row] for row in index.tolist()])

    def set_weights(self, projection: str, values: npt.ArrayLike, rows: npt.ArrayLike | None = None) -> None:
        """New weights of a projection: one for all, or one for each of ``rows`` (None: of all rows).

        Raises UsageError for weights that have a course in time, which is played when the network is built.
        """
        number, group, part = self._connections(projection)
        if "course" in group:
            raise changing_weights(projection)
        chosen = _chosen(rows, part["end"] - part["begin"], projection)
        given = np.broadcast_to(np.asarray(values, float), chosen.shape)
        if not np.isfinite(given).all():
            raise UsageError("a weight is not a finite number")
        arrays = {"rows": chosen, "values": given}
        if any(each["id"] == projection for each in group.get("plastic", ())):
            self.talk.ask({"do": "plastic", "id": projection, "variable": "w0"}, arrays)
        elif group.get("variable"):
            index = self.lowered.program.column(group["index"])[chosen + part["begin"]].astype(np.int64)
            self.talk.ask({"do": "points", "of": "points", "id": group["points"], "variable": group["variable"]},
                          {"rows": index, "values": given})  # fmt: skip
        else:
            self.talk.ask({"do": "netcons", "number": number, "what": "weight"},
                          {"rows": chosen + part["begin"], "values": given})  # fmt: skip

    def _connections(self, projection: str) -> tuple[int, Any, Any]:
        known = []
        for number, group in enumerate(self.lowered.program.spec.get("netcons", ())):
            for part in group.get("of", ()):
                if part["id"] == projection:
                    return number, group, part
                known.append(part["id"])
        raise UsageError(f"there is no projection '{projection}' with weights{nearest(projection, known)}"
                         f"; there are {', '.join(known[:8]) or 'none'}")  # fmt: skip

    def set_membrane(
        self, cells: str, mechanism: str, parameter: str, value: npt.ArrayLike, sections: list[str] | None = None
    ) -> None:
        """A parameter of one of NEURON's mechanisms (in its units) on cells: "A", "A[3]" or "A[0:10]".

        ``value`` is one number, or one for each cell; ``sections`` are named for native cells (None: wherever the
        mechanism is).
        """
        gids, component = self._cells(cells)
        indices = None
        if sections is not None:
            cell = self.network.native.get(component)
            if cell is None or not hasattr(cell, "section"):
                raise UsageError(f"the sections of '{component}' have no names here; leave them out")
            indices = [cell.section(name) for name in sections]
        values = np.broadcast_to(np.asarray(value, float), gids.shape)
        if not np.isfinite(values).all():
            raise UsageError(f"{parameter} is not a finite number")
        self.talk.ask({"do": "membrane", "mechanism": mechanism, "variable": parameter, "sections": indices},
                      {"gids": gids, "values": values})  # fmt: skip

    def call(
        self, of: str, procedure: str, *arguments: float, mechanism: str | None = None,
        rows: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.float64]:  # fmt: skip
        """Call a PROCEDURE or FUNCTION of a mod file of the model: ``call("EE", "reward_punish", 1.0)``.

        ``of`` is a projection (what adjusts its weights, its synapses; ``rows``: of some of its rows), or cells ("A",
        "A[3]", "A[0:10]": their mechanisms, in every compartment, and the processes on them). ``mechanism`` says which,
        if several have the procedure. Arguments are numbers, in the mod file's units, and so is what a FUNCTION returns
        (a PROCEDURE: 0): a value for each row of the projection, the same for those that share a synapse; or for each
        process of the cells, in their order; or for each compartment, cell by cell and section by section. Each is
        called once.
        The next run begins with the weights as they were stated or set, and with what the mod's INITIAL does; other
        variables stay as the procedure has left them.
        Raises UsageError for a procedure or mechanism that is not there, SimulatorError if the procedure itself fails.
        """
        program = self.lowered.program
        parts = [part for group in program.spec.get("netcons", ()) for part in group.get("of", ()) if part["id"] == of]
        if parts:
            size = max(part["end"] - part["begin"] for part in parts)
            places = list(on_projection(program, of, _chosen(rows, size, of)))
        elif rows is not None:
            raise UsageError(f"rows are those of a projection, and '{of}' is none")
        elif (name := of.partition("[")[0]) not in self.network.populations:
            known = [*self.network.populations, *(each.id for each in self.network.projections)]
            raise UsageError(f"there is no projection or population '{name}'{nearest(name, known)}")
        else:
            places = list(on_cells(program, self._cells(of)[0]))
        found = []
        for command, targets in calls(places, self.network.mods, procedure, arguments, mechanism, f"'{of}'"):
            self.talk.ask(command, {"rows": np.unique(targets)})
            answers = [np.load(self.talk.out / f"{command['file']}-{rank}.npy", allow_pickle=False)
                       for rank in range(self.ranks)]  # fmt: skip
            found.append(values_of(np.concatenate(answers), command, targets))
        return np.concatenate(found)

    def _cells(self, text: str) -> tuple[npt.NDArray[np.int64], str]:
        name, _, members = text.partition("[")
        population = self.network.populations.get(name)
        if population is None:
            raise UsageError(f"there is no population '{name}'{nearest(name, self.network.populations)}")
        rows = np.arange(population.size)
        if members:
            first, colon, last = members.rstrip("]").partition(":")
            try:
                start = int(first) if first else 0
                rows = rows[slice(start, int(last) if last else None)] if colon else rows[[start]]
            except (ValueError, IndexError):
                raise UsageError(f"'{text}' names no cells; '{name}' has {population.size}") from None
        return population.offset + rows, population.component

    def change(self, **changes: Any) -> None:
        """Other values of the rules by name, as in ``nmlbridge.build``: gain=2, or {"stimuli.i.amplitude": 0.2}.

        Values that end in LEMS components must be among those that the session was told to ``vary``.
        Raises UsageError if the network has no rules, or if the change needs another network (``replace``).
        """
        if self.rebuild is None:
            raise UsageError("the network was not made from rules here; use replace with a changed Network")
        changed = self.changes | changes
        self.replace(self.rebuild(changed))
        self.changes = changed

    def replace(self, network: Network) -> None:
        """Make the network that is built into another one of the same shape, without building anew.

        What differs may be weights, delays, parameters of inputs, synapses, mechanisms. Raises UsageError, before
        anything is changed, if more differs.
        """
        lowered = self._lowered(network)
        spec = self.lowered.program.spec
        if "alone" in spec:
            raise UsageError("a cell alone is changed with set_membrane and set_weights")
        self._same_components(network, lowered)
        for command, arrays in differences(self.lowered.program, lowered.program):
            self.talk.ask(command, arrays)
        self.network, self.lowered = network, lowered

    def _same_components(self, network: Network, lowered: Lowered) -> None:
        """UsageError where other mechanisms are needed because one component becomes several, or several one."""
        if dict(lowered.program.mods) == dict(self.lowered.program.mods):
            return
        before, after = ({str(each.attributes.get("id")): None for each in one.components}
                         for one in (self.network, network))  # fmt: skip
        gone, new = ([id for id in ids if id not in others] for ids, others in ((before, after), (after, before)))
        if gone or new:
            raise UsageError(
                f"the change makes new components ({_few(gone)} before, {_few(new)} after): one value for all became "
                "one for each, or back, which no vary= provides for; start another session. One that starts "
                "with a formula such as 'uniform(0.1, 0.2)', and has another in vary=, can be given further ones"
            )

    # one cell ------------------------------------------------------------------------------------------------------

    def alone(self, cell: str) -> Session:
        """A session of one cell, "A[3]", that gets the input that it had in the last run: its runs replay that.

        Unchanged it gives the same traces to the last bit. Raises UnsupportedError for a cell that more than events
        joins to others.
        """
        if not self.runs:
            raise UsageError("run the network first: the cell gets the input of the last run")
        path = split_path(f"{cell}/v", self.network)
        gid = self.network.populations[path.population].offset + path.row
        raw = self._raw()
        session = Session.__new__(Session)
        session.network, session.simulation, session.ranks, session.rebuild = self.network, self.simulation, 1, None
        session.report, session.changes, session.variants = self.report, {}, self.variants
        session.outputs = self.simulation.outputs  # one cell's part of what electrodes see is not recorded
        session._begin(_alone(self.lowered, gid, raw, cell))
        return session

    def close(self) -> None:
        """End the processes."""
        self.talk.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Session of {self.network.id}: {self.runs} runs, t = {self.t:g} ms>"


def _chosen(rows: npt.ArrayLike | None, size: int, projection: str) -> npt.NDArray[np.int64]:
    """Rows of a projection; None: all."""
    chosen = np.arange(size) if rows is None else np.asarray(rows, np.int64).reshape(-1)
    wrong = chosen[(chosen < 0) | (chosen >= size)]
    if len(wrong):
        raise UsageError(f"the projection '{projection}' has {size} rows; there is no {wrong[0]}")
    return chosen


def _few(ids: list[str]) -> str:
    return ", ".join(f"'{id}'" for id in ids[:2]) + (f" and {len(ids) - 2} more" if len(ids) > 2 else "") or "none"


def _alone(lowered: Lowered, gid: int, raw: npt.NDArray[np.void], cell: str) -> Lowered:
    """The Program of one cell, with the spikes of all."""
    program = lowered.program
    spec, tables = dict(program.spec), dict(program.tables)
    if spec.get("rxd") or spec.get("sources"):
        raise UnsupportedError(f"{cell} cannot be alone: " + ("it shares substances with others" if spec.get("rxd") else
                               "connections start from places on cells whose spikes are not recorded"))  # fmt: skip
    for group in spec.get("transfers", ()):
        homes = next((program.column(p["gid"]) for p in spec["points"] if p["id"] == group["points"]), np.zeros(0))
        if (homes[program.column(group["index"])] == gid).any() if len(homes) else True:
            raise UnsupportedError(f"{cell} cannot be alone: gap junctions or continuous synapses join it to others")
    tables["alone.gids"], tables["alone.times"] = raw["gid"].copy(), raw["time"].copy()
    spec["alone"] = {"gid": gid, "gids": "T:alone.gids", "times": "T:alone.times"}
    spec["transfers"] = []
    spec.pop("electrodes", None)
    kept = [n for n, place in enumerate(spec["recordings"]) if "field" not in place
            and _home(program, place) in (gid, None)]  # fmt: skip
    spec["recordings"] = [{**spec["recordings"][old], "column": new} for new, old in enumerate(kept)]
    spec.pop("mods", None)
    recordings = tuple(lowered.recordings[n] for n in kept)
    return replace(lowered, program=Program(spec, tables, program.mods), recordings=recordings)


def _home(program: Program, place: Any) -> int | None:
    """The cell that a recorded variable is on; None for a constant."""
    if "terms" in place:
        return _home(program, place["terms"][0])
    if "gid" in place:
        return int(place["gid"])
    for kind in ("points", "generators"):
        if kind in place:
            entry = next((e for e in program.spec[kind] if e["id"] == place[kind]), None)
            if entry is None or not is_table(entry["gid"]):
                raise NetworkError(f"a recording refers to '{place[kind]}', which is not there")
            return int(program.column(entry["gid"])[place["index"]])
    return None

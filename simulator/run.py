"""Run a model: read, lower, compile, simulate, save."""

from __future__ import annotations

import importlib.metadata
import resource
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedError, UsageError
from ..graph import Network
from ..registry import Format, format_to_read, resolve_name
from ..report import Report
from ..results import Outputs, Results, Simulation, SpikeTrains, Traces, output_paths, requested
from ..results.simulation import check_steps
from .backend import Block, Progress, Runner
from .electrodes import Electrodes, with_electrodes
from .program import Shape
from .saving import Saving, open_files

if TYPE_CHECKING:
    from ..lems import Component, Library, Model
    from ..neuroml import Document
    from .neuron.lower import Lowered
    from .neuron.settings import Settings

METHODS = {"best": None, "implicit": 0, "crank-nicolson": 2, "compat": 0, "cvode": 0}
"""Fixed-step schemes: the best that the model allows, NEURON's implicit Euler, NEURON's staggered Crank-Nicolson, and
the explicit steps of the code that jNeuroML generates. ``cvode`` chooses its steps by tolerances."""

TOLERANCES = {"atol": 1e-3, "rtol": 0.0}
"""Of cvode if nobody says otherwise, as in NEURON: absolute (mV for the voltage, each other state on a scale of its
own) and relative."""

BACKENDS = ("neuron", "coreneuron", "reference")

COMPAT_DIGITS = 7  # of the numbers that jNeuroML's generated code writes


def simulate(
    model: str | Path | Document,
    *,
    output: str | Path | None = None,
    dt: float | None = None,
    duration: float | None = None,
    seed: int | None = None,
    ranks: int = 1,
    method: str | None = None,
    abs_tolerance: float | None = None,
    rel_tolerance: float | None = None,
    backend: str | None = None,
    dump_passes: str | Path | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
    allow: Collection[str] = (),
    record_format: str = "lems",
    checkpoint: float | None = None,
    resume: bool = False,
    changes: Mapping[str, Any] | None = None,
    runner: Runner | None = None,
    electrodes: Electrodes | None = None,
    split: str = "auto",
) -> Results:
    """Run the Simulation of a LEMS document, or of a model in another format, and return its Results (all SI).

    ``backend`` is "neuron"; "coreneuron": NEURON builds the network, CoreNEURON simulates it (faster, less general);
    or "reference": the equations as they stand, integrated in numpy (slow, exact, no cables). None takes NEURON, and
    the reference for a model that is no network.

    ``dt`` and ``duration`` are in ms and override the document's step and length. ``output`` is the folder that the
    document's OutputFiles are written below; None writes nothing. ``method`` is a key of METHODS; without one, a
    ``Meta`` of the document may ask for cvode. ``abs_tolerance`` and ``rel_tolerance`` are cvode's; they override the
    document's. ``dump_passes`` names a folder for what each pass of the compiler made. ``allow`` names kinds of code
    that come with a model: "code" is run, "mods" are compiled. ``changes`` are other values for what a file of
    rules or of NetPyNE names: {"gain": 2} for a parameter, {"connections.EE.weight": 2}.

    Files grow while the run goes on, under their names with ".part" behind. ``record_format`` is "lems" (what the
    document asks for), "sonata" (spikes.h5 and a report for each variable) or "both". With ``checkpoint`` (ms) the
    state is kept in the output folder every so often; a run that has ended early goes on there with ``resume`` and
    otherwise the same arguments, and gives the same results as if it had not been interrupted. ``runner`` is called
    with the finished Program in place of ``neuron.launch.run_program``. ``electrodes`` record extracellular potentials
    and dipole moments: quantities "lfp[0]" (V), "dipole/x" (A m). ``split``: whether a cell that would limit the ranks
    is split over them; "auto" if that is worth it and NEURON can, "off", or "force": a cell at least, or an error.

    Raises ModelError if the model is wrong, UsageError for options that do not go together, UnsupportedError if NEURON
    cannot carry it, SimulatorError if the run fails.
    """
    from ..neuroml import Document, read_any

    report = report if report is not None else Report()
    path = model.path if isinstance(model, Document) else model
    saving = Saving(
        None if output is None else Path(output), record_format, checkpoint, resume, Path(path).name.partition(".")[0]
    )
    only_neuron: dict[str, Any] = {
        "output": output, "ranks": ranks, "report": report, "progress": progress, "backend": backend or "neuron",
        "record_format": record_format, "checkpoint": checkpoint, "resume": resume, "runner": runner,
        "electrodes": electrodes, "split": split,
    }  # fmt: skip
    given: dict[str, Any] = {"dt": dt, "duration": duration, "seed": seed, "method": method}
    other = None if isinstance(model, Document) else format_to_read(model)
    if other is not None and other.simulation is not None and not isinstance(model, Document):
        _in_neuron(other.title, backend, dump_passes)
        more = _changes(other, changes)
        with _phase({}, "read", progress):
            network, states = resolve_name(other.simulation)(Path(model), report, frozenset(allow), **more)
        found = _tolerances(_stated_tolerances(states), method, "neuron", abs_tolerance, rel_tolerance)
        chosen = {name: value for name, value in given.items() if value is not None}
        states = replace(states, **chosen, cvode=None if found is None else (found["atol"], found["rtol"]))
        return simulate_network(network, states, model=model, **only_neuron)
    if changes:
        raise UsageError("values can be changed by name in files of rules only")
    if backend not in (None, *BACKENDS):
        raise UsageError(f"there is no backend '{backend}'; there are {', '.join(BACKENDS)}")
    phases: dict[str, dict[str, float]] = {}
    with _phase(phases, "read", progress):
        from ..lems import load_core, resolve

        document = model if isinstance(model, Document) else read_any(model, report, allow)
        library = load_core().extended(document.elements(), report)
        components = resolve(document.elements(), library, report)
        if document.target is None and document.networks and not components.of_type("Simulation"):
            from .bare import stated

            _in_neuron("a network without a Simulation", backend, dump_passes)
            (network, *others) = document.networks
            if others:
                raise UsageError(f"{document.path}: there are {1 + len(others)} networks and no Simulation; which one?")
            states = stated(Path(document.path), network, **given)
            return simulate_network(network, states, model=document.path, **only_neuron)
        simulation = components.simulation(document.target)
        outputs = requested(simulation)
        if output is not None:
            output_paths(outputs, output)
        target = _target(document, components, simulation)
    step = _time(dt, simulation.parameters["step"], "dt")
    length = _time(duration, simulation.parameters["length"], "duration")
    check_steps(length, step)
    number = seed if seed is not None else _seed(simulation)
    if backend is None:
        backend = _choose(target, method, report)
    known = _methods(backend)
    if method == "compat" and backend == "reference":
        method = "euler"  # what jLEMS does, where it runs the same model
    if method is not None and method not in known:
        raise UsageError(f"there is no method '{method}' of {backend}; there are {', '.join(known)}")
    tolerances = _tolerances(_cvode(simulation), method, backend, abs_tolerance, rel_tolerance)
    if tolerances is not None and (checkpoint is not None or resume):
        raise UsageError("cvode keeps no checkpoints; leave out --checkpoint and --resume, or take another --method")
    _whole_fields(electrodes, backend)
    if backend == "reference":
        from .reference.run import integrate

        _serial(ranks, dump_passes, split)
        saving.refuse("the reference backend")
        with _phase(phases, "simulate", progress):
            traces, spikes, gids = integrate(
                target, components, library, outputs, report, dt=step * 1e-3, duration=length * 1e-3, seed=number,
                method=method, inside=document.nested.get(target.id or ""), progress=progress,
            )  # fmt: skip
        provenance = provenance_of(document.path, backend, step, length, number, 1)
        results = Results(outputs=outputs, traces=traces, spikes=spikes, provenance=provenance, phases=phases,
                          report=report)  # fmt: skip
        return _saved(results, saving, gids, phases, progress)
    if not isinstance(target, Network):
        raise UnsupportedError(
            f"the simulation's target '{target.id}' is a {target.type.name}; the NEURON backend runs networks only"
        )
    with _phase(phases, "lower", progress):
        from .neuron.lower import lower
        from .neuron.settings import Settings

        settings = Settings(
            dt=step,
            duration=length,
            seed=number,
            second_order=METHODS[method or "best"],
            cvode=tolerances,
            compat=method == "compat",
            coreneuron=backend == "coreneuron",
        )
        dump = _dumper(Path(dump_passes)) if dump_passes is not None else None
        lowered = lower(target, components, library, settings, outputs, report, dump)
        if electrodes is not None:
            lowered, outputs = with_electrodes(lowered, target, electrodes, outputs)
    return _run(
        lowered, ranks, progress, phases, outputs, report,
        provenance_of(document.path, backend, step, length, number, ranks), saving,
        COMPAT_DIGITS if settings.compat else None, runner, split,
    )  # fmt: skip


def _in_neuron(what: str, backend: str | None, dump_passes: object) -> None:
    """UsageError for what is asked of another backend, or for more than the equations of a LEMS document have."""
    if backend not in (None, "neuron", "coreneuron") or dump_passes is not None:
        raise UsageError(f"{what} runs in NEURON only, and --dump-passes is not for it")


def _changes(format: Format, changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The changes as an argument, for a format that takes them."""
    if changes and not format.changeable:
        raise UsageError(f"{format.title} has no values that can be changed by name")
    return {"changes": changes} if changes else {}


def simulate_network(
    network: Network,
    simulation: Simulation,
    *,
    output: str | Path | None = None,
    ranks: int = 1,
    report: Report | None = None,
    progress: Progress | None = None,
    model: str | Path | None = None,
    backend: str = "neuron",
    record_format: str = "lems",
    checkpoint: float | None = None,
    resume: bool = False,
    runner: Runner | None = None,
    electrodes: Electrodes | None = None,
    split: str = "auto",
) -> Results:
    """Run a Network as a Simulation says, in NEURON, and return its Results (all SI).

    ``output`` is the folder that the files of ``simulation.outputs`` are written below; None writes nothing. ``model``
    is where the network came from, for the provenance. ``record_format``, ``checkpoint``, ``resume``, ``runner``,
    ``electrodes`` and ``split`` are as in ``simulate``. Raises ModelError if the network is wrong, UnsupportedError if
    NEURON cannot carry it, SimulatorError if the run fails.
    """
    report = report if report is not None else Report()
    if simulation.method is not None and simulation.method not in METHODS:
        raise UsageError(f"there is no method '{simulation.method}'; there are {', '.join(METHODS)}")
    _whole_fields(electrodes, backend)
    if electrodes is None and simulation.electrodes is not None:
        electrodes = _stated_fields(simulation, backend, report)
    phases: dict[str, dict[str, float]] = {}
    if output is not None:
        output_paths(simulation.outputs, output)
    name = Path(model).name.partition(".")[0] if model else network.id or "run"
    saving = Saving(None if output is None else Path(output), record_format, checkpoint, resume, name)
    with _phase(phases, "lower", progress):
        from ..nmodl.files import fingerprints

        lowered, outputs = lowered_of(network, simulation, report, backend), simulation.outputs
        if electrodes is not None:
            lowered, outputs = with_electrodes(lowered, network, electrodes, outputs)
    provenance = provenance_of(model or network.file or network.id or "", backend, simulation.dt, simulation.duration,
                             simulation.seed, ranks)  # fmt: skip
    if network.mods:
        provenance["mods"] = fingerprints(network.mods)
    digits = COMPAT_DIGITS if simulation.method == "compat" else None
    return _run(lowered, ranks, progress, phases, outputs, report, provenance, saving, digits, runner, split)


def lowered_of(
    network: Network, simulation: Simulation, report: Report, backend: str = "neuron",
    variants: Sequence[Network] = (),
) -> Lowered:  # fmt: skip
    """The Program of a Network that is run as a Simulation says; ``variants`` as in ``lower``.

    Raises ModelError or UnsupportedError.
    """
    from ..lems import load_core, resolve
    from .neuron.lower import lower

    def resolved(one: Network) -> tuple[Network, Model, Library]:
        library = load_core().extended(one.components, report)
        return one, resolve(one.components, library, report), library

    _, model, library = resolved(network)
    return lower(network, model, library, settings_of(simulation, backend), simulation.outputs, report,
                 variants=[resolved(one) for one in variants])  # fmt: skip


def settings_of(simulation: Simulation, backend: str = "neuron") -> Settings:
    """What lowering needs to know of a Simulation."""
    from .neuron.settings import Settings

    return Settings(
        dt=simulation.dt,
        duration=simulation.duration,
        seed=simulation.seed,
        second_order=METHODS[simulation.method or "best"],
        cvode=_stated_tolerances(simulation),
        compat=simulation.method == "compat",
        coreneuron=backend == "coreneuron",
        v_init=simulation.v_init,
        record_every=simulation.record_every,
    )


def stated(simulation: Component) -> Simulation:
    """What a Simulation component of LEMS says, as ``simulate`` takes it for NEURON."""
    tolerances = _tolerances(_cvode(simulation), None, "neuron", None, None)
    return Simulation(
        _time(None, simulation.parameters["length"], "duration"),
        _time(None, simulation.parameters["step"], "dt"),
        seed=_seed(simulation),
        cvode=None if tolerances is None else (tolerances["atol"], tolerances["rtol"]),
        outputs=requested(simulation),
    )


def _run(
    lowered: Lowered, ranks: int, progress: Progress | None, phases: dict[str, dict[str, float]], outputs: Outputs,
    report: Report, provenance: dict[str, Any], saving: Saving, digits: int | None,
    runner: Runner | None, split: str,
) -> Results:  # fmt: skip
    """Run a lowered network in NEURON, write its files as it goes on, and give its numbers their names."""
    from .neuron.launch import run_program

    program, recordings = lowered.program, lowered.recordings
    quantities, units = tuple(r.quantity for r in recordings), tuple(r.unit for r in recordings)
    if program.spec["run"].get("coreneuron"):
        from .neuron.coreneuron import check

        check(program)
        if saving.checkpoint or saving.resume:
            raise UsageError("CoreNEURON keeps no checkpoints; leave out --checkpoint and --resume")
    if ranks > 1 and program.spec["run"].get("cvode") and program.spec.get("rxd"):
        raise UnsupportedError(
            "reactions and diffusion with variable steps (cvode) run on one rank in NEURON; leave out --ranks, or take "
            "fixed steps (--method best)"
        )
    checkpointing = saving.checkpointing(program)
    shape = Shape.of(program)
    clock = (shape.samples, shape.dt * shape.every * 1e-3)
    files = open_files(saving, outputs, quantities, units, lowered.gids, lowered.populations, clock, report, digits,
                       provenance | {"program": program.hash})  # fmt: skip
    files.after = {row: r.after for row, r in enumerate(recordings) if r.after is not None}
    follow = files.follow if files.streams else None
    try:
        execute = runner or run_program
        raw = execute(program, ranks=ranks, progress=progress, follow=follow, checkpointing=checkpointing,
                      split=split)  # fmt: skip
        written = files.finish()
    except BaseException as fault:
        files.abandon(fault, checkpointing is not None and saving.resumable())
        raise
    saving.tidy()
    names = {"compile": "compile", "build": "instantiate", "simulate": "simulate", "save": "collect"}
    phases |= {names.get(name, name): dict(values) for name, values in raw.phases.items()}
    if files.streams:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        phases["save"] = {"seconds": files.seconds, "peak_mb": peak}
    for note in raw.notes:
        report.add("run", "info", note)
    columns = raw.columns
    for row, change in files.after.items():
        columns[row] = change(columns[row])
    return Results(
        outputs=outputs,
        traces=Traces(raw.time, columns, quantities, units),
        spikes=SpikeTrains(raw.spike_gids, raw.spike_times, lowered.populations),
        provenance=provenance | {"program": program.hash},
        phases=phases,
        files=written,
        report=report,
    )


def simulate_coreneuron(model: str | Path | Document, **options: Any) -> Results:
    """``simulate`` with the backend coreneuron."""
    return simulate(model, backend="coreneuron", **options)


def simulate_reference(model: str | Path | Document, **options: Any) -> Results:
    """``simulate`` with the backend reference."""
    return simulate(model, backend="reference", **options)


def _saved(
    results: Results, saving: Saving, gids: dict[str, int], phases: dict[str, dict[str, float]],
    progress: Progress | None,
) -> Results:  # fmt: skip
    """The results with their files written, if they are to be."""
    if saving.output is None:
        return results
    traces, spikes = results.traces, results.spikes
    step = float(traces.time[1] - traces.time[0]) if len(traces.time) > 1 else 0.0
    with _phase(phases, "save", progress):
        files = open_files(saving, results.outputs, traces.quantities, traces.units, gids, dict(spikes.populations),
                           (len(traces.time), step), results.report, None, results.provenance)  # fmt: skip
        try:
            files.follow(Block(0, traces.time, traces.values, spikes.gid, spikes.time))
            return replace(results, files=files.finish())
        except BaseException:
            files.discard()
            raise


def _target(document: Document, components: Model, simulation: Component) -> Network | Component:
    """What the Simulation is of: a network, or any other component."""
    target = simulation.references.ids.get("target") or simulation.texts.get("target")
    for network in document.networks:
        if network.id == target:
            return network
    return components.component(str(target))


def _choose(target: Network | Component, method: str | None, report: Report) -> str:
    if isinstance(target, Network):
        return "neuron"
    report.add(
        "reference-backend", "info",
        f"the simulation's target is a {target.type.name}, no network: its equations are integrated by the reference "
        "backend", file=target.file, line=target.line, component=target.id,
    )  # fmt: skip
    return "reference"


def _methods(backend: str) -> tuple[str, ...]:
    if backend in ("neuron", "coreneuron"):
        return tuple(METHODS)
    from .reference.run import METHODS as integrators

    return integrators


def _whole_fields(electrodes: Electrodes | None, backend: str) -> None:
    """Electrodes go with NEURON."""
    if electrodes is not None and backend not in ("neuron", "coreneuron"):
        raise UsageError(f"the backend {backend} records no transmembrane currents; electrodes need NEURON")


def _stated_fields(simulation: Simulation, backend: str, report: Report) -> Electrodes | None:
    """The electrodes that a model states; None, with a note of the loss, in a run that cannot have them."""
    for stops, why in (
        (backend not in ("neuron", "coreneuron"), f"the backend {backend} records no transmembrane currents"),
        (find_spec("lfpykit") is None, "LFPykit is not installed: pip install 'nmlbridge[signals]'"),
    ):
        if stops:
            report.add("electrodes", "loss", f"the model's electrodes and dipoles are left out: {why}")
            return None
    return simulation.electrodes


def _serial(ranks: int, dump_passes: object, split: str) -> None:
    if ranks > 1 or dump_passes is not None or split == "force":
        raise UsageError("the reference backend has no ranks and no passes; leave out -n, --split and --dump-passes")


def _time(given: float | None, si: float, what: str) -> float:
    value = given if given is not None else float(f"{si * 1e3:.12g}")
    if not 0 < value < float("inf"):
        raise UsageError(f"{what} is {value:g} ms; it must be more than zero")
    return value


def _seed(simulation: Component) -> int:
    text = simulation.texts.get("seed", "").strip()
    if not text:
        return 1234  # the seed that jLEMS starts with
    if not text.lstrip("-").isdigit():
        raise simulation.error(f"the seed is '{text[:40]}'; expected a whole number")
    return int(text) % 2**32


def _tolerances(
    asked: Mapping[str, float] | None, method: str | None, backend: str, absolute: float | None, relative: float | None
) -> dict[str, float] | None:
    """The tolerances of cvode, {"atol", "rtol"}, or None if a fixed step is wanted; ``asked`` are the model's."""
    if method not in (None, "cvode") or (method is None and (asked is None or backend != "neuron")):
        if absolute is not None or relative is not None:
            raise UsageError("tolerances are those of the method cvode of the backend neuron: add --method cvode")
        return None
    found = TOLERANCES | dict(asked or {})
    given = {"atol": absolute, "rtol": relative}
    found |= {name: value for name, value in given.items() if value is not None}
    if not (0 <= found["atol"] < float("inf") and 0 <= found["rtol"] < float("inf") and max(found.values()) > 0):
        raise UsageError(
            f"the tolerances of cvode are {found['atol']:g} (absolute) and {found['rtol']:g} (relative); they must not "
            "be negative, and one must be more than zero"
        )
    return found


def _stated_tolerances(simulation: Simulation) -> dict[str, float] | None:
    """Those of a Simulation; None for fixed steps."""
    if simulation.cvode is None:
        return dict(TOLERANCES) if simulation.method == "cvode" else None
    return {"atol": simulation.cvode[0], "rtol": simulation.cvode[1]}


def _cvode(simulation: Component) -> dict[str, float] | None:
    """The tolerances that a Meta element for NEURON gives, if it asks for cvode."""
    for meta in simulation.children_of("metas"):
        if meta.texts.get("for") == "neuron" and meta.texts.get("method") == "cvode":
            names = {"atol": "abs_tolerance", "rtol": "rel_tolerance"}
            try:
                return {key: float(meta.texts[name]) for key, name in names.items() if meta.texts.get(name)}
            except ValueError:
                raise meta.error("the tolerances of cvode must be numbers") from None
    return None


def _dumper(folder: Path) -> Callable[[str, str, str], None]:
    from ..nmodl.names import safe

    counts: dict[str, int] = {}

    def dump(mechanism: str, title: str, text: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        counts[mechanism] = counts.get(mechanism, 0) + 1
        (folder / f"{safe(mechanism)}.{counts[mechanism]:02d}.{title}.txt").write_text(text)

    return dump


def provenance_of(model: str | Path, backend: str, dt: float, duration: float, seed: int, ranks: int) -> dict[str, Any]:
    return {
        "model": str(model),
        "program": "",
        "nmlbridge": _version("nmlbridge"),
        "neuron": _version("neuron"),
        "backend": backend,
        "dt": dt * 1e-3,
        "duration": duration * 1e-3,
        "seed": seed,
        "ranks": ranks,
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@contextmanager
def _phase(phases: dict[str, dict[str, float]], name: str, progress: Progress | None) -> Iterator[None]:
    start = time.perf_counter()
    if progress is not None:
        progress(name, 0.0, 1.0)
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    phases[name] = {"seconds": time.perf_counter() - start, "peak_mb": peak}
    if progress is not None:
        progress(name, 1.0, 1.0)

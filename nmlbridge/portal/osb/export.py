"""Writing a repository that is ready to publish on Open Source Brain."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ...errors import ModelError, UnsupportedError, UsageError
from ...extras import require
from ...neuroml import Problem, validate
from ...registry import read
from ...report import Report
from ...results import Results, Traces
from ..about import About, described, links
from ..closure import Closure, closure
from ..omv.write import ENGINE, PROJECT_ENGINE, new_tests
from .annotate import annotate_file
from .licences import licence_text
from .record import NAME as RECORD
from .record import record_text, repository_record
from .texts import Layout, citation_cff, citation_md, notebook, osb_yml, readme, workflow

HOME = "NeuroML2"
PROJECT = "NEURON"
VALIDATION = ".test.validate.omt"
_LICENCES = ("LICENSE", "LICENCE", "COPYING")
_MOST_SAMPLES = 20_000  # of a trace in NWB
_ABOVE = 4  # folders above the model in which its licence is looked for
Progress = Callable[[str, float, float], None]


@dataclass(frozen=True)
class Options:
    """How to export. ``repository`` is OWNER/NAME on GitHub (default: OpenSourceBrain and the folder's name).

    ``run`` False leaves out everything that a run gives: measured values, NWB. ``tolerance`` is that of the tests;
    None measures it by a second run at half the step. ``license_file`` is the text of the licence; without it and
    without an SPDX name in ``about``, the one that lies beside or above the model.
    """

    repository: str | None = None
    run: bool = True
    tolerance: float | None = None
    license_file: Path | None = None
    notebook: bool = True
    nwb: bool = True
    netpyne: bool = True
    force: bool = False
    year: int = field(default_factory=lambda: datetime.now(UTC).year)


@dataclass(frozen=True)
class Exported:
    """The repository's folder, its files (relative paths), and the run's results if there was one."""

    folder: Path
    files: tuple[str, ...]
    results: Results | None


def export_repository(
    model: str | Path, folder: str | Path, *, about: About | None = None, options: Options | None = None,
    report: Report | None = None, progress: Progress | None = None,
) -> Exported:  # fmt: skip
    """Write a repository for ``model``, a LEMS file with a Target, into ``folder``, which must be new or empty.

    README, LICENSE, CITATION, the model with its includes below ``NeuroML2``, OMV tests with values that a run of it
    has given, the workflow that runs them, a notebook, results as NWB, the portal's records. With ``force`` a folder
    may have content: files of the same name are replaced, others stay. Everything is written beside the folder first;
    if something fails, nothing has changed. Raises ModelError for a model that is wrong, UsageError without a licence.
    """
    report, options = report if report is not None else Report(), options or Options()
    target = Path(folder)
    _must_be_free(target, options.force)
    if options.run and options.nwb:
        require("pynwb", "nwb", "results as NWB (--no-nwb leaves them out)")
    found = closure(Path(model), report)
    if found.document.main.kind != "lems" or found.document.target is None:
        raise UsageError(f"'{model}' is no LEMS file with a Target; name the one that simulates the model")
    about = _about(about, found)
    licence = _licence(Path(model), found, about, options, report)
    parent = target.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=parent))
    try:
        (scratch / "LICENSE").write_text(licence, encoding="utf-8")
        main = _copy_model(found, scratch)
        if about.doi or about.source:
            _annotate(scratch, about, report)
        repository = options.repository or f"OpenSourceBrain/{_safe(target.resolve().name)}"
        layout = Layout(repository, main, _models(scratch, main))
        results, layout = _measured(scratch, layout, about, options, report, progress)
        if options.netpyne:
            layout = replace(layout, npjson=_netpyne(scratch, layout, report))
        _write_texts(scratch, layout, about, found, results, Path(model), options, report)
        files = sorted(p.relative_to(scratch).as_posix() for p in scratch.rglob("*") if p.is_file())
        _publish(scratch, target, options.force)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Exported(target, tuple(files), results)


def _must_be_free(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is a file; name a folder")
    there = [p.name for p in folder.iterdir() if p.name != ".git"] if folder.exists() else []
    if there and not force:
        raise UsageError(f"'{folder}' is not empty; name a new folder, or --force to replace files in it")


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name) or "model"


def _about(about: About | None, found: Closure) -> About:
    name = PurePosixPath(found.main).name.removesuffix(".xml").removeprefix("LEMS_")
    about = about or About(name)
    cited = links(found.document)
    return replace(
        about,
        description=about.description or described(found.document, f"{about.title}, a model in NeuroML."),
        links=about.links or cited,
    )


def _licence(model: Path, found: Closure, about: About, options: Options, report: Report) -> str:
    near = _nearby(found.root, _LICENCES)
    if near is not None and (options.license_file is not None or about.license is not None):
        report.add("other-licence", "approximation", "the model lies with a licence of its own, in whose place the "
                   "one that was asked for is put; make sure that you may do so", file=str(near))  # fmt: skip
    if options.license_file is not None:
        try:
            return options.license_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise UsageError(f"the licence '{options.license_file}' cannot be read: {fault}") from None
    if about.license is not None:
        holders = ", ".join(a.name for a in about.authors) or f"The authors of {about.title}"
        return licence_text(about.license, holders, options.year)
    if near is None:
        raise UsageError("the model has no licence; give --license MIT (or another), or --license-file FILE")
    report.add("licence-found", "info", "the licence is the one that lies with the model", file=str(near))
    return near.read_text(encoding="utf-8", errors="replace")


def _nearby(folder: Path, names: tuple[str, ...]) -> Path | None:
    """A file whose name begins with one of ``names``, in the folder or above it, not beyond a repository's top."""
    for place in (folder, *folder.parents)[: _ABOVE + 1]:
        there = sorted(p for p in place.iterdir() if p.is_file() and p.name.upper().startswith(names))
        if there:
            return there[0]
        if (place / ".git").exists():
            break
    return None


def _copy_model(found: Closure, scratch: Path) -> str:
    """Copy the files below NeuroML2; the main file's path. It is given the name LEMS_... that the portal looks for."""
    for name in found.names:
        copy = scratch / HOME / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found.root / name, copy)
    main = PurePosixPath(HOME, found.main)
    if main.name.startswith("LEMS_"):
        return main.as_posix()
    renamed = main.with_name(f"LEMS_{main.name}")
    (scratch / main).rename(scratch / renamed)
    return renamed.as_posix()


def _models(scratch: Path, main: str) -> tuple[str, ...]:
    every = sorted(p.relative_to(scratch).as_posix() for p in (scratch / HOME).rglob("*") if p.is_file())
    return tuple(name for name in every if name != main)


def _annotate(scratch: Path, about: About, report: Report) -> None:
    for path in sorted((scratch / HOME).rglob("*.nml")):
        _, kept = annotate_file(path, about)
        for id in kept:
            report.add("annotation-kept", "info", "it has an annotation of its own, which is left as it is",
                       file=path.name, component=id)  # fmt: skip


def _measured(
    scratch: Path, layout: Layout, about: About, options: Options, report: Report, progress: Progress | None
) -> tuple[Results | None, Layout]:
    """Run the model, and write tests and NWB from what it gave."""
    tests = _validation_tests(scratch, report)
    model = scratch / layout.main
    if _draws(model, report):
        layout = replace(layout, project=f"{PROJECT}/run.py")
        results, written = _project(scratch, layout, options, report, progress)
        tests += sorted(path.relative_to(scratch).as_posix() for path in written if path.suffix == ".omt")
        nwb = _nwb(scratch, layout, results, about) if options.nwb and results else None
        return results, replace(layout, tests=tuple(tests), nwb=nwb)
    if not options.run:
        omt = model.with_name(f".test.{_stem(layout.main)}.jnmlnrn.omt")
        omt.write_text(yaml.safe_dump({"target": model.name, "engine": ENGINE}, sort_keys=False))
        return None, replace(layout, tests=(*tests, omt.relative_to(scratch).as_posix()))
    from ...simulator.run import simulate

    with tempfile.TemporaryDirectory() as place:
        first, second = Path(place, "first"), Path(place, "second")
        results = simulate(model, output=first, method=_method(model), report=report, progress=progress)
        other = None
        if options.tolerance is None:
            half = float(results.provenance["dt"]) * 500
            other = simulate(model, output=second, dt=half, report=Report(), progress=progress)
        written = _tests(model, results, first, options.tolerance or 0.0, other, second, report)
    written = [_renamed(path) if path.suffix == ".omt" else path for path in written]
    tests += sorted(path.relative_to(scratch).as_posix() for path in written if path.suffix == ".omt")
    nwb = _nwb(scratch, layout, results, about) if options.nwb else None
    return results, replace(layout, tests=tuple(tests), nwb=nwb)


def _draws(model: Path, report: Report) -> bool:
    """Whether the model is a network that draws random numbers in NEURON."""
    from ...simulator.neuron.project import lowered_of

    try:
        spec = lowered_of(read(model), model, Report())[0].program.spec
    except UnsupportedError:  # no network, or nothing for NEURON
        return False
    parts = [*spec.get("points", ()), *spec.get("generators", ()), *spec.get("populations", ())]
    parts += [each for population in spec.get("populations", ()) for each in population.get("point_parameters", ())]
    found = any(part.get("random") is not None for part in parts)
    if found:
        report.add("random-model", "info", "the model draws random numbers; jNeuroML's are others, and its code for "
                   f"them does not compile for NEURON 9: the tests run the project in {PROJECT} instead",
                   file=model.name)  # fmt: skip
    return found


def _project(
    scratch: Path, layout: Layout, options: Options, report: Report, progress: Progress | None
) -> tuple[Results | None, list[Path]]:
    """The model as a project for NEURON alone, and tests of that, whose random numbers are always the same."""
    from ...simulator.neuron.project import write
    from ...simulator.run import simulate

    model, folder = scratch / layout.main, scratch / PROJECT
    write(read(model), folder, Report())
    script, stem = folder / "run.py", _stem(layout.main)
    dry = folder / f".test.{stem}.nrn.omt"
    if not options.run:
        dry.write_text(yaml.safe_dump({"target": script.name, "engine": PROJECT_ENGINE}, sort_keys=False))
        return None, [dry]
    with tempfile.TemporaryDirectory() as place:
        first = Path(place, "first")
        results = simulate(model, output=first, report=report, progress=progress)
        try:
            written = new_tests(script, results, first, folder, engine=PROJECT_ENGINE, stem=stem, below="results",
                                tolerance=options.tolerance or 0.0)  # fmt: skip
        except UsageError as fault:
            report.add("no-test", "loss", f"no test with values: {fault}", file=model.name)
            dry.write_text(yaml.safe_dump({"target": script.name, "engine": PROJECT_ENGINE}, sort_keys=False))
            return results, [dry]
    return results, [path.rename(dry) if path.suffix == ".omt" else path for path in written]


def _stem(main: str) -> str:
    return PurePosixPath(main).name.removesuffix(".xml").removeprefix("LEMS_")


def _method(model: Path) -> str | None:
    """What jNeuroML_NEURON computes, where the model is a network that NEURON runs."""
    from ...graph import Network
    from ...lems import resolve
    from ...neuroml import read_document

    document = read_document(model)
    simulation = resolve(document.elements(), document.library()).simulation(document.target)
    wanted = simulation.references.ids.get("target") or simulation.texts.get("target")
    return "compat" if any(isinstance(n, Network) and n.id == wanted for n in document.networks) else None


def _tests(
    model: Path, results: Results, first: Path, tolerance: float, other: Results | None, second: Path, report: Report
) -> list[Path]:
    try:
        return new_tests(model, results, first, model.parent, tolerance=tolerance, other=other, other_output=second)
    except UsageError as fault:
        if other is None:
            report.add("no-test", "loss", f"no test with values: {fault}", file=model.name)
            omt = model.with_name(f".test.{_stem(model.name)}.omt")
            omt.write_text(yaml.safe_dump({"target": model.name, "engine": ENGINE}, sort_keys=False))
            return [omt]
        report.add("tolerance-unmeasured", "approximation",
                   f"a second run at half the step gives no tolerance ({fault}); the tests ask for equal values",
                   file=model.name)  # fmt: skip
        return _tests(model, results, first, tolerance, None, second, report)


def _renamed(omt: Path) -> Path:
    """.test.NAME.omt as repositories call it: .test.NAME.jnmlnrn.omt."""
    return omt.rename(omt.with_name(omt.name.removesuffix(".omt") + ".jnmlnrn.omt"))


def _validation_tests(scratch: Path, report: Report) -> list[str]:
    """A test in each folder of NeuroML files, which says that they are valid; none where one is not."""
    written = []
    for place in sorted({path.parent for path in (scratch / HOME).rglob("*.nml")}):
        wrong: dict[tuple[str, int | None, str], Problem] = {}
        for path in sorted(place.glob("*.nml")):
            for problem in validate(path):
                if problem.severity == "error":
                    file = Path(problem.file or path).name
                    wrong[file, problem.line, problem.message] = problem
        for (file, line, message), problem in wrong.items():
            report.add("invalid", "loss", message, file=file, line=line, component=problem.component)
        if not wrong:
            omt = place / VALIDATION
            omt.write_text(yaml.safe_dump({"target": "*.nml", "engine": "jNeuroML_validate"}, sort_keys=False))
            written.append(omt.relative_to(scratch).as_posix())
    return written


def _netpyne(scratch: Path, layout: Layout, report: Report) -> bool:
    """Write the model for NetPyNE UI, if it can be said in NetPyNE's parameters."""
    from .netpyne import write_netpyne

    try:
        write_netpyne(scratch / layout.main, scratch, report)
    except UnsupportedError as fault:
        report.add("no-npjson", "loss", f"there is no index.npjson for NetPyNE UI: {fault}", file=layout.main)
        return False
    return True


def _saved_traces(results: Results) -> tuple[Traces, int]:
    """The columns of the output files, and which samples of them are kept: every first, second, ...

    NWB Explorer takes every number of a file into a list, and repositories are no place for large files.
    """
    traces = results.traces
    saved = list(dict.fromkeys(quantity for file in results.outputs.files for _, quantity in file.columns))
    rows = [traces.row(quantity) for quantity in saved] or list(range(len(traces)))
    every = -(-len(traces.time) // _MOST_SAMPLES) or 1
    kept = Traces(traces.time[::every], traces.values[rows][:, ::every], tuple(traces.quantities[row] for row in rows),
                  tuple(traces.units[row] for row in rows))  # fmt: skip
    return kept, every


def _nwb(scratch: Path, layout: Layout, results: Results, about: About) -> str:
    from ...results.formats.nwb import write

    name = f"results/{_stem(layout.main)}.nwb"
    traces, every = _saved_traces(results)
    thinned = f" Traces have one of {every} samples." if every > 1 else ""
    told: dict[str, Any] = {"session_description": (about.description[:1000] or about.title) + thinned}
    told["source_script"] = (scratch / layout.main).read_text(encoding="utf-8", errors="replace")
    told["source_script_file_name"] = PurePosixPath(layout.main).name
    if about.authors:
        told["experimenter"] = [f"{a.family}, {a.given}".strip(", ") for a in about.authors]
    # where the model lay while it ran is nobody's business
    shown = replace(results, traces=traces, provenance={**results.provenance, "model": layout.main})
    write(shown, scratch / name, Report(), about=told)
    return name


def _write_texts(
    scratch: Path, layout: Layout, about: About, found: Closure, results: Results | None, model: Path, options: Options,
    report: Report,
) -> None:  # fmt: skip
    outputs = [(file.name, [id for id, _ in file.columns]) for file in results.outputs.files] if results else []
    if options.notebook and outputs:
        layout = replace(layout, notebook=f"{_safe(_stem(layout.main))}.ipynb")
        _put(scratch, f"{_safe(_stem(layout.main))}.ipynb", notebook(about, layout, outputs))
    cited = _nearby(found.root, ("CITATION.MD",)) if about.license is None and options.license_file is None else None
    _put(scratch, "README.md", readme(about, layout, _facts(found)))
    _put(scratch, "CITATION.md", cited.read_text(encoding="utf-8") if cited else citation_md(about, layout))
    _put(scratch, "CITATION.cff", citation_cff(about, layout))
    engines = ["jNeuroML_validate"] * any(name.endswith(VALIDATION) for name in layout.tests)
    engines.append(PROJECT_ENGINE if layout.project else ENGINE)
    _put(scratch, ".github/workflows/omv-ci.yml", workflow(engines))
    nets = [name for name in layout.models if name.endswith((".net.nml", ".net.nml.h5"))]
    _put(scratch, "_osb.yml", osb_yml(nets[0] if nets else layout.main))
    written = [file.name for file in results.outputs.files] if results else []
    written += [file.name for file in results.outputs.event_files] if results else []
    home = PurePosixPath(layout.main).parent
    ignored = ["x86_64/", "arm64/", "*_nrn.py", f"/{HOME}/**/*.mod", "from_notebook.nwb"]
    ignored += [f"/{home}/{name}" for name in written]
    ignored += [f"/{PROJECT}/results/", f"/{PROJECT}/compiled/"] if layout.project else []
    _put(scratch, ".gitignore", "\n".join(ignored) + "\n")
    _put(scratch, RECORD, record_text(repository_record(scratch, layout.repository, layout.branch)))
    if not about.authors:
        report.add("no-author", "approximation", "no author was named; CITATION.cff names 'the authors'; give --author",
                   file=str(model))  # fmt: skip


def _put(scratch: Path, name: str, text: str) -> None:
    path = scratch / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _facts(found: Closure) -> list[str]:
    """What the networks hold, in a line each."""
    facts = []
    for network in found.document.networks:
        if network.populations:
            cells = ", ".join(f"{p.size} {p.component}" for p in list(network.populations.values())[:6])
            more = " and more" if len(network.populations) > 6 else ""
            word = "cell" if network.size == 1 else "cells"
            size = f"{network.size} {word} ({cells}{more}), {network.connections} connections"
            facts.append(f"network `{network.id}`: {size}")
    return facts


def _publish(scratch: Path, target: Path, force: bool) -> None:
    """Put what was written in its place: at once where the place is free, file by file where it is not."""
    scratch.chmod(0o755)
    if not target.exists() or not any(target.iterdir()):
        if target.exists():
            target.rmdir()
        os.replace(scratch, target)
        return
    if not force and any(p.name != ".git" for p in target.iterdir()):
        raise ModelError("the folder has been filled meanwhile", file=str(target))
    for path in sorted(p for p in scratch.rglob("*") if p.is_file()):
        copy = target / path.relative_to(scratch)
        if copy.is_symlink() or not copy.parent.resolve().is_relative_to(target.resolve()):
            raise UsageError(f"'{copy}' is a link; nothing is written through links")
        copy.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, copy)

"""A model as a project that needs NEURON alone: mod files, a Python script, data. Format "neuron", written only.

The equations are in the mod files, everything that there is many of in columns of numbers, the rest (sections, what is
on them, how it is run) in JSON; what reads them is constant Python, so that no text of a model is ever code.
https://nrn.readthedocs.io
"""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...files import new_folder
from ...graph import Network
from ...lems import Component, Library, Model, load_core, resolve
from ...report import Report
from ...results import OutputFile, Outputs, Simulation, saved
from ...results.lems import output_paths
from ..run import settings_of, stated
from .lower import Lowered, lower

RUNTIME = "runtime"
_RUNNER = "simulator/neuron/standalone.py"
_SCRIPT = f'''"""Run: python run.py [-o FOLDER] [--duration MS]; under MPI: mpiexec -n 4 python run.py --mpi

`nrniv -python run.py -nogui`, as Open Source Brain's model validation has it, does the same.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from {RUNTIME}.simulator.neuron.standalone import main  # noqa: E402

if __name__ == "__main__":
    words = [word for word in sys.argv if word not in ("-python", "-nogui")]
    started = [place for place, word in enumerate(words) if word.endswith("run.py")]
    sys.exit(main(HERE, words[started[0] + 1 :] if started else words[1:]))
'''
_README = """# {title}

A NEURON project, written by nmlbridge from `{source}`. It needs Python and NEURON (`pip install neuron`, 9 or newer), and
a C++ compiler for the mechanisms; nmlbridge is not needed.

```
pip install neuron
python run.py              # compiles model/mod with nrnivmodl the first time; results go to results/
python run.py --duration 50 -o other
mpiexec -n 4 python run.py --mpi
```

It runs {duration:g} ms in steps of {dt:g} ms at {celsius:g} degC, and writes

{files}

Tables have the time (s) first, then the columns in SI units; lists of events have an id and a time (s) a line.

## What is where

| | |
|---|---|
| `model/program.json` | cells by section with their mechanisms and parameters, groups of point processes, connections, what is recorded, how it is run; `"T:name"` stands for the column `name` |
| `model/tables.npz` | those columns of numbers, for `numpy.load` |
| `model/mod` | the equations, one NMODL file a mechanism |
| `model/files.json` | which recorded columns go to which file |
| `{runtime}` | what builds the network from them, a part of nmlbridge (MIT licence) |

Units are NEURON's: ms, mV, nA, uS, um, S/cm2, mM. To change a parameter edit `model/program.json`, or the mod file and
remove the folder `compiled`. `{runtime}/simulator/program.py` explains each key.

## The network

{network}
"""  # noqa: E501


def write(network: Network, path: Path, report: Report | None = None) -> None:
    """Write the folder; it gives the traces of ``nmlbridge run``.

    Without a Simulation 100 ms are run and v of the first cell of each population is recorded. Raises UnsupportedError
    for what is no network, and what ``lower`` raises.
    """
    report = report if report is not None else Report()
    lowered, run = lowered_of(network, path, report)
    output_paths(run.outputs, path)
    spec = {**lowered.program.spec}
    with new_folder(path) as folder:
        lowered.program.save(folder / "model")
        document = json.loads((folder / "model" / "program.json").read_text())
        document["spec"] = spec
        (folder / "model" / "program.json").write_text(json.dumps(document, indent=1, default=_plain))
        (folder / "model" / "files.json").write_text(json.dumps(files_of(run.outputs, lowered), indent=1))
        for name, text in _sources(_RUNNER).items():
            target = folder / RUNTIME / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            (target.parent / "__init__.py").touch()
        (folder / "run.py").write_text(_SCRIPT, encoding="utf-8")
        (folder / "README.md").write_text(_readme(network, run, lowered), encoding="utf-8")


def lowered_of(
    network: Network, path: Path, report: Report, method: str | None = None, plain: bool = False
) -> tuple[Lowered, Simulation]:
    """The Program of a network and how it is run; by ``method`` instead of what the model says, if that is given.

    With ``plain`` its mechanisms are free of what fixed steps in NEURON ask for (as for variable steps).

    Raises UnsupportedError for what is no network, and what ``lower`` raises.
    """
    from ...neuroml.formats import as_document

    if network.id is None:
        raise UnsupportedError("there is no network in it, so there is nothing to run")
    document = as_document(network, path)
    library = load_core().extended(document.elements(), report)
    model = resolve(document.elements(), library, report)
    run: Simulation | None = network.settings
    if run is None and document.target is not None:
        simulation = model.simulation(document.target)
        run = stated(simulation)
        wanted = simulation.references.ids.get("target") or simulation.texts.get("target")
        target = next((n for n in (network, *network.others) if n.id == wanted), None)
        if target is None:
            raise UnsupportedError(f"the simulation is of '{wanted}', which is no network")
        network = target
    if run is None:
        run = _default(network, model, library, report)
    outputs = run.outputs
    if not outputs.files and not outputs.event_files:  # what is only drawn is written instead
        outputs = Outputs(tuple(
            OutputFile(d.id, f"{number}.dat", tuple((line.id, line.quantity) for line in d.lines))
            for number, d in enumerate(outputs.displays, 1)
        ))  # fmt: skip
    run = replace(run, outputs=outputs, method=method or run.method)
    # what is drawn is recorded too: it may decide how a component is lowered, as in `nmlbridge run`
    settings = settings_of(run)
    if plain:
        settings = replace(settings, cvode=settings.cvode or {"atol": 1e-3, "rtol": 0.0})
    lowered = lower(network, model, library, settings, run.outputs, report)
    return lowered, replace(run, outputs=replace(outputs, displays=()))


def _default(network: Network, model: Model, library: Library, report: Report) -> Simulation:
    report.add("no-simulation", "info", "the model does not say how it is run; the project runs 100 ms and records v "
               "of one cell a population")  # fmt: skip
    paths = []
    for population in network.populations.values():
        native = network.native.get(population.component)
        part: Component | None = None if native is not None else model.component(population.component)
        if population.size and (part is None or "v" in part.type.exposures):
            where = "soma" if native is None else getattr(native, "sections", (None,))[0]
            inside = "" if native is None or where is None else f"{getattr(where, 'name', 'soma')}(0.5)/"
            paths.append(f"{population.id}[{int(population.instance_ids[0])}]/{inside}v")
    return Simulation(100.0, outputs=saved({"v.dat": paths} if paths else {}, []))


def files_of(outputs: Outputs, lowered: Lowered) -> dict[str, Any]:
    """Which recorded columns go to which file, and which gids to which list of events."""
    rows = {recording.quantity: row for row, recording in enumerate(lowered.recordings)}
    return {
        "tables": [{"file": f.name, "rows": [rows[q] for _, q in f.columns], "columns": [q for _, q in f.columns]}
                   for f in outputs.files],
        "events": [{"file": f.name, "format": f.format,
                    "ids": [[id, int(lowered.gids[p])] for id, p, _ in f.selections]}
                   for f in outputs.event_files],
    }  # fmt: skip


def _sources(name: str) -> dict[str, str]:
    """One of our own modules and all that it imports of ours, by name; the names are as in ``_source``."""
    found: dict[str, str] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _source(name)
        for node in ast.walk(ast.parse(found[name])):
            if isinstance(node, ast.ImportFrom) and node.level and node.module:
                folder = PurePosixPath(name).parents[node.level - 1]
                waiting.append(f"{folder / node.module.replace('.', '/')}.py")
    return found


def _source(name: str) -> str:
    """The text of one of our own modules; ``name`` is below the package, where simulator is a part of it."""
    here = Path(__file__).resolve().parent
    if name.startswith("simulator/"):
        return (here.parent / name.removeprefix("simulator/")).read_text(encoding="utf-8")
    import nmlbridge

    return (Path(nmlbridge.__file__).parent / name).read_text(encoding="utf-8")


def _readme(network: Network, run: Simulation, lowered: Lowered) -> str:
    written = [f"- `{shown(f.name)}`: {', '.join(f'`{shown(q)}`' for _, q in f.columns[:8])}"
               f"{' ...' if len(f.columns) > 8 else ''}" for f in run.outputs.files]  # fmt: skip
    written += [f"- `{shown(f.name)}`: spikes of {len(f.selections)} cells" for f in run.outputs.event_files]
    lines = ["| population | cells | component |", "|---|---|---|"]
    lines += [f"| {shown(p.id)} | {p.size} | {shown(p.component)} |" for p in network.populations.values()]
    lines += ["", "| connections | number | from, to |", "|---|---|---|"]
    lines += [f"| {shown(p.id)} | {len(p)} | {shown(p.presynaptic)}, {shown(p.postsynaptic)} |"
              for p in network.projections]  # fmt: skip
    lines += [f"| {shown(i.id)} | {len(i)} | {shown(i.component)}, {shown(i.population)} |" for i in network.inputs]
    return _README.format(
        title=shown(str(network.id)), source=shown(network.file or "a network"), duration=run.duration, dt=run.dt,
        celsius=lowered.program.spec["run"]["celsius"], files="\n".join(written) or "nothing", runtime=RUNTIME,
        network="\n".join(lines),
    )  # fmt: skip


def shown(text: str) -> str:
    """Text of a model as one cell of a Markdown table."""
    return " ".join(ascii(text)[1:-1].translate(str.maketrans("|`<>{}", "/'()()")).split())[:120]


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in a specification")

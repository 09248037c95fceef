"""NEURON models as Networks: hoc and Python that build cells, with their mod files, and what is live in this process.

Code of a model is run only where the user allows it, and in a process of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import DocumentError, UsageError
from ...foreign import ask, may_run
from ...graph import Network
from ...nmodl.files import FOLDERS, mods_beside, texts_of
from ...nmodl.header import read_header
from ...report import Report
from ...results import Simulation
from .assemble import network_of
from .compile import compile_mods
from .launch import environment, neuron_words

_NEAR = re.compile(r"^\s*in (.+) near line ([1-9]\d*)", re.M)


def read(
    path: str | Path, report: Report | None = None, allow: Collection[str] = (), *, template: str | None = None,
    arguments: Sequence[float | str] = (), mods: Mapping[str, str] | None = None,
) -> Network:  # fmt: skip
    """The Network that a hoc or Python file builds in NEURON: its cells, processes and connections.

    ``allow`` must hold "code", as the file is run, in a process of its own; with "mods" the mod files beside it, or
    ``mods`` (texts by file name), are compiled for it. With ``template``, or if the file makes nothing but defines one,
    the network is one cell of it, made with ``arguments``. Raises UsageError if code is not allowed, DocumentError with
    file and line if it fails.
    """
    report = report if report is not None else Report()
    path = Path(path)
    if not path.is_file():
        raise DocumentError("there is no such file", file=str(path))
    may_run(path, allow)
    mods = mods_beside(path) if mods is None else mods
    taken = mods if "mods" in allow else {}
    library = compile_mods(taken)
    request = {"file": str(path.absolute()), "library": str(library) if library else None, "template": template,
               "arguments": list(arguments), "left_open": _left_open(taken)}  # fmt: skip
    program = ["-P", "-m", "nmlbridge.simulator.neuron.importing"]
    answer = ask(program, request, path, environment({}))
    if answer.error is not None:
        hint = ""
        if mods and not taken:
            hint = f"; the {len(mods)} mod files beside it are compiled only if you say so: --allow-mods"
        near = _NEAR.search(answer.said)
        place, line = str(path), answer.found["line"]
        if line is None and near is not None:  # perhaps in a file that this one loads
            place, line = str(path) if Path(near[1]).name == path.name else near[1], int(near[2])
        told = neuron_words(answer.said)
        message = f"{answer.error} ({told[0]})" if told and told[0] not in answer.error else answer.error
        raise DocumentError(f"{message}{hint}", file=place, line=line)
    found = answer.found
    return network_of(found, taken, report, str(path))


def read_simulation(
    path: Path, report: Report | None = None, allow: Collection[str] = ()
) -> tuple[Network, Simulation]:  # fmt: skip
    """The network that a file builds, and a run of it as its tstop, dt and v_init say."""
    network = read(path, report, allow)
    return network, network.settings


def from_neuron(
    h: Any = None, *, mods: str | Path | Mapping[str, str] | None = None, report: Report | None = None
) -> Network:
    """What is in NEURON now, in this process, as a Network that can be run, converted and written.

    ``h`` is NEURON's top level (None: ``neuron.h``). ``mods`` is a folder with the mod files of the model's mechanisms,
    or their texts by file name: without them the network can be converted, but not run. Raises NetworkError for what
    cannot be a network, UsageError if there are no sections.
    """
    from .live import extract

    if h is None:
        import neuron

        h = neuron.h
    texts: Mapping[str, str] = {}
    if isinstance(mods, Mapping):
        texts = mods
    elif mods is not None:
        texts = texts_of(sorted(Path(mods).glob("*.mod")))
        if not texts:
            raise UsageError(f"there are no mod files in '{mods}'; expected a folder such as {', '.join(FOLDERS[:3])}")
    return network_of(extract(h, left_open=_left_open(texts)), texts, report if report is not None else Report(), None)


def _left_open(mods: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What mechanisms leave to those who use them, besides their PARAMETERs."""
    headers = [header for text in mods.values() if (header := read_header(text)) is not None]
    return {header.name: header.left_open for header in headers if header.left_open}

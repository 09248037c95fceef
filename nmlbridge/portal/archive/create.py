"""Writing a COMBINE archive: the same content always gives the same bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ...errors import UsageError
from ...files import atomic
from ...lems import resolve
from ...report import Report
from ...results import requested
from ..about import About, archive_rdf, described
from ..closure import Closure, case_clash, closure
from .manifest import METADATA, NAME, NEUROML, Entry, format_of, manifest_text
from .sedml import sedml_text

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that ZIP knows: no clock in the bytes
_HEAD = 65536
_MODE = 0o100644


def create_archive(
    model: str | Path,
    target: str | Path,
    *,
    files: Sequence[str | Path] = (),
    sedml: bool = True,
    algorithm: str | None = None,
    about: About | None = None,
    report: Report | None = None,
) -> list[str]:
    """Write ``model`` with all it includes, and ``files`` beside it, as ``target``; the names in the archive.

    A LEMS model gets a SED-ML file of its experiment (unless ``sedml`` is False), which is then the master; ``about``
    goes into metadata.rdf, its description by default being the model's notes. Raises ModelError for a model that
    cannot be read or whose names cannot be shared, UsageError for a file that is outside the model's folder.
    """
    report = report if report is not None else Report()
    target = Path(target)
    found = closure(Path(model), report)
    content = {name: (found.root / name).read_bytes() for name in found.names}
    for name, path in _beside(files, found, target).items():
        content.setdefault(name, path.read_bytes())
    master = found.main
    if sedml:
        made = _experiment(found, report, algorithm)
        if made is not None:
            master = made[0]
            content[master] = made[1]
    content[METADATA] = _metadata(found, about, target)
    clash = case_clash(sorted(content))
    if clash:
        raise UsageError(f"'{clash[0]}' and '{clash[1]}' cannot be told apart where case does not count")
    names = sorted(content)
    entries = [Entry(name, _format(name, content[name], found), name == master) for name in names]
    with atomic(target) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, data in [(NAME, manifest_text(entries)), *((name, content[name]) for name in names)]:
            record = zipfile.ZipInfo(name, _EPOCH)
            record.compress_type, record.create_system = zipfile.ZIP_DEFLATED, 3
            record.external_attr = _MODE << 16
            archive.writestr(record, data)
    return [NAME, *names]


def _format(name: str, data: bytes, found: Closure) -> str:
    """HDF5 files that the model includes are NeuroML."""
    return NEUROML if name in found.names and name.endswith((".h5", ".hdf5")) else format_of(name, data[:_HEAD])


def _beside(files: Sequence[str | Path], found: Closure, target: Path) -> dict[str, Path]:
    """Names and paths of further files; a folder stands for all that is in it."""
    chosen: dict[str, Path] = {}
    for item in map(Path, files):
        if not item.exists():
            raise UsageError(f"there is no file '{item}'")
        for path in sorted(item.rglob("*")) if item.is_dir() else [item]:
            if path.is_dir() or path.resolve() == target.resolve():
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(found.root):
                raise UsageError(f"'{path}' is a link out of the model's folder")
            if not path.resolve().is_relative_to(found.root):
                raise UsageError(f"'{path}' is outside of the model's folder {found.root}")
            name = path.resolve().relative_to(found.root).as_posix()
            if name in (NAME, METADATA):
                raise UsageError(f"'{name}' is made anew; leave it out")
            chosen[name] = path
    return chosen


def _experiment(found: Closure, report: Report, algorithm: str | None) -> tuple[str, bytes] | None:
    """Name and text of the SED-ML file, None for a model without a Simulation."""
    document = found.document
    if document.main.kind != "lems" or document.target is None:
        report.add("no-simulation", "info", "the model has no Simulation, so there is no SED-ML file")
        return None
    simulation = resolve(document.elements(), document.library(report), report).simulation(document.target)
    main = PurePosixPath(found.main)
    name = main.with_name(main.name.removesuffix(".xml").removeprefix("LEMS_") + ".sedml").as_posix()
    return name, sedml_text(main.name, simulation, requested(simulation), report, algorithm)


def _metadata(found: Closure, about: About | None, target: Path) -> bytes:
    title = PurePosixPath(found.main).name.split(".")[0].removeprefix("LEMS_")
    about = about or About(title)
    if not about.description:
        about = replace(about, description=described(found.document, f"{about.title}, a NeuroML model."))
    text = archive_rdf(about, f"http://omex-library.org/{target.stem}.omex")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()

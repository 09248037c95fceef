"""nmlbridge archive: COMBINE archives, made, checked and unpacked."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ..report import Report
from .options import say_notes, whole

_CREATE = """\
The archive has the model with all it includes, a SED-ML file of its simulation, metadata and a manifest. The same
content gives the same bytes.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    raw = argparse.RawDescriptionHelpFormatter
    create = parts.add_parser("create", help="pack a model", epilog=_CREATE, formatter_class=raw)
    create.add_argument("model", type=Path, help="a LEMS or NeuroML file")
    create.add_argument("files", type=Path, nargs="*", metavar="FILE", help="what else goes in: files or folders")
    create.add_argument("-o", "--output", type=Path, metavar="FILE", help="the archive (default: MODEL.omex)")
    create.add_argument("--no-sedml", action="store_true", help="do not write SED-ML")
    create.add_argument("--kisao", metavar="TERM", help="algorithm in the SED-ML, like KISAO:0000032")
    add_about(create)
    check = parts.add_parser("check", help="say what is wrong with an archive")
    check.add_argument("archive", type=Path)
    extract = parts.add_parser("extract", help="unpack an archive, which cannot write outside of its folder")
    extract.add_argument("archive", type=Path)
    extract.add_argument("-o", "--output", type=Path, metavar="DIR", help="a new or empty folder (default: its name)")
    for part in (check, extract):
        part.add_argument("--most-bytes", type=whole(1), metavar="N", help="refuse more than N bytes (default 4 GiB)")
    for part in (create, check, extract):
        part.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer with one JSON object")


def add_about(parser: argparse.ArgumentParser) -> None:
    """The options that say what a model is and whose."""
    parser.add_argument("--title", metavar="TEXT", help="title (default: the model's name)")
    parser.add_argument("--description", metavar="TEXT", help="description (default: the model's notes)")
    parser.add_argument("--author", action="append", default=[], metavar="NAME", help="repeat for more")
    parser.add_argument("--orcid", action="append", default=[], metavar="ID", help="of each author, in their order")
    parser.add_argument("--doi", metavar="DOI", help="of the publication")
    parser.add_argument("--source", metavar="URL", help="where the model comes from, like its ModelDB entry")
    parser.add_argument("--license", metavar="SPDX", help="licence, like MIT or CC-BY-4.0")


def run(arguments: argparse.Namespace) -> int:
    """Do the part that was asked for."""
    return {"create": _create, "check": _check, "extract": _extract}[arguments.part](arguments)


def _create(arguments: argparse.Namespace) -> int:
    from ..errors import UsageError
    from ..portal.about import about_from
    from ..portal.archive import create_archive

    if arguments.kisao is not None and not arguments.kisao.startswith("KISAO:"):
        raise UsageError(f"'{arguments.kisao}' is no KiSAO term; expected KISAO:0000030")
    model, report = arguments.model, Report()
    target = arguments.output or Path(model.name.split(".")[0] + ".omex")
    about = about_from(vars(arguments), model.name.split(".")[0].removeprefix("LEMS_"))
    names = create_archive(model, target, files=arguments.files, sedml=not arguments.no_sedml,
                           algorithm=arguments.kisao, about=about, report=report)  # fmt: skip
    if arguments.json:
        print(json.dumps({"archive": str(target), "files": names, "notes": report.to_json()}))
        return 0
    say_notes(report)
    print(f"{target}: {len(names)} files")
    return 0


def _limits(arguments: argparse.Namespace) -> object:
    from ..portal.archive import Limits

    return Limits(total=arguments.most_bytes) if arguments.most_bytes is not None else Limits()


def _check(arguments: argparse.Namespace) -> int:
    from ..portal.archive import check_archive

    found = check_archive(arguments.archive, _limits(arguments))  # type: ignore[arg-type]
    bad = any(finding.severity == "error" for finding in found)
    if arguments.json:
        print(json.dumps({"valid": not bad, "findings": [asdict(finding) for finding in found]}))
    else:
        for finding in found:
            print(finding)
        print(f"{arguments.archive}: {'not valid' if bad else 'valid'}")
    return 1 if bad else 0


def _extract(arguments: argparse.Namespace) -> int:
    from ..portal.archive import extract_archive

    folder = arguments.output or Path(arguments.archive.stem)
    files = extract_archive(arguments.archive, folder, _limits(arguments))  # type: ignore[arg-type]
    if arguments.json:
        print(json.dumps({"folder": str(folder), "files": [str(file) for file in files]}))
    else:
        print(f"{folder}: {len(files)} files")
    return 0

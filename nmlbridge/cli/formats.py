"""nmlbridge formats: which formats there are, which way they go, and what they can carry."""

from __future__ import annotations

import argparse
import json

from ..registry import backends, formats


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's options."""
    parser.add_argument("--types", action="store_true", help="which ComponentTypes of NeuroML run on which backend")


def run(arguments: argparse.Namespace) -> int:
    """Print the table of formats and backends."""
    if arguments.types:
        from ..simulator.coverage import markdown

        print(markdown(), end="")
        return 0
    rows = [
        {
            "name": record.name,
            "title": record.title,
            "read": record.reader is not None,
            "write": record.writer is not None,
            "extensions": list(record.extensions),
            "features": sorted(record.features),
            "as mechanisms": sorted(record.compiled),
            "specification": record.specification,
        }
        for record in formats().values()
    ]
    from ..results import results_formats

    results = [
        {"name": r.name, "title": r.title, "read": r.reader is not None, "write": r.writer is not None,
         "extensions": list(r.extensions), "features": sorted(r.features)}
        for r in results_formats().values()
    ]  # fmt: skip
    engines = [{"name": b.name, "title": b.title, "features": sorted(b.features)} for b in backends().values()]
    if arguments.json:
        print(json.dumps({"formats": rows, "results": results, "backends": engines}))
        return 0
    wide = max(len(str(row["name"])) for row in rows)
    for record in formats().values():
        ways = " and ".join(way for way, there in (("read", record.reader), ("write", record.writer)) if there)
        files = ", ".join((*record.extensions, *record.in_folder))
        print(f"{record.name:{wide}}  {record.title} ({files}): {ways}")
    _matrix([(record.name, record.features, record.compiled) for record in formats().values()])
    print("\nresults")
    for kind in results_formats().values():
        ways = " and ".join(way for way, there in (("read", kind.reader), ("write", kind.writer)) if there)
        needs = f"; needs nmlbridge[{kind.extra}]" if kind.extra else ""
        print(f"{kind.name:{wide}}  {kind.title} ({', '.join(kind.extensions)}): {ways}{needs}")
    print("\nbackends")
    for backend in backends().values():
        print(f"{backend.name:{wide}}  {backend.title}")
    return 0


def _matrix(rows: list[tuple[str, frozenset[str], frozenset[str]]]) -> None:
    """A column a format, a row a feature; m: goes over as mechanisms of NEURON, and is not read back as it was."""
    from ..graph.features import FEATURES

    others = sorted(set().union(*(features for _, features, _ in rows)) - set(FEATURES))
    wide = max(map(len, [*FEATURES, *others]))
    print(f"\n{'carries':{wide}}  " + "  ".join(name for name, *_ in rows))
    for feature in (*FEATURES, *others):
        marks = "  ".join(("x" if feature in features else "m" if feature in compiled else "-").center(len(name))
                          for name, features, compiled in rows)  # fmt: skip
        print(f"{feature:{wide}}  {marks}".rstrip())

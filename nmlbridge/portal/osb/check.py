"""What a repository has and lacks, line by line. Nothing of it is run; whatever it holds, the check goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from ...errors import ModelError, NmlBridgeError, UsageError, placed
from ...lems import resolve
from ...neuroml import read_document, validate
from ..closure import case_clash, name_problem
from ..omv.files import SIMULATE, VALIDATE, read_test

LEVELS = ("pass", "warn", "fail")
_SKIPPED = frozenset({".git", "__pycache__", "node_modules", "x86_64", "arm64", ".venv"})
_MOST_BYTES = 100_000_000  # GitHub refuses larger files
_MOST_SAID = 10  # lines of one rule


@dataclass(frozen=True)
class Line:
    """One answer: ``level`` is pass, warn or fail, ``rule`` what was asked, ``file`` and ``line`` where."""

    level: str
    rule: str
    message: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.level.upper():4} {self.rule}: {placed(self.message, self.file, self.line)}"

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Tree:
    """The files of a repository: paths relative to ``root``, without those that tools make."""

    root: Path
    names: tuple[str, ...]

    def ending(self, *ends: str) -> list[str]:
        return [name for name in self.names if name.lower().endswith(ends)]

    def top(self, *starts: str) -> list[str]:
        """Files at the top whose names begin so."""
        return [name for name in self.names if "/" not in name and name.upper().startswith(starts)]


def check_repository(folder: str | Path) -> list[Line]:
    """Every rule's answer for the repository in ``folder``. Raises UsageError if there is no such folder."""
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"'{folder}' is no folder")
    tree = _Tree(root, tuple(_walk(root)))
    lines: list[Line] = []
    for rule, asked in _RULES.items():
        try:
            found = list(asked(tree))
        except NmlBridgeError as fault:
            found = [_failed(rule, fault)]
        except Exception as fault:  # a stranger's repository: one rule that stumbles must not hide the others
            found = [Line("fail", rule, f"could not be checked: {type(fault).__name__}: {fault}"[:300])]
        lines += _shortened(rule, found)
    return lines


def _walk(root: Path) -> Iterator[str]:
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(files):
            yield Path(place, name).relative_to(root).as_posix()


def _shortened(rule: str, found: list[Line]) -> list[Line]:
    """The worst first, and not too many."""
    order = sorted(found, key=lambda line: -LEVELS.index(line.level))
    if len(order) <= _MOST_SAID:
        return order
    rest = len(order) - _MOST_SAID
    return [*order[:_MOST_SAID], Line(order[_MOST_SAID].level, rule, f"and {rest} more")]


def _failed(rule: str, fault: NmlBridgeError, file: str | None = None, level: str = "fail") -> Line:
    if isinstance(fault, ModelError):
        who = f"component '{fault.component}': " if fault.component else ""
        return Line(level, rule, who + fault.message, file or fault.file, fault.line)
    return Line(level, rule, str(fault), file)


def _there(rule: str, level: str, found: list[str], lacking: str) -> Line:
    return Line("pass", rule, found[0]) if found else Line(level, rule, lacking)


def _readme(tree: _Tree) -> Iterator[Line]:
    found = tree.top("README")
    yield _there("readme", "fail", found, "there is no README.md at the top; the portal shows it as the description")
    if found and not (tree.root / found[0]).read_text(encoding="utf-8", errors="replace").strip():
        yield Line("fail", "readme", "it is empty", found[0])


def _licence(tree: _Tree) -> Iterator[Line]:
    found = tree.top("LICENSE", "LICENCE", "COPYING")
    yield _there("license", "fail", found, "there is no LICENSE; without one nobody may use the model")


def _citation(tree: _Tree) -> Iterator[Line]:
    yield _there("citation", "fail", tree.top("CITATION.MD", "CITATION.TXT", "CITATION.CFF"), "there is no CITATION.md")
    cff = [name for name in tree.names if name == "CITATION.cff"]
    if not cff:
        yield Line("warn", "citation", "there is no CITATION.cff, which GitHub shows as 'Cite this repository'")
        return
    content = _yaml(tree.root / cff[0])
    for key in ("cff-version", "message", "title", "authors"):
        if not isinstance(content, dict) or not content.get(key):
            yield Line("fail", "citation", f"'{key}' is not given", cff[0])


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8", errors="replace"))
    except (yaml.YAMLError, RecursionError, ValueError) as fault:
        mark = getattr(fault, "problem_mark", None)
        said = getattr(fault, "problem", None) or type(fault).__name__
        raise ModelError(f"this is not YAML: {said}", file=path.name, line=mark.line + 1 if mark else None) from None


def _workflow(tree: _Tree) -> Iterator[Line]:
    found = [name for name in tree.names if name.startswith(".github/workflows/") and name.endswith((".yml", ".yaml"))]
    running = [n for n in found if "omv" in (tree.root / n).read_text(encoding="utf-8", errors="replace").lower()]
    yield _there("workflow", "warn", running, "no workflow in .github/workflows runs OMV")
    for name in found:
        content = _yaml(tree.root / name)
        if not isinstance(content, dict) or "jobs" not in content:
            yield Line("fail", "workflow", "a workflow needs 'jobs:'", name)


def _layout(tree: _Tree) -> Iterator[Line]:
    lems = [name for name in tree.ending(".xml") if Path(name).name.startswith("LEMS_")]
    yield _there("layout", "warn", lems, "there is no LEMS_*.xml, so no simulation that the portal can offer")
    inside = [name for name in tree.names if "NeuroML2/" in name]
    yield _there("layout", "warn", inside[:1] and ["NeuroML2"], "there is no folder NeuroML2")


def _osb(tree: _Tree) -> Iterator[Line]:
    if "_osb.yml" not in tree.names:
        yield Line("warn", "_osb.yml", "there is none; version 1 of the portal then shows no main model")
        return
    content = _yaml(tree.root / "_osb.yml")
    main = content.get("mainModel") if isinstance(content, dict) else None
    if not isinstance(main, str) or main not in tree.names:
        yield Line("fail", "_osb.yml", f"mainModel '{main}' names no file of the repository", "_osb.yml")
    else:
        yield Line("pass", "_osb.yml", main)


def _names(tree: _Tree) -> Iterator[Line]:
    wrong = [(name, problem) for name in tree.names if (problem := name_problem(name))]
    for name, problem in wrong:
        yield Line("fail", "names", problem, name)
    clash = case_clash(list(tree.names))
    if clash:
        yield Line("fail", "names", f"differs from '{clash[1]}' in case alone", clash[0])
    home = tree.root.resolve()
    for name in tree.names:
        path = tree.root / name
        if path.is_symlink() and not (path.exists() and path.resolve().is_relative_to(home)):
            yield Line("fail", "names", "is a link that leads out of the repository, or nowhere", name)
        elif path.is_file() and path.stat().st_size > _MOST_BYTES:
            yield Line("warn", "names", "is larger than the 100 MB that GitHub takes", name)
    if not wrong and not clash:
        yield Line("pass", "names", f"{len(tree.names)} files can be shared")


def _neuroml(tree: _Tree) -> Iterator[Line]:
    valid = 0
    files = tree.ending(".nml")
    said: set[tuple[str, int | None, str]] = set()
    for name in files:
        problems = [p for p in validate(tree.root / name) if p.severity == "error"]
        valid += not problems
        for problem in problems[:_MOST_SAID]:
            at = _file_of(tree, name, problem.file)
            if (at, problem.line, problem.message) not in said:
                said.add((at, problem.line, problem.message))
                yield Line("fail", "neuroml", problem.message, at, problem.line)
    if files and valid == len(files):
        yield Line("pass", "neuroml", f"{valid} files are valid")
    elif not files and not tree.ending(".nml.h5"):
        yield Line("warn", "neuroml", "there are no NeuroML files (.nml)")


def _file_of(tree: _Tree, asked: str, named: str | None) -> str:
    """The file that a problem is in: named in full, or relative to the one that was asked for."""
    for path in (Path(named or asked), tree.root / Path(asked).parent / (named or "")):
        if path.is_file() and path.resolve().is_relative_to(tree.root.resolve()):
            return path.resolve().relative_to(tree.root.resolve()).as_posix()
    return asked


def _lems(tree: _Tree) -> Iterator[Line]:
    home, good = tree.root.resolve(), 0
    files = [name for name in tree.ending(".xml") if Path(name).name.startswith("LEMS_")]
    for name in files:
        try:
            document = read_document(tree.root / name)
            model = resolve(document.elements(), document.library())
            if document.target is not None:
                model.simulation(document.target)
        except NmlBridgeError as fault:
            yield _failed("lems", fault, name)
            continue
        outside = [file.path for file in document.files if not file.path.resolve().is_relative_to(home)]
        if outside:
            yield Line("fail", "lems", f"includes '{outside[0].name}' from outside of the repository", name)
        elif document.target is None:
            yield Line("warn", "lems", "has no Target, so it cannot be run", name)
        else:
            good += 1
    if good:
        yield Line("pass", "lems", f"{good} of {len(files)} simulations resolve")


def _tests(tree: _Tree) -> Iterator[Line]:
    files = tree.ending(".omt")
    if not files:
        yield Line("warn", "tests", "there are no OMV tests (.omt); `nmlbridge omv new` writes them")
        return
    tested, good, validated, projects = set(), 0, False, False
    for name in files:
        try:
            test = read_test(tree.root / name)
        except NmlBridgeError as fault:
            yield _failed("tests", fault, name)
            continue
        absent = [target for target in test.targets if not target.exists()]
        if test.engine in SIMULATE | VALIDATE and (absent or not test.targets):
            yield Line("fail", "tests", f"the target '{absent[0].name if absent else ''}' is not there", name)
            continue
        good += 1
        validated = validated or test.engine in VALIDATE
        tested |= {target.resolve() for target in test.targets}
        projects = projects or any((target.parent / "model" / "program.json").is_file() for target in test.targets)
        for warning in test.warnings:
            yield Line("warn", "tests", warning, name)
    if not validated:
        yield Line("warn", "tests", "no test validates the NeuroML files (engine jNeuroML_validate)")
    for lems in tree.ending(".xml"):
        if Path(lems).name.startswith("LEMS_") and not projects and (tree.root / lems).resolve() not in tested:
            yield Line("warn", "tests", "no test runs it", lems)
    yield Line("pass", "tests", f"{good} of {len(files)} tests can be read and have their targets")


def _npjson(tree: _Tree) -> Iterator[Line]:
    files = tree.ending(".npjson")
    if not files:
        yield Line("warn", "npjson", "there is no index.npjson, so NetPyNE UI does not offer the model")
    for name in files:
        content, where = _json(tree.root / name), (tree.root / name).parent
        lacking = [key for key in ("simConfig", "netParams") if not isinstance(content.get(key), str)]
        for key in lacking:
            yield Line("fail", "npjson", f"'{key}' is not given", name)
        absent = [content[k] for k in ("simConfig", "netParams", "mod_folder")
                  if isinstance(content.get(k), str) and not (where / content[k]).exists()]  # fmt: skip
        for file in absent:
            yield Line("fail", "npjson", f"'{file}' is not there", name)
        if not lacking and not absent:
            yield Line("pass", "npjson", name)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as fault:
        raise ModelError(f"this is not JSON: {fault}", file=path.name, line=getattr(fault, "lineno", None)) from None
    if not isinstance(content, dict):
        raise ModelError("expected a JSON object", file=path.name)
    return content


def _notebooks(tree: _Tree) -> Iterator[Line]:
    files = tree.ending(".ipynb")
    if not files:
        yield Line("warn", "notebooks", "there is no notebook, so JupyterLab of the portal has nothing to open")
    for name in files:
        content = _json(tree.root / name)
        if not isinstance(content.get("cells"), list) or "nbformat" not in content:
            yield Line("fail", "notebooks", "this is no notebook of version 4", name)
        else:
            yield Line("pass", "notebooks", name)


def _nwb(tree: _Tree) -> Iterator[Line]:
    from ...results import read_results

    for name in tree.ending(".nwb"):
        try:
            found = read_results(tree.root / name, format="nwb")
        except UsageError as fault:
            yield Line("warn", "nwb", f"not looked into: {fault}", name)
            return
        except NmlBridgeError as fault:
            yield _failed("nwb", fault, name)
            continue
        empty = not len(found.traces) and not len(found.spikes)
        said = f"{len(found.traces)} traces, {len(found.spikes)} spikes"
        yield Line("warn" if empty else "pass", "nwb", said, name)


_RULES: dict[str, Callable[[_Tree], Iterator[Line]]] = {
    "readme": _readme, "license": _licence, "citation": _citation, "layout": _layout, "names": _names,
    "neuroml": _neuroml, "lems": _lems, "tests": _tests, "workflow": _workflow, "_osb.yml": _osb, "npjson": _npjson,
    "notebooks": _notebooks, "nwb": _nwb,
}  # fmt: skip

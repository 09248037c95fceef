"""What the source files keep to, read from their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

LONGEST = 600  # lines

# Who alone may import what; paths are relative to the repository.
HOMES = {
    "neuron": ("simulator/neuron/",),
    "matplotlib": ("nmlbridge/plot/",),
    "lxml": ("nmlbridge/neuroml/",),
    "h5py": ("nmlbridge/neuroml/", "nmlbridge/results/", "converters/"),
    "pyneuroml": (),
    "pickle": (),
    "argparse": ("nmlbridge/cli/",),
}


def _sources(repository: Path) -> Iterator[tuple[str, ast.Module]]:
    """Relative path and syntax tree of every file of the package, each once (the links are not followed)."""
    for top in ("nmlbridge", "simulator", "converters"):
        for path in sorted((repository / top).rglob("*.py")):
            name = path.relative_to(repository).as_posix()
            if not name.startswith(("nmlbridge/simulator/", "nmlbridge/converters/")):
                yield name, ast.parse(path.read_text(), name)


def _calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Name and line of each call of a plain name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Top-level name and line of each absolute import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno


def test_only_the_command_line_prints_and_exits(repository: Path) -> None:
    found = [
        f"{name}:{line}: {call}"
        for name, tree in _sources(repository)
        for call, line in _calls(tree)
        if call in ("print", "exit", "quit", "input") and not name.startswith("nmlbridge/cli/")
    ]
    assert found == []


def test_model_text_is_never_run(repository: Path) -> None:
    found = [
        f"{name}:{line}: {call}"
        for name, tree in _sources(repository)
        for call, line in _calls(tree)
        if call in ("eval", "exec", "compile")
    ]
    assert found == []


def test_arrays_are_never_unpickled(repository: Path) -> None:
    allowed = [
        f"{name}:{node.value.lineno}"
        for name, tree in _sources(repository)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg == "allow_pickle"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert allowed == []


def test_heavy_imports_stay_in_their_homes(repository: Path) -> None:
    found = [
        f"{name}:{line}: {module}"
        for name, tree in _sources(repository)
        for module, line in _imports(tree)
        if module in HOMES and not name.startswith(HOMES[module])
    ]
    assert found == []


def test_no_global_statement(repository: Path) -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in _sources(repository)
        for node in ast.walk(tree)
        if isinstance(node, ast.Global)
    ]
    assert found == []


def test_files_are_short(repository: Path) -> None:
    for name, _ in _sources(repository):
        assert len((repository / name).read_text().splitlines()) <= LONGEST, name


def test_modules_say_what_they_are(repository: Path) -> None:
    bare = [name for name, tree in _sources(repository) if tree.body and ast.get_docstring(tree) is None]
    assert bare == []


def test_each_all_names_what_is_there(repository: Path) -> None:
    for name, tree in _sources(repository):
        for node in tree.body:
            if not (isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]):
                continue
            listed = ast.literal_eval(node.value)
            assert len(listed) == len(set(listed)), name
            if name == "nmlbridge/__init__.py":
                continue  # looked up lazily; test_import.py resolves each
            defined = {
                target
                for part in tree.body
                for target in (
                    [alias.asname or alias.name for alias in part.names]
                    if isinstance(part, ast.Import | ast.ImportFrom)
                    else [part.name]
                    if isinstance(part, ast.FunctionDef | ast.ClassDef)
                    else [ast.unparse(t) for t in part.targets]
                    if isinstance(part, ast.Assign)
                    else [ast.unparse(part.target)]
                    if isinstance(part, ast.AnnAssign)
                    else []
                )
            }
            assert set(listed) <= defined, f"{name}: {sorted(set(listed) - defined)}"

"""What a script would do to a network after it has handed the model to NetPyNE's simulator: it ends there."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...report import Report

_USUAL = frozenset({
    "sim.net.createPops", "sim.net.createCells", "sim.net.connectCells", "sim.net.subcellularConn", "sim.net.addStims",
    "sim.net.addRxD", "sim.net.defineCellShapes", "sim.net.calcSegCoords",
})  # fmt: skip
"""what only makes the network that the rules state"""
_LOOPS = "IntervalFunc"
_OWNERS = ("sim.net.", "h.", "neuron.h.")
_SHOWN = 3


def note_undone(frames: Sequence[Sequence[Any]], report: Report) -> None:
    """Note what the statements after a call may change. ``frames`` are (file, line, function, its first line), the
    module's first; functions of files that cannot be read are passed over."""
    for file, line, name, first in frames:
        try:
            tree = ast.parse(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError):
            continue
        found = [*_changes(_body(tree, str(name), int(first)), int(line))]
        if found:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            shown = "; ".join(f"line {at}: {text}" for at, text in found[:_SHOWN])
            report.add("netpyne-script", "loss", f"the script hands the model to NetPyNE in line {line} and ends "
                       f"there; what it would do to the network then is left out ({shown}{more}). A Session does so",
                       file=str(file))  # fmt: skip


def _body(tree: ast.Module, name: str, first: int) -> list[ast.stmt]:
    """The statements of a function, or of the module."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            start = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if start == first:
                return node.body
    return tree.body if name == "<module>" else []


def _changes(body: Sequence[ast.stmt], line: int) -> Iterator[tuple[int, str]]:
    """Lines after ``line`` that change the network or the run, and their text."""
    for statement in body:
        if (statement.end_lineno or statement.lineno) <= line:
            continue
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for node in ast.walk(statement):
            if getattr(node, "lineno", 0) > line and (text := _change(node)):
                yield node.lineno, text  # type: ignore[attr-defined]


def _change(node: ast.AST) -> str:
    """The text of a call or an assignment that changes the network or the run; "" for anything else."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        owned = name.startswith(_OWNERS) and name not in _USUAL
        return f"{name}(...)" if owned or (name.startswith("sim.") and name.endswith(_LOOPS)) else ""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    for target in targets:
        if isinstance(target, (ast.Attribute, ast.Subscript)) and ast.unparse(target).startswith(_OWNERS):
            return f"{ast.unparse(target)} = ..."
    return ""

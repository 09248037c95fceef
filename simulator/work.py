"""The arithmetic of mechanisms and cells in one step, read off their texts: nothing is built or run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_BLOCK = re.compile(r"^\s*(BREAKPOINT|DERIVATIVE|KINETIC|PROCEDURE|FUNCTION|BEFORE|AFTER)\b", re.MULTILINE)
_NAME = re.compile(r"\b(SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)")
_OPERATION = re.compile(r"[-+*/]|[<>]=?|==|!=")
_SIGN = re.compile(r"(^|[-+*/(,=<>{}]|\n)(\s*)-")
_INNERMOST = re.compile(r"(\w*)\s*\(([^()]*)\)")
_CALLS = frozenset({"exp", "log", "log10", "pow", "sqrt", "sin", "cos", "tan", "tanh", "atan", "heaviside"})
_STATE = re.compile(r"\b\w+'\s*=")
_BUILT_IN = {"hh": (60.0, 10.0), "pas": (3.0, 0.0), "ExpSyn": (4.0, 1.0), "Exp2Syn": (6.0, 2.0), "IClamp": (3.0, 0.0)}


@dataclass(frozen=True)
class Work:
    """The arithmetic of one instance of a mechanism in one step."""

    kind: str  # density, point or artificial
    operations: float
    calls: float
    """of functions such as exp, which take longer"""


def work(mods: Mapping[str, str]) -> dict[str, Work]:
    """The arithmetic of each mechanism in a set of mod files, by the mechanism's name."""
    found = {}
    for text in mods.values():
        name = _NAME.search(text)
        if name is None:
            continue
        kind = {"SUFFIX": "density", "POINT_PROCESS": "point"}.get(name.group(1), "artificial")
        operations = calls = 0.0
        for body in _stepping(text):
            some, called = _arithmetic(body)
            operations += some
            calls += called
        if re.search(r"METHOD\s+cnexp", text):
            calls += len(_STATE.findall(text))  # each is advanced by an exponential
        found[name.group(2)] = Work(kind, operations, calls)
    return found


def work_of(mechanism: str, known: Mapping[str, Work], kind: str) -> Work:
    """That of a mechanism; NEURON's own have no text here."""
    return known.get(mechanism) or Work(kind, *_BUILT_IN.get(mechanism, (10.0, 1.0)))


def contents(template: Mapping[str, Any]) -> tuple[int, dict[str, int]]:
    """Segments of a cell, and how many instances of each mechanism it has."""
    sizes = [int(section.get("nseg", 1)) for section in template["sections"]]
    found: dict[str, int] = {}
    for insert in template.get("inserts", ()):
        number = sum(sizes[section] for section in insert["sections"])
        found[insert["mechanism"]] = found.get(insert["mechanism"], 0) + number
    for point in template.get("points", ()):
        found[point["mechanism"]] = found.get(point["mechanism"], 0) + 1
    return sum(sizes), found


def _arithmetic(body: str) -> tuple[int, int]:
    """Operations and calls of functions; equal expressions in parentheses count once, as a compiler computes them."""
    body = re.sub(r"(?<=[\d.])e[-+](?=\d)", "e", body)
    body = _SIGN.sub(r"\1\2", body)
    known: dict[tuple[str, str], int] = {}  # numbered as they come: every rank must count the same
    operations = calls = 0
    while found := _INNERMOST.search(body):
        name, inside = found.groups()
        if (name, inside.strip()) not in known:
            known[name, inside.strip()] = len(known)
            operations += len(_OPERATION.findall(inside)) * (name != "if") + (name == "if")
            calls += name in _CALLS or name.startswith("random_")
        body = f"{body[: found.start()]}[{known[name, inside.strip()]}]{body[found.end() :]}"
    powers = body.count("^")
    return operations + len(_OPERATION.findall(body)), calls + powers


def _stepping(text: str) -> Iterator[str]:
    """The bodies of the blocks that are executed at each step."""
    text = re.sub(r":.*", "", text)
    for found in _BLOCK.finditer(text):
        start = text.index("{", found.end())
        depth = 0
        for place in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                yield text[start + 1 : place]
                break

"""What a Program has of everything, rank by rank, and what one step of its mechanisms computes.

Nothing is built or run: the counts come from the Program's tables, the arithmetic from the mechanisms' texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..neuron.ranks import owner
from ..program import Program

Counts = NDArray[np.float64]  # one number a rank

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


@dataclass
class Load:
    """How many of each thing every rank has: arrays of one number a rank."""

    ranks: int
    cells: Counts
    segments: Counts
    netcons: Counts
    transfers: Counts
    instances: dict[str, Counts] = field(default_factory=dict)  # by mechanism
    columns: int = 0

    def zero(self) -> Counts:
        """No thing on any rank."""
        return np.zeros(self.ranks)

    def add(self, mechanism: str, counts: Counts) -> None:
        """So many more instances of a mechanism."""
        self.instances[mechanism] = self.instances.get(mechanism, self.zero()) + counts


def load(program: Program, ranks: int) -> Load:
    """Count a Program on so many ranks."""
    spec = program.spec
    empty = np.zeros(ranks)
    found = Load(ranks, empty.copy(), empty.copy(), empty.copy(), empty.copy())
    found.columns = sum("constant" not in recording for recording in spec.get("recordings", ()))
    templates = [_template(each) for each in spec.get("templates", ())]
    homes: dict[str, NDArray[np.int64]] = {}
    for population in spec.get("populations", ()):
        gids = np.arange(population["first_gid"], population["first_gid"] + population["size"])
        homes[population["id"]] = owner(gids, ranks)
        counts = _per_rank(homes[population["id"]], ranks)
        if "artificial" in population:
            found.add(population["artificial"], counts)
            continue
        segments, mechanisms = templates[population["template"]]
        found.cells += counts
        found.segments += segments * counts
        for mechanism, number in mechanisms.items():
            found.add(mechanism, number * counts)
    for kind in ("points", "generators"):
        for group in spec.get(kind, ()):
            home = owner(program.column(group["gid"]).astype(np.int64), ranks)
            if kind == "points":
                homes[group["id"]] = home
            found.add(group["mechanism"], _per_rank(home, ranks))
            if kind == "generators" and group.get("targets"):
                found.netcons += _per_rank(home, ranks)
    for group in spec.get("netcons", ()):
        rows = program.column(group["index"]).astype(np.int64)
        found.netcons += _per_rank(homes[group["points"]][rows], ranks)
    for group in spec.get("transfers", ()):
        rows = program.column(group["index"]).astype(np.int64)
        found.transfers += _per_rank(homes[group["points"]][rows], ranks)
    return found


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


def shortest_delay(program: Program) -> float:
    """The least delay (ms) between cells, after which ranks must exchange spikes; at most 10 ms."""
    delays = [program.column(group["delay"]) for group in program.spec.get("netcons", ())]
    least = min((float(column.min()) for column in delays if len(column)), default=10.0)
    return min(max(least, float(program.spec["run"]["dt"])), 10.0)


def _template(template: Mapping[str, Any]) -> tuple[int, dict[str, int]]:
    """Segments of a cell, and how many instances of each mechanism it has."""
    sizes = [int(section.get("nseg", 1)) for section in template["sections"]]
    found: dict[str, int] = {}
    for insert in template.get("inserts", ()):
        number = sum(sizes[section] for section in insert["sections"])
        found[insert["mechanism"]] = found.get(insert["mechanism"], 0) + number
    for point in template.get("points", ()):
        found[point["mechanism"]] = found.get(point["mechanism"], 0) + 1
    return sum(sizes), found


def _per_rank(home: NDArray[np.int64], ranks: int) -> Counts:
    return np.bincount(home, minlength=ranks).astype(float)


def _arithmetic(body: str) -> tuple[int, int]:
    """Operations and calls of functions; equal expressions in parentheses count once, as a compiler computes them."""
    body = re.sub(r"(?<=[\d.])e[-+](?=\d)", "e", body)
    body = _SIGN.sub(r"\1\2", body)
    known: set[tuple[str, str]] = set()
    operations = calls = 0
    while found := _INNERMOST.search(body):
        name, inside = found.groups()
        if (name, inside.strip()) not in known:
            known.add((name, inside.strip()))
            operations += len(_OPERATION.findall(inside)) * (name != "if") + (name == "if")
            calls += name in _CALLS or name.startswith("random_")
        body = f"{body[: found.start()]}[{hash((name, inside.strip())) & 0xFFFFFFFF:x}]{body[found.end() :]}"
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

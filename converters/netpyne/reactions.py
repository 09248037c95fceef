"""rxdParams: reactions and diffusion. Its formulas are Python; they are parsed, written anew, and never run."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import NetworkError, UnsupportedError
from ...graph import NativeCell, Network
from ...graph.chemistry import FUNCTIONS
from ...graph.reactions import GEOMETRIES, Part, Reaction, Reactions, Region, Species
from .config import Recorded

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^"}
_COMPARISONS = {ast.Lt: "<", ast.Gt: ">", ast.LtE: "<=", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
OF_NODE = {
    "x": "node.x3d", "y": "node.y3d", "z": "node.z3d", "diam": "node.segment.diam",
    "path_dist": "sim.h.distance(sim.h.SectionRef(sec=node.segment.sec).root(0), node.segment)",
}  # fmt: skip
"""what an initial value may vary with, in the Python of NetPyNE's functions of a node"""
_OF_NODE = {text: name for name, text in OF_NODE.items()}
_ALIASES = {"abs": "fabs"}
_LONGEST = 20000  # characters of a formula whose conditions are written out
_PARTS = ("regions", "extracellular", "species", "states", "parameters", "reactions", "multicompartmentReactions",
          "rates", "constants")  # fmt: skip


def chemistry_of(params: Any, members: Recorded, network: Network, file: str | None) -> Reactions | None:
    """What rxdParams state; None if they state nothing. Raises errors that name the entry."""
    if not params:
        return None
    for part, entries in params.items():
        if part not in _PARTS:
            raise UnsupportedError(f"netParams.rxdParams: '{part}' is not supported; there are {', '.join(_PARTS)}")
        if not isinstance(entries, Mapping):
            raise NetworkError(f"netParams.rxdParams.{part}: expected entries by label", file=file)
    constants = {name: float(value) for name, value in params.get("constants", {}).items()}
    regions = {name: _region(name, spec, members, network) for name, spec in params.get("regions", {}).items()}
    if params.get("extracellular"):
        regions["extracellular"] = _region("extracellular", {**params["extracellular"], "extracellular": True}, members,
                                           network)  # fmt: skip
    species: dict[str, Species] = {}
    called: dict[str, str] = {}  # the names of those that have others than their labels
    for part, kind, word in (("species", "species", "initial"), ("states", "state", "initial"),
                             ("parameters", "parameter", "value")):  # fmt: skip
        for name, spec in params.get(part, {}).items():
            where = tuple(_list(spec.get("regions")))
            initial = _initial(spec.get(word), where, regions, f"netParams.rxdParams.{part}.{name}")
            if kind == "parameter" and initial is None:
                initial = 0.0
            known = str(spec.get("name") or name)
            if known != name:
                called[name] = known
            if known in species or known in constants:
                raise NetworkError(f"netParams.rxdParams.{part}.{name}: the name '{known}' is there twice", file=file)
            species[known] = Species(
                known, where, kind, _number(spec.get("d") or 0.0), int(spec.get("charge") or 0), initial,
                spec.get("ecs_boundary_conditions"), float(spec["atolscale"]) if spec.get("atolscale") else None,
            )  # fmt: skip
    reactions = {}
    for part, kind in (("reactions", "reaction"), ("multicompartmentReactions", "multicompartment")):
        for name, spec in params.get(part, {}).items():
            reactions[name] = _reaction(name, kind, spec, f"netParams.rxdParams.{part}.{name}")
    for name, spec in params.get("rates", {}).items():
        place = f"netParams.rxdParams.rates.{name}"
        named = [each for each in _list(spec.get("regions")) if each is not None]
        reactions[name] = Reaction(
            name, "rate", str(_formula(spec.get("species"), place)), "", _formula(spec.get("rate"), place), None,
            tuple(named) or None, membrane_flux=bool(spec.get("membrane_flux")),
        )  # fmt: skip
    if called:
        reactions = {label: _renamed(reaction, called) for label, reaction in reactions.items()}
    return Reactions(regions, species, reactions, constants, file)


def _renamed(reaction: Reaction, called: Mapping[str, str]) -> Reaction:
    """The reaction with the names of species, which its formulas call by their labels; in brackets are regions."""
    label = re.compile(rf"(?<![\w\[])({'|'.join(map(re.escape, called))})(?!\w)")
    changed = {
        word: label.sub(lambda match: called[match[1]], value) for word in ("left", "right", "forward", "backward")
        if isinstance(value := getattr(reaction, word), str)
    }  # fmt: skip
    return replace(reaction, **changed)  # type: ignore[arg-type]


def _region(name: str, spec: Mapping[str, Any], members: Recorded, network: Network) -> Region:
    place = f"netParams.rxdParams.regions.{name}"
    if spec.get("extracellular"):
        try:
            box = tuple(float(spec[axis + end]) for end in ("lo", "hi") for axis in "xyz")
            dx = _number(spec["dx"])
        except KeyError as missing:
            raise NetworkError(f"{place}: {missing} is missing") from None
        return Region(name, box=box, dx=dx, volume_fraction=float(spec.get("volume_fraction", 1)),
                      tortuosity=float(spec.get("tortuosity", 1)))  # fmt: skip
    sections = [each for each in _list(spec.get("secs", "all")) if each is not None]
    rows: dict[str, list[int]] = {}
    for population, row in members.chosen(spec.get("cells", ["all"]), place):
        rows.setdefault(population, []).append(row)
    parts = []
    for population, chosen in rows.items():
        cell = network.native.get(network.populations[population].component)
        if not isinstance(cell, NativeCell):
            continue
        inside = None
        if "all" not in sections:
            inside = np.array([cell.index[s] for s in sections if s in cell.index], np.int64)
        if inside is None or len(inside):
            parts.append(Part(population, np.array(chosen, np.int64), inside))
    geometry: Any = spec.get("geometry") or "inside"
    numbers = dict(geometry.get("args") or {}) if isinstance(geometry, Mapping) else {}
    kind = geometry.get("class") if isinstance(geometry, Mapping) else geometry
    if kind not in GEOMETRIES:
        raise UnsupportedError(f"{place}: the geometry {kind!r:.40} is not supported")
    return Region(name, tuple(parts), spec.get("nrn_region"), kind, {k: v for k, v in numbers.items() if v is not None})


def _reaction(name: str, kind: str, spec: Mapping[str, Any], place: str) -> Reaction:
    for word in ("reactant", "product", "rate_f"):
        if word not in spec:
            raise NetworkError(f"{place}: '{word}' is missing")
    regions = [each for each in _list(spec.get("regions")) if each is not None]
    backward = spec.get("rate_b")
    return Reaction(
        name, kind, str(_formula(spec["reactant"], place)), str(_formula(spec["product"], place)),
        _formula(spec["rate_f"], place), None if backward is None else _formula(backward, place),
        tuple(regions) or None, bool(spec.get("custom_dynamics")), spec.get("membrane"),
        bool(spec.get("membrane_flux")), bool(spec.get("scale_by_area", True)),
    )  # fmt: skip


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _number(value: Any) -> float | tuple[float, ...]:
    return tuple(float(v) for v in value) if isinstance(value, (list, tuple)) else float(value)


def _tree(text: str, place: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        raise NetworkError(f"{place}: '{text[:80]}' is no formula") from None


def _formula(value: Any, place: str) -> float | str:
    if isinstance(value, str):
        return _written(_tree(value, place), place)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise NetworkError(f"{place}: expected a number or a formula, not {value!r:.40}")
    return float(value)


def _initial(value: Any, where: Iterable[str], regions: Mapping[str, Region], place: str) -> Any:
    """An initial value: a number, or for each region what is left of the formula where the region is known."""
    if value is None or not isinstance(value, str):
        return None if value is None else _formula(value, place)
    return {name: _written(_Settled(name, regions).visit(_tree(value, place)), place) for name in where}


class _Settled(ast.NodeTransformer):
    """A formula in a region: ``a if node.region == er else b`` is a or b, and the borders of spaces are numbers."""

    def __init__(self, region: str, regions: Mapping[str, Region]) -> None:
        self.region, self.regions = region, regions

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        known = _holds(node.test, self.region, self.regions)
        return self.generic_visit(node) if known is None else self.visit(node.body if known else node.orelse)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        match = re.fullmatch(r"_([xyz])(lo|hi)", node.attr)
        box, dx = self._space(node.value)
        if match is None or not box:
            return self.generic_visit(node)
        axis = "xyz".index(match[1])
        low, high, step = box[axis], box[axis + 3], dx[axis]
        # the space is made of whole voxels
        return ast.Constant(low if match[2] == "lo" else low + step * math.ceil((high - low) / step))

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Attribute) and node.value.attr == "_dx" and isinstance(node.slice, ast.Constant):
            _, dx = self._space(node.value.value)
            at = node.slice.value
            if dx and isinstance(at, int) and 0 <= at < len(dx):
                return ast.Constant(dx[at])
        return self.generic_visit(node)

    def _space(self, owner: ast.expr) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The box and the voxels of a space outside of cells that a name means."""
        region = self.regions.get(owner.id) if isinstance(owner, ast.Name) else None
        if region is None or region.box is None:
            return (), ()
        return region.box, region.dx if isinstance(region.dx, tuple) else (region.dx,) * 3


def _holds(test: ast.expr, region: str, regions: Mapping[str, Region]) -> bool | None:
    """Whether a condition on a node's region or kind holds; None for another condition."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _holds(test.operand, region, regions)
        return None if inner is None else not inner
    if isinstance(test, ast.Call) and ast.unparse(test.func) == "isinstance" and len(test.args) == 2:
        kind = ast.unparse(test.args[1]).rpartition(".")[2]
        if kind in ("NodeExtracellular", "Node1D") and region in regions:
            return (regions[region].box is not None) == (kind == "NodeExtracellular")
    if isinstance(test, ast.Compare) and ast.unparse(test.left) == "node.region" and len(test.ops) == 1:
        operator, other = test.ops[0], test.comparators[0]
        if isinstance(operator, (ast.Eq, ast.Is, ast.NotEq, ast.IsNot)) and isinstance(other, ast.Name):
            return (other.id == region) == isinstance(operator, (ast.Eq, ast.Is))
        if isinstance(operator, ast.In) and isinstance(other, (ast.List, ast.Tuple)):
            return region in [ast.unparse(each) for each in other.elts]
    return None


def _chosen(test: ast.expr, yes: str, no: str, place: str) -> str:
    """One of two formulas, by a condition."""
    if isinstance(test, ast.BoolOp):
        both = isinstance(test.op, ast.And)
        for each in reversed(test.values):
            yes, no = (_chosen(each, yes, no, place), no) if both else (yes, _chosen(each, yes, no, place))
            if len(yes) + len(no) > _LONGEST:
                raise UnsupportedError(f"{place}: the condition '{ast.unparse(test)[:60]}' has too many parts")
        return yes if both else no
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _chosen(test.operand, no, yes, place)
    if isinstance(test, ast.Compare):
        values = [test.left, *test.comparators]
        for operator, left, right in reversed(list(zip(test.ops, values, values[1:], strict=False))):
            if type(operator) not in _COMPARISONS:
                break
            sides = f"{_written(left, place)} {_COMPARISONS[type(operator)]} {_written(right, place)}"
            yes = f"if({sides}, {yes}, {no})"
        else:
            return yes
    raise UnsupportedError(f"{place}: the condition '{ast.unparse(test)[:60]}' is not supported in a formula")


def _written(tree: ast.expr, place: str) -> str:
    """A Python formula in our words, with every operation in brackets, as Python binds it."""
    if isinstance(tree, (ast.Attribute, ast.Call)) and ast.unparse(tree) in _OF_NODE:
        return _OF_NODE[ast.unparse(tree)]
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (int, float)) and not isinstance(tree.value, bool):
        return repr(float(tree.value))
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        return f"({_written(tree.left, place)} {_OPERATORS[type(tree.op)]} {_written(tree.right, place)})"
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        return f"({'-' if isinstance(tree.op, ast.USub) else ''}{_written(tree.operand, place)})"
    if isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name) and isinstance(tree.slice, ast.Name):
        return f"{tree.value.id}[{tree.slice.id}]"
    if isinstance(tree, ast.IfExp):
        return _chosen(tree.test, _written(tree.body, place), _written(tree.orelse, place), place)
    if isinstance(tree, ast.Attribute) and ast.unparse(tree) == "rxd.v":
        return "v"
    if isinstance(tree, ast.Call) and not tree.keywords:
        owner, _, function = ast.unparse(tree.func).rpartition(".")
        function = _ALIASES.get(function, function)
        if owner in ("", "rxdmath", "rxd.rxdmath", "math", "np", "numpy") and function in FUNCTIONS:
            return f"{function}({', '.join(_written(each, place) for each in tree.args)})"
    raise UnsupportedError(f"{place}: '{ast.unparse(tree)[:60]}' is not supported in a formula")

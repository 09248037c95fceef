"""String functions of NetPyNE (``"0.4*exp(-dist_3D/lambda_c)"``): parsed and walked, never evaluated as code.

They are expressions of Python; the syntax tree is taken apart here and only arithmetic, comparisons, conditional
expressions, a list of functions and the random distributions are known. Names are numbers or columns.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from ...errors import NetworkError, UnsupportedError
from .many_streams import Streams
from .streams import DISTRIBUTIONS, Distributions

_LONGEST, _DEEPEST = 2000, 60
_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv,
}  # fmt: skip
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "exp": np.exp, "remainder": np.remainder, "sqrt": np.sqrt,
    "arctan2": np.arctan2, "ceil": np.ceil, "log": np.log, "log10": np.log10, "abs": np.abs,
    "max": lambda *values: _fold(np.maximum, values), "min": lambda *values: _fold(np.minimum, values),
    "int": np.trunc, "float": lambda value: value, "round": np.round,
}  # fmt: skip
_CONSTANTS = {"pi": np.pi, "inf": np.inf}


class Function:
    """A string function: ``text`` and its tree. Raises NetworkError for what is no expression, UnsupportedError by
    name for what is not known. ``names`` are the variables, ``random`` says whether it draws."""

    def __init__(self, text: str, where: str, file: str | None = None) -> None:
        self.text, self.where, self.file = text, where, file
        if len(text) > _LONGEST:
            raise self.error(f"is longer than {_LONGEST} characters")
        try:
            self.tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self.error("is no expression") from None
        self.names: set[str] = set()
        self.random = False
        self.draws: int | None = 0
        """how many numbers it draws, if that is always the same"""
        self._check(self.tree, 0)

    def error(self, what: str) -> NetworkError:
        """A NetworkError that says which function is wrong."""
        return NetworkError(f"{self.where}: the function '{self.text[:80]}' {what}", file=self.file)

    def _check(self, node: ast.AST, depth: int) -> None:
        if depth > _DEEPEST:
            raise self.error("is nested too deeply")
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else None
            if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                name = node.func.attr if node.func.value.id == "rand" else None
            if (name not in DISTRIBUTIONS and name not in _FUNCTIONS) or node.keywords:
                raise UnsupportedError(f"{self.where}: '{ast.unparse(node)[:60]}' in '{self.text[:80]}' is not "
                                       "supported")  # fmt: skip
            if name in DISTRIBUTIONS:
                taken, self.random = DISTRIBUTIONS[name], True
                self.draws = None if taken is None or self.draws is None else self.draws + taken
            for argument in node.args:
                self._check(argument, depth + 1)
            return
        if isinstance(node, ast.Name):
            if node.id not in _CONSTANTS:
                self.names.add(node.id)
            return
        if isinstance(node, ast.Constant):
            if isinstance(node.value, (int, float)):
                return
        elif isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp)):
            self._known(node)
            before = self.draws
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self._check(child, depth + 1)
            if self.draws != before and isinstance(node, (ast.BoolOp, ast.IfExp)):
                self.draws = None
            return
        raise UnsupportedError(f"{self.where}: '{ast.unparse(node)[:60]}' in '{self.text[:80]}' is not supported")

    def _known(self, node: ast.AST) -> None:
        if isinstance(node, ast.BinOp) and type(node.op) not in {*_OPERATORS, ast.Pow}:
            raise self.error("has an operator that is not known")
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, (ast.USub, ast.UAdd, ast.Not)):
            raise self.error("has an operator that is not known")
        if isinstance(node, ast.Compare) and not all(type(op) in _COMPARE for op in node.ops):
            raise self.error("has a comparison that is not known")

    def check_names(self, known: Mapping[str, Any]) -> None:
        """NetworkError with the nearest name if a variable is none of ``known``."""
        for name in sorted(self.names - set(known)):
            near = get_close_matches(name, list(known), 1)
            raise self.error(f"uses '{name}', which is not known" + (f"; perhaps {near[0]}" if near else ""))

    def __call__(self, values: Mapping[str, Any], stream: Distributions | None = None) -> Any:
        """The value: a number, or a column if a variable is one. Draws come from ``stream``, one at a time; or from
        Streams, one for each row."""
        with np.errstate(all="ignore"):
            return self._value(self.tree, values, stream)

    def _value(self, node: ast.AST, values: Mapping[str, Any], stream: Distributions | None) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return _CONSTANTS[node.id] if node.id in _CONSTANTS else values[node.id]
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, values, stream), self._value(node.right, values, stream)
            if isinstance(node.op, ast.Pow):
                return np.power(np.float64(left) if np.ndim(left) == 0 else left, right)
            if isinstance(node.op, (ast.Div, ast.Mod, ast.FloorDiv)) and np.ndim(right) == 0 and right == 0:
                return np.divide(left, np.float64(right))
            return _OPERATORS[type(node.op)](left, right)
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, values, stream)
            if isinstance(node.op, ast.Not):
                return np.logical_not(value)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.Compare):
            return self._compare(node, values, stream)
        if isinstance(node, ast.BoolOp):
            return self._until(isinstance(node.op, ast.Or), node.values, values, stream)
        if isinstance(node, ast.IfExp):
            test = self._value(node.test, values, stream)
            if np.ndim(test) == 0:
                return self._value(node.body if test else node.orelse, values, stream)
            return self._either(np.asarray(test, bool), node.body, node.orelse, values, stream)
        assert isinstance(node, ast.Call)
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr  # type: ignore[attr-defined]
        arguments = [self._value(argument, values, stream) for argument in node.args]
        try:
            if name in DISTRIBUTIONS:
                assert stream is not None, "a random function needs a stream"
                return getattr(stream, name)(*arguments)
            return _FUNCTIONS[name](*arguments)
        except (TypeError, ValueError, ArithmeticError) as fault:
            raise self.error(f"cannot be computed: {fault}") from None

    def _either(
        self, test: Any, yes: ast.expr, no: ast.expr | None, values: Mapping[str, Any],
        stream: Distributions | None, left: Any = None,
    ) -> Any:  # fmt: skip
        """Rows of one of two expressions; each is computed for its own rows, whose streams alone draw. Without ``no``
        the other rows are those of ``left``."""
        if not isinstance(stream, Streams):
            return np.where(test, self._value(yes, values, stream),
                            left if no is None else self._value(no, values, stream))  # fmt: skip
        found = np.array(np.broadcast_to(0.0 if left is None else left, test.shape), float)
        for node, rows in ((yes, np.flatnonzero(test)), (no, np.flatnonzero(~test))):
            if node is not None and len(rows):
                own = {name: value[rows] if np.ndim(value) else value
                       for name, value in values.items() if name in self.names}  # fmt: skip
                found[rows] = self._value(node, own, stream.some(rows))
        return found

    def _until(
        self, stop: bool, parts: Sequence[ast.expr], values: Mapping[str, Any], stream: Distributions | None
    ) -> Any:  # fmt: skip
        """``and``, ``or``: the first part whose truth is ``stop``, else the last; what comes after is not computed."""
        found = self._value(parts[0], values, stream)
        for part in parts[1:]:
            if np.ndim(found):
                more = ~np.asarray(found, bool) if stop else np.asarray(found, bool)
                found = self._either(more, part, None, values, stream, found)
            elif bool(found) is stop:
                return found
            else:
                found = self._value(part, values, stream)
        return found

    def _compare(self, node: ast.Compare, values: Mapping[str, Any], stream: Distributions | None) -> Any:
        left, found = self._value(node.left, values, stream), None
        for op, operand in zip(node.ops, node.comparators, strict=True):
            right = self._value(operand, values, stream)
            one = _COMPARE[type(op)](left, right)
            found = one if found is None else np.logical_and(found, one)
            left = right
        return found


def _fold(function: Callable[[Any, Any], Any], values: tuple[Any, ...]) -> Any:
    if len(values) < 2:
        raise TypeError("expected two values or more")
    found = values[0]
    for value in values[1:]:
        found = function(found, value)
    return found

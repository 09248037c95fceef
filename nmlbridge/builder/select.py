"""Selections: which cells, which segments. A formula with a truth value for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LemsError
from ..lems.expression import Apply, Expr, Num
from .context import Context, Path_
from .evaluate import Column, Evaluator, truth
from .language import Glob, Members, parse
from .randomness import uniforms
from .space import Cells, Space

Rows = npt.NDArray[np.int64]


class _Selector(Evaluator):
    """Formulas with sets: members, wildcards, samples."""

    keys: npt.NDArray[np.uint64] | None = None
    key = 0
    sets: Iterable[str] = ()

    def _value(self, expr: Expr) -> Column:
        if isinstance(expr, Glob):
            found = [name for name in self.sets if fnmatchcase(name, expr.pattern)]
            if not found:
                raise LemsError(f"'{expr.pattern}' matches no name; there are {', '.join(self.sets)}")
            chosen = np.zeros(self.rows, bool)
            for name in found:
                chosen |= truth(self.named(name))
            return Column(chosen)
        if isinstance(expr, Members):
            rows = np.flatnonzero(np.broadcast_to(truth(self._value(expr.of)), self.rows))
            first, last = expr.first, expr.last
            if expr.single:
                if first is None or not -len(rows) <= first < len(rows):
                    raise LemsError(f"there is no member [{first}]; the set has {len(rows)}")
                return Column(self._mask(rows[[first]]))
            return Column(self._mask(rows[first:last]))
        if isinstance(expr, Apply) and expr.function == "sample":
            return Column(self._sample(expr))
        return super()._value(expr)

    def _mask(self, rows: Rows) -> npt.NDArray[np.bool_]:
        mask = np.zeros(self.rows, bool)
        mask[rows] = True
        return mask

    def _sample(self, expr: Apply) -> npt.NDArray[np.bool_]:
        rows = np.flatnonzero(np.broadcast_to(truth(self._value(expr.args[0])), self.rows))
        number = int(self._value(expr.args[1]).values) if not isinstance(expr.args[1], Num) else int(expr.args[1].value)
        if not 0 <= number <= len(rows):
            raise LemsError(f"{number} cannot be sampled from a set of {len(rows)}")
        if self.keys is None:
            raise LemsError("sample() is for cells")
        return self._mask(rows[np.argsort(uniforms(self.key, self.keys[rows]), kind="stable")[:number]])


class Selections:
    """Selects cells by population, kind of cell, tag, region and formulas of their place."""

    def __init__(self, context: Context, space: Space, cells: Cells) -> None:
        self.context, self.space, self.cells = context, space, cells
        self.sets: dict[str, Callable[[], npt.NDArray[Any]]] = {}
        self.numbers: dict[str, npt.NDArray[Any]] = {}
        self._found: dict[str, Rows] = {}
        model = context.spec.model
        for number, name in enumerate(cells.names):
            population = model.populations[name]
            for label in (population.cell, *population.tags.values()):
                if isinstance(label, str):
                    self.sets.setdefault(label, lambda label=label: self._labelled(label))  # type: ignore[misc]
            for tag, value in population.tags.items():
                if not isinstance(value, str):
                    column = self.numbers.setdefault(tag, np.full(len(cells), np.nan))
                    column[cells.offsets[number] : cells.offsets[number + 1]] = value
        for name, shape in space.shapes.items():
            self.sets[name] = lambda shape=shape: shape.inside(cells.positions)  # type: ignore[misc]
        for number, name in enumerate(cells.names):
            self.sets[name] = lambda number=number: self._between(number)  # type: ignore[misc]

    def _between(self, number: int) -> npt.NDArray[Any]:
        mask = np.zeros(len(self.cells), bool)
        mask[self.cells.offsets[number] : self.cells.offsets[number + 1]] = True
        return mask

    def _labelled(self, label: str) -> npt.NDArray[Any]:
        mask = np.zeros(len(self.cells), bool)
        for number, name in enumerate(self.cells.names):
            population = self.context.spec.model.populations[name]
            if label == population.cell or label in population.tags.values():
                mask[self.cells.offsets[number] : self.cells.offsets[number + 1]] = True
        return mask

    def column(self, name: str) -> Column | None:
        """A set as truth values, or a number, for each cell."""
        if name == "all":
            return Column(np.ones(len(self.cells), bool))
        if name == "index":
            rows = np.arange(len(self.cells))
            return Column(rows - self.cells.offsets[self.cells.population_of(rows)], None)
        if name in self.sets:
            return Column(self.sets[name]())
        if name in self.numbers:
            return Column(self.numbers[name], None)
        return self.context.named(name) or self.space.point(name, self.cells.positions)

    def __call__(self, text: str, *path: str | int) -> Rows:
        """The rows of the selected cells, in order. Raises NetworkError at ``path`` if there are none."""
        if text not in self._found:
            tree = parse(text)
            known = (*self.sets, *self.numbers, *self.context.parameters, "x", "y", "z", "depth", "all")
            selector = _Selector(self.column, lambda: known, len(self.cells), tables=self.context.tables)
            selector.sets, selector.keys = tuple(self.sets), self.cells.keys
            selector.key = self.context.key("sample", text)
            try:
                chosen = truth(selector.value(tree))
            except LemsError as error:
                raise self.context.error(error.message, *path) from None
            self._found[text] = np.flatnonzero(np.broadcast_to(chosen, len(self.cells)))
        rows = self._found[text]
        if not len(rows):
            raise self.context.error(f"'{text}' selects no cell", *path)
        return rows


def select_segments(context: Context, text: str, count: int, column: Callable[[str], Column | None],
                    sets: Iterable[str], path: Path_) -> Rows:  # fmt: skip
    """The rows of the selected segments of a cell. Raises NetworkError if there are none."""
    known = tuple(sets)
    selector = _Selector(lambda name: column(name) or context.named(name),
                         lambda: (*known, "path_dist", "x", "y", "z", "diam"), count,
                         tables=context.tables)  # fmt: skip
    selector.sets = known
    try:
        chosen = np.flatnonzero(np.broadcast_to(truth(selector.value(parse(text))), count))
    except LemsError as error:
        raise context.error(error.message, *path) from None
    if not len(chosen):
        raise context.error(f"'{text}' selects no segment of the cell", *path)
    return chosen

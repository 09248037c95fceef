"""What every step of building needs: the specification, its parameters as numbers, the seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LemsError, NetworkError
from ..lems.expression import Expr
from .evaluate import Column, Draw, Evaluator, in_unit
from .language import names, parse
from .randomness import key_of, uniforms
from .specification import Specification
from .tables import Table, tables_of

Path_ = tuple[str | int, ...]
Floats = npt.NDArray[np.float64]
RESERVED = frozenset(
    {"x", "y", "z", "depth", "xnorm", "ynorm", "znorm", "path_dist", "diam", "all", "index", "pi", "dist_x", "dist_y",
     "dist_z", "dist_2d", "dist_3d"}
    | {f"{side}_{name}" for side in ("pre", "post")
       for name in ("x", "y", "z", "depth", "xnorm", "ynorm", "znorm", "index")}
)  # fmt: skip
"""Names of geometry, which nothing else may take."""


@dataclass
class Context:
    """The specification while it is built. ``seed`` is that of the run."""

    spec: Specification
    seed: int
    parameters: dict[str, Column] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Specification, seed: int | None = None) -> Context:
        """With the parameters evaluated. Raises NetworkError for one that needs itself."""
        run = spec.model.run
        context = cls(spec, seed if seed is not None else run.seed if run is not None else 1,
                      tables=tables_of(spec))  # fmt: skip
        return context.complete()

    def complete(self) -> Context:
        """Evaluate the parameters that have no numbers yet. Raises NetworkError for one that needs itself."""
        for name in self.spec.model.parameters:
            self._parameter(name, ())
        return self

    def _parameter(self, name: str, above: tuple[str, ...]) -> Column | None:
        given = self.spec.model.parameters
        if name in self.parameters or name not in given:
            return self.parameters.get(name)
        path = ("parameters", name)
        if name in RESERVED:
            raise self.spec.error(f"'{name}' is a name of geometry; call the parameter something else", *path)
        if name in above:
            raise self.spec.error(f"the parameter needs itself: {' -> '.join((*above, name))}", *path)
        evaluator = Evaluator(lambda other: self._parameter(other, (*above, name)), lambda: given, 1,
                              tables=self.tables)  # fmt: skip
        try:
            column = evaluator.value(_tree(given[name]))
        except LemsError as error:
            raise self.spec.error(error.message, *path) from None
        if not np.isfinite(column.values).all():
            raise self.spec.error(f"it is {column.values}, which is no finite number", *path)
        self.parameters[name] = column
        return column

    def key(self, *parts: str | int) -> int:
        """The key of a stream of random numbers."""
        return key_of(self.seed, *parts)

    def number(self, value: float | str, unit: str, *path: str | int) -> float:
        """One number of ``unit`` from a value in which only parameters may stand."""
        return float(self.column(value, unit, 1, lambda name: None, (), path))

    def whole(self, value: float | str, least: int, *path: str | int) -> int:
        """One whole number, at least ``least``."""
        number = self.number(value, "", *path)
        if not np.isfinite(number) or number != int(number) or number < least:
            raise self.spec.error(f"it is {number:g}; expected a whole number, at least {least}", *path)
        return int(number)

    def column(
        self, value: float | str, unit: str, rows: int, columns: Callable[[str], Column | None],
        known: Iterable[str], path: Path_, draw: Draw | None = None,
    ) -> npt.NDArray[Any]:  # fmt: skip
        """The numbers of a formula, in ``unit``: one, or one for each row. Raises NetworkError at ``path``."""
        if not isinstance(value, str):
            if not np.isfinite(value):
                raise self.spec.error(f"it is {value}; expected a finite number", *path)
            return np.asarray(float(value))
        tree = _tree(value)
        evaluator = Evaluator(lambda name: self.named(name) or columns(name),
                              lambda: (*known, *self.parameters), rows, draw, self.tables)  # fmt: skip
        try:
            found = in_unit(evaluator.value(tree), unit)
        except LemsError as error:
            raise self.spec.error(error.message, *path) from None
        if found.dtype == bool:
            found = found.astype(float)
        bad = ~np.isfinite(found)
        if bad.any():
            share = f" for {int(bad.sum())} of {rows} rows" if found.ndim else ""
            raise self.spec.error(f"'{value}' gives {found[bad].flat[0] if found.ndim else found}{share}; "
                                  "expected finite numbers", *path)  # fmt: skip
        return found

    def named(self, name: str) -> Column | None:
        """A parameter or constant."""
        return Column(np.asarray(np.pi)) if name == "pi" else self.parameters.get(name)

    def draws(self, key: int, *coordinates: npt.ArrayLike) -> Draw:
        """Uniform numbers for the rows that have these coordinates; see ``Evaluator``."""
        return lambda place: uniforms(key, np.asarray(place), *coordinates)

    def error(self, message: str, *path: str | int) -> NetworkError:
        """An error at a place in the specification."""
        return self.spec.error(message, *path)


def _tree(value: float | str) -> Expr:
    return parse(str(value) if isinstance(value, str) else repr(float(value)))


def used_names(value: float | str) -> set[str]:
    """The names in a value."""
    return names(parse(value)) if isinstance(value, str) else set()

"""A part of a network file of hnn-core: its entries, each of the kind that is expected, or one clear error."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import NetworkError
from ...graph.columns import Floats


@dataclass(frozen=True)
class Part:
    """An object of the file; ``name`` is where it stands, with dots. Entries that are not as expected raise
    NetworkError with the file and that place."""

    data: Mapping[str, Any]
    name: str
    file: str

    def error(self, message: str) -> NetworkError:
        """A NetworkError that names this part."""
        return NetworkError(message, file=self.file, component=self.name or None)

    def entry(self, key: str) -> Any:
        """What stands under ``key``."""
        if key not in self.data:
            raise self.error(f"there is no '{key}', which hnn-core writes")
        return self.data[key]

    def part(self, key: str) -> Part:
        """The object under ``key``."""
        return self.within(self.entry(key), key)

    def within(self, data: Any, key: str) -> Part:
        """An object that belongs to this part."""
        if not isinstance(data, Mapping):
            raise self.error(f"'{key}' is a {type(data).__name__}; expected an object")
        return Part(data, f"{self.name}.{key}" if self.name else key, self.file)

    def parts(self) -> dict[str, Part]:
        """All entries, which are objects."""
        return {key: self.part(key) for key in self.data}

    def number(self, key: str, default: float | None = None) -> float:
        """The finite number under ``key``; ``default``, if there is one, where there is none."""
        value = self.data.get(key) if default is not None else self.entry(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            raise self.error(f"'{key}' is {value!r:.40}; expected a number")
        return float(value)

    def whole(self, key: str) -> int:
        """The whole number of 0 or more under ``key``."""
        value = self.number(key)
        if value < 0 or value != int(value):
            raise self.error(f"'{key}' is {value:g}; expected a whole number of 0 or more")
        return int(value)

    def text(self, key: str) -> str:
        """The text under ``key``."""
        value = self.entry(key)
        if not isinstance(value, str):
            raise self.error(f"'{key}' is {value!r:.40}; expected text")
        return value

    def words(self, key: str) -> list[str]:
        """The list of texts under ``key``."""
        value = self.entry(key)
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.error(f"'{key}' is {value!r:.40}; expected a list of names")
        return value

    def numbers(self, key: str, *shape: int) -> Floats:
        """The finite numbers under ``key``, as an array of this shape (-1: of any length)."""
        value = self.entry(key)
        try:
            found = np.array(value, float)
        except (ValueError, TypeError, OverflowError):
            found = np.full(1, np.nan)
        if not found.size and shape[0] == -1:
            found = found.reshape(0, *shape[1:])
        alike = found.ndim == len(shape) and all(w in (-1, n) for w, n in zip(shape, found.shape, strict=True))
        if not alike or not np.isfinite(found).all():
            sizes = " x ".join("any" if size == -1 else str(size) for size in shape)
            raise self.error(f"'{key}' is {value!r:.40}; expected {sizes} numbers")
        return found

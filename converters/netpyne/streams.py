"""NetPyNE's random streams, to the last bit: identities, Random123 generators, distributions.

NetPyNE draws everything from NEURON's ``h.Random`` over Random123 (Philox4x32 with 10 rounds: Salmon et al. 2011, SC11,
doi:10.1145/2063384.2063405). The counter is (sequence, id3, id1, id2), the key 0; the four words of a block are used in
order, as (word + 1) / (2^32 + 1). The ids are gids, seeds and the first eight hex digits of the MD5 of a text, or of
gids as 8-byte little-endian integers. The distributions are those of the GNU C++ library that NEURON carries; setting a
distribution draws one number.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_KEYS = [tuple(turn * weyl & 0xFFFFFFFF for weyl in _WEYL) for turn in range(10)]
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_BLOCK = 16  # blocks of four numbers that are made at one time, after the first few
_FEW = 2
_MOST = 1 << 16


def of_text(text: str) -> int:
    """The id that stands for a word, as "NetStim"."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def of_gids(gids: Sequence[int]) -> int:
    """The id that stands for a list of gids, in the order given."""
    raw = np.asarray(gids, dtype="<u8").tobytes()
    return int(hashlib.md5(raw, usedforsecurity=False).hexdigest()[:8], 16)


def philox(sequence: npt.ArrayLike, one: npt.ArrayLike, two: npt.ArrayLike, three: npt.ArrayLike) -> Floats:
    """The four numbers (n, 4) of each block, given its sequence (n,) and ids, each in 0 < u <= 1."""
    c = [np.asarray(word, np.uint64) & _LOW for word in np.broadcast_arrays(sequence, three, one, two)]
    for turn in range(10):
        keys = [np.uint64(key) for key in _KEYS[turn]]
        a, b = _MULTIPLIERS[0] * c[0], _MULTIPLIERS[1] * c[2]
        c = [(b >> _HALF) ^ c[1] ^ keys[0], b & _LOW, (a >> _HALF) ^ c[3] ^ keys[1], a & _LOW]
    words = np.stack(c, axis=-1).astype(np.float64)
    found: Floats = (words + 1.0) / (2.0**32 + 1.0)
    return found


def blocks(first: int, count: int, ids: tuple[int, int, int]) -> Floats:
    """The numbers (4 * count,) of ``count`` blocks from sequence ``first`` on, each in 0 < u <= 1."""
    return philox(np.arange(first, first + count, dtype=np.uint64), *(id % 2**32 for id in ids)).reshape(-1)


def _block(sequence: int, ids: tuple[int, int, int]) -> list[float]:
    """One block of ``philox``, without arrays: most streams end with their first numbers."""
    one, two, three = (id & 0xFFFFFFFF for id in ids)
    c = (sequence & 0xFFFFFFFF, three, one, two)
    for first, second in _KEYS:
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = ((b >> 32) ^ c[1] ^ first, b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ second, a & 0xFFFFFFFF)
    return [(word + 1.0) / (2.0**32 + 1.0) for word in c]


def _by_libm(function: Callable[..., float], arguments: int) -> Callable[..., Any]:
    """A function of numbers, or of columns: always that of the C library, whose last bit numpy's may not have."""
    each = np.frompyfunc(function, arguments, 1)

    def apply(*values: Any) -> Any:
        if any(np.ndim(value) for value in values):
            return np.asarray(each(*values), np.float64)
        return function(*values)

    return apply


log, exp, power = _by_libm(math.log, 1), _by_libm(math.exp, 1), _by_libm(math.pow, 2)


class Distributions(ABC):
    """Those distributions that take one number of ``next`` as it comes; of numbers, or of columns."""

    @abstractmethod
    def next(self) -> Any:
        """The next number in 0 < u <= 1, of each stream."""

    def uniform(self, low: Any, high: Any) -> Any:
        return low + (high - low) * self.next()

    def discunif(self, low: Any, high: Any) -> Any:
        low, high = np.trunc(low), np.trunc(high)
        return low + np.floor((high - low + 1) * self.next())

    def negexp(self, mean: Any) -> Any:
        return -mean * log(self.next())

    def weibull(self, alpha: Any, beta: Any) -> Any:
        return power(-beta * log(1 - self.next()), 1 / alpha)


class WithNormal(Distributions):
    """And those that are made of a normal one, which takes as many numbers as it needs."""

    @abstractmethod
    def normal(self, mean: Any, variance: Any) -> Any:
        """By the polar method, the second value of a pair thrown away."""

    def lognormal(self, mean: Any, variance: Any) -> Any:
        square = mean * mean
        middle = log(square / np.sqrt(variance + square))
        spread = np.sqrt(log((variance + square) / square))
        return power(math.e, self.normal(middle, spread * spread))


class Stream(WithNormal):
    """One generator, as ``h.Random().Random123(first, second, third)``; each distribution draws its next value."""

    def __init__(self, first: int, second: int = 0, third: int = 0) -> None:
        self.ids = (int(first), int(second), int(third))
        self.sequence, self.at, self.size = 0, 0, _BLOCK
        self.numbers: Floats = np.empty(0)

    def many(self, count: int) -> Floats:
        """The next ``count`` numbers in 0 < u <= 1."""
        parts = [self.numbers[self.at : self.at + count]]
        self.at += len(parts[0])
        missing = count - len(parts[0])
        if missing:
            need = -(-missing // 4)
            if self.sequence + need <= _FEW:
                made = [number for more in range(need) for number in _block(self.sequence + more, self.ids)]
                self.numbers = np.array(made)
            else:
                need = max(need, self.size)
                self.size = min(self.size * 2, _MOST)
                self.numbers = blocks(self.sequence, need, self.ids)
            self.sequence += need
            parts.append(self.numbers[:missing])
            self.at = missing
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def next(self) -> float:
        """The next number in 0 < u <= 1."""
        if self.at >= len(self.numbers):
            return float(self.many(1)[0])
        self.at += 1
        return float(self.numbers[self.at - 1])

    def discunif(self, low: float, high: float) -> float:  # without arrays: ``distinct`` asks for very many
        return float(int(low) + math.floor((int(high) - int(low) + 1) * self.next()))

    def normal(self, mean: float, variance: float) -> float:
        """By the polar method, the second value of a pair thrown away."""
        while True:
            x, y = 2 * self.next() - 1, 2 * self.next() - 1
            w = x * x + y * y
            if w <= 1:
                return x * math.sqrt(-2 * math.log(w) / w) * math.sqrt(variance) + mean

    def normals(self, mean: float, variance: float, count: int) -> Floats:
        """``count`` numbers of one setting of the distribution, which keeps the second of each pair; its first is that
        of the setting."""
        found: list[float] = []
        while len(found) <= count:
            x, y = 2 * self.next() - 1, 2 * self.next() - 1
            w = x * x + y * y
            if w <= 1:
                scale = math.sqrt(-2 * math.log(w) / w)
                found += [one * scale * math.sqrt(variance) + mean for one in (x, y)]
        return np.array(found[1 : count + 1])

    def poisson(self, mean: float) -> float:
        bound, product, count = math.exp(-mean), 1.0, 0
        while product >= bound:
            product *= self.next()
            count += 1
        return float(count - 1)

    def binomial(self, trials: float, chance: float) -> float:
        return float(sum(self.next() < chance for _ in range(int(trials))))

    def erlang(self, mean: float, variance: float) -> float:
        order = max(int(mean * mean / variance + 0.5), 1)
        product = 1.0
        for _ in range(order):
            product *= self.next()
        return -math.log(product) / (order / mean)

    def geometric(self, mean: float) -> float:
        count = 1
        while self.next() < mean:
            count += 1
        return float(count)

    def distinct(self, count: int, low: int, high: int) -> list[int]:
        """``count`` different integers of low..high in the order drawn; the first draw is that of the setting."""
        self.discunif(low, high)
        found: dict[int, None] = {}
        while len(found) < count:
            found[int(self.discunif(low, high))] = None
        return list(found)


DISTRIBUTIONS = {
    "uniform": 1, "discunif": 1, "negexp": 1, "weibull": 1, "normal": None, "lognormal": None, "poisson": None,
    "binomial": None, "erlang": None, "geometric": None,
}  # fmt: skip
"""Those that a string function of NetPyNE may call, by name, and how many numbers each takes if that is known."""


def rate_of(interval: float) -> float:
    """The rate (Hz) of which NetPyNE makes just this interval (ms), if there is one."""
    near = 1e3 / interval
    for rate in (near, math.nextafter(near, 0), math.nextafter(near, math.inf)):
        if rate**-1 * 1e3 == interval:
            return rate
    return near

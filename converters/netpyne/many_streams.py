"""Many of NetPyNE's random streams at one time: as ``streams``, with a column where that has a number.

A connection of NetPyNE has a stream of its own. Functions of a hundred thousand connections are computed for all of
them together here, and each stream draws what it would draw alone, to the last bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .streams import Distributions, Floats, Stream, WithNormal, exp, log, philox

Ints = npt.NDArray[np.int64]


class Streams(WithNormal):
    """Streams with the ids (n,); every distribution gives a column (n,), for parameters that are numbers or columns."""

    def __init__(self, first: npt.ArrayLike, second: npt.ArrayLike, third: npt.ArrayLike) -> None:
        ids = np.broadcast_arrays(*(np.asarray(id, np.int64) for id in (first, second, third)))
        self.ids: tuple[Ints, ...] = tuple(ids)
        count = len(self.ids[0])
        self.used = np.zeros(count, np.int64)
        self.block = np.empty((count, 4))
        self.rows: Ints = np.arange(count)

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, rows: Ints) -> Streams:
        """Some of the streams, which go on for all where these have left them."""
        found = copy.copy(self)
        found.rows = self.rows[rows]
        return found

    def next(self) -> Floats:
        """The next number of each, in 0 < u <= 1."""
        rows, place = self.rows, self.used[self.rows] % 4
        fresh = rows[place == 0]
        if len(fresh):
            one, two, three = (id[fresh] for id in self.ids)
            self.block[fresh] = philox(self.used[fresh] // 4, one, two, three)
        self.used[rows] += 1
        return self.block[rows, place]

    def normal(self, mean: npt.ArrayLike, variance: npt.ArrayLike) -> Floats:
        """By the polar method, the second value of a pair thrown away."""
        x, w = np.empty(len(self)), np.full(len(self), 2.0)

        def pair(streams: Streams, rows: Ints) -> npt.NDArray[np.bool_]:
            one, two = 2 * streams.next() - 1, 2 * streams.next() - 1
            x[rows], w[rows] = one, one * one + two * two
            return np.asarray(w[rows] > 1)

        self._while(pair)
        return np.asarray(x * np.sqrt(-2 * log(w) / w) * np.sqrt(variance) + mean)

    def poisson(self, mean: npt.ArrayLike) -> Floats:
        bound = np.broadcast_to(exp(-np.asarray(mean, float)), len(self))
        product, count = np.ones(len(self)), np.zeros(len(self))

        def one(streams: Streams, rows: Ints) -> npt.NDArray[np.bool_]:
            product[rows] *= streams.next()
            count[rows] += 1
            return np.asarray(product[rows] >= bound[rows])

        self._while(one)
        return count - 1

    def binomial(self, trials: npt.ArrayLike, chance: npt.ArrayLike) -> Floats:
        wanted = np.broadcast_to(np.trunc(np.asarray(trials, float)), len(self))
        p = np.broadcast_to(np.asarray(chance, float), len(self))
        found = np.zeros(len(self))
        for turn in range(int(wanted.max(initial=0))):
            rows = np.flatnonzero(turn < wanted)
            found[rows] += self.some(rows).next() < p[rows]
        return found

    def erlang(self, mean: npt.ArrayLike, variance: npt.ArrayLike) -> Floats:
        middle, spread = (np.broadcast_to(np.asarray(v, float), len(self)) for v in (mean, variance))
        order = np.maximum(np.trunc(middle * middle / spread + 0.5), 1)
        product = np.ones(len(self))
        for turn in range(int(order.max(initial=0))):
            rows = np.flatnonzero(turn < order)
            product[rows] *= self.some(rows).next()
        return np.asarray(-log(product) / (order / middle))

    def geometric(self, mean: npt.ArrayLike) -> Floats:
        chance, count = np.broadcast_to(np.asarray(mean, float), len(self)), np.ones(len(self))

        def one(streams: Streams, rows: Ints) -> npt.NDArray[np.bool_]:
            again = streams.next() < chance[rows]
            count[rows] += again
            return np.asarray(again)

        self._while(one)
        return count

    def _while(self, draw: Callable[[Streams, Ints], npt.NDArray[np.bool_]]) -> None:
        """Draw for all, and again for those rows of which ``draw`` says so."""
        rows = np.arange(len(self))
        while len(rows):
            rows = rows[draw(self.some(rows), rows)]


class Dealt(Distributions):
    """One stream dealt to ``rows`` rows, ``draws`` numbers to each: for functions that draw just so many."""

    def __init__(self, stream: Stream, rows: int, draws: int) -> None:
        self.numbers = stream.many(rows * draws).reshape(rows, draws)
        self.at = 0

    def next(self) -> Floats:
        """The next number of each row, in 0 < u <= 1."""
        self.at += 1
        return self.numbers[:, self.at - 1]

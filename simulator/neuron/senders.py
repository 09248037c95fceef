"""Where on a cell a connection listens for spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...graph import Population, Projection
from .population import CellKind

Ints = npt.NDArray[np.int64]


class Senders:
    """Gids of the places that connections start from.

    The middle of the root segment has the gid of its cell, and its events are the cell's spikes. Other compartments
    that connections name (preSegmentId, preFractionAlong) send events of their own, with gids from ``first`` on.
    """

    def __init__(self, first: int) -> None:
        self.next = first
        self.known: dict[tuple[str, int], int] = {}
        self.entries: list[dict[str, Any]] = []

    def gids(self, pre: Population, kind: CellKind, projection: Projection, chosen: Ints | None) -> Ints:
        """The gids that rows of a projection (all, if ``chosen`` is None) listen to."""
        rows = projection.pre if chosen is None else projection.pre[chosen]
        gids = np.asarray(pre.offset + rows, dtype=np.int64)
        template = kind.template
        if template is None:
            return gids
        segments, fractions = projection.pre_segment, projection.pre_fraction
        if chosen is not None:
            segments, fractions = segments[chosen], fractions[chosen]
        segments = np.where((segments == 0) & (0 not in template.morphology.row_by_id), template.root_segment, segments)
        places = np.stack([segments.astype(float), fractions])
        different, inverse = np.unique(places, axis=1, return_inverse=True)
        if different.shape[1] == 1 and tuple(different[:, 0]) == (template.root_segment, 0.5):
            return gids
        sections, xs = kind.locate_all(different[0].astype(np.int64), different[1])
        home = template.compartment(*kind.locate(None, 0.5))
        for number, (section, x) in enumerate(zip(sections.tolist(), xs.tolist(), strict=True)):
            compartment = template.compartment(section, x)
            if compartment != home:
                here = inverse.reshape(-1) == number
                gids[here] += self.base(pre, kind, section, x, compartment) - pre.offset
        return gids

    def base(self, pre: Population, kind: CellKind, section: int, x: float, compartment: int) -> int:
        """The gid of this compartment of the population's first cell."""
        key = (pre.id, compartment)
        if key not in self.known:
            assert kind.template is not None
            self.known[key] = self.next
            self.entries.append({
                "cells": pre.offset, "size": pre.size, "first_gid": self.next, "section": section, "x": x,
                "threshold": float(kind.template.threshold[compartment]),
            })  # fmt: skip
            self.next += pre.size
        return self.known[key]

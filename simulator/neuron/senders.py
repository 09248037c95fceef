"""Where on a cell a connection listens for spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import NetworkError
from ...graph import Population, Projection
from ...pile import made, picked, shifted
from ...report import Report
from .population import CellKind
from .tables import Tables, distinct

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Senders:
    """Gids of the places that connections start from.

    The middle of the root segment has the gid of its cell, and its events are the cell's spikes. Other compartments
    that connections name (preSegmentId, preFractionAlong) send events of their own, with gids from ``first`` on.
    """

    def __init__(self, first: int) -> None:
        self.next = first
        self.known: dict[tuple[str, int], int] = {}
        self.entries: list[dict[str, Any]] = []
        self.straight: list[dict[str, Any]] = []
        """the Program's connections that lead into cells without a synapse"""

    def gids(
        self, pre: Population, kind: CellKind, projection: Projection, chosen: Ints | None
    ) -> tuple[Ints, Ints | None]:
        """The gids that rows of a projection (all, if ``chosen`` is None) listen to, and those of the cells they are
        on, if these are others."""
        cells = shifted(picked(projection.pre, chosen), pre.offset)
        template = kind.template
        if template is None or not len(cells):
            return cells, None
        given, fractions = picked(projection.pre_segment, chosen), picked(projection.pre_fraction, chosen)
        segments, root = given, template.root_segment
        if 0 not in template.morphology.row_by_id:
            segments = made(len(given), np.int64, lambda rows: np.where(given[rows] == 0, root, given[rows]), given)
        if segments.strides == fractions.strides == (0,):
            places, place = [segments[:1], fractions[:1]], np.broadcast_to(np.int64(0), len(cells))
        else:
            _, place, places = distinct(segments, fractions)
        if len(places[0]) == 1 and (places[0][0], places[1][0]) == (root, 0.5):
            return cells, None
        sections, xs = kind.locate_all(places[0], places[1])
        home = template.compartment(*kind.locate(None, 0.5))
        shift = np.zeros(len(sections), np.int64)
        for number, (section, x) in enumerate(zip(sections.tolist(), xs.tolist(), strict=True)):
            compartment = template.compartment(section, x)
            if compartment != home:
                shift[number] = self.base(pre, kind, section, x, compartment) - pre.offset
        if not shift.any():
            return cells, None
        return made(len(cells), np.int64, lambda rows: cells[rows] + shift[place[rows]], cells, place), cells

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


def straight_in(
    senders: Senders, tables: Tables, projection: Projection, pre: Population, post: Population, pre_kind: CellKind,
    post_kind: CellKind, delay: Floats, compat: Report | None,
) -> None:  # fmt: skip
    """Events that go to a port of the cell itself, without a synapse; ``compat`` is told that they do nothing there.

    Raises NetworkError if the cell has no such port.
    """
    ports = post_kind.request.flat.in_ports if post_kind.request is not None else ()
    port = str(projection.attributes.get("targetPort") or (ports[0] if ports else "in"))
    if port not in ports:
        raise NetworkError(
            f"a '{post.component}' has no in port '{port}'; it has {', '.join(ports) or 'none'}", **projection.place()
        )
    if compat is not None:
        compat.add("compat-straight", "approximation", "a connection without a synapse does nothing, as in the code of "
                   "jNeuroML", **projection.place())  # fmt: skip
        return
    count = len(projection)
    single = projection.weight if projection.weight is not None else np.broadcast_to(1.0, count)
    weight = single
    if len(ports) > 1:  # the mechanism then asks for the port
        number = float(ports.index(port))
        weight = made(count, np.float64, lambda rows: np.stack(
            [single[rows], np.full(rows.stop - rows.start, number)], axis=1), single)  # fmt: skip
    key = f"straight{len(senders.straight)}"
    source, cells = senders.gids(pre, pre_kind, projection, None)
    senders.straight.append({
        "source_gid": tables.add(f"{key}.source", source),
        "source_cell": tables.add(f"{key}.source_cell", source if cells is None else cells),
        "points": post.id, "template_point": 0, "index": tables.add(f"{key}.index", projection.post),
        "weight": tables.add(f"{key}.weight", weight), "delay": tables.add(f"{key}.delay", delay),
    })  # fmt: skip

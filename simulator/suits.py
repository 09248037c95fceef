"""Whether backends can run a model: read, lowered and looked at, with nothing compiled or run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import UnsupportedError
from ..report import Report
from .neuron.coreneuron import check, check_ranks, handed_over
from .neuron.splitting import place, remarks
from .plan.predict import prepared
from .program import Program

NEURONS = ("neuron", "coreneuron")


def lacks(
    model: str | Path, backends: Sequence[str] = NEURONS, *, ranks: int = 1, report: Report | None = None,
    progress: Callable[[str, float, float], None] | None = None, split: str = "auto", **options: Any,
) -> dict[str, str | None]:  # fmt: skip
    """What each of ``backends`` ("neuron", "coreneuron") lacks to run a model on so many ranks; None if it runs it.

    ``split`` and ``options`` are those of ``simulate`` (dt, method, electrodes, allow ...). The report is of the first
    backend; its notes with the code "placement" say which cells are split over ranks, or why one that limits them is
    not. Raises ModelError if the model is wrong, whatever is to run it, and UsageError for a target that is no network.
    """
    found: dict[str, str | None] = {}
    lowered: Program | None = None
    for backend in backends:
        asked = report if backend == backends[0] else None
        try:
            if backend == "coreneuron" and lowered is not None and not lowered.spec["run"].get("cvode"):
                program = handed_over(lowered)
                check(program)
            else:  # NEURON's variable steps are a scheme of its own, of which CoreNEURON's Program may have nothing
                program = prepared(model, backend=backend, ranks=ranks, report=asked, progress=progress, **options)
            lowered = program if backend == "neuron" else lowered
            placement = place(program, ranks, split)
            if backend == "coreneuron":
                check_ranks(program, placement)
            if asked is not None:
                for remark in remarks(program, placement):
                    asked.add("placement", "info", remark)
            found[backend] = None
        except UnsupportedError as error:
            found[backend] = str(error)
    return found

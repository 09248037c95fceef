"""Whether a backend can run a model: read, lowered and looked at, with nothing compiled or run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import UnsupportedError
from ..report import Report
from .neuron.coreneuron import check_ranks
from .neuron.splitting import place, remarks
from .plan.predict import prepared

NEURONS = ("neuron", "coreneuron")


def lacks(
    model: str | Path, backend: str, *, ranks: int = 1, report: Report | None = None,
    progress: Callable[[str, float, float], None] | None = None, split: str = "auto", **options: Any,
) -> str | None:  # fmt: skip
    """What ``backend`` ("neuron" or "coreneuron") lacks to run a model on so many ranks; None if it runs it.

    ``split`` and ``options`` are those of ``simulate`` (dt, method, electrodes, allow ...). Notes of the report with
    the code "placement" say which cells are split over ranks, or why one that limits them is not. Raises
    ModelError if the model is wrong, whatever is to run it, and UsageError for a target that is no network.
    """
    try:
        program = prepared(model, backend=backend, ranks=ranks, report=report, progress=progress, **options)
        placement = place(program, ranks, split)
        if backend == "coreneuron":
            check_ranks(program, placement)
        if report is not None:
            for remark in remarks(program, placement):
                report.add("placement", "info", remark)
    except UnsupportedError as error:
        return str(error)
    return None

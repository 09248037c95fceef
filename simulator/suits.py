"""Whether a backend can run a model: read, lowered and looked at, with nothing compiled or run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import UnsupportedError
from ..report import Report
from .neuron.coreneuron import check_ranks
from .neuron.shares import divide
from .plan.predict import prepared

NEURONS = ("neuron", "coreneuron")


def lacks(
    model: str | Path, backend: str, *, ranks: int = 1, report: Report | None = None,
    progress: Callable[[str, float, float], None] | None = None, **options: Any,
) -> str | None:  # fmt: skip
    """What ``backend`` ("neuron" or "coreneuron") lacks to run a model on so many ranks; None if it runs it.

    ``options`` are those of ``simulate`` (dt, method, electrodes, allow ...). Raises ModelError if the model is wrong,
    whatever is to run it, and UsageError for a target that is no network.
    """
    try:
        program = prepared(model, backend=backend, ranks=ranks, report=report, progress=progress, **options)
        if backend == "coreneuron":
            check_ranks(program, divide(program, ranks))
    except UnsupportedError as error:
        return str(error)
    return None

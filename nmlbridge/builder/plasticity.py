"""Plasticity of a rule, as numbers that make sense."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..graph import Stdp
from ..pile import extremes
from .context import Context, Path_
from .vocabulary import Connection

_UNITS = {"tau_plus": "ms", "tau_minus": "ms"}


def stdp(context: Context, rule: Connection, weights: npt.NDArray[np.float64], path: Path_) -> Stdp:
    """The rule for the weights of connections. Raises NetworkError for numbers that cannot be."""
    given = rule.plasticity
    assert given is not None
    path = (*path, "plasticity")
    if rule.kind != "chemical":
        raise context.error("gap junctions and graded synapses have no plasticity", *path)
    words = [word for word in type(given).model_fields if word not in ("type", "pairs")]
    values = {word: context.number(getattr(given, word), _UNITS.get(word, ""), *path, word) for word in words}
    for word in ("tau_plus", "tau_minus", "w_max"):
        if not values[word] > 0:
            raise context.error(f"it is {values[word]:g}; it must be more than zero", *path, word)
    if not 0 <= values["mu"] <= 1:
        raise context.error(f"it is {values['mu']:g}; expected 0 to 1", *path, "mu")
    if not 0 <= values["w_min"] <= values["w_max"]:
        raise context.error(f"w_min is {values['w_min']:g}; expected 0 to w_max, {values['w_max']:g}", *path, "w_min")
    least, most = extremes(weights) if len(weights) else (values["w_min"], values["w_max"])
    if not values["w_min"] <= least <= most <= values["w_max"]:
        raise context.error(f"the weights are {least:g} to {most:g} at the start; expected "
                            f"{values['w_min']:g} to {values['w_max']:g} (w_min to w_max)", *path)  # fmt: skip
    return Stdp(**values, nearest=given.pairs == "nearest")

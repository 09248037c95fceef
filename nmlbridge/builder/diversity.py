"""Populations of several kinds of cells: each kind becomes a population of its own, the name means them all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .context import Context
from .randomness import uniforms
from .vocabulary import Model

Floats = npt.NDArray[np.float64]
TAG = "population"
"""The tag by which the kinds of a population are selected together."""


def divided(context: Context, placed: dict[str, Floats]) -> tuple[Model, dict[str, Floats]]:
    """The model and the places with ``E: {cell: {a: 3, b: 1}}`` made into E_a and E_b, tagged E.

    The places of E are those that it has with one kind of cells; which of them each kind gets is drawn, how many
    follows from the shares. Raises NetworkError for shares that are none, and for names that clash.
    """
    model = context.spec.model
    if not any(isinstance(population.cell, dict) for population in model.populations.values()):
        return model, placed
    populations, places = {}, {}
    for name, population in model.populations.items():
        if not isinstance(population.cell, dict):
            populations[name], places[name] = population, placed[name]
            continue
        path = ("populations", name, "cell")
        shares = np.array([context.number(share, "", *path, kind) for kind, share in population.cell.items()])
        if not len(shares) or (shares < 0).any() or not shares.sum() > 0:
            raise context.error("the shares must not be negative, and one must be more than zero", *path)
        ends = np.rint(np.cumsum(shares) / shares.sum() * len(placed[name])).astype(np.int64)
        order = np.argsort(uniforms(context.key("kind", name), np.arange(len(placed[name]))), kind="stable")
        for kind, begin, end in zip(population.cell, [0, *ends[:-1]], ends, strict=True):
            part = f"{name}_{kind}"
            if part in model.populations or part in model.regions or part in model.parameters:
                raise context.error(f"the kind '{kind}' is a population '{part}', a name that is taken", *path, kind)
            tags = {**population.tags, TAG: name}
            populations[part] = population.model_copy(update={"cell": kind, "tags": tags})
            places[part] = placed[name][np.sort(order[begin:end])]
    return model.model_copy(update={"populations": populations}), places


def with_model(context: Context, model: Model) -> Context:
    """The context of another model of the same specification."""
    return context if model is context.spec.model else replace(context, spec=replace(context.spec, model=model))

"""Tables of a Program."""

from __future__ import annotations

import numpy as np
import pytest

from nmlbridge.simulator.neuron.tables import distinct


@pytest.mark.parametrize("rows", [0, 1, 1000, 300_000])
def test_distinct_is_numpys_unique(rows: int) -> None:
    random = np.random.default_rng(0)
    columns = random.integers(0, 5, rows), random.integers(0, 3, rows), random.choice([0.1, 0.5, 0.9], rows)
    first, number, values = distinct(*columns)
    found, where, inverse = np.unique(np.stack(columns), axis=1, return_index=True, return_inverse=True)
    assert np.array_equal(first, where)
    assert np.array_equal(number, inverse.reshape(-1))
    assert np.array_equal(np.stack(values), found)

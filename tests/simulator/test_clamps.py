"""Second-order steps stay where a voltage clamp is slow against a step, and give way where it would ring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nmlbridge

from . import core_models as core


@pytest.mark.parametrize(("resistance", "noted"), [("20Mohm", False), ("1kohm", True)])
def test_a_stiff_clamp_takes_first_order_steps(tmp_path: Path, resistance: str, noted: bool) -> None:
    """C is 0.2 nF, dt 0.025 ms: 2 r C is 8 ms for 20 Mohm and 0.0004 ms for 1 kohm."""
    clamp = core.INPUTS["voltageClamp"].replace("20Mohm", resistance)
    components = core.PASSIVE + core.element("voltageClamp", "clamp", clamp)
    network = '<population id="p" component="rc" size="1"/><explicitInput target="p[0]" input="clamp"/>'
    results = nmlbridge.simulate(core.document(tmp_path, components, network, {"v": "p[0]/v"}, 20, 0.025))
    assert any(note.code == "clamp" for note in results.report) == noted
    v = results["p[0]/v"][results.time > 6e-3]
    assert np.all(np.diff(v) > -1e-9)  # it rises to the clamped voltage, and does not swing around it
    assert v.max() < -50e-3 + 1e-6

"""The trial run behind doctor."""

from __future__ import annotations

import pytest

from nmlbridge.simulator.neuron import doctor

pytestmark = pytest.mark.neuron


def test_facts_are_found_by_running() -> None:
    found = {fact.name: fact for fact in doctor.facts()}
    assert found["NEURON and compiler"].works and found["serial run"].works
    mpi = found["MPI run on 2 ranks"]
    assert mpi.works or "pip install" in mpi.detail


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "nowhere-g++")
    found = {fact.name: fact for fact in doctor.facts()}
    assert not found["serial run"].works and "nowhere-g++" in found["serial run"].detail
    assert not found["NEURON and compiler"].works

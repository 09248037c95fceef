"""Signals by frequency: Welch's estimates, built on scipy.signal, and the locking of spikes to a phase."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..extras import require

Floats = npt.NDArray[np.float64]


def power_spectrum(signal: npt.ArrayLike, rate: float, segment: float | None = None) -> tuple[Floats, Floats]:
    """Power spectral density by Welch's method with Hann windows that overlap by half, the mean removed.

    ``signal`` (n,) or (channels, n), ``rate`` in Hz, ``segment`` in s (the resolution is its inverse; default: an
    eighth of the signal). Returns frequencies (f,) in Hz and densities (..., f) in the signal's unit squared per Hz.
    """
    values, length = _checked(signal, rate, segment)
    frequency, density = _signal().welch(values, rate, nperseg=length, detrend="constant")
    return frequency, density


def spectrogram(
    signal: npt.ArrayLike, rate: float, segment: float, overlap: float = 0.75
) -> tuple[Floats, Floats, Floats]:
    """Power by frequency and time: frequencies (f,) in Hz, times (t,) in s, densities (f, t) in unit squared per Hz.

    ``overlap`` is the part of a segment that it shares with the next.
    """
    values, length = _checked(signal, rate, segment)
    if not 0 <= overlap < 1:
        raise UsageError(f"the overlap is {overlap:g}; it must be at least 0 and less than 1")
    result = _signal().spectrogram(values, rate, nperseg=length, noverlap=int(length * overlap), detrend="constant")
    return result[0], result[1], result[2]


def coherence(
    first: npt.ArrayLike, second: npt.ArrayLike, rate: float, segment: float | None = None
) -> tuple[Floats, Floats]:
    """Magnitude-squared coherence |S_xy|^2 / (S_xx S_yy): frequencies (f,) in Hz, values (f,) between 0 and 1.

    With k segments the value for unrelated signals is about 1/k, so choose ``segment`` (s) well below the duration.
    """
    a, length = _checked(first, rate, segment)
    b = np.asarray(second, float)
    if a.shape != b.shape:
        raise UsageError(f"the signals have shapes {a.shape} and {b.shape}; they must be alike")
    frequency, value = _signal().coherence(a, b, rate, nperseg=length)
    return frequency, value


class Locking(NamedTuple):
    """How spikes keep to a phase: see phase_locking."""

    strength: float
    phase: float
    consistency: float
    p: float
    phases: Floats


def phase_locking(times: npt.ArrayLike, signal: npt.ArrayLike, rate: float, band: tuple[float, float]) -> Locking:
    """Locking of spikes (s) to the phase of a field (n,), sampled at ``rate`` Hz from time 0, in a ``band`` (Hz).

    The phase is that of the analytic signal (Hilbert) of the field after a zero-phase Butterworth filter of order 3; 0
    is a peak, pi a trough. ``strength`` is the length of the mean phase vector and ``phase`` its angle (rad);
    ``consistency`` is the pairwise phase consistency (Vinck et al. 2010, NeuroImage 51), free of the bias that few
    spikes give to the strength; ``p`` is Rayleigh's test (Zar 1999, eq. 27.4). NaN without spikes.
    """
    values, _ = _checked(signal, rate, None)
    low, high = band
    if not 0 < low < high < rate / 2:
        raise UsageError(f"the band from {low:g} to {high:g} Hz must lie between 0 and half the rate, {rate / 2:g} Hz")
    tools = _signal()
    sections = tools.butter(3, [low, high], "bandpass", fs=rate, output="sos")
    analytic = tools.hilbert(tools.sosfiltfilt(sections, values - values.mean()))
    position = np.asarray(times, float) * rate
    position = position[(position >= 0) & (position <= len(values) - 1)]
    base = np.minimum(position.astype(np.int64), len(values) - 2)
    part = position - base
    phases = np.angle(analytic[base] * (1 - part) + analytic[base + 1] * part)
    n = len(phases)
    if not n:
        return Locking(np.nan, np.nan, np.nan, np.nan, phases)
    mean = np.exp(1j * phases).mean()
    length = float(np.abs(mean))
    resultant = n * length
    p = float(np.exp(np.sqrt(1 + 4 * n + 4 * (n**2 - resultant**2)) - (1 + 2 * n)))
    pairs = (resultant**2 - n) / (n * (n - 1)) if n > 1 else np.nan
    return Locking(length, float(np.angle(mean)), float(pairs), p, phases)


def _signal() -> Any:
    return require("scipy.signal", "analysis", "spectral analysis")


def _checked(signal: npt.ArrayLike, rate: float, segment: float | None) -> tuple[Floats, int]:
    """The signal as an array and the length of a segment in samples."""
    values = np.asarray(signal, float)
    if values.ndim == 0 or values.shape[-1] < 8:
        raise UsageError("the signal has fewer than 8 samples; there is nothing to analyse")
    if not rate > 0:
        raise UsageError(f"the sampling rate is {rate:g} Hz; it must be more than 0")
    if not np.isfinite(values).all():
        raise UsageError("the signal has values that are not finite")
    samples = values.shape[-1]
    length = max(samples // 8, 8) if segment is None else round(segment * rate)
    if not 2 <= length <= samples:
        raise UsageError(f"a segment of {length} samples does not fit a signal of {samples}")
    return values, length

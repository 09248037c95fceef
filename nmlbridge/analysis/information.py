"""What one signal tells of another: mutual information, transfer entropy, Granger causality."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..extras import require

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def mutual_information(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Mutual information in bits of two series of symbols (n,), such as counts in bins.

    sum p(x,y) log2 p(x,y)/p(x)p(y), the plug-in estimate; it is too large by about (|x|-1)(|y|-1)/(2 n ln 2)
    (Miller 1955).
    """
    x, y = _symbols(first), _symbols(second)
    _alike(x, y)
    return _entropy(x) + _entropy(y) - _entropy(_joint(x, y))


class Transfer(NamedTuple):
    """Transfer entropy: ``raw`` in bits, ``bias`` the mean over surrogates, ``normalised``, and ``p``."""

    raw: float
    bias: float
    normalised: float
    p: float


def transfer_entropy(
    source: npt.ArrayLike, target: npt.ArrayLike, lag: int = 1, shuffles: int = 100, seed: int = 1
) -> Transfer:
    """How much the past of ``source`` tells of the next value of ``target`` beyond the target's own past.

    Both are series of symbols (n,), such as counts in bins. TE = I(y_t ; x_t-lag | y_t-1) (Schreiber 2000, Phys. Rev.
    Lett. 85:461). ``normalised`` is (TE - bias) / H(y_t | y_t-1) (Gourevitch and Eggermont 2007, J. Neurophysiol. 97):
    the part of the target's novelty that the source explains; the bias is the mean TE of ``shuffles`` sources whose
    values are put in random order. ``p`` is the part of these that reach the raw value, the raw value among them.
    """
    x, y = _symbols(source), _symbols(target)
    _alike(x, y)
    if lag < 1 or len(y) <= lag + 1:
        raise UsageError(f"a lag of {lag} bins does not fit series of {len(y)}; it must be 1 or more, and shorter")
    now, past, other = y[lag:], y[lag - 1 : -1], x[:-lag]
    own = _entropy(_joint(now, past)) - _entropy(past)
    raw = _transfer(now, past, other, own)
    random = np.random.default_rng(seed)
    surrogates = np.array([_transfer(now, past, random.permutation(other), own) for _ in range(shuffles)])
    bias = float(surrogates.mean()) if shuffles else 0.0
    p = float((1 + (surrogates >= raw - 1e-12).sum()) / (1 + shuffles))
    return Transfer(raw, bias, (raw - bias) / own if own > 0 else 0.0, p)


class Causality(NamedTuple):
    """Granger causality of two signals: first on second, second on first, and what acts at once."""

    forward: float
    backward: float
    instantaneous: float


def granger(first: npt.ArrayLike, second: npt.ArrayLike, order: int = 10) -> Causality:
    """Pairwise Granger causality in the time domain, by elephant: ln of the ratio of residual variances.

    The signals (n,) are stationary (take out trends before); ``order`` is the highest of the autoregressive model,
    Akaike's criterion chooses. Source: Granger 1969; Ding, Chen and Bressler 2006, arXiv:q-bio/0608035.
    """
    tool = require("elephant.causality.granger", "analysis", "Granger causality")
    signals = _pair(first, second).T
    found = tool.pairwise_granger(signals, max_order=order)
    return Causality(
        float(found.directional_causality_x_y), float(found.directional_causality_y_x),
        float(found.instantaneous_causality),
    )  # fmt: skip


def granger_spectrum(
    first: npt.ArrayLike, second: npt.ArrayLike, rate: float, order: int = 10, points: int = 128
) -> tuple[Floats, Floats, Floats]:
    """Granger causality by frequency: frequencies (points,) in Hz up to rate/2, first on second and second on first.

    From an autoregressive model of the pair of this ``order``, fitted by least squares; their mean is the
    causality in the time domain (Geweke 1982, J. Am. Stat. Assoc. 77:304; the formulas are those of Ding, Chen and
    Bressler 2006, arXiv:q-bio/0608035, eq. 22-25). A model has a null near order/n; the estimate from cross spectra
    (elephant's pairwise_spectral_granger) has none near zero unless it averages over many segments.
    """
    signals = _pair(first, second)
    signals = signals - signals.mean(axis=1, keepdims=True)
    samples = signals.shape[1]
    if not 1 <= order < samples // 4:
        raise UsageError(f"an order of {order} does not fit signals of {samples} samples")
    past = np.concatenate([signals[:, order - lag : samples - lag] for lag in range(1, order + 1)])
    now = signals[:, order:]
    weights = np.linalg.lstsq(past.T, now.T, rcond=None)[0].T
    noise = np.cov(now - weights @ past)
    frequency = np.linspace(0, rate / 2, points)
    turns = np.exp(-2j * np.pi * np.outer(frequency / rate, np.arange(1, order + 1)))
    lags = weights.reshape(2, order, 2)
    transfer = np.linalg.inv(np.eye(2) - np.einsum("fk,ikj->fij", turns, lags))
    power = transfer @ noise @ transfer.conj().transpose(0, 2, 1)

    def onto(to: int, of: int) -> Floats:
        own = noise[of, of] - noise[to, of] ** 2 / noise[to, to]
        total = power[:, to, to].real
        found: Floats = np.log(total / (total - own * np.abs(transfer[:, to, of]) ** 2))
        return found

    return frequency, onto(1, 0), onto(0, 1)


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    a, b = np.asarray(first, float), np.asarray(second, float)
    _alike(a, b)
    return np.stack([a, b])


def _alike(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape or first.ndim != 1 or len(first) < 8:
        raise UsageError(f"series of shapes {first.shape} and {second.shape}; both must have one length, 8 or more")


def _symbols(series: npt.ArrayLike) -> Ints:
    """The series as numbers 0, 1, ... of its distinct values."""
    values = np.asarray(series)
    return np.unique(values, return_inverse=True)[1].reshape(values.shape).astype(np.int64)


def _joint(*parts: Ints) -> Ints:
    """One symbol for each combination."""
    code = parts[0]
    for part in parts[1:]:
        code = _symbols(code * (int(part.max()) + 1) + part)
    return code


def _entropy(symbols: Ints) -> float:
    counts = np.bincount(symbols)
    p = counts[counts > 0] / len(symbols)
    return float(-(p * np.log2(p)).sum())


def _transfer(now: Ints, past: Ints, other: Ints, own: float) -> float:
    """H(now | past) - H(now | past, other)."""
    both = _joint(past, other)
    return own - (_entropy(_joint(now, both)) - _entropy(both))

"""Intervals of any statistic of seeds: t below eight of them, BCa bootstrap from there (statistics.md)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import DegenerateDataWarning, bootstrap
from scipy.stats import t as student

Floats = npt.NDArray[np.float64]

BCA_FROM = 8  # seeds; below, the bootstrap distribution has too few distinct values
_INTERVAL_FROM = 3  # two seeds give one degree of freedom: an interval nobody should read
_RESAMPLES = 9999
_EQUAL = 1e-12  # a standard error below this share of the values is rounding


@dataclass(frozen=True)
class Interval:
    """An interval and how it was made.

    Attributes
    ----------
    low, high : float
        Bounds, in the units of the statistic; NaN where no interval can be made.
    method : str
        How, or why not.
    """

    low: float
    high: float
    method: str


def resampling_interval(
    statistic: Callable[..., Any],
    samples: Sequence[npt.ArrayLike],
    *,
    level: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval of a statistic: t on jackknife pseudo-values for n < 8, `scipy.stats.bootstrap` (BCa) from 8.

    The t interval of the pseudo-values of a mean is the classical one, and that of a difference of two means is
    Welch's. Values of one seed in several series are resampled together when they come as one differenced sample.

    Parameters
    ----------
    statistic : callable
        ``statistic(*samples, axis)``, vectorised over the other axes.
    samples : sequence of array_like, each of shape (seed,)
        Independent samples of finite values; one sample of paired differences for paired designs.
    level : float, default 0.95
        Coverage.
    resamples : int, default 9999
        Of the bootstrap.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    Interval
        NaN below three seeds in a sample, and where the statistic does not vary.

    References
    ----------
    Tukey, J. W. (1958). Bias and confidence in not quite large samples. Ann. Math. Statist. 29, 614.
    Efron, B. (1987). Better bootstrap confidence intervals. JASA 82, 171-185.
    """
    values = [np.asarray(sample, float) for sample in samples]
    n = min(map(len, values))
    if n < _INTERVAL_FROM:
        return Interval(math.nan, math.nan, "no interval below three seeds")
    if n < BCA_FROM:
        return _jackknife_t(statistic, values, level)
    return _bca(statistic, values, level, resamples, seed)


def _jackknife_t(statistic: Callable[..., Any], values: Sequence[Floats], level: float) -> Interval:
    whole = float(statistic(*values, axis=-1))
    variances, freedoms, largest = [], [], abs(whole)
    for position, sample in enumerate(values):
        n = len(sample)
        left_out = sample[np.arange(n - 1) + (np.arange(n - 1) >= np.arange(n)[:, None])]
        others = [np.broadcast_to(other, (n, len(other))) for other in values]
        others[position] = left_out
        pseudo = n * whole - (n - 1) * np.asarray(statistic(*others, axis=-1))
        largest = max(largest, float(np.abs(pseudo).max()))
        variances.append(float(pseudo.var(ddof=1)) / n)
        freedoms.append(n - 1)
    total = sum(variances)
    if math.sqrt(total) <= _EQUAL * largest:  # relative, so that units do not matter
        return Interval(math.nan, math.nan, "no interval: the statistic does not vary between seeds")
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    half = float(student.ppf((1 + level) / 2, freedom)) * math.sqrt(total)
    return Interval(whole - half, whole + half, "t interval of jackknife pseudo-values")


def _bca(statistic: Callable[..., Any], values: Sequence[Floats], level: float, resamples: int, seed: int) -> Interval:
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)  # told by NaN bounds, which are named below
        made = bootstrap(
            tuple(values),
            statistic,
            n_resamples=resamples,
            vectorized=True,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(made.low), float(made.high)
    if math.isnan(low) or math.isnan(high):
        return Interval(math.nan, math.nan, "no interval: the statistic does not vary between resamples")
    return Interval(low, high, f"BCa bootstrap, {resamples} resamples")

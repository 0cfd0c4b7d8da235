"""Effect sizes that need no normal distribution, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, trim_mean

from burden_analysis.statistics.estimates.interval import Interval, resampling_interval
from burden_analysis.statistics.ranks import complete_blocks, rounded

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EffectSize:
    """An effect size.

    Attributes
    ----------
    effect, low, high : float
        Estimate and interval; NaN where there is none.
    n : int
        Pairs; for two samples the seeds of the smaller one.
    excluded : int
        Pairs or values left out for a missing value.
    method : str
        How the interval was made, or why there is none.
    """

    effect: float
    low: float
    high: float
    n: int
    excluded: int
    method: str


def rank_biserial(differences: npt.ArrayLike, *, level: float = 0.95, seed: int = 0) -> EffectSize:
    """Matched-pairs rank-biserial correlation: (W₊ − W₋) / (W₊ + W₋) of Wilcoxon's signed ranks.

    Parameters
    ----------
    differences : array_like, shape (pair,)
        Paired differences, rounded to 12 significant digits before ranking; NaN where one of the pair is missing.
        Zeros are left out of the ranking, as Wilcoxon did.
    level : float, default 0.95
        Coverage of the interval: t below eight pairs, BCa from eight.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    EffectSize
        From −1 (all pairs fall) to 1 (all rise), 0 when all are tied. All of one sign: no interval, nothing varies.

    References
    ----------
    Kerby, D. S. (2014). The simple difference formula. Comprehensive Psychology 3, 11.IT.3.1.
    """
    kept, excluded = complete_blocks(differences)
    if not len(kept):
        return EffectSize(math.nan, math.nan, math.nan, 0, excluded, "no pairs")
    whole = rounded(kept)
    return _sized(_signed_rank_share, (whole,), excluded, level, seed, bounds=(-1.0, 1.0))


def cliffs_delta(first: npt.ArrayLike, second: npt.ArrayLike, *, level: float = 0.95, seed: int = 0) -> EffectSize:
    """Cliff's δ of two independent samples: P(second > first) − P(second < first).

    Parameters
    ----------
    first, second : array_like, shape (seed,)
        Values, in any common unit; NaN where missing. They may differ in length.
    level : float, default 0.95
        Coverage of the interval: t (Welch's degrees of freedom) below eight seeds in a sample, BCa from eight.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    EffectSize
        From −1 to 1; 1 when all of `second` are above all of `first`.

    References
    ----------
    Cliff, N. (1993). Dominance statistics: ordinal analyses to answer ordinal questions. Psychol. Bull. 114, 494-509.
    """
    (low, lost), (high, gone) = complete_blocks(first), complete_blocks(second)
    if not len(low) or not len(high):
        return EffectSize(math.nan, math.nan, math.nan, 0, lost + gone, "an empty sample")
    both = rounded(np.concatenate([low, high]))
    return _sized(_dominance, (both[: len(low)], both[len(low) :]), lost + gone, level, seed, bounds=(-1.0, 1.0))


def interquartile_mean(values: npt.ArrayLike, *, level: float = 0.95, seed: int = 0) -> EffectSize:
    """Mean of the middle half of the values (`scipy.stats.trim_mean`, a quarter cut at each end).

    Parameters
    ----------
    values : array_like, shape (seed,)
        Values; NaN where missing. ⌊n/4⌋ are cut at each end, so below four seeds it is the mean.
    level : float, default 0.95
        Coverage of the interval: t below eight seeds, BCa from eight.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    EffectSize
        In the units of the values.

    References
    ----------
    Agarwal, R. et al. (2021). Deep reinforcement learning at the edge of the statistical precipice. NeurIPS 34.
    """
    kept, excluded = complete_blocks(values)
    if not len(kept):
        return EffectSize(math.nan, math.nan, math.nan, 0, excluded, "no values")
    return _sized(_middle_mean, (kept,), excluded, level, seed)


def _sized(
    statistic: Any,
    samples: tuple[Floats, ...],
    excluded: int,
    level: float,
    seed: int,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> EffectSize:
    made: Interval = resampling_interval(statistic, samples, level=level, seed=seed)
    low, high = np.clip([made.low, made.high], *bounds)
    effect = float(statistic(*samples, axis=-1))
    return EffectSize(effect, float(low), float(high), min(map(len, samples)), excluded, made.method)


def _signed_rank_share(whole: Floats, axis: int) -> Floats:
    values = np.moveaxis(whole, axis, -1)
    tied = values == 0
    ranks = rankdata(np.abs(values), axis=-1) - tied.sum(axis=-1, keepdims=True)
    ranks = np.where(tied, 0.0, ranks)
    total = ranks.sum(axis=-1)
    return np.asarray((np.sign(values) * ranks).sum(axis=-1) / np.where(total > 0, total, 1.0))


def _dominance(first: Floats, second: Floats, axis: int) -> Floats:
    low, high = np.moveaxis(first, axis, -1), np.moveaxis(second, axis, -1)
    return np.asarray(np.sign(high[..., :, None] - low[..., None, :]).mean(axis=(-2, -1)))


def _middle_mean(values: Floats, axis: int) -> Floats:
    return np.asarray(trim_mean(values, 0.25, axis=axis))

"""Paired effects with t intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from burden_analysis.statistics.ranks import complete_blocks

_INTERVAL_FROM = 3  # two pairs give one degree of freedom: an interval nobody should read
_LARGEST = 308  # decades of a float


@dataclass(frozen=True)
class Estimate:
    """A paired effect.

    Attributes
    ----------
    effect, low, high : float
        Estimate and interval; the interval is NaN below three pairs.
    mean, sd : float
        Of the paired differences, on the scale they were given in (log₁₀ for ratios); `sd` is NaN below two pairs.
    n : int
        Pairs used.
    excluded : int
        Pairs left out for a missing value.
    """

    effect: float
    low: float
    high: float
    mean: float
    sd: float
    n: int
    excluded: int


def mean_difference(differences: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """Mean of paired differences with its t interval.

    Parameters
    ----------
    differences : array_like, shape (pair,)
        Differences, in the units of the indicator; NaN where one of the pair is missing.
    level : float, default 0.95
        Coverage of the interval.

    Returns
    -------
    Estimate
        All NaN without pairs.
    """
    kept, excluded = complete_blocks(differences)
    n = len(kept)
    mean = float(kept.mean()) if n else math.nan
    sd = float(kept.std(ddof=1)) if n > 1 else math.nan
    half = float(student.ppf((1 + level) / 2, n - 1)) * sd / math.sqrt(n) if n >= _INTERVAL_FROM else math.nan
    return Estimate(mean, mean - half, mean + half, mean, sd, n, excluded)


def ratio_of_geometric_means(numerator: npt.ArrayLike, denominator: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """Ratio of geometric means of paired values, from their logarithms: 10 to the mean difference.

    Parameters
    ----------
    numerator, denominator : array_like, shape (pair,)
        log₁₀ values, paired by position; NaN where missing.
    level : float, default 0.95
        Coverage of the t interval, computed on the logarithms.

    Returns
    -------
    Estimate
        `effect`, `low` and `high` are ratios; `mean` and `sd` are of the log₁₀ differences.
    """
    logs = mean_difference(np.asarray(numerator, float) - np.asarray(denominator, float), level=level)
    return replace(logs, effect=antilog(logs.effect), low=antilog(logs.low), high=antilog(logs.high))


def antilog(decades: float) -> float:
    """10 to a power; infinite where a float overflows, as an interval over three seeds can."""
    return math.inf if decades > _LARGEST else 10**decades


def one_sided_p(estimate: Estimate) -> tuple[float, float]:
    """Paired t test that the mean difference is below zero.

    Parameters
    ----------
    estimate : Estimate
        From `mean_difference` or `ratio_of_geometric_means`.

    Returns
    -------
    t, p : float
        NaN below three pairs. Without any spread, p is 0, 1, or 1/2 by the sign of the mean alone.
    """
    if estimate.n < _INTERVAL_FROM:
        return math.nan, math.nan
    if estimate.sd == 0:
        sign = float(np.sign(estimate.mean))
        return sign * math.inf if sign else 0.0, (1 + sign) / 2
    t = estimate.mean / estimate.sd * math.sqrt(estimate.n)
    return t, float(student.cdf(t, estimate.n - 1))

"""What a paired t test can see, and how many pairs it takes.

`statsmodels` TTestPower rests on a noncentral t distribution that fails for few pairs, and its solver then returns
numbers that do not have the power asked for (10.0 in place of 57.7 for two pairs at alpha 0.01). Here the power is
integrated over the distribution of the standard deviation; the tests compare both where TTestPower works.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr, xlogy
from scipy.stats import chi, norm
from scipy.stats import t as student

from recorders.contract import InputError

_MOST_PAIRS = 1_000_000
_FEWEST_PAIRS = 3  # below, no interval and no test is reported


def paired_power(size: float, n: int, *, alpha: float = 0.05) -> float:
    """Power of a two-sided paired t test.

    Parameters
    ----------
    size : float
        Mean paired difference divided by its standard deviation.
    n : int
        Pairs, two or more.
    alpha : float, default 0.05
        Level.

    Returns
    -------
    float
        Probability of p ≤ alpha.

    Raises
    ------
    InputError
        Fewer than two pairs.
    """
    if n < 2:
        raise InputError(f"a paired t test needs two pairs, not {n}")
    return _power(abs(size) * math.sqrt(n), n - 1, alpha)


def detectable_difference(sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Mean paired difference that a two-sided paired t test sees with a given power.

    Parameters
    ----------
    sd : float
        Standard deviation of the paired differences.
    n : int
        Pairs.
    alpha : float, default 0.05
        Level of the test.
    power : float, default 0.8
        Wanted.

    Returns
    -------
    float
        In the units of `sd`, so log₁₀ differences give the logarithm of a detectable ratio. NaN below three pairs.

    Raises
    ------
    InputError
        A power that is not between alpha and 1.
    """
    _check(alpha, power)
    if n < _FEWEST_PAIRS or math.isnan(sd):
        return math.nan
    return _noncentrality(n - 1, alpha, power) / math.sqrt(n) * sd


def pairs_needed(size: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Fewest pairs with which a two-sided paired t test sees an effect with a given power.

    Parameters
    ----------
    size : float
        Mean paired difference divided by its standard deviation; its sign does not matter.
    alpha : float, default 0.05
        Level of the test.
    power : float, default 0.8
        Wanted.

    Returns
    -------
    int
        Three or more.

    Raises
    ------
    InputError
        No effect to see, more than a million pairs, or a power that is not between alpha and 1.
    """
    _check(alpha, power)
    high = _FEWEST_PAIRS
    while math.isnan(size) or paired_power(size, high, alpha=alpha) < power:
        if math.isnan(size) or high >= _MOST_PAIRS:
            raise InputError(f"an effect of {size:g} standard deviations needs more than {_MOST_PAIRS:,} pairs")
        high *= 2
    low = max(_FEWEST_PAIRS, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if paired_power(size, middle, alpha=alpha) >= power else (middle + 1, high)
    return high


def detectable_delta(first: int, second: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Cliff's δ of two normal samples that a two-sided two-sample t test sees with a given power.

    Parameters
    ----------
    first, second : int
        Seeds in each sample.
    alpha : float, default 0.05
        Level of the test.
    power : float, default 0.8
        Wanted.

    Returns
    -------
    float
        2 Φ(d / √2) − 1 of the detectable d; NaN below three seeds in a sample.

    Raises
    ------
    InputError
        A power that is not between alpha and 1.
    """
    _check(alpha, power)
    if min(first, second) < _FEWEST_PAIRS:
        return math.nan
    size = _noncentrality(first + second - 2, alpha, power) * math.sqrt(1 / first + 1 / second)
    return float(2 * norm.cdf(size / math.sqrt(2)) - 1)


@cache
def _noncentrality(freedom: int, alpha: float, power: float) -> float:
    """Mean over standard error that a t test sees with a given power."""
    high = 1.0
    while _power(high, freedom, alpha) < power:
        high *= 2
    return float(brentq(lambda centre: _power(centre, freedom, alpha) - power, 0, high, xtol=1e-10))


@cache
def _power(centre: float, freedom: int, alpha: float) -> float:
    """Probability that a t statistic with this mean is significant, two-sided."""
    critical = float(student.ppf(1 - alpha / 2, freedom)) / math.sqrt(freedom)
    # The density of chi is written out: scipy's checks its arguments each time, which takes 50 times as long.
    scale = np.log(2) - 0.5 * np.log(2) * freedom - gammaln(0.5 * freedom)

    def rejected(spread: float) -> float:  # given the standard deviation that was drawn
        bound = critical * spread
        density = np.exp(scale + xlogy(freedom - 1.0, spread) - 0.5 * (spread * spread))
        return float((ndtr(centre - bound) + ndtr(-centre - bound)) * density)

    turn = centre / critical
    widest = float(chi.isf(1e-15, freedom))
    inside = [turn] if turn < widest else None
    return min(1.0, float(quad(rejected, 0, widest, points=inside, limit=200)[0]))


def _check(alpha: float, power: float) -> None:
    if not 0 < alpha < power < 1:
        raise InputError(f"power {power:g} at level {alpha:g} cannot be reached: choose 0 < alpha < power < 1")

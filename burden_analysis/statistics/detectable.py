"""The smallest effect that could have been seen with the seeds at hand."""

from __future__ import annotations

import math
import warnings

from statsmodels.stats.power import TTestPower

_POWER = 0.8
_MISSED = 1e-3  # the solver can stop at a bound without saying so: a solution must give the power back


def detectable_difference(sd: float, n: int, *, alpha: float = 0.05) -> float:
    """Mean paired difference that a two-sided paired t test sees with 80 % power (`statsmodels` TTestPower).

    Parameters
    ----------
    sd : float
        Standard deviation of the paired differences.
    n : int
        Pairs.
    alpha : float, default 0.05
        Level of the test.

    Returns
    -------
    float
        In the units of `sd`, so log₁₀ differences give the logarithm of a detectable ratio. NaN below three pairs, and
        where the noncentral t distribution cannot be evaluated (tiny `alpha` with three or four pairs).
    """
    if n < 3 or math.isnan(sd):
        return math.nan
    test = TTestPower()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about convergence: checked below
        size = float(test.solve_power(nobs=n, alpha=alpha, power=_POWER, alternative="two-sided"))
        reached = float(test.power(size, n, alpha, alternative="two-sided"))
    return size * sd if abs(reached - _POWER) < _MISSED else math.nan

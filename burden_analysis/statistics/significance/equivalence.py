"""Two one-sided tests that a difference is smaller than one that matters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from burden_analysis.statistics.holm import check_alpha
from burden_analysis.statistics.ranks import complete_blocks
from recorders.contract import InputError

Floats = npt.NDArray[np.float64]

_TESTED_FROM = 3  # as for intervals: one degree of freedom is none to rely on


@dataclass(frozen=True)
class Equivalence:
    """Outcome of two one-sided tests.

    Attributes
    ----------
    p : float
        The larger of the two p values; at most alpha: the difference lies within the margin.
    difference : float
        Mean difference, in the units of the margin.
    low, high : float
        The 1 − 2·alpha interval: equivalence holds when it lies inside the margin.
    margin : float
        Half-width of the region of no difference that matters.
    n : int
        Pairs; for two samples the seeds of the smaller one.
    excluded : int
        Pairs or values left out for a missing value.
    """

    p: float
    difference: float
    low: float
    high: float
    margin: float
    n: int
    excluded: int


def tost(differences: npt.ArrayLike, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Test that the mean paired difference lies within ±margin (`statsmodels` ttost_paired).

    Parameters
    ----------
    differences : array_like, shape (pair,)
        Paired differences; NaN where one of the pair is missing.
    margin : float
        Smallest difference that would matter, declared before looking, in the units of the differences.
    alpha : float, default 0.05
        Level; the interval covers 1 − 2·alpha.

    Returns
    -------
    Equivalence
        p and interval are NaN below three pairs. Without any spread, p is 0 inside the margin and 1 outside.

    Raises
    ------
    InputError
        A margin that is not positive, or a level that is none.

    References
    ----------
    Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure. J. Pharmacokin. Biopharm. 15, 657-680.
    """
    check_alpha(alpha)
    _check(margin)
    kept, excluded = complete_blocks(differences)
    n = len(kept)
    mean = float(kept.mean()) if n else math.nan
    if n < _TESTED_FROM:
        return Equivalence(math.nan, mean, math.nan, math.nan, margin, n, excluded)
    error = float(kept.std(ddof=1)) / math.sqrt(n)
    if error <= 1e-15 * max(abs(mean), margin):
        return Equivalence(_without_spread(mean, margin), mean, mean, mean, margin, n, excluded)
    p = float(ttost_paired(kept, np.zeros(n), -margin, margin)[0])
    half = float(student.ppf(1 - alpha, n - 1)) * error
    return Equivalence(p, mean, mean - half, mean + half, margin, n, excluded)


def tost_two_sample(first: npt.ArrayLike, second: npt.ArrayLike, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Test that the means of two independent samples differ by less than a margin (`statsmodels` ttost_ind, Welch).

    Parameters
    ----------
    first, second : array_like, shape (seed,)
        Values; NaN where missing. They may differ in length.
    margin : float
        Smallest difference that would matter, declared before looking, in the units of the values.
    alpha : float, default 0.05
        Level; the interval covers 1 − 2·alpha.

    Returns
    -------
    Equivalence
        Of second − first; p and interval are NaN below three seeds in a sample.

    Raises
    ------
    InputError
        A margin that is not positive, or a level that is none.
    """
    check_alpha(alpha)
    _check(margin)
    (a, lost), (b, gone) = complete_blocks(first), complete_blocks(second)
    n, excluded = min(len(a), len(b)), lost + gone
    mean = float(b.mean() - a.mean()) if n else math.nan
    if n < _TESTED_FROM:
        return Equivalence(math.nan, mean, math.nan, math.nan, margin, n, excluded)
    parts = [float(x.var(ddof=1)) / len(x) for x in (a, b)]
    error = math.sqrt(sum(parts))
    if error <= 1e-15 * max(abs(mean), margin):
        return Equivalence(_without_spread(mean, margin), mean, mean, mean, margin, n, excluded)
    p = float(ttost_ind(b, a, -margin, margin, usevar="unequal")[0])
    freedom = sum(parts) ** 2 / sum(v**2 / (len(x) - 1) for v, x in zip(parts, (a, b), strict=True))
    half = float(student.ppf(1 - alpha, freedom)) * error
    return Equivalence(p, mean, mean - half, mean + half, margin, n, excluded)


def _check(margin: float) -> None:
    if not margin > 0 or math.isinf(margin):
        raise InputError(f"margin {margin:g} is no difference that could matter: give a positive number")


def _without_spread(mean: float, margin: float) -> float:
    return 0.0 if abs(mean) < margin else 1.0

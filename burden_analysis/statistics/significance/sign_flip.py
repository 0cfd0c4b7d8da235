"""Exact paired test: under the null hypothesis each paired difference is as likely with the other sign."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test

from burden_analysis.statistics.ranks import complete_blocks, rounded
from burden_analysis.statistics.result import PermutationResult


def sign_flip(
    differences: npt.ArrayLike, *, two_sided: bool = True, resamples: int = 100_000, seed: int = 0
) -> PermutationResult:
    """Sign-flip test of a zero mean difference, with `scipy.stats.permutation_test`.

    Parameters
    ----------
    differences : array_like, shape (pair,)
        Paired differences; NaN where one of the pair is missing. Rounded to 12 significant digits of the largest, so
        that patterns with one sum are tied in whatever order it is summed.
    two_sided : bool, default True
        Test for any difference; otherwise that the mean is above zero.
    resamples : int, default 100_000
        All 2ⁿ sign patterns are used where there are no more than this (n ≤ 16), else this many random ones.
    seed : int, default 0
        Of the resampling.

    Returns
    -------
    PermutationResult
        `statistic` is the mean difference.
    """
    kept, excluded = complete_blocks(differences)
    n = len(kept)
    if n == 0:
        return PermutationResult(math.nan, math.nan, 0, excluded, 1.0)
    whole = rounded(kept)
    p = 1.0
    if np.any(whole != 0) and n > 1:
        p = float(
            permutation_test(
                (whole,),
                np.mean,
                permutation_type="samples",
                alternative="two-sided" if two_sided else "greater",
                n_resamples=resamples,
                rng=np.random.default_rng(seed),
            ).pvalue
        )
    elif n == 1 and not two_sided:
        p = 0.5 if kept[0] > 0 else 1.0
    tails = 1 + two_sided  # a two-sided p is twice that of the smaller tail, and so is its error
    error = 0.0 if 2.0**n <= resamples else tails * math.sqrt(p / tails * (1 - p / tails) / resamples)
    return PermutationResult(float(kept.mean()), p, n, excluded, sign_flip_attainable_p(n, two_sided=two_sided), error)


def sign_flip_attainable_p(n: int, *, two_sided: bool = True) -> float:
    """Smallest p of a sign-flip test with `n` pairs: 2 / 2ⁿ, one-sided 1 / 2ⁿ.

    Parameters
    ----------
    n : int
        Pairs.
    two_sided : bool, default True
        Whether the test is.

    Returns
    -------
    float
        At most 1.
    """
    return min(1.0, 2.0 ** (two_sided - n))

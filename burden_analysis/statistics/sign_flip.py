"""Exact paired test: under the null hypothesis each paired difference is as likely with the other sign."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test

from burden_analysis.statistics.ranks import complete_blocks
from burden_analysis.statistics.result import PermutationResult


def sign_flip(differences: npt.ArrayLike, *, resamples: int = 100_000, seed: int = 0) -> PermutationResult:
    """Two-sided sign-flip test of a zero mean difference, with `scipy.stats.permutation_test`.

    Parameters
    ----------
    differences : array_like, shape (pair,)
        Paired differences; NaN where one of the pair is missing.
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
    p = 1.0
    if np.any(kept != 0) and n > 1:
        p = float(
            permutation_test(
                (kept,), np.mean, permutation_type="samples", n_resamples=resamples, rng=np.random.default_rng(seed)
            ).pvalue
        )
    error = 0.0 if 2.0**n <= resamples else math.sqrt(p * (1 - p) / resamples)
    return PermutationResult(float(kept.mean()), p, n, excluded, sign_flip_attainable_p(n), error)


def sign_flip_attainable_p(n: int) -> float:
    """Smallest two-sided p of a sign-flip test with `n` pairs: 2 / 2ⁿ.

    Parameters
    ----------
    n : int
        Pairs.

    Returns
    -------
    float
        1 with fewer than two pairs.
    """
    return min(1.0, 2.0 ** (1 - n))

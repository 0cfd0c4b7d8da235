"""Hodges–Lehmann shifts: medians of pairwise means or differences, with exact rank intervals."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from burden_analysis.statistics.estimates.effect_size import EffectSize
from burden_analysis.statistics.ranks import complete_blocks

Floats = npt.NDArray[np.float64]


def hodges_lehmann(differences: npt.ArrayLike, *, level: float = 0.95) -> EffectSize:
    """Median of all means of two paired differences, with the interval that inverts Wilcoxon's exact test.

    Parameters
    ----------
    differences : array_like, shape (pair,)
        Paired differences; NaN where one of the pair is missing.
    level : float, default 0.95
        Coverage that the interval has at least.

    Returns
    -------
    EffectSize
        In the units of the differences. `method` states the coverage attained; no interval where even all Walsh
        averages cover less (below six pairs at 95 %).

    References
    ----------
    Hodges, J. L. & Lehmann, E. L. (1963). Estimates of location based on rank tests. Ann. Math. Statist. 34, 598-611.
    """
    kept, excluded = complete_blocks(differences)
    n = len(kept)
    i, j = np.triu_indices(n)
    return _median_with_interval((kept[i] + kept[j]) / 2, _signed_rank_law(n), n, excluded, level)


def hodges_lehmann_two_sample(first: npt.ArrayLike, second: npt.ArrayLike, *, level: float = 0.95) -> EffectSize:
    """Median of all differences second − first, with the interval that inverts Mann and Whitney's exact test.

    Parameters
    ----------
    first, second : array_like, shape (seed,)
        Independent samples in a common unit; NaN where missing. They may differ in length.
    level : float, default 0.95
        Coverage that the interval has at least.

    Returns
    -------
    EffectSize
        In the units of the values; no interval where no subset of the differences covers enough (three seeds each).

    References
    ----------
    Hodges, J. L. & Lehmann, E. L. (1963). Estimates of location based on rank tests. Ann. Math. Statist. 34, 598-611.
    """
    (low, lost), (high, gone) = complete_blocks(first), complete_blocks(second)
    law = _rank_sum_law(len(low), len(high))
    n = min(len(low), len(high))
    return _median_with_interval((high[:, None] - low).ravel(), law, n, lost + gone, level)


def _median_with_interval(averages: Floats, law: Floats, n: int, excluded: int, level: float) -> EffectSize:
    """Cut so many averages at each end as the rank statistic's lower tail allows."""
    if not averages.size:
        return EffectSize(math.nan, math.nan, math.nan, n, excluded, "no values")
    ordered = np.sort(averages)
    tail = np.cumsum(law)
    cut = int(np.searchsorted(tail, (1 - level) / 2 * (1 + 1e-12), side="right"))  # P(W < cut) fits into the tail
    median = float(np.median(ordered))
    if cut == 0:
        return EffectSize(median, math.nan, math.nan, n, excluded, f"no exact {level:.0%} interval with n = {n}")
    covered = 1 - 2 * tail[cut - 1]
    low, high = float(ordered[cut - 1]), float(ordered[-cut])
    return EffectSize(median, low, high, n, excluded, f"exact rank interval, covers {covered:.1%}")


def _signed_rank_law(n: int) -> Floats:
    """Probabilities of W₊ = 0, 1, … n(n + 1)/2."""
    law = np.ones(1)
    for rank in range(1, n + 1):
        longer = np.zeros(len(law) + rank)
        longer[: len(law)] += law / 2
        longer[rank:] += law / 2
        law = longer
    return law


def _rank_sum_law(m: int, n: int) -> Floats:
    """Probabilities of U = 0, 1, … mn: counts are a Gaussian binomial coefficient, in exact integers."""
    counts = np.zeros(m * n + 1, dtype=object)
    counts[0] = 1
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):
            counts[u] += counts[u - i]
    return np.asarray(counts / math.comb(m + n, m), dtype=float)

"""The Brunner–Munzel test of two independent samples, by relabelling units."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from burden_analysis.statistics.ranks import complete_blocks, rounded
from burden_analysis.statistics.result import PermutationResult, sampled
from burden_analysis.statistics.significance.groupings import Floats, doubled_order, grouping_count, groupings


def brunner_munzel(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    two_sided: bool = True,
    resamples: int = 100_000,
    seed: int = 0,
) -> PermutationResult:
    """Brunner–Munzel: is P(second > first) + P(tie)/2 one half? The statistic of `scipy.stats.brunnermunzel`.

    Its t approximation needs ten values in each sample and breaks down when the samples do not overlap, so p comes from
    relabelling (Neubert & Brunner 2007), exact where all relabellings can be listed.

    Parameters
    ----------
    first, second : array_like, shape (seed,)
        Independent samples; NaN where missing. They may differ in length.
    two_sided : bool, default True
        Test for any difference; otherwise that `second` tends to be higher.
    resamples : int, default 100_000
        All relabellings are used where there are no more than this (nine seeds each), else this many random ones.
    seed : int, default 0
        Of the sampling.

    Returns
    -------
    PermutationResult
        `statistic` is above zero where `second` is higher, ±inf without overlap; `n` counts seeds of both samples.
        NaN below two seeds in a sample.

    References
    ----------
    Brunner, E. & Munzel, U. (2000). The nonparametric Behrens-Fisher problem. Biometrical J. 42, 17-25.
    Neubert, K. & Brunner, E. (2007). A studentized permutation test. Comput. Statist. Data Anal. 51, 5192-5204.
    """
    (low, lost), (high, gone) = complete_blocks(first), complete_blocks(second)
    sizes, excluded = (len(low), len(high)), lost + gone
    attainable = min(1.0, (1 + two_sided) / grouping_count(sizes))
    if min(sizes) < 2:
        return PermutationResult(math.nan, math.nan, sum(sizes), excluded, 1.0)
    order = doubled_order(rounded(np.concatenate([low, high]))[:, None])
    observed = _statistic(np.repeat(np.array([0, 1], np.int8), sizes)[None], order)
    labels, exhaustive = groupings(sizes, resamples, seed)
    reached = _statistic(labels, order)
    if two_sided:
        hits = int((np.abs(reached) >= abs(observed[0]) * (1 - 1e-9)).sum())
    else:
        hits = int((reached >= observed[0] - 1e-9 * abs(_finite(observed[0]))).sum())
    p, error = (hits / len(labels), 0.0) if exhaustive else sampled(hits, len(labels))
    return PermutationResult(float(observed[0]), p, sum(sizes), excluded, attainable, error)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _statistic(labels: npt.NDArray[np.int8], order: Floats) -> Floats:
    """Difference of mean placements over its standard error, for each relabelling."""
    theirs = labels == 1
    placed = [_placements(theirs, ~theirs, order), _placements(~theirs, theirs, order)]
    # Placements are doubled counts of the other sample below: the mean over the first sample mirrors that of the second
    n = [theirs.sum(axis=1), (~theirs).sum(axis=1)]
    variance = sum(_spread(p, m) / m / other**2 for p, m, other in zip(placed, n, n[::-1], strict=True))
    lead = np.nansum(placed[0], axis=1) / n[0] / n[1] - 1.0
    certain = variance < 1e-18
    extreme = np.where(np.abs(lead) < 1e-12, 0.0, np.copysign(math.inf, lead))
    return np.where(certain, extreme, lead / np.sqrt(np.where(certain, 1.0, variance)))


def _placements(mine: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_], order: Floats) -> Floats:
    """Twice the number of other units below each of mine; NaN elsewhere."""
    return np.where(mine, others @ order, np.nan)


def _spread(placed: Floats, n: npt.NDArray[np.int64]) -> Floats:
    mean = np.nansum(placed, axis=1) / n
    return np.asarray(np.nansum((placed - mean[:, None]) ** 2, axis=1) / (n - 1))

"""Page's test for ordered alternatives, exact with and without ties (Page 1963).

Under the null hypothesis the labels inside a block are exchangeable, so L = Σ_j j R_j is a sum of independent per-block
scores, each with k! equally likely values. Their distributions are convolved: exact for any number of blocks.
SciPy's exact method assumes there are no ties.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import permutations

import numpy as np
import numpy.typing as npt

from burden_analysis.statistics.ranks import block_ranks, complete_blocks
from burden_analysis.statistics.result import PermutationResult, sampled
from recorders.contract import InputError

_ENUMERABLE = 8  # treatments; 8! = 40 320 arrangements of a block, 9! would take seconds per block

Floats = npt.NDArray[np.float64]


def page_trend(blocks: npt.ArrayLike, *, resamples: int = 100_000, seed: int = 0) -> PermutationResult:
    """Page's L: do values rise with the column inside blocks? One-sided.

    Parameters
    ----------
    blocks : array_like, shape (block, treatment)
        Values, treatments in the predicted increasing order; NaN where missing.
    resamples : int, default 100_000
        Monte-Carlo resamples, used only for more than 8 treatments.
    seed : int, default 0
        Of the resampling.

    Returns
    -------
    PermutationResult
        `statistic` is L.

    Raises
    ------
    InputError
        Fewer than two treatments.

    References
    ----------
    Page, E. B. (1963). Ordered hypotheses for multiple treatments. JASA 58, 216-230.
    """
    values = _treatments(blocks, ndim=2)
    kept, excluded = complete_blocks(values)
    return _test(block_ranks(kept), excluded, resamples, seed)


def page_joint(blocks: npt.ArrayLike, *, resamples: int = 100_000, seed: int = 0) -> PermutationResult:
    """Sum of Page's L over strata (sparsities), treatments relabelled jointly inside a block (seed).

    Strata of one seed share initial weights and data order, so they are no independent blocks: stacking them as if they
    were gives 12-13 % false positives at a nominal 5 %. A relabelling of a seed applies to all its strata at once.

    Parameters
    ----------
    blocks : array_like, shape (block, stratum, treatment)
        Values, treatments in the predicted increasing order; NaN where missing.
    resamples : int, default 100_000
        Monte-Carlo resamples, used only for more than 8 treatments.
    seed : int, default 0
        Of the resampling.

    Returns
    -------
    PermutationResult
        `statistic` is ΣL over complete (block, stratum) pairs, `n` counts blocks with at least one, `excluded` counts
        the incomplete pairs.

    Raises
    ------
    InputError
        Fewer than two treatments.
    """
    values = _treatments(blocks, ndim=3)
    complete = np.asarray(np.isfinite(values).all(axis=2))
    ranks = np.where(complete[..., None], block_ranks(np.where(complete[..., None], values, 0.0)), 0.0)
    kept = complete.any(axis=1)
    return _test(ranks.sum(axis=1)[kept], int((~complete).sum()), resamples, seed)


def page_attainable_p(n: int, k: int) -> float:
    """Smallest p of Page's test with `n` blocks of `k` untied treatments: 1 / k!ⁿ.

    Parameters
    ----------
    n : int
        Blocks.
    k : int
        Treatments.

    Returns
    -------
    float
        1 with no block.
    """
    return float(math.factorial(k)) ** -n


def _treatments(blocks: npt.ArrayLike, ndim: int) -> Floats:
    values = np.asarray(blocks, float)
    if values.ndim != ndim or values.shape[-1] < 2:
        raise InputError(f"Page's test needs {ndim} dimensions and two treatments or more, not shape {values.shape}")
    return values


def _test(scores: Floats, excluded: int, resamples: int, seed: int) -> PermutationResult:
    """Test Σ_block Σ_j j · score against relabellings of the scores inside blocks."""
    n, k = scores.shape
    if n == 0:
        return PermutationResult(math.nan, math.nan, 0, excluded, 1.0)
    weights = np.arange(1, k + 1)
    doubled = np.rint(2 * scores).astype(np.int64)  # midranks are halves: exact integers from here on
    observed = int((doubled @ weights).sum())
    if k <= _ENUMERABLE:
        p, error = _exact_tail(doubled, observed), 0.0
    else:
        rng = np.random.default_rng(seed)
        totals = sum(rng.permuted(np.tile(block, (resamples, 1)), axis=1) @ weights for block in doubled)
        p, error = sampled(int(np.sum(totals >= observed)), resamples)
    return PermutationResult(observed / 2, p, n, excluded, page_attainable_p(n, k), error)


def _exact_tail(doubled: npt.NDArray[np.int64], observed: int) -> float:
    arrangements = _arrangements(doubled.shape[1])
    weights = np.arange(1, doubled.shape[1] + 1)
    distribution, lowest = np.ones(1), 0
    for block in doubled:
        totals = block[arrangements] @ weights
        counts = np.bincount(totals - totals.min())
        distribution = np.convolve(distribution, counts / len(arrangements))
        lowest += int(totals.min())
    return min(1.0, float(distribution[observed - lowest :].sum()))


@cache
def _arrangements(k: int) -> npt.NDArray[np.intp]:
    return np.array(list(permutations(range(k))), dtype=np.intp)


@cache
def page_critical_value(n: int, k: int, alpha: float) -> float:
    """Smallest L of `n` blocks of `k` untied treatments that is significant.

    Parameters
    ----------
    n : int
        Blocks.
    k : int
        Treatments, at most eight.
    alpha : float
        One-sided level.

    Returns
    -------
    float
        Infinite where no L reaches alpha.
    """
    lowest, distribution = _law(n, k)
    tail = np.cumsum(distribution[::-1])[::-1]
    reached = np.flatnonzero(tail <= alpha * (1 + 1e-12))
    return float(lowest + reached[0]) if reached.size else math.inf


@cache
def _law(n: int, k: int) -> tuple[int, Floats]:
    """Lowest L and the probabilities of it and all above."""
    totals = (_arrangements(k) + 1) @ np.arange(1, k + 1)
    one = np.bincount(totals - totals.min()) / len(totals)
    if n == 1:
        return int(totals.min()), one
    lowest, distribution = _law(n - 1, k)
    return lowest + int(totals.min()), np.convolve(distribution, one)

"""Friedman's test with its exact permutation distribution, ties included."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import numpy.typing as npt

from burden_analysis.statistics.ranks import block_ranks, complete_blocks
from burden_analysis.statistics.result import PermutationResult, sampled
from recorders.contract import InputError

_ENUMERABLE = 2_000_000  # rank-sum vectors times arrangements that one step of the enumeration may hold
# After so many blocks without ties, sums of 4, 5, ... treatments are more than that. Further blocks, tied or not, never
# make them fewer (adding sorted to sorted is one-to-one), so the attempt can be spared.
_SURELY_TOO_MANY = {4: 50, 5: 11, 6: 4, 7: 2, 8: 2, 9: 2}


def friedman_exact(blocks: npt.ArrayLike, *, resamples: int = 100_000, seed: int = 0) -> PermutationResult:
    """Friedman's chi-square: does any treatment differ? Two-sided, exact under relabelling inside blocks.

    Parameters
    ----------
    blocks : array_like, shape (block, treatment)
        Values; NaN where missing.
    resamples : int, default 100_000
        Monte-Carlo resamples, used only where enumeration would be too large (six treatments or more, mostly).
    seed : int, default 0
        Of the resampling.

    Returns
    -------
    PermutationResult
        `statistic` is the tie-corrected chi-square of `scipy.stats.friedmanchisquare`, 0 when everything is tied.

    Raises
    ------
    InputError
        Fewer than two treatments.

    References
    ----------
    Friedman, M. (1937). The use of ranks to avoid the assumption of normality. JASA 32, 675-701.
    """
    values = np.asarray(blocks, float)
    if values.ndim != 2 or values.shape[1] < 2:
        raise InputError(f"Friedman's test needs blocks of two treatments or more, not shape {values.shape}")
    kept, excluded = complete_blocks(values)
    n, k = kept.shape
    if n == 0:
        return PermutationResult(math.nan, math.nan, 0, excluded, 1.0)
    doubled = np.rint(2 * block_ranks(kept)).astype(np.int64)
    observed = _spread(doubled.sum(axis=0, keepdims=True))[0]
    tail = _exact_tail(doubled, int(observed))
    p, error = tail if tail is not None else _sampled_tail(doubled, int(observed), resamples, seed)
    # Spread over blocks of the sums, per spread inside blocks; both are in doubled ranks, so the factor cancels.
    inside = float(((doubled - (k + 1)) ** 2).sum())
    statistic = (k - 1) * float(observed) / inside if inside > 0 else 0.0
    return PermutationResult(statistic, p, n, excluded, friedman_attainable_p(n, k), error)


def kendalls_w(result: PermutationResult, treatments: int) -> float:
    """Kendall's coefficient of concordance: 0 for no agreement between blocks, 1 for the same order in each.

    Parameters
    ----------
    result : PermutationResult
        From `friedman_exact`.
    treatments : int
        How many treatments it compared.

    Returns
    -------
    float
        χ² / (n (k − 1)); NaN without blocks.
    """
    return result.statistic / (result.n * (treatments - 1)) if result.n else math.nan


def friedman_attainable_p(n: int, k: int) -> float:
    """Smallest p of Friedman's test with `n` blocks of `k` untied treatments: k! / k!ⁿ.

    Parameters
    ----------
    n : int
        Blocks.
    k : int
        Treatments.

    Returns
    -------
    float
        1 with fewer than two blocks.
    """
    return min(1.0, float(math.factorial(k)) ** (1 - n))


def _spread(sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Σ_j (R_j − mean)² of doubled rank sums, whose mean n(k + 1) is an integer: no rounding decides a tie."""
    return np.asarray(((sums - sums.sum(axis=1, keepdims=True) // sums.shape[1]) ** 2).sum(axis=1))


def _exact_tail(doubled: npt.NDArray[np.int64], observed: int) -> tuple[float, float] | None:
    """Enumerate rank-sum vectors block by block; None when there are too many.

    What later blocks add is exchangeable over columns, so vectors that are permutations of each other have the same
    future and are kept once, sorted.
    """
    k = doubled.shape[1]
    base = int(doubled.max()) * len(doubled) + 1
    if math.factorial(k) > _ENUMERABLE or base**k > np.iinfo(np.int64).max:
        return None
    untied = int((np.diff(np.sort(doubled[:-1], axis=1), axis=1) > 0).all(axis=1).sum())
    if untied >= _SURELY_TOO_MANY.get(k, math.inf):
        return None
    digits = base ** np.arange(k)  # a vector of sums as one integer: sorting integers is ten times faster
    orders = np.array(list(permutations(range(k))), dtype=np.intp)
    states: npt.NDArray[np.int64] = np.sort(doubled[:1], axis=1)
    weight: npt.NDArray[np.float64] = np.ones(1)
    for block in doubled[1:]:
        if len(states) * len(orders) > _ENUMERABLE:
            return None
        reached = np.sort((states[:, None, :] + block[orders]).reshape(-1, k), axis=1)
        _, first, inverse = np.unique(reached @ digits, return_index=True, return_inverse=True)
        chance = np.repeat(weight / len(orders), len(orders))
        states, weight = reached[first], np.asarray(np.bincount(inverse, chance), np.float64)
    return min(1.0, float(weight[_spread(states) >= observed].sum())), 0.0


def _sampled_tail(doubled: npt.NDArray[np.int64], observed: int, resamples: int, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    sums = np.zeros((resamples, doubled.shape[1]), np.int64)
    for block in doubled:
        sums += rng.permuted(np.broadcast_to(block, sums.shape), axis=1)
    return sampled(int(np.sum(_spread(sums) >= observed)), resamples)

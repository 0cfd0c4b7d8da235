"""The Jonckheere–Terpstra test for ordered alternatives of independent groups, by relabelling units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from burden_analysis.statistics.ranks import rounded
from burden_analysis.statistics.result import PermutationResult, sampled
from burden_analysis.statistics.significance.groupings import Floats, doubled_order, grouping_count, groupings
from recorders.contract import InputError


def jonckheere_terpstra(
    groups: Sequence[npt.ArrayLike], *, resamples: int = 100_000, seed: int = 0
) -> PermutationResult:
    """Jonckheere–Terpstra: do values rise from group to group? One-sided, exact where it can be enumerated.

    statsmodels has the normal approximation only, which is none to rely on with five seeds or with ties.

    Parameters
    ----------
    groups : sequence of array_like, each of shape (unit,) or (unit, stratum)
        Groups in the predicted increasing order. With strata (sparsities) the statistics of all strata are added, and
        a unit (seed) is relabelled with all its strata at once. NaN where missing; a unit without any value is left
        out.
    resamples : int, default 100_000
        All groupings are used where there are no more than this (three groups of four: 34 650), else this many.
    seed : int, default 0
        Of the sampling.

    Returns
    -------
    PermutationResult
        `statistic` sums the Mann–Whitney counts of all pairs of groups, ties counting one half; `n` counts units.

    Raises
    ------
    InputError
        Fewer than two groups, or groups of different strata.

    References
    ----------
    Jonckheere, A. R. (1954). A distribution-free k-sample test against ordered alternatives. Biometrika 41, 133-145.
    """
    arrays = [np.asarray(group, float) for group in groups]
    arrays = [a[:, None] if a.ndim == 1 else a for a in arrays]
    if len(arrays) < 2 or len({a.shape[1:] for a in arrays}) > 1:
        raise InputError(
            f"the Jonckheere–Terpstra test needs two groups or more of the same strata, not shapes "
            f"{[a.shape for a in arrays]}"
        )
    kept = [a[np.isfinite(a).any(axis=1)] for a in arrays]
    sizes = tuple(map(len, kept))
    excluded = sum(map(len, arrays)) - sum(sizes)
    if min(sizes) == 0:
        return PermutationResult(math.nan, math.nan, sum(sizes), excluded, 1.0)
    values = np.concatenate(kept)
    values[~np.isfinite(values)] = np.nan
    order = doubled_order(_rounded_strata(values))
    observed = float(_statistic(np.repeat(np.arange(len(sizes), dtype=np.int8), sizes)[None], order, len(sizes))[0])
    labels, exhaustive = groupings(sizes, resamples, seed)
    hits = int((_statistic(labels, order, len(sizes)) >= observed).sum())
    p, error = (hits / len(labels), 0.0) if exhaustive else sampled(hits, len(labels))
    return PermutationResult(observed / 2, p, sum(sizes), excluded, 1 / grouping_count(sizes), error)


def _statistic(labels: npt.NDArray[np.int8], order: Floats, groups: int) -> Floats:
    total = np.zeros(len(labels))
    for group in range(groups - 1):
        total += np.einsum("pu,pu->p", (labels == group) @ order, (labels > group).astype(float))
    return total


def _rounded_strata(values: Floats) -> Floats:
    missing = np.isnan(values)
    return np.where(missing, np.nan, rounded(np.where(missing, 0.0, values).T).T)

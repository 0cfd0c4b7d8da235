"""Relabellings of independent groups: every one, or a sample where there are too many."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]


def groupings(sizes: tuple[int, ...], resamples: int, seed: int) -> tuple[Labels, bool]:
    """List how units can be dealt out to groups of given sizes.

    Parameters
    ----------
    sizes : tuple of int
        Units per group.
    resamples : int
        All groupings are listed where there are no more than this, else this many random ones.
    seed : int
        Of the sampling.

    Returns
    -------
    labels : array, shape (grouping, unit)
        Group of each unit.
    exhaustive : bool
        Whether these are all.
    """
    if grouping_count(sizes) <= resamples:
        return _all(sizes), True
    one = np.repeat(np.arange(len(sizes), dtype=np.int8), sizes)
    return np.random.default_rng(seed).permuted(np.tile(one, (resamples, 1)), axis=1), False


def grouping_count(sizes: tuple[int, ...]) -> int:
    """Count the ways to deal units out to groups: N! / ∏ nᵢ!.

    Parameters
    ----------
    sizes : tuple of int
        Units per group.

    Returns
    -------
    int
        The multinomial coefficient.
    """
    return math.factorial(sum(sizes)) // math.prod(map(math.factorial, sizes))


def doubled_order(values: Floats) -> Floats:
    """Compare all pairs of units: 2 where the second is above the first, 1 where they tie, summed over strata.

    Parameters
    ----------
    values : array, shape (unit, stratum)
        Rounded values; NaN where missing: such a pair adds nothing.

    Returns
    -------
    array, shape (unit, unit)
        Whole numbers, so that no rounding decides a tie.
    """
    first, second = values[:, None], values[None]
    order: Floats = (2.0 * (first < second) + (first == second)).sum(axis=2)
    return order


@cache
def _all(sizes: tuple[int, ...]) -> Labels:
    if len(sizes) == 1:
        return np.zeros((1, sizes[0]), np.int8)
    rest = _all(sizes[1:]) + np.int8(1)
    total = sum(sizes)
    chosen = list(combinations(range(total), sizes[0]))
    labels = np.zeros((len(chosen), len(rest), total), np.int8)
    for place, members in zip(labels, chosen, strict=True):
        others = np.setdiff1d(np.arange(total), members)
        place[:, others] = rest
    return labels.reshape(-1, total)

"""Wilcoxon's signed-rank test with its exact distribution, ties and zeros included."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.statistics import PermutationResult
from burden_analysis.statistics.ranks import block_ranks, complete_blocks

if TYPE_CHECKING:
    import numpy.typing as npt


def signed_rank(differences: npt.ArrayLike) -> tuple[PermutationResult, float]:
    """Two-sided exact Wilcoxon signed-rank test, and the matched rank-biserial correlation.

    Zeros are dropped (Wilcoxon), ties share their mean rank; the distribution of the rank sum over all sign patterns is
    convolved, so it is exact for any number of pairs. SciPy's exact method assumes neither ties nor zeros.

    Parameters
    ----------
    differences : array_like, shape (pair,)
        Paired differences; NaN where one of the pair is missing.

    Returns
    -------
    result : PermutationResult
        `statistic` is the sum of the ranks of positive differences, `n` counts all complete pairs.
    effect : float
        (positive − negative rank sum) / all ranks, from −1 to 1; 0 when all differences are zero.

    References
    ----------
    Wilcoxon, F. (1945). Individual comparisons by ranking methods. Biometrics Bulletin 1, 80-83.
    Kerby, D. S. (2014). The simple difference formula. Comprehensive Psychology 3, 1.
    """
    kept, excluded = complete_blocks(differences)
    n = len(kept)
    moved = kept[kept != 0]
    if n == 0 or moved.size == 0:
        p = math.nan if n == 0 else 1.0
        return PermutationResult(math.nan if n == 0 else 0.0, p, n, excluded, min(1.0, 2.0 ** (1 - n))), 0.0
    doubled = np.rint(2 * block_ranks(np.abs(moved))).astype(np.int64)
    total, positive = int(doubled.sum()), int(doubled[moved > 0].sum())
    chance = np.ones(1)
    for rank in doubled:
        chance = (np.pad(chance, (0, rank)) + np.pad(chance, (rank, 0))) / 2
    p = min(1.0, 2 * float(chance[: min(positive, total - positive) + 1].sum()))
    result = PermutationResult(positive / 2, p, n, excluded, min(1.0, 2.0 ** (1 - n)))
    return result, (2 * positive - total) / total

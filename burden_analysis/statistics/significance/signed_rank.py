"""Wilcoxon's signed-rank test with its exact distribution, ties and zeros included."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.statistics.ranks import block_ranks, complete_blocks
from burden_analysis.statistics.result import PermutationResult

if TYPE_CHECKING:
    import numpy.typing as npt


def signed_rank(differences: npt.ArrayLike) -> PermutationResult:
    """Two-sided exact Wilcoxon signed-rank test.

    Zeros are dropped (Wilcoxon), ties share their mean rank; the distribution of the rank sum over all sign patterns is
    convolved, so it is exact for any number of pairs. SciPy's exact method assumes neither ties nor zeros.

    Parameters
    ----------
    differences : array_like, shape (pair,)
        Paired differences; NaN where one of the pair is missing.

    Returns
    -------
    PermutationResult
        `statistic` is the sum of the ranks of positive differences, `n` counts all complete pairs.

    References
    ----------
    Wilcoxon, F. (1945). Individual comparisons by ranking methods. Biometrics Bulletin 1, 80-83.
    """
    kept, excluded = complete_blocks(differences)
    n, attainable = len(kept), min(1.0, 2.0 ** (1 - len(kept)))
    moved = kept[kept != 0]
    if not moved.size:
        return PermutationResult(*((0.0, 1.0) if n else (math.nan, math.nan)), n, excluded, attainable)
    doubled = np.rint(2 * block_ranks(np.abs(moved))).astype(np.int64)
    total, positive = int(doubled.sum()), int(doubled[moved > 0].sum())
    chance = np.ones(1)
    for rank in doubled:
        chance = (np.pad(chance, (0, rank)) + np.pad(chance, (rank, 0))) / 2
    p = min(1.0, 2 * float(chance[: min(positive, total - positive) + 1].sum()))
    return PermutationResult(positive / 2, p, n, excluded, attainable)

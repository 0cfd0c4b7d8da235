"""The declared families of tests that the rows of tables belong to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from burden_analysis.results.worded import Worded
from burden_analysis.statistics import holm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class Family(Worded):
    """Which declared family of tests a row belongs to: what it is adjusted with."""

    JOINT = "joint", "gate: Page over all sparsities"
    PAGE = "page", "Page per sparsity (Holm)"
    PAIRS = "pairs", "adjacent pairs in significant sparsities (Holm)"
    FRIEDMAN = "friedman", "Friedman per sparsity (Holm)"
    AGAINST = "against", "against the claim (Holm)"
    INTERACTION = "interaction", "strategy × sparsity"
    CONTRASTS = "contrasts", "strategy × sparsity per seed (Holm)"
    RISING = "rising", "Page over sparsity (Holm over strategies)"
    SLOPE = "slope", "slope over sparsity (Holm over strategies)"
    FALLING = "falling", "against the claim (Holm over strategies)"
    UNPAIRED_JOINT = "unpaired_joint", "gate: Jonckheere–Terpstra over all sparsities"
    UNPAIRED_TREND = "unpaired_trend", "Jonckheere–Terpstra per sparsity (Holm)"
    UNPAIRED_PAIRS = "unpaired_pairs", "adjacent pairs of independent samples in significant sparsities (Holm)"
    CLOSED = "closed", "not tested (gate closed)"
    EQUIVALENCE = "equivalence", "equivalence over all sparsities"
    EQUIVALENCE_EACH = "equivalence_each", "equivalence per sparsity (Holm)"
    GROWS = "grows", "late growth (both must hold)"
    SHRINKS = "shrinks", "against late growth (Holm)"
    DESCRIBED = "described", "late growth per sparsity (described)"
    RATIO = "ratio", "each ratio"
    OVERALL = "overall", "all ratios"
    WITHIN = "within", "equivalence"
    ANY = "any", "any difference"
    RANK = "rank", "mean rank"
    TREND = "trend", "trend over ratios"
    BEST = "best", "best ratio"
    BEST_WINS = "best_wins", "best ratio wins"
    GAIN_SLOPE = "gain_slope", "gain against sparsity"


EVERYWHERE = "all sparsities"


def at_sparsity(sparsity: float) -> str:
    """Name the scope of a test at one sparsity."""
    return f"sparsity {sparsity:g}"


def gated(family: Family, p_adjusted: float) -> Family:
    """Name the family of a test, or say that its gate was closed: it then has no adjusted p."""
    return Family.CLOSED if math.isnan(p_adjusted) else family


def of_family(table: pd.DataFrame, *families: Family) -> pd.DataFrame:
    """Rows of declared families."""
    return table[table["family"].isin(families)]


def smallest_adjusted(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Smallest Holm-adjusted p that each test of a family can give, all others being as small as they can be.

    Parameters
    ----------
    rows : pandas.DataFrame
        One family, with ``p`` (NaN for a test that was not made) and ``attainable_p``; n may differ between tests.

    Returns
    -------
    array, shape (test,)
        Never above the ``p_adjusted`` that was found, since Holm's adjustment rises with every p. NaN where not made.
    """
    return holm(rows["attainable_p"].where(rows["p"].notna()))

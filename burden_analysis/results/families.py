"""The declared families of tests in a comparison's table, and how its effects read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from burden_analysis.statistics import holm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

JOINT = "gate: Page over all sparsities"
PAGE = "Page per sparsity (Holm)"
PAIRS = "adjacent pairs in significant sparsities (Holm)"
FRIEDMAN = "Friedman per sparsity (Holm)"
AGAINST = "against the claim (Holm)"
INTERACTION = "strategy × sparsity"
CONTRASTS = "strategy × sparsity per seed (Holm)"
EVERYWHERE = "all sparsities"
RISING = "Page over sparsity (Holm over strategies)"
SLOPE = "slope over sparsity (Holm over strategies)"
FALLING = "against the claim (Holm over strategies)"
UNPAIRED_JOINT = "gate: Jonckheere–Terpstra over all sparsities"
UNPAIRED_TREND = "Jonckheere–Terpstra per sparsity (Holm)"
UNPAIRED_PAIRS = "adjacent pairs of independent samples in significant sparsities (Holm)"
CLOSED = "not tested (gate closed)"


def at_sparsity(sparsity: float) -> str:
    """Name the scope of a test at one sparsity."""
    return f"sparsity {sparsity:g}"


def gated(family: str, p_adjusted: float) -> str:
    """Name the family of a test, or say that its gate was closed: it then has no adjusted p."""
    return CLOSED if math.isnan(p_adjusted) else family


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


def reversed_pairs(table: pd.DataFrame, neutral: float) -> list[str]:
    """Name the adjacent pairs whose estimate over all sparsities points against the claim.

    Parameters
    ----------
    table : pandas.DataFrame
        From `strategy_rows` or `unpaired_rows`.
    neutral : float
        The effect of no difference: `no_effect` of the scale, 0 for Cliff's δ.

    Returns
    -------
    list of str
        Such as ``"random < optimal"``.
    """
    against = table[table["family"] == AGAINST]
    return [str(q) for q in against.loc[against["effect"] < neutral, "question"]]


def no_effect(scale: str) -> float:
    """Effect of no difference.

    Parameters
    ----------
    scale : {"log", "raw"}
        Whether effects are ratios or differences.

    Returns
    -------
    float
        1 or 0.
    """
    return 1.0 if scale == "log" else 0.0


def pair_name(first: str, second: str, scale: str) -> str:
    """Name the contrast of an adjacent pair.

    Parameters
    ----------
    first, second : str
        Strategies; the claim has `first` lower.
    scale : {"log", "raw"}
        Whether it is a ratio or a difference.

    Returns
    -------
    str
        ``"second / first"`` or ``"second − first"``: above no effect in the claimed direction.
    """
    return f"{second} {'/' if scale == 'log' else '−'} {first}"

"""The declared families of tests in a comparison's table, and how its effects read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

JOINT = "gate: Page over all sparsities"
PAGE = "Page per sparsity (Holm)"
PAIRS = "adjacent pairs in significant sparsities (Holm)"
FRIEDMAN = "Friedman per sparsity (Holm)"
AGAINST = "against the claim (Holm)"
EVERYWHERE = "all sparsities"
RISING = "Page over sparsity (Holm over strategies)"
SLOPE = "slope over sparsity (Holm over strategies)"
FALLING = "against the claim (Holm over strategies)"

CLOSED = "not tested (gate closed)"


def reversed_pairs(table: pd.DataFrame, scale: str) -> list[str]:
    """Name the adjacent pairs whose estimate over all sparsities points against the claim.

    Parameters
    ----------
    table : pandas.DataFrame
        From `strategy_rows`.
    scale : {"log", "raw"}
        What the effects are.

    Returns
    -------
    list of str
        Such as ``"random < optimal"``.
    """
    against = table[table["family"] == AGAINST]
    return [str(q) for q in against.loc[against["effect"] < no_effect(scale), "question"]]


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

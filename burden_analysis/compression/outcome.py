"""Judges the claim that compression helps, from the tests of its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from burden_analysis.compression.ratio_tests import OVERALL, RATIO
from burden_analysis.results.families import smallest_adjusted
from burden_analysis.results.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

_UNITS = 3  # two give no interval


def compression_outcome(table: pd.DataFrame, unit: str, alpha: float) -> Outcome:
    """Judge the claim; `compression_effect` defines the four outcomes.

    Parameters
    ----------
    table : pandas.DataFrame
        `CompressionEffect.table`.
    unit : str
        The level that is judged.
    alpha : float
        Level of the tests.

    Returns
    -------
    Outcome
        One of the four.
    """
    scopes = [str(scope) for scope in table["scope"].unique()]
    judged = table[table["unit"] == unit]
    ratios, overall = judged[judged["family"] == RATIO], judged[judged["family"] == OVERALL]
    lower = all((overall[overall["scope"] == s].apply(way, axis=1, alpha=alpha) == -1).all() for s in scopes)
    if lower and not (ratios.apply(way, axis=1, alpha=alpha) == 1).any():
        return Outcome.CONTRADICTED
    if winning(table, unit, alpha):
        return Outcome.SUPPORTED
    beyond = any((smallest_adjusted(ratios[ratios["scope"] == s]) > alpha).any() for s in scopes)
    if (ratios["n"] < _UNITS).any() or beyond:
        return Outcome.UNDECIDED
    return Outcome.NOT_SUPPORTED


def winning(table: pd.DataFrame, unit: str, alpha: float) -> list[float]:
    """Ratios that are significantly higher over units and win more than half of the cells, the same in every scope."""
    won = []
    for _, rows in table[table["family"] == RATIO].groupby("scope"):
        units, cells = (rows[rows["unit"] == level].set_index("ratio") for level in (unit, "cell"))
        higher = units.apply(way, axis=1, alpha=alpha) == 1
        won.append(set(units.index[higher & (2 * cells["wins"] > cells["n"])]))
    return sorted(set.intersection(*won))


def way(row: pd.Series[Any], alpha: float) -> int:
    """Which way a difference is significant: +1 or −1 when its mean and most of its samples agree, else 0."""
    if not row["p_adjusted"] <= alpha:
        return 0
    if row["effect"] > 0 and row["wins"] > row["losses"]:
        return 1
    return -1 if row["effect"] < 0 and row["losses"] > row["wins"] else 0

"""Judges the claim that compression helps, from the tests of its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.results.families import Family, of_family, smallest_adjusted
from burden_analysis.results.judgement import Judgement, Reason
from burden_analysis.results.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

_UNITS = 3  # two give no interval


def compression_judgement(table: pd.DataFrame, unit: str, alpha: float) -> Judgement:
    """Judge the claim; `compression_effect` defines the four outcomes."""
    judged = table[table["unit"] == unit]
    ratios, overall = of_family(judged, Family.RATIO), of_family(judged, Family.OVERALL)
    ways = ratios.apply(way, axis=1, alpha=alpha)
    if (overall.apply(way, axis=1, alpha=alpha) == -1).all() and not (ways == 1).any():
        return Judgement(Outcome.CONTRADICTED, Reason.AGAINST, overall)
    cells = of_family(table[table["unit"] == "cell"], Family.RATIO)
    most = (2 * cells["wins"] > cells["n"]).to_numpy()  # a row per scope and ratio, as of the units
    winning = ((ways == 1) & most).groupby(ratios["ratio"]).transform("all")  # in every scope
    if winning.any():
        return Judgement(Outcome.SUPPORTED, Reason.SIGNIFICANT, ratios[winning])
    smallest = np.concatenate([smallest_adjusted(rows) for _, rows in ratios.groupby("scope", sort=False)])
    for reason, missing in ((Reason.UNREACHABLE, smallest > alpha), (Reason.FEW, ratios["n"] < _UNITS)):
        if missing.any():
            return Judgement(Outcome.UNDECIDED, reason, ratios[missing])
    return Judgement(Outcome.NOT_SUPPORTED, Reason.INSIGNIFICANT, ratios)


def way(row: pd.Series[Any], alpha: float) -> int:
    """Which way a difference is significant: +1 or −1 when its mean and most of its samples agree, else 0."""
    if not row["p_adjusted"] <= alpha:
        return 0
    if row["effect"] > 0 and row["wins"] > row["losses"]:
        return 1
    return -1 if row["effect"] < 0 and row["losses"] > row["wins"] else 0

"""Phrases that every verdict is made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 5  # runs left out that are named; the others are counted


def significance(row: pd.Series[Any], alpha: float, smallest: float) -> str:
    """Say what an adjusted p means; where the smallest that it could have been is above alpha, say that instead."""
    if row["p_adjusted"] <= alpha:
        return f"significant (adjusted {p_in_words(row['p_adjusted'])})"
    if smallest > alpha:
        return f"could not reach {alpha:g} (smallest adjusted p {smallest:.2g})"
    return f"not significant (adjusted {p_in_words(row['p_adjusted'])})"


def effect_in_words(row: pd.Series[Any]) -> str:
    """Print an effect with its interval, if it has one."""
    if math.isnan(row["ci_low"]):
        return f"{row['effect']:.3g}"
    return f"{row['effect']:.3g} [{row['ci_low']:.3g}, {row['ci_high']:.3g}]"


def family(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of one declared family."""
    return table[table["family"] == name]


def counted(n: float, noun: str, plural: str = "") -> str:
    """Print a count with its noun in the right number."""
    return f"{int(n)} {noun if n == 1 else plural or noun + 's'}"


def p_in_words(p: float) -> str:
    """Print a p value."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def left_out(excluded: tuple[str, ...]) -> str:
    """Count and name what was left out."""
    if not excluded:
        return "Nothing was left out."
    more = f" and {len(excluded) - _NAMED} more" if len(excluded) > _NAMED else ""
    return f"{len(excluded)} left out: {'; '.join(excluded[:_NAMED])}{more}."

"""The tests behind `compare_sparsities`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.effects import SPARSITY_STEP, detectable, paired_effect, slopes_over_sparsity
from burden_analysis.families import FALLING, RISING, SLOPE, smallest_adjusted
from burden_analysis.outcome import Outcome
from burden_analysis.rows import as_table, make_row
from burden_analysis.statistics import holm, page_trend, sign_flip

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.cells import Cells


def sparsity_rows(found: Cells, scale: str, alpha: float) -> pd.DataFrame:
    """Make every test of a rise with sparsity.

    Parameters
    ----------
    found : Cells
        Endpoints; every strategy has two sparsities or more.
    scale : {"log", "raw"}
        What the endpoints are.
    alpha : float
        Level.

    Returns
    -------
    pandas.DataFrame
        Table of a `Comparison`.
    """
    each = [found.of(k) for k in range(len(found.strategies))]
    rising = [page_trend(values) for _, values in each]
    falling = [page_trend(values[:, ::-1]) for _, values in each]
    slopes = [slopes_over_sparsity(sparsities, values) for sparsities, values in each]
    flips = [sign_flip(slope) for slope in slopes]
    estimates = [paired_effect(np.zeros_like(slope), slope, scale, alpha) for slope in slopes]
    p_rising, p_flips, p_falling = (holm([r.p for r in results]) for results in (rising, flips, falling))
    rows = []
    for k, strategy in enumerate(found.strategies):
        values = {"p_adjusted": p_rising[k]}
        rows.append(make_row("rises with sparsity", strategy, "Page's L", RISING, rising[k], values=values))
    for k, strategy in enumerate(found.strategies):
        question, test = f"change per +{SPARSITY_STEP:g} sparsity", "sign flip, two-sided"
        values = {"p_adjusted": p_flips[k], "detectable": detectable(estimates[k], scale, alpha)}
        rows.append(make_row(question, strategy, test, SLOPE, flips[k], estimates[k], values))
    for k, strategy in enumerate(found.strategies):
        values = {"p_adjusted": p_falling[k]}
        rows.append(make_row("falls with sparsity", strategy, "Page's L", FALLING, falling[k], values=values))
    return as_table(rows)


def sparsity_outcome(table: pd.DataFrame, alpha: float) -> Outcome:
    """Judge a rise with sparsity; `compare_sparsities` defines the outcomes.

    Parameters
    ----------
    table : pandas.DataFrame
        From `sparsity_rows`.
    alpha : float
        Level.

    Returns
    -------
    Outcome
        One of the four.
    """
    rising, falling = (table[table["family"] == family] for family in (RISING, FALLING))
    # Five sparsities in one seed give p = 1/120, and still say nothing about other seeds.
    if ((falling["p_adjusted"] <= alpha) & (falling["n"] > 1)).any():
        return Outcome.CONTRADICTED
    if ((rising["p_adjusted"] <= alpha) & (rising["n"] > 1)).all():
        return Outcome.SUPPORTED
    if (rising["n"] < 3).any() or (smallest_adjusted(rising) > alpha).any():
        return Outcome.UNDECIDED
    return Outcome.NOT_SUPPORTED

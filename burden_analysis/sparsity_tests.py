"""The tests behind `compare_sparsities`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.families import FALLING, RISING, SLOPE
from burden_analysis.result import Outcome
from burden_analysis.rows import as_table, make_row
from burden_analysis.statistics import (
    Estimate,
    holm,
    mean_difference,
    page_trend,
    ratio_of_geometric_means,
    sign_flip,
)
from burden_analysis.strategy_tests import detectable_effect

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from burden_analysis.cells import Cells

_STEP = 0.1  # the effect is told for a sparsity that is higher by this


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
    slopes = [_STEP * _slopes(sparsities, values) for sparsities, values in each]
    flips = [sign_flip(slope) for slope in slopes]
    estimates = [_estimate(slope, scale, alpha) for slope in slopes]
    p_rising, p_flips, p_falling = (holm([r.p for r in results]) for results in (rising, flips, falling))
    rows = []
    for k, strategy in enumerate(found.strategies):
        values = {"p_adjusted": p_rising[k]}
        rows.append(make_row("rises with sparsity", strategy, "Page's L", RISING, rising[k], values=values))
    for k, strategy in enumerate(found.strategies):
        question, test = f"change per +{_STEP:g} sparsity", "sign flip, two-sided"
        values = {"p_adjusted": p_flips[k], "detectable": detectable_effect(estimates[k], scale, alpha)}
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
    if (falling["p_adjusted"] <= alpha).any():
        return Outcome.CONTRADICTED
    if (rising["p_adjusted"] <= alpha).all():
        return Outcome.SUPPORTED
    if (rising["n"] < 3).any() or (len(rising) * rising["attainable_p"] > alpha).any():
        return Outcome.UNDECIDED
    return Outcome.NOT_SUPPORTED


def _slopes(sparsities: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Least-squares slope per seed; NaN where a sparsity is missing."""
    centred = sparsities - sparsities.mean()
    return np.asarray(values @ centred / (centred @ centred))


def _estimate(slopes: npt.NDArray[np.float64], scale: str, alpha: float) -> Estimate:
    if scale == "log":
        return ratio_of_geometric_means(slopes, np.zeros_like(slopes), level=1 - alpha)
    return mean_difference(slopes, level=1 - alpha)

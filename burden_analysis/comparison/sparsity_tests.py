"""The tests behind `compare_sparsities`, and whether strategies depend differently on sparsity."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.comparison.effects import SPARSITY_STEP, detectable, paired_effect, slopes_over_sparsity
from burden_analysis.results.families import (
    CONTRASTS,
    EVERYWHERE,
    FALLING,
    INTERACTION,
    RISING,
    SLOPE,
    pair_name,
    smallest_adjusted,
)
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.rows import as_table, make_row
from burden_analysis.statistics import friedman_exact, holm, interaction, kendalls_w, page_trend, sign_flip

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.arrangement.cells import Cells


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


Rows = list[dict[str, Any]]

_QUESTION = "slope over sparsity differs between strategies"


def interaction_rows(found: Cells, scale: str, alpha: float) -> Rows:
    """Make the tests of whether strategies depend differently on sparsity.

    Parameters
    ----------
    found : Cells
        Endpoints.
    scale : {"log", "raw"}
        What the endpoints are.
    alpha : float
        Level.

    Returns
    -------
    list of dict
        None at a single sparsity. The mixed model's row; where that is unusable, Friedman's exact test of the per-seed
        slopes, which says why, and one row per adjacent pair with the per-seed slope of its ratio (difference).
    """
    if len(found.sparsities) < 2:
        return []
    model = interaction(found.grid, found.sparsities)
    if model.unusable:
        return _slope_rows(found, model.unusable, scale, alpha)
    values = {"statistic": model.statistic, "p": model.p, "p_adjusted": model.p, "n": model.n}
    values |= {"excluded": int(np.isnan(found.grid).sum())}
    method = f"REML, seed random, Wald F({model.freedom[0]}, {model.freedom[1]})"
    return [make_row(_QUESTION, EVERYWHERE, "mixed model", INTERACTION, values={**values, "method": method})]


def _slope_rows(found: Cells, unusable: str, scale: str, alpha: float) -> Rows:
    sparsities = np.array(found.sparsities)
    slopes = list(slopes_over_sparsity(sparsities, found.grid.transpose(2, 0, 1)))
    joint = friedman_exact(np.array(slopes).T)
    method = f"{joint.method}; mixed model not usable: {unusable}"
    values = {"p_adjusted": joint.p, "effect": kendalls_w(joint, len(slopes)), "method": method}
    first = make_row(_QUESTION, EVERYWHERE, "Friedman over per-seed slopes", INTERACTION, joint, values=values)
    flips = [sign_flip(higher - lower) for lower, higher in pairwise(slopes)]
    estimates = [paired_effect(lower, higher, scale, alpha) for lower, higher in pairwise(slopes)]
    rows = [first]
    for k, p in enumerate(holm([flip.p for flip in flips])):
        name = pair_name(found.strategies[k], found.strategies[k + 1], scale)
        question = f"change of {name} per +{SPARSITY_STEP:g} sparsity"
        values = {"p_adjusted": p, "detectable": detectable(estimates[k], scale, alpha)}
        rows.append(
            make_row(question, EVERYWHERE, "sign flip, two-sided", CONTRASTS, flips[k], estimates[k], values=values)
        )
    return rows

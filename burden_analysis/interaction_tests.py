"""The test of strategy × sparsity: a mixed model, or per-seed slopes where that cannot be fitted."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.effects import SPARSITY_STEP, detectable, paired_effect, slopes_over_sparsity
from burden_analysis.families import CONTRASTS, EVERYWHERE, INTERACTION, pair_name
from burden_analysis.rows import make_row
from burden_analysis.statistics import friedman_exact, holm, interaction, kendalls_w, sign_flip

if TYPE_CHECKING:
    from burden_analysis.cells import Cells

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

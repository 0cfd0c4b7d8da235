"""The tests behind `compare_sparsities`, and whether strategies depend differently on sparsity."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.comparison.effects import SPARSITY_STEP, detectable, paired_effect, slopes_over_sparsity
from burden_analysis.results.families import EVERYWHERE, Family, of_family, smallest_adjusted
from burden_analysis.results.judgement import Judgement, Reason
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.rows import as_table, make_row
from burden_analysis.results.tests import Test
from burden_analysis.statistics import friedman_exact, holm, interaction, kendalls_w, page_trend, sign_flip

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.arrangement.cells import Cells
    from burden_analysis.results.question import Question


def sparsity_rows(found: Cells, asked: Question) -> pd.DataFrame:
    """Make every test of a rise with sparsity."""
    each = [found.of(k) for k in range(len(found.strategies))]
    rising = [page_trend(values) for _, values in each]
    falling = [page_trend(values[:, ::-1]) for _, values in each]
    slopes = [slopes_over_sparsity(sparsities, values) for sparsities, values in each]
    flips = [sign_flip(slope) for slope in slopes]
    estimates = [paired_effect(np.zeros_like(slope), slope, asked) for slope in slopes]
    p_rising, p_flips, p_falling = (holm([r.p for r in results]) for results in (rising, flips, falling))
    rows = []
    for k, strategy in enumerate(found.strategies):
        values = {"p_adjusted": p_rising[k]}
        rows.append(make_row("rises with sparsity", strategy, Test.PAGE, Family.RISING, rising[k], values=values))
    for k, strategy in enumerate(found.strategies):
        question, test = f"change per +{SPARSITY_STEP:g} sparsity", Test.SIGN_FLIP
        values = {"p_adjusted": p_flips[k], "detectable": detectable(estimates[k], asked)}
        rows.append(make_row(question, strategy, test, Family.SLOPE, flips[k], estimates[k], values))
    for k, strategy in enumerate(found.strategies):
        values = {"p_adjusted": p_falling[k]}
        rows.append(make_row("falls with sparsity", strategy, Test.PAGE, Family.FALLING, falling[k], values=values))
    return as_table(rows)


def sparsity_judgement(table: pd.DataFrame, asked: Question) -> Judgement:
    """Judge a rise with sparsity; `compare_sparsities` defines the outcomes."""
    rising, falling = of_family(table, Family.RISING), of_family(table, Family.FALLING)
    # Five sparsities in one seed give p = 1/120, and still say nothing about other seeds.
    falls = falling[(falling["p_adjusted"] <= asked.alpha) & (falling["n"] > 1)]
    if len(falls):
        return Judgement(Outcome.CONTRADICTED, Reason.AGAINST, falls)
    if ((rising["p_adjusted"] <= asked.alpha) & (rising["n"] > 1)).all():
        return Judgement(Outcome.SUPPORTED, Reason.SIGNIFICANT, rising)
    for reason, missing in (
        (Reason.SINGLE, rising["n"] < 2),
        (Reason.UNREACHABLE, smallest_adjusted(rising) > asked.alpha),
        (Reason.FEW, rising["n"] < 3),
    ):
        if missing.any():
            return Judgement(Outcome.UNDECIDED, reason, rising[missing])
    return Judgement(Outcome.NOT_SUPPORTED, Reason.INSIGNIFICANT, rising[rising["p_adjusted"] > asked.alpha])


Rows = list[dict[str, Any]]

_QUESTION = "slope over sparsity differs between strategies"


def interaction_rows(found: Cells, asked: Question) -> Rows:
    """Make the tests of whether strategies depend differently on sparsity."""
    if len(found.sparsities) < 2:
        return []
    model = interaction(found.grid, found.sparsities)
    if model.unusable:
        return _slope_rows(found, model.unusable, asked)
    values = {"statistic": model.statistic, "p": model.p, "p_adjusted": model.p, "n": model.n}
    values |= {"excluded": int(np.isnan(found.grid).sum())}
    method = f"REML, seed random, Wald F({model.freedom[0]}, {model.freedom[1]})"
    return [make_row(_QUESTION, EVERYWHERE, Test.MIXED_MODEL, Family.INTERACTION, values={**values, "method": method})]


def _slope_rows(found: Cells, unusable: str, asked: Question) -> Rows:
    sparsities = np.array(found.sparsities)
    slopes = list(slopes_over_sparsity(sparsities, found.grid.transpose(2, 0, 1)))
    joint = friedman_exact(np.array(slopes).T)
    method = f"{joint.method}; mixed model not usable: {unusable}"
    values = {"p_adjusted": joint.p, "effect": kendalls_w(joint, len(slopes)), "method": method}
    first = make_row(_QUESTION, EVERYWHERE, Test.FRIEDMAN_SLOPES, Family.INTERACTION, joint, values=values)
    flips = [sign_flip(higher - lower) for lower, higher in pairwise(slopes)]
    estimates = [paired_effect(lower, higher, asked) for lower, higher in pairwise(slopes)]
    rows = [first]
    for k, p in enumerate(holm([flip.p for flip in flips])):
        name = asked.contrast(found.strategies[k], found.strategies[k + 1])
        question = f"change of {name} per +{SPARSITY_STEP:g} sparsity"
        values = {"p_adjusted": p, "detectable": detectable(estimates[k], asked)}
        rows.append(
            make_row(question, EVERYWHERE, Test.SIGN_FLIP, Family.CONTRASTS, flips[k], estimates[k], values=values)
        )
    return rows

"""The gated family of tests behind `compare_strategies`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from burden_analysis.comparison.effects import detectable, paired_effect
from burden_analysis.comparison.order_judgement import order_judgement
from burden_analysis.comparison.sparsity_tests import interaction_rows
from burden_analysis.results.families import EVERYWHERE, Family, at_sparsity, gated, of_family
from burden_analysis.results.rows import as_table, make_row
from burden_analysis.results.tests import Test
from burden_analysis.statistics import (
    Equivalence,
    Estimate,
    PermutationResult,
    friedman_exact,
    holm,
    kendalls_w,
    one_sided_p,
    page_joint,
    page_trend,
    sign_flip,
    tost,
)
from burden_analysis.statistics.ranks import last_digit

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.arrangement.cells import Cells
    from burden_analysis.results.judgement import Judgement
    from burden_analysis.results.question import Question

Rows = list[dict[str, Any]]
Floats = npt.NDArray[np.float64]


def strategy_rows(found: Cells, asked: Question) -> pd.DataFrame:
    """Make every test of an order over strategies."""
    joint, *against = claim_rows(found, asked)
    rows = [joint, *gated_rows(found, joint["p"], asked), *_friedman_rows(found), *against]
    return as_table([*rows, *interaction_rows(found, asked)])


def gated_rows(found: Cells, joint_p: float, asked: Question) -> Rows:
    """Make the tests behind the joint one: Page per sparsity, then adjacent pairs inside significant sparsities."""
    claim = " < ".join(found.strategies)
    pages = [page_trend(found.grid[:, j]) for j in range(len(found.sparsities))]
    adjusted = holm([page.p if joint_p <= asked.alpha else math.nan for page in pages])
    rows = []
    for sparsity, page, p in zip(found.sparsities, pages, adjusted, strict=True):
        values = {"p_adjusted": p}
        rows.append(make_row(claim, at_sparsity(sparsity), Test.PAGE, gated(Family.PAGE, p), page, values=values))
    return rows + _pair_rows(found, adjusted <= asked.alpha, asked)


def claim_rows(found: Cells, asked: Question) -> Rows:
    """Make the tests that decide the outcome: the joint test of the claim, and the family against it."""
    joint = page_joint(found.grid)
    claim = " < ".join(found.strategies)
    row = make_row(claim, EVERYWHERE, Test.PAGE_JOINT, Family.JOINT, joint, values={"p_adjusted": joint.p})
    return [row, *_against_rows(found, asked)]


def paired_judgement(table: pd.DataFrame, asked: Question) -> Judgement:
    """Judge an order over strategies; `compare_strategies` defines the outcomes."""
    joint = of_family(table, Family.JOINT)
    n = joint["n"].iloc[0]
    # Four strategies in one seed give p = 1/24, and still say nothing about other seeds.
    return order_judgement(joint, of_family(table, Family.AGAINST), asked, asked.neutral, single=n < 2, few=n < 3)


def paired_equivalence(found: Cells, bound: float, asked: Question) -> tuple[list[Equivalence], tuple[str, ...]]:
    """Test two strategies of the same seeds for equivalence."""
    # A run without its partner counts for nothing.
    grid = np.where(np.isfinite(found.grid).all(axis=2, keepdims=True), found.grid, np.nan)
    have = np.isfinite(grid)
    count = have.sum(axis=1)
    mean = np.where(have, grid, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    return [tost(v[:, 0] - v[:, 1], bound, alpha=asked.alpha) for v in (mean, *grid.transpose(1, 0, 2))], ()


def _pair_rows(found: Cells, opened: npt.NDArray[np.bool_], asked: Question) -> Rows:
    made: list[tuple[int, int, Estimate, PermutationResult]] = []
    for j in range(len(found.sparsities)):
        for k in range(len(found.strategies) - 1):
            lower, higher = found.grid[:, j, k], found.grid[:, j, k + 1]
            made.append((j, k, paired_effect(lower, higher, asked), sign_flip(higher - lower)))
    adjusted = holm([flip.p if opened[j] else math.nan for j, _, _, flip in made])
    return [
        make_row(
            asked.contrast(found.strategies[k], found.strategies[k + 1]),
            at_sparsity(found.sparsities[j]),
            Test.SIGN_FLIP,
            gated(Family.PAIRS, p),
            flip,
            estimate,
            values={"p_adjusted": p, "detectable": detectable(estimate, asked)},
        )
        for (j, k, estimate, flip), p in zip(made, adjusted, strict=True)
    ]


def _friedman_rows(found: Cells) -> Rows:
    results = [friedman_exact(found.grid[:, j]) for j in range(len(found.sparsities))]
    adjusted = holm([r.p for r in results])
    return [
        make_row(
            "any difference",
            at_sparsity(sparsity),
            Test.FRIEDMAN,
            Family.FRIEDMAN,
            result,
            values={"p_adjusted": p, "effect": kendalls_w(result, len(found.strategies))},
        )
        for sparsity, result, p in zip(found.sparsities, results, adjusted, strict=True)
    ]


def _against_rows(found: Cells, asked: Question) -> Rows:
    backwards = page_joint(found.grid[..., ::-1])
    rows = [make_row(" < ".join(reversed(found.strategies)), EVERYWHERE, Test.PAGE_JOINT, Family.AGAINST, backwards)]
    for k, (lower, higher) in enumerate(pairwise(found.strategies)):
        estimate = paired_effect(*_over_sparsities(found.grid[..., k], found.grid[..., k + 1]), asked)
        t, p = one_sided_p(estimate)
        seen = detectable(estimate, asked)
        question = f"{higher} < {lower}"
        values = {"statistic": t, "p": p, "detectable": seen}
        rows.append(make_row(question, EVERYWHERE, Test.PAIRED_T, Family.AGAINST, estimate=estimate, values=values))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_adjusted"] = p
    return rows


def _over_sparsities(lower: Floats, higher: Floats) -> tuple[Floats, Floats]:
    """Mean over the sparsities at which a seed has both; NaN where it has none.

    Summed as whole numbers of the last digit kept: sums that are equal stay equal in any order.
    """
    both = np.isfinite(lower) & np.isfinite(higher)
    pairs = np.where(both, [lower, higher], 0.0)
    unit = last_digit(pairs.ravel())
    count = np.where(both.any(axis=1), both.sum(axis=1), np.nan)
    means = np.round(pairs / unit).sum(axis=2) / count * unit
    return means[0], means[1]

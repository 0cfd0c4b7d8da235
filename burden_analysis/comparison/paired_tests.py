"""The gated family of tests behind `compare_strategies`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from burden_analysis.comparison.effects import detectable, paired_effect
from burden_analysis.comparison.sparsity_tests import interaction_rows
from burden_analysis.results.families import (
    AGAINST,
    EVERYWHERE,
    FRIEDMAN,
    JOINT,
    PAGE,
    PAIRS,
    at_sparsity,
    gated,
    no_effect,
    pair_name,
    reversed_pairs,
)
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.rows import as_table, make_row
from burden_analysis.statistics import (
    Estimate,
    PermutationResult,
    friedman_exact,
    holm,
    kendalls_w,
    one_sided_p,
    page_joint,
    page_trend,
    sign_flip,
)
from burden_analysis.statistics.ranks import last_digit

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.arrangement.cells import Cells

Rows = list[dict[str, Any]]
Floats = npt.NDArray[np.float64]


def strategy_rows(found: Cells, scale: str, alpha: float) -> pd.DataFrame:
    """Make every test of an order over strategies.

    Parameters
    ----------
    found : Cells
        Endpoints, strategies in the claimed order.
    scale : {"log", "raw"}
        What the endpoints are.
    alpha : float
        Level.

    Returns
    -------
    pandas.DataFrame
        Table of a `Comparison`.
    """
    joint, *against = claim_rows(found, scale, alpha)
    rows = [joint, *gated_rows(found, joint["p"], scale, alpha), *_friedman_rows(found), *against]
    return as_table([*rows, *interaction_rows(found, scale, alpha)])


def gated_rows(found: Cells, joint_p: float, scale: str, alpha: float) -> Rows:
    """Make the tests behind the joint one: Page per sparsity, then adjacent pairs inside significant sparsities.

    Parameters
    ----------
    found : Cells
        Endpoints, strategies in the claimed order.
    joint_p : float
        Of the joint test: above alpha the gate is closed.
    scale : {"log", "raw"}
        What the endpoints are.
    alpha : float
        Level.

    Returns
    -------
    list of dict
        Behind a closed gate without an adjusted p.
    """
    claim = " < ".join(found.strategies)
    pages = [page_trend(found.grid[:, j]) for j in range(len(found.sparsities))]
    adjusted = holm([page.p if joint_p <= alpha else math.nan for page in pages])
    rows = []
    for sparsity, page, p in zip(found.sparsities, pages, adjusted, strict=True):
        values = {"p_adjusted": p}
        rows.append(make_row(claim, at_sparsity(sparsity), "Page's L", gated(PAGE, p), page, values=values))
    return rows + _pair_rows(found, adjusted <= alpha, scale, alpha)


def claim_rows(found: Cells, scale: str, alpha: float) -> Rows:
    """Make the tests that decide the outcome: the joint test of the claim, and the family against it.

    Parameters
    ----------
    found : Cells
        Endpoints, strategies in the claimed order.
    scale : {"log", "raw"}
        What the endpoints are.
    alpha : float
        Level.

    Returns
    -------
    list of dict
        The joint row first.
    """
    joint = page_joint(found.grid)
    claim = " < ".join(found.strategies)
    row = make_row(claim, EVERYWHERE, "Page's L, joint", JOINT, joint, values={"p_adjusted": joint.p})
    return [row, *_against_rows(found, scale, alpha)]


def strategy_outcome(table: pd.DataFrame, scale: str, alpha: float) -> Outcome:
    """Judge an order over strategies; `compare_strategies` defines the outcomes.

    Parameters
    ----------
    table : pandas.DataFrame
        From `strategy_rows`.
    scale : {"log", "raw"}
        What the effects are.
    alpha : float
        Level.

    Returns
    -------
    Outcome
        One of the four.
    """
    joint = table[table["family"] == JOINT].iloc[0]
    against = table[table["family"] == AGAINST]
    if joint["n"] < 2:  # four strategies in one seed give p = 1/24, and still say nothing about other seeds
        return Outcome.UNDECIDED
    if (against["p_adjusted"] <= alpha).any():
        return Outcome.CONTRADICTED
    if joint["p"] <= alpha and not reversed_pairs(table, no_effect(scale)):
        return Outcome.SUPPORTED
    if joint["n"] < 3 or joint["attainable_p"] > alpha:
        return Outcome.UNDECIDED
    return Outcome.NOT_SUPPORTED


def _pair_rows(found: Cells, opened: npt.NDArray[np.bool_], scale: str, alpha: float) -> Rows:
    made: list[tuple[int, int, Estimate, PermutationResult]] = []
    for j in range(len(found.sparsities)):
        for k in range(len(found.strategies) - 1):
            lower, higher = found.grid[:, j, k], found.grid[:, j, k + 1]
            made.append((j, k, paired_effect(lower, higher, scale, alpha), sign_flip(higher - lower)))
    adjusted = holm([flip.p if opened[j] else math.nan for j, _, _, flip in made])
    return [
        make_row(
            pair_name(found.strategies[k], found.strategies[k + 1], scale),
            at_sparsity(found.sparsities[j]),
            "sign flip, two-sided",
            gated(PAIRS, p),
            flip,
            estimate,
            values={"p_adjusted": p, "detectable": detectable(estimate, scale, alpha)},
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
            "Friedman's χ²",
            FRIEDMAN,
            result,
            values={"p_adjusted": p, "effect": kendalls_w(result, len(found.strategies))},
        )
        for sparsity, result, p in zip(found.sparsities, results, adjusted, strict=True)
    ]


def _against_rows(found: Cells, scale: str, alpha: float) -> Rows:
    backwards = page_joint(found.grid[..., ::-1])
    rows = [make_row(" < ".join(reversed(found.strategies)), EVERYWHERE, "Page's L, joint", AGAINST, backwards)]
    for k, (lower, higher) in enumerate(pairwise(found.strategies)):
        estimate = paired_effect(*_over_sparsities(found.grid[..., k], found.grid[..., k + 1]), scale, alpha)
        t, p = one_sided_p(estimate)
        seen = detectable(estimate, scale, alpha)
        question = f"{higher} < {lower}"
        values = {"statistic": t, "p": p, "detectable": seen}
        rows.append(make_row(question, EVERYWHERE, "paired t, one-sided", AGAINST, estimate=estimate, values=values))
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

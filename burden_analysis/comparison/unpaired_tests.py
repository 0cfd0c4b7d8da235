"""The gated family of tests for strategies that share no seed: independent samples."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from burden_analysis.arrangement.pairing import incomplete_seeds
from burden_analysis.comparison.order_judgement import order_judgement
from burden_analysis.results.families import EVERYWHERE, Family, at_sparsity, gated, of_family
from burden_analysis.results.rows import as_table, make_row
from burden_analysis.results.tests import Test
from burden_analysis.statistics import (
    brunner_munzel,
    cliffs_delta,
    detectable_delta,
    holm,
    jonckheere_terpstra,
    tost_two_sample,
)
from burden_analysis.statistics.ranks import rounded

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.arrangement.cells import Cells
    from burden_analysis.results.judgement import Judgement
    from burden_analysis.results.question import Question
    from burden_analysis.statistics import Equivalence, PermutationResult

Rows = list[dict[str, Any]]
Floats = npt.NDArray[np.float64]

NO_DELTA = 0.0  # Cliff's δ of no difference


def unpaired_rows(found: Cells, asked: Question) -> pd.DataFrame:
    """Make every test of an order over strategies whose seeds differ."""
    groups = [_units(found.grid[:, :, k]) for k in range(len(found.strategies))]
    joint, *against = unpaired_claim_rows(found, asked)
    trends = [jonckheere_terpstra([group[:, j] for group in groups]) for j in range(len(found.sparsities))]
    adjusted = holm([trend.p if joint["p"] <= asked.alpha else math.nan for trend in trends])
    rows = [joint]
    for sparsity, trend, p in zip(found.sparsities, trends, adjusted, strict=True):
        scope, family = at_sparsity(sparsity), gated(Family.UNPAIRED_TREND, p)
        values = {"p_adjusted": p}
        rows.append(make_row(joint["question"], scope, Test.JONCKHEERE, family, trend, values=values))
    return as_table([*rows, *_pair_rows(found, groups, adjusted <= asked.alpha, asked), *against])


def unpaired_claim_rows(found: Cells, asked: Question) -> Rows:
    """Make the tests that decide the outcome: the joint test of the claim, and the family against it."""
    groups = [_units(found.grid[:, :, k]) for k in range(len(found.strategies))]
    test = Test.JONCKHEERE_JOINT
    joint = jonckheere_terpstra(groups)
    claim, opposite = " < ".join(found.strategies), " < ".join(reversed(found.strategies))
    first = make_row(claim, EVERYWHERE, test, Family.UNPAIRED_JOINT, joint, values={"p_adjusted": joint.p})
    rows = [make_row(opposite, EVERYWHERE, test, Family.AGAINST, jonckheere_terpstra(groups[::-1]))]
    means = _levels(groups)
    for (lower, higher), (below, above) in zip(pairwise(found.strategies), pairwise(means), strict=True):
        backwards = brunner_munzel(above, below, two_sided=False)
        question, test = f"{higher} < {lower}", Test.BRUNNER_MUNZEL_BELOW
        rows.append(_row(question, EVERYWHERE, test, Family.AGAINST, backwards, below, above, asked))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_adjusted"] = p
    return [first, *rows]


def unpaired_judgement(table: pd.DataFrame, asked: Question) -> Judgement:
    """Judge an order over strategies whose seeds differ; the outcomes are those of `compare_strategies`."""
    joint, against = of_family(table, Family.UNPAIRED_JOINT), of_family(table, Family.AGAINST)
    single = bool(against["p"].isna().any())  # a strategy with one seed
    few = bool(against["detectable"].iloc[1:].isna().any())  # fewer than three seeds
    return order_judgement(joint, against, asked, NO_DELTA, single=single, few=few)


def unpaired_equivalence(found: Cells, bound: float, asked: Question) -> tuple[list[Equivalence], tuple[str, ...]]:
    """Test two strategies whose seeds differ for equivalence."""
    planned = np.asarray(np.isfinite(found.grid).any(axis=1)).T
    results = []
    for values in (found.grid.mean(axis=1), *found.grid.transpose(1, 0, 2)):
        first, second = (column[own] for column, own in zip(values.T, planned, strict=True))
        results.append(tost_two_sample(second, first, bound, alpha=asked.alpha))
    return results, incomplete_seeds(found)


def _pair_rows(found: Cells, groups: list[Floats], opened: npt.NDArray[np.bool_], asked: Question) -> Rows:
    made = [
        (j, names, below[:, j], above[:, j])
        for j in range(len(found.sparsities))
        for names, (below, above) in zip(pairwise(found.strategies), pairwise(groups), strict=True)
    ]
    results = [brunner_munzel(below, above) for _, _, below, above in made]
    adjusted = holm([r.p if opened[j] else math.nan for (j, *_), r in zip(made, results, strict=True)])
    rows = []
    for (j, (lower, higher), below, above), result, p in zip(made, results, adjusted, strict=True):
        scope, family = at_sparsity(found.sparsities[j]), gated(Family.UNPAIRED_PAIRS, p)
        row = _row(f"{higher} over {lower}", scope, Test.BRUNNER_MUNZEL, family, result, below, above, asked)
        rows.append({**row, "p_adjusted": p})
    return rows


def _row(
    question: str,
    scope: str,
    test: Test,
    family: Family,
    result: PermutationResult,
    below: Floats,
    above: Floats,
    asked: Question,
) -> dict[str, Any]:
    size = cliffs_delta(below, above, level=asked.level)
    seen = detectable_delta(int(np.isfinite(below).sum()), int(np.isfinite(above).sum()), alpha=asked.alpha)
    values = {"effect": size.effect, "ci_low": size.low, "ci_high": size.high, "detectable": seen}
    return make_row(question, scope, test, family, result, values=values)


def _units(values: Floats) -> Floats:
    """Keep the seeds that have any value."""
    return values[np.isfinite(values).any(axis=1)]


def _levels(groups: list[Floats]) -> list[Floats]:
    """Mean per seed over the sparsities it has, of values from which each sparsity's own level was taken.

    A seed that lacks a sparsity is then neither lost nor moved by the level of the others. Summed as whole numbers of
    the last digit kept: sums that are equal stay equal in any order. Scale and origin do not matter to ranks.
    """
    values = np.concatenate(groups)
    have, ends = np.isfinite(values), np.cumsum([len(group) for group in groups])[:-1]
    whole = rounded(np.where(have, values, 0.0).ravel()).reshape(values.shape)
    parts = zip(np.split(whole, ends), np.split(have, ends), strict=True)
    centre = np.mean([np.where(known, part, 0.0).sum(axis=0) / known.sum(axis=0) for part, known in parts], axis=0)
    means = (np.where(have, whole, 0.0).sum(axis=1) - have @ centre) / have.sum(axis=1)
    return np.split(means, ends)

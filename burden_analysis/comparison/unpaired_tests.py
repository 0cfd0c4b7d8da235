"""The gated family of tests for strategies that share no seed: independent samples."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from burden_analysis.results.families import (
    AGAINST,
    EVERYWHERE,
    UNPAIRED_JOINT,
    UNPAIRED_PAIRS,
    UNPAIRED_TREND,
    at_sparsity,
    gated,
    reversed_pairs,
)
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.rows import as_table, make_row
from burden_analysis.statistics import brunner_munzel, cliffs_delta, detectable_delta, holm, jonckheere_terpstra
from burden_analysis.statistics.ranks import rounded

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.arrangement.cells import Cells
    from burden_analysis.statistics import EffectSize, PermutationResult

Rows = list[dict[str, Any]]
Floats = npt.NDArray[np.float64]

NO_DELTA = 0.0  # Cliff's δ of no difference


def unpaired_rows(found: Cells, alpha: float) -> pd.DataFrame:
    """Make every test of an order over strategies whose seeds differ.

    Parameters
    ----------
    found : Cells
        Endpoints, strategies in the claimed order; each seed has one strategy.
    alpha : float
        Level.

    Returns
    -------
    pandas.DataFrame
        Table of a `Comparison`; effects are Cliff's δ.
    """
    groups = [_units(found.grid[:, :, k]) for k in range(len(found.strategies))]
    joint, *against = unpaired_claim_rows(found, alpha)
    trends = [jonckheere_terpstra([group[:, j] for group in groups]) for j in range(len(found.sparsities))]
    adjusted = holm([trend.p if joint["p"] <= alpha else math.nan for trend in trends])
    rows = [joint]
    for sparsity, trend, p in zip(found.sparsities, trends, adjusted, strict=True):
        scope, family = at_sparsity(sparsity), gated(UNPAIRED_TREND, p)
        values = {"p_adjusted": p}
        rows.append(make_row(joint["question"], scope, "Jonckheere–Terpstra", family, trend, values=values))
    return as_table([*rows, *_pair_rows(found, groups, adjusted <= alpha, alpha), *against])


def unpaired_claim_rows(found: Cells, alpha: float) -> Rows:
    """Make the tests that decide the outcome: the joint test of the claim, and the family against it.

    Parameters
    ----------
    found : Cells
        As for `unpaired_rows`.
    alpha : float
        Level.

    Returns
    -------
    list of dict
        The joint row first.
    """
    groups = [_units(found.grid[:, :, k]) for k in range(len(found.strategies))]
    test = "Jonckheere–Terpstra, joint"
    joint = jonckheere_terpstra(groups)
    claim, opposite = " < ".join(found.strategies), " < ".join(reversed(found.strategies))
    first = make_row(claim, EVERYWHERE, test, UNPAIRED_JOINT, joint, values={"p_adjusted": joint.p})
    rows = [make_row(opposite, EVERYWHERE, test, AGAINST, jonckheere_terpstra(groups[::-1]))]
    means = _levels(groups)
    for (lower, higher), (below, above) in zip(pairwise(found.strategies), pairwise(means), strict=True):
        backwards = brunner_munzel(above, below, two_sided=False)
        size = cliffs_delta(below, above, level=1 - alpha)
        seen = _detectable(below, above, alpha)
        rows.append(
            _row(f"{higher} < {lower}", EVERYWHERE, "Brunner–Munzel, one-sided", AGAINST, backwards, size, seen)
        )
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_adjusted"] = p
    return [first, *rows]


def unpaired_outcome(table: pd.DataFrame, alpha: float) -> Outcome:
    """Judge an order over strategies whose seeds differ; the outcomes are those of `compare_strategies`.

    Parameters
    ----------
    table : pandas.DataFrame
        From `unpaired_rows`.
    alpha : float
        Level.

    Returns
    -------
    Outcome
        One of the four.
    """
    joint, against = table[table["family"] == UNPAIRED_JOINT].iloc[0], table[table["family"] == AGAINST]
    if against["p"].isna().any():  # a strategy with one seed
        return Outcome.UNDECIDED
    if (against["p_adjusted"] <= alpha).any():
        return Outcome.CONTRADICTED
    if joint["p"] <= alpha and not reversed_pairs(table, NO_DELTA):
        return Outcome.SUPPORTED
    few = against["detectable"].iloc[1:].isna().any()  # fewer than three seeds
    return Outcome.UNDECIDED if few or joint["attainable_p"] > alpha else Outcome.NOT_SUPPORTED


def _pair_rows(found: Cells, groups: list[Floats], opened: npt.NDArray[np.bool_], alpha: float) -> Rows:
    made = [
        (j, names, below[:, j], above[:, j])
        for j in range(len(found.sparsities))
        for names, (below, above) in zip(pairwise(found.strategies), pairwise(groups), strict=True)
    ]
    results = [brunner_munzel(below, above) for _, _, below, above in made]
    adjusted = holm([r.p if opened[j] else math.nan for (j, *_), r in zip(made, results, strict=True)])
    rows = []
    for (j, (lower, higher), below, above), result, p in zip(made, results, adjusted, strict=True):
        scope, family = at_sparsity(found.sparsities[j]), gated(UNPAIRED_PAIRS, p)
        size, seen = cliffs_delta(below, above, level=1 - alpha), _detectable(below, above, alpha)
        row = _row(f"{higher} over {lower}", scope, "Brunner–Munzel, two-sided", family, result, size, seen)
        rows.append({**row, "p_adjusted": p})
    return rows


def _row(
    question: str, scope: str, test: str, family: str, result: PermutationResult, size: EffectSize, seen: float
) -> dict[str, Any]:
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


def _detectable(below: Floats, above: Floats, alpha: float) -> float:
    return detectable_delta(int(np.isfinite(below).sum()), int(np.isfinite(above).sum()), alpha=alpha)

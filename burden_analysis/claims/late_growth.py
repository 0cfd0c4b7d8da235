"""Claim C2 made operational: late growth of the norm of surviving weights, against `optimal`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.arrangement.pairing import shares_seeds, with_full_blocks
from burden_analysis.arrangement.runs import check_strategies
from burden_analysis.comparison.effects import detectable, paired_effect
from burden_analysis.definitions import WEIGHT_NORMS
from burden_analysis.indicators.endpoints import late_change
from burden_analysis.results.answer import Answer
from burden_analysis.results.families import EVERYWHERE, Family, at_sparsity, of_family
from burden_analysis.results.judgement import Judgement, Reason
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.question import Question, arranged
from burden_analysis.results.rows import as_table, make_row
from burden_analysis.results.tests import Test
from burden_analysis.results.words import against_in_words, counted, effect_in_words, left_out, p_in_words
from burden_analysis.statistics import holm, one_sided_p, sign_flip
from recorders.contract import InputError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from burden_analysis.arrangement.cells import Cells

Rows = list[dict[str, Any]]

PRUNED, REFERENCE = "iterative", "optimal"


@dataclass(frozen=True, eq=False)
class LateGrowth(Answer):
    """Tests of claim C2.

    Attributes
    ----------
    question : Question
        What was asked: `indicator`, `order`, `window` (in each of the two windows), `scale`, `alpha` and `paired_by`.
    seeds : tuple
        That were used.
    excluded : tuple of str
        What was left out, and why.
    judgement : Judgement
        `outcome`, as `late_growth` defines it, its `reason` and the deciding rows.
    verdict : str
        The outcome in words, made from the numbers of the table.
    table : pandas.DataFrame
        One row per test, with the columns `burden_analysis.results.rows.COLUMNS`.
    effects : pandas.DataFrame
        One row per run: strategy, sparsity, seed, value (its growth, log₁₀ on the log scale).
    """

    question: Question
    seeds: tuple[Any, ...]
    excluded: tuple[str, ...]
    judgement: Judgement
    verdict: str
    table: pd.DataFrame
    effects: pd.DataFrame


def late_growth(
    dataset: xr.Dataset,
    indicator: str = WEIGHT_NORMS[0],
    *,
    window: float = 0.2,
    scale: str = "log",
    alpha: float = 0.05,
) -> LateGrowth:
    """Test claim C2: weight norms grow late in training as survivors take over.

    A run's late growth is the mean of the log₁₀ norm over the last share of its records, less that over as many records
    immediately before. Two statements must both hold: it is above zero in ``iterative``, and it is above that of
    ``optimal`` of the same seed. The second is needed since any network's norms may still grow while it trains.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`, with both strategies.
    indicator : str, default "weight_norm_mean"
        A norm of the active weights, as in `burden_analysis.series`.
    window : float, default 0.2
        Share of the records in each of the two windows, at most one half: rounded up, but never into each other (half
        of 45 records is 22). A run with fewer than two records is left out and named.
    scale : {"log", "raw"}
        Growth as a ratio or as a difference.
    alpha : float, default 0.05
        Level.

    Returns
    -------
    LateGrowth
        `outcome` is the first that holds of: ``contradicted``, a one-sided paired t test against either statement is
        significant (Holm over both); ``supported``, both one-sided p for them are (each at alpha: both are needed, so
        none is adjusted); ``undecided``, fewer than three seeds or 1/2ⁿ above alpha; ``not supported``, anything else.

    Raises
    ------
    InputError
        A strategy is missing, no seed has both, a window above one half, a level that is none, or values without a
        logarithm.
    """
    asked = Question(indicator, (REFERENCE, PRUNED), window, scale, alpha)
    found, excluded = growth_cells(dataset, asked)
    rows = growth_rows(found, asked)
    table = as_table([*rows, *_described(found, asked)])
    judged = growth_judgement(table, asked)
    return LateGrowth(
        question=asked,
        seeds=found.seeds,
        excluded=excluded,
        judgement=judged,
        verdict=_verdict(asked, judged, of_family(table, Family.GROWS), excluded),
        table=table,
        effects=found.tidy(),
    )


def growth_cells(dataset: xr.Dataset, asked: Question) -> tuple[Cells, tuple[str, ...]]:
    """Arrange the late growth of each run by seed, sparsity and strategy (optimal, iterative)."""
    check_strategies(dataset, asked.order)
    if not shares_seeds(dataset, asked.order, asked.paired_by):
        raise InputError(f"{PRUNED} and {REFERENCE} share no seed: late growth is compared within a seed")
    found, excluded = arranged(dataset, asked, late_change)
    found, gaps = with_full_blocks(found)
    return found, gaps + excluded


def growth_rows(found: Cells, asked: Question) -> Rows:
    """Make the tests that decide claim C2."""
    have = np.isfinite(found.grid).all(axis=2, keepdims=True)
    reference, pruned = (np.where(have, found.grid, 0.0).sum(axis=1) / have.sum(axis=1)).T
    nothing = np.zeros_like(pruned)
    more = f"growth, {asked.contrast(REFERENCE, PRUNED)}"
    statements = (
        (f"{PRUNED} grows", f"{PRUNED} shrinks", nothing, pruned),
        (more, f"{REFERENCE} grows more than {PRUNED}", reference, pruned),
    )
    rows: Rows = []
    estimates = []
    for question, _, low, high in statements:
        estimate, result = paired_effect(low, high, asked), sign_flip(high - low, two_sided=False)
        values = {"detectable": detectable(estimate, asked)}
        rows.append(make_row(question, EVERYWHERE, Test.SIGN_FLIP_ABOVE, Family.GROWS, result, estimate, values))
        estimates.append(estimate)
    backwards = [one_sided_p(estimate) for estimate in estimates]
    adjusted = holm([p for _, p in backwards])
    for (_, opposite, *_), estimate, (t, p), corrected in zip(statements, estimates, backwards, adjusted, strict=True):
        values = {"statistic": t, "p": p, "p_adjusted": corrected}
        rows.append(make_row(opposite, EVERYWHERE, Test.PAIRED_T, Family.SHRINKS, estimate=estimate, values=values))
    for row in rows[:2]:
        row["p_adjusted"] = row["p"]
    return rows


def growth_judgement(table: pd.DataFrame, asked: Question) -> Judgement:
    """Judge claim C2; `late_growth` defines the outcomes."""
    wanted, against = of_family(table, Family.GROWS), of_family(table, Family.SHRINKS)
    refuting, missed = against[against["p_adjusted"] <= asked.alpha], wanted[~(wanted["p"] <= asked.alpha)]
    if len(refuting):
        return Judgement(Outcome.CONTRADICTED, Reason.AGAINST, refuting)
    if missed.empty:
        return Judgement(Outcome.SUPPORTED, Reason.SIGNIFICANT, wanted)
    if wanted["attainable_p"].iloc[0] > asked.alpha:
        return Judgement(Outcome.UNDECIDED, Reason.UNREACHABLE, wanted)
    if wanted["n"].iloc[0] < 3:
        return Judgement(Outcome.UNDECIDED, Reason.FEW, wanted)
    return Judgement(Outcome.NOT_SUPPORTED, Reason.INSIGNIFICANT, missed)


def _verdict(asked: Question, judged: Judgement, wanted: pd.DataFrame, excluded: tuple[str, ...]) -> str:
    grows, more = (row for _, row in wanted.iterrows())
    text = (
        f"{judged.outcome.words.capitalize()}: that {asked.indicator} grows late in training in {PRUNED}, and more "
        f"than in {REFERENCE} (last {asked.window:.0%} of records against the {asked.window:.0%} before, "
        f"{counted(grows['n'], 'seed')}, exact one-sided sign flips). "
        f"Growth in {PRUNED}: {effect_in_words(grows)}, {p_in_words(grows['p'])}; {more['question']}: "
        f"{effect_in_words(more)}, {p_in_words(more['p'])}."
    )
    match judged.reason:
        case Reason.AGAINST:
            text += f" {against_in_words(judged.rows, tests=False)}"
        case Reason.UNREACHABLE:
            text += f" The smallest p that these seeds can reach is {judged.row['attainable_p']:.2g}."
        case Reason.INSIGNIFICANT:
            text += (
                f" A paired t test had 80 % power for {grows['detectable']:.3g} and {more['detectable']:.3g} or more."
            )
    return f"{text} {left_out(excluded)}"


def _described(found: Cells, asked: Question) -> Rows:
    rows = []
    for j, sparsity in enumerate(found.sparsities):
        reference, pruned = found.grid[:, j].T
        for name, low, high in (
            (f"{PRUNED} grows", np.zeros_like(pruned), pruned),
            (f"{REFERENCE} grows", np.zeros_like(reference), reference),
            (f"growth, {asked.contrast(REFERENCE, PRUNED)}", reference, pruned),
        ):
            estimate = paired_effect(low, high, asked)
            rows.append(make_row(name, at_sparsity(sparsity), Test.T_INTERVAL, Family.DESCRIBED, estimate=estimate))
    return rows

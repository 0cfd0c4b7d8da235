"""Are two strategies the same for all that matters? Two one-sided tests of an endpoint, with a declared margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.arrangement.runs import check_strategies
from burden_analysis.comparison.design import design_of
from burden_analysis.results.answer import Answer
from burden_analysis.results.families import EVERYWHERE, Family, at_sparsity
from burden_analysis.results.judgement import Judgement, Reason
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.question import Question, arranged
from burden_analysis.results.rows import as_table, make_row
from burden_analysis.results.words import counted, left_out, p_in_words
from burden_analysis.statistics import holm
from recorders.contract import InputError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from burden_analysis.statistics import Equivalence


@dataclass(frozen=True, eq=False)
class EquivalenceResult(Answer):
    """Two one-sided tests of two strategies.

    Attributes
    ----------
    first, second : str
        What was compared.
    question : Question
        What was asked: `indicator`, `window`, `scale`, `alpha` and `paired_by`; `order` is (first, second).
    margin : float
        Declared: a ratio on the log scale, a difference on the raw scale.
    paired : bool
        Whether the strategies share seeds.
    excluded : tuple of str
        What was left out, and why.
    judgement : Judgement
        `outcome`, as `equivalent` defines it, and its `reason`.
    verdict : str
        The outcome in words, made from the numbers of the table.
    table : pandas.DataFrame
        One row over all sparsities and one per sparsity, with the columns `burden_analysis.results.rows.COLUMNS`;
        intervals cover 1 − 2·alpha.
    """

    first: str
    second: str
    question: Question
    margin: float
    paired: bool
    excluded: tuple[str, ...]
    judgement: Judgement
    verdict: str
    table: pd.DataFrame


def equivalent(
    dataset: xr.Dataset,
    indicator: str,
    first: str,
    second: str,
    *,
    margin: float,
    window: float = 0.2,
    scale: str = "log",
    paired_by: str = "seed",
    alpha: float = 0.05,
) -> EquivalenceResult:
    """Test that two strategies differ by less than a margin that was declared before looking.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        As in `burden_analysis.series`.
    first, second : str
        Strategies; the effect is first / second, or first − second on the raw scale.
    margin : float
        Smallest effect that would matter. On the log scale a ratio above 1: 1.1 stands for 1/1.1 to 1.1. On the raw
        scale a difference above 0.
    window, scale, paired_by, alpha
        As in `compare_strategies`; alpha is below one half. Without a shared seed the test is Welch's.

    Returns
    -------
    EquivalenceResult
        `outcome` is the first that holds of: ``supported``, both one-sided tests of the mean over sparsities are
        significant; ``undecided``, fewer than three seeds or an interval wider than the margin, so that no estimate
        could have passed; ``contradicted``, the interval lies outside the margin; ``not supported``, anything else.
        The mean is over the sparsities at which a seed has both strategies; without pairs, only seeds with all
        sparsities have one, since a mean over some of them is one of other levels.

    Raises
    ------
    InputError
        As `compare_strategies`, and for a margin or a level that is none.
    """
    asked = Question(indicator, (first, second), window, scale, alpha, paired_by)
    if not margin > asked.neutral or math.isinf(margin):
        kind = "ratio above 1, such as 1.1" if scale == "log" else "difference above 0"
        raise InputError(f"margin {margin:g} declares nothing on the {scale} scale: give a {kind}")
    check_strategies(dataset, asked.order)
    found, excluded = arranged(dataset, asked)
    design = design_of(dataset, asked.order, paired_by)
    found, gaps = design.comparable(found)
    results, incomplete = design.equivalence(found, math.log10(margin) if scale == "log" else margin, asked)
    excluded = gaps + incomplete + excluded
    places = [
        (EVERYWHERE, Family.EQUIVALENCE),
        *((at_sparsity(sparsity), Family.EQUIVALENCE_EACH) for sparsity in found.sparsities),
    ]
    question, test = f"{asked.contrast(second, first)} within the margin", design.equivalence_test
    adjusted = [results[0].p, *holm([r.p for r in results[1:]])]
    rows = [
        make_row(question, scope, test, family, values=_columns(result, scale) | {"p_adjusted": p})
        for (scope, family), result, p in zip(places, results, adjusted, strict=True)
    ]
    table = as_table(rows)
    judged = _judgement(table.iloc[:1], results[0], alpha)
    return EquivalenceResult(
        first=first,
        second=second,
        question=asked,
        margin=margin,
        paired=design.paired,
        excluded=excluded,
        judgement=judged,
        verdict=_verdict(asked, judged, margin, excluded, paired=design.paired),
        table=table,
    )


def _columns(result: Equivalence, scale: str) -> dict[str, float]:
    effects = np.array([result.difference, result.low, result.high])
    effect, low, high = 10**effects if scale == "log" else effects
    n, excluded = result.n, result.excluded
    return {"p": result.p, "effect": effect, "ci_low": low, "ci_high": high, "n": n, "excluded": excluded}


def _judgement(row: pd.DataFrame, result: Equivalence, alpha: float) -> Judgement:
    if result.p <= alpha:
        return Judgement(Outcome.SUPPORTED, Reason.SIGNIFICANT, row)
    if math.isnan(result.p):
        return Judgement(Outcome.UNDECIDED, Reason.FEW, row)
    if result.high - result.low >= 2 * result.margin:
        return Judgement(Outcome.UNDECIDED, Reason.WIDE, row)
    if result.low > result.margin or result.high < -result.margin:
        return Judgement(Outcome.CONTRADICTED, Reason.OUTSIDE, row)
    return Judgement(Outcome.NOT_SUPPORTED, Reason.INSIGNIFICANT, row)


def _verdict(asked: Question, judged: Judgement, margin: float, excluded: tuple[str, ...], *, paired: bool) -> str:
    row, name = judged.row, asked.contrast(*asked.order[::-1])
    bounds = f"{1 / margin:.3g} and {margin:.3g}" if asked.scale == "log" else f"±{margin:.3g}"
    test = "paired" if paired else "Welch, seeds not paired"
    known = not math.isnan(row["ci_low"])
    interval = f" [{row['ci_low']:.3g}, {row['ci_high']:.3g}]" if known else ""
    words = [
        f"{judged.outcome.words.capitalize()}: that {name} of {asked.indicator} lies within {bounds}, the margin "
        f"declared (TOST, {test}, {counted(row['n'], 'seed')}{', ' + p_in_words(row['p']) if known else ''}).",
        ("No estimate" if math.isnan(row["effect"]) else f"Estimate {row['effect']:.3g}{interval}")
        + (f" ({1 - 2 * asked.alpha:.0%} t interval)." if known else " (no interval below three seeds)."),
    ]
    if judged.reason is Reason.WIDE:
        words.append("The interval is wider than the margin: no difference, however small, could have passed.")
    return " ".join([*words, left_out(excluded)])

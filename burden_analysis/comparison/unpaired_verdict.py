"""Says in words what the tests of independent samples say."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from burden_analysis.comparison.verdict import not_seen
from burden_analysis.results.families import Family, of_family, smallest_adjusted
from burden_analysis.results.judgement import Judgement, Reason
from burden_analysis.results.words import against_in_words, counted, effect_in_words, p_in_words, significance

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.results.question import Question


def unpaired_sentences(asked: Question, table: pd.DataFrame, judged: Judgement, sparsities: int) -> list[str]:
    """Write the sentences of a comparison whose strategies share no seed."""
    joint = of_family(table, Family.UNPAIRED_JOINT).iloc[0]
    units = counted(joint["n"], asked.paired_by)
    overall = (
        of_family(table, Family.AGAINST)
        .iloc[1:]
        .assign(contrast=[f"{higher} over {lower}" for lower, higher in pairwise(asked.order)])
    )
    return [
        f"that {asked.indicator} is ordered {joint['question']} (Jonckheere–Terpstra over "
        f"{counted(sparsities, 'sparsity')} and {units}: "
        f"J = {joint['statistic']:g}, one-sided {p_in_words(joint['p'])}, {joint['method']}).",
        f"Not paired: no {asked.paired_by} is shared by two strategies, so they are independent samples and "
        f"differences between {asked.paired_by}s are not removed.",
        _reason(asked, judged, units, overall),
        _by_sparsity(asked, of_family(table, Family.UNPAIRED_TREND)),
        _effects(asked, overall),
    ]


def _reason(asked: Question, judged: Judgement, units: str, overall: pd.DataFrame) -> str:
    match judged.reason:
        case Reason.SIGNIFICANT:
            return "Every adjacent estimate points the claimed way."
        case Reason.AGAINST:
            return against_in_words(judged.rows)
        case Reason.SINGLE:
            return f"No inference is possible with one {asked.paired_by} of a strategy."
        case Reason.UNREACHABLE:
            return f"{units} cannot reach {asked.alpha:g}: the smallest p is {judged.row['attainable_p']:.2g}."
        case Reason.FEW:
            return f"{units} leave a strategy with fewer than three: no effect that could have been seen can be told."
    seen = ", ".join(f"{row['contrast']} = {row['detectable']:.2g}" for _, row in overall.iterrows())
    return f"{not_seen(asked, judged)} A two-sample t test had 80 % power for Cliff's δ of {seen} or more."


def _by_sparsity(asked: Question, trends: pd.DataFrame) -> str:
    if trends.empty:
        return "Gate closed: sparsities and pairs were not tested one by one."
    rows = zip(trends.iterrows(), smallest_adjusted(trends), strict=True)
    listed = "; ".join(f"{row['scope']}: {significance(row, asked.alpha, smallest)}" for (_, row), smallest in rows)
    return f"Jonckheere–Terpstra per sparsity (Holm over {len(trends)}): {listed}."


def _effects(asked: Question, overall: pd.DataFrame) -> str:
    listed = ", ".join(f"{row['contrast']} = {effect_in_words(row)}" for _, row in overall.iterrows())
    return f"Over all sparsities, Cliff's δ: {listed} ({asked.level:.0%} intervals where they can be made)."

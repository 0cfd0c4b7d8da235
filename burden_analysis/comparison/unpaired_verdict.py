"""Says in words what the tests of independent samples say."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from burden_analysis.comparison.unpaired_tests import NO_DELTA
from burden_analysis.results.families import AGAINST, UNPAIRED_JOINT, UNPAIRED_TREND, reversed_pairs, smallest_adjusted
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.words import counted, effect_in_words, family, p_in_words, significance

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from burden_analysis.comparison.result import Comparison


def unpaired_sentences(c: Comparison) -> list[str]:
    """Write the sentences of a comparison whose strategies share no seed.

    Parameters
    ----------
    c : Comparison
        With ``paired`` false.

    Returns
    -------
    list of str
        What was tested, why the outcome is what it is, and the effects.
    """
    joint = family(c.table, UNPAIRED_JOINT).iloc[0]
    places = counted(c.effects["sparsity"].nunique(), "sparsity", "sparsities")
    units = counted(joint["n"], c.paired_by)
    return [
        f"that {c.indicator} is ordered {joint['question']} (Jonckheere–Terpstra over {places} and {units}: "
        f"J = {joint['statistic']:g}, one-sided {p_in_words(joint['p'])}, {joint['method']}).",
        f"Not paired: no {c.paired_by} is shared by two strategies, so they are independent samples and differences "
        f"between {c.paired_by}s are not removed.",
        _reason(c),
        _by_sparsity(c),
        _effects(c),
    ]


def _reason(c: Comparison) -> str:
    joint, against = family(c.table, UNPAIRED_JOINT).iloc[0], family(c.table, AGAINST)
    if c.outcome is Outcome.SUPPORTED:
        return "Every adjacent estimate points the claimed way."
    if c.outcome is Outcome.CONTRADICTED:
        found = against[against["p_adjusted"] <= c.alpha]
        listed = ", ".join(
            f"{row['question']} (adjusted {p_in_words(row['p_adjusted'])}, {row['test']})"
            for _, row in found.iterrows()
        )
        return f"Significant against it after Holm: {listed}."
    if c.outcome is Outcome.UNDECIDED:
        units = counted(joint["n"], c.paired_by)
        if against["p"].isna().any():
            return f"No inference is possible with one {c.paired_by} of a strategy."
        if joint["attainable_p"] <= c.alpha:
            return f"{units} leave a strategy with fewer than three: no effect that could have been seen can be told."
        return f"{units} cannot reach {c.alpha:g}: the smallest p is {joint['attainable_p']:.2g}."
    contrary = ", ".join(reversed_pairs(c.table, NO_DELTA))
    why = (
        f"Not significant at {c.alpha:g}."
        if joint["p"] > c.alpha
        else f"The joint test is significant, but estimates point the other way: {contrary}."
    )
    seen = [f"{high} over {low} = {row['detectable']:.2g}" for low, high, row in _adjacent(c)]
    return f"{why} A two-sample t test had 80 % power for Cliff's δ of {', '.join(seen)} or more."


def _adjacent(c: Comparison) -> Iterator[tuple[str, str, pd.Series[Any]]]:
    rows = family(c.table, AGAINST).iloc[1:]
    for (low, high), (_, row) in zip(pairwise(c.order), rows.iterrows(), strict=True):
        yield low, high, row


def _by_sparsity(c: Comparison) -> str:
    trends = family(c.table, UNPAIRED_TREND)
    if trends.empty:
        return "Gate closed: sparsities and pairs were not tested one by one."
    rows = zip(trends.iterrows(), smallest_adjusted(trends), strict=True)
    listed = "; ".join(f"{row['scope']}: {significance(row, c.alpha, smallest)}" for (_, row), smallest in rows)
    return f"Jonckheere–Terpstra per sparsity (Holm over {len(trends)}): {listed}."


def _effects(c: Comparison) -> str:
    listed = ", ".join(f"{high} over {low} = {effect_in_words(row)}" for low, high, row in _adjacent(c))
    return f"Over all sparsities, Cliff's δ: {listed} ({1 - c.alpha:.0%} intervals where they can be made)."

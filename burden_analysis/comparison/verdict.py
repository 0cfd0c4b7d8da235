"""Says in words what the numbers of a comparison say, and nothing else."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from burden_analysis.comparison.unpaired_verdict import unpaired_sentences
from burden_analysis.indicators.mask_updates import PROBE_INDICATORS
from burden_analysis.results.families import (
    AGAINST,
    CONTRASTS,
    FALLING,
    INTERACTION,
    JOINT,
    PAGE,
    PAIRS,
    RISING,
    SLOPE,
    no_effect,
    pair_name,
    reversed_pairs,
    smallest_adjusted,
)
from burden_analysis.results.words import counted, effect_in_words, family, left_out, p_in_words, significance
from burden_analysis.statistics.ranks import rounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from burden_analysis.comparison.result import Comparison

_LISTED = 10  # seeds that are listed; more are counted


def prose(c: Comparison) -> str:
    """Write the verdict of a comparison.

    Parameters
    ----------
    c : Comparison
        Its table, outcome and settings.

    Returns
    -------
    str
        One paragraph.
    """
    by_strategy = _strategies if c.paired else unpaired_sentences
    sentences = by_strategy(c) if c.by == "strategy" else _sparsities(c)
    text = " ".join(s for s in [*sentences, _endpoint(c), left_out(c.excluded)] if s)
    return f"{c.outcome.value.capitalize()}: {text}"


def _strategies(c: Comparison) -> list[str]:
    joint = family(c.table, JOINT).iloc[0]
    places = counted(c.effects["sparsity"].nunique(), "sparsity", "sparsities")
    units = counted(joint["n"], c.paired_by)
    return [
        f"that {c.indicator} is ordered {joint['question']} (Page's joint test over {places} and {units}: "
        f"L = {joint['statistic']:g}, one-sided {p_in_words(joint['p'])}, {joint['method']}).",
        _reason(c),
        _by_sparsity(c),
        _pairs(c),
        _overall(c),
        _interaction(c),
    ]


def _reason(c: Comparison) -> str:
    outcome = c.outcome.value
    if outcome == "supported":
        return "Every adjacent estimate points the claimed way."
    if outcome == "contradicted":
        return _contradiction(c)
    return _undecided(c) if outcome.startswith("undecided") else _not_seen(c)


def _contradiction(c: Comparison) -> str:
    against = family(c.table, AGAINST)
    found = against[against["p_adjusted"] <= c.alpha]
    listed = ", ".join(
        f"{row['question']} (adjusted {p_in_words(row['p_adjusted'])}, {row['test']})" for _, row in found.iterrows()
    )
    return f"Significant against it after Holm: {listed}."


def _undecided(c: Comparison) -> str:
    joint = family(c.table, JOINT).iloc[0]
    n = int(joint["n"])
    if n == 1:
        return f"No inference is possible with one {c.paired_by}."
    if joint["attainable_p"] > c.alpha:
        return f"{counted(n, c.paired_by)} cannot reach {c.alpha:g}: the smallest p is {joint['attainable_p']:.2g}."
    return f"{counted(n, c.paired_by)} give no interval and no effect that could have been seen."


def _not_seen(c: Comparison) -> str:
    joint = family(c.table, JOINT).iloc[0]
    contrary = ", ".join(reversed_pairs(c.table, no_effect(c.scale)))
    why = (
        f"Not significant at {c.alpha:g}."
        if joint["p"] > c.alpha
        else f"The joint test is significant, but estimates point the other way: {contrary}."
    )
    rows = family(c.table, AGAINST).iloc[1:]
    return f"{why} {_detectable(zip(_contrasts(c), rows['detectable'], strict=True))}"


def _by_sparsity(c: Comparison) -> str:
    pages = family(c.table, PAGE)
    if pages.empty:
        return "Gate closed: sparsities and pairs were not tested one by one."
    return (
        f"Page's test per sparsity (Holm over {len(pages)}): "
        + "; ".join(
            f"{row['scope']}: {significance(row, c.alpha, smallest)}"
            for (_, row), smallest in zip(pages.iterrows(), smallest_adjusted(pages), strict=True)
        )
        + "."
    )


def _pairs(c: Comparison) -> str:
    pairs = family(c.table, PAIRS)
    if pairs.empty:
        return ""
    smallest = smallest_adjusted(pairs).min()
    if smallest > c.alpha:
        return (
            f"No pair at a single sparsity could reach {c.alpha:g}: the smallest adjusted sign-flip p over "
            f"{counted(len(pairs), 'pair')} is {smallest:.2g}."
        )
    differ = int((pairs["p_adjusted"] <= c.alpha).sum())
    return f"{differ} of {counted(len(pairs), 'adjacent pair')} tested at single sparsities differ (sign flip, Holm)."


def _overall(c: Comparison) -> str:
    rows = family(c.table, AGAINST).iloc[1:]
    effects = ", ".join(
        f"{name} = {effect_in_words(row)}" for name, (_, row) in zip(_contrasts(c), rows.iterrows(), strict=True)
    )
    interval = (
        f"{1 - c.alpha:.0%} t intervals" if rows["ci_low"].notna().all() else f"no intervals below three {c.paired_by}s"
    )
    what = "ratios of geometric means" if c.scale == "log" else "mean differences"
    return f"Over all sparsities, {what}: {effects} ({interval}); observed order {_observed(c, rows['effect'])}."


def _interaction(c: Comparison) -> str:
    rows = family(c.table, INTERACTION)
    if rows.empty or rows.iloc[0]["n"] < 3:
        return ""
    row, contrasts = rows.iloc[0], family(c.table, CONTRASTS)
    symbol = "F" if contrasts.empty else "χ²"
    differs = "differs" if row["p"] <= c.alpha else "does not differ significantly"
    if row["p"] > c.alpha and row["attainable_p"] > c.alpha:
        differs = f"could not be shown to differ (smallest p {row['attainable_p']:.2g})"
    told = (
        f"The slope over sparsity {differs} between strategies ({row['test']}, {row['method']}; "
        f"{symbol} = {row['statistic']:.3g}, {p_in_words(row['p'])})"
    )
    each = "; ".join(f"{r['question']} = {effect_in_words(r)}" for _, r in contrasts.iterrows())
    return f"{told}: {each}." if each else f"{told}."


def _observed(c: Comparison, effects: pd.Series[float]) -> str:
    """Chain the adjacent estimates into heights, and sort them."""
    heights, names = [0.0], list(c.order)
    for effect in effects:
        heights.append(heights[-1] + (math.log10(effect) if c.scale == "log" else effect))
    ordered = sorted(zip(rounded(heights), range(len(names)), strict=True))  # log10(10**x) is not quite x
    text = names[ordered[0][1]]
    for (before, _), (height, k) in itertools.pairwise(ordered):
        text += f" {'=' if height == before else '<'} {names[k]}"
    return text


def _contrasts(c: Comparison) -> list[str]:
    return [pair_name(a, b, c.scale) for a, b in zip(c.order, c.order[1:], strict=False)]


def _sparsities(c: Comparison) -> list[str]:
    rising, slopes, falling = (family(c.table, name) for name in (RISING, SLOPE, FALLING))
    parts = []
    rows = (rising.iterrows(), slopes.iterrows(), falling.iterrows(), smallest_adjusted(rising))
    for (_, up), (_, slope), (_, down), smallest in zip(*rows, strict=True):
        n = int(up["n"])
        if n == 1:
            told = f"no inference is possible with one {c.paired_by}"
        elif down["p_adjusted"] <= c.alpha:
            told = f"significant fall (adjusted {p_in_words(down['p_adjusted'])})"
        else:
            told = significance(up, c.alpha, smallest)
        text = f"{up['scope']}: {told}, L = {up['statistic']:g}, {slope['question']} {effect_in_words(slope)}"
        if up["p_adjusted"] > c.alpha and n > 2:
            text += f" (80 % power for {slope['detectable']:.3g})"
        parts.append(f"{text}, {counted(n, c.paired_by)}, {counted(up['excluded'], c.paired_by)} incomplete")
    kind = "ratio" if c.scale == "log" else "difference"
    return [
        f"that {c.indicator} rises with sparsity ({' < '.join(c.order)}) within {c.paired_by} (Page's L, Holm over "
        f"{counted(len(rising), 'strategy', 'strategies')}; {kind} with {1 - c.alpha:.0%} t interval).",
        "; ".join(parts) + ".",
    ]


def _detectable(contrasts: Iterable[tuple[str, float]]) -> str:
    known = [f"{name} = {size:.3g}" for name, size in contrasts if not math.isnan(size)]
    return f"A paired t test had 80 % power for {', '.join(known)} or more." if known else ""


def _endpoint(c: Comparison) -> str:
    values = "log10 values" if c.scale == "log" else "values"
    which = f": {', '.join(map(str, c.seeds))}" if len(c.seeds) <= _LISTED else ""
    moments = "probed mask updates" if c.indicator in PROBE_INDICATORS else "records"
    pairing = "paired by" if c.paired else "not paired by"
    return (
        f"Endpoint: mean of {values} over the last {c.window:.0%} of each run's own {moments}, "
        f"{pairing} {c.paired_by} ({counted(len(c.seeds), c.paired_by)}{which})."
    )

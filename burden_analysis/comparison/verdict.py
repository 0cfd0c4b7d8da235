"""Says in words what the numbers of a comparison say, and nothing else."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from burden_analysis.indicators.mask_updates import PROBE_INDICATORS
from burden_analysis.results.families import Family, of_family, smallest_adjusted
from burden_analysis.results.judgement import Judgement, Reason
from burden_analysis.results.tests import Test
from burden_analysis.results.words import (
    against_in_words,
    counted,
    effect_in_words,
    left_out,
    p_in_words,
    significance,
)
from burden_analysis.statistics.ranks import rounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from burden_analysis.results.question import Question

_LISTED = 10  # seeds that are listed; more are counted


def verdict(
    asked: Question,
    judged: Judgement,
    sentences: Iterable[str],
    seeds: tuple[Any, ...],
    excluded: tuple[str, ...],
    *,
    paired: bool = True,
) -> str:
    """Write the verdict of a comparison."""
    text = " ".join(s for s in [*sentences, _endpoint(asked, seeds, paired), left_out(excluded)] if s)
    return f"{judged.outcome.words.capitalize()}: {text}"


def paired_sentences(asked: Question, table: pd.DataFrame, judged: Judgement, sparsities: int) -> list[str]:
    """Write the sentences of a comparison of strategies that share seeds."""
    joint = of_family(table, Family.JOINT).iloc[0]
    units = counted(joint["n"], asked.paired_by)
    overall = of_family(table, Family.AGAINST).iloc[1:]
    return [
        f"that {asked.indicator} is ordered {joint['question']} (Page's joint test over "
        f"{counted(sparsities, 'sparsity')} and {units}: "
        f"L = {joint['statistic']:g}, one-sided {p_in_words(joint['p'])}, {joint['method']}).",
        _reason(asked, judged, units, overall),
        _by_sparsity(asked, of_family(table, Family.PAGE)),
        _pairs(asked, of_family(table, Family.PAIRS)),
        _overall(asked, overall),
        _interaction(asked, of_family(table, Family.INTERACTION), of_family(table, Family.CONTRASTS)),
    ]


def _reason(asked: Question, judged: Judgement, units: str, overall: pd.DataFrame) -> str:
    match judged.reason:
        case Reason.SIGNIFICANT:
            return "Every adjacent estimate points the claimed way."
        case Reason.AGAINST:
            return against_in_words(judged.rows)
        case Reason.SINGLE:
            return f"No inference is possible with one {asked.paired_by}."
        case Reason.UNREACHABLE:
            return f"{units} cannot reach {asked.alpha:g}: the smallest p is {judged.row['attainable_p']:.2g}."
        case Reason.FEW:
            return f"{units} give no interval and no effect that could have been seen."
    return f"{not_seen(asked, judged)} {_detectable(zip(asked.contrasts, overall['detectable'], strict=True))}"


def not_seen(asked: Question, judged: Judgement) -> str:
    """Say why an order that could have been seen was not."""
    if judged.reason is Reason.INSIGNIFICANT:
        return f"Not significant at {asked.alpha:g}."
    listed = ", ".join(judged.rows["question"])
    return f"The joint test is significant, but estimates point the other way: {listed}."


def _by_sparsity(asked: Question, pages: pd.DataFrame) -> str:
    if pages.empty:
        return "Gate closed: sparsities and pairs were not tested one by one."
    return (
        f"Page's test per sparsity (Holm over {len(pages)}): "
        + "; ".join(
            f"{row['scope']}: {significance(row, asked.alpha, smallest)}"
            for (_, row), smallest in zip(pages.iterrows(), smallest_adjusted(pages), strict=True)
        )
        + "."
    )


def _pairs(asked: Question, pairs: pd.DataFrame) -> str:
    if pairs.empty:
        return ""
    smallest = smallest_adjusted(pairs).min()
    if smallest > asked.alpha:
        return (
            f"No pair at a single sparsity could reach {asked.alpha:g}: the smallest adjusted sign-flip p over "
            f"{counted(len(pairs), 'pair')} is {smallest:.2g}."
        )
    differ = int((pairs["p_adjusted"] <= asked.alpha).sum())
    return f"{differ} of {counted(len(pairs), 'adjacent pair')} tested at single sparsities differ (sign flip, Holm)."


def _overall(asked: Question, rows: pd.DataFrame) -> str:
    effects = ", ".join(
        f"{name} = {effect_in_words(row)}" for name, (_, row) in zip(asked.contrasts, rows.iterrows(), strict=True)
    )
    interval = (
        f"{asked.level:.0%} t intervals"
        if rows["ci_low"].notna().all()
        else f"no intervals below three {asked.paired_by}s"
    )
    what = "ratios of geometric means" if asked.scale == "log" else "mean differences"
    return f"Over all sparsities, {what}: {effects} ({interval}); observed order {_observed(asked, rows['effect'])}."


def _interaction(asked: Question, rows: pd.DataFrame, contrasts: pd.DataFrame) -> str:
    if rows.empty or rows.iloc[0]["n"] < 3:
        return ""
    row = rows.iloc[0]
    symbol = "F" if contrasts.empty else "χ²"
    differs = "differs" if row["p"] <= asked.alpha else "does not differ significantly"
    if row["p"] > asked.alpha and row["attainable_p"] > asked.alpha:
        differs = f"could not be shown to differ (smallest p {row['attainable_p']:.2g})"
    told = (
        f"The slope over sparsity {differs} between strategies ({Test(row['test']).words}, {row['method']}; "
        f"{symbol} = {row['statistic']:.3g}, {p_in_words(row['p'])})"
    )
    each = "; ".join(f"{r['question']} = {effect_in_words(r)}" for _, r in contrasts.iterrows())
    return f"{told}: {each}." if each else f"{told}."


def _observed(asked: Question, effects: pd.Series[float]) -> str:
    """Chain the adjacent estimates into heights, and sort them."""
    heights, names = [0.0], list(asked.order)
    for effect in effects:
        heights.append(heights[-1] + (math.log10(effect) if asked.scale == "log" else effect))
    ordered = sorted(zip(rounded(heights), range(len(names)), strict=True))  # log10(10**x) is not quite x
    text = names[ordered[0][1]]
    for (before, _), (height, k) in itertools.pairwise(ordered):
        text += f" {'=' if height == before else '<'} {names[k]}"
    return text


def sparsity_sentences(asked: Question, table: pd.DataFrame) -> list[str]:
    """Write the sentences of a comparison of sparsities."""
    rising, slopes, falling = (of_family(table, name) for name in (Family.RISING, Family.SLOPE, Family.FALLING))
    parts = []
    rows = (rising.iterrows(), slopes.iterrows(), falling.iterrows(), smallest_adjusted(rising))
    for (_, up), (_, slope), (_, down), smallest in zip(*rows, strict=True):
        n = int(up["n"])
        if n == 1:
            told = f"no inference is possible with one {asked.paired_by}"
        elif down["p_adjusted"] <= asked.alpha:
            told = f"significant fall (adjusted {p_in_words(down['p_adjusted'])})"
        else:
            told = significance(up, asked.alpha, smallest)
        text = f"{up['scope']}: {told}, L = {up['statistic']:g}, {slope['question']} {effect_in_words(slope)}"
        if up["p_adjusted"] > asked.alpha and n > 2:
            text += f" (80 % power for {slope['detectable']:.3g})"
        parts.append(f"{text}, {counted(n, asked.paired_by)}, {counted(up['excluded'], asked.paired_by)} incomplete")
    kind = "ratio" if asked.scale == "log" else "difference"
    return [
        f"that {asked.indicator} rises with sparsity ({' < '.join(asked.order)}) within {asked.paired_by} "
        f"(Page's L, Holm over {counted(len(rising), 'strategy')}; {kind} with {asked.level:.0%} t interval).",
        "; ".join(parts) + ".",
    ]


def _detectable(contrasts: Iterable[tuple[str, float]]) -> str:
    known = [f"{name} = {size:.3g}" for name, size in contrasts if not math.isnan(size)]
    return f"A paired t test had 80 % power for {', '.join(known)} or more." if known else ""


def _endpoint(asked: Question, seeds: tuple[Any, ...], paired: bool) -> str:
    values = "log10 values" if asked.scale == "log" else "values"
    which = f": {', '.join(map(str, seeds))}" if len(seeds) <= _LISTED else ""
    moments = "probed mask updates" if asked.indicator in PROBE_INDICATORS else "records"
    pairing = "paired by" if paired else "not paired by"
    return (
        f"Endpoint: mean of {values} over the last {asked.window:.0%} of each run's own {moments}, "
        f"{pairing} {asked.paired_by} ({counted(len(seeds), asked.paired_by)}{which})."
    )

"""Says in words what the numbers of a compression effect say, and nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from burden_analysis.compression.outcome import way, winning
from burden_analysis.compression.ratio_tests import BEST, BEST_WINS, EQUIVALENT, OVERALL, RATIO, SLOPE, TREND
from burden_analysis.results.families import smallest_adjusted
from burden_analysis.results.words import counted, family, left_out, p_in_words

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.compression.result import CompressionEffect

_NAMED = 5  # unstable blocks that are named; the others are counted


def prose(effect: CompressionEffect) -> str:
    """Write the verdict of a compression effect.

    Parameters
    ----------
    effect : CompressionEffect
        Its table, outcome and settings.

    Returns
    -------
    str
        One paragraph.
    """
    sentences = [_claim(effect), _reason(effect)]
    for scope in effect.table["scope"].unique():
        sentences += _scope(effect, scope)
    sentences += [_unstable(effect), left_out(effect.excluded)]
    return f"{effect.outcome.value.capitalize()}: {' '.join(s for s in sentences if s)}"


def _claim(effect: CompressionEffect) -> str:
    seeds = {0: "one seed, which is not named", 1: "one seed"}.get(len(effect.seeds), f"{len(effect.seeds)} seeds")
    unit = f"the {effect.unit}" + (
        f" ({' × '.join(effect.blocks)})" if effect.unit == "block" and effect.blocks else ""
    )
    return (
        f"that compressing the input makes sparse networks more accurate (differences from compression 0 in percentage "
        f"points, with {1 - effect.alpha:.0%} t intervals over the unit, {unit}; cells are counted; exact two-sided "
        f"Wilcoxon tests over the unit, Holm over {counted(len(effect.ratios), 'ratio')}; {seeds})."
    )


def _reason(effect: CompressionEffect) -> str:
    """Repeat the rule that gave the outcome, and where it holds."""
    scopes = [str(scope) for scope in effect.table["scope"].unique()]
    where = f"in {' and in '.join(scopes)}"
    outcome = effect.outcome.value
    if outcome == "contradicted":
        return (
            f"Over all ratios together accuracy is significantly lower {where}, and no ratio is significantly higher."
        )
    won = ", ".join(f"{ratio:g}" for ratio in winning(effect.table, effect.unit, effect.alpha))
    if won:
        return f"Significantly higher, and winning more than half of the cells, {where}: ratio {won}."
    return f"No ratio is significantly higher and wins more than half of the cells {where}."


def _scope(effect: CompressionEffect, scope: str) -> list[str]:
    judged = _rows(effect, scope, effect.unit)
    cells = _rows(effect, scope, "cell")
    units = family(judged, RATIO)
    n = f"{counted(units['n'].max(), effect.unit)}, {counted(family(cells, RATIO)['n'].max(), 'cell')}"
    sentences = [f"{scope.capitalize()} ({n}): {_ratios(effect, units, family(cells, RATIO))}."]
    if judged["n"].max() == 1:
        return [*sentences, f"No inference is possible with one {effect.unit}.", _best(cells, cells, "cell")]
    return [
        *sentences,
        _reach(effect, units),
        _overall(effect, family(judged, OVERALL)),
        _best(judged, cells, effect.unit),
        _equivalence(effect, family(judged, EQUIVALENT)),
        _trends(effect, judged),
    ]


def _ratios(effect: CompressionEffect, units: pd.DataFrame, cells: pd.DataFrame) -> str:
    told = []
    for (_, unit), (_, cell) in zip(units.iterrows(), cells.iterrows(), strict=True):
        if not unit["n"]:
            told.append(f"ratio {unit['ratio']:g}: no cell")
            continue
        counts = f"{cell['wins']:.0f} won, {cell['ties']:.0f} tied, {cell['losses']:.0f} lost"
        told.append(f"ratio {unit['ratio']:g}: {counts}, {_effect(unit)}, {_significance(unit, effect.alpha)}")
    return "; ".join(told)


def _significance(row: pd.Series[Any], alpha: float, *, adjusted: bool = True) -> str:
    if row["n"] == 1:
        return "one sample"
    told = _p(row["p_adjusted"], adjusted=adjusted)
    if row["p_adjusted"] > alpha:
        return f"not significant ({told})"
    return f"significantly {({1: 'higher', -1: 'lower', 0: 'different'})[way(row, alpha)]} ({told})"


def _reach(effect: CompressionEffect, units: pd.DataFrame) -> str:
    smallest = smallest_adjusted(units)
    short = units[smallest > effect.alpha]
    if len(short) == len(units):
        n = counted(units["n"].max(), effect.unit)
        return f"{n} cannot reach {effect.alpha:g}: the smallest adjusted p is {smallest.min():.2g}."
    told = [
        f"Ratio {row['ratio']:g} cannot reach {effect.alpha:g} with {counted(row['n'], effect.unit)}."
        for _, row in short.iterrows()
    ]
    missed = units[(units["p_adjusted"] > effect.alpha) & units["detectable"].notna()]
    if not missed.empty:
        listed = ", ".join(f"{row['detectable']:.2g} at {row['ratio']:g}" for _, row in missed.iterrows())
        told.append(f"A paired t test had 80 % power for {listed}.")
    return " ".join(told)


def _overall(effect: CompressionEffect, rows: pd.DataFrame) -> str:
    if rows["n"].isna().all() or not rows["n"].max():
        return ""
    row = rows.iloc[0]
    return f"Mean over ratios: {_effect(row)}, {_significance(row, effect.alpha, adjusted=False)}."


def _best(judged: pd.DataFrame, cells: pd.DataFrame, unit: str) -> str:
    gain, wins, counts = family(judged, BEST), family(cells, BEST_WINS), family(cells, BEST)
    if gain.empty or not gain["n"].max():
        return "No cell has every ratio: the best ratio is not judged."
    g, w, c = gain.iloc[0], wins.iloc[0], counts.iloc[0]
    more = "more" if g["effect"] > g["expected"] else "less" if g["effect"] < g["expected"] else "the same"
    within = "cells" if unit == "cell" else f"{unit}s"
    return (
        f"Best ratio of each cell against compression 0: it wins {c['wins']:.0f} of {c['n']:.0f} cells "
        f"({w['effect']:.0%}), but with no effect selection alone wins {w['expected']:.0%}; it gains {g['effect']:.3f} "
        f"points, {more}{' as' if more == 'the same' else ' than'} the {g['expected']:.3f} expected with no effect "
        f"(relabelled within {within}, one-sided {_p(g['p'])})."
    )


def _equivalence(effect: CompressionEffect, rows: pd.DataFrame) -> str:
    within = [f"{row['ratio']:g}" for _, row in rows.iterrows() if row["p_adjusted"] <= effect.alpha]
    if not within:
        return ""
    return f"Within ±{effect.margin:g} points of compression 0 (TOST, Holm): ratio {', '.join(within)}."


def _trends(effect: CompressionEffect, judged: pd.DataFrame) -> str:
    trends, slopes = family(judged, TREND), family(judged, SLOPE)
    found = [row["question"] for _, row in trends.iterrows() if row["p_adjusted"] <= effect.alpha]
    told = []
    if not trends.empty:
        listed = found[0] if found else "no trend of accuracy over the ratios"
        told.append(f"{listed} (Page, {_p(trends['p_adjusted'].min(), adjusted=True)})")
    overall = slopes[slopes["ratio"].isna()]
    if not overall.empty and overall["n"].iloc[0]:
        row = overall.iloc[0]
        told.append(
            f"per 0.1 of sparsity the mean difference changes by {_effect(row)}, "
            f"{'significant' if row['p'] <= effect.alpha else 'not significant'} ({_p(row['p'])})"
        )
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _unstable(effect: CompressionEffect) -> str:
    if not effect.unstable:
        return "No block is unstable."
    return (
        f"Unstable, over 10 times the median block's variance between ratios and {effect.unstable_share:.0%} of all of "
        f"it: {'; '.join(effect.unstable[:_NAMED])}"
        f"{f' and {len(effect.unstable) - _NAMED} more' if len(effect.unstable) > _NAMED else ''}."
    )


def _rows(effect: CompressionEffect, scope: str, unit: str) -> pd.DataFrame:
    return effect.table[(effect.table["scope"] == scope) & (effect.table["unit"] == unit)]


def _effect(row: pd.Series[Any]) -> str:
    if math.isnan(row["ci_low"]):
        return f"{row['effect']:+.3f}"
    return f"{row['effect']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"


def _p(p: float, *, adjusted: bool = False) -> str:
    return f"{'adjusted ' if adjusted else ''}{p_in_words(p)}"

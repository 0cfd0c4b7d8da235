"""Says in words what the numbers of a compression effect say, and nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from burden_analysis.compression.judgement import way
from burden_analysis.results.families import Family, of_family, smallest_adjusted
from burden_analysis.results.judgement import Judgement, Reason
from burden_analysis.results.words import counted, left_out, p_in_words

if TYPE_CHECKING:
    import pandas as pd

    from burden_analysis.compression.cells import CompressionCells

_NAMED = 5  # unstable blocks that are named; the others are counted


def verdict(cells: CompressionCells, table: pd.DataFrame, judged: Judgement, margin: float, alpha: float) -> str:
    """Write the verdict of a compression effect."""
    sentences = [_claim(cells, alpha), _reason(judged, table)]
    for scope, tests in table.groupby("scope", sort=False):
        sentences += _scope(str(scope), tests, cells.unit, margin, alpha)
    sentences += [_unstable(cells), left_out(cells.excluded)]
    return f"{judged.outcome.words.capitalize()}: {' '.join(s for s in sentences if s)}"


def _claim(cells: CompressionCells, alpha: float) -> str:
    seeds = {0: "one seed, which is not named", 1: "one seed"}.get(len(cells.seeds), f"{len(cells.seeds)} seeds")
    unit = f"the {cells.unit}" + (f" ({' × '.join(cells.blocks)})" if cells.unit == "block" and cells.blocks else "")
    return (
        f"that compressing the input makes sparse networks more accurate (differences from compression 0 in percentage "
        f"points, with {1 - alpha:.0%} t intervals over the unit, {unit}; cells are counted; exact two-sided "
        f"Wilcoxon tests over the unit, Holm over {counted(len(cells.ratios) - 1, 'ratio')}; {seeds})."
    )


def _reason(judged: Judgement, table: pd.DataFrame) -> str:
    """Repeat the rule that gave the outcome, and where it holds."""
    where = f"in {' and in '.join(table['scope'].unique())}"
    if judged.reason is Reason.AGAINST:
        return (
            f"Over all ratios together accuracy is significantly lower {where}, and no ratio is significantly higher."
        )
    if judged.reason is Reason.SIGNIFICANT:
        won = ", ".join(f"{ratio:g}" for ratio in sorted(judged.rows["ratio"].unique()))
        return f"Significantly higher, and winning more than half of the cells, {where}: ratio {won}."
    return f"No ratio is significantly higher and wins more than half of the cells {where}."


def _scope(scope: str, tests: pd.DataFrame, unit: str, margin: float, alpha: float) -> list[str]:
    judged, cells = (tests[tests["unit"] == level] for level in (unit, "cell"))
    units, counts = of_family(judged, Family.RATIO), of_family(cells, Family.RATIO)
    n = f"{counted(units['n'].max(), unit)}, {counted(counts['n'].max(), 'cell')}"
    sentences = [f"{scope.capitalize()} ({n}): {_ratios(units, counts, alpha)}."]
    if judged["n"].max() == 1:
        return [*sentences, f"No inference is possible with one {unit}.", _best(cells, cells, "cell")]
    return [
        *sentences,
        _reach(units, unit, alpha),
        _overall(of_family(judged, Family.OVERALL), alpha),
        _best(judged, cells, unit),
        _equivalence(of_family(judged, Family.WITHIN), margin, alpha),
        _trends(judged, alpha),
    ]


def _ratios(units: pd.DataFrame, cells: pd.DataFrame, alpha: float) -> str:
    told = []
    for (_, unit), (_, cell) in zip(units.iterrows(), cells.iterrows(), strict=True):
        if not unit["n"]:
            told.append(f"ratio {unit['ratio']:g}: no cell")
            continue
        counts = f"{cell['wins']:.0f} won, {cell['ties']:.0f} tied, {cell['losses']:.0f} lost"
        told.append(f"ratio {unit['ratio']:g}: {counts}, {_effect(unit)}, {_significance(unit, alpha)}")
    return "; ".join(told)


def _significance(row: pd.Series[Any], alpha: float, *, adjusted: bool = True) -> str:
    if row["n"] == 1:
        return "one sample"
    told = _p(row["p_adjusted"], adjusted=adjusted)
    if row["p_adjusted"] > alpha:
        return f"not significant ({told})"
    return f"significantly {({1: 'higher', -1: 'lower', 0: 'different'})[way(row, alpha)]} ({told})"


def _reach(units: pd.DataFrame, unit: str, alpha: float) -> str:
    smallest = smallest_adjusted(units)
    short = units[smallest > alpha]
    if len(short) == len(units):
        n = counted(units["n"].max(), unit)
        return f"{n} cannot reach {alpha:g}: the smallest adjusted p is {smallest.min():.2g}."
    told = [
        f"Ratio {row['ratio']:g} cannot reach {alpha:g} with {counted(row['n'], unit)}." for _, row in short.iterrows()
    ]
    missed = units[(units["p_adjusted"] > alpha) & units["detectable"].notna()]
    if not missed.empty:
        listed = ", ".join(f"{row['detectable']:.2g} at {row['ratio']:g}" for _, row in missed.iterrows())
        told.append(f"A paired t test had 80 % power for {listed}.")
    return " ".join(told)


def _overall(rows: pd.DataFrame, alpha: float) -> str:
    if rows["n"].isna().all() or not rows["n"].max():
        return ""
    row = rows.iloc[0]
    return f"Mean over ratios: {_effect(row)}, {_significance(row, alpha, adjusted=False)}."


def _best(judged: pd.DataFrame, cells: pd.DataFrame, unit: str) -> str:
    gain, counts = (of_family(tests, Family.BEST) for tests in (judged, cells))
    wins = of_family(cells, Family.BEST_WINS)
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


def _equivalence(rows: pd.DataFrame, margin: float, alpha: float) -> str:
    within = [f"{row['ratio']:g}" for _, row in rows.iterrows() if row["p_adjusted"] <= alpha]
    if not within:
        return ""
    return f"Within ±{margin:g} points of compression 0 (TOST, Holm): ratio {', '.join(within)}."


def _trends(judged: pd.DataFrame, alpha: float) -> str:
    trends, slopes = of_family(judged, Family.TREND), of_family(judged, Family.GAIN_SLOPE)
    found = [row["question"] for _, row in trends.iterrows() if row["p_adjusted"] <= alpha]
    told = []
    if not trends.empty:
        listed = found[0] if found else "no trend of accuracy over the ratios"
        told.append(f"{listed} (Page, {_p(trends['p_adjusted'].min(), adjusted=True)})")
    overall = slopes[slopes["ratio"].isna()]
    if not overall.empty and overall["n"].iloc[0]:
        row = overall.iloc[0]
        told.append(
            f"per 0.1 of sparsity the mean difference changes by {_effect(row)}, "
            f"{'significant' if row['p'] <= alpha else 'not significant'} ({_p(row['p'])})"
        )
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _unstable(cells: CompressionCells) -> str:
    unstable = cells.unstable_names
    if not unstable:
        return "No block is unstable."
    return (
        f"Unstable, over 10 times the median block's variance between ratios and {cells.unstable_share:.0%} of all of "
        f"it: {'; '.join(unstable[:_NAMED])}"
        f"{f' and {len(unstable) - _NAMED} more' if len(unstable) > _NAMED else ''}."
    )


def _effect(row: pd.Series[Any]) -> str:
    if math.isnan(row["ci_low"]):
        return f"{row['effect']:+.3f}"
    return f"{row['effect']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"


def _p(p: float, *, adjusted: bool = False) -> str:
    return f"{'adjusted ' if adjusted else ''}{p_in_words(p)}"

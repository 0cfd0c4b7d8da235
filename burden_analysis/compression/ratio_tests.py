"""The tests of a compression effect, as rows of its table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from burden_analysis.results.families import Family
from burden_analysis.results.tests import Test
from burden_analysis.statistics import (
    Estimate,
    PermutationResult,
    detectable_difference,
    friedman_exact,
    holm,
    kendalls_w,
    mean_difference,
    page_trend,
    tost,
)
from burden_analysis.statistics.ranks import block_ranks
from burden_analysis.statistics.significance.relabelling import best_gain, relabel
from burden_analysis.statistics.significance.signed_rank import signed_rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from burden_analysis.compression.cells import CompressionCells

COLUMNS = (
    "scope",
    "unit",
    "family",
    "question",
    "ratio",
    "test",
    "statistic",
    "p",
    "p_adjusted",
    "effect",
    "ci_low",
    "ci_high",
    "expected",
    "wins",
    "ties",
    "losses",
    "n",
    "attainable_p",
    "excluded",
    "method",
    "detectable",
)
"""Columns of `CompressionEffect.table`.

`family` and `test` hold the names of `Family` and `Test`, what is printed their words.
`scope` is ``"all blocks"`` or ``"stable blocks"``, `unit` the level at which the test counts samples (cell, block,
seed): n, wins, ties and losses count these. `ratio` is NaN where a row is about all ratios. `effect` is in percentage
points of accuracy (mean difference from compression 0, gain of the best ratio, slope per 0.1 of sparsity), a mean rank,
Kendall's W, or a share of wins; `expected` is the same with no effect. Intervals cover 1 − alpha, those of equivalence
1 − 2 alpha: inside the margin, the test is significant. `excluded` counts the cells left out for a
missing accuracy. `p_adjusted` is Holm's inside (scope, unit,
family). `detectable` is the effect that a paired t test at the same alpha would see with 80 % power.
"""
SHOWN = ("scope", "family", "ratio", "p", "p_adjusted", "effect", "ci_low", "ci_high", "expected", "n", "test")
"""Columns that fit a terminal; `CompressionEffect.to_json` has all."""
_CELL_RESAMPLES = 10_000  # of Friedman's test over cells, which only describes; it is too large to enumerate

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]


def compression_rows(cells: CompressionCells, scope: str, margin: float, alpha: float) -> Iterator[dict[str, Any]]:
    """Test the effect of compression at every level."""
    for unit, numbers in cells.levels.items():
        for row in _level(cells, unit, numbers, margin, alpha):
            yield {**dict.fromkeys(COLUMNS, math.nan), "scope": scope, "unit": unit, **row}


def _level(
    cells: CompressionCells, unit: str, numbers: Numbers, margin: float, alpha: float
) -> Iterator[dict[str, Any]]:
    full = cells.complete()
    differences = cells.differences()
    lost = np.isnan(differences).sum(axis=0).tolist()
    per_ratio = [unit_means(column, numbers) for column in differences.T]
    ratios = cells.ratios[1:]
    for rows in (_ratio_rows(ratios, per_ratio, alpha), _equivalence_rows(ratios, per_ratio, margin, alpha)):
        yield from ({**row, "excluded": count} for row, count in zip(rows, lost, strict=True))
    overall = unit_means(differences[full].mean(axis=1), numbers[full])
    levels = np.array([unit_means(column, numbers[full]) for column in cells.grid[full].T]).T
    joint = [
        _difference_row(Family.OVERALL, "mean over ratios differs from compression 0", math.nan, overall, alpha),
        *_rank_rows(cells.ratios, levels, unit),
        *_best_rows(cells.grid[full], numbers[full], alpha),
    ]
    yield from ({**row, "excluded": int((~full).sum())} for row in joint)
    if unit != "cell":
        counts = [*lost, int((~full).sum())]
        slopes = _slope_rows(cells, numbers, alpha)
        yield from ({**row, "excluded": count} for row, count in zip(slopes, counts, strict=True))


def unit_means(values: Floats, numbers: Numbers) -> Floats:
    """Mean over the cells of each unit, NaN left out; units without a value are left out too."""
    known = np.isfinite(values)
    _, unit = np.unique(numbers[known], return_inverse=True)
    return np.asarray(np.bincount(unit, values[known]) / np.bincount(unit)) if known.any() else np.empty(0)


def _ratio_rows(ratios: tuple[float, ...], per_ratio: list[Floats], alpha: float) -> list[dict[str, Any]]:
    rows = [
        _difference_row(Family.RATIO, "accuracy differs from compression 0", ratio, values, alpha)
        for ratio, values in zip(ratios, per_ratio, strict=True)
    ]
    return _adjusted(rows)


def _difference_row(family: Family, question: str, ratio: float, values: Floats, alpha: float) -> dict[str, Any]:
    values = np.round(values, 9)  # a mean of differences that cancel is a tie, not 1e-17
    estimate = mean_difference(values, level=1 - alpha)
    result = signed_rank(values)
    return {
        **_asked(family, question, Test.WILCOXON, ratio),
        **_estimated(estimate),
        **_tested(result),
        "expected": 0.0,
        "p_adjusted": result.p,
        "detectable": detectable_difference(estimate.sd, estimate.n, alpha=alpha),
        **_counts(values),
    }


def _equivalence_rows(
    ratios: tuple[float, ...], per_ratio: list[Floats], margin: float, alpha: float
) -> list[dict[str, Any]]:
    rows = []
    for ratio, values in zip(ratios, per_ratio, strict=True):
        found = tost(values, margin, alpha=alpha)
        question = f"accuracy is within {margin:g} points of compression 0"
        rows.append(
            {
                **_asked(Family.WITHIN, question, Test.TOST, ratio),
                "p": found.p,
                "effect": found.difference,
                "ci_low": found.low,
                "ci_high": found.high,
                "n": found.n,
                "method": "t distribution",
            }
        )
    return _adjusted(rows)


def _rank_rows(ratios: tuple[float, ...], levels: Floats, unit: str) -> Iterator[dict[str, Any]]:
    if not levels.size:
        return
    options = {"resamples": _CELL_RESAMPLES} if unit == "cell" else {}
    friedman = friedman_exact(levels, **options)
    yield {
        **_asked(Family.ANY, "some ratio differs, compression 0 included", Test.FRIEDMAN_RATIOS),
        **_tested(friedman),
        "p_adjusted": friedman.p,
        "effect": kendalls_w(friedman, len(ratios)),
    }
    ranks = block_ranks(levels).mean(axis=0)
    for ratio, rank in zip(ratios, ranks, strict=True):
        yield {
            **_asked(Family.RANK, "rank of the accuracy among ratios, 1 is the lowest", Test.NONE, ratio),
            "effect": rank,
            "expected": (len(ratios) + 1) / 2,
            "n": friedman.n,
            "method": "count",
        }
    pages = (("rises", Test.PAGE_RISES, levels), ("falls", Test.PAGE_FALLS, levels[:, ::-1]))
    yield from _adjusted(
        [
            {**_asked(Family.TREND, f"accuracy {way} with the ratio", test), **_tested(page_trend(values))}
            for way, test, values in pages
        ]
    )


def _best_rows(values: Floats, numbers: Numbers, alpha: float) -> Iterator[dict[str, Any]]:
    k = values.shape[1] - 1
    gains = np.round(best_gain(values), 9) if len(values) else np.empty((0, k + 1))
    questions = {
        Family.BEST: (f"gain of the best of {k} ratios exceeds that of exchangeable labels", gains),
        Family.BEST_WINS: (
            f"share of cells that the best of {k} ratios wins exceeds that share",
            (gains > 0).astype(float),
        ),
    }
    for family, (question, scores) in questions.items():
        found = relabel(scores, numbers)
        spread = mean_difference(unit_means(scores[:, 0], numbers), level=1 - alpha)
        yield {
            **_asked(family, question, Test.RELABELLING),
            **_tested(found.result),
            "p_adjusted": found.result.p,
            "effect": found.observed,
            "expected": found.expected,
            "ci_low": spread.low,
            "ci_high": spread.high,
            **_counts(unit_means(gains[:, 0], numbers)),
        }


def _slope_rows(cells: CompressionCells, numbers: Numbers, alpha: float) -> list[dict[str, Any]]:
    """Least-squares slope of the difference on sparsity inside blocks, one per unit, per 0.1 of sparsity."""
    sparsity = cells.labels["sparsity"].to_numpy(float)
    question = "difference from compression 0 changes with sparsity, per 0.1"
    rows = []
    for ratio, difference in zip(cells.ratios[1:], cells.differences().T, strict=True):
        rows.append(
            _difference_row(
                Family.GAIN_SLOPE, question, ratio, _slopes(sparsity, difference, cells.block, numbers), alpha
            )
        )
    mean = np.where(cells.complete(), cells.differences().mean(axis=1), np.nan)
    overall = _difference_row(
        Family.GAIN_SLOPE, question, math.nan, _slopes(sparsity, mean, cells.block, numbers), alpha
    )
    return [*_adjusted(rows), overall]


def _slopes(sparsity: Floats, difference: Floats, block: Numbers, numbers: Numbers) -> Floats:
    slopes = []
    for unit in np.unique(numbers):
        here = (numbers == unit) & np.isfinite(difference)
        products = squares = 0.0
        for b in np.unique(block[here]):
            inside = here & (block == b)
            centred = sparsity[inside] - sparsity[inside].mean()
            products += float(centred @ difference[inside])
            squares += float(centred @ centred)
        if squares > 1e-12:
            slopes.append(0.1 * products / squares)
    return np.array(slopes)


def _adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    adjusted = holm([row["p"] for row in rows])
    return [{**row, "p_adjusted": p} for row, p in zip(rows, adjusted, strict=True)]


def _asked(family: Family, question: str, test: Test, ratio: float = math.nan) -> dict[str, Any]:
    return {"family": family, "question": question, "test": test, "ratio": ratio}


def _tested(result: PermutationResult) -> dict[str, Any]:
    return {
        "statistic": result.statistic,
        "p": result.p,
        "n": result.n,
        "attainable_p": result.attainable_p,
        "method": result.method,
    }


def _estimated(estimate: Estimate) -> dict[str, Any]:
    return {"effect": estimate.effect, "ci_low": estimate.low, "ci_high": estimate.high}


def _counts(values: Floats) -> Mapping[str, int]:
    return {"wins": int((values > 0).sum()), "ties": int((values == 0).sum()), "losses": int((values < 0).sum())}


def as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Collect rows into the table of a compression effect, with the columns `COLUMNS`."""
    return pd.DataFrame(rows, columns=list(COLUMNS))

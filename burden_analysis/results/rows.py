"""Rows of a comparison's table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from burden_analysis.results.families import Family
    from burden_analysis.results.tests import Test
    from burden_analysis.statistics import Estimate, PermutationResult

COLUMNS = (
    "question",
    "scope",
    "statistic",
    "p",
    "p_adjusted",
    "family",
    "effect",
    "ci_low",
    "ci_high",
    "n",
    "attainable_p",
    "excluded",
    "test",
    "method",
    "detectable",
)
"""Columns of `Comparison.table`.

`family` and `test` hold the names of `Family` and `Test`, what is printed their words.
`p` is unadjusted; where `p_adjusted` is NaN it only describes. `effect` with its interval is a ratio of geometric
means (log scale) or a mean difference (raw scale), for Friedman's test Kendall's W, for independent samples Cliff's δ.
`n` counts seeds, `excluded` the blocks of a seed left out for a missing run. `attainable_p` is the smallest p that n
seeds can give (NaN for a t or F test, which has none). `method` says how p was computed, with its standard error where
it was sampled. `detectable` is the effect a t test at the same alpha would see with 80 % power.
"""


def make_row(
    question: str,
    scope: str,
    test: Test,
    family: Family,
    result: PermutationResult | None = None,
    estimate: Estimate | None = None,
    values: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make one row of a comparison's table."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
    row.update(question=question, scope=scope, test=test, family=family, method="exact" if result else "t distribution")
    if estimate is not None:
        row.update(effect=estimate.effect, ci_low=estimate.low, ci_high=estimate.high)
        row.update(n=estimate.n, excluded=estimate.excluded)
    if result is not None:
        row.update(statistic=result.statistic, p=result.p, attainable_p=result.attainable_p, method=result.method)
        row.update(n=result.n, excluded=result.excluded)
    return {**row, **(values or {})}


def as_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Collect rows into a comparison's table."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS))

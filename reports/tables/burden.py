"""The table of the burden of mask updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.comparison.ratio_curves import LEVEL
from burden_analysis.indicators.burden_means import TERMS, burden_means
from burden_analysis.results.words import level, number
from burden_analysis.statistics.estimates.band import BAND_FROM
from reports.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def burden_table(dataset: xr.Dataset) -> Table | None:
    """Tabulate the mean terms of mask updates per strategy and sparsity, with t intervals over seeds."""
    means = burden_means(dataset, level=LEVEL)
    if means.empty:
        return None
    rows = tuple(
        (str(strategy), level(sparsity), str(n), *cell.apply(_mean, axis=1))
        for (strategy, sparsity, n), cell in means.groupby(["strategy", "sparsity", "n"])
    )
    return Table(
        f"Mean over all probed mask updates of a run, then over seeds, with {LEVEL:.0%} t intervals (none below "
        f"{BAND_FROM} seeds); target: labels; recovered: mean of both orders; relaxation: error at the next record "
        "less the error just after the update",
        ("strategy", "sparsity", "n", *TERMS),
        rows,
        (False, *([True] * (2 + len(TERMS)))),
    )


def _mean(row: pd.Series[float]) -> str:
    interval = "" if np.isnan(row["ci_low"]) else f" [{number(row['ci_low'])}, {number(row['ci_high'])}]"
    return number(row["mean"]) + interval

"""The table of the burden of mask updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import t as student

from burden_analysis import endpoint
from burden_analysis.arrangement.runs import complete_runs
from burden_analysis.indicators.mask_updates import probed
from burden_analysis.results.words import number
from reports.figures.curves import BAND_SEEDS, LEVEL
from reports.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr

TABLE = ("compensation", "covariance", "burden", "recovered", "relaxation")


def burden_table(dataset: xr.Dataset) -> Table | None:
    """Tabulate the mean terms of mask updates per strategy and sparsity, with t intervals over seeds.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.

    Returns
    -------
    Table or None
        A value is the mean over the probed updates of a run, then over runs; target: labels. None when no complete run
        has a probed mask update.
    """
    known = list(dict.fromkeys(dataset["strategy"].to_numpy().astype(str)))
    runs, _ = complete_runs(dataset, known)
    if not probed(runs) or "fit" not in runs or not np.isfinite(runs["fit"]).any():
        return None
    cells = pd.DataFrame({name: runs[name].to_numpy() for name in ("strategy", "sparsity")})
    for name in TABLE:
        cells[name] = endpoint(runs, name, window=1.0, scale="raw").to_numpy()
    rows = []
    for (strategy, sparsity), cell in cells.dropna(subset=["compensation"]).groupby(["strategy", "sparsity"]):
        rows.append(
            (str(strategy), number(sparsity), str(len(cell)), *(_interval(cell[name].dropna()) for name in TABLE))
        )
    return Table(
        f"Mean over all probed mask updates of a run, then over seeds, with {LEVEL:.0%} t intervals (none below "
        f"{BAND_SEEDS} seeds); target: labels; recovered: mean of both orders; relaxation: error at the next record "
        "less the error just after the update",
        ("strategy", "sparsity", "n", *TABLE),
        tuple(rows),
        (False, *([True] * (2 + len(TABLE)))),
    )


def _interval(values: pd.Series[float]) -> str:
    n = len(values)
    if n < BAND_SEEDS:
        return number(values.mean() if n else np.nan)
    half = float(student.ppf((1 + LEVEL) / 2, n - 1) * values.std() / np.sqrt(n))
    return f"{number(values.mean())} [{number(values.mean() - half)}, {number(values.mean() + half)}]"

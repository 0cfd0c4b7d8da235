"""Terms of mask updates as means over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from burden_analysis.arrangement.runs import complete_runs
from burden_analysis.indicators.endpoints import endpoint
from burden_analysis.indicators.mask_updates import probed
from burden_analysis.statistics.estimates.paired import mean_difference

if TYPE_CHECKING:
    import xarray as xr

TERMS = ("compensation", "covariance", "burden", "recovered", "relaxation")
COLUMNS = ("strategy", "sparsity", "term", "mean", "ci_low", "ci_high", "n")


def burden_means(dataset: xr.Dataset, *, level: float = 0.95) -> pd.DataFrame:
    """Mean terms of the probed mask updates per strategy and sparsity, with t intervals over seeds."""
    runs, _ = complete_runs(dataset, np.unique(dataset["strategy"].to_numpy().astype(str)).tolist())
    rows = []
    if probed(runs) and "fit" in runs and np.isfinite(runs["fit"]).any():
        cells = pd.DataFrame({name: runs[name].to_numpy() for name in ("strategy", "sparsity")})
        for name in TERMS:
            cells[name] = endpoint(runs, name, window=1.0, scale="raw").to_numpy()
        for (strategy, sparsity), cell in cells.dropna(subset=["compensation"]).groupby(["strategy", "sparsity"]):
            found = {name: mean_difference(cell[name].to_numpy(), level=level) for name in TERMS}
            rows += [(strategy, sparsity, name, e.effect, e.low, e.high, len(cell)) for name, e in found.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))

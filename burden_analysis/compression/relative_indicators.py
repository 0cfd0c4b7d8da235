"""Indicators over compression ratios: each as a multiple of its value without compression, run by run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from burden_analysis.arrangement.runs import complete_runs
from burden_analysis.compression.baseline import baseline
from burden_analysis.indicators.endpoints import endpoint
from burden_analysis.statistics import ratio_of_geometric_means
from recorders.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

WINDOW = 0.2  # of the records; the probe's terms are averaged over all mask updates
OF_RECORDS = ("gradient_mean_abs_mean", "gradient_norm_mean", "dense_gradient_norm_mean", "weight_norm_mean")
OF_UPDATES = ("compensation", "burden")
COLUMNS = ("indicator", "compression", "ratio", "ci_low", "ci_high", "n")
_REFERENCE = "dense"


def compression_indicators(dataset: xr.Dataset, indicators: Sequence[str] = (*OF_RECORDS, *OF_UPDATES)) -> pd.DataFrame:
    """Compare indicators at every compression ratio with those of the same run at compression 0."""
    pruned = dataset.isel(run=np.flatnonzero(dataset["strategy"].to_numpy() != _REFERENCE))
    runs, _ = complete_runs(pruned, sorted(set(pruned["strategy"].to_numpy().tolist())))
    rows = []
    for name in indicators:
        try:
            value = endpoint(runs, name, window=1.0 if name in OF_UPDATES else WINDOW, scale="raw")
        except InputError:  # not recorded: no probe, or a loop of one's own
            continue
        for ratio, logs in _relative(value):
            found = ratio_of_geometric_means(logs, np.zeros_like(logs))
            if found.n:
                rows.append((name, ratio, found.effect, found.low, found.high, found.n))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _relative(value: xr.DataArray) -> list[tuple[float, np.ndarray[tuple[int], np.dtype[np.float64]]]]:
    """log₁₀ of the value relative to compression 0, mean over the cells of each seed, by ratio."""
    table = pd.DataFrame({str(k): v.to_numpy() for k, v in value.coords.items() if v.dims == ("run",)})
    values = value.to_numpy().astype(float)
    logs = np.log10(values, where=values > 0, out=np.full(values.shape, np.nan))
    table["relative"] = logs - baseline(table, logs)
    seeds = table[table["compression"] > 0].groupby(["compression", "seed"])["relative"].mean()
    return [(float(str(ratio)), own.to_numpy()) for ratio, own in seeds.groupby(level="compression")]

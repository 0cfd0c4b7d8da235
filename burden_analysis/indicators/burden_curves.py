"""Curves over mask updates as tidy rows: terms of the decomposition, their shares, and what units carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from burden_analysis.indicators.curves import CELL, COLUMNS, joined, run_coordinates
from burden_analysis.indicators.series import series

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

SPLIT = ("fit", "compensation", "covariance")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_TERMS = ("fit", "new_fit", "compensation", "covariance")


def term_curves(runs: xr.Dataset, strategy: str) -> pd.DataFrame:
    """Terms of every probed mask update of one strategy: of each seed, and their mean."""
    chosen = runs.isel(run=np.flatnonzero(runs["strategy"].to_numpy() == strategy))
    parts = []
    for term in _TERMS:
        own = _update_rows(chosen, series(chosen, term))
        parts += [_tidy(own, term, "seed"), _tidy(_seed_means(own), term, "mean")]
    return joined(parts)


def share_curves(terms: pd.DataFrame) -> pd.DataFrame:
    """Shares of the mean terms: term / (fit + compensation + |covariance|)."""
    means = terms[terms["quantity"] == "mean"].pivot_table("value", [*CELL, "step"], "indicator", observed=True)
    size = sum(means[term].abs() for term in SPLIT if term in means)
    return joined(
        _tidy((means[term] / size).dropna().rename("value").reset_index(), term, "share")
        for term in SPLIT
        if term in means
    )


def load_curves(runs: xr.Dataset, strategies: Sequence[str], load: str, layer: str) -> pd.DataFrame:
    """Quantiles over the units of a layer of what they carry, each the mean over seeds."""
    chosen = runs.isel(run=np.flatnonzero(np.isin(runs["strategy"].to_numpy(), list(strategies))))
    loads = chosen[load].sel(layer=layer)
    return joined(
        _tidy(_seed_means(_update_rows(chosen, loads.sel(quantile=q, method="nearest"))), load, f"quantile {q:g}")
        for q in LEVELS
    )


def probed_counts(runs: xr.Dataset) -> pd.Series[int]:
    """Count the runs that were probed, by sparsity and strategy."""
    looked = np.isfinite(runs["load_inputs"].transpose("run", ...).to_numpy()).any(axis=(1, 2, 3))
    counts: pd.Series[int] = run_coordinates(runs)[looked].groupby(CELL).size()
    return counts


def _update_rows(runs: xr.Dataset, values: xr.DataArray) -> pd.DataFrame:
    """Values of all runs, one row each; updates that were not probed are left out."""
    coordinates = run_coordinates(runs).loc[np.repeat(np.arange(runs.sizes["run"]), runs.sizes["update"])]
    columns = {"step": runs["update_step"], "value": values}
    rows = coordinates.assign(**{name: v.transpose("run", "update").to_numpy().ravel() for name, v in columns.items()})
    return rows.dropna().sort_values([*CELL, "seed"], kind="stable")


def _seed_means(own: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds at the steps at which every seed of a cell has a value."""
    at = own.groupby([*CELL, "step"], as_index=False)["value"].agg(["mean", "count"])
    seeds = own.groupby(CELL, as_index=False)["seed"].nunique()
    whole = at.merge(seeds, on=CELL)
    return whole[whole["count"] == whole["seed"]].rename(columns={"mean": "value"})[[*CELL, "step", "value"]]


def _tidy(frame: pd.DataFrame, indicator: str, quantity: str) -> pd.DataFrame:
    rows = frame.assign(indicator=indicator, against="", quantity=quantity).reindex(columns=list(COLUMNS))
    return rows.astype({"seed": "Int64"})

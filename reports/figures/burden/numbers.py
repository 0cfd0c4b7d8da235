"""The numbers behind the burden figure: rows with the columns of `reports.figures.curves`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from burden_analysis import series
from reports.figures.curves import COLUMNS, schedule_curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

TERMS = ("fit", "new_fit", "compensation", "covariance")
SPLIT = ("fit", "compensation", "covariance")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def burden_numbers(runs: xr.Dataset, strategy: str, order: Sequence[str], load: str, layer: str) -> pd.DataFrame:
    """Every number the burden figure shows.

    Parameters
    ----------
    runs : xarray.Dataset
        Complete runs of a probed study.
    strategy : str
        Whose mask updates are decomposed.
    order : sequence of str
        Strategies whose load is shown.
    load : str
        A recorded load.
    layer : str
        Hidden layer of the load.

    Returns
    -------
    pandas.DataFrame
        Rows of `reports.figures.curves.COLUMNS`. Panel ``terms`` has the quantities ``seed`` and ``mean`` (arithmetic,
        so that terms add up); panel ``share`` has ``share``: of the means, term / (fit + compensation +
        |covariance|); panel ``load`` has ``quantile 0.05`` to ``quantile 0.95`` over units, each the mean over
        seeds; panel ``schedule`` has ``actual sparsity``. Means are over the steps at which every seed has a value.
    """
    parts = [schedule_curves(runs, strategy)]
    step = runs["update_step"].transpose("run", "update").to_numpy()
    cells = pd.DataFrame({name: runs[name].to_numpy() for name in ("sparsity", "strategy", "seed")})
    terms = {name: series(runs, name).to_numpy() for name in TERMS}
    loads = runs[load].sel(layer=layer).transpose("run", "update", "quantile")
    quantiles = {f"quantile {q:g}": loads.sel(quantile=q, method="nearest").to_numpy() for q in LEVELS}
    for (sparsity, name), cell in cells.groupby(["sparsity", "strategy"], sort=True):
        common = {"sparsity": sparsity, "strategy": name}
        if name == strategy:
            means = {}
            for term, table in terms.items():
                place = {"panel": "terms", "indicator": term, **common}
                own = _long(cell, step, table)
                means[term] = _means(own)
                parts += [_rows(own, quantity="seed", **place), _rows(means[term], quantity="mean", **place)]
            size = sum(means[term]["value"].abs() for term in SPLIT)
            for term in SPLIT:
                share = means[term].assign(value=means[term]["value"] / size)
                parts.append(
                    _rows(share.dropna(subset="value"), quantity="share", panel="share", indicator=term, **common)
                )
        if name in order:
            for quantity, table in quantiles.items():
                load_means = _means(_long(cell, step, table))
                parts.append(_rows(load_means, quantity=quantity, panel="load", indicator=load, **common))
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))


def probed_counts(runs: xr.Dataset) -> pd.Series[int]:
    """Count the runs that were probed, by sparsity and strategy."""
    looked = np.isfinite(runs["load_inputs"].transpose("run", ...).to_numpy()).any(axis=(1, 2, 3))
    cells = pd.DataFrame({name: runs[name].to_numpy()[looked] for name in ("sparsity", "strategy")})
    return cells.groupby(["sparsity", "strategy"]).size()


def _long(cell: pd.DataFrame, step: npt.NDArray[np.float64], table: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Values of some runs, one row each; updates that were not probed are left out."""
    ordered = cell.sort_values("seed")
    frames = [
        pd.DataFrame({"seed": int(seed), "step": step[run], "value": table[run]})
        for run, seed in zip(ordered.index.to_numpy(), ordered["seed"], strict=True)
    ]
    return pd.concat(frames, ignore_index=True).dropna()


def _means(own: pd.DataFrame) -> pd.DataFrame:
    at = own.groupby("step")["value"].agg(["mean", "count"])
    at = at[at["count"] == own["seed"].nunique()]
    return pd.DataFrame({"step": at.index.to_numpy(), "value": at["mean"].to_numpy(), "seed": None})


def _rows(frame: pd.DataFrame, **constant: Any) -> pd.DataFrame:
    return frame.astype({"seed": "Int64"}).assign(against="", **constant)[list(COLUMNS)]

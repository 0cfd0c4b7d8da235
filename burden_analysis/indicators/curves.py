"""Curves over records as tidy rows: every run, the geometric mean over seeds, the pruning schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from burden_analysis.indicators.series import record_series

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

COLUMNS = ("indicator", "sparsity", "strategy", "against", "quantity", "seed", "step", "value")
"""What every curve is a table of; ``against`` and ``seed`` are empty where a curve has none."""

CELL = ["sparsity", "strategy"]


def seed_curves(runs: xr.Dataset, indicator: str) -> pd.DataFrame:
    """Every run's curve and, per strategy and sparsity, their geometric mean."""
    table = record_series(runs, indicator).transpose("run", "record").to_numpy().astype(float)
    step, own = runs["step"].to_numpy(), own_records(runs)
    coordinates = run_coordinates(runs)
    parts = []
    for (sparsity, strategy), cell in coordinates.groupby(CELL, sort=True):
        common: dict[str, Any] = {"indicator": indicator, "sparsity": sparsity, "strategy": strategy}
        ordered = cell.sort_values("seed")
        members = ordered.index.to_numpy()
        for run, seed in zip(members, ordered["seed"], strict=True):
            parts.append(as_rows(step[own[run]], table[run][own[run]], quantity="seed", seed=int(seed), **common))
        # A record without a positive value of every seed has no geometric mean: a gap, not a mean of the others.
        shared = own[members].all(axis=0)
        positive = np.where(table[members] > 0, table[members], np.nan)[:, shared]
        parts.append(as_rows(step[shared], np.exp(np.log(positive).mean(axis=0)), quantity="geometric mean", **common))
    return joined(parts)


def schedule_curves(runs: xr.Dataset, strategy: str) -> pd.DataFrame:
    """Average over seeds the share of masked weights of one strategy, at every sparsity asked for."""
    step, own = runs["step"].to_numpy(), own_records(runs)
    table = runs["actual_sparsity"].transpose("run", "record").to_numpy()
    common: dict[str, Any] = {"indicator": "actual_sparsity", "strategy": strategy, "quantity": "actual sparsity"}
    coordinates = run_coordinates(runs)
    parts = []
    for sparsity, cell in coordinates[coordinates["strategy"] == strategy].groupby("sparsity"):
        members = cell.index.to_numpy()
        shared = own[members].all(axis=0)
        parts.append(as_rows(step[shared], table[members][:, shared].mean(axis=0), sparsity=sparsity, **common))
    return joined(parts)


def run_coordinates(runs: xr.Dataset) -> pd.DataFrame:
    """Tabulate sparsity, strategy and seed of every run."""
    return pd.DataFrame({name: runs[name].to_numpy() for name in (*CELL, "seed")})


def own_records(runs: xr.Dataset) -> npt.NDArray[np.bool_]:
    """Mark the records that a run has, (run, record): recordings of other intervals put further steps on the axis."""
    steps: npt.NDArray[np.float64] = runs["interval_steps"].transpose("run", "record").to_numpy()
    return np.isfinite(steps)


def as_rows(
    step: npt.NDArray[Any], values: npt.NDArray[np.float64], *, seed: int | None = None, **constant: Any
) -> pd.DataFrame:
    """Make rows of `COLUMNS` from a curve: from its first to its last finite value, with the gaps between."""
    finite = np.flatnonzero(np.isfinite(values))
    # Gaps inside a curve stay, so that no line is drawn across them.
    reached = slice(finite[0], finite[-1] + 1) if finite.size else slice(0)
    frame = pd.DataFrame({"step": step[reached], "value": values[reached]})
    # The same types in every part: joining them then never guesses.
    frame["seed"] = pd.array([seed] * len(frame), dtype="Int64")
    return frame.assign(**({"against": ""} | constant))[list(COLUMNS)]


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put the rows of several curves one after the other."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))

"""Studies whose endpoints are known, and the rows of their comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from burden_analysis import Comparison
from tests.burden_analysis.synthetic import grid

RANK = {"iterative": 1.0, "optimal": 2.0, "random": 3.0}


def perfect(run: dict[str, Any]) -> float:
    """Ordered strategies, rising with sparsity, a little different in each seed."""
    return RANK[run["strategy"]] ** (1 + 0.1 * run["seed"]) * (1 + run["sparsity"])


def study(runs: list[dict[str, Any]], level: Any = perfect) -> xr.Dataset:
    """A study in memory with one record and one tensor, whose gradient_mean_abs is `level(run)`."""
    values = np.array([level(r) for r in runs], float)
    described = ("status", "status_reason")
    return xr.Dataset(
        {
            "gradient_mean_abs": (("run", "record", "parameter"), values[:, None, None]),
            "active_weights": (("run", "record", "parameter"), np.ones((len(runs), 1, 1))),
            "interval_steps": (("run", "record"), np.ones((len(runs), 1))),
            "status": ("run", [r.get("status", "complete") for r in runs]),
            "status_reason": ("run", [r.get("status_reason", "") for r in runs]),
        },
        {k: ("run", [r[k] for r in runs]) for k in runs[0] if k not in described},
    )


def in_memory(values: np.ndarray) -> xr.Dataset:
    """A study whose gradient_mean_abs is 10 ** values[seed, sparsity, strategy]; the runs of NaN have failed."""
    seeds, sparsities, strategies = values.shape
    runs = grid(seeds, tuple(RANK)[:strategies], tuple(0.7 + 0.1 * j for j in range(sparsities)))
    flat = values.transpose(1, 2, 0).ravel()
    for run, value in zip(runs, flat, strict=True):
        if np.isnan(value):
            run |= {"status": "failed", "status_reason": "out of memory"}
    level = dict(zip([r["run_id"] for r in runs], 10.0**flat, strict=True))
    return study(runs, lambda r: level[r["run_id"]])


def rows(comparison: Comparison, family: str) -> Any:
    return comparison.table[comparison.table["family"] == family]

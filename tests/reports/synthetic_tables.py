"""Synthetic studies of compression: what `burden_analysis.open_study` returns, without a store or a training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

RECORDS = 6
LOST = "tables-lr0.001/iterative-s0.8-seed1-compression=0.4"


def build(
    rates: Sequence[float] = (0.001, 0.002),
    sparsities: Sequence[float] = (0.8, 0.95),
    ratios: Sequence[float] = (0.0, 0.4, 0.8),
    seeds: int = 3,
    gain: float = 0.01,
    planned: Sequence[str] = (),
    axes: Sequence[str] = ("learning_rate=0.001,0.002",),
    **config: Any,
) -> xr.Dataset:
    """One recording per learning rate; `planned` names runs (``recording/run_id``) that have not begun."""
    settings = {"data": "digits", "setup": "48x3", "epochs": 6, "resize": 0, "patch": 2, **config}
    rng = np.random.default_rng(0)
    embedding, heads = map(int, settings["setup"].split("x"))
    runs = [
        {
            "run_id": f"iterative-s{s:g}-seed{i}-compression={r:g}",
            "strategy": "iterative",
            "sparsity": s,
            "seed": i,
            "compression": r,
            "embed_dim": embedding,
            "num_heads": heads,
            "epochs": settings["epochs"],
            "base_learning_rate": rate,
            "recording": f"tables-lr{rate:g}",
        }
        for rate, s, r, i in product(rates, sparsities, ratios, range(seeds))
    ]
    waiting = np.array([f"{run['recording']}/{run['run_id']}" in planned for run in runs])
    ratio = np.array([run["compression"] for run in runs])
    speed = 100 * (1 + ratio) * np.array([1 + 2 * rates.index(run["base_learning_rate"]) for run in runs])
    level = 0.9 + gain * ratio + 0.005 * rng.normal(size=len(runs))
    rise = 1 - 0.5 * np.exp(-np.arange(1, RECORDS + 1))
    series = {
        "accuracy": np.where(np.arange(RECORDS) == 0, np.nan, level[:, None] * rise),
        "tokens_kept": np.broadcast_to(17 - np.floor(8 * ratio)[:, None], (len(runs), RECORDS)).astype(float),
        "merged_size_1": np.broadcast_to(16 - 2 * np.floor(8 * ratio)[:, None], (len(runs), RECORDS)).astype(float),
        "merged_size_2": np.broadcast_to(np.floor(8 * ratio)[:, None], (len(runs), RECORDS)).astype(float),
        "images_per_second": np.broadcast_to(speed[:, None], (len(runs), RECORDS)),
    }
    dataset = xr.Dataset(
        {
            **{
                name: (("run", "record"), np.where(waiting[:, None], np.nan, values)) for name, values in series.items()
            },
            "status": ("run", np.where(waiting, "planned", "complete").astype(object)),
            "status_reason": ("run", np.full(len(runs), "", object)),
            "records_written": ("run", np.where(waiting, 0, RECORDS)),
        },
        coords={
            **{name: ("run", np.array([run[name] for run in runs])) for name in runs[0]},
            "step": ("record", 12 * np.arange(1, RECORDS + 1)),
            "epoch": ("record", np.arange(1.0, RECORDS + 1)),
        },
    )
    dataset.attrs["recordings"] = {
        f"tables-lr{rate:g}": {
            "config": {**settings, "learning_rate": rate, "axes": list(axes)},
            "provenance": {"versions": {"torch": "2.8.0"}, "created": f"2025-11-22T1{k}:00:00Z"},
        }
        for k, rate in enumerate(rates)
    }
    return dataset

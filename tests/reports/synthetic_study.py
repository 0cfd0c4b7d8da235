"""Synthetic studies: what `burden_analysis.open_study` returns, without a store or a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from recorders.contract import SERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

PARAMETERS = {"0.weight": 64 * 300, "1.weight": 300 * 100, "2.weight": 100 * 10}
LEVEL = {"iterative": 6e-4, "optimal": 9e-4, "random": 1.1e-3, "dense": 4e-4}


def build(
    strategies: Sequence[str] = ("iterative", "optimal", "random"),
    sparsities: Sequence[float] = (0.7, 0.8, 0.9),
    seeds: int = 5,
    records: int = 60,
    statuses: dict[str, str] | None = None,
    absent: Sequence[str] = (),
) -> xr.Dataset:
    """Build a study; `statuses` and `absent` name runs as strategy-sparsity-seed."""
    runs = [
        (f"{strategy}-{sparsity:g}-{seed}", strategy, sparsity, seed)
        for strategy in strategies
        for sparsity in sparsities
        for seed in range(seeds)
    ]
    runs = [run for run in runs if run[0] not in absent]
    ids, strategy, sparsity, seed = (np.asarray(column) for column in zip(*runs, strict=True))
    status = np.asarray([(statuses or {}).get(name, "complete") for name in ids], dtype=object)
    done = np.asarray([records if s in ("complete", "diverged") else records // 2 for s in status])
    sizes = {"run": len(ids), "record": records, "parameter": len(PARAMETERS), "layer": 2, "update": 3}
    step = np.arange(1, records + 1) * 12
    data = {v.name: (v.dims, _values(v.name, v.dims, sizes, runs, step / step[-1])) for v in SERIES}
    for dims, values in data.values():
        if dims[:2] == ("run", "record"):
            for k, count in enumerate(done):
                values[k, count:] = np.nan
    dataset = xr.Dataset(
        {
            **data,
            "status": ("run", status),
            "status_reason": ("run", np.asarray(["" if s == "complete" else "loss is NaN" for s in status], object)),
            "records_written": ("run", done),
        },
        coords={
            "run_id": ("run", ids.astype(object)),
            "strategy": ("run", strategy.astype(object)),
            "sparsity": ("run", sparsity.astype(float)),
            "seed": ("run", seed.astype(int)),
            "recording": ("run", np.asarray(["fig2"] * len(ids), object)),
            "step": ("record", step),
            "epoch": ("record", step / 12),
            "parameter": list(PARAMETERS),
            "parameter_size": ("parameter", list(PARAMETERS.values())),
        },
    )
    dataset.attrs["recordings"] = {
        "fig2": {
            "config": {
                "study": "fig2",
                "data": {"name": "digits", "root": None},
                "lr": 1e-3,
                "seeds": list(range(seeds)),
            },
            "provenance": {
                "versions": {"python": "3.11.9", "torch": "2.8.0"},
                "git": {"commit": "f5fc1d9", "dirty": False},
                "hardware": {"cpu": "x86_64 <2 cores>"},
                "data": {"checksum": "sha256:0f3a"},
                "times": {"started": "2025-11-22T13:00:00Z", "finished": None},
            },
        }
    }
    return dataset


def _values(
    name: str, dims: tuple[str, ...], sizes: dict[str, int], runs: list[tuple[str, str, float, int]], t: np.ndarray
) -> np.ndarray:
    values = np.zeros([sizes[d] for d in dims])
    for k, (_, strategy, sparsity, seed) in enumerate(runs):
        noise = np.random.default_rng([seed, round(100 * sparsity), *strategy.encode(), *name.encode()])
        reached = sparsity * (1 - (1 - t) ** 3) if strategy == "iterative" else np.full_like(t, sparsity)
        walk = 1 + 0.04 * noise.standard_normal(t.size) + 0.05 * np.random.default_rng(seed).standard_normal()
        if name in ("target_sparsity", "actual_sparsity"):
            values[k] = reached
        elif name == "accuracy":
            values[k] = np.where(np.arange(t.size) % 6 == 5, 0.97 - 0.3 * np.exp(-6 * t) - 0.02 * sparsity, np.nan)
            values[k] += 0.002 * noise.standard_normal()
        elif name == "active_weights":
            values[k] = (1 - reached)[:, None] * np.asarray(list(PARAMETERS.values()))
        elif dims == ("run", "record", "parameter") and name.startswith("weight"):
            values[k] = ((6 + 2 * t + 3 * (1 - reached)) * (1 + 0.02 * (walk - 1)))[:, None] * np.asarray(
                [1.0, 1.2, 0.4]
            )
        elif "record" in dims and name != "interval_steps":
            curve = LEVEL.get(strategy, 5e-4) * (0.3 + 3 * np.exp(-5 * t) + sparsity * t) * walk
            values[k] = curve if values[k].ndim == 1 else curve[:, None]
        else:
            values[k] = 12
    return values

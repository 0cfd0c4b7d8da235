"""Synthetic probed studies: what the mask probe records, from outputs drawn at random."""

from __future__ import annotations

import numpy as np
import xarray as xr

from recorders.contract import ORDERS, PROBED, QUANTILES, TARGETS
from tests.reports.synthetic_study import build

TERMS = ("fit", "compensation", "covariance", "new_fit", "burden")


def build_probed(updates: int = 20, every: int = 1, moving: tuple[str, ...] = ("iterative",), **study) -> xr.Dataset:
    """A study whose runs of `moving` strategies have mask updates, each `every`-th of which was probed."""
    dataset = build(**study).drop_dims("update")
    labels = {"target": TARGETS, "order": ORDERS, "quantile": QUANTILES, "layer": ("0", "1")}
    dataset = dataset.assign_coords({dim: list(names) for dim, names in labels.items()})
    sizes = {**dataset.sizes, "update": updates}
    values = {v.name: np.full([sizes[d] for d in v.dims], np.nan) for v in PROBED}
    dims = {v.name: v.dims for v in PROBED} | dict.fromkeys(("pruned", "regrown"), ("run", "update", "parameter"))
    counts = np.full((sizes["run"], updates, sizes["parameter"]), np.nan)
    values |= {"pruned": counts.copy(), "regrown": counts.copy()}
    last = float(dataset["step"][-1])
    for run in range(sizes["run"]):
        strategy = str(dataset["strategy"][run].item())
        rng = np.random.default_rng([run, *strategy.encode()])
        _load(values, run, rng, float(dataset["sparsity"][run]), strategy in moving)
        if strategy in moving:
            values["pruned"][run], values["regrown"][run] = 5, 2
            for update in range(0, updates, every):
                _update(values, run, update, updates, rng, float(dataset["sparsity"][run]))
    steps = np.broadcast_to(np.linspace(last / updates, last, updates), (sizes["run"], updates))
    probed = {name: (dims[name], array) for name, array in values.items()}
    dataset = dataset.assign(probed | {"update_step": (("run", "update"), steps.copy())})
    dataset.attrs["recordings"]["fig2"]["config"] |= {"probe_every": every, "probe_size": 1024}
    dataset.attrs["recordings"]["fig2"]["provenance"]["data"] = {"name": "digits", "probed_images": 1024}
    return dataset.assign(updates_written=("run", np.full(sizes["run"], updates)))


def split(target: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The terms, from their definitions."""
    fit, compensation, new_fit = (float((d**2).sum(1).mean()) for d in (target - old, old - new, target - new))
    covariance = 2 * float(((target - old) * (old - new)).sum(1).mean())
    return np.array([fit, compensation, covariance, new_fit, compensation / (fit + compensation)])


def _update(
    values: dict[str, np.ndarray], run: int, update: int, updates: int, rng: np.random.Generator, sparsity: float
) -> None:
    labels = np.eye(10)[rng.integers(0, 10, 16)]
    t = (update + 1) / updates
    size = sparsity * np.sin(np.pi * t) * 0.05 + 1e-4
    old = labels * (1 - 0.9 * np.exp(-3 * t)) + 0.02 * rng.standard_normal(labels.shape)
    new = old + size * (rng.standard_normal(labels.shape) - 2 * np.cos(np.pi * t) * (old - labels))
    for k, target in enumerate((labels, old + 0.01 * rng.standard_normal(labels.shape))):
        for name, value in zip(TERMS, split(target, old, new), strict=True):
            values[name][run, update, k] = value
        if update + 1 < updates:
            for name, value in zip(
                TERMS, split(target, old + 0.1 * (labels - old), new * 0.9 + labels * 0.1), strict=True
            ):
                values[f"relaxed_{name}"][run, update, k] = value
    for name, value in (("lost", 2.0), ("regained", 1.0), ("recovered", 0.4)):
        values[name][run, update] = value * size
    values["overlap"][run, update] = t


def _load(values: dict[str, np.ndarray], run: int, rng: np.random.Generator, sparsity: float, moves: bool) -> None:
    updates = values["load_inputs"].shape[1]
    t = np.linspace(0, 1, updates)
    kept = 1 - sparsity * (1 - (1 - t) ** 3) if moves else np.full(updates, 1 - sparsity)
    spread = np.quantile(rng.normal(1, 0.15, 300), QUANTILES)
    for name, scale in (("load_inputs", 64), ("load_weight_norm", 0.7), ("load_activation", 0.3)):
        values[name][run] = scale * kept[:, None, None] * spread * np.array([1.0, 2.0])[:, None]
    values["dead_units"][run] = np.round(10 * sparsity * t)[:, None]

"""Synthetic studies: stores that keep the contract, written with zarr alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from recorders.contract import SCHEMA_VERSION, SERIES

PARAMETERS = ("fc1.weight", "fc2.weight", "fc10.weight")
SIZES = (200, 30, 10)


def write_root(store: Path, **attrs: Any) -> zarr.Group:
    return zarr.open_group(store, mode="a", zarr_format=3, attributes={"burden_schema": SCHEMA_VERSION, **attrs})


def put(group: zarr.Group, name: str, values: Any, dims: tuple[str, ...]) -> None:
    values = np.asarray(values)
    text = values.dtype.kind in "UO"
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=str if text else values.dtype,
        chunks=tuple(min(n, 6 if d == "run" else 4) for n, d in zip(values.shape, dims, strict=True)),
        dimension_names=dims,
        fill_value="" if text else (np.nan if values.dtype.kind == "f" else 0),
        attributes={"long_name": name, "units": "1"},
    )
    array[...] = values.astype(object) if text else values


def write_recording(
    store: Path,
    runs: list[dict[str, Any]],
    *,
    name: str = "fig2",
    steps: tuple[int, ...] = (10, 20, 30, 40, 50),
    parameters: tuple[str, ...] = PARAMETERS,
    values: dict[str, np.ndarray] | None = None,
    updates: tuple[int, ...] = (8, 16, 24, 32, 48),
    seed: int = 0,
    per_epoch: int = 10,
    logged: tuple[str, ...] = (),
) -> dict[str, np.ndarray]:
    """Write runs (run_id, strategy, sparsity, seed, optional status, written, settings); returns what was written."""
    root = zarr.open_group(store, mode="r+", zarr_format=3) if store.exists() else write_root(store)
    group = root.create_group(name)
    settings = [k for k in runs[0] if k not in ("status", "status_reason", "written", "updates")]
    for key in settings:
        put(group, key, [r[key] for r in runs], ("run",))
    put(group, "status", [r.get("status", "complete") for r in runs], ("run",))
    put(group, "status_reason", [r.get("status_reason", "") for r in runs], ("run",))
    put(group, "records_written", [r.get("written", len(steps)) for r in runs], ("run",))
    put(group, "updates_written", [r.get("updates", len(updates)) for r in runs], ("run",))
    put(group, "step", np.array(steps), ("record",))
    put(group, "epoch", np.array(steps) / per_epoch, ("record",))
    put(group, "parameter", list(parameters), ("parameter",))
    put(group, "parameter_layer", [p.split(".")[0] for p in parameters], ("parameter",))
    put(group, "parameter_size", [SIZES[PARAMETERS.index(p)] for p in parameters], ("parameter",))
    put(group, "layer", ["fc1", "fc2"], ("layer",))
    sizes = {"run": len(runs), "record": len(steps), "parameter": len(parameters), "layer": 2, "update": len(updates)}
    rng = np.random.default_rng(seed)
    written = {v.name: rng.lognormal(size=[sizes[d] for d in v.dims]).astype(v.dtype) for v in SERIES}
    written["active_weights"][:] = [SIZES[PARAMETERS.index(p)] // 2 for p in parameters]
    written["interval_steps"][:] = np.diff((0, *steps))
    written["update_step"][:] = updates
    written["accuracy"][:, ::2] = np.nan
    written.update(values or {})
    for v in SERIES:
        put(group, v.name, written[v.name], v.dims)
    for key in logged:
        put(group, key, written[key], ("run", "record"))
    group.create_group("masks").create_array("fc1.weight", shape=(len(runs), 4), dtype=bool)
    group.attrs.update(
        {
            "burden_schema": SCHEMA_VERSION,
            "coordinates": " ".join([*settings, "step", "epoch", "parameter_layer", "parameter_size"]),
            "config": json.dumps({"study": name}),
            "provenance": json.dumps({"git": "abc"}),
        }
    )
    return written


def grid(
    seeds: int = 5,
    strategies: tuple[str, ...] = ("iterative", "optimal", "random"),
    sparsities: tuple[float, ...] = (0.7, 0.8, 0.9),
) -> list[dict[str, Any]]:
    return [
        {"run_id": f"{s}-{p:g}-{i}", "strategy": s, "sparsity": p, "seed": i}
        for p in sparsities
        for s in strategies
        for i in range(seeds)
    ]


def levels(runs: list[dict[str, Any]], level: Any, records: int = 5, parameters: int = 3) -> dict[str, np.ndarray]:
    """A constant gradient_mean_abs per run, so that its endpoint is known: `level(run)`."""
    constant = np.array([level(r) for r in runs], np.float32)
    return {"gradient_mean_abs": np.broadcast_to(constant[:, None, None], (len(runs), records, parameters)).copy()}

"""The runs that a store holds already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from recorders.contract import InputError, Status, flat_config
from recorders.settings.axes import told_apart_by
from recorders.settings.runs import Run
from recorders.settings.settings import FREE, Settings
from recorders.store.root import recording_names
from recorders.study.assignment import Place


def kept_runs(store: Path, asked: dict[str, Any], checksum: str) -> dict[Run, tuple[Place, Status]]:
    """Find the runs that the store holds, after checking that they are comparable with the ones asked for."""
    kept: dict[Run, tuple[Place, Status]] = {}
    for name in recording_names(store):
        group = zarr.open_group(store / name, mode="r", use_consolidated=False)
        config = _config(group)
        if "run" in config:  # somebody's own loop
            continue
        if not _is_same_block(store, name, config, flat_config(asked)):
            continue
        there = json.loads(str(group.attrs["provenance"])).get("data", {}).get("sha256")
        if there != checksum:
            raise InputError(f"recording {name!r} of {store} was made from other images: choose another --out")
        columns = [_column(group, key) for key in ("strategy", "sparsity", "seed", "allocation", "status")]
        merged = _column(group, "compression") if "compression" in group else [0.0] * len(columns[0])
        for row, (strategy, sparsity, seed, allocation, status) in enumerate(zip(*columns, strict=True)):
            run = Run(str(strategy), float(sparsity), int(seed), str(allocation), float(merged[row]))
            kept[run] = (Place(name, row), Status(str(status)))
    return kept


def axes_there(store: Path) -> set[str]:
    """Find the settings that tell the recordings of a store apart."""
    found: set[str] = set()
    for name in recording_names(store):
        config = _config(zarr.open_group(store / name, mode="r", use_consolidated=False))
        if "run" not in config:
            found |= told_apart_by(config)
    return found


def _config(group: zarr.Group) -> dict[str, Any]:
    return flat_config(json.loads(str(group.attrs["config"])))


def _column(group: zarr.Group, name: str) -> list[Any]:
    return list(np.asarray(group[name][:]))  # type: ignore[index]


def _is_same_block(store: Path, name: str, there: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether a recording has the settings asked for, or other values on the axes of the study; else an error."""
    there = flat_config(Settings().as_dict()) | there  # a store from before a setting existed has its default
    differing = sorted(k for k in (there | asked).keys() - set(FREE) if there.get(k) != asked.get(k))
    known, wanted = told_apart_by(there), told_apart_by(asked)
    if missing := sorted(wanted - known):
        raise InputError(
            f"recording {name!r} of {store} does not say its {', '.join(missing)}: choose another --out for these axes"
        )
    if set(differing) - known:
        listed = "; ".join(f"{k} {there.get(k)!r} there, {asked.get(k)!r} asked" for k in differing)
        raise InputError(f"{store} holds recording {name!r} with other settings ({listed}): choose another --out")
    return not differing

"""Every name that a recording uses for itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from recorders.contract import (
    COMMITS,
    ORDERS,
    PARTS,
    PROBED,
    SERIES,
    TARGETS,
    TERMS,
    UPDATE_NORM,
    Variable,
    interval_mean,
    variable,
)

MASKS = "masks"
PARAMETER_COORDINATES = ("parameter_layer", "parameter_size")
MASK_SOURCE, ACTIVATION_SOURCE, REMARKS = "mask_source", "activation_source", "remarks"
_STATE = ("status", "status_reason", "records_written", "updates_written", "initial_weights")
_LONGEST = 200  # bytes; file systems take 255

# What the analysis makes of what is stored, under names of its own.
_DERIVED = {
    *(f"{name}{mean}" for name in ("gradient_rms", "weight_rms", "update_ratio") for mean in ("", "_mean")),
    "relaxation",
    *(
        f"{name}_{of}"
        for name in (*TERMS, *(f"relaxed_{term}" for term in TERMS), "relaxation", *PARTS)
        for of in (*TARGETS, *ORDERS)
    ),
}

STORED_NAMES = {
    *_DERIVED,
    *(series.name for series in (*SERIES, UPDATE_NORM, interval_mean(UPDATE_NORM), *PROBED)),
    *("run", "record", "update", "parameter", "layer", "target", "order", "quantile", "run_id", "step", "epoch", MASKS),
    *PARAMETER_COORDINATES,
    *_STATE,
    *(MASK_SOURCE, ACTIVATION_SOURCE, REMARKS, COMMITS),
}


def mask_array(parameter: str) -> str:
    """Name the array that holds a tensor's final masks: its own name, as far as a file can have it."""
    name = quote(parameter, safe=" !#$&'()+,;=@[]{}~^`")
    name = name.replace("_", "%5F", 1) if name.startswith("__") else name.replace("zarr.json", "zarr%2Ejson")
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 17]}~{hashlib.sha256(parameter.encode()).hexdigest()[:16]}"


def user_scalar(name: str) -> Variable:
    """Contract of a scalar that a training loop logs: the known variable, else a plain series over records."""
    return variable(name) or Variable(name, ("run", "record"), f"{name}, as logged by the training loop")


def reserved_names(run: Mapping[str, Any]) -> set[str]:
    """Names that a training loop cannot log: dimensions, coordinates, run states and what is measured."""
    return (STORED_NAMES | set(run)) - {"loss", "accuracy", "target_sparsity"}

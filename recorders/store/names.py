"""Every name that a recording uses for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recorders.contract import PROBED, SERIES, Variable, variable

MASKS = "masks"
PARAMETER_COORDINATES = ("parameter_layer", "parameter_size")
_STATE = ("status", "status_reason", "records_written", "updates_written", "initial_weights")

STORED_NAMES = {
    *(series.name for series in (*SERIES, *PROBED)),
    *("run", "record", "update", "parameter", "layer", "target", "order", "quantile", "run_id", "step", "epoch", MASKS),
    *PARAMETER_COORDINATES,
    *_STATE,
}


def user_scalar(name: str) -> Variable:
    """Contract of a scalar that a training loop logs: the known variable, else a plain series over records."""
    return variable(name) or Variable(name, ("run", "record"), f"{name}, as logged by the training loop")


def reserved_names(run: Mapping[str, Any]) -> set[str]:
    """Names that a training loop cannot log: dimensions, coordinates, run states and what is measured."""
    return (STORED_NAMES | set(run)) - {"loss", "accuracy", "target_sparsity"}

"""What a user says about a run of their own loop, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from recorders.contract import InputError
from recorders.settings.naming import run_name
from recorders.store.names import STORED_NAMES

REQUIRED = ("strategy", "sparsity", "seed")


def described_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Check the description of a run.

    Parameters
    ----------
    run : mapping
        ``strategy``, ``sparsity`` and ``seed``, and any further setting that is text or a number.

    Returns
    -------
    dict
        With plain Python values.

    Raises
    ------
    InputError
        Something is missing, out of range, of another type, or has the name of a stored variable.
    """
    missing = [key for key in REQUIRED if key not in run]
    if missing:
        raise InputError(f"run lacks {', '.join(missing)}: describe it as {{'strategy': …, 'sparsity': …, 'seed': …}}")
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in run.items()}
    for key, value in plain.items():
        if key in STORED_NAMES:
            raise InputError(f"run setting {key!r} is the name of a recorded variable: call it 'run_{key}'")
        if not key.isidentifier():
            raise InputError(f"run setting {key!r} must be named with letters, digits and underscores")
        if not isinstance(value, (str, int, float)):
            raise InputError(f"run setting {key!r} must be text or a number, got {type(value).__name__}")
    try:
        checked = plain | {
            "strategy": str(plain["strategy"]),
            "sparsity": float(plain["sparsity"]),
            "seed": int(plain["seed"]),
        }
    except ValueError as error:
        raise InputError(f"run needs a number as sparsity and seed: {error}") from error
    if not 0 <= checked["sparsity"] <= 1:
        raise InputError(f"sparsity {checked['sparsity']:g} is outside [0, 1]: give the share of weights removed")
    return checked


def recording_name(run: Mapping[str, Any]) -> str:
    """Name the recording of a run."""
    extra = {key: value for key, value in run.items() if key not in REQUIRED}
    return run_name(run["strategy"], run["sparsity"], run["seed"], **extra)


def described_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Take the optimizer's name and its plain default settings."""
    plain = {k: v for k, v in optimizer.defaults.items() if isinstance(v, (bool, int, float, str, tuple))}
    return {"name": type(optimizer).__name__, **plain}


def check_optimizer(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
    """Refuse an optimizer that does not step every recorded weight: its gradients would be stale or cleared.

    Raises
    ------
    InputError
        Names a weight that it does not hold.
    """
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in parameters.items():
        if id(parameter) not in held:
            raise InputError(
                f"optimizer does not hold the model's weight {name!r}: make it from model.parameters(), or pass the "
                "part of the model that it steps"
            )

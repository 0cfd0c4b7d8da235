"""What a user says about a run of their own loop, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recorders.contract import InputError, Variable, magnitudes, variable
from recorders.settings.naming import run_name
from recorders.store.root import recording_with_another, recording_with_scalar, recording_with_setting
from recorders.store.stored_names import STORED_NAMES

REQUIRED = ("strategy", "sparsity", "seed")


def described_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Check the description of a run."""
    missing = [key for key in REQUIRED if key not in run]
    if missing:
        raise InputError(f"run lacks {', '.join(missing)}: describe it as {{'strategy': …, 'sparsity': …, 'seed': …}}")
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in run.items()}
    for key, value in plain.items():
        if key in STORED_NAMES or re.fullmatch(r"learning_rate_\d+", key):
            raise InputError(f"run setting {key!r} is the name of a recorded variable: call it 'run_{key}'")
        if not key.isidentifier():
            raise InputError(f"run setting {key!r} must be named with letters, digits and underscores")
        if not isinstance(value, (str, int, float)):
            raise InputError(f"run setting {key!r} must be text or a number, got {type(value).__name__}")
    try:
        strategy, sparsity, seed = str(plain["strategy"]), float(plain["sparsity"]), int(plain["seed"])
    except (ValueError, OverflowError) as error:
        raise InputError(f"run needs a number as sparsity and seed: {error}") from error
    if seed != float(plain["seed"]) or not -(2**63) <= seed < 2**63:
        raise InputError(f"seed {plain['seed']!r} is no whole number of 64 bits: store another one, or its remainder")
    checked = plain | {"strategy": strategy, "sparsity": sparsity, "seed": seed}
    if not 0 <= checked["sparsity"] <= 1:
        raise InputError(f"sparsity {checked['sparsity']:g} is outside [0, 1]: give the share of weights removed")
    return checked


def recording_name(run: Mapping[str, Any]) -> str:
    """Name the recording of a run."""
    extra = {key: value for key, value in run.items() if key not in REQUIRED}
    return run_name(run["strategy"], run["sparsity"], run["seed"], **extra)


def sparsity_remark(declared: float, active: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    """Tell that the final masks are not as sparse as declared, by more than rounding; nothing where they are."""
    rescaling = magnitudes(sizes)
    total = sum(size for name, size in sizes.items() if name not in rescaling)
    if not total:
        return ""
    measured = 1 - sum(n for name, n in active.items() if name not in rescaling) / total
    digits = max(2, len(repr(declared).partition(".")[2])) if "e" not in repr(declared) else 2
    allowed = max(0.5 * 10.0**-digits, len(sizes) / total)  # digits of what was declared; one weight a tensor
    if abs(measured - declared) <= allowed:
        return ""
    found = "" if measured else ": no mask was found; pass masks=, or masks='zeros' where pruned weights are set to 0"
    return f"declared sparsity {declared:g}, measured {measured:.4g}{found}"


def described_optimizers(optimizers: Sequence[torch.optim.Optimizer]) -> Any:
    """Take each optimizer's name and its plain default settings; of one alone without a list."""
    described = []
    for optimizer in optimizers:
        plain = {k: v for k, v in optimizer.defaults.items() if isinstance(v, (bool, int, float, str, tuple))}
        described.append({"name": type(optimizer).__name__, **plain})
    return described[0] if len(described) == 1 else described


def check_scalar(name: str, value: Any) -> None:
    """Refuse to log what is not one number under a plain name."""
    if not name.isidentifier():
        raise InputError(f"cannot log {name!r}: name it with letters, digits and underscores")
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        raise InputError(f"cannot log {name!r} of shape {tuple(value.shape)}: log one number")
    if isinstance(value, torch.Tensor) and not value.is_complex():
        return
    if not isinstance(value, (int, float, np.generic, np.ndarray)) or np.size(value) != 1 or np.iscomplexobj(value):
        raise InputError(f"cannot log {name!r}: {value!r} is no number; log one number, or leave it out")


def check_names(store: Path, run: Mapping[str, Any], indicators: Iterable[Variable], *, but: str) -> None:
    """Refuse settings and indicators that mean something else in another run: the store would no longer open."""
    for name in run:
        if name not in REQUIRED and (other := recording_with_scalar(store, name)):
            raise InputError(
                f"run setting {name!r} is the name of what the run {other!r} in {store} logs: call it 'run_{name}'"
            )
    for indicator in indicators:
        if other := recording_with_another(store, indicator.name, indicator.combine, but=but):
            raise InputError(
                f"indicator {indicator.name!r} is something else in the run {other!r} of {store}: rename it, "
                "or combine it alike"
            )


def check_scalar_name(store: Path, name: str, *, but: str) -> None:
    """Refuse to log under a name that is a setting or an indicator of another run."""
    if variable(name) is None and (other := recording_with_setting(store, name)):
        raise InputError(f"cannot log {name!r}: it is a setting of the run {other!r} in {store}; choose another name")
    if other := recording_with_another(store, name, "", but=but):
        raise InputError(
            f"cannot log {name!r}: it is an indicator of the run {other!r} in {store}; choose another name"
        )

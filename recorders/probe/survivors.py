"""What the surviving weights of each hidden unit carry: the survivors' load."""

from __future__ import annotations

import torch

from recorders.contract import QUANTILES


def load_quantiles(values: torch.Tensor) -> torch.Tensor:
    """Quantiles over units, at `recorders.contract.QUANTILES`; float64, from shape (..., unit) to (..., quantile)."""
    levels = torch.tensor(QUANTILES, dtype=torch.float64, device=values.device)
    return torch.quantile(values, levels, dim=-1).movedim(0, -1)


def unit_inputs(mask: torch.Tensor) -> torch.Tensor:
    """Count each unit's surviving inputs; `mask` of shape (unit, ...)."""
    return mask.flatten(1).sum(1)


def unit_weight_norms(weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """L2 norm of each unit's surviving input weights, shape (unit,)."""
    norms: torch.Tensor = torch.linalg.vector_norm((weight * mask).flatten(1), dim=1)
    return norms


def unit_activations(output: torch.Tensor, units: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean absolute activation of each unit, and whether it is 0 on the whole batch.

    Parameters
    ----------
    output : Tensor, shape (sample, unit, ...) or (sample, ..., unit)
        A layer's output: convolutions have their units second, linear layers last.
    units : int
        How many units there are.

    Returns
    -------
    mean, dead : Tensor, shape (unit,)
    """
    by_unit = output.movedim(1 if output.ndim == 4 and output.shape[1] == units else -1, 0).flatten(1).abs()
    return by_unit.mean(1), by_unit.amax(1) == 0

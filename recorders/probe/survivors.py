"""What the surviving weights of each hidden unit carry: the survivors' load."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

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


def unit_axis(layer: nn.Module, weight: torch.Tensor | None, output: Any) -> int | str:
    """Find the axis of a layer's output that its units lie along.

    Parameters
    ----------
    layer : nn.Module
        The layer.
    weight : Tensor, shape (unit, ...), or None
        The tensor of that name, where it has one.
    output : Any
        What it, or the activation function after it, returned.

    Returns
    -------
    int or str
        The reason, where rows of the weight are no units of the output.
    """
    kind = type(layer).__name__
    if weight is None:
        made = "parametrizations" in layer._modules
        return "its weight is parametrized" if made else f"{kind} has no one weight whose rows are its units"
    if isinstance(layer, nn.modules.conv._ConvTransposeNd | nn.Embedding | nn.EmbeddingBag) or _is_of_gpt2(layer):
        return f"the rows of its weight are no units of {kind}"
    if not isinstance(output, torch.Tensor):
        return "it was not called" if output is None else f"its output is a {type(output).__name__}"
    if isinstance(layer, nn.modules.conv._ConvNd):
        axis = 1 - weight.ndim
    elif isinstance(layer, nn.Linear | nn.Bilinear):
        axis = -1
    else:  # a module of one's own
        fitting = [axis for axis in range(1, output.ndim) if output.shape[axis] == len(weight)]
        if len(fitting) > 1:
            return f"which axis of its output of shape {tuple(output.shape)} has its {len(weight)} units cannot be told"
        axis = fitting[0] if fitting else -1
    if output.ndim < -axis or output.shape[axis] != len(weight):
        return f"its output of shape {tuple(output.shape)} has no {len(weight)} units where a {kind} has them"
    return axis


def _is_of_gpt2(layer: nn.Module) -> bool:
    """Whether it is the linear layer of transformers that has columns for units; without importing that library."""
    return any((k.__module__, k.__name__) == ("transformers.pytorch_utils", "Conv1D") for k in type(layer).__mro__)


def unit_activations(output: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean absolute activation of each unit along an axis, and whether it is 0 on the whole batch."""
    by_unit = output.movedim(axis, 0).flatten(1).abs()
    return by_unit.mean(1), by_unit.amax(1) == 0

"""What some of a layer's weights give at a given input, for layers whose output is linear in them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from recorders.pieces import product

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def contribution(
    owner: nn.Module, name: str, arguments: tuple[Any, ...], weight: torch.Tensor, kept: torch.Tensor
) -> torch.Tensor | None:
    """Pre-activations that come from the kept weights alone, without the bias.

    Parameters
    ----------
    owner : nn.Module
        The layer.
    name : str
        Qualified name of the weight.
    arguments : tuple
        What the layer was called with.
    weight : Tensor of float64, shape (unit, ...)
        All weights.
    kept : Tensor of bool, shape (unit, ...)
        Those that count.

    Returns
    -------
    Tensor of float64, shape (position, unit), or None
        Positions are samples × tokens, or × pixels of a convolution's output. None for weights whose output is not
        known to be linear in them: attention's separate or output projections, transposed convolutions, own modules.
    """
    if isinstance(owner, nn.Linear):
        return product(arguments[0].flatten(0, -2), weight, kept)
    if isinstance(owner, _CONVOLUTIONS):
        unbiased = {} if owner.bias is None else {"bias": weight.new_zeros(len(weight))}
        output: torch.Tensor = functional_call(owner, {"weight": weight * kept} | unbiased, arguments)
        return output.movedim(-weight.ndim + 1, -1).flatten(0, -2)
    if isinstance(owner, nn.MultiheadAttention) and name.endswith("in_proj_weight") and _of_itself(arguments):
        return product(arguments[0].flatten(0, -2), weight, kept)
    return None


def _of_itself(arguments: tuple[Any, ...]) -> bool:
    """Whether query, key and value are the same tokens, so that all rows of the projection read one input."""
    return len(arguments) > 2 and arguments[0] is arguments[1] is arguments[2]

"""Whether a layer that is derived from a known one still is what it is derived from."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from recorders.probe.pieces import contribution

_KNOWN = [kind.forward for kind in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)]


def has_own_forward(layer: nn.Module) -> bool:
    """Whether a linear layer or convolution, as its class has it, computes something else than those of torch."""
    return type(layer).forward not in _KNOWN


def multiplies(layer: nn.Module, inputs: torch.Tensor, arguments: tuple[Any, ...]) -> bool:
    """Try whether a layer puts out the product with its weight, plus what does not depend on that weight.

    Parameters
    ----------
    layer : nn.Module
        A linear layer or a convolution, with a weight in float64.
    inputs : Tensor
        What the weight multiplies if it does.
    arguments : tuple
        What the layer was called with.

    Returns
    -------
    bool
        As found with weights drawn at random, half of them and all of them.
    """
    shape, draw = layer.get_parameter("weight").shape, torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=draw, dtype=torch.float64).to(inputs.device)
    half = (torch.rand(shape, generator=draw) > 0.5).to(inputs.device)
    without = functional_call(layer, {"weight": torch.zeros_like(weight)}, arguments)
    if not isinstance(without, torch.Tensor):
        return False
    part, rest = (contribution(layer, inputs, weight, kept) for kept in (half, ~half))
    for kept, expected in ((half, part), (torch.ones_like(half), part + rest)):
        output = functional_call(layer, {"weight": weight * kept}, arguments) - without
        by_position = output.movedim(1 - weight.ndim, -1).flatten(0, -2)
        if by_position.shape != expected.shape or not torch.allclose(by_position, expected, rtol=1e-6, atol=1e-9):
            return False
    return True

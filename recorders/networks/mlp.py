"""The multilayer perceptron of the Fig. 2 study."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn


def mlp(image_shape: Sequence[int], classes: int, hidden: Sequence[int] = (300, 100)) -> nn.Sequential:
    """Build an MLP with ReLU between layers (LeNet-300-100 by default; LeCun et al. 1998)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    width = prod(image_shape)
    for i, units in enumerate(hidden, start=1):
        layers[f"hidden{i}"] = nn.Linear(width, units)
        layers[f"relu{i}"] = nn.ReLU()
        width = units
    layers["output"] = nn.Linear(width, classes)
    return nn.Sequential(layers)

"""The multilayer perceptron of the Fig. 2 study."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn


def mlp(image_shape: Sequence[int], classes: int, hidden: Sequence[int] = (300, 100)) -> nn.Sequential:
    """Build an MLP with ReLU between layers (LeNet-300-100 by default; LeCun et al. 1998).

    Parameters
    ----------
    image_shape : sequence of int
        Shape of one image, (channels, height, width).
    classes : int
        Number of outputs.
    hidden : sequence of int
        Units of each hidden layer.

    Returns
    -------
    nn.Sequential
        From (batch, channels, height, width) to (batch, classes), with children ``flatten``, ``hidden1``, ``relu1``,
        …, ``output``.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    width = prod(image_shape)
    for i, units in enumerate(hidden, start=1):
        layers[f"hidden{i}"] = nn.Linear(width, units)
        layers[f"relu{i}"] = nn.ReLU()
        width = units
    layers["output"] = nn.Linear(width, classes)
    return nn.Sequential(layers)

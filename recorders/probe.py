"""Measures the burden of mask updates on a fixed held-out batch (science.md §6)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import one_hot

from recorders.contract import InputError
from recorders.frozen import FrozenNetwork, Weights
from recorders.snapshot import Snapshot


class MaskProbe:
    """Evaluates a network under the masks around an update, on a fixed batch.

    Everything happens on a float64 copy of the network in evaluation mode: the training network, its mode and every
    random generator are left alone.

    Parameters
    ----------
    model : nn.Module
        The network; copied.
    images : Tensor, shape (sample, ...)
        A fixed batch that is not trained on.
    labels : Tensor of int64, shape (sample,)
        Its classes.

    Raises
    ------
    InputError
        The network is already under `torch.nn.utils.prune`, which hides its weights.
    """

    def __init__(self, model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
        if any(name.endswith("_orig") for name, _ in model.named_parameters()):
            raise InputError("the network is under torch.nn.utils.prune: make the probe before the first pruning")
        self._network = FrozenNetwork(model, images)
        self._labels = one_hot(labels, self._network.classes).double()

    def at(self, weights: Weights) -> Snapshot:
        """Take the weights of one step: what is asked of a snapshot shares its work."""
        return Snapshot(self._network, self._labels, weights)

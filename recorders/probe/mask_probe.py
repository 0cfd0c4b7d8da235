"""Measures the burden of mask updates on a fixed held-out batch (docs/burden.md)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import one_hot

from recorders.contract import InputError
from recorders.probe.frozen import FrozenNetwork, Weights
from recorders.probe.snapshot import Snapshot


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
    labels : Tensor of integers, shape (sample,)
        Its classes, from 0.

    Raises
    ------
    InputError
        The network is already under `torch.nn.utils.prune`, which hides its weights; or the labels are not one class
        per image.
    """

    def __init__(self, model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
        if any(name.endswith("_orig") for name, _ in model.named_parameters()):
            raise InputError("the network is under torch.nn.utils.prune: make the probe before the first pruning")
        _check_labels(images, labels)
        self._network = FrozenNetwork(model, images)
        _check_classes(labels, self._network.classes)
        self._labels = one_hot(labels.long(), self._network.classes).double()

    def at(self, weights: Weights) -> Snapshot:
        """Take the weights of one step: what is asked of a snapshot shares its work."""
        return Snapshot(self._network, self._labels, weights)


def _check_labels(images: torch.Tensor, labels: torch.Tensor) -> None:
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(
            f"the probe's labels have shape {tuple(labels.shape)} and type {labels.dtype}: give one class index per "
            "image, integers of shape (sample,)"
        )
    if not len(labels) or len(labels) != len(images):
        raise InputError(
            f"the probe was given {len(images)} images and {len(labels)} labels: give one label per image, and at "
            "least one"
        )


def _check_classes(labels: torch.Tensor, classes: int) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"the probe's labels go from {low} to {high}, but the network has {classes} outputs: give classes from 0 "
            f"to {classes - 1}"
        )

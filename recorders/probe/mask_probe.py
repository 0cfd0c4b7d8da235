"""Measures the burden of mask updates on a fixed held-out batch (docs/burden.md)."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.nn.functional import one_hot

from recorders.contract import InputError
from recorders.probe.frozen import FrozenNetwork, Weights
from recorders.probe.snapshot import Snapshot

_NAMED = 4  # that a warning names; the others are counted


class MaskProbe:
    """Evaluates a network under the masks around an update, on a fixed batch.

    Everything happens on a float64 copy of the network in evaluation mode: the training network, its mode and every
    random generator are left alone.

    Parameters
    ----------
    model : nn.Module
        The network; copied.
    images : Tensor, shape (sample, ...)
        A fixed batch that is not trained on; token ids, as integers, for a network that looks them up.
    labels : Tensor of integers, shape (sample,)
        Its classes, from 0.

    Attributes
    ----------
    missing : dict of str to dict of str to str
        What is NaN, with the reason: ``layer`` by prunable weight, ``load`` by hidden layer.

    Warns
    -----
    UserWarning
        Of what is NaN.

    Raises
    ------
    InputError
        The network is already under `torch.nn.utils.prune`, which hides its weights; it cannot run on the batch, or
        returns no logits (alone, or under that name in a mapping, an object or a tuple); or the labels are not one
        class per image.
    """

    def __init__(self, model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
        if any(name.endswith("_orig") for name, _ in model.named_parameters()):
            raise InputError("the network is under torch.nn.utils.prune: make the probe before the first pruning")
        if not isinstance(images, torch.Tensor) or not images.ndim:
            raise InputError(f"the probe's images are a {type(images).__name__}: give one tensor, one sample a row")
        _check_labels(images, labels)
        self._network = FrozenNetwork(model, images)
        _check_classes(labels, self._network.classes)
        self._labels = one_hot(labels.long(), self._network.classes).double()
        self.missing = {"layer": self._network.no_split, "load": self._network.no_load}
        for what, gaps in self.missing.items():
            for reason in dict.fromkeys(gaps.values()):
                names = [repr(name) for name, why in gaps.items() if why == reason]
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                warnings.warn(f"{what}_* of {', '.join(names[:_NAMED])}{more} is NaN: {reason}", stacklevel=2)

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

"""What images and labels must be for a network to learn from them, said before anything is trained."""

from __future__ import annotations

import warnings

import torch

from recorders.contract import InputError


def check_part(name: str, part: str, images: torch.Tensor, labels: torch.Tensor, classes: int) -> None:
    """Check one part of a data set.

    Parameters
    ----------
    name, part : str
        What the messages call it: ``mnist``, ``training``.
    images : Tensor
        Its images.
    labels : Tensor
        Their labels.
    classes : int
        How many there are.

    Raises
    ------
    InputError
        No images, another shape, as many labels as there are not images, a label that is no class.
    """
    what = f"{part} images of {name}"
    if images.ndim != 4 or not images.numel():
        shape = tuple(images.shape)
        raise InputError(f"{what} must be at least one, of shape (image, channel, height, width), got {shape}")
    if labels.ndim != 1 or labels.dtype != torch.int64:
        kind = f"{str(labels.dtype).removeprefix('torch.')} of shape {tuple(labels.shape)}"
        raise InputError(f"labels of the {what} must be int64, one for each image, got {kind}")
    if len(labels) != len(images):
        raise InputError(f"{name} has {len(images)} {part} images, but {len(labels)} labels for them: they must agree")
    low, high = (int(end) for end in labels.aminmax())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise InputError(f"label {wrong} of the {what} is none of its {classes} classes, 0 to {classes - 1}")


def check_informative(name: str, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Refuse training images that there is nothing to learn from; say which channels tell nothing.

    Parameters
    ----------
    name : str
        Of the data set.
    images, labels : Tensor
        As loaded, checked by `check_part`.

    Raises
    ------
    InputError
        All images are of one class, or all their pixels of one value.
    """
    if len(labels.unique()) == 1:
        raise InputError(f"all training images of {name} have the label {int(labels[0])}: give images of two classes")
    constant = constant_channels(images).flatten().tolist()
    if all(constant):
        raise InputError(f"all pixels of all training images of {name} have one value: there is nothing to learn from")
    for channel, same in enumerate(constant):
        if same:
            what = f"channel {channel + 1} of {len(constant)} of the training images of {name}"
            warnings.warn(f"{what} has one value everywhere: it becomes 0 and tells nothing", stacklevel=2)


def constant_channels(images: torch.Tensor) -> torch.Tensor:
    """Find the channels whose pixels have one value in all images: bool of shape (1, channel, 1, 1)."""
    low, high = (end(images, (0, 2, 3), keepdim=True) for end in (torch.amin, torch.amax))
    return low == high

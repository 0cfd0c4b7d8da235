"""Studies that no machine could hold or finish, refused before anything is allocated."""

from __future__ import annotations

import torch

from recorders.contract import InputError
from recorders.data import DataSet
from recorders.data.memory import check_memory
from recorders.networks.factory import default_model
from recorders.settings.settings import Settings
from recorders.training.train import steps_per_epoch

_MOST_STEPS, _MOST_RECORDS = 10**8, 10**7
_COPIES = 4  # of every weight: itself, its gradient and what Adam keeps
_BYTES = 4


def check_sizes(settings: Settings, images: DataSet, *, own_model: bool) -> None:
    """Check how long a study runs, and how large its network and its batches are.

    Parameters
    ----------
    settings : Settings
        Of one recording.
    images : DataSet
        What it trains on.
    own_model : bool
        Whether the network is the user's, of whatever size it is.

    Raises
    ------
    InputError
        More steps or records than can be kept, crops beyond the image, a network or a batch beyond the memory.
    """
    training, records = settings.training, settings.recording
    steps = steps_per_epoch(settings, len(images.train_labels)) * training.epochs
    if steps > _MOST_STEPS:
        raise InputError(
            f"{training.epochs} epochs are {steps} optimiser steps, more than {_MOST_STEPS}: train shorter"
        )
    if steps // records.interval > _MOST_RECORDS:
        count = f"{steps // records.interval} records are more than {_MOST_RECORDS}"
        raise InputError(f"{count}: pass a longer --interval, or train shorter")
    channels, *sides = images.image_shape
    if settings.data.crop_padding > min(sides):
        raise InputError(
            f"crop_padding {settings.data.crop_padding} is wider than the {sides[0]}x{sides[1]} images of {images.name}"
        )
    batch = min(training.batch_size, len(images.train_labels))
    pixels = batch * channels * (settings.data.resize or max(sides)) ** 2
    check_memory(f"batches of {batch} images", pixels * _BYTES, "lower --batch-size or --resize")
    if not own_model:
        check_memory("the weights of the network", _weights(images, settings) * _BYTES * _COPIES, "make it smaller")


def _weights(images: DataSet, settings: Settings) -> int:
    """Count the weights of the study's network without making them."""
    try:
        with torch.device("meta"):
            return sum(weight.numel() for weight in default_model(images, settings)().parameters())
    except RuntimeError:  # more than a number of 64 bits counts
        return 1 << 62

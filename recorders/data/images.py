"""uint8 images on a device, made into what a network takes a batch at a time: no float copy, no worker processes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate, pad

from recorders.contract import InputError
from recorders.seeding import Purpose, generator


@dataclass(frozen=True)
class Normalisation:
    """Statistics of the training images, per channel, in units of the uint8 pixels.

    Attributes
    ----------
    mean, deviation : Tensor, shape (channel, 1, 1)
        On the images' device.
    """

    mean: torch.Tensor
    deviation: torch.Tensor


@dataclass(frozen=True)
class Augmentation:
    """What happens to every training image in one epoch.

    Attributes
    ----------
    flipped : Tensor of bool, shape (image,)
        Which images are mirrored left to right.
    offsets : Tensor of int64, shape (image, 2)
        Top and left of the crop in the padded image.
    padding : int
        Pixels of mean colour on every side before cropping back to the size of the image; 0: no crop.
    """

    flipped: torch.Tensor
    offsets: torch.Tensor
    padding: int

    def apply(self, images: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Flip and crop normalised images (batch, channel, height, width), which are number `indices` of the set."""
        mirror = self.flipped[indices][:, None, None, None]
        images = torch.where(mirror, images.flip(-1), images)
        if not self.padding:
            return images
        height, width = images.shape[2:]
        top, left = self.offsets[indices].unbind(1)
        rows = (top[:, None] + torch.arange(height, device=images.device))[:, None, :, None]
        columns = (left[:, None] + torch.arange(width, device=images.device))[:, None, None, :]
        image, channel = (torch.arange(n, device=images.device) for n in images.shape[:2])
        return pad(images, [self.padding] * 4)[image[:, None, None, None], channel[:, None, None], rows, columns]


def channel_statistics(images: torch.Tensor) -> Normalisation:
    """Measure mean and standard deviation of every channel, from a histogram of its 256 values.

    Parameters
    ----------
    images : Tensor of uint8, shape (image, channel, height, width)
        The training images.

    Returns
    -------
    Normalisation
        The deviation of a channel of one value is 1.

    Raises
    ------
    InputError
        Images of another type, or none.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or not images.numel():
        raise InputError(
            "images must be uint8 of shape (image, channel, height, width), "
            f"got {images.dtype} {tuple(images.shape)}: pass decoded pixels"
        )
    counts = torch.stack([torch.bincount(c.reshape(-1), minlength=256) for c in images.unbind(1)]).double()
    values = torch.arange(256, dtype=torch.float64, device=images.device)
    pixels = counts.sum(1, keepdim=True)
    mean = (counts * values).sum(1, keepdim=True) / pixels
    squares = (counts * (values - mean).square()).sum(1, keepdim=True)
    deviation = (squares / (pixels - 1).clamp(min=1)).sqrt()
    deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    return Normalisation(mean.float().unsqueeze(2), deviation.float().unsqueeze(2))


def draw_augmentation(
    seed: int, epoch: int, images: int, *, flip: bool, padding: int, device: torch.device
) -> Augmentation:
    """Draw what happens to every image in an epoch: a function of (seed, epoch, image), whatever the batches are."""
    if padding < 0:
        raise InputError(f"crop padding must not be negative, got {padding}")
    draw = generator(seed, Purpose.AUGMENTATION, epoch)
    flipped = torch.rand(images, generator=draw) < (0.5 if flip else 0.0)  # drawn in any case: crops stay the same
    offsets = torch.randint(2 * padding + 1, (images, 2), generator=draw)
    return Augmentation(flipped.to(device), offsets.to(device), padding)


def network_input(
    images: torch.Tensor,
    indices: torch.Tensor,
    normalisation: Normalisation,
    *,
    size: int = 0,
    augmentation: Augmentation | None = None,
) -> torch.Tensor:
    """Take a batch: normalised, augmented, then resized, all on the images' device.

    Parameters
    ----------
    images : Tensor of uint8, shape (image, channel, height, width)
        The whole set.
    indices : Tensor of int64, shape (batch,)
        Which images.
    normalisation : Normalisation
        Of the training images.
    size : int
        Pixels a side, bilinear (antialiased where the image shrinks); 0 leaves images as they are.
    augmentation : Augmentation, optional
        Of this epoch; for training images only.

    Returns
    -------
    Tensor of float32, shape (batch, channel, size, size)

    Raises
    ------
    InputError
        A negative size.
    """
    if size < 0:
        raise InputError(f"image size must not be negative, got {size}")
    # Resizing comes last: it commutes with normalising, and small images are cheaper to work on.
    batch = (images[indices].float() - normalisation.mean) / normalisation.deviation
    if augmentation is not None:
        batch = augmentation.apply(batch, indices)
    if size == 0 or batch.shape[2:] == (size, size):
        return batch
    shrinks = size < max(batch.shape[-2:])
    return interpolate(batch, size=(size, size), mode="bilinear", align_corners=False, antialias=shrinks)

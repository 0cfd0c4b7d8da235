"""A labelled image set in memory, split into training and held-out images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import pad

from recorders.contract import InputError


@dataclass(frozen=True)
class DataSet:
    """Images and labels.

    Attributes
    ----------
    name : str
        Name of the data set.
    train_images, test_images : Tensor, shape (image, channel, height, width)
        uint8 as decoded, float32 once normalised.
    train_labels, test_labels : Tensor of int64, shape (image,)
        Class of each image.
    classes : int
        Number of classes.
    """

    name: str
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    classes: int

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image, (channels, height, width)."""
        return tuple(self.train_images.shape[1:])

    def checksum(self) -> str:
        """SHA-256 of all images and labels in order (of the decoded pixels, not of the files)."""
        digest = hashlib.sha256()
        for tensor in self._tensors():
            digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def padded(self, size: int) -> DataSet:
        """Zero-pad every image to `size` pixels a side, the image in the middle; 0 changes nothing."""
        height, width = self.image_shape[1:]
        if size == 0:
            return self
        if size < max(height, width):
            raise InputError(f"image_size {size} is smaller than the {height}x{width} images of {self.name}")
        top, left = (size - height) // 2, (size - width) // 2
        border = (left, size - width - left, top, size - height - top)
        return replace(self, train_images=pad(self.train_images, border), test_images=pad(self.test_images, border))

    def normalised(self) -> DataSet:
        """Scale to zero mean and unit variance per channel, with the statistics of the training images."""
        train = self.train_images.float()
        mean = train.mean((0, 2, 3), keepdim=True)
        deviation = train.std((0, 2, 3), keepdim=True)
        test = self.test_images.float()
        for images in (train, test):  # in place: MNIST padded to 32x32 is 287 MB
            images.sub_(mean).div_(deviation)
        return replace(self, train_images=train, test_images=test)

    def to(self, device: torch.device) -> DataSet:
        """Move to a device."""
        return self._with([t.to(device) for t in self._tensors()])

    def shared(self) -> DataSet:
        """Move to shared memory, so that worker processes read the same copy."""
        return self._with([t.share_memory_() for t in self._tensors()])

    def _tensors(self) -> list[torch.Tensor]:
        return [self.train_images, self.train_labels, self.test_images, self.test_labels]

    def _with(self, tensors: list[torch.Tensor]) -> DataSet:
        train_images, train_labels, test_images, test_labels = tensors
        return DataSet(self.name, train_images, train_labels, test_images, test_labels, self.classes)

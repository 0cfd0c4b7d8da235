"""A labelled image set in memory, split into training and held-out images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad

from recorders.contract import InputError
from recorders.data.checking import check_part, constant_channels
from recorders.data.memory import check_memory
from recorders.data.sharing import SharedFile, share_memory


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

    Raises
    ------
    InputError
        Images or labels of another shape, none, or not as many of one as of the other; a label that is no class;
        training and test images of different sizes.
    """

    name: str
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    classes: int

    def __post_init__(self) -> None:
        check_part(self.name, "training", self.train_images, self.train_labels, self.classes)
        check_part(self.name, "test", self.test_images, self.test_labels, self.classes)
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            train, test = ("x".join(map(str, part.shape[1:])) for part in (self.train_images, self.test_images))
            raise InputError(f"training and test images of {self.name} are {train} and {test}: resize them")

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
        count = len(self.train_images) + len(self.test_images)
        what = f"{count} images of {size}x{size}"
        check_memory(what, count * self.image_shape[0] * size**2, "give a smaller --image-size")
        top, left = (size - height) // 2, (size - width) // 2
        border = (left, size - width - left, top, size - height - top)
        return self._with(
            [pad(self.train_images, border), self.train_labels, pad(self.test_images, border), self.test_labels]
        )

    def normalised(self) -> DataSet:
        """Scale to zero mean and unit variance per channel, with the statistics of the training images.

        A channel of one value becomes 0.

        Raises
        ------
        InputError
            A pixel is NaN or infinite.
        """
        for images in (self.train_images, self.test_images):
            if images.is_floating_point() and not images.isfinite().all():
                raise InputError(f"images of {self.name} hold pixels that are NaN or infinite: replace them")
        train = self.train_images.float()
        mean = train.mean((0, 2, 3), keepdim=True)
        constant = constant_channels(train)
        deviation = train.std((0, 2, 3), keepdim=True).where(~constant, 1) if not constant.all() else constant.float()
        mean = mean.where(~constant, train[:1, :, :1, :1])  # exactly: a mean of so many is rounded
        test = self.test_images.float()
        for images in (train, test):  # in place: MNIST padded to 32x32 is 287 MB
            images.sub_(mean).div_(deviation)
        return self._with([train, self.train_labels, test, self.test_labels])

    def to(self, device: torch.device) -> DataSet:
        """Move to a device."""
        return self._with([t.to(device) for t in self._tensors()])

    def shared(self) -> DataSet:
        """Move to shared memory, so that worker processes read the same copy; into a file where there is no room."""
        file = share_memory(self.name, self._tensors())
        return self if file is None else _from_file(self.name, file, self.classes)

    def _tensors(self) -> list[torch.Tensor]:
        return [self.train_images, self.train_labels, self.test_images, self.test_labels]

    def _with(self, tensors: list[torch.Tensor]) -> DataSet:
        train_images, train_labels, test_images, test_labels = tensors
        return DataSet(self.name, train_images, train_labels, test_images, test_labels, self.classes)


@dataclass(frozen=True)
class _InFile(DataSet):
    """Images and labels in a file: other processes get the file, not a copy of what is in it."""

    file: SharedFile

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_file, (self.name, self.file, self.classes)


def _from_file(name: str, file: SharedFile, classes: int) -> DataSet:
    train_images, train_labels, test_images, test_labels = file.tensors()
    return _InFile(name, train_images, train_labels, test_images, test_labels, classes, file)

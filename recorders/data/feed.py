"""Makes batches of a data set: views of normalised images, or uint8 images prepared on the device batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch

from recorders.data.dataset import DataSet
from recorders.data.images import Augmentation, channel_statistics, draw_augmentation, network_input
from recorders.seeding import Purpose, generator

_EVALUATION_BATCH = 1000
_RESIZED_BATCH = 250  # 150 MB at 224 pixels


class Feed:
    """Gives a cohort its batches.

    Parameters
    ----------
    data : DataSet
        On the device of the training; float images are taken as they are, uint8 ones are normalised and resized.
    size : int
        Pixels a side that uint8 images are resized to; 0: as they are.
    flip : bool
        Mirror training images at random.
    crop_padding : int
        Padding of random crops of training images; 0: none.
    """

    def __init__(self, data: DataSet, *, size: int = 0, flip: bool = False, crop_padding: int = 0) -> None:
        self._data, self._size = data, size
        self._flip, self._padding = flip, crop_padding
        raw = data.train_images.dtype == torch.uint8
        self._normalisation = channel_statistics(data.train_images) if raw else None
        self._augmentation = lru_cache(maxsize=None)(self._draw)
        self._epoch = -1

    @property
    def samples(self) -> int:
        """Number of training images."""
        return len(self._data.train_labels)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self._data.train_images.device

    def batch(self, indices: torch.Tensor, seeds: Sequence[int], epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one training batch per run.

        Parameters
        ----------
        indices : Tensor of int64, shape (run, batch)
            Which images.
        seeds : sequence of int
            Of each run; what happens to an image is a function of (seed, epoch, image).
        epoch : int
            Of the training.

        Returns
        -------
        images : Tensor of float32, shape (run, batch, channel, height, width)
        labels : Tensor of int64, shape (run, batch)
        """
        labels = self._data.train_labels[indices]
        if self._normalisation is None:
            return self._data.train_images[indices], labels
        if epoch != self._epoch:
            self._augmentation.cache_clear()
            self._epoch = epoch
        runs = [
            network_input(
                self._data.train_images,
                own,
                self._normalisation,
                size=self._size,
                augmentation=self._augmentation(seed, epoch),
            )
            for own, seed in zip(indices, seeds, strict=True)
        ]
        return torch.stack(runs), labels

    def sample(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw held-out images and labels, the same for every run: image folders are sorted by class."""
        order = torch.randperm(len(self._data.test_labels), generator=generator(0, Purpose.SAMPLE))
        chosen = order[:size].to(self.device)
        return self._prepared(chosen), self._data.test_labels[chosen]

    def held_out(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Go through the held-out images: (images, labels), in parts."""
        size = len(self._data.test_labels)
        batch = _EVALUATION_BATCH if self._normalisation is None else _RESIZED_BATCH
        for part in torch.arange(size, device=self.device).split(batch):
            yield self._prepared(part), self._data.test_labels[part]

    def _prepared(self, indices: torch.Tensor) -> torch.Tensor:
        if self._normalisation is None:
            return self._data.test_images[indices]
        return network_input(self._data.test_images, indices, self._normalisation, size=self._size)

    def _draw(self, seed: int, epoch: int) -> Augmentation | None:
        if not self._flip and not self._padding:
            return None
        return draw_augmentation(seed, epoch, self.samples, flip=self._flip, padding=self._padding, device=self.device)

"""How many images a training gets through."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Throughput:
    """Training images a second, without what is not training: mask updates, probes, evaluations.

    Parameters
    ----------
    device : torch.device
        Where the training is; a GPU is waited for when it is asked and at pauses.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._images, self._began, self._paused = 0, time.monotonic(), 0.0

    def saw(self, images: int) -> None:
        """Count the images of one step of a run."""
        self._images += images

    def rate(self) -> float:
        """Images a second since the last time; NaN before the first step."""
        self._settle()
        now = time.monotonic()
        seconds = now - self._began - self._paused
        images, self._images, self._began, self._paused = self._images, 0, now, 0.0
        return images / seconds if images and seconds > 0 else math.nan

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time of what happens inside."""
        self._settle()
        began = time.monotonic()
        try:
            yield
        finally:
            self._settle()
            self._paused += time.monotonic() - began

    def _settle(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

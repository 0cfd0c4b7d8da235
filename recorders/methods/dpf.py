"""Persistent dynamic pruning, the study's ``iterative`` (DPF, Lin et al. 2020; its eq. 9-13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from recorders.methods.masks import magnitude_masks
from recorders.methods.method import Layers, Method, Training
from recorders.methods.schedule import CubicSchedule

DPF_INTERVAL = 16  # Lin et al. 2020


@dataclass
class DPF(Method):
    """Mask the globally smallest weights; pruned weights go on learning and may come back.

    Parameters
    ----------
    schedule : CubicSchedule
        Target sparsity over training.
    """

    schedule: CubicSchedule
    masks_gradients = False

    def updates(self) -> Sequence[int]:
        """Every interval, and at the schedule's end."""
        return self.schedule.updates()

    def sparsity(self, step: int) -> float:
        """Cubic (the study's eq. 10)."""
        return self.schedule.sparsity(step)

    def update(self, layers: Layers, step: int) -> list[torch.Tensor]:
        """Keep the largest |w| of all layers together (the study's eq. 11-13)."""
        return magnitude_masks(layers.weights, self.schedule.sparsity(step))


def iterative(training: Training) -> DPF:
    """Prune as the study does."""
    return DPF(training.cubic(DPF_INTERVAL))

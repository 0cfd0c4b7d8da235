"""Gradual magnitude pruning without recovery (Zhu & Gupta 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from recorders.methods.allocation import uniform
from recorders.methods.masks import largest
from recorders.methods.method import Layers, Method, Shapes, Training
from recorders.methods.schedule import CubicSchedule

_INTERVAL = 100  # Zhu & Gupta 2017 use 100 to 1 000


@dataclass
class GMP(Method):
    """Mask the smallest weights of every layer, the same share of each; what is pruned never comes back.

    Parameters
    ----------
    schedule : CubicSchedule
        Target sparsity over training.
    shapes : mapping of str to tuple of int
        Shape of every prunable tensor.
    """

    schedule: CubicSchedule
    shapes: Shapes
    allocation = "uniform"

    def updates(self) -> Sequence[int]:
        """Every interval, and at the schedule's end."""
        return self.schedule.updates()

    def sparsity(self, step: int) -> float:
        """Cubic (Zhu & Gupta 2017, eq. 1)."""
        return self.schedule.sparsity(step)

    def update(self, layers: Layers, step: int) -> list[torch.Tensor]:
        """Keep the largest |w| of each layer among those that are still there."""
        wanted = uniform(self.shapes, self.schedule.sparsity(step))
        there = {name: int(mask.sum()) for name, mask in zip(self.shapes, layers.masks, strict=True)}
        counts = _within(wanted, there)
        masks = []
        for name, weight, mask in zip(self.shapes, layers.weights, layers.masks, strict=True):
            scores = weight.detach().abs().nan_to_num(nan=torch.inf, posinf=torch.inf)
            scores = torch.where(mask, scores, -1.0)  # below every weight that is there, even one of exactly 0
            masks.append(largest(scores.reshape(-1), counts[name]).view_as(mask))
        return masks


def _within(wanted: Mapping[str, int], there: Mapping[str, int]) -> dict[str, int]:
    """Ask no layer for more than it has: rounding may give it one weight more than at the update before."""
    counts = {name: min(count, there[name]) for name, count in wanted.items()}
    short = sum(wanted.values()) - sum(counts.values())
    for name in counts:
        extra = min(short, there[name] - counts[name])
        counts[name] += extra
        short -= extra
    return counts


def gmp(training: Training) -> GMP:
    """Prune as Zhu & Gupta do."""
    return GMP(training.cubic(_INTERVAL), training.shapes)

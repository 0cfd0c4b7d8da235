"""Rigging the lottery (RigL, Evci et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from recorders.methods.masks import Masks, largest, random_masks, smallest
from recorders.methods.method import Layers, Method, Shapes, Training

_INTERVAL = 100  # Evci et al. 2020
_END = 0.75  # of training; Evci et al. 2020


@dataclass
class RigL(Method):
    """Start sparse; drop the smallest weights and grow where the gradient is largest.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shape of every prunable tensor; layers start and stay at Erdős–Rényi-Kernel densities.
    target : float
        Sparsity, from start to end.
    interval, end : int
        Steps between updates (ΔT), and the step at which they end (T_end).
    seed : int
        Of the run.
    fraction : float
        α, the share of a layer's weights that is rewired at the start; it falls to 0 along a cosine.
    """

    shapes: Shapes
    target: float
    interval: int
    end: int
    seed: int
    fraction: float = 0.3
    reads_gradients = True
    allocation = "erk"

    def start(self) -> Masks:
        """Draw a sparse network."""
        return random_masks(self.shapes, self.target, "erk", self.seed)

    def updates(self) -> Sequence[int]:
        """Every interval before the end."""
        return range(self.interval, self.end, self.interval)

    def sparsity(self, step: int) -> float:
        """Constant."""
        return self.target

    def update(self, layers: Layers, step: int) -> list[torch.Tensor]:
        """Rewire each layer; new weights start at 0 (Evci et al. 2020, §3). What was just dropped may grow again."""
        share = self.fraction / 2 * (1 + math.cos(math.pi * step / self.end))
        masks = []
        for weight, gradient, mask in zip(layers.weights, layers.gradients, layers.masks, strict=True):
            moved = int(share * int(mask.sum()))
            kept = mask & ~smallest(weight, mask, moved)
            scores = torch.where(kept, -1.0, gradient.abs().nan_to_num(nan=torch.inf, posinf=torch.inf))
            grown = largest(scores.reshape(-1), moved).view_as(mask)
            weight[grown & ~mask] = 0
            masks.append(kept | grown)
        return masks


def rigl(training: Training) -> RigL:
    """Rewire as Evci et al. do."""
    interval, end = training.interval or _INTERVAL, max(1, round(_END * training.total))
    return RigL(training.shapes, training.sparsity, interval, end, training.seed)

"""Sparse evolutionary training (SET, Mocanu et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from recorders.methods.masks import Masks, draw, random_masks, smallest
from recorders.methods.method import Layers, Method, Shapes, Training
from recorders.seeding import Purpose, generator


@dataclass
class SET(Method):
    """Start sparse; every epoch drop the weights nearest to zero and grow as many at random.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shape of every prunable tensor; layers start with the densities of an Erdős–Rényi graph (``erk``).
    spreads : mapping of str to float
        Standard deviation of the initial weights of each.
    target : float
        Sparsity, from start to end.
    interval, last : int
        Steps between updates, and the step at which rewiring ends: SET leaves the last epoch alone.
    seed : int
        Of the run.
    fraction : float
        ζ, the share that is dropped of the positive and of the negative weights of each layer.
    """

    shapes: Shapes
    spreads: Mapping[str, float]
    target: float
    interval: int
    last: int
    seed: int
    fraction: float = 0.3
    allocation = "erk"

    def start(self) -> Masks:
        """Draw a sparse network."""
        return random_masks(self.shapes, self.target, "erk", self.seed)

    def updates(self) -> Sequence[int]:
        """After every interval but the last."""
        return range(self.interval, self.last + 1, self.interval)

    def sparsity(self, step: int) -> float:
        """Constant."""
        return self.target

    def update(self, layers: Layers, step: int) -> list[torch.Tensor]:
        """Rewire each layer; new weights are uniform with the spread of the layer's initial weights."""
        random = generator(self.seed, Purpose.REWIRING, step)
        masks = []
        for spread, weight, mask in zip(self.spreads.values(), layers.weights, layers.masks, strict=True):
            dropped = torch.zeros_like(mask)
            for sign in (weight > 0, weight <= 0):
                candidates = mask & sign
                dropped |= smallest(weight, candidates, int(self.fraction * int(candidates.sum())))
            if (free := int((~mask).sum())) < int(dropped.sum()):
                dropped = smallest(weight, dropped, free)
            grown = draw(~mask, int(dropped.sum()), random)
            bound = math.sqrt(3) * spread  # a uniform variable in ±bound has that deviation
            values = (2 * torch.rand(weight.shape, generator=random).to(weight) - 1) * bound
            weight.copy_(torch.where(grown, values, weight))
            masks.append((mask & ~dropped) | grown)
        return masks


def sparse_evolutionary(training: Training) -> SET:
    """Rewire after every epoch but the last, as Mocanu et al. do."""
    interval = training.interval or training.per_epoch
    last = training.total - training.per_epoch
    return SET(training.shapes, training.spreads, training.sparsity, interval, last, training.seed)

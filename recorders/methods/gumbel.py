"""Learnable masks with Gumbel noise (Jang et al. 2017; Maddison et al. 2017; top-k as in Kool et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recorders.methods.allocation import active_count
from recorders.methods.dpf import DPF_INTERVAL
from recorders.methods.masks import largest
from recorders.methods.method import Layers, Method, Training
from recorders.methods.schedule import CubicSchedule
from recorders.seeding import Purpose, derive


class GumbelMasks(Method):
    """Learn a logit per weight; keep the weights whose noisy logits are largest.

    At each update the logits get Gumbel noise, scaled by a temperature that falls from 1 to 0.1 over the schedule, and
    the largest of all layers together stay: a sample without replacement of exactly the scheduled size. In between, the
    logits learn through the straight-through relaxation ∂m/∂α = σ(α)(1 − σ(α)), pruned weights included. The last
    update has no noise. Schedule and learning rate are ours; the literature has no defaults for a given sparsity.

    Parameters
    ----------
    schedule : CubicSchedule
        Target sparsity over training.
    seed : int
        Of the run.
    rate : float
        Adam's learning rate of the logits.
    """

    learns = True

    def __init__(self, schedule: CubicSchedule, seed: int, rate: float = 0.01) -> None:
        self._schedule, self._seed, self._rate = schedule, seed, rate
        self._logits: list[torch.Tensor] = []
        self._optimiser: torch.optim.Optimizer | None = None

    def updates(self) -> Sequence[int]:
        """Every interval, and at the schedule's end."""
        return self._schedule.updates()

    def sparsity(self, step: int) -> float:
        """Cubic, as for ``iterative``."""
        return self._schedule.sparsity(step)

    def update(self, layers: Layers, step: int) -> list[torch.Tensor]:
        """Sample masks, or at the end take the most probable ones."""
        self._begin(layers)
        flat = torch.cat([logits.detach().reshape(-1) for logits in self._logits])
        if step < self._schedule.end:
            # On the device: millions of draws. -log of an exponential variable is a Gumbel variable.
            random = torch.Generator(flat.device).manual_seed(derive(self._seed, Purpose.REWIRING, step))
            gumbel = -torch.empty_like(flat).exponential_(generator=random).log_()
            flat = flat + 0.1 ** (step / self._schedule.end) * gumbel
        kept = largest(flat, active_count(self._schedule.sparsity(step), len(flat)))
        sizes = [mask.numel() for mask in layers.masks]
        return [part.view_as(mask) for part, mask in zip(kept.split(sizes), layers.masks, strict=True)]

    def learn(self, layers: Layers) -> None:
        """Take one step of the logits."""
        self._begin(layers)
        assert self._optimiser is not None
        for logits, weight, gradient in zip(self._logits, layers.weights, layers.gradients, strict=True):
            chance = torch.sigmoid(logits.detach())
            logits.grad = gradient * weight.detach() * chance * (1 - chance)
        self._optimiser.step()

    def _begin(self, layers: Layers) -> None:
        if not self._logits:
            self._logits = [torch.zeros_like(w).requires_grad_() for w in layers.weights]
            self._optimiser = torch.optim.Adam(self._logits, lr=self._rate)


def gumbel(training: Training) -> GumbelMasks:
    """Sample as often as ``iterative`` prunes."""
    return GumbelMasks(training.cubic(DPF_INTERVAL), training.seed)

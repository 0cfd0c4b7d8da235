"""Which weights leave and come when a sparse layer is rewired."""

from __future__ import annotations

import torch

from recorders.mask import largest


def smallest(weight: torch.Tensor, candidates: torch.Tensor, count: int) -> torch.Tensor:
    """Mark the `count` candidates of smallest |w|, ties by index; bool, shaped like `weight`."""
    most = torch.finfo(weight.dtype).max
    magnitude = weight.detach().abs().nan_to_num(nan=most, posinf=most)
    scores = torch.where(candidates, -magnitude, -torch.inf)
    return largest(scores.reshape(-1), count).view_as(candidates) & candidates


def draw(candidates: torch.Tensor, count: int, random: torch.Generator) -> torch.Tensor:
    """Mark `count` candidates at random; bool, shaped like `candidates`."""
    places = candidates.reshape(-1).nonzero().squeeze(1)
    chosen = places[torch.randperm(len(places), generator=random)[:count].to(places.device)]
    drawn = torch.zeros(candidates.numel(), dtype=torch.bool, device=candidates.device)
    drawn[chosen] = True
    return drawn.view_as(candidates)

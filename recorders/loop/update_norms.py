"""How far a step moves the weights: they are copied before the update and compared after it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recorders.measure.active_places import ActivePlaces
from recorders.measure.indicators import norms

Tensors = Sequence[torch.Tensor]


class UpdateNorms:
    """L2 norms of the last update of every weight; holds a copy of each."""

    def __init__(self) -> None:
        self._copies: dict[int, torch.Tensor] = {}
        self._norms: dict[int, torch.Tensor] = {}

    def remember(self, columns: Sequence[int], weights: Tensors) -> None:
        """Copy weights that are about to be updated, by position."""
        for column, weight in zip(columns, weights, strict=True):
            copy = self._copies.get(column)
            if copy is None or copy.shape != weight.shape or copy.device != weight.device:
                copy = self._copies[column] = torch.empty_like(weight, requires_grad=False)
            copy.copy_(weight)

    def measure(self, columns: Sequence[int], weights: Tensors, places: ActivePlaces) -> None:
        """Measure the update that was made since, at active weights."""
        changes = [weight - self._copies[column] for column, weight in zip(columns, weights, strict=True)]
        self._norms |= zip(columns, norms(changes, places)[0], strict=True)

    def row(self, parameters: int, like: torch.Tensor) -> torch.Tensor:
        """Give all norms, shape (parameter,); NaN for weights that were not updated."""
        missing = like.new_full((), torch.nan)
        return torch.stack([self._norms.get(i, missing).to(like) for i in range(parameters)])

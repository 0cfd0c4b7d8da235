"""Masks that never change: ``optimal``, ``random`` and, without any, ``dense``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from recorders.methods.masks import Masks
from recorders.methods.method import Layers, Method


@dataclass
class Static(Method):
    """Keep the masks of the start.

    Parameters
    ----------
    masks : mapping of str to Tensor of bool or None
        By parameter name; None: dense.
    target : float
        Their sparsity, to be recorded.
    """

    masks: Masks | None
    target: float

    def __post_init__(self) -> None:
        """Without masks nothing is kept from learning."""
        self.masks_gradients = self.masks is not None

    def start(self) -> Masks | None:
        """Return the masks, for good."""
        return self.masks

    def updates(self) -> Sequence[int]:
        """No update at all."""
        return ()

    def sparsity(self, step: int) -> float:
        """Return the one sparsity there is."""
        return self.target

    def update(self, layers: Layers, step: int) -> list[torch.Tensor]:
        """Return the masks as they are."""
        return list(layers.masks)

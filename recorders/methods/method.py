"""What a pruning method is asked while a network trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from recorders.methods.masks import Masks
from recorders.methods.schedule import CubicSchedule

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layers:
    """The prunable tensors of one run, in one order.

    Attributes
    ----------
    weights : sequence of Tensor
        Dense weights. A method that grows weights sets their values here, in place; it leaves all others as they are,
        dropped ones too, so that a probe can still evaluate the network before the update.
    gradients : sequence of Tensor
        Dense gradients ∂L/∂w̃ of the last backward pass; zeros where there is none.
    masks : sequence of Tensor of bool
        The masks in force.
    """

    weights: Sequence[torch.Tensor]
    gradients: Sequence[torch.Tensor]
    masks: Sequence[torch.Tensor]


@dataclass(frozen=True)
class Training:
    """What a method must know about the training it prunes.

    Attributes
    ----------
    shapes : mapping of str to tuple of int
        Shape of every prunable tensor, by name.
    spreads : mapping of str to float
        Standard deviation of their initial weights.
    sparsity : float
        Share of prunable weights that is gone at the end.
    initial_sparsity : float
        Share that is gone at the start, where the method starts dense.
    total, per_epoch : int
        Optimiser steps of the whole training, and of one epoch.
    interval : int
        Steps between mask updates; 0: the method's own.
    end : float
        Share of training after which the mask stays, where the method does not say itself.
    seed : int
        Of the run, for what is drawn at random.
    """

    shapes: Shapes
    spreads: Mapping[str, float]
    sparsity: float
    initial_sparsity: float
    total: int
    per_epoch: int
    interval: int
    end: float
    seed: int

    def cubic(self, interval: int) -> CubicSchedule:
        """Return the study's schedule of sparsities, with this interval where none was asked for."""
        end = max(1, round(self.end * self.total))
        return CubicSchedule(self.initial_sparsity, self.sparsity, 0, end, self.interval or interval)


class Method(ABC):
    """Decides which weights stay.

    Attributes
    ----------
    masks_gradients : bool
        Whether pruned weights are kept from learning. Their optimiser state is cleared when they leave or come back.
    reads_gradients : bool
        Whether `update` needs the dense gradient of the next batch.
    learns : bool
        Whether `learn` is to be called after every backward pass.
    allocation : {"global", "uniform", "erk"}
        How the method spreads its weights over layers: decides which sparsity empties one.
    """

    masks_gradients: bool = True
    reads_gradients: bool = False
    learns: bool = False
    allocation: str = "global"

    def start(self) -> Masks | None:
        """Return the masks at the start by parameter name; None for a dense start."""
        return None

    @abstractmethod
    def updates(self) -> Sequence[int]:
        """List the optimiser steps done at each mask update, in order."""

    @abstractmethod
    def sparsity(self, step: int) -> float:
        """Target sparsity after `step` steps."""

    @abstractmethod
    def update(self, layers: Layers, step: int) -> list[torch.Tensor]:
        """Choose new masks.

        Parameters
        ----------
        layers : Layers
            The network as it is.
        step : int
            Optimiser steps done.

        Returns
        -------
        list of Tensor of bool
            One per tensor.
        """

    def learn(self, layers: Layers) -> None:  # noqa: B027 - most methods have nothing to learn
        """Learn from every backward pass, for methods whose masks have parameters of their own."""

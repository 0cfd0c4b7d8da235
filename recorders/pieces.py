"""A linear layer's output around a mask update, cut by which masks keep the weights it comes from.

Where a layer's input is given, its output is linear in its weights: pieces add up, in any order. Pieces that hold few
weights (what was lost, what returned) cost little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

# Below this share of non-zero weights SciPy's sparse product beats a dense one on a CPU.
_SPARSE = 0.1


@dataclass(frozen=True)
class Pieces:
    """What a layer's output is made of, without the bias; float64, shape (sample, unit).

    Attributes
    ----------
    both : Tensor
        From weights that both masks keep.
    lost, regained : Tensor
        From weights that only the old, or only the new, mask keeps.
    rest : Tensor
        From weights that neither keeps.
    """

    both: torch.Tensor
    lost: torch.Tensor
    regained: torch.Tensor
    rest: torch.Tensor

    @cached_property
    def old(self) -> torch.Tensor:
        """From what the old mask keeps."""
        return self.both + self.lost

    @cached_property
    def new(self) -> torch.Tensor:
        """From what the new mask keeps."""
        return self.both + self.regained

    @cached_property
    def either(self) -> torch.Tensor:
        """From what at least one mask keeps."""
        return self.old + self.regained

    @cached_property
    def dense(self) -> torch.Tensor:
        """From all weights."""
        return self.either + self.rest


class FixedInput:
    """The input of a linear layer, prepared for several products.

    Parameters
    ----------
    inputs : Tensor of float64, shape (..., input)
        What the layer gets; leading dimensions count as samples.
    """

    def __init__(self, inputs: torch.Tensor) -> None:
        flat = inputs.reshape(-1, inputs.shape[-1])
        varies = (flat != flat[0]).any(0)  # pixels that are the same on the whole batch need no product
        self._varying, self._constant = varies.nonzero().squeeze(1), (~varies).nonzero().squeeze(1)
        self._inputs, self._values = flat[:, self._varying], flat[0, self._constant]

    @cached_property
    def _transposed(self) -> npt.NDArray[np.float64]:
        """In the order that a sparse product reads."""
        return np.ascontiguousarray(self._inputs.numpy().T)

    def pieces(self, weight: torch.Tensor, old: torch.Tensor, new: torch.Tensor) -> Pieces:
        """Cut the layer's output.

        Parameters
        ----------
        weight : Tensor of float64, shape (unit, input)
            All weights, active or not.
        old, new : Tensor of bool, shape (unit, input)
            The masks before and after an update.
        """
        varying, constant = (
            [t.index_select(1, i) for t in (weight, old, new)] for i in (self._varying, self._constant)
        )
        return Pieces(*(self._product(v, c) for v, c in zip(_cut(*varying), _cut(*constant), strict=True)))

    def product(self, weight: torch.Tensor) -> torch.Tensor:
        """Multiply the input with a weight; shape (sample, unit)."""
        return self._product(weight.index_select(1, self._varying), weight.index_select(1, self._constant))

    def _product(self, varying: torch.Tensor, constant: torch.Tensor) -> torch.Tensor:
        fixed = constant @ self._values
        if varying.device.type == "cpu" and int(torch.count_nonzero(varying)) < _SPARSE * varying.numel():
            return torch.from_numpy(sparse.csr_matrix(varying.numpy()) @ self._transposed).T.contiguous() + fixed
        return self._inputs @ varying.T + fixed


def _cut(weight: torch.Tensor, old: torch.Tensor, new: torch.Tensor) -> list[torch.Tensor]:
    """Cut a weight by who keeps it: both masks, only the old one, only the new one, neither."""
    return [weight * kept for kept in (old & new, old & ~new, new & ~old, ~(old | new))]

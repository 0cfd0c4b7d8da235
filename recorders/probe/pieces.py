"""A linear layer's output around a mask update, cut by which masks keep the weights it comes from.

Where a layer's input is given, its output is linear in its weights: pieces add up, in any order. Pieces that hold few
weights (what was lost, what returned) cost little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import nn
from torch.func import functional_call
from torch.nn.functional import linear

# Below this share of weights SciPy's sparse product beats a dense one on a CPU.
_SPARSE = 0.06
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_PROJECTIONS = ("q_proj_weight", "k_proj_weight", "v_proj_weight")  # where keys or values have a width of their own


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
        self._all = inputs.reshape(-1, inputs.shape[-1])
        # Pixels that are the same on the whole batch need no product, only a constant.
        varies = (self._all != self._all[0]).any(0)
        self._varying = varies.nonzero().squeeze(1)
        self._inputs = self._all.index_select(1, self._varying)
        self._constant = self._all[0] * ~varies

    @cached_property
    def _transposed(self) -> npt.NDArray[np.float64]:
        """In the order that a sparse product reads."""
        return np.ascontiguousarray(self._all.numpy().T)

    def pieces(self, weight: torch.Tensor, old: torch.Tensor, new: torch.Tensor) -> Pieces:
        """Cut the layer's output.

        Parameters
        ----------
        weight : Tensor of float64, shape (unit, input)
            All weights, active or not.
        old, new : Tensor of bool, shape (unit, input)
            The masks before and after an update.
        """
        return Pieces(*(self.product(weight, kept) for kept in (old & new, old & ~new, new & ~old, ~(old | new))))

    def product(self, weight: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """Multiply the input with the kept weights.

        Parameters
        ----------
        weight : Tensor of float64, shape (unit, input)
            All weights.
        kept : Tensor of bool, shape (unit, input)
            Those that count.

        Returns
        -------
        Tensor of float64, shape (sample, unit)
        """
        if _few(kept):
            return torch.from_numpy(_rows(weight.numpy(), kept.numpy()) @ self._transposed).T.contiguous()
        masked = weight * kept
        return linear(self._inputs, masked.index_select(1, self._varying), masked @ self._constant)


def product(inputs: torch.Tensor, weight: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Multiply inputs, shape (sample, input), with the kept weights, as `FixedInput.product` does."""
    if _few(kept):
        return torch.from_numpy(_rows(weight.numpy(), kept.numpy()) @ inputs.numpy().T).T.contiguous()
    return inputs @ (weight * kept).T


def _few(kept: torch.Tensor) -> bool:
    return kept.device.type == "cpu" and bool(np.count_nonzero(kept.numpy()) < _SPARSE * kept.numel())


def _rows(weight: npt.NDArray[np.float64], kept: npt.NDArray[np.bool_]) -> sparse.csr_array:
    """Put the kept weights in compressed rows, straight from the mask: SciPy would search the weights."""
    units, width = weight.shape
    places = np.flatnonzero(kept)
    ends = np.searchsorted(places, width * np.arange(units + 1))
    return sparse.csr_array((weight.reshape(-1)[places], places % width, ends), shape=weight.shape)


def contribution(owner: nn.Module, inputs: torch.Tensor, weight: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Pre-activations that come from the kept weights alone, without the bias.

    Parameters
    ----------
    owner : nn.Module
        The layer.
    inputs : Tensor
        What the weight multiplies: `linear_input`.
    weight : Tensor of float64, shape (unit, ...)
        All weights.
    kept : Tensor of bool, shape (unit, ...)
        Those that count.

    Returns
    -------
    Tensor of float64, shape (position, unit)
        Positions are samples × tokens, or × pixels of a convolution's output.
    """
    if isinstance(owner, _CONVOLUTIONS):
        unbiased = {} if owner.bias is None else {"bias": weight.new_zeros(len(weight))}
        output: torch.Tensor = functional_call(owner, {"weight": weight * kept} | unbiased, (inputs,))
        return output.movedim(-weight.ndim + 1, -1).flatten(0, -2)
    return product(inputs.flatten(0, -2), weight, kept)


def linear_input(owner: nn.Module, name: str, arguments: tuple[Any, ...] | None) -> torch.Tensor | str:
    """Find what a weight multiplies.

    Parameters
    ----------
    owner : nn.Module
        The layer, with the weights it was called with.
    name : str
        Qualified name of the weight.
    arguments : tuple or None
        What the layer was called with.

    Returns
    -------
    Tensor or str
        The reason, where the output is not known to be linear in this weight.
    """
    if ".parametrizations." in name:
        return "it is parametrized: the layer multiplies by what is made of it"
    if arguments is None:
        return f"its {type(owner).__name__} was not called"
    attribute = name.rpartition(".")[2]
    if isinstance(owner, (nn.Linear, *_CONVOLUTIONS)) and attribute == "weight":
        return _tensor(arguments[0])
    if isinstance(owner, nn.MultiheadAttention):
        if attribute == "weight":
            return _mixed(owner, arguments)
        if attribute in _PROJECTIONS:
            return _tensor(arguments[_PROJECTIONS.index(attribute)])
        if attribute == "in_proj_weight":
            same = len(arguments) > 2 and arguments[0] is arguments[1] is arguments[2]
            return _tensor(arguments[0]) if same else "query, key and value are not the same tokens"
    return f"the output of {type(owner).__name__} is not known to be linear in it"


def _mixed(attention: nn.MultiheadAttention, arguments: tuple[Any, ...]) -> torch.Tensor | str:
    """Give the input of an output projection, which attention does not call: its output under the identity."""
    projection = attention.out_proj
    if "parametrizations" in projection._modules:
        return "its projection is parametrized"
    identity = {"out_proj.weight": torch.eye(len(projection.weight)).to(projection.weight)}
    if projection.bias is not None:
        identity["out_proj.bias"] = torch.zeros_like(projection.bias)
    output: tuple[torch.Tensor, ...] = functional_call(attention, identity, arguments)
    return _tensor(output[0])


def _tensor(inputs: Any) -> torch.Tensor | str:
    dense = isinstance(inputs, torch.Tensor) and not inputs.is_nested
    return inputs if dense else "it multiplies no plain tensor"

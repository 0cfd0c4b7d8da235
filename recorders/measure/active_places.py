"""Which weights are active, made ready for the sums over them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt
import torch

from recorders.measure.device_buffer import wide
from recorders.measure.packed_sums import PackedSums, Shape

Tensors = Sequence[torch.Tensor]
Integers = npt.NDArray[np.int64]


class ActivePlaces:
    """The masks in force; made once, when a mask changes.

    Parameters
    ----------
    masks : sequence of Tensor
        One mask per prunable tensor, 0 or 1 (any dtype), with a leading run axis when `stacked`. A mask without strides
        is one number, 1, spread over the tensor: it masks nothing and takes no memory.
    stacked : bool
        Whether the first axis is the run.

    Attributes
    ----------
    masks : list of Tensor of bool, or None
        None where every weight is active.
    shapes : list of tuple of int
        Of the masks.
    runs : int
        Runs of the stack; 1 without one.
    counts : Tensor of float64, shape (run, parameter)
        Active weights.
    """

    def __init__(self, masks: Tensors, *, stacked: bool) -> None:
        self.stacked = stacked
        self.runs = len(masks[0]) if stacked else 1
        self.shapes: list[Shape] = [tuple(mask.shape) for mask in masks]
        self.counts = torch.stack([_count(mask, self.runs) for mask in masks], dim=-1)
        self.masks = [None if _is_one_number(mask) else mask.bool().contiguous() for mask in masks]
        if self.counts.device.type == "cpu":  # elsewhere looking would wait for the device
            fewest = self.counts.amin(0).tolist()
            for i, mask in enumerate(masks):
                if fewest[i] * self.runs == mask.numel():
                    self.masks[i] = None
        self._packed: dict[tuple[object, ...], PackedSums] = {}
        self._in_memory: dict[tuple[int, ...], tuple[Integers, Integers]] = {}

    def in_memory(self, positions: Sequence[int]) -> tuple[Integers, Integers]:
        """Give size, and address of the mask or 0, of every run of some tensors: parameter by parameter."""
        key = tuple(positions)
        if key not in self._in_memory:
            sizes = np.repeat([prod(self.shapes[i]) // self.runs for i in key], self.runs)
            begins = [0 if (mask := self.masks[i]) is None else mask.data_ptr() for i in key]
            masked = np.repeat([begin > 0 for begin in begins], self.runs)
            self._in_memory[key] = sizes, addresses(begins, sizes, self.runs, item=1) * masked
        return self._in_memory[key]

    def packed(self, positions: Sequence[int], dtype: torch.dtype, device: torch.device) -> PackedSums:
        """Give what adds up some of the tensors, copied into one buffer of this dtype; kept as long as the masks."""
        key = (*positions, dtype, device)
        if key not in self._packed:
            self._packed[key] = PackedSums(
                self.shapes, self.masks, positions, self.runs, stacked=self.stacked, dtype=dtype, device=device
            )
        return self._packed[key]


def addresses(begins: Sequence[int], sizes: Integers, runs: int, *, item: int) -> Integers:
    """List where every run of every tensor begins in memory: its values, of `item` bytes each, follow each other."""
    if runs == 1:
        return np.array(begins, dtype=np.int64)
    return np.repeat(np.array(begins, dtype=np.int64), runs) + item * sizes * np.tile(np.arange(runs), len(begins))


def _count(mask: torch.Tensor, runs: int) -> torch.Tensor:
    """Count the active weights of every run, shape (run,)."""
    if _is_one_number(mask):
        return (mask.reshape(-1)[:1].to(wide(mask.device)) * (mask.numel() // runs)).expand(runs)
    return (mask != 0).reshape(runs, -1).sum(1).to(wide(mask.device))


def _is_one_number(mask: torch.Tensor) -> bool:
    return mask.numel() > 1 and not any(mask.stride())

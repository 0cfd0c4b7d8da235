"""Which forward pass a recomputation repeats: activation checkpointing runs layers again within the backward pass."""

from __future__ import annotations

import warnings
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch

from recorders.contract import InputError

_KEPT = 64  # passes of which the backward pass may be still to come: micro-batches, pipelines


def recomputing() -> bool:
    """Whether this runs within a backward pass."""
    return _backward_pass() != -1


def _backward_pass() -> int:
    """Tell which backward pass this runs in; -1 outside of any."""
    return int(torch._C._current_graph_task_id())


@dataclass
class _ForwardPass:
    step: int
    sums: torch.Tensor
    repeated: bool = False
    passed_over: int | None = None  # by which backward pass a later one with equal tokens was taken for it


class RecentPasses:
    """Remembers the step of each recent forward pass, to be found again by the tokens; copies start empty.

    A recomputation sees the very tokens of its pass, whatever the order of passes and backward passes. Of passes with
    equal tokens the last one comes first, as in a backward pass through all of them; where each has a backward pass of
    its own their order cannot be told, which is a warning.
    """

    def __init__(self) -> None:
        self._passes: deque[_ForwardPass] = deque(maxlen=_KEPT)

    def add(self, step: int, tokens: torch.Tensor) -> None:
        """Remember a pass."""
        self._passes.append(_ForwardPass(step, _sums(tokens)))

    def step(self, tokens: torch.Tensor) -> int:
        """Find the pass that these tokens repeat.

        Parameters
        ----------
        tokens : Tensor, shape (batch, tokens, dim)
            What the layer is called with within the backward pass.

        Returns
        -------
        int

        Raises
        ------
        InputError
            No recent pass had these tokens.
        """
        sums = _sums(tokens)
        same = [p for p in self._passes if torch.equal(p.sums, sums)]
        if not same:
            raise InputError(
                "random merging cannot tell which forward pass is recomputed: none of the last "
                f"{len(self._passes)} (at most {_KEPT} are kept) had the same tokens; checkpoint with "
                "preserve_rng_state=True and leave the merging outside where its input cannot be repeated"
            )
        if all(p.repeated for p in same):  # a second backward pass through the same graph
            for p in same:
                p.repeated, p.passed_over = False, None
        *others, found = [p for p in same if not p.repeated]
        task = _backward_pass()
        if found.passed_over not in (None, task):
            warnings.warn(
                "random merging was recomputed in several backward passes for forward passes with equal tokens: "
                "gradients are right only if the last forward pass went first; sum their losses, or leave the merging "
                "outside of the checkpoint",
                stacklevel=2,
            )
        for p in others:
            p.passed_over = task
        found.repeated = True
        return found.step

    def __reduce__(self) -> Any:
        return type(self), ()


def _sums(tokens: torch.Tensor) -> torch.Tensor:
    """Sum each sample's tokens, as bits: NaN equals itself."""
    return tokens.detach().sum((1, 2), dtype=torch.float64).view(torch.int64)

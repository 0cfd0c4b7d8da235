"""Which forward pass a recomputation repeats: activation checkpointing runs layers again within the backward pass."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

from recorders.contract import InputError

_KEPT = 64  # passes of which the backward pass may be still to come: micro-batches, pipelines


def recomputing() -> bool:
    """Whether this runs within a backward pass."""
    return bool(torch._C._current_graph_task_id() != -1)


class RecentPasses:
    """Remembers the step of each recent forward pass, to be found again by the tokens; copies start empty.

    A recomputation sees the very tokens of its pass, whatever the order of passes and backward passes. Of passes with
    equal tokens the last one comes first, as in a backward pass through all of them.
    """

    def __init__(self) -> None:
        self._steps: deque[int] = deque(maxlen=_KEPT)
        self._sums: deque[torch.Tensor] = deque(maxlen=_KEPT)
        self._repeated: deque[bool] = deque(maxlen=_KEPT)

    def add(self, step: int, tokens: torch.Tensor) -> None:
        """Remember a pass."""
        self._steps.append(step)
        self._sums.append(_sums(tokens))
        self._repeated.append(False)

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
        same = [i for i, other in enumerate(self._sums) if torch.equal(other, sums)]
        if not same:
            raise InputError(
                "random merging cannot tell which forward pass is recomputed: none of the last "
                f"{len(self._sums)} (at most {_KEPT} are kept) had the same tokens; checkpoint with "
                "preserve_rng_state=True and leave the merging outside where its input cannot be repeated"
            )
        if all(self._repeated[i] for i in same):  # a second backward pass through the same graph
            for i in same:
                self._repeated[i] = False
        found = max(i for i in same if not self._repeated[i])
        self._repeated[found] = True
        return self._steps[found]

    def __reduce__(self) -> Any:
        return type(self), ()


def _sums(tokens: torch.Tensor) -> torch.Tensor:
    """Sum each sample's tokens, as bits: NaN equals itself."""
    return tokens.detach().sum((1, 2), dtype=torch.float64).view(torch.int64)

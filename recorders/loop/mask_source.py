"""Where the masks of a user's model come from, and when they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from recorders.contract import InputError, unknown_name
from recorders.loop.wrappers import plain_name

MaskDict = Mapping[str, torch.Tensor]
MaskArgument = Mapping[str, Any] | Callable[[], Mapping[str, Any] | None] | None


class MaskSource:
    """The masks of a model, read anew at every step.

    A tensor that was replaced or written in place is noticed at once; one written behind autograd's back (``.data``, a
    NumPy view) at the next thorough look.

    Parameters
    ----------
    model : nn.Module
        The network; the ``*_mask`` buffers of `torch.nn.utils.prune` are used when `masks` is None.
    parameters : mapping of str to Parameter
        Prunable tensors by qualified name.
    masks : mapping, callable or None
        Masks by parameter name, or a callable that returns them; a tensor without a mask counts as unmasked.

    Raises
    ------
    InputError
        A name that is not a prunable tensor, or a mask of another shape.
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, nn.Parameter], masks: MaskArgument) -> None:
        self._model, self._parameters, self._masks = model, parameters, masks
        self._seen: dict[str, tuple[torch.Tensor, int]] = {}
        self.current: list[torch.Tensor] = []

    def refresh(self, *, thorough: bool) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Read the masks.

        Parameters
        ----------
        thorough : bool
            Compare values even where no tensor was replaced or written as far as autograd knows (on a GPU this waits
            for the device).

        Returns
        -------
        tuple of Tensor, each of shape (1, parameter), or None
            Weights that came back and weights that were masked since the last call; None when no mask changed.
        """
        masks = self._read()
        if self._is_as_seen(masks) and not (thorough and masks):
            return None
        self._seen = {name: (mask, mask._version) for name, mask in masks.items()}
        previous, fresh = self.current, self._convert(masks)
        if previous and all(torch.equal(new, old) for new, old in zip(fresh, previous, strict=True)):
            return None
        self.current = fresh
        if not previous:
            return None
        pairs = list(zip(fresh, previous, strict=True))
        regrown = torch.stack([((new - old) > 0).sum() for new, old in pairs])
        pruned = torch.stack([((old - new) > 0).sum() for new, old in pairs])
        return regrown.float().unsqueeze(0), pruned.float().unsqueeze(0)

    def as_dict(self, masks: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return masks (of `current`, now or earlier) as booleans, by parameter name."""
        return {name: mask.bool() for name, mask in zip(self._parameters, masks, strict=True)}

    def _is_as_seen(self, masks: MaskDict) -> bool:
        """Whether no mask was replaced or written in place; only else are values looked at."""
        return (
            bool(self.current)
            and self._seen.keys() == masks.keys()
            and all(
                mask is self._seen[name][0] and mask._version == self._seen[name][1] for name, mask in masks.items()
            )
        )

    def _read(self) -> MaskDict:
        if self._masks is not None:
            return _by_name(self._masks() if callable(self._masks) else self._masks)
        buffers = {plain_name(name): buffer for name, buffer in self._model.named_buffers()}
        return {name: buffers[f"{name}_mask"] for name in self._parameters if f"{name}_mask" in buffers}

    def _convert(self, masks: MaskDict) -> list[torch.Tensor]:
        for name, mask in masks.items():
            if name not in self._parameters:
                raise unknown_name("prunable parameter", name, self._parameters)
            if mask.shape != self._parameters[name].shape:
                raise InputError(
                    f"mask of {name!r} has shape {tuple(mask.shape)}, the weight {tuple(self._parameters[name].shape)}"
                )
        with torch.no_grad():
            return [
                (masks[name] != 0).to(p.dtype).to(p.device) if name in masks else torch.ones_like(p)
                for name, p in self._parameters.items()
            ]


def _by_name(masks: Any) -> MaskDict:
    """Take the masks that somebody gives: of tensors or arrays, by name; None, alone or as a value, masks nothing."""
    if masks is None:
        return {}
    if not isinstance(masks, Mapping) or not all(isinstance(name, str) for name in masks):
        raise InputError(
            f"masks must be a dict of tensors by parameter name, or a callable that returns one; got "
            f"{type(masks).__name__}{' with keys that are no names' if isinstance(masks, Mapping) else ''}"
        )
    found = {
        name: torch.from_numpy(m) if isinstance(m, np.ndarray) else m for name, m in masks.items() if m is not None
    }
    for name, mask in found.items():
        if not isinstance(mask, torch.Tensor):
            raise InputError(f"mask of {name!r} must be a tensor or an array, got {type(mask).__name__}")
    return found

"""Where the masks of a user's model come from, and when they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import nn

from recorders.contract import InputError, unknown_name
from recorders.loop.found_masks import FoundMasks
from recorders.measure.active_places import ActivePlaces

MaskDict = Mapping[str, torch.Tensor]
MaskArgument = Mapping[str, Any] | Callable[[], Mapping[str, Any] | None] | str | None
ZEROS = "zeros"
_never = count(-1, -1)


class MaskSource:
    """The masks of a model, read anew at every step.

    A tensor that was replaced or written in place is noticed at once; one written behind autograd's back (``.data``, a
    NumPy view) at the next thorough look.

    Parameters
    ----------
    model : nn.Module
        The network; what `FoundMasks` finds in it is used when `masks` is None.
    parameters : mapping of str to Parameter
        Prunable tensors by qualified name.
    masks : mapping, callable, "zeros" or None
        Masks by parameter name, or a callable that returns them; a tensor without a mask counts as unmasked. With
        ``"zeros"`` a weight that is exactly 0 counts as masked, read at thorough looks only.

    Attributes
    ----------
    current : list of Tensor of bool
        The masks in force; replaced, never written.
    sources : dict of str to str
        Where each mask comes from, by parameter; empty for a weight that had none.

    Raises
    ------
    InputError
        A name that is not a prunable tensor, or a mask of another shape.
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, nn.Parameter], masks: MaskArgument) -> None:
        if isinstance(masks, str) and masks != ZEROS:
            raise unknown_name("text for masks", masks, [ZEROS])
        self._parameters, self._masks = parameters, masks
        self._found = FoundMasks(model)
        self._seen: dict[str, tuple[torch.Tensor, int]] = {}
        self.current: list[torch.Tensor] = []
        self._places: dict[range | tuple[int, ...], ActivePlaces] = {}
        self.sources = dict.fromkeys(parameters, "")

    @property
    def places(self) -> ActivePlaces:
        """The masks in force, ready for measuring."""
        return self.places_of(range(len(self.current)))

    def places_of(self, columns: Sequence[int]) -> ActivePlaces:
        """Give the masks of some weights, ready for measuring."""
        key = columns if isinstance(columns, range) else tuple(columns)
        if key not in self._places:
            self._places[key] = ActivePlaces([self.current[i] for i in key], stacked=False)
        return self._places[key]

    def refresh(self, *, thorough: bool, between_steps: bool = False) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Read the masks.

        Parameters
        ----------
        thorough : bool
            Compare values even where no tensor was replaced or written as far as autograd knows (on a GPU this waits
            for the device).
        between_steps : bool
            No step begins now: a mask that is gone may have been made permanent (`prune.remove`) and is kept, and zeros
            are those of the last step.

        Returns
        -------
        tuple of Tensor, each of shape (1, parameter), or None
            Weights that came back and weights that were masked since the last call; None when no mask changed.
        """
        if self._masks == ZEROS and self.current and (between_steps or not thorough):
            return None
        if self._masks is None and not thorough and not self._seen and self._found.are_still_none(self._parameters):
            return None
        masks = self._read()
        if between_steps:
            masks = {name: mask for name, (mask, _) in self._seen.items()} | dict(masks)
        if self._is_as_seen(masks) and not (thorough and masks):
            return None
        self._seen = {name: (mask, _version(mask)) for name, mask in masks.items()}
        previous, fresh = self.current, self._convert(masks)
        if previous and all(torch.equal(new, old) for new, old in zip(fresh, previous, strict=True)):
            return None
        self.current, self._places = fresh, {}
        if not previous:
            return None
        pairs = list(zip(fresh, previous, strict=True))
        regrown = torch.stack([(new & ~old).sum() for new, old in pairs])
        pruned = torch.stack([(old & ~new).sum() for new, old in pairs])
        return regrown.double().unsqueeze(0), pruned.double().unsqueeze(0)

    def as_dict(self, masks: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return masks (of `current`, now or earlier) by parameter name."""
        return dict(zip(self._parameters, masks, strict=True))

    def _is_as_seen(self, masks: MaskDict) -> bool:
        """Whether no mask was replaced or written in place; only else are values looked at."""
        return (
            bool(self.current)
            and self._seen.keys() == masks.keys()
            and all(
                mask is self._seen[name][0] and _version(mask) == self._seen[name][1] for name, mask in masks.items()
            )
        )

    def _read(self) -> MaskDict:
        if self._masks == ZEROS:
            masks = {name: p.detach() != 0 for name, p in self._parameters.items()}
            self.sources |= dict.fromkeys(masks, "weights that are exactly 0")
            return masks
        if self._masks is not None:
            given = _by_name(self._masks() if callable(self._masks) else self._masks)
            self.sources |= dict.fromkeys(given, "masks= of the Recorder")
            return given
        found = self._found.of(self._parameters)
        self.sources |= {name: mask.source for name, mask in found.items()}
        return {name: mask.mask for name, mask in found.items()}

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
                (masks[name] != 0).to(p.device) if name in masks else _all_active(p)
                for name, p in self._parameters.items()
            ]


def _version(mask: torch.Tensor) -> int:
    """How often autograd saw a tensor written; one made in inference mode is seen as written every time."""
    return next(_never) if mask.is_inference() else mask._version


def _all_active(weight: torch.Tensor) -> torch.Tensor:
    """Make the mask of an unmasked weight, which takes no memory."""
    return torch.ones((), dtype=torch.bool, device=weight.device).expand(weight.shape)


def _by_name(masks: Any) -> MaskDict:
    """Take the masks that somebody gives: of tensors or arrays, by name; None, alone or as a value, masks nothing."""
    if masks is None:
        return {}
    if not isinstance(masks, Mapping) or not all(isinstance(name, str) for name in masks):
        raise InputError(
            f"masks must be a dict of tensors by parameter name, a callable that returns one, or {ZEROS!r}; got "
            f"{type(masks).__name__}{' with keys that are no names' if isinstance(masks, Mapping) else ''}"
        )
    found = {
        name: torch.from_numpy(m) if isinstance(m, np.ndarray) else m for name, m in masks.items() if m is not None
    }
    for name, mask in found.items():
        if not isinstance(mask, torch.Tensor):
            raise InputError(f"mask of {name!r} must be a tensor or an array, got {type(mask).__name__}")
    return found

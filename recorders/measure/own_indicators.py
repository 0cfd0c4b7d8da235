"""Indicators of a user's own, and which of those that are off until asked are on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from recorders.contract import COMBINATIONS, UPDATE_NORM, InputError, Variable, unknown_name
from recorders.measure.device_buffer import wide
from recorders.store.stored_names import STORED_NAMES

Tensors = Sequence[torch.Tensor]
Function = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Indicator:
    """A number of one's own, measured of every weight at every step; stored, averaged, compared and drawn like ours.

    Attributes
    ----------
    name : str
        Name in the store; its interval mean is ``<name>_mean``.
    function : callable
        ``function(weight, gradient, mask) -> 0-d Tensor``, called without autograd just before the update. All three
        have the weight's shape; the weight is dense, the mask 0 or 1. NaN is stored, and counted in ``remarks``.
    units : str
        Units; ``"1"`` for dimensionless.
    combine : {"norm", "sum", "mean"}
        How the tensors of a network become one number: √Σ x², Σ x, or the mean weighted by active weights.

    Raises
    ------
    InputError
        The name is no name, or one that the store uses; no such combination.
    """

    name: str
    function: Function
    units: str = "1"
    combine: str = "mean"

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name.endswith("_mean"):
            raise InputError(f"indicator {self.name!r}: name it with letters, digits, underscores, not ending in _mean")
        if self.name in STORED_NAMES or f"{self.name}_mean" in STORED_NAMES:
            raise InputError(f"indicator {self.name!r} is the name of a recorded variable: call it 'my_{self.name}'")
        if not callable(self.function):
            raise InputError(f"indicator {self.name!r} needs a function of weight, gradient and mask")
        if self.combine not in COMBINATIONS:
            raise unknown_name("combination of tensors", self.combine, COMBINATIONS)

    @property
    def variable(self) -> Variable:
        """Its contract."""
        words = f"{self.name.replace('_', ' ')}, an indicator of the user's own"
        return Variable(self.name, ("run", "record", "parameter"), words, self.units, combine=self.combine)

    def of(self, name: str, weight: torch.Tensor, gradient: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Measure one tensor; in the widest float of its device, shape ()."""
        try:
            value = self.function(weight, gradient, mask)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"indicator {self.name!r} failed for {name!r}: {reason}") from error
        if not isinstance(value, torch.Tensor) or value.ndim or value.is_complex():
            got = f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
            raise InputError(f"indicator {self.name!r} gave {got} for {name!r}: return one real number, a 0-d tensor")
        return value.to(weight.device, wide(weight.device))


@dataclass(frozen=True)
class Asked:
    """The indicators that are measured beside the usual ones: first one's own, last the norm of the update.

    Attributes
    ----------
    own : tuple of Indicator
        One's own.
    updates : bool
        Whether the norm of every step's update is measured. It needs a copy of all weights, and costs about one pass
        over them for the copy and two for the norm.
    """

    own: tuple[Indicator, ...] = ()
    updates: bool = False

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What they are in the store, in the order they are measured."""
        return (*(indicator.variable for indicator in self.own), *((UPDATE_NORM,) if self.updates else ()))

    def measured(
        self, names: Sequence[str], weights: Tensors, gradients: Tensors, masks: Sequence[torch.Tensor | None]
    ) -> torch.Tensor:
        """Measure all tensors, shape (indicator, 1, parameter); the update's norm is NaN until the update is made."""
        rows = []
        if self.own:
            laid_out = [g if g.layout is torch.strided else g.to_dense() for g in gradients]
            numbers = [_as_numbers(mask, w) for mask, w in zip(masks, weights, strict=True)]
            tensors = list(zip(names, weights, laid_out, numbers, strict=True))
            rows = [torch.stack([own.of(name, w.detach(), g, m) for name, w, g, m in tensors]) for own in self.own]
        if self.updates:
            device = weights[0].device
            rows.append(torch.full((len(names),), torch.nan, dtype=wide(device), device=device))
        return torch.stack(rows).unsqueeze(1)


def _as_numbers(mask: torch.Tensor | None, weight: torch.Tensor) -> torch.Tensor:
    """Give a mask that can be calculated with, 0 or 1; without memory where nothing is masked."""
    real = weight.dtype.to_real() if weight.is_complex() else weight.dtype
    if mask is None:
        return torch.ones((), dtype=real, device=weight.device).expand(weight.shape)
    return mask.to(real)


def asked_indicators(indicators: Iterable[Indicator | str]) -> Asked:
    """Sort out which indicators somebody asks for.

    Raises
    ------
    InputError
        An unknown name, the same name twice, or what is no `Indicator`.
    """
    listed = [indicators] if isinstance(indicators, (str, Indicator)) else list(indicators)
    for one in listed:
        if isinstance(one, str) and one != UPDATE_NORM.name:
            raise unknown_name("indicator", one, [UPDATE_NORM.name, "an Indicator of your own"])
        if not isinstance(one, (str, Indicator)):
            raise InputError(f"indicators take {UPDATE_NORM.name!r} and Indicator objects, got {type(one).__name__}")
    own = tuple(one for one in listed if isinstance(one, Indicator))
    if len({indicator.name for indicator in own}) < len(own):
        raise InputError(f"indicators have one name twice: {', '.join(indicator.name for indicator in own)}")
    return Asked(own, UPDATE_NORM.name in listed)

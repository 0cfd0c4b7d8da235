"""Measures one step of a network, also where several optimizers make it together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch

from recorders.contract import MEASURED
from recorders.loop.mask_source import MaskSource
from recorders.loop.ranks import measure_together
from recorders.loop.trained_weights import TrainedWeights
from recorders.loop.update_norms import UpdateNorms
from recorders.measure.indicators import Tensors
from recorders.measure.own_indicators import Asked

Optimizer = torch.optim.Optimizer
_PATIENCE = 100


class StepMeasure:
    """The indicators of a step, measured just before its updates.

    Parameters
    ----------
    weights : TrainedWeights
        What is recorded, and which optimizer updates it.
    masks : MaskSource
        Masks in force.
    asked : Asked
        What is measured beside the usual indicators.

    Attributes
    ----------
    unmeasured : set of int
        Positions of weights that were NaN since nobody updates them any more: no sign of divergence.
    """

    def __init__(self, weights: TrainedWeights, masks: MaskSource, asked: Asked) -> None:
        self._weights, self._masks, self._asked = weights, masks, asked
        self._updates = UpdateNorms() if asked.updates else None
        self._awaits: torch.Tensor | None = None  # a step whose last update is being made
        self._parts: dict[Optimizer, torch.Tensor] = {}
        self._again = 0  # updates by optimizers that had stepped already, while others had not
        self._done = False
        self.unmeasured: set[int] = set()

    @property
    def begins(self) -> bool:
        """Whether the next update is the first of its step."""
        return not self._parts

    def forget(self, optimizer: Optimizer) -> None:
        """Leave an optimizer out that no longer updates a recorded weight."""
        self._parts.pop(optimizer, None)

    def before(self, optimizer: Optimizer, scale: torch.Tensor | None, active: torch.Tensor) -> torch.Tensor | None:
        """Measure the weights that an optimizer is about to update.

        Parameters
        ----------
        optimizer : Optimizer
            One of those that update the recorded weights.
        scale : Tensor or None
            What the gradients are still multiplied with.
        active : Tensor, shape (1, parameter)
            Active weights.

        Returns
        -------
        Tensor of float64, shape (5 + asked, 1, parameter), or None
            As `measure` gives them, when this optimizer was the last of the step and nothing more is to come; where
            the norm of the update is asked for, `after` returns them.
        """
        values = self._before(optimizer, scale, active)
        if self._updates is None:
            return values
        parameters, columns = list(self._weights.parameters.values()), self._weights.columns.get(optimizer, [])
        self._updates.remember(columns, [parameters[i].detach() for i in columns])
        self._awaits = values
        return None

    def after(self, optimizer: Optimizer) -> torch.Tensor | None:
        """Measure the update that an optimizer has made; the whole step when that was the last of it."""
        if self._updates is None:
            return None
        parameters, columns = list(self._weights.parameters.values()), self._weights.columns.get(optimizer, [])
        masks = [self._masks.current[i] for i in columns]
        self._updates.measure(columns, [parameters[i].detach() for i in columns], masks)
        values, self._awaits = self._awaits, None
        if values is not None:
            values[-1, 0] = self._updates.row(len(parameters), values)
        return values

    def _before(self, optimizer: Optimizer, scale: torch.Tensor | None, active: torch.Tensor) -> torch.Tensor | None:
        parameters, columns = list(self._weights.parameters.values()), self._weights.columns[optimizer]
        weights = [parameters[i] for i in columns]
        gradients = [own_gradient(p) if scale is None else own_gradient(p) / scale for p in weights]
        if not columns:  # it updates biases alone
            return None
        if optimizer in self._weights.idle:  # found, not named: it belongs to a step from its first update on
            self._weights.idle.discard(optimizer)
            if self._done and self.begins:
                return None  # this one belongs to the step that was just measured
        if len(columns) == len(parameters):
            return self.whole(weights, gradients, active)
        self._again += optimizer in self._parts
        self._parts[optimizer] = self._of(weights, gradients, columns, active)
        awaited = [o for o, own in self._weights.columns.items() if own and o not in self._weights.idle]
        if self._parts.keys() >= set(awaited):
            return self._together(parameters, scale, active)
        if self._again == _PATIENCE:
            waiting = " and ".join(type(o).__name__ for o in awaited if o not in self._parts)
            warnings.warn(
                f"no step was recorded in {_PATIENCE} updates, since {waiting} took none: a step is done when the last "
                "optimizer stepped; leave out those that do not step",
                stacklevel=3,
            )
        return None

    def whole(self, weights: Tensors, gradients: Tensors, active: torch.Tensor) -> torch.Tensor:
        """Measure all weights at once; NaN for those that are no longer in the network."""
        values = self._of(weights, gradients, range(len(weights)), active)
        if self._weights.gone:
            values[:, :, self._weights.gone] = torch.nan
            self.unmeasured |= set(self._weights.gone)
        self._parts, self._again, self._done = {}, 0, True
        return values

    def _together(self, parameters: Tensors, scale: torch.Tensor | None, active: torch.Tensor) -> torch.Tensor:
        rows = len(MEASURED) + len(self._asked.variables)
        values = active.new_full((rows, 1, len(parameters)), torch.nan)
        unheld = set(range(len(parameters))) - set(self._weights.gone)
        for optimizer, part in self._parts.items():
            columns = self._weights.columns[optimizer]
            values[:, :, columns] = part
            unheld -= set(columns)
        if unheld:  # nobody updates them now, or an optimizer that steps later: their gradients, where there are any
            rest = sorted(unheld)
            weights = [parameters[i] for i in rest]
            gradients = [torch.full_like(w, torch.nan) if w.grad is None else w.grad for w in weights]
            gradients = gradients if scale is None else [g / scale for g in gradients]
            values[:, :, rest] = self._of(weights, gradients, rest, active)
            self.unmeasured |= {i for i in rest if parameters[i].grad is None}
        self.unmeasured |= set(self._weights.gone)
        self._parts, self._again, self._done = {}, 0, True
        return values

    def _of(
        self,
        weights: Tensors,
        gradients: Tensors,
        columns: Sequence[int],
        active: torch.Tensor,
    ) -> torch.Tensor:
        masks = [self._masks.current[i] for i in columns]
        values = measure_together(weights, gradients, masks, active[:, columns])
        if not self._asked.variables:
            return values
        names = list(self._weights.parameters)
        further = self._asked.measured([names[i] for i in columns], weights, gradients, masks)
        return torch.cat([values, further.to(values)])


def own_gradient(parameter: torch.Tensor) -> torch.Tensor:
    """Give a parameter's gradient, zeros where it has none."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad

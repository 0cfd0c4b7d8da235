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
    values : Tensor of float64, shape (5 + asked, 1, parameter), or None
        Of the last complete step, as `measure` gives them; None where it was not measured.
    unmeasured : set of int
        Positions of weights that were NaN since nobody updates them any more: no sign of divergence.
    """

    def __init__(self, weights: TrainedWeights, masks: MaskSource, asked: Asked) -> None:
        self._weights, self._masks, self._asked = weights, masks, asked
        self._updates = UpdateNorms() if asked.updates else None
        self._parts: dict[Optimizer, torch.Tensor | None] = {}
        self._again = 0  # updates by optimizers that had stepped already, while others had not
        self._done = False
        self._awaits_update = False
        self.values: torch.Tensor | None = None
        self.unmeasured: set[int] = set()

    @property
    def begins(self) -> bool:
        """Whether the next update is the first of its step."""
        return not self._parts

    def forget(self, optimizer: Optimizer) -> None:
        """Leave an optimizer out that no longer updates a recorded weight."""
        self._parts.pop(optimizer, None)

    def before(self, optimizer: Optimizer, scale: torch.Tensor | None) -> bool:
        """Measure the weights that an optimizer is about to update.

        Parameters
        ----------
        optimizer : Optimizer
            One of those that update the recorded weights.
        scale : Tensor or None
            What the gradients are still multiplied with.

        Returns
        -------
        bool
            Whether the step is complete, its `values` at hand: this optimizer was its last. Where the norm of the
            update is measured, it is complete `after` that.
        """
        complete = self._before(optimizer, scale)
        if self._updates is None:
            return complete
        parameters, columns = list(self._weights.parameters.values()), self._weights.columns.get(optimizer, [])
        self._updates.remember(columns, [parameters[i].detach() for i in columns])
        self._awaits_update = complete
        return False

    def after(self, optimizer: Optimizer) -> bool:
        """Measure the update that an optimizer has made; whether that completes the step."""
        if self._updates is None:
            return False
        parameters, columns = list(self._weights.parameters.values()), self._weights.columns.get(optimizer, [])
        if columns:
            places = self._masks.places_of(columns)
            self._updates.measure(columns, [parameters[i].detach() for i in columns], places)
        complete, self._awaits_update = self._awaits_update, False
        if complete and self.values is not None:
            self.values[-1, 0] = self._updates.row(len(parameters), self.values)
        return complete

    def passed(self, optimizer: Optimizer) -> bool:
        """Note that an optimizer is about to make its part of a step that is not measured; whether it is the last."""
        return self._counts(optimizer) and self._took_part(optimizer, None)

    def _before(self, optimizer: Optimizer, scale: torch.Tensor | None) -> bool:
        if not self._counts(optimizer):
            return False
        parameters, columns = list(self._weights.parameters.values()), self._weights.columns[optimizer]
        weights = [parameters[i] for i in columns]
        gradients = [own_gradient(p) if scale is None else own_gradient(p) / scale for p in weights]
        if len(columns) == len(parameters):
            self.whole(weights, gradients)
            return True
        complete = self._took_part(optimizer, self._of(weights, gradients, columns))
        if complete:
            self.values = self._together(parameters, scale)
            self._parts = {}
        return complete

    def _counts(self, optimizer: Optimizer) -> bool:
        """Whether an optimizer's update belongs to this step."""
        if not self._weights.columns[optimizer]:  # it updates biases alone
            return False
        if optimizer in self._weights.idle:  # found, not named: it belongs to a step from its first update on
            self._weights.idle.discard(optimizer)
            return not (self._done and self.begins)  # else it belongs to the step that was just measured
        return True

    def _took_part(self, optimizer: Optimizer, part: torch.Tensor | None) -> bool:
        """Note an optimizer's part; whether the step is complete with it. Parts that were not measured are dropped."""
        self._again += optimizer in self._parts
        self._parts[optimizer] = part
        awaited = [o for o, own in self._weights.columns.items() if own and o not in self._weights.idle]
        if all(other in self._parts for other in awaited):
            self.values, self._again, self._done = None, 0, True
            if part is None:
                self._parts = {}
            return True
        if self._again == _PATIENCE:
            waiting = " and ".join(type(o).__name__ for o in awaited if o not in self._parts)
            warnings.warn(
                f"no step was recorded in {_PATIENCE} updates, since {waiting} took none: a step is done when the last "
                "optimizer stepped; leave out those that do not step",
                stacklevel=3,
            )
        return False

    def whole(self, weights: Tensors, gradients: Tensors) -> torch.Tensor:
        """Measure all weights at once; NaN for those that are no longer in the network."""
        values = self._of(weights, gradients, range(len(weights)))
        if self._weights.gone:
            values[:, :, self._weights.gone] = torch.nan
            self.unmeasured |= set(self._weights.gone)
        self.values, self._parts, self._again, self._done = values, {}, 0, True
        return values

    def _together(self, parameters: Tensors, scale: torch.Tensor | None) -> torch.Tensor:
        rows = len(MEASURED) + len(self._asked.variables)
        values = self._masks.places.counts.new_full((rows, 1, len(parameters)), torch.nan)
        unheld = set(range(len(parameters))) - set(self._weights.gone)
        for optimizer, part in self._parts.items():
            columns = self._weights.columns[optimizer]
            if part is not None:
                values[:, :, columns] = part
            unheld -= set(columns)
        if unheld:  # nobody updates them now, or an optimizer that steps later: their gradients, where there are any
            rest = sorted(unheld)
            weights = [parameters[i] for i in rest]
            gradients = [torch.full_like(w, torch.nan) if w.grad is None else w.grad for w in weights]
            gradients = gradients if scale is None else [g / scale for g in gradients]
            values[:, :, rest] = self._of(weights, gradients, rest)
            self.unmeasured |= {i for i in rest if parameters[i].grad is None}
        self.unmeasured |= set(self._weights.gone)
        return values

    def _of(self, weights: Tensors, gradients: Tensors, columns: Sequence[int]) -> torch.Tensor:
        places = self._masks.places_of(columns)
        values = measure_together(weights, gradients, places)
        if not self._asked.variables:
            return values
        names = list(self._weights.parameters)
        further = self._asked.measured([names[i] for i in columns], weights, gradients, places.masks)
        return torch.cat([values, further.to(values)])


def own_gradient(parameter: torch.Tensor) -> torch.Tensor:
    """Give a parameter's gradient, zeros where it has none."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad

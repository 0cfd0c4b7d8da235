"""Measures every step that some optimizers make together, whichever they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from recorders.contract import InputError, unknown_name
from recorders.loop.mask_source import MaskSource
from recorders.loop.optimizer_steps import OptimizerSteps
from recorders.loop.step_measure import StepMeasure, own_gradient
from recorders.loop.trained_weights import TrainedWeights
from recorders.measure.own_indicators import Asked

Optimizer = torch.optim.Optimizer
Tensors = Mapping[str, torch.Tensor]


class MeasuredSteps:
    """The steps of a network, measured just before its updates; it keeps no values itself.

    Parameters
    ----------
    weights : TrainedWeights
        What is measured, and which optimizer updates it.
    masks : MaskSource
        Masks in force.
    asked : Asked
        What is measured beside the usual indicators.
    begin : callable
        Called when a step begins; returns whether it is measured, or None to leave the step out.
    take : callable
        Called when a step is complete, with what was measured of it, float64, shape (indicator, 1, parameter), or None;
        and with a tensor that is not 0 where a gradient scaler skipped the step on the device, or None.
    ended : callable
        Called when the last update of a step was made.
    """

    def __init__(
        self,
        weights: TrainedWeights,
        masks: MaskSource,
        asked: Asked,
        *,
        begin: Callable[[], bool | None],
        take: Callable[[torch.Tensor | None, torch.Tensor | None], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._weights, self._begin, self._take, self._ended = weights, begin, take, ended
        self._measure = StepMeasure(weights, masks, asked)
        self._measured: bool | None = None
        self._skipped: torch.Tensor | None = None
        self._updating: Optimizer | None = None
        self._needs_optimizers = asked.updates
        self.by_hand = not weights.columns
        self._steps = OptimizerSteps(list(weights.columns), self._before_update, self._after_update, self._adopt)

    @property
    def unmeasured(self) -> set[int]:
        """Positions of weights whose NaN is no sign of divergence."""
        return self._measure.unmeasured

    def observe(self, weights: Tensors | None, gradients: Tensors | None) -> None:
        """Measure a step of tensors that are given by name; the network's own by default."""
        if self._needs_optimizers:
            raise InputError("update_norm needs the steps of an optimizer: leave it out where you call observe()")
        self.by_hand = True
        self._weights.look()
        parameters = self._weights.parameters
        with torch.no_grad():
            measured = self._begin()
            if measured is None:
                return
            own = {name: own_gradient(p) for name, p in parameters.items()}
            chosen = _chosen("weights", weights, dict(parameters)), _chosen("gradients", gradients, own)
            self._take(self._measure.whole(*chosen) if measured else None, None)

    def close(self) -> None:
        """Follow no optimizer any more."""
        self._steps.close()

    def _adopt(self, optimizer: Optimizer) -> bool:
        """Follow an optimizer that appears while training, if it updates this network."""
        if self.by_hand or not self._weights.concerned(optimizer):
            return False
        for replaced in self._weights.take_over(optimizer):
            self._steps.drop(replaced)
            self._measure.forget(replaced)
        return optimizer in self._weights.columns

    def _before_update(self, optimizer: Optimizer) -> None:
        if self.by_hand:
            raise InputError("recorder.observe() and optimizer.step() were both called: one of them makes the records")
        # Fused optimizers unscale and skip inside their kernel: GradScaler leaves both facts on the optimizer.
        overflow, scale = getattr(optimizer, "found_inf", None), getattr(optimizer, "grad_scale", None)
        if overflow is not None and overflow.is_cpu and bool(overflow):
            return
        self._weights.note_groups(optimizer)
        if self._measure.begins:
            self._measured, self._skipped = self._begin(), None
        if self._measured is None:
            return
        self._updating = optimizer
        if not self._measured:  # most steps, where some are sampled: as little as can be
            if self._measure.passed(optimizer):
                self._take(None, None)
            return
        with torch.no_grad():
            if overflow is not None and not overflow.is_cpu:  # asking would wait for the device
                self._skipped = overflow if self._skipped is None else self._skipped + overflow
            if self._measure.before(optimizer, scale):
                self._take(self._measure.values, self._skipped)

    def _after_update(self, optimizer: Optimizer) -> None:
        updated, self._updating = self._updating is optimizer, None
        if not updated:  # skipped by GradScaler, or nobody records any more
            return
        if self._measured and self._needs_optimizers:
            with torch.no_grad():
                if self._measure.after(optimizer):
                    self._take(self._measure.values, self._skipped)
        if self._measure.begins:
            self._ended()


def _chosen(what: str, given: Tensors | None, own: dict[str, torch.Tensor]) -> Sequence[torch.Tensor]:
    """Take the tensors of a mapping in the order of the recorded weights."""
    if given is None:
        return list(own.values())
    if missing := [name for name in own if name not in given]:
        raise InputError(f"{what} lack {missing[0]!r}: give one tensor for each of {', '.join(own)}")
    for name in given:
        if name not in own:
            raise unknown_name("recorded weight", name, own)
        if given[name].shape != own[name].shape:
            raise InputError(
                f"{what}: {name!r} has shape {tuple(given[name].shape)}, the weight {tuple(own[name].shape)}"
            )
    return [given[name].detach() for name in own]

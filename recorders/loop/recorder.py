"""Turns any training loop into a recorded run."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.distributed import get_rank, is_available, is_initialized

from recorders.contract import InputError, Status, unknown_name
from recorders.loop.description import check_scalar, described_optimizers, described_run
from recorders.loop.mask_source import MaskArgument, MaskSource
from recorders.loop.optimizer_steps import OptimizerSteps
from recorders.loop.probing import LoopProbe
from recorders.loop.recording import LoopRecording
from recorders.loop.step_measure import StepMeasure, own_gradient
from recorders.loop.trained_weights import TrainedWeights, named_weights
from recorders.loop.wrappers import Optimizers, forget_compiled, plain_name, unwrapped_model, unwrapped_optimizers
from recorders.measure.activations import Activations
from recorders.measure.own_indicators import Indicator, asked_indicators
from recorders.probe.mask_probe import MaskProbe
from recorders.seeding import weights_digest
from recorders.store.names import reserved_names

_EXIST = ("error", "overwrite", "resume")
_INTERRUPTIONS = (KeyboardInterrupt, SystemExit, GeneratorExit)
Tensors = Mapping[str, torch.Tensor]


class Recorder:
    """Record gradients, weights, masks and activations of a training loop without changing a bit of it.

    Indicators (docs/store.md) are measured just before ``optimizer.step()`` updates: after `backward`, gradient
    unscaling and clipping; with a closure when it first returns. Make it before a compiled model's first call:
    `torch.compile` does not see hooks that come later, and activations would be NaN.

    Parameters
    ----------
    store : path
        Folder of the study; created when missing. Several runs, also of several processes, can share one.
    model : nn.Module
        The network, compiled or wrapped or not; its weights with more than one dimension are recorded, by the network's
        own names.
    optimizer : Optimizer or sequence of Optimizer
        Whatever steps the network. Of several, a step is done when the last of them stepped, and each weight is
        measured before its own update. None at all, ``[]``: call `observe`. Weights that none holds are not recorded.
    run : mapping
        What this run is: ``strategy`` (str), ``sparsity`` (share of weights removed), ``seed`` (int), and any further
        setting. It names the recording.
    interval : int
        Optimiser steps between records.
    total_steps : int, optional
        Steps the loop will take, when known; with fewer at its end the run is ``interrupted``.
    masks : mapping, callable or "zeros", optional
        Masks by parameter name, or a callable that returns them. Without it those that the network carries are found:
        of `torch.nn.utils.prune`, in a parametrization (`torch.ao.pruning`), a tensor ``<weight>_mask`` or ``mask``
        beside the weight; else all weights count as active. ``"zeros"``: weights that are exactly 0 at a record count
        as masked, until the next one. Where each mask came from is stored as ``mask_source``.
    probe : MaskProbe, optional
        Measures the burden of every mask update (`recorders.MaskProbe`), and again at the record that follows.
    exist : {"error", "overwrite", "resume"}
        What to do when this run was recorded before. With ``resume`` it goes on from `steps_done`; records after that
        step are taken again.
    steps_done : int, optional
        With ``resume``: optimiser steps of the checkpoint that the loop goes on from, a multiple of `interval`; 0 to
        start over. Load the checkpoint before making the recorder.

    indicators : sequence of Indicator or str
        Further ones, off until asked: of your own (`recorders.Indicator`), and ``"update_norm"``, how far a step moves
        the weights, which needs a copy of them (docs/recording.md tells the price).

    Attributes
    ----------
    step : int
        Optimiser steps recorded so far.

    Raises
    ------
    InputError
        The run exists (``error``), cannot go on from `steps_done` (``resume``), is being written by another process;
        `store` is not a study store; `model` or `optimizer` are none, or lazy; a mask does not fit.
    """

    def __new__(cls, *_: Any, **__: Any) -> Recorder:
        """In a process group only the first rank records: the same script runs on all."""
        silent = cls is Recorder and is_available() and is_initialized() and get_rank() > 0
        return super().__new__(_SilentRecorder if silent else cls)

    def __init__(
        self,
        store: str | PathLike[str],
        model: nn.Module,
        optimizer: Optimizers,
        *,
        run: Mapping[str, Any],
        interval: int = 50,
        total_steps: int | None = None,
        masks: MaskArgument = None,
        probe: MaskProbe | None = None,
        exist: str = "error",
        steps_done: int | None = None,
        indicators: Sequence[Indicator | str] = (),
    ) -> None:
        if exist not in _EXIST:
            raise unknown_name("value of exist", exist, _EXIST)
        if interval < 1 or (total_steps is not None and total_steps < 1):
            raise InputError(f"interval and total_steps must be positive, got {interval} and {total_steps}")
        if (exist == "resume") != (steps_done is not None):
            raise InputError(
                "exist='resume' and steps_done go together: say how many optimiser steps your checkpoint has done"
            )
        described = described_run(run)
        asked = asked_indicators(indicators)
        further = {variable.name for variable in asked.variables}
        if clash := further & set(described):
            raise InputError(f"{min(clash)!r} is an indicator and a setting of the run: rename one of them")
        self._reserved = reserved_names(described) | further
        network, optimizers = unwrapped_model(model), unwrapped_optimizers(optimizer)
        self._weights = TrainedWeights(network, optimizers)
        self._probe = LoopProbe(network, probe)
        self._masks = MaskSource(network, self._weights.parameters, masks)
        self._masks.refresh(thorough=False)
        self._measure = StepMeasure(self._weights, self._masks, asked)
        self._by_hand = not optimizers
        self._needs_steps = asked.updates
        if self._by_hand:
            self._check_by_hand()
        forget_compiled()
        self._activations = Activations(network)
        parameters = self._weights.parameters
        try:
            self._recording = LoopRecording(
                Path(store).expanduser().resolve(),
                described,
                {
                    "model": type(network).__name__,
                    "optimizer": described_optimizers(optimizers),
                    "not_recorded": self._weights.left_out,
                },
                shapes={name: tuple(p.shape) for name, p in parameters.items()},
                layers=[plain_name(name) for name in self._activations.layers],
                interval=interval,
                total=total_steps,
                probed=probe is not None,
                indicators=asked.variables,
                device=next(iter(parameters.values())).device,
                exist=exist,
                steps_done=steps_done or 0,
                digest=weights_digest(p for _, p in sorted(named_weights(network).items())),
            )
        except BaseException:
            self._activations.close()
            raise
        self._recording.sources = self._masks.sources, self._activations.sources
        self._take_masks()
        self._steps = OptimizerSteps(list(self._weights.columns), self._before_update, self._after_update, self._adopt)
        self._unclosed = weakref.finalize(self, self._recording.abandon)
        self._unclosed.atexit = False  # the recording sees to that, while writing still works

    @property
    def step(self) -> int:
        """Optimiser steps recorded so far."""
        return self._recording.step

    @property
    def name(self) -> str:
        """Name of the recording inside the store."""
        return self._recording.name

    def log(self, **scalars: torch.Tensor | float) -> None:
        """Keep scalars for the next record; the last value since the previous record counts.

        Parameters
        ----------
        **scalars : float or 0-d Tensor
            ``loss``, ``accuracy`` or names of your own; tensors are not synchronised.

        Raises
        ------
        InputError
            The name is one that the recorder writes itself, or the value is not one number.
        """
        for name, value in scalars.items():
            if name in self._reserved:
                raise InputError(f"cannot log {name!r}: the recorder writes it itself; choose another name")
            check_scalar(name, value)
        self._recording.check_scalars(scalars)
        self._recording.monitor.log(scalars)

    def observe(self, weights: Tensors | None = None, gradients: Tensors | None = None) -> None:
        """Take one optimiser step, in a loop without `optimizer.step()`: after `backward`, before the update.

        Parameters
        ----------
        weights, gradients : mapping of str to Tensor, optional
            By the names that are recorded; the network's parameters and their ``.grad`` by default.

        Raises
        ------
        InputError
            A name is missing or unknown; or an optimizer's steps are recorded already.
        """
        if self._recording.closed:
            raise InputError("the Recorder is closed: make a new one to record further steps")
        if not self._by_hand and self.step:
            raise InputError("the optimizer's steps are recorded already: pass optimizer=[] to use recorder.observe()")
        self._check_by_hand()
        self._by_hand = True
        parameters = self._weights.parameters
        with torch.no_grad():
            self._make_room()
            self._note_masks(thorough=self._recording.monitor.due)
            own = {name: own_gradient(p) for name, p in parameters.items()}
            chosen = _chosen("weights", weights, dict(parameters)), _chosen("gradients", gradients, own)
            self._observe(self._measure.whole(*chosen, self._recording.monitor.active))

    def _check_by_hand(self) -> None:
        if self._needs_steps:
            raise InputError("update_norm needs the steps of an optimizer: leave it out where you call observe()")

    def flush(self) -> None:
        """Write all records taken so far, and wait for it: call it before saving a checkpoint to resume from.

        Raises
        ------
        RunError
            Something could not be written.
        """
        self._recording.monitor.commit()

    def close(self, failure: str = "") -> None:
        """Write everything, the final masks and the run's state; the recording is then compacted.

        Parameters
        ----------
        failure : str
            Why the run failed; empty when it ended as it should.

        Raises
        ------
        InputError
            Not one step was recorded; the run is marked as failed.
        """
        if self._recording.closed:
            return
        self._end(Status.FAILED if failure else Status.COMPLETE, failure)
        if not (failure or self._recording.monitor.records):
            raise InputError(
                f"run {self.name!r} of {self._recording.store} has no record: the recorded optimizer took no step "
                "before the recorder was closed; check the loop and its data (a loop without optimizer.step() calls "
                "recorder.observe()), then record the run again"
            )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif not self._recording.closed:
            stopped = issubclass(kind, _INTERRUPTIONS)
            self._end(Status.INTERRUPTED if stopped else Status.FAILED, " ".join(f"{kind.__name__}: {error}".split()))

    def _end(self, status: Status, reason: str) -> None:
        self._unclosed.detach()
        self._steps.close()
        self._activations.close()
        self._weights.look()
        status, reason = self._recording.judged(status, reason)
        if status is Status.COMPLETE:
            self._recording.monitor.finish_interval()  # of the masks its steps were taken with
        self._note_masks(thorough=True, ended=True)
        self._recording.end(status, reason)

    def _adopt(self, optimizer: torch.optim.Optimizer) -> bool:
        """Follow an optimizer that appears while training, if it updates this network."""
        if self._by_hand or not self._weights.concerned(optimizer):
            return False
        for replaced in self._weights.take_over(optimizer):
            self._steps.drop(replaced)
            self._measure.forget(replaced)
        return optimizer in self._weights.columns

    def _before_update(self, optimizer: torch.optim.Optimizer) -> None:
        if self._recording.closed:  # another Recorder took the run over
            return
        if self._by_hand:
            raise InputError("recorder.observe() and optimizer.step() were both called: one of them makes the records")
        # Fused optimizers unscale and skip inside their kernel: GradScaler leaves both facts on the optimizer.
        overflow, scale = getattr(optimizer, "found_inf", None), getattr(optimizer, "grad_scale", None)
        if overflow is not None and bool(overflow):
            return
        with torch.no_grad():
            self._weights.note_groups(optimizer)
            if self._measure.begins:
                self._make_room()
                self._note_masks(thorough=self._recording.monitor.due)
            self._recording.monitor.log(self._rates())
            values = self._measure.before(optimizer, scale, self._recording.monitor.active)
            if values is not None:
                self._observe(values)

    def _after_update(self, optimizer: torch.optim.Optimizer) -> None:
        if self._recording.closed:
            return
        with torch.no_grad():
            values = self._measure.after(optimizer)
            if values is not None:
                self._observe(values)

    def _observe(self, values: torch.Tensor) -> None:
        monitor = self._recording.monitor
        monitor.unmeasured = self._measure.unmeasured
        monitor.activations(self._activations.take(values).unsqueeze(0))
        if monitor.observed(values):
            self._activations.warn()
            self._probe.relax()

    def _rates(self) -> dict[str, torch.Tensor | float]:
        """Learning rate of every parameter group: the first is ``learning_rate``, then ``learning_rate_1`` and on."""
        groups = [group for optimizer in self._weights.columns for group in optimizer.param_groups]
        rates = {}
        for k, group in enumerate(groups):
            rate = group.get("lr")
            rates[f"learning_rate_{k}" if k else "learning_rate"] = torch.nan if rate is None else rate
        return rates

    def _make_room(self) -> None:
        if self._recording.is_full:
            self._recording.roll_over()
            self._probe.forget()
            self._take_masks()

    def _note_masks(self, *, thorough: bool, ended: bool = False) -> None:
        before = self._masks.current
        changed = self._masks.refresh(thorough=thorough, ended=ended)
        if changed is None:
            return
        self._take_masks()
        update = self._recording.monitor.update(*changed)
        self._probe.look(update, self._masks.as_dict(before), self._recording.masks)

    def _take_masks(self) -> None:
        self._recording.monitor.set_masks(self._masks.current)
        self._recording.masks = self._masks.as_dict(self._masks.current)


class _SilentRecorder(Recorder):
    """Takes the place of a Recorder on all ranks but the first: it measures and writes nothing."""

    step, name = 0, ""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Hold nothing."""

    def log(self, **scalars: torch.Tensor | float) -> None:
        """Drop it."""

    def observe(self, weights: Tensors | None = None, gradients: Tensors | None = None) -> None:
        """Drop it."""

    def flush(self) -> None:
        """Have nothing to write."""

    def close(self, failure: str = "") -> None:
        """Have nothing to end."""

    def __exit__(self, *_: object) -> None:
        """Have nothing to end."""


def _chosen(what: str, given: Tensors | None, own: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Take the tensors of a mapping in the order of the recorded weights."""
    if given is None:
        return list(own.values())
    if missing := [name for name in own if name not in given]:
        raise InputError(f"{what} lack {missing[0]!r}: give one tensor for each of {', '.join(own)}")
    for name in given:
        if name not in own:
            raise unknown_name("recorded weight", name, own)
    return [given[name].detach() for name in own]

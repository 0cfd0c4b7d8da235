"""Turns any training loop into a recorded run."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import torch
from torch import nn

from recorders.contract import InputError, Status, unknown_name
from recorders.loop.description import check_scalar, described_optimizers, described_run
from recorders.loop.mask_source import MaskArgument, MaskSource
from recorders.loop.measured_steps import MeasuredSteps
from recorders.loop.probing import LoopProbe
from recorders.loop.ranks import check_sharded, is_first_rank, is_sharded, meet, whole
from recorders.loop.recording import LoopRecording
from recorders.loop.trained_weights import TrainedWeights, named_weights
from recorders.loop.wrappers import Optimizers, forget_compiled, plain_name, unwrapped_model, unwrapped_optimizers
from recorders.measure.activations import Activations
from recorders.measure.own_indicators import Indicator, asked_indicators
from recorders.measure.sampled_steps import SampledSteps, default_sampling
from recorders.probe.mask_probe import MaskProbe
from recorders.seeding import weights_digest
from recorders.store.signals import STOPPED
from recorders.store.stored_names import reserved_names
from recorders.store.writer import Durability

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
    sample_every : int, optional
        Measure one step of every so many for the interval means, drawn from the run's seed, and the recorded steps; 1
        measures every step (`recorders.SampledSteps`). By default 1 up to an interval of 10, then ``interval // 10``.
    total_steps : int, optional
        Steps the loop will take, when known: activations then cost least, and the last step is recorded; with fewer at
        its end the run is ``interrupted``. Without it the last record is of the last step that was measured.
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

    lock : bool
        False where the file system has no locks: then it is yours to see that no other process records this run.
    durability : {"process", "power"}
        What a commit outlives: the death of this process, or a power cut too, for which every file is synchronised
        (docs/reliability.md tells the price).
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
        silent = cls is Recorder and not is_first_rank()
        return super().__new__(_SilentRecorder if silent else cls)

    def __init__(
        self,
        store: str | PathLike[str],
        model: nn.Module,
        optimizer: Optimizers,
        *,
        run: Mapping[str, Any],
        interval: int = 50,
        sample_every: int | None = None,
        total_steps: int | None = None,
        masks: MaskArgument = None,
        probe: MaskProbe | None = None,
        exist: str = "error",
        steps_done: int | None = None,
        indicators: Sequence[Indicator | str] = (),
        lock: bool = True,
        durability: Durability = "process",
    ) -> None:
        if durability not in get_args(Durability):
            raise unknown_name("durability", durability, get_args(Durability))
        if exist not in _EXIST:
            raise unknown_name("value of exist", exist, _EXIST)
        if interval < 1 or (total_steps is not None and total_steps < 1):
            raise InputError(f"interval and total_steps must be positive, got {interval} and {total_steps}")
        if sample_every is not None and not 1 <= sample_every <= interval:
            raise InputError(f"sample_every {sample_every} must be between 1 and the interval, {interval}")
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
        if asked.updates and not optimizers:
            raise InputError("update_norm needs the steps of an optimizer: leave it out where you call observe()")
        self._weights = TrainedWeights(network, optimizers)
        check_sharded(network, masks=masks, probe=probe, indicators=asked.variables)
        self._probe = LoopProbe(network, probe)
        self._masks = MaskSource(network, self._weights.parameters, masks)
        self._masks.refresh(thorough=False)
        meet(network)
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
                sample_every=sample_every or default_sampling(interval),
                total=total_steps,
                probed=probe is not None,
                indicators=asked.variables,
                device=next(iter(parameters.values())).device,
                exist=exist,
                steps_done=steps_done or 0,
                digest=_digest(network),
                lock=lock,
                durability=durability,
            )
        except BaseException:
            self._activations.close()
            raise
        self._recording.sources = self._masks.sources, self._activations.sources
        self._take_masks()
        self._activations.arm(self._recording.monitor.may_be_recorded)
        self._steps = MeasuredSteps(
            self._weights,
            self._masks,
            asked,
            begin=self._begin_step,
            take=self._take_step,
            ended=self._activations.forget,
        )
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
        self._recording.monitor.log(scalars)  # a flush in the middle of it takes nothing that it writes

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
        if not self._steps.by_hand and self.step:
            raise InputError("the optimizer's steps are recorded already: pass optimizer=[] to use recorder.observe()")
        self._steps.observe(weights, gradients)

    def flush(self) -> None:
        """Write all records taken so far, and wait for it: call it before saving a checkpoint to resume from.

        Raises
        ------
        RunError
            Something could not be written.
        """
        if not self._recording.is_mine:
            return
        with self._recording.signals:
            with torch.no_grad():  # an update between this step and the next belongs to the checkpoint
                self._note_masks(thorough=True, between_steps=True)
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
        if self._recording.closed or not self._recording.is_mine:
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
        elif self._recording.stopped:
            self._end(Status.INTERRUPTED, STOPPED)
        else:
            stopped = issubclass(kind, _INTERRUPTIONS)
            self._end(Status.INTERRUPTED if stopped else Status.FAILED, " ".join(f"{kind.__name__}: {error}".split()))

    def _end(self, status: Status, reason: str) -> None:
        if self._recording.closed or not self._recording.is_mine:
            return
        with self._recording.signals:
            self._unclosed.detach()
            self._steps.close()
            self._activations.close()
            self._weights.look()
            status, reason = self._recording.judged(status, reason)
            if status is Status.COMPLETE:
                self._recording.monitor.finish_interval()  # of the masks its steps were taken with
            self._note_masks(thorough=True, between_steps=True)
            self._recording.end(status, reason)

    def _begin_step(self) -> bool | None:
        if self._recording.closed:  # another Recorder took the run over
            return None
        with self._recording.signals:
            return self._begun()

    def _begun(self) -> bool:
        if self._recording.is_full:
            self._recording.roll_over()
            self._probe.forget()
            self._take_masks()
        monitor = self._recording.monitor
        due = monitor.due
        self._note_masks(thorough=due)
        if due:  # with the weights that the record is of, before any is updated
            with torch.no_grad():
                self._probe.relax()
        return due or monitor.measures

    def _take_step(self, values: torch.Tensor | None, skipped: torch.Tensor | None) -> None:
        with self._recording.signals:
            self._take(values, skipped)

    def _take(self, values: torch.Tensor | None, skipped: torch.Tensor | None) -> None:
        monitor = self._recording.monitor
        if monitor.may_be_recorded:
            if not self._steps.by_hand:
                monitor.log(self._weights.rates())
            monitor.unmeasured = self._steps.unmeasured
            monitor.activations(self._activations.take(monitor.active).unsqueeze(0))
        if monitor.observed(values, skipped):
            self._activations.warn()
        self._activations.arm(monitor.may_be_recorded)

    def _note_masks(self, *, thorough: bool, between_steps: bool = False) -> None:
        before = self._masks.current
        changed = self._masks.refresh(thorough=thorough, between_steps=between_steps)
        if changed is None:
            return
        self._take_masks()
        update = self._recording.monitor.update(*changed)
        with torch.no_grad():
            self._probe.look(update, self._masks.as_dict(before), self._recording.masks)

    def _take_masks(self) -> None:
        self._recording.monitor.set_masks(self._masks.places)
        self._recording.masks = self._masks.as_dict(self._masks.current)


class _SilentRecorder(Recorder):
    """Takes the place of a Recorder on all ranks but the first: it writes nothing.

    It measures only where parameters are spread over ranks: then each adds its share.
    """

    step, name = 0, ""

    def __init__(
        self,
        _: Any,
        model: nn.Module,
        optimizer: Optimizers,
        *,
        run: Mapping[str, Any],
        interval: int = 50,
        sample_every: int | None = None,
        total_steps: int | None = None,
        masks: MaskArgument = None,
        steps_done: int | None = None,
        **others: Any,
    ) -> None:
        """Hold nothing, or what is needed to measure its share."""
        network = unwrapped_model(model)
        self._share: MeasuredSteps | None = None
        if is_sharded(network):
            weights = TrainedWeights(network, unwrapped_optimizers(optimizer))
            refused = {name: others.get(name) for name in ("probe", "indicators")}
            check_sharded(network, masks=masks, **refused)
            self._masks = MaskSource(network, weights.parameters, masks)
            self._masks.refresh(thorough=False)
            meet(network)
            _digest(network)
            self._steps_done, every = steps_done or 0, sample_every or default_sampling(interval)
            sampled = partial(SampledSteps, [described_run(run)["seed"]], interval=interval, every=every)
            self._sampling, self._total = sampled(total=total_steps), total_steps
            self._beyond = sampled(start=total_steps or 0)
            self._share = MeasuredSteps(
                weights, self._masks, asked_indicators(()), begin=self._begin_step, take=lambda *_: None
            )

    def log(self, **scalars: torch.Tensor | float) -> None:
        """Drop it."""

    def observe(self, weights: Tensors | None = None, gradients: Tensors | None = None) -> None:
        """Measure this rank's share, or nothing."""
        if self._share is not None:
            self._share.observe(weights, gradients)

    def flush(self) -> None:
        """Have nothing to write."""

    def close(self, failure: str = "") -> None:
        """Measure no more."""
        if self._share is not None:
            self._share.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin_step(self) -> bool:
        if self._steps_done == self._total:  # where the first rank goes on in a second recording
            self._sampling = self._beyond
        # As thorough as the first rank is, at the same steps: all must measure under one mask.
        self._masks.refresh(thorough=self._sampling.is_recorded(self._steps_done))
        self._steps_done += 1
        return self._sampling.measures(self._steps_done - 1)


def _digest(network: nn.Module) -> str:
    """Digest of the weights by name, the same before and after they are pruned."""
    return weights_digest(whole(p) for _, p in sorted(named_weights(network).items()))

"""Turns any training loop into a recorded run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from recorders.contract import InputError, Status, unknown_name
from recorders.loop.description import check_optimizer, described_optimizer, described_run, recording_name
from recorders.loop.mask_source import MaskArgument, MaskSource
from recorders.loop.probing import LoopProbe
from recorders.loop.resumption import rewind
from recorders.measure.activations import Activations
from recorders.measure.monitor import Monitor
from recorders.networks.layers import prunable_parameters
from recorders.probe.mask_probe import MaskProbe
from recorders.seeding import weights_digest
from recorders.settings.naming import continuation_name, continuations
from recorders.store.compaction import compact, consolidate
from recorders.store.layout import Layout, record_steps
from recorders.store.lock import exclusive
from recorders.store.names import reserved_names
from recorders.store.provenance import provenance
from recorders.store.recording import create_recording, note_resumption
from recorders.store.recovery import recover, remove
from recorders.store.root import open_root, recording_names
from recorders.store.writer import RecordingWriter

# Room for a loop of unknown length: unwritten chunks cost no file, and a second recording starts beyond.
CAPACITY = 2**20
_EXIST = ("error", "overwrite", "resume")


class Recorder:
    """Record gradients, weights, masks and activations of a training loop without changing a bit of it.

    Indicators (docs/store.md) are measured in a pre-hook of ``optimizer.step()``: after `backward`, gradient
    unscaling and clipping, before the update. Make it before a compiled model's first call: `torch.compile` does not
    see hooks that come later, and activations would be NaN.

    Parameters
    ----------
    store : path
        Folder of the study; created when missing. Several runs, also of several processes, can share one.
    model : nn.Module
        The network; its weights with more than one dimension are recorded.
    optimizer : torch.optim.Optimizer
        The optimizer that steps the network.
    run : mapping
        What this run is: ``strategy`` (str), ``sparsity`` (share of weights removed), ``seed`` (int), and any further
        setting. It names the recording.
    interval : int
        Optimiser steps between records.
    total_steps : int, optional
        Steps the loop will take, when known.
    masks : mapping or callable, optional
        Masks by parameter name, or a callable that returns them. Without it the masks of `torch.nn.utils.prune` are
        used, else all weights count as active.
    probe : MaskProbe, optional
        Measures the burden of every mask update (`recorders.MaskProbe`), and again at the record that follows.
    exist : {"error", "overwrite", "resume"}
        What to do when this run was recorded before. With ``resume`` it goes on from `steps_done`; records after that
        step are taken again.
    steps_done : int, optional
        With ``resume``: optimiser steps of the checkpoint that the loop goes on from, a multiple of `interval`; 0 to
        start over. Load the checkpoint before making the recorder.

    Attributes
    ----------
    step : int
        Optimiser steps recorded so far.

    Raises
    ------
    InputError
        The run exists (``error``), cannot go on from `steps_done` (``resume``), is being written by another process;
        `store` is not a study store; `optimizer` does not hold the model's weights; a mask does not
        fit.
    """

    def __init__(
        self,
        store: str | PathLike[str],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        run: Mapping[str, Any],
        interval: int = 50,
        total_steps: int | None = None,
        masks: MaskArgument = None,
        probe: MaskProbe | None = None,
        exist: str = "error",
        steps_done: int | None = None,
    ) -> None:
        if exist not in _EXIST:
            raise unknown_name("value of exist", exist, _EXIST)
        if interval < 1 or (total_steps is not None and total_steps < 1):
            raise InputError(f"interval and total_steps must be positive, got {interval} and {total_steps}")
        if (exist == "resume") != (steps_done is not None):
            raise InputError(
                "exist='resume' and steps_done go together: say how many optimiser steps your checkpoint has done"
            )
        self._store = Path(store)
        self._run = described_run(run)
        self._reserved = reserved_names(self._run)
        self._interval, self._total = interval, total_steps
        self._parameters = prunable_parameters(model)
        check_optimizer(optimizer, self._parameters)
        self._probed, self._probe = probe is not None, LoopProbe(model, probe)
        self._sources = MaskSource(model, self._parameters, masks)
        self._sources.refresh(thorough=False)
        self._digest = weights_digest(p for _, p in model.named_parameters())
        self._about = {"model": type(model).__name__, "optimizer": described_optimizer(optimizer)}
        self._open = ExitStack()
        try:
            self._activations = Activations(model)
            self._open.callback(self._activations.close)
            self._start(exist, steps_done or 0)
            hook = optimizer.register_step_pre_hook(self._before_step)
            self._open.callback(hook.remove)
        except BaseException:
            self._open.close()
            raise
        self._closed = False

    @property
    def step(self) -> int:
        """Optimiser steps recorded so far."""
        return self._monitor.step

    @property
    def name(self) -> str:
        """Name of the recording inside the store."""
        return self._name

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
            if not name.isidentifier():
                raise InputError(f"cannot log {name!r}: name it with letters, digits and underscores")
            if isinstance(value, torch.Tensor) and value.numel() != 1:
                raise InputError(f"cannot log {name!r} of shape {tuple(value.shape)}: log one number")
        self._monitor.log(scalars)

    def flush(self) -> None:
        """Write all records taken so far, and wait for it: call it before saving a checkpoint to resume from.

        Raises
        ------
        RunError
            Something could not be written.
        """
        self._monitor.commit()

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
        if self._closed:
            return
        self._closed = True
        with self._open:
            self._finish(failure)
            compact(self._store, self._name)
            consolidate(self._store)
        if not (failure or self._monitor.records):
            raise InputError(
                f"run {self._name!r} of {self._store} has no record: the recorded optimizer took no step before the "
                "recorder was closed; check the loop and its data, then record the run again with exist='overwrite'"
            )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("" if kind is None else " ".join(f"{kind.__name__}: {error}".split()))

    def _start(self, exist: str, steps_done: int) -> None:
        open_root(self._store, create=True)
        base = recording_name(self._run)
        self._open.enter_context(exclusive(self._store, base))  # its continuations are under this lock too
        recover(self._store, base)
        names = recording_names(self._store)
        parts = [name for name in [base, *continuations(base, names)] if name in names]
        if parts and exist == "error":
            raise InputError(
                f"{self._store} already holds run {base!r}: pass exist='overwrite' or exist='resume', "
                "or describe the run differently"
            )
        if exist == "overwrite":
            for name in reversed(parts):
                remove(self._store, name)
            parts = []
        self._name = parts[-1] if parts else base
        self._offset = int(self._name.rpartition("-from-step-")[2]) if len(parts) > 1 else 0
        if steps_done and not parts:
            raise InputError(f"{self._store} holds no run {base!r} to resume: leave exist and steps_done out")
        self._begin(self._rewound(steps_done) if parts else None)

    def _rewound(self, steps_done: int) -> tuple[int, int]:
        writer, what = RecordingWriter(self._store, self._name, [0]), f"run {self._name!r} of {self._store}"
        left = rewind(
            writer,
            self._layout(),
            what=what,
            steps_done=steps_done,
            offset=self._offset,
            interval=self._interval,
            digest=self._digest,
        )
        if steps_done:
            self._digest = writer.initial_weights(0)
        note_resumption(self._store, self._name, provenance())
        return left

    def _begin(self, resume_at: tuple[int, int] | None) -> None:
        layout = self._layout()
        if resume_at is None:
            config = {"run": self._run, "interval": self._interval, "total_steps": self._total, **self._about}
            if self._offset:
                config["continues"] = recording_name(self._run)
            create_recording(self._store, self._name, layout, config=config, provenance=provenance())
        self._writer = RecordingWriter(self._store, self._name, [0])
        if resume_at is None or not self._offset + sum(resume_at):
            self._writer.begin([self._digest])
        else:
            self._writer.set_status(0, Status.RUNNING)
        self._steps, self._updates = layout.steps, layout.updates
        self._monitor = Monitor(
            self._writer,
            sizes=[p.numel() for p in self._parameters.values()],
            layers=len(layout.layers),
            runs=1,
            interval=self._interval,
            device=next(iter(self._parameters.values())).device,
            stacked=False,
            start=resume_at or (0, 0),
            offset=self._offset,
        )
        self._monitor.set_masks(self._sources.current)

    def _layout(self) -> Layout:
        remaining = None if self._total is None else self._total - self._offset
        known = remaining is not None and remaining > 0
        steps = record_steps(self._interval, remaining if known else CAPACITY * self._interval)  # type: ignore[arg-type]
        return Layout(
            runs=[self._run | {"run_id": self._name}],
            parameters={name: tuple(p.shape) for name, p in self._parameters.items()},
            layers=self._activations.layers,
            steps=steps + self._offset,
            updates=self._total or CAPACITY,
            probed=self._probed,
        )

    def _before_step(self, optimizer: torch.optim.Optimizer, arguments: Any, keywords: Any) -> None:
        if any(callable(a) for a in (*arguments[1:], *keywords.values())):
            raise InputError("optimizer.step(closure) cannot be recorded: gradients appear only inside it")
        # Fused optimizers unscale and skip inside their kernel: GradScaler leaves both facts on the optimizer.
        overflow, scale = getattr(optimizer, "found_inf", None), getattr(optimizer, "grad_scale", None)
        if overflow is not None and bool(overflow):
            return
        with torch.no_grad():
            if self.step >= self._steps[-1] or self._monitor.updates == self._updates:
                self._roll_over()
            self._note_masks(thorough=self._monitor.due)
            weights = list(self._parameters.values())
            gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
            if scale is not None:
                gradients = [g / scale for g in gradients]
            self._monitor.log({"learning_rate": float(optimizer.param_groups[0]["lr"])})
            self._monitor.activations(self._activations.take(weights[0]).unsqueeze(0))
            if self._monitor.observe(weights, gradients, self._sources.current):
                self._probe.relax()

    def _note_masks(self, *, thorough: bool) -> None:
        before = self._sources.current
        changed = self._sources.refresh(thorough=thorough)
        if changed is None:
            return
        self._monitor.set_masks(self._sources.current)
        update = self._monitor.update(*changed)
        self._probe.look(update, self._sources.as_dict(before), self._sources.as_dict(self._sources.current))

    def _roll_over(self) -> None:
        """Go on in a second recording: arrays are never resized."""
        self._finish("", last=False)
        compact(self._store, self._name)
        self._probe.forget()
        self._offset = self.step
        self._name = continuation_name(recording_name(self._run), self._offset)
        self._begin(None)

    def _finish(self, failure: str, *, last: bool = True) -> None:
        if not failure:
            self._monitor.finish_interval()  # of the masks its steps were taken with
        if last:
            self._note_masks(thorough=True)
        self._monitor.close()
        masks = self._sources.as_dict(self._sources.current)
        self._writer.write_masks(0, {name: mask.cpu().numpy() for name, mask in masks.items()})
        if 0 < self._monitor.records <= len(self._steps):
            steps = self._steps[: self._monitor.records].copy()
            steps[-1] = min(steps[-1], self.step)
            self._writer.write_steps(steps)
        if failure or not self._monitor.records:
            self._writer.set_status(0, Status.FAILED, failure or "the optimizer took no step")
        elif self._monitor.diverged[0]:
            self._writer.set_status(0, Status.DIVERGED, "loss or gradients are not finite")
        else:
            self._writer.set_status(0, Status.COMPLETE)

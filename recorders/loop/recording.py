"""One run of somebody's own loop in the store: begun, gone on with, continued beyond its arrays, ended.

Knows nothing of the network, so that it can be finished when the network is gone.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch

from recorders.contract import BurdenError, InputError, RunError, Status, Variable
from recorders.loop.description import check_names, check_scalar_name, recording_name, sparsity_remark
from recorders.loop.resumption import rewind
from recorders.measure.fused_sums import summed_by
from recorders.measure.monitor import Monitor
from recorders.measure.sampled_steps import SampledSteps
from recorders.settings.naming import continuation_name, continuations
from recorders.store.layout import Layout, record_steps
from recorders.store.lock import exclusive
from recorders.store.provenance import provenance
from recorders.store.recording import create_recording, note_resumption
from recorders.store.recovery import recover, remove
from recorders.store.root import open_root, recording_names
from recorders.store.signals import STOPPED, SignalListener
from recorders.store.writer import Durability, RecordingWriter
from recorders.upkeep.compaction import compact, consolidate
from recorders.upkeep.packed import packed_with
from recorders.upkeep.verification import Harm, recording_findings

# Room for a loop of unknown length: unwritten chunks cost no file, and a second recording starts beyond.
CAPACITY = 2**20


class LoopRecording:
    """A run of a loop, open for writing under a lock of its own.

    Parameters
    ----------
    store : Path
        Folder of the study; absolute.
    run : mapping
        The checked description.
    about : mapping
        What is said of model and optimizer.
    shapes : mapping of str to tuple of int
        Recorded weights.
    layers : sequence of str
        Hidden layers.
    interval : int
        Steps between records.
    sample_every : int
        One step of so many is measured for the means.
    total : int or None
        Steps of the loop, when known.
    probed : bool
        Whether mask updates are probed.
    indicators : sequence of Variable
        What is measured beside the usual ones.
    device : torch.device
        Where the weights are.
    exist : {"error", "overwrite", "resume"}
        What to do with a run that the store holds.
    steps_done : int
        Where to go on.
    digest : str
        Of the weights that the loop begins with.
    lock : bool
        Whether the recording is locked against other processes.
    durability : {"process", "power"}
        What a commit outlives.

    Attributes
    ----------
    store : Path
        Folder of the study.
    name : str
        Of the recording.
    monitor : Monitor
        Measures and writes.
    masks : dict of str to Tensor
        Those in force, by weight; the last ones are kept with the run.
    signals : SignalListener
        What is done inside it is not cut by a signal.
    stopped : bool
        Whether SIGTERM came, and nobody let the loop go on.

    Raises
    ------
    InputError
        The run exists, cannot go on from there, or is being written by another process.
    """

    def __init__(
        self,
        store: Path,
        run: Mapping[str, Any],
        about: Mapping[str, Any],
        *,
        shapes: Mapping[str, tuple[int, ...]],
        layers: Sequence[str],
        interval: int,
        sample_every: int,
        total: int | None,
        probed: bool,
        indicators: Sequence[Variable],
        device: torch.device,
        exist: str,
        steps_done: int,
        digest: str,
        lock: bool = True,
        durability: Durability = "process",
    ) -> None:
        self.monitor: Monitor
        self.store, self._run, self._about = store, run, about
        self._shapes, self._layers, self._probed, self._indicators = shapes, layers, probed, indicators
        self._interval, self._total, self._device = interval, total, device
        self._sample_every = sample_every
        self._digest, self._durability = digest, durability
        self._sizes = {name: int(torch.Size(shape).numel()) for name, shape in shapes.items()}
        self.masks: dict[str, torch.Tensor] = {}
        self.sources: tuple[Mapping[str, str], Mapping[str, str]] = {}, {}  # of masks and of activations
        self.closed = self.stopped = False
        self.signals = SignalListener(lambda: self.monitor.commit(), self._stop)
        self.name = self._base = recording_name(run)
        self._process = os.getpid()
        self._scalars: set[str] = set()
        _close_earlier(self._key)
        self._open = ExitStack()
        try:
            open_root(store, create=True)
            # Its continuations are under this lock too.
            self._open.enter_context(exclusive(store, self._base, lock=lock))
            check_names(store, run, indicators, but=self._base)
            self._start(exist, steps_done)
        except BaseException:
            self._open.close()
            raise
        _OPEN[self._key] = self
        self.signals.open()

    @property
    def step(self) -> int:
        """Optimiser steps recorded so far."""
        return self.monitor.step

    @property
    def is_mine(self) -> bool:
        """Whether this process made it: a forked child must leave it alone."""
        return os.getpid() == self._process

    @property
    def is_full(self) -> bool:
        """Whether its arrays have no room for a further step or mask update."""
        return self.monitor.step >= self._last or self.monitor.updates == self._updates

    def roll_over(self) -> None:
        """Go on in a second recording: arrays are never resized."""
        self.monitor.finish_interval()
        self._write_end(Status.COMPLETE, "")
        compact(self.store, self.name)
        self._offset = self.step
        self.name = continuation_name(self._base, self._offset)
        self._begin(None)

    def judged(self, status: Status, reason: str) -> tuple[Status, str]:
        """Judge how a loop ended: with fewer steps than it said it would take it was interrupted."""
        if status is Status.COMPLETE and self._total is not None and 0 < self.step < self._total:
            return Status.INTERRUPTED, f"stopped after {self.step} of {self._total} steps"
        return status, reason

    def check_scalars(self, names: Iterable[str]) -> None:
        """Refuse to log under a name that another run of the store has as a setting: it would no longer open."""
        for name in names:
            if name in self._scalars:
                continue
            check_scalar_name(self.store, name, but=self.name)
            self._scalars.add(name)

    def end(self, status: Status, reason: str = "") -> None:
        """Write everything, the masks and the state, and let go of the run; a forked child cannot end its parent's."""
        if self.closed or not self.is_mine:
            return
        self.closed = True
        _OPEN.pop(self._key, None)
        with self.signals:
            self.signals.close()
            with self._open:
                self._check_there()
                self._write_end(status, reason)
                compact(self.store, self.name)
                consolidate(self.store)
        if self.stopped and status is Status.INTERRUPTED:
            how = "make it again with exist='resume' and the steps_done of your checkpoint to go on"
            sys.stderr.write(f"recorders: {self._base} of {self.store} was {STOPPED} after step {self.step}: {how}\n")

    def abandon(self) -> None:
        """End a run that nobody closed; in the process that made it alone, and never into a store that is gone."""
        try:
            self.end(Status.INTERRUPTED, STOPPED if self.stopped else "the Recorder was not closed")
        except BurdenError as error:
            sys.stderr.write(f"recorders: {self._base} of {self.store}: {error}\n")

    def _stop(self, stopping: bool) -> None:
        self.stopped = stopping
        status, reason = (Status.INTERRUPTED, STOPPED) if stopping else (Status.RUNNING, "")
        self._writer.set_status(0, status, reason)

    @property
    def _key(self) -> tuple[Path, str]:
        return self.store, self._base

    def _write_end(self, status: Status, reason: str) -> None:
        self.monitor.close()
        self._writer.write_masks(0, {name: mask.cpu().numpy() for name, mask in self.masks.items()})
        if status is Status.COMPLETE and 0 < self.monitor.records <= len(self._steps):
            steps = self._steps[: self.monitor.records].copy()
            steps[-1] = min(steps[-1], self.step - self.monitor.left_out)
            self._writer.write_steps(steps)
        if status is Status.COMPLETE and not self.monitor.records:
            status, reason = Status.FAILED, "the optimizer took no step"
        elif status is Status.COMPLETE and self.monitor.diverged[0]:
            status, reason = Status.DIVERGED, "loss or gradients are not finite"
        masks, activations = self.sources
        self._writer.write_sources(0, list(masks.values()), list(activations.values()))
        self._remark(ended=status is Status.COMPLETE)
        self._writer.set_status(0, status, reason)

    def _remark(self, *, ended: bool) -> None:
        """Store what a reader should know; say aloud that a run is not as sparse as its description has it."""
        texts = [f"{name} was NaN {count} times" for name, count in self.monitor.nan_counts().items()]
        if skips := self.monitor.scaler_skips():
            texts.append(f"{skips} measured steps were skipped by the gradient scaler: NaN at a record, in no mean")
        if ended and self.monitor.left_out:
            texts.append(f"its last {self.monitor.left_out} steps were not measured: total_steps was not told")
        active = {name: int(mask.sum()) for name, mask in self.masks.items()}
        if ended and (text := sparsity_remark(self._run["sparsity"], active, self._sizes)):
            texts.insert(0, text)
            warnings.warn(f"{self._base}: {text}", stacklevel=2)
        self._writer.write_remark(0, "; ".join(texts))

    def _check_there(self) -> None:
        if not (self.store / self.name / "zarr.json").exists():
            with suppress(BurdenError):
                self.monitor.close()
            raise RunError(f"{self.store} no longer holds {self.name!r}: it was moved or deleted while it was recorded")

    def _start(self, exist: str, steps_done: int) -> None:
        recover(self.store, self._base)
        names = recording_names(self.store)
        parts = [name for name in [self._base, *continuations(self._base, names)] if name in names]
        if exist != "overwrite":
            self._check_undamaged(parts)
        if parts and exist == "error" and not self._is_empty(parts):
            raise InputError(
                f"{self.store} already holds run {self._base!r}: pass exist='overwrite' or exist='resume', "
                "or describe the run differently"
            )
        if not parts and (packed := packed_with(self.store, self._base)):
            raise InputError(
                f"{self.store} already holds run {self._base!r} in the packed recording {packed!r}, where it can be "
                "neither overwritten nor resumed: describe the run differently, or choose another store"
            )
        if exist != "resume":
            for name in reversed(parts):
                remove(self.store, name)
            parts = []
        self.name = parts[-1] if parts else self._base
        self._offset = int(self.name.rpartition("-from-step-")[2]) if len(parts) > 1 else 0
        if steps_done and not parts:
            raise InputError(f"{self.store} holds no run {self._base!r} to resume: leave exist and steps_done out")
        self._begin(self._rewound(steps_done) if parts else None)

    def _check_undamaged(self, parts: Sequence[str]) -> None:
        for part in parts:
            for finding in recording_findings(self.store, part):
                if finding.harm in (Harm.RECORDING, Harm.RUNS):
                    raise InputError(
                        f"{finding.place} {finding.what}, so run {self._base!r} of {self.store} cannot go on: restore "
                        "the file from a copy, or pass exist='overwrite'"
                    )

    def _is_empty(self, parts: Sequence[str]) -> bool:
        """Whether an earlier try ended without a record: nothing is lost with it."""
        writer = RecordingWriter(self.store, parts[0], [0])
        return len(parts) == 1 and not writer.records_written()[0] and writer.status(0) is not Status.COMPLETE

    def _rewound(self, steps_done: int) -> tuple[int, int]:
        writer, what = RecordingWriter(self.store, self.name, [0]), f"run {self.name!r} of {self.store}"
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
        note_resumption(self.store, self.name, provenance(sums=summed_by()))
        return left

    def _begin(self, resume_at: tuple[int, int] | None) -> None:
        layout = self._layout()
        if resume_at is None:
            config = {"run": self._run, "interval": self._interval, "total_steps": self._total, **self._about}
            config["sample_every"] = self._sample_every
            if self._offset:
                config["continues"] = self._base
            create_recording(self.store, self.name, layout, config=config, provenance=provenance(sums=summed_by()))
        self._writer = RecordingWriter(self.store, self.name, [0], self._durability)
        if resume_at is None or not self._offset + sum(resume_at):
            self._writer.begin([self._digest])
        else:
            self._writer.set_status(0, Status.RUNNING)
        self._steps, self._updates = layout.steps, layout.updates
        self._last = int(layout.steps[-1])
        self.monitor = Monitor(
            self._writer,
            sizes=self._sizes,
            layers=len(self._layers),
            runs=1,
            sampling=SampledSteps(
                [self._run["seed"]],
                interval=self._interval,
                every=self._sample_every,
                start=self._offset,
                total=self._total,
            ),
            device=self._device,
            start=resume_at or (0, 0),
            offset=self._offset,
            indicators=self._indicators,
        )
        if resume_at is not None:
            self.monitor.diverged[0] = self._writer.diverged(0)

    def _layout(self) -> Layout:
        remaining = None if self._total is None else self._total - self._offset
        known = remaining is not None and remaining > 0
        steps = record_steps(self._interval, remaining if known else CAPACITY * self._interval)  # type: ignore[arg-type]
        return Layout(
            runs=[dict(self._run) | {"run_id": self.name}],
            parameters=dict(self._shapes),
            layers=list(self._layers),
            steps=steps + self._offset,
            updates=self._total or CAPACITY,
            probed=self._probed,
            indicators=self._indicators,
            sample_every=self._sample_every,
        )


_OPEN: dict[tuple[Path, str], LoopRecording] = {}  # of this process


def _close_earlier(key: tuple[Path, str]) -> None:
    """End what this process still records under the same name: a notebook's cell that is run again."""
    earlier = _OPEN.get(key)
    if earlier is not None:
        warnings.warn(
            f"an earlier Recorder of this process still recorded {key[1]!r} into {key[0]}: it is closed", stacklevel=4
        )
        earlier.abandon()


def _end_all() -> None:
    for recording in list(_OPEN.values()):
        recording.abandon()


# `atexit` is too late: by then zarr's threads take no more work. This is called when the main thread has ended.
threading._register_atexit(_end_all)  # type: ignore[attr-defined]

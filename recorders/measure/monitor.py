"""Accumulates the indicators of a run (or of a stack of runs) step by step and streams them into a recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from recorders.contract import MEASURED, Variable, magnitudes, mean_name
from recorders.measure.active_places import ActivePlaces
from recorders.measure.background import BackgroundWriter
from recorders.measure.device_buffer import HostCopier, RowBuffer, wide
from recorders.measure.mask_updates import MaskUpdate, update_columns
from recorders.measure.sampled_steps import SampledSteps
from recorders.store.layout import RECORDS_PER_CHUNK
from recorders.store.writer import RecordingWriter

_FLUSH_SECONDS = 30.0  # a slow loop must not lose an hour of records to a kill
_ALL_LOSSES = ""  # the sum of what was logged as loss since the last record: finite when each was
Scalars = Mapping[str, torch.Tensor | float]


class Monitor:
    """Takes what is measured of optimiser steps, records at every interval, writes in whole chunks.

    Parameters
    ----------
    writer : RecordingWriter
        Where records go; its rows are the runs of the stack.
    sizes : mapping of str to int
        Number of weights of every prunable tensor, by name.
    layers : int
        Number of hidden layers.
    runs : int
        Number of runs in the stack.
    sampling : SampledSteps
        When records are taken, and which steps are measured.
    device : torch.device
        Where the tensors live.
    start : tuple of int
        Records and mask updates committed before (resumed recordings).
    offset : int
        Steps done before the recording's first one.
    indicators : sequence of Variable
        What is measured beside `MEASURED`.

    Attributes
    ----------
    due, measures, may_be_recorded : bool
        Of the next step: whether a record is taken of it, whether it is measured (it is recorded, or drawn for an
        interval mean), and whether a record may turn out to be of it.
    """

    def __init__(
        self,
        writer: RecordingWriter,
        *,
        sizes: Mapping[str, int],
        layers: int,
        runs: int,
        sampling: SampledSteps,
        device: torch.device,
        start: tuple[int, int] = (0, 0),
        offset: int = 0,
        indicators: Sequence[Variable] = (),
    ) -> None:
        names = [variable.name for variable in (*MEASURED, *indicators)]
        self._table = (*names, *map(mean_name, names), "active_weights")
        self._asked = names[len(MEASURED) :]
        self.records, self.updates = start
        self.step = offset + self.records * sampling.interval
        self.diverged = np.zeros(runs, dtype=bool)
        self.unmeasured: set[int] = set()  # weights whose NaN is no divergence
        self._writer = writer
        rescaling = magnitudes(sizes)
        self._counted = [i for i, name in enumerate(sizes) if name not in rescaling]
        self._total = sum(size for name, size in sizes.items() if name not in rescaling) or np.nan
        self._sampling, self._runs = sampling, runs
        self._parameters, self._layers = len(sizes), layers
        shape = (len(names), runs, len(sizes))
        self._sums = torch.zeros(shape, dtype=wide(device), device=device)
        self._latest = torch.full(shape, torch.nan, dtype=wide(device), device=device)
        self._mean_squares = torch.full((runs, layers), torch.nan, device=device)
        self._scalars: dict[str, torch.Tensor | float] = {}
        self.active = torch.zeros(shape[1:], dtype=wide(device), device=device)
        self._active_then = self.active
        self._in_interval = 0
        self._measured_at = -1  # steps before the one that the latest values are of
        self.left_out = 0  # steps after the last record, when the loop has ended
        self._stood_for, self._sampled = [0] * runs, [0] * runs  # steps; measured ones
        self._skipped = torch.zeros((2, runs), dtype=wide(device), device=device)  # of these, by a gradient scaler
        self._scaler_skips = torch.zeros((), device=device)
        self._losses = torch.zeros(runs, dtype=wide(device), device=device)
        self._copier = HostCopier(device)
        self._nans = torch.zeros(len(self._asked), device=device)
        columns = len(self._table) * len(sizes) + layers
        self._buffer = RowBuffer(RECORDS_PER_CHUNK, (runs, columns), device, self._copier)
        self._waiting: list[dict[str, torch.Tensor | float]] = []
        self._waiting_updates: list[MaskUpdate] = []
        self._flushed = time.monotonic()
        self._background = BackgroundWriter()
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Say what the next step is: asked for several times, and in most steps the only thing to do."""
        self.due = self._sampling.is_recorded(self.step)
        self.measures = self._sampling.measures(self.step)
        self.may_be_recorded = self._sampling.may_be_recorded(self.step)

    def nan_counts(self) -> dict[str, int]:
        """Count the values of every further indicator that were NaN; those without are left out."""
        counts = zip(self._asked, self._nans.tolist(), strict=True)
        return {name: int(count) for name, count in counts if count}

    def scaler_skips(self) -> int:
        """Count the measured steps that a gradient scaler skipped on the device."""
        return int(self._scaler_skips)

    def set_masks(self, places: ActivePlaces) -> None:
        """Tell the masks in force from the next step on."""
        self.active = places.counts

    def log(self, scalars: Scalars) -> None:
        """Keep scalars for the next record: floats, or tensors with one value per run (copied: loops reuse them)."""
        for name, value in scalars.items():
            self._scalars[name] = value.detach().clone() if isinstance(value, torch.Tensor) else float(value)
        if "loss" in scalars:
            loss = self._scalars["loss"]
            if isinstance(loss, torch.Tensor):
                loss = loss.reshape(-1).to(self._losses, non_blocking=True)
            self._losses += loss

    def activations(self, mean_squares: torch.Tensor) -> None:
        """Keep the mean square of every hidden layer's output, shape (run, layer), for the next record."""
        self._mean_squares = mean_squares

    def observed(self, values: torch.Tensor | None, skipped: torch.Tensor | None = None) -> bool:
        """Take an optimiser step.

        Parameters
        ----------
        values : Tensor of float64, shape (indicator, run, parameter), or None
            What `measure` and further indicators gave; None for a step that is not measured.
        skipped : Tensor, shape (), optional
            Not 0 where the step was skipped by a gradient scaler on the device: it is left out of means.

        Returns
        -------
        bool
            Whether a record was taken.
        """
        if values is not None:
            self._latest, self._measured_at, self._active_then = values, self.step, self.active
            if skipped is not None:
                self._latest = torch.where(skipped != 0, torch.nan, values)
                self._scaler_skips += skipped != 0
            self._add(values, self._sampling.stands_for(self.step), skipped)
            if self._asked:
                self._nans += values[len(MEASURED) :].isnan().sum((1, 2))
        self.step += 1
        self._in_interval += 1
        self._look_ahead()
        if self._in_interval == self._sampling.interval:
            self.record()
            return True
        return False

    def _add(self, values: torch.Tensor, stands_for: list[int], skipped: torch.Tensor | None) -> None:
        """Add a measured step to the means, as often as the steps it stands for."""
        if not any(stands_for):
            return
        self._stood_for = [sum(pair) for pair in zip(self._stood_for, stands_for, strict=True)]
        self._sampled = [n + (steps > 0) for n, steps in zip(self._sampled, stands_for, strict=True)]
        if skipped is None and len(set(stands_for)) == 1:
            self._sums.add_(values, alpha=stands_for[0])
            return
        shares = torch.tensor(stands_for, dtype=values.dtype).to(values.device, non_blocking=True)
        if skipped is not None:
            lost = shares * (skipped != 0)
            self._skipped += torch.stack([lost, lost.sign()])
            shares = shares - lost
        shares = shares.unsqueeze(1)
        self._sums += torch.where(shares > 0, values * shares, 0)  # what is not drawn may be NaN

    @torch.no_grad()
    def record(self) -> None:
        """Take a record of the step measured last."""
        if self._must_flush():
            self.flush()
        counted = torch.tensor([self._stood_for, self._sampled], dtype=self._sums.dtype)
        counted = counted.to(self._sums.device, non_blocking=True) - self._skipped
        means = self._sums / counted[0].unsqueeze(1)
        table = torch.cat([self._latest, means, self._active_then.unsqueeze(0)]).transpose(0, 1).flatten(1)
        self._buffer.push(torch.cat([table, self._mean_squares.to(table.dtype).sqrt()], dim=1))
        counts: dict[str, torch.Tensor | float] = {"interval_steps": float(self._in_interval)}
        counts |= {"sampled_steps": counted[1], _ALL_LOSSES: self._losses}
        self._waiting.append({**self._scalars, **counts})
        self._scalars, self._losses = {}, torch.zeros_like(self._losses)
        self._mean_squares = torch.full_like(self._mean_squares, torch.nan)
        self._sums.zero_()
        self._skipped.zero_()
        self._stood_for, self._sampled = [0] * self._runs, [0] * self._runs
        self._in_interval = 0
        self.records += 1

    @torch.no_grad()
    def finish_interval(self) -> None:
        """Record a last, shorter interval when steps were observed since the last record.

        It ends with the last step that was measured; the steps after that are `left_out`.
        """
        began = self.step - self._in_interval
        if not self._in_interval or self._measured_at < began:
            self.left_out = self._in_interval
            return
        self.left_out = self.step - 1 - self._measured_at
        stood_for = self._sampling.stands_for(self._measured_at)
        taken = self._sampling.taken(self._measured_at)
        cut = [taken - n if n else 0 for n in stood_for]  # the block ended before its size was reached
        if not any(self._stood_for):
            cut = [taken] * self._runs  # none was drawn, so this one stands for all
            self._sampled = [1] * self._runs
        if any(cut):
            shares = torch.tensor(cut, dtype=self._sums.dtype).to(self._sums.device).unsqueeze(1)
            self._sums += torch.where(shares != 0, self._latest * shares, 0)
            self._stood_for = [a + b for a, b in zip(self._stood_for, cut, strict=True)]
        self._in_interval -= self.left_out
        self.record()

    def amend(self, scalars: Scalars) -> None:
        """Add scalars to the record taken last (an evaluation after its update)."""
        self._waiting[-1].update(scalars)

    def update(
        self, regrown: torch.Tensor, pruned: torch.Tensor, present: npt.NDArray[np.bool_] | None = None
    ) -> MaskUpdate:
        """Note a mask update at this step; counts of shape (run, parameter), for the runs that are `present`."""
        everyone = np.ones(self._runs, dtype=bool)
        noted = MaskUpdate(self.step, everyone if present is None else present, torch.stack([regrown, pruned]))
        self._waiting_updates.append(noted)
        self.updates += 1
        return noted

    def flush(self) -> None:
        """Hand everything that waits to the writing thread."""
        open_at = (i for i, update in enumerate(self._waiting_updates) if not update.closed)
        ready = self._waiting_updates[: next(open_at, None)]
        first_update = self.updates - len(self._waiting_updates)
        del self._waiting_updates[: len(ready)]
        records, self._waiting = self._waiting, []
        start = self.records - self._buffer.rows
        rows = self._buffer.take()
        scalars = self._scalar_columns(records)
        counts = self._copier.start(torch.stack([u.counts for u in ready], dim=2))[0] if ready else None
        self._flushed = time.monotonic()
        unmeasured = sorted(self.unmeasured)

        def write() -> None:
            if counts is not None:
                self._writer.write_updates(first_update, update_columns(counts(), ready))
            if records:
                columns = self._table_columns(rows()) | scalars()
                self._note_divergence(columns, columns.pop(_ALL_LOSSES), unmeasured)
                self._writer.write_records(start, columns)

        self._background.submit(write)

    def commit(self) -> None:
        """Write what was recorded so far and wait for it; mask updates that wait for the next record stay."""
        self.flush()
        self._background.wait()

    def close(self) -> None:
        """Write everything and wait for it; steps since the last record are left out (see `finish_interval`)."""
        for update in self._waiting_updates:
            update.closed = True
        try:
            self.flush()
        finally:
            self._background.close()

    def _must_flush(self) -> bool:
        at_chunk_end = self.records % RECORDS_PER_CHUNK == 0 and self._buffer.rows > 0
        return at_chunk_end or (self._buffer.rows > 0 and time.monotonic() - self._flushed > _FLUSH_SECONDS)

    def _table_columns(self, rows: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        by_run = rows.transpose(1, 0, 2)  # (run, record, column)
        split = len(self._table) * self._parameters
        table = by_run[:, :, :split].reshape(*by_run.shape[:2], len(self._table), self._parameters)
        columns = {name: table[:, :, i] for i, name in enumerate(self._table)}
        columns["actual_sparsity"] = 1 - columns["active_weights"][:, :, self._counted].sum(axis=2) / self._total
        if self._layers:
            columns["activation_rms"] = by_run[:, :, split:]
        return columns

    def _scalar_columns(self, records: Sequence[Scalars]) -> Callable[[], dict[str, npt.NDArray[np.float64]]]:
        """Start copying the logged tensors out, all at once; the result puts them in their columns."""
        held = [(name, i, v) for i, scalars in enumerate(records) for name, v in scalars.items()]
        tensors = [v.to(self._sums).reshape(-1) for _, _, v in held if isinstance(v, torch.Tensor)]
        fetch = self._copier.start(torch.stack(tensors))[0] if tensors else None

        def columns() -> dict[str, npt.NDArray[np.float64]]:
            result = {name: np.full((self._runs, len(records)), np.nan) for name, _, _ in held}
            copied = iter(fetch() if fetch is not None else ())
            for name, i, value in held:
                result[name][:, i] = next(copied) if isinstance(value, torch.Tensor) else value
            return result

        return columns

    def _note_divergence(
        self,
        columns: Mapping[str, npt.NDArray[np.float64]],
        losses: npt.NDArray[np.float64],
        unmeasured: list[int],
    ) -> None:
        means = np.delete(columns["dense_gradient_norm_mean"], unmeasured, axis=2)
        measured = columns["sampled_steps"][:, :, None] > 0  # of a cut interval perhaps no step was drawn
        self.diverged |= (measured & ~np.isfinite(means)).any(axis=(1, 2)) | ~np.isfinite(losses).all(axis=1)

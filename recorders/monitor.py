"""Accumulates the indicators of a run (or of a stack of runs) step by step and streams them into a recording."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from recorders.background import BackgroundWriter
from recorders.contract import MEASURED, mean_name
from recorders.indicators import Tensors, count_active, measure
from recorders.layout import RECORDS_PER_CHUNK
from recorders.rows import Fetch, RowBuffer
from recorders.writer import RecordingWriter

_FLUSH_SECONDS = 30.0  # a slow loop must not lose an hour of records to a kill
_TABLE = (*(v.name for v in MEASURED), *(mean_name(v.name) for v in MEASURED), "active_weights")

Scalars = Mapping[str, torch.Tensor | float]


@dataclass
class _Update:
    step: int
    regrown: torch.Tensor
    pruned: torch.Tensor


@dataclass
class _Pending:
    """Host-side part of the records that wait in the device buffer."""

    scalars: list[dict[str, torch.Tensor | float]] = field(default_factory=list)
    updates: list[_Update] = field(default_factory=list)


class Monitor:
    """Measures at every optimiser step, records at every interval, writes in whole chunks.

    Parameters
    ----------
    writer : RecordingWriter
        Where records go; its rows are the runs of the stack.
    sizes : sequence of int
        Number of weights of every prunable tensor.
    layers : int
        Number of hidden layers.
    runs : int
        Number of runs in the stack.
    interval : int
        Steps between records.
    device : torch.device
        Where the tensors live.
    stacked : bool
        Whether tensors carry a leading run axis.
    start : tuple of int
        Records and mask updates committed before (resumed recordings).
    """

    def __init__(
        self,
        writer: RecordingWriter,
        *,
        sizes: Sequence[int],
        layers: int,
        runs: int,
        interval: int,
        device: torch.device,
        stacked: bool,
        start: tuple[int, int] = (0, 0),
    ) -> None:
        self.records, self.updates = start
        self.step = self.records * interval
        self.diverged = np.zeros(runs, dtype=bool)
        self._writer = writer
        self._total = sum(sizes)
        self._interval, self._stacked, self._runs = interval, stacked, runs
        self._parameters, self._layers = len(sizes), layers
        shape = (len(MEASURED), runs, len(sizes))
        self._sums = torch.zeros(shape, dtype=torch.float64, device=device)
        self._latest = torch.full(shape, torch.nan, dtype=torch.float64, device=device)
        self._mean_squares = torch.full((runs, layers), torch.nan, device=device)
        self._scalars: dict[str, torch.Tensor | float] = {}
        self._active = torch.zeros(shape[1:], dtype=torch.float64, device=device)
        self._in_interval = 0
        self._buffer = RowBuffer(RECORDS_PER_CHUNK, (runs, len(_TABLE) * len(sizes) + layers), device)
        self._pending = _Pending()
        self._flushed = time.monotonic()
        self._background = BackgroundWriter()

    @property
    def due(self) -> bool:
        """Whether the next observed step completes an interval."""
        return self._in_interval + 1 == self._interval

    def set_masks(self, masks: Tensors) -> None:
        """Tell the masks in force from the next step on."""
        self._active = count_active(masks, stacked=self._stacked)

    def log(self, scalars: Scalars) -> None:
        """Keep scalars for the next record: floats, or tensors with one value per run."""
        for name, value in scalars.items():
            self._scalars[name] = value.detach() if isinstance(value, torch.Tensor) else float(value)

    def activations(self, mean_squares: torch.Tensor) -> None:
        """Keep the mean square of every hidden layer's output, shape (run, layer), for the next record."""
        self._mean_squares = mean_squares

    @torch.no_grad()
    def observe(self, weights: Tensors, gradients: Tensors, masks: Tensors) -> bool:
        """Measure one optimiser step, after `backward` and before the update.

        Returns
        -------
        bool
            Whether a record was taken.
        """
        self._latest = measure(weights, gradients, masks, self._active, stacked=self._stacked)
        self._sums += self._latest
        self.step += 1
        self._in_interval += 1
        if self._in_interval == self._interval:
            self.record()
            return True
        return False

    @torch.no_grad()
    def record(self) -> None:
        """Take a record of the step observed last."""
        if self._must_flush():
            self.flush()
        means = self._sums / self._in_interval
        table = torch.cat([self._latest, means, self._active.unsqueeze(0)]).transpose(0, 1).flatten(1)
        self._buffer.push(torch.cat([table, self._mean_squares.to(torch.float64).sqrt()], dim=1))
        self._pending.scalars.append({**self._scalars, "interval_steps": float(self._in_interval)})
        self._scalars = {}
        self._sums.zero_()
        self._in_interval = 0
        self.records += 1

    def finish_interval(self) -> None:
        """Record a last, shorter interval when steps were observed since the last record."""
        if self._in_interval:
            self.record()

    def amend(self, scalars: Scalars) -> None:
        """Add scalars to the record taken last (an evaluation after its update)."""
        self._pending.scalars[-1].update(scalars)

    def update(self, regrown: torch.Tensor, pruned: torch.Tensor) -> None:
        """Note a mask update at this step; counts of shape (run, parameter)."""
        self._pending.updates.append(_Update(self.step, regrown, pruned))
        self.updates += 1

    def flush(self) -> None:
        """Hand everything that waits to the writing thread."""
        pending, self._pending = self._pending, _Pending()
        rows = self._buffer.rows
        fetch = self._buffer.take()
        start, updates_start = self.records - rows, self.updates - len(pending.updates)
        self._flushed = time.monotonic()
        self._background.submit(lambda: self._write(fetch, start, pending, updates_start))

    def close(self, *, partial: bool = True) -> None:
        """Record a last, shorter interval when `partial`, write everything and wait for it.

        Raises
        ------
        RunError
            Something could not be written.
        """
        try:
            if partial:
                self.finish_interval()
            self.flush()
        finally:
            self._background.close()

    def _must_flush(self) -> bool:
        at_chunk_end = self.records % RECORDS_PER_CHUNK == 0 and self._buffer.rows > 0
        return at_chunk_end or (self._buffer.rows > 0 and time.monotonic() - self._flushed > _FLUSH_SECONDS)

    def _write(self, fetch: Fetch, start: int, pending: _Pending, updates_start: int) -> None:
        if pending.updates:
            self._writer.write_updates(updates_start, self._update_columns(pending.updates))
        if pending.scalars:
            columns = self._table_columns(fetch())
            columns |= self._scalar_columns(pending.scalars)
            self._note_divergence(columns, pending.scalars)
            self._writer.write_records(start, columns)

    def _table_columns(self, rows: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        by_run = rows.transpose(1, 0, 2)  # (run, record, column)
        split = len(_TABLE) * self._parameters
        table = by_run[:, :, :split].reshape(*by_run.shape[:2], len(_TABLE), self._parameters)
        columns = {name: table[:, :, i] for i, name in enumerate(_TABLE)}
        columns["actual_sparsity"] = 1 - columns["active_weights"].sum(axis=2) / self._total
        if self._layers:
            columns["activation_rms"] = by_run[:, :, split:]
        return columns

    def _scalar_columns(self, records: Sequence[Scalars]) -> dict[str, npt.NDArray[np.float64]]:
        columns: dict[str, npt.NDArray[np.float64]] = {}
        for name in dict.fromkeys(name for scalars in records for name in scalars):
            column = columns[name] = np.full((self._runs, len(records)), np.nan)
            held = [(i, scalars[name]) for i, scalars in enumerate(records) if name in scalars]
            tensors = [(i, v.double().reshape(-1)) for i, v in held if isinstance(v, torch.Tensor)]
            if tensors:
                column[:, [i for i, _ in tensors]] = torch.stack([v for _, v in tensors], dim=1).cpu().numpy()
            for i, value in held:
                if not isinstance(value, torch.Tensor):
                    column[:, i] = value
        return columns

    def _note_divergence(self, columns: Mapping[str, npt.NDArray[np.float64]], records: Sequence[Scalars]) -> None:
        finite = np.isfinite(columns["dense_gradient_norm_mean"]).all(axis=(1, 2))
        if "loss" in columns:
            logged = ["loss" in scalars for scalars in records]
            finite &= np.isfinite(columns["loss"][:, logged]).all(axis=1)
        self.diverged |= ~finite

    def _update_columns(self, updates: Sequence[_Update]) -> dict[str, npt.NDArray[np.float64]]:
        steps = np.array([[u.step for u in updates]] * self._runs, dtype=np.float64)
        return {
            "regrown": torch.stack([u.regrown for u in updates], dim=1).cpu().double().numpy(),
            "pruned": torch.stack([u.pruned for u in updates], dim=1).cpu().double().numpy(),
            "update_step": steps,
        }

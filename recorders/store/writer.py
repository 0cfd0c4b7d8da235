"""Writes the records of some runs of one recording; the only code that writes into an existing recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from recorders.contract import RunError, Status
from recorders.store.disk import disk_errors
from recorders.store.layout import RECORDS_PER_CHUNK, Layout
from recorders.store.recording import create_series
from recorders.store.stored_names import ACTIVATION_SOURCE, MASK_SOURCE, MASKS, REMARKS, mask_array, user_scalar

Columns = Mapping[str, npt.NDArray[Any]]


class RecordingWriter:
    """Some runs of one recording, opened for writing.

    Two writers may work on one recording at the same time when their runs lie in different chunks.

    Parameters
    ----------
    store : Path
        Folder of the study.
    name : str
        The recording.
    rows : sequence of int
        Positions along ``run`` that this writer owns; contiguous.
    """

    def __init__(self, store: Path, name: str, rows: Sequence[int]) -> None:
        self.path = store / name
        self.rows = _contiguous(rows)
        self._group = zarr.open_group(self.path, mode="r+", use_consolidated=False)
        self._arrays: dict[str, zarr.Array[Any]] = {}

    def of(self, rows: Sequence[int]) -> RecordingWriter:
        """Write other runs of the recording, which is not opened again."""
        other = copy(self)
        other.rows = _contiguous(rows)
        return other

    def write_records(self, start: int, columns: Columns) -> None:
        """Write whole records, then commit them: `records_written` is written last."""
        stop = start
        with disk_errors(self.path):
            for name, values in columns.items():
                stop = start + values.shape[1]
                self._array(name)[self.rows, start:stop] = values
            self._array("records_written")[self.rows] = stop

    def write_updates(self, start: int, columns: Columns) -> None:
        """Write what happened at mask updates, then commit them; `columns` of shape (run, update, ...)."""
        with disk_errors(self.path):
            for name, values in columns.items():
                self._array(name)[self.rows, start : start + values.shape[1]] = values
            updated = np.isfinite(columns["update_step"])
            for row in np.flatnonzero(updated.any(axis=1)):  # static runs of a stack have none
                self._array("updates_written")[self.rows.start + int(row)] = start + updated.shape[1]

    def write_overlap(self, row: int, overlap: npt.NDArray[np.float64]) -> None:
        """Write how near a run's masks were to its final one, shape (update,); known only at the end."""
        with disk_errors(self.path):
            self._array("overlap")[row, : len(overlap)] = overlap

    def rewind(self, row: int, records: int, after: int) -> int:
        """Forget the records of a run but for the first ones, and its mask updates after a step."""
        committed = int(self.records_written()[row - self.rows.start])
        written = int(np.asarray(self._array("updates_written")[row]))
        left = int((np.asarray(self._array("update_step")[row, :written]) <= after).sum())
        with disk_errors(self.path):
            self._array("records_written")[row] = records
            self._array("updates_written")[row] = left
            for name, array in self._group.arrays():
                if getattr(array.metadata, "dimension_names", ())[:2] == ("run", "record"):
                    # What was logged then may not be logged again; a kill may have cut one chunk that came after.
                    self._array(name)[row, records : committed + RECORDS_PER_CHUNK] = np.nan
        return left

    def write_masks(self, row: int, masks: Mapping[str, npt.NDArray[np.bool_]]) -> None:
        """Write the final masks of one run, by parameter name; what was never masked is True without being written."""
        arrays = [f"{MASKS}/{mask_array(name)}" for name in masks]
        with disk_errors(self.path):
            # A recording that version 0.1.0 began is False where nothing is written; one of an earlier try is written.
            needed = not all(self._array(array).fill_value for array in arrays[:1])
            for array, mask in zip(arrays, masks.values(), strict=True):
                if needed or not mask.all() or (self.path / array / "c" / str(row)).exists():
                    self._array(array)[row] = mask

    def read_masks(self, row: int) -> dict[str, npt.NDArray[np.bool_]]:
        """Read the final masks of one run, by parameter name."""
        group = self._group[MASKS]
        assert isinstance(group, zarr.Group)
        return {str(a.attrs.get("parameter", name)): np.asarray(a[row], dtype=bool) for name, a in group.arrays()}

    def write_sources(self, row: int, masks: Sequence[str], activations: Sequence[str]) -> None:
        """Write where the masks of one run came from and what its activations are of, in stored order."""
        with disk_errors(self.path):
            for name, texts in ((MASK_SOURCE, masks), (ACTIVATION_SOURCE, activations)):
                if texts and name in self._group:  # older recordings that are taken up again have none
                    self._array(name)[row] = np.array(texts, dtype=object)

    def write_remark(self, row: int, text: str) -> None:
        """Write what a reader of one run should know."""
        with disk_errors(self.path):
            if REMARKS in self._group:
                self._array(REMARKS)[row] = text

    def write_steps(self, steps: npt.NDArray[np.int64]) -> None:
        """Correct the steps of the records (a loop of unknown length ended inside an interval)."""
        with disk_errors(self.path):
            self._array("step")[: len(steps)] = steps

    def begin(self, checksums: Sequence[str]) -> None:
        """Start the runs over: nothing committed, status ``running``."""
        with disk_errors(self.path):
            self._array("records_written")[self.rows] = 0
            self._array("updates_written")[self.rows] = 0
            self._array("initial_weights")[self.rows] = np.array(checksums, dtype=object)
        for row in range(self.rows.start, self.rows.stop):
            self.set_status(row, Status.RUNNING)

    def set_status(self, row: int, status: Status, reason: str = "") -> None:
        """Set the state of one run; the reason first, so that a reader never sees a failure without one."""
        with disk_errors(self.path):
            self._array("status_reason")[row] = reason
            self._array("status")[row] = status.value

    def status(self, row: int) -> Status:
        """State of one run."""
        return Status(str(np.asarray(self._array("status")[row])))

    def records_written(self) -> npt.NDArray[np.int64]:
        """Return the records committed for each of this writer's runs, shape (run,)."""
        return np.asarray(self._array("records_written")[self.rows])

    def diverged(self, row: int) -> bool:
        """Whether a record of a run, so far, holds no finite gradient; some are NaN where nobody trains a weight."""
        records = int(np.asarray(self._array("records_written")[row]))
        norms = np.asarray(self._array("dense_gradient_norm_mean")[row, :records])
        return bool((~np.isfinite(norms)).all(axis=1).any())

    def initial_weights(self, row: int) -> str:
        """Digest of the weights that one run began with."""
        return str(np.asarray(self._array("initial_weights")[row]))

    def fits(self, layout: Layout) -> bool:
        """Whether the recording was made for the same parameters, records, sampling and indicators."""
        measured = {name for name, array in self._group.arrays() if "combine" in array.attrs}
        return (
            [str(n) for n in np.asarray(self._array("parameter")[:])] == list(layout.parameters)
            and np.array_equal(np.asarray(self._array("step")[:]), layout.steps)
            and self._group.attrs.get("sample_every", 1) == layout.sample_every
            and measured == {variable.name for variable in layout.variables if variable.combine}
        )

    def _array(self, name: str) -> zarr.Array[Any]:
        if not (self.path / "zarr.json").exists():  # writing would make a stump of it
            raise RunError(f"{self.path} is gone: it was moved or deleted while it was recorded")
        if name not in self._arrays:
            try:
                array = self._group[name]
            except KeyError:
                self._create_scalar(name)
                array = self._group[name]
            assert isinstance(array, zarr.Array)
            self._arrays[name] = array
        return self._arrays[name]

    def _create_scalar(self, name: str) -> None:
        series = user_scalar(name)
        like = self._array("loss")
        sizes = dict(zip(("run", "record"), like.shape, strict=True))
        try:
            create_series(self._group, series, sizes, (like.chunks[0], RECORDS_PER_CHUNK))
        except zarr.errors.ContainsArrayError:  # another run of the recording logs it too
            return


def _contiguous(rows: Sequence[int]) -> slice:
    found = slice(rows[0], rows[-1] + 1)
    if list(rows) != list(range(found.start, found.stop)):
        raise ValueError(f"rows must be contiguous, got {list(rows)}")
    return found

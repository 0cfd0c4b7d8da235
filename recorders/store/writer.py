"""Writes the records of some runs of one recording; the only code that writes into an existing recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr

from recorders.contract import (
    ABSENT,
    COMMITS,
    MANIFEST,
    MARKS,
    TEXTS,
    Commit,
    InputError,
    RunError,
    Status,
    listed_checksum,
    plain_nans,
    row_checksums,
    text_checksum,
)
from recorders.store.commits import added_rows, cut_rows
from recorders.store.disk import disk_errors
from recorders.store.files import RecordingFiles
from recorders.store.layout import RECORDS_PER_CHUNK, Layout
from recorders.store.manifest import changing, mask_checksums
from recorders.store.recording import series_metadata
from recorders.store.recovery import clear_rows
from recorders.store.stored_names import ACTIVATION_SOURCE, MASK_SOURCE, MASKS, REMARKS, mask_array, user_scalar

Columns = Mapping[str, npt.NDArray[Any]]
Durability = Literal["process", "power"]


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
    durability : {"process", "power"}
        What a commit outlives: the death of this process, or a power cut too (every file is synchronised first).
    """

    def __init__(self, store: Path, name: str, rows: Sequence[int], durability: Durability = "process") -> None:
        self.path = store / name
        self.rows = _contiguous(rows)
        self._files = RecordingFiles(self.path)
        self._group = zarr.open_group(self._files, mode="r+", use_consolidated=False)
        self._synced = durability == "power"
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self._commits: dict[int, Commit] = {}

    def of(self, rows: Sequence[int]) -> RecordingWriter:
        """Write other runs of the recording, which is not opened again."""
        other = copy(self)
        other.rows = _contiguous(rows)
        return other

    def write_records(self, start: int, columns: Columns) -> None:
        """Write whole records, then commit them: `records_written` is written last."""
        with disk_errors(self.path):
            stop = start + max(values.shape[1] for values in columns.values())
            self._write_rows("record", start, stop, columns, list(range(self.rows.stop - self.rows.start)))

    def write_updates(self, start: int, columns: Columns) -> None:
        """Write what happened at mask updates, then commit them; `columns` of shape (run, update, ...)."""
        updated = np.isfinite(columns["update_step"])
        with disk_errors(self.path):  # static runs of a stack have none
            self._write_rows(
                "update", start, start + updated.shape[1], columns, np.flatnonzero(updated.any(axis=1)).tolist()
            )

    def _write_rows(self, dim: str, start: int, stop: int, columns: Columns, marked: Sequence[int]) -> None:
        """Write rows of series, what they are, and at last how many there are, of the runs that are `marked`."""
        written = {}
        for name, values in columns.items():
            array = self._array(name)
            written[name] = plain_nans(values.astype(array.dtype))
            array[self.rows, start:stop] = written[name]
        chunks = {name: self._array(name).chunks[1:] for name in self._series(dim, written)}
        for i, row in enumerate(range(self.rows.start, self.rows.stop)):
            commit = self._commit(row)
            own = {name: values[i] for name, values in written.items()}
            commit.rows |= added_rows(commit.rows, own, chunks, start, stop)
            commit.marks()[dim][1] = stop
            self._put_commit(row)
        self._sync()
        for i in marked:
            self._array(MARKS[dim])[self.rows.start + i] = stop
            self._commit(self.rows.start + i).marks()[dim][0] = stop
        self._sync()

    def _series(self, dim: str, written: Columns) -> set[str]:
        """Series along a dimension that are written now or were before: those not logged now are NaN."""
        known = {name for row in range(self.rows.start, self.rows.stop) for name in self._commit(row).rows}
        return {name for name in (*written, *known) if name != "overlap" and _dims(self._array(name))[1] == dim}

    def write_overlap(self, row: int, overlap: npt.NDArray[np.float64]) -> None:
        """Write how near a run's masks were to its final one, shape (update,); known only at the end."""
        with disk_errors(self.path):
            array, commit = self._array("overlap"), self._commit(row)
            values = np.full(commit.updates[1], np.nan, array.dtype)
            values[: len(overlap)] = overlap
            array[row, : len(values)] = plain_nans(values)
            commit.rows["overlap"] = row_checksums(plain_nans(values), array.chunks[1])
            self._put_commit(row)

    def rewind(self, row: int, records: int, after: int) -> int:
        """Forget the records of a run but for the first ones, and its mask updates after a step."""
        committed = self._mark("record", row)
        written = self._mark("update", row)
        left = int((np.asarray(self._array("update_step")[row, :written]) <= after).sum())
        cut = cut_rows(self._commit(row), {"record": records, "update": left}, lambda name: self._row(name, row))
        if isinstance(cut, str):
            raise InputError(f"{self.path / cut} is not what was committed: start the run over, exist='overwrite'")
        with disk_errors(self.path):
            self._set_marks(row, cut, {"record": records, "update": left})
            clear_rows(self.path, slice(row, row + 1), but_readable=True)
            for name, array in self._group.arrays():
                if _dims(array)[:2] == ("run", "record"):
                    # What was logged then may not be logged again; a kill may have cut one chunk that came after.
                    self._array(name)[row, records : committed + RECORDS_PER_CHUNK] = np.nan
        return left

    def restate(self, row: int, commit: Commit) -> None:
        """Say anew what a run has committed, after something of it was lost."""
        with disk_errors(self.path):
            self._commits[row] = commit
            for dim, (_, mark) in commit.marks().items():
                self._array(MARKS[dim])[row] = mark
            self._put_commit(row)

    def _set_marks(self, row: int, commit: Commit, marks: Mapping[str, int]) -> None:
        """Go back to earlier marks: a reader, or a kill, may come between any two writes."""
        wide = self._commit(row)
        for dim, mark in marks.items():
            wide.marks()[dim][0] = mark
        self._put_commit(row)
        for dim, mark in marks.items():
            self._array(MARKS[dim])[row] = mark
        self._commits[row] = commit
        self._put_commit(row)
        self._sync()

    def write_masks(self, row: int, masks: Mapping[str, npt.NDArray[np.bool_]]) -> None:
        """Write the final masks of one run, by parameter name; what was never masked is True without being written."""
        arrays = [f"{MASKS}/{mask_array(name)}" for name in masks]
        with disk_errors(self.path):
            # A recording that version 0.1.0 began is False where nothing is written; one of an earlier try is written.
            needed = not all(self._array(array).fill_value for array in arrays[:1])
            for array, mask in zip(arrays, masks.values(), strict=True):
                if needed or not mask.all() or (self.path / array / "c" / str(row)).exists():
                    self._array(array)[row] = mask
            self._commit(row).masks = mask_checksums(self.path, row, arrays)
            self._put_commit(row)

    def read_masks(self, row: int) -> dict[str, npt.NDArray[np.bool_]]:
        """Read the final masks of one run, by parameter name."""
        group = self._group[MASKS]
        assert isinstance(group, zarr.Group)
        arrays = {f"{MASKS}/{name}": array for name, array in group.arrays()}
        if (said := self._masks_told(row, arrays)) is not None:
            found = mask_checksums(self.path, row, arrays)
            if lost := next((path for path in arrays if found.get(path) != said.get(path)), None):
                raise RunError(
                    f"{self.path / lost} is not the mask that the run ended with: run burden verify "
                    f"{self.path.parent} --repair"
                )
        return {
            str(array.attrs.get("parameter", path.removeprefix(f"{MASKS}/"))): np.asarray(array[row], dtype=bool)
            for path, array in arrays.items()
        }

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
        with disk_errors(self.path), changing(self.path, "step"):
            self._array("step")[: len(steps)] = steps

    def begin(self, checksums: Sequence[str]) -> None:
        """Start the runs over: nothing committed, status ``running``, and nothing left of an earlier try."""
        rows = range(self.rows.start, self.rows.stop)
        with disk_errors(self.path):
            for row, digest in zip(rows, checksums, strict=True):
                self._set_marks(row, Commit(), {"record": 0, "update": 0})
                self._array("initial_weights")[row] = digest
            clear_rows(self.path, self.rows)
        for row in rows:
            self.set_status(row, Status.RUNNING)

    def set_status(self, row: int, status: Status, reason: str = "") -> None:
        """Set the state of one run; the reason first, so that a reader never sees a failure without one."""
        with disk_errors(self.path):
            self._array("status_reason")[row] = reason
            if status.finished and self._tells:
                commit = self._commit(row)
                commit.ended, commit.texts = status.value, text_checksum(self._texts(row))
                self._put_commit(row)
                self._sync()
            self._array("status")[row] = status.value
            self._sync()

    def status(self, row: int) -> Status:
        """State of one run."""
        return Status(str(np.asarray(self._array("status")[row])))

    def records_written(self) -> npt.NDArray[np.int64]:
        """Return the records committed for each of this writer's runs, shape (run,)."""
        return np.asarray(self._array("records_written")[self.rows])

    def diverged(self, row: int) -> bool:
        """Whether a record of a run, so far, holds no finite gradient; some are NaN where nobody trains a weight."""
        norms = np.asarray(self._array("dense_gradient_norm_mean")[row, : self._mark("record", row)])
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

    def _masks_told(self, row: int, arrays: Iterable[str]) -> dict[str, str] | None:
        """Checksums of a run's final masks; None where nothing is told of them."""
        if self._tells:
            return self._commit(row).masks
        manifest = self._group.attrs.get(MANIFEST)
        if not isinstance(manifest, dict):
            return None
        told = {path: listed_checksum(str(manifest.get(path) or ""), row) for path in arrays}
        return {path: said for path, said in told.items() if said != ABSENT}

    @property
    def _tells(self) -> bool:
        """Whether the recording says what is committed; those of older versions do not."""
        return COMMITS in self._group

    def _commit(self, row: int) -> Commit:
        """Tell what a run has committed; nothing where it is not told or cannot be read."""
        if row not in self._commits:
            found = Commit.parsed(_readable_text(self._array(COMMITS), row)) if self._tells else None
            self._commits[row] = found or Commit()
        return self._commits[row]

    def _put_commit(self, row: int) -> None:
        if self._tells:
            self._array(COMMITS)[row] = self._commit(row).text()

    def _sync(self) -> None:
        if self._synced:
            with disk_errors(self.path):
                self._files.sync()

    def _mark(self, dim: str, row: int) -> int:
        return int(np.asarray(self._array(MARKS[dim])[row]))

    def _row(self, name: str, row: int) -> tuple[str, npt.NDArray[Any], int]:
        array = self._array(name)
        dim = _dims(array)[1]
        return dim, np.asarray(array[row, : self._commit(row).marks()[dim][1]]), array.chunks[1]

    def _texts(self, row: int) -> dict[str, Any]:
        return {name: np.asarray(self._array(name)[row]) for name in TEXTS if name in self._group}

    def _array(self, name: str) -> zarr.Array[Any]:
        if not (self.path / "zarr.json").exists():  # before anything is made
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
        metadata = series_metadata(series, sizes, (like.chunks[0], RECORDS_PER_CHUNK))
        with suppress(zarr.errors.ContainsArrayError):  # another run of the recording logs it too
            for _ in self._group.create_hierarchy({name: metadata}):
                pass


def _dims(array: zarr.Array[Any]) -> tuple[str, ...]:
    return tuple(str(d) for d in getattr(array.metadata, "dimension_names", None) or ())


def _readable_text(array: zarr.Array[Any], row: int) -> str:
    """Read a text of a run; empty where its chunk is damaged: a run that starts over must not mind."""
    try:
        return str(np.asarray(array[row]))
    except (RuntimeError, ValueError):
        return ""


def _contiguous(rows: Sequence[int]) -> slice:
    found = slice(rows[0], rows[-1] + 1)
    if list(rows) != list(range(found.start, found.stop)):
        raise ValueError(f"rows must be contiguous, got {list(rows)}")
    return found

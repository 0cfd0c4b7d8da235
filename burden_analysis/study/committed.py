"""What the runs of a recording had committed of an array when it was opened, compared with what they wrote down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.study.damage import DamagedError
from recorders.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from burden_analysis.study.recording import Opened
    from burden_analysis.study.stored_array import Array, StoredArray
    from recorders.contract import Commit


@dataclass(frozen=True, eq=False)
class Committed:
    """An array up to the commit marks of its runs; the rest is NaN.

    Attributes
    ----------
    stored : StoredArray
        The array.
    name : str
        Of the variable.
    written : array of int, optional
        Commit mark of every run, along the second dimension; None where nothing is committed bit by bit.
    commits : mapping of int to Commit
        What runs wrote down, by row; none where the recording is compacted, whose chunks are told by its manifest.
    opened : Opened, optional
        The recording as it was then, for reading later.
    """

    stored: StoredArray
    name: str
    written: Array | None
    commits: Mapping[int, Commit]
    opened: Opened | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every dimension."""
        if self.written is None:
            return self.stored.shape
        count = min(int(self.written.max(initial=0)), self.stored.shape[1])
        return (self.stored.shape[0], count, *self.stored.shape[2:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.stored.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of what is stored together."""
        return self.stored.chunks

    def values(self) -> tuple[Array, dict[int, DamagedError]]:
        """Read all of it: values, NaN for the runs of which something is damaged, and what that is by row."""
        window = [slice(0, n) for n in self.shape]
        try:
            return self._checked(window), {}
        except DamagedError as damage:
            if self.written is None:
                raise
            first = damage
        rows, damaged = [], {}
        for row in range(self.shape[0]):
            try:
                rows.append(self._checked([slice(row, row + 1), *window[1:]]))
            except DamagedError as damage:
                damaged[row] = damage
                rows.append(np.full((1, *self.shape[1:]), np.nan, self.dtype))
        return np.concatenate(rows), damaged or {0: first}

    def read(self, window: Sequence[slice]) -> Array:
        """Read a window, long after opening."""
        assert self.opened is not None
        try:
            values = self._checked(window)
        except DamagedError as error:
            raise InputError(f"{self.opened.where}/{error}: restore it from a copy, or open other variables") from error
        finally:
            self.opened.check()
        return values

    def _checked(self, window: Sequence[slice]) -> Array:
        """Read whole blocks of rows, compare them with what was written down, and cut them."""
        if self.written is None:
            return self.stored.read(window)
        rows, wanted, *inner = window
        block = self.chunks[1]
        first, last = wanted.start // block * block, min(-(-wanted.stop // block) * block, self.stored.shape[1])
        told = [self.commits.get(row) for row in range(rows.start, rows.stop)]
        whole = any(commit is not None and self.name in commit.rows for commit in told)
        values = self.stored.read([rows, slice(first, last), *(slice(None) for _ in inner)] if whole else window)
        if whole:
            for row, commit in enumerate(told):
                if commit is not None and self.name in commit.rows:
                    self._compare(values[row], commit, first, rows.start + row)
            values = values[(slice(None), slice(wanted.start - first, wanted.stop - first), *inner)]
        for row, written in enumerate(self.written[rows]):
            if written - wanted.start < values.shape[1]:
                values[row, max(0, written - wanted.start) :] = np.nan
        return values

    def _compare(self, values: Array, commit: Commit, first: int, row: int) -> None:
        count = commit.marks()[self.stored.dims[1]][1]
        for position in commit.differing(self.name, values[: max(0, count - first)], self.chunks[1], first):
            at = row // self.chunks[0]
            place = "/".join([self.stored.key, "c", str(at), str(position)])
            raise DamagedError(place, "is not what was committed")

"""What runs have committed, row by row: added to when rows are written, cut when a run goes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from recorders.contract import Commit, row_checksums

Rows = npt.NDArray[np.float32]


def added_rows(
    before: Mapping[str, str], written: Mapping[str, Rows], chunks: Mapping[str, tuple[int, ...]], start: int, stop: int
) -> dict[str, str]:
    """Go on with the checksums of series; what was not written of one is NaN.

    Parameters
    ----------
    before : mapping of str to str
        Checksums of the rows before `start`.
    written : mapping of str to array, shape (stop - start, ...)
        Rows that were written now.
    chunks : mapping of str to tuple of int
        Shape of a chunk without its runs, of every series that is to be told.
    start, stop : int
        Where the rows lie.
    """
    added = {}
    for name, (block, *inner) in chunks.items():
        rows = written[name] if name in written else _unwritten(stop - start, inner)
        listed = before.get(name)
        if listed is None:  # it was not logged until now
            listed = row_checksums(_unwritten(start, inner), block)
        added[name] = row_checksums(rows, block, start, listed)
    return added


def _unwritten(count: int, inner: Sequence[int]) -> Rows:
    return np.full((count, *inner), np.nan, np.float32)


def cut_rows(commit: Commit, marks: Mapping[str, int], read: Callable[[str], tuple[str, Rows, int]]) -> Commit | str:
    """Give what is committed when a run has gone back to earlier marks.

    Parameters
    ----------
    commit : Commit
        As it is.
    marks : mapping of str to int
        To go back to, by dimension.
    read : callable
        Gives the dimension of a series, its rows as far as they were committed, and the records in a chunk.

    Returns
    -------
    Commit or str
        The name of a series that is not what was committed.
    """
    rows = {}
    for name in commit.rows:
        if name == "overlap":  # of a whole run, written at its end
            continue
        dim, values, block = read(name)
        if next(commit.differing(name, values, block), None) is not None:
            return name
        rows[name] = row_checksums(values[: marks[dim]], block)
    return Commit([marks["record"]] * 2, [marks["update"]] * 2, rows)

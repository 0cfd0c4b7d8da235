"""The state of runs, compared with what they wrote down: commit marks, statuses, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.study.damage import DamagedError
from recorders.contract import COMMITS, MARKS, TEXTS, Status, text_checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from burden_analysis.study.recording import Field
    from burden_analysis.study.stored_array import Array, StoredArray
    from recorders.contract import Commit


def check_runs(arrays: Mapping[str, StoredArray], marks: Mapping[str, Array], key: str) -> None:
    """Refuse a group without runs, and marks that no writer makes."""
    for name in ("run_id", "status"):
        if name not in arrays or arrays[name].dims != ("run",):
            raise DamagedError(f"{key}/{name}", "is missing: it is no recording")
    sizes = {dim: n for array in arrays.values() for dim, n in zip(array.dims, array.shape, strict=False)}
    for dim, mark in marks.items():
        least, most = mark.min(initial=0), mark.max(initial=0)
        room = sizes.get(dim, most)  # nothing is left of a dimension that was never used
        if least < 0 or most > room:
            raise DamagedError(f"{key}/{MARKS[dim]}", f"says {least if least < 0 else most}, there is room for {room}")


def wrong_marks(
    marks: Mapping[str, Array], commits: Mapping[int, Commit], runs: int, key: str
) -> dict[int, DamagedError]:
    """Find runs, by row, whose commit marks are not what they committed."""
    wrong = {}
    for row in range(runs):
        if row not in commits:
            wrong[row] = DamagedError(f"{key}/{COMMITS}/c/{row}", "cannot be read")
            continue
        for dim, (least, most) in commits[row].marks().items():
            if dim in marks and not least <= marks[dim][row] <= most:
                place = f"{key}/{MARKS[dim]}/c/{row}"
                wrong[row] = DamagedError(place, f"is {marks[dim][row]}, committed were {most}")
    return wrong


def wrong_ends(fields: Mapping[str, Field], commits: Mapping[int, Commit], key: str) -> dict[int, DamagedError]:
    """Find runs, by row, whose status is none, or that ended otherwise than they wrote down."""
    statuses = np.asarray(fields["status"].data)
    texts = {name: np.asarray(fields[name].data) for name in TEXTS if name in fields}
    wrong = {}
    for row, status in enumerate(statuses.tolist()):
        place = f"{key}/status/c/{row}"
        if status not in list(Status):
            wrong[row] = DamagedError(place, f"is {status!r}")
        elif status in (Status.RUNNING, Status.INTERRUPTED) and row in commits and not texts["initial_weights"][row]:
            wrong[row] = DamagedError(f"{key}/initial_weights/c/{row}", "is missing")
        elif Status(status).finished and row in commits:
            if status != commits[row].ended:
                wrong[row] = DamagedError(place, f"is {status}, committed was {commits[row].ended!r}")
            elif text_checksum({name: values[row] for name, values in texts.items()}) != commits[row].texts:
                what = f"or another text of the run ({', '.join(texts)}) is not what was written"
                wrong[row] = DamagedError(f"{key}/status_reason/c/{row}", what)
    return wrong

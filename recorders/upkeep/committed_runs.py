"""Compares the runs of a recording that is not compacted with what they committed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from recorders.contract import COMMITS, MARKS, TEXTS, Commit, Status, text_checksum
from recorders.store.manifest import mask_checksums
from recorders.store.stored_names import MASKS

_TRIES = 5  # a writer may be at work

Problem = tuple[int, str, str]  # row, path of the array, what is wrong


def run_problems(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Tell every run that is not what it committed: its row, the array, and what is wrong.

    Parameters
    ----------
    folder : Path
        Of the recording.
    documents : mapping
        What describes its arrays, by path.
    """
    runs = _Runs(folder, documents)
    for row in range(documents[COMMITS]["shape"][0]):
        for _ in range(_TRIES):
            before = runs.text(COMMITS, row)
            problems = list(runs.problems(row, before))
            if not problems or runs.text(COMMITS, row) == before:
                break
        yield from problems


class _Runs:
    def __init__(self, folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self._folder, self._documents = folder, documents
        self._group = zarr.open_group(folder, mode="r", use_consolidated=False)
        self._masks = [path for path in documents if path.startswith(f"{MASKS}/")]

    def problems(self, row: int, text: str | None) -> Iterator[Problem]:
        """Compare one run with what it says that it has committed."""
        said = Commit.parsed(text or "")
        if text == "" and not any(self._values(mark, row) for mark in MARKS.values()):
            said = Commit()  # it has not begun
        if said is None:
            yield row, COMMITS, "cannot be read"
            return
        for dim, (least, most) in said.marks().items():
            mark = self._values(MARKS[dim], row)
            if mark is None or not least <= int(mark) <= most:
                yield row, MARKS[dim], "cannot be read" if mark is None else f"is {mark}, committed were {most}"
        for name in said.rows:
            if what := self._series_problem(name, row, said):
                yield row, name, what
        yield from self._end_problems(row, said)

    def _series_problem(self, name: str, row: int, said: Commit) -> str:
        if name not in self._documents:
            return "is missing"
        document = self._documents[name]
        count = said.marks()[document["dimension_names"][1]][1]
        values = self._values(name, (row, slice(count)))
        if values is None:
            return "cannot be read"
        block = document["chunk_grid"]["configuration"]["chunk_shape"][1]
        return "" if next(said.differing(name, values, block), None) is None else "is not what was committed"

    def _end_problems(self, row: int, said: Commit) -> Iterator[Problem]:
        """Compare the state of a run; what it ended with where it has finished."""
        status = self.text("status", row)
        if status not in list(Status):
            yield row, "status", "cannot be read" if status is None else f"is {status!r}"
        elif status in (Status.RUNNING, Status.INTERRUPTED) and not self.text("initial_weights", row):
            yield row, "initial_weights", "is missing"
        elif Status(status).finished:
            if status != said.ended:
                yield row, "status", f"is {status}, committed was {said.ended or 'none'}"
            masks = mask_checksums(self._folder, row, self._masks)
            for path in sorted(p for p in {*masks, *said.masks} if masks.get(p) != said.masks.get(p)):
                yield row, path, "is not the mask that the run ended with"
            texts = {name: self._values(name, row) for name in TEXTS if name in self._documents}
            if any(text is None for text in texts.values()) or text_checksum(texts) != said.texts:
                yield row, "status_reason", f"or another text of the run ({', '.join(texts)}) is not what was written"

    def text(self, name: str, row: int) -> str | None:
        """Text of a run; None where it cannot be read."""
        found = self._values(name, row)
        return None if found is None else str(found)

    def _values(self, name: str, place: Any) -> npt.NDArray[Any] | None:
        try:
            return np.asarray(self._group[name][place])
        except Exception:
            return None

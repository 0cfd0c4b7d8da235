"""What a worker is given and what it gives back. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recorders.contract import Status
from recorders.settings.runs import Run


@dataclass(frozen=True)
class Place:
    """Where a run is kept: the recording's name and the position along ``run``."""

    recording: str
    row: int


@dataclass(frozen=True)
class Assignment:
    """Some runs to train together.

    Attributes
    ----------
    places : sequence of Place
        Where they go; contiguous rows of one recording.
    runs : sequence of Run
        What they are.
    needs : sequence of Place or None
        Where the final mask that a run starts from is kept.
    """

    places: Sequence[Place]
    runs: Sequence[Run]
    needs: Sequence[Place | None]


@dataclass(frozen=True)
class Outcome:
    """How one run ended."""

    run: Run
    status: Status
    reason: str = ""

"""What a worker is given and what it gives back. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
    """How one run ended.

    Attributes
    ----------
    run, status, reason
        What ended, how, and why when not as planned.
    seconds : mapping of str to float
        What each section of the training took, where that was asked; of runs that trained together an equal part.
    """

    run: Run
    status: Status
    reason: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)

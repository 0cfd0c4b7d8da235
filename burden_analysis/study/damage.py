"""What of a store is lost or altered: named, left out, and the rest is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = 3  # runs that a warning names


class DamageWarning(UserWarning):
    """Something of a store is lost or altered and was left out."""


class DamagedError(RuntimeError):
    """A file of a store is lost or altered.

    Parameters
    ----------
    place : str
        The file.
    what : str
        What is wrong with it.
    """

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place} {what}")
        self.place, self.what = place, what


@dataclass(frozen=True)
class LeftOut:
    """A part of a store that could not be opened.

    Attributes
    ----------
    part : str
        What was left out.
    damage : DamagedError
        Why.
    """

    part: str
    damage: DamagedError

    def told(self, where: str) -> str:
        """Say it, with the whole path of the file."""
        return f"left out: {self.part}; {where}/{self.damage.place} {self.damage.what}"


def of_runs(what: str, runs: Sequence[str], all_runs: int) -> str:
    """Name a part of some runs."""
    if len(runs) == all_runs:
        return what if all_runs == 1 else f"{what} of all runs"
    more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
    return f"{what} of {', '.join(runs[:_NAMED])}{more}"

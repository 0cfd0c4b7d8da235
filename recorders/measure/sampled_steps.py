"""Which steps of a run are measured for its interval means, and for how many steps each stands."""

from __future__ import annotations

from collections.abc import Sequence

from recorders.seeding import Purpose, derive

_EXACT_UP_TO, _SHARE = 10, 10


class SampledSteps:
    """One step of every block of steps, drawn by the run's seed alone; a block of one step is that step.

    The steps of an interval are cut into consecutive blocks; its last block may be shorter. Which step of a block is
    measured is a function of (seed, first step of the block): the same in every strategy of a seed, and after a resume.
    With x_b measured in block b the mean of the interval is estimated as Σ size_b · x_b / Σ size_b, which is unbiased
    (stratified sampling, Cochran 1977, eq. 5.1).

    Parameters
    ----------
    seeds : sequence of int
        One per run.
    interval : int
        Steps between records.
    every : int
        Steps in a block; 1 measures every step.
    start : int
        Steps done before the first interval.
    total : int, optional
        Steps of the whole run, where known: its last interval ends there.
    """

    def __init__(
        self, seeds: Sequence[int], *, interval: int, every: int = 1, start: int = 0, total: int | None = None
    ) -> None:
        self.interval, self.every = interval, every
        self._seeds, self._start = list(seeds), start
        self._total = total if total is None or start < total else None  # a loop that goes on beyond ends anywhere
        self._block = range(0)
        self._drawn: dict[int, list[int]] = {}  # by step of the block: how many it stands for, by run
        self._nothing, self._itself = [0] * len(seeds), [1] * len(seeds)

    def is_recorded(self, step: int) -> bool:
        """Whether a record is taken of the step after `step` others."""
        return (step + 1 - self._start) % self.interval == 0 or step + 1 == self._total

    def stands_for(self, step: int) -> list[int]:
        """Tell for how many steps the one after `step` others stands, for each run; 0: it is not drawn."""
        if self.every == 1:
            return self._itself
        if step not in self._block:
            self._draw(step)
        return self._drawn.get(step, self._nothing)

    def measures(self, step: int) -> bool:
        """Whether the step after `step` others is measured for any run: it is drawn, or recorded.

        So is the first of a loop that may end at any step: it has a record at least.
        """
        if self.every == 1 or self.stands_for(step) is not self._nothing or self.is_recorded(step):
            return True
        return self._total is None and step == self._start

    def may_be_recorded(self, step: int) -> bool:
        """Whether a record may be taken of the step after `step` others: of each that is measured, if any is the last.

        A loop of unknown length ends with a record of the last step that was measured.
        """
        return self.measures(step) if self._total is None else self.is_recorded(step)

    def taken(self, step: int) -> int:
        """Count the steps of the block of the step after `step` others, up to that one."""
        return (step - self._start) % self.interval % self.every + 1

    def _draw(self, step: int) -> None:
        """Draw a step of the block that a step is in, for each run."""
        interval = step - (step - self._start) % self.interval
        end = interval + self.interval
        if self._total is not None and step < self._total < end:
            end = self._total
        begin = step - (step - interval) % self.every
        self._block = range(begin, min(begin + self.every, end))
        size = len(self._block)
        drawn = [begin + derive(seed % 2**64, Purpose.SAMPLING, begin) % size for seed in self._seeds]
        self._drawn = {chosen: [size * (own == chosen) for own in drawn] for chosen in drawn}


def default_sampling(interval: int) -> int:
    """Choose the steps in a block where nobody says: up to 10 steps a record all are measured, then about 10."""
    return 1 if interval <= _EXACT_UP_TO else interval // _SHARE

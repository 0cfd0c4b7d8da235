"""When to prune: a pure function of the number of optimiser steps done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CubicSchedule:
    """Sparsity that grows fast, then slowly (Zhu & Gupta 2017; the study's eq. 10).

    Attributes
    ----------
    initial, final : float
        Sparsity before and after.
    begin, end : int
        Steps done at the first and the last mask update.
    interval : int
        Steps between mask updates (Δt).
    """

    initial: float
    final: float
    begin: int
    end: int
    interval: int

    def sparsity(self, step: int) -> float:
        """Target sparsity after `step` steps: s_f + (s_0 − s_f)(1 − (t − t_0)/(t_end − t_0))³, held after the end."""
        if step >= self.end:
            return self.final
        remaining = 1 - max(0, step - self.begin) / (self.end - self.begin)
        return self.final + (self.initial - self.final) * remaining**3

    def updates(self) -> list[int]:
        """List the steps done at each mask update; the last one is at `end`, where the target is hit exactly."""
        return [*range(self.begin, self.end, self.interval), self.end]

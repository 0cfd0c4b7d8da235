"""What every test returns."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PermutationResult:
    """Outcome of one test.

    Attributes
    ----------
    statistic : float
        The test statistic; NaN when no block is complete.
    p : float
        p value; NaN when no block is complete.
    n : int
        Blocks (seeds) used.
    excluded : int
        Blocks left out for a missing value.
    attainable_p : float
        Smallest p that `n` blocks without ties can give.
    mc_error : float
        Standard error of `p` from Monte-Carlo sampling; 0 when exact.
    """

    statistic: float
    p: float
    n: int
    excluded: int
    attainable_p: float
    mc_error: float = 0.0

    @property
    def method(self) -> str:
        """How `p` was computed, in words."""
        return "exact" if self.mc_error == 0 else f"Monte Carlo (standard error {self.mc_error:.1g})"


def sampled(hits: int, resamples: int) -> tuple[float, float]:
    """Monte-Carlo p value that counts the observed arrangement, and its standard error.

    Parameters
    ----------
    hits : int
        Resamples at least as extreme as what was observed.
    resamples : int
        All resamples.

    Returns
    -------
    p, error : float
        (hits + 1) / (resamples + 1), after Phipson & Smyth 2010, and √(p(1 − p) / resamples).
    """
    p = (hits + 1) / (resamples + 1)
    return p, math.sqrt(p * (1 - p) / resamples)

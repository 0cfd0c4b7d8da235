"""Power of Page's test by simulation: it has no closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from burden_analysis.statistics.significance.page import page_critical_value
from recorders.contract import InputError

_BATCH = 32  # blocks simulated at once
_MOST_BLOCKS = 512


@dataclass(frozen=True)
class PagePower:
    """Power of Page's test for each number of blocks.

    Attributes
    ----------
    power : array, shape (blocks,)
        Entry k is for k + 1 blocks.
    mc_error : float
        Largest standard error of an entry.
    """

    power: npt.NDArray[np.float64]
    mc_error: float


def page_power(
    size: float, n: int, *, treatments: int = 3, alpha: float = 0.05, resamples: int = 20_000, seed: int = 0
) -> PagePower:
    """Simulate how often Page's exact test is significant with 1, 2, … n blocks.

    Parameters
    ----------
    size : float
        Step from each treatment to the next, divided by the standard deviation of the paired difference of two
        neighbours; normal noise, independent between treatments.
    n : int
        Most blocks.
    treatments : int, default 3
        Treatments in the claimed order.
    alpha : float, default 0.05
        One-sided level.
    resamples : int, default 20_000
        Simulated studies.
    seed : int, default 0
        Of the simulation.

    Returns
    -------
    PagePower
        With its Monte-Carlo error.
    """
    rng = np.random.default_rng(seed)
    means = size * math.sqrt(2) * np.arange(treatments)  # a difference of two has √2 times the noise of one
    weights = np.arange(1, treatments + 1)
    totals = np.zeros(resamples, np.int64)
    power = np.zeros(n)
    for start in range(0, n, _BATCH):
        batch = min(_BATCH, n - start)
        values = rng.normal(means, 1.0, (resamples, batch, treatments))
        ranks = values.argsort(axis=2).argsort(axis=2) + 1
        reached = totals[:, None] + (ranks @ weights).cumsum(axis=1)
        totals = reached[:, -1]
        critical = [page_critical_value(start + k + 1, treatments, alpha) for k in range(batch)]
        power[start : start + batch] = (reached >= np.array(critical)).mean(axis=0)
    return PagePower(power, float(np.sqrt(power * (1 - power) / resamples).max()))


def page_blocks_needed(
    size: float, *, treatments: int = 3, alpha: float = 0.05, power: float = 0.8, seed: int = 0
) -> int:
    """Fewest blocks with which Page's exact test sees an order with a given power, by simulation.

    Parameters
    ----------
    size : float
        As in `page_power`; above zero.
    treatments : int, default 3
        Treatments in the claimed order.
    alpha : float, default 0.05
        One-sided level.
    power : float, default 0.8
        Wanted.
    seed : int, default 0
        Of the simulation.

    Returns
    -------
    int
        Blocks (seeds); within about one of the truth where many are needed.

    Raises
    ------
    InputError
        An effect that 512 blocks do not show.
    """
    n = _BATCH
    while size > 0 and n <= _MOST_BLOCKS:
        enough = np.flatnonzero(page_power(size, n, treatments=treatments, alpha=alpha, seed=seed).power >= power)
        if enough.size:
            return int(enough[0]) + 1
        n *= 2
    raise InputError(f"steps of {size:g} standard deviations need more than {_MOST_BLOCKS} blocks in Page's test")

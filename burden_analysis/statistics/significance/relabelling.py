"""The best of several alternatives against a baseline, under exchangeable labels: expectation and p, exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from burden_analysis.statistics.result import PermutationResult, sampled

Floats = npt.NDArray[np.float64]
_STATES = 1_000_000  # sums that one distribution may hold
_SCALE = 1e6  # scores are counted in millionths, so that sums are integers and no rounding decides a tie


@dataclass(frozen=True)
class Relabelled:
    """A mean over cells, and what it would be with exchangeable labels.

    Attributes
    ----------
    observed : float
        Mean score of the labels as they are.
    expected : float
        Its mean over all relabellings.
    result : PermutationResult
        One-sided test that the observed mean is larger; `n` counts what is relabelled as one.
    """

    observed: float
    expected: float
    result: PermutationResult


def best_gain(cells: npt.ArrayLike) -> Floats:
    """Gain of the best alternative, for each value of a cell taken as the baseline.

    Parameters
    ----------
    cells : array_like, shape (cell, label)
        Values, at least two labels; the baseline's is the first.

    Returns
    -------
    array, shape (cell, label)
        Largest of the other values less this one. Column 0 is what was observed; with exchangeable labels every column
        is as likely.
    """
    values = np.asarray(cells, float)
    ranked = np.sort(values, axis=1)
    best, second = ranked[:, -1:], ranked[:, -2:-1]
    unique = (values == best) & (second < best)  # the only largest value has the second largest as its rival
    return np.asarray(np.where(unique, second, best) - values)


def relabel(scores: npt.ArrayLike, units: npt.ArrayLike, *, resamples: int = 100_000, seed: int = 0) -> Relabelled:
    """Test whether the observed baseline leaves more to gain than a label drawn at random.

    Labels are exchangeable inside a unit and relabelled jointly in all its cells: with one unit per cell this is
    relabelling within cells; cells of one block share more than that, and there the block is the unit.

    Parameters
    ----------
    scores : array_like, shape (cell, label)
        Score of a cell when a label is the baseline, as from `best_gain`; column 0 is what was observed.
    units : array_like, shape (cell,)
        Which cells are relabelled together.
    resamples : int, default 100_000
        Monte-Carlo resamples, used only where the sums are too many to enumerate.
    seed : int, default 0
        Of the resampling.

    Returns
    -------
    Relabelled
        NaN without cells.
    """
    values = np.asarray(scores, float)
    if not len(values):
        return Relabelled(math.nan, math.nan, PermutationResult(math.nan, math.nan, 0, 0, 1.0))
    _, unit = np.unique(np.asarray(units), return_inverse=True)
    n, labels = int(unit.max()) + 1, values.shape[1]
    totals = np.zeros((n, labels), np.int64)
    np.add.at(totals, unit, np.rint(values * _SCALE).astype(np.int64))
    p, error = _tail(totals, resamples, seed)
    result = PermutationResult(float(values[:, 0].mean()), p, n, 0, float(labels) ** -n, error)
    return Relabelled(result.statistic, float(values.mean()), result)


def _tail(totals: npt.NDArray[np.int64], resamples: int, seed: int) -> tuple[float, float]:
    """Chance of a sum, one random column per row, that is at least the sum of column 0; and its error."""
    offsets = totals - totals.min(axis=1, keepdims=True)
    observed = int(offsets[:, 0].sum())
    step = max(1, int(np.gcd.reduce(offsets, axis=None)))
    offsets, observed = offsets // step, observed // step
    n, labels = offsets.shape
    if int(offsets.max(axis=1).sum()) < _STATES:
        return min(1.0, float(_convolved(offsets)[observed:].sum())), 0.0
    if float(labels) ** n <= _STATES:
        sums = np.zeros(1, np.int64)
        for row in offsets:
            sums = np.add.outer(sums, row).ravel()
        return float((sums >= observed).mean()), 0.0
    rng = np.random.default_rng(seed)
    drawn = sum(row[rng.integers(labels, size=resamples)] for row in offsets)
    return sampled(int(np.sum(drawn >= observed)), resamples)


def _convolved(offsets: npt.NDArray[np.int64]) -> Floats:
    chance = np.ones(1)
    for row in offsets:
        wider = np.zeros(len(chance) + int(row.max()))
        for offset in row:
            wider[offset : offset + len(chance)] += chance
        chance = wider / len(row)
    return chance

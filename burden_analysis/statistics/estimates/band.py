"""A band that holds over all records of a mean paired curve at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from burden_analysis.statistics.significance.max_t import as_t, largest_shares, sign_patterns

Floats = npt.NDArray[np.float64]

BONFERRONI_UP_TO = 5  # seeds; 2⁴ distinct sign patterns cannot place a 95 % quantile
BAND_FROM = 3  # seeds
_EQUAL = 1e-12  # differences below this share of the largest are rounding
_FLIPS = 4096  # all patterns up to 13 seeds, more are sampled


@dataclass(frozen=True)
class Band:
    """Mean curve with its simultaneous band.

    Attributes
    ----------
    centre, half : array, shape (record,)
        Mean and half-width; NaN where a pair is missing, `half` also where there is no band: below three pairs, and
        where the quantile is infinite.
    method : str
        How it was made.
    """

    centre: Floats
    half: Floats
    method: str


def simultaneous_band(differences: npt.ArrayLike, *, level: float = 0.95, seed: int = 0) -> Band:
    """Band of the mean paired difference that covers the true curve at all records at once.

    Up to five pairs: t intervals with Bonferroni's correction over records. Above: the half-width is the quantile of
    the largest |t| over records when the signs of whole centred curves are flipped. That quantile is infinite, so that
    there is no band, where many patterns leave some record without spread: differences of few values, such as counts.

    Parameters
    ----------
    differences : array_like, shape (pair, record)
        Paired differences; a record at which any pair is NaN has no band.
    level : float, default 0.95
        Simultaneous coverage.
    seed : int, default 0
        Of the sampled sign patterns (more than 13 pairs).

    Returns
    -------
    Band
        In the units of the differences.
    """
    values = np.asarray(differences, float)
    n = len(values)
    whole = np.isfinite(values).all(axis=0)
    centre = np.full(whole.shape, np.nan)
    half = centre.copy()
    kept = values[:, whole]
    centre[whole] = kept.mean(axis=0)
    if n < BAND_FROM:
        return Band(centre, half, "no band below three seeds")
    # A mean of equal values may differ from them in the last digit, which is no spread.
    flat = np.ptp(kept, axis=0) <= _EQUAL * np.abs(kept).max(axis=0)
    error = np.where(flat, 0.0, kept.std(axis=0, ddof=1) / np.sqrt(n))
    records = int(whole.sum())
    if n <= BONFERRONI_UP_TO:
        half[whole] = error * student.ppf(1 - (1 - level) / (2 * max(records, 1)), n - 1)
        return Band(centre, half, f"Bonferroni t over {records} records")
    signs, _ = sign_patterns(n, _FLIPS, seed)
    shares = largest_shares(np.where(flat, 0.0, kept - kept.mean(axis=0)), signs)
    # Of shares, which are finite: between two infinite t values numpy's quantile is NaN.
    critical = float(as_t(np.asarray(np.quantile(shares, level, method="higher")), n))
    how = f"over {records} records, {len(signs)} sign flips"
    if math.isinf(critical):  # times no spread it would be NaN, times any other it bounds nothing
        return Band(centre, half, f"no band: infinite max-|t| {how}")
    half[whole] = error * critical
    return Band(centre, half, f"studentised max-|t| {how}")

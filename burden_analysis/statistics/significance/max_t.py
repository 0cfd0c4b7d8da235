"""The largest |t| over many records under sign flips of whole curves: one test of a family of correlated records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from recorders.contract import InputError

Floats = npt.NDArray[np.float64]

_BLOCK = 512  # sign patterns at once: bounds memory for thousands of records
_ROUNDING = 1e-9  # shares that differ by less are tied, whatever the order of summation


@dataclass(frozen=True)
class MaxT:
    """Outcome of a max-|t| test.

    Attributes
    ----------
    t : array, shape (record,)
        Paired t statistics; NaN where a pair has no value, ±inf without spread.
    p_adjusted : array, shape (record,)
        Family-wise adjusted over all records, two-sided.
    n : int
        Pairs.
    records : int
        Records tested: those at which every pair has a value.
    attainable_p : float
        Smallest adjusted p with `n` pairs.
    patterns : int
        Sign patterns used.
    mc_error : float
        Largest standard error of a p from Monte-Carlo sampling; 0 when exhaustive.
    """

    t: Floats
    p_adjusted: Floats
    n: int
    records: int
    attainable_p: float
    patterns: int
    mc_error: float

    @property
    def method(self) -> str:
        """How p was computed, in words."""
        kind = "exhaustive" if self.mc_error == 0 else f"Monte Carlo, standard error at most {self.mc_error:.1g}"
        return f"max-|t| over {self.records} records, {self.patterns} sign flips ({kind})"


def max_t(differences: npt.ArrayLike, *, resamples: int = 10_000, seed: int = 0) -> MaxT:
    """Test at which records the mean paired difference departs from zero, all records at once.

    The sign of each pair's whole curve is flipped, so correlation between records is kept (Westfall & Young 1993,
    single step). At each record p is the share of patterns whose largest |t| reaches the observed |t|.

    Parameters
    ----------
    differences : array_like, shape (pair, record)
        Paired differences; a record at which any pair is NaN is not tested.
    resamples : int, default 10_000
        All 2ⁿ⁻¹ distinct patterns are used where there are no more than this (n ≤ 14), else this many random ones.
    seed : int, default 0
        Of the sampling.

    Returns
    -------
    MaxT
        All NaN below two pairs.

    Raises
    ------
    InputError
        Not two dimensions.

    References
    ----------
    Westfall, P. H. & Young, S. S. (1993). Resampling-based multiple testing. Wiley.
    Nichols, T. E. & Holmes, A. P. (2002). Nonparametric permutation tests for functional neuroimaging. HBM 15, 1-25.
    """
    values = np.asarray(differences, float)
    if values.ndim != 2:
        raise InputError(f"max_t needs differences of shape (pair, record), not {values.shape}")
    n = len(values)
    whole = np.isfinite(values).all(axis=0)
    t, p = np.full(whole.shape, np.nan), np.full(whole.shape, np.nan)
    attainable = min(1.0, 2.0 ** (1 - n))
    if n < 2 or not whole.any():
        return MaxT(t, p, n, int(whole.sum()), attainable, 0, 0.0)
    kept = values[:, whole]
    signs, exhaustive = sign_patterns(n, resamples, seed)
    shares = _share(kept.mean(axis=0), (kept**2).mean(axis=0))
    t[whole] = np.sign(kept.mean(axis=0)) * as_t(shares, n)
    largest = np.sort(largest_shares(kept, signs))
    hits = len(largest) - np.searchsorted(largest, shares - _ROUNDING)
    p[whole] = hits / len(signs) if exhaustive else (hits + 1) / (len(signs) + 1)
    error = 0.0 if exhaustive else float(np.sqrt(p[whole] * (1 - p[whole]) / len(signs)).max())
    return MaxT(t, p, n, int(whole.sum()), attainable, len(signs), error)


def sign_patterns(n: int, limit: int, seed: int) -> tuple[Floats, bool]:
    """Sign patterns of `n` pairs, all distinct ones where they fit.

    Parameters
    ----------
    n : int
        Pairs.
    limit : int
        Most patterns wanted.
    seed : int
        Of the sampling.

    Returns
    -------
    signs : array, shape (pattern, pair)
        A pattern and its mirror image give the same |t|: the first sign stays + where all are listed.
    exhaustive : bool
        Whether these are all.
    """
    if 2.0 ** (n - 1) <= limit:
        return np.array([(1.0, *rest) for rest in product((1.0, -1.0), repeat=n - 1)]), True
    return np.random.default_rng(seed).choice([-1.0, 1.0], (limit, n)), False


def largest_shares(values: Floats, signs: Floats) -> Floats:
    """Largest t² over records for each sign pattern, as the share mean² / mean square, which grows with |t|.

    Parameters
    ----------
    values : array, shape (pair, record)
        Finite values.
    signs : array, shape (pattern, pair)
        From `sign_patterns`.

    Returns
    -------
    array, shape (pattern,)
        In [0, 1]: 1 for an infinite t, 0 where nothing varies.
    """
    n = len(values)
    square = (values**2).mean(axis=0)
    varying = square > 0
    if not varying.any():
        return np.zeros(len(signs))
    # Flipping keeps squares, so the t of a flipped sample follows from its mean alone; scaled, that mean² is the share.
    scaled = values[:, varying] / (n * np.sqrt(square[varying]))
    parts = [np.abs(signs[k : k + _BLOCK] @ scaled).max(axis=1) for k in range(0, len(signs), _BLOCK)]
    return np.asarray(np.minimum(np.concatenate(parts) ** 2, 1.0))


def as_t(shares: Floats, n: int) -> Floats:
    """Turn shares mean² / mean square into |t|.

    Parameters
    ----------
    shares : array
        In [0, 1].
    n : int
        Pairs.

    Returns
    -------
    array
        |t| with n − 1 degrees of freedom; inf for a share of 1.
    """
    rest = 1 - shares
    certain = rest < _ROUNDING**1.5
    return np.asarray(np.where(certain, math.inf, np.sqrt(shares / np.where(certain, 1.0, rest) * (n - 1))))


def _share(mean: Floats, square: Floats) -> Floats:
    return np.minimum(mean**2 / np.where(square > 0, square, 1.0), 1.0)

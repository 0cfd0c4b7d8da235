"""Ranks inside blocks, with ties that are ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

_DIGITS = 12  # significant digits kept: far below what differs between runs, far above float64 summation noise


def complete_blocks(blocks: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], int]:
    """Drop the blocks in which a value is missing.

    Parameters
    ----------
    blocks : array_like, shape (block, ...)
        Values; NaN or infinite where a run is missing.

    Returns
    -------
    blocks : array, shape (complete block, ...)
        Complete blocks.
    excluded : int
        How many were dropped.
    """
    values = np.asarray(blocks, float)
    keep = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    return values[keep], int((~keep).sum())


def block_ranks(blocks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Midranks along the last axis, after rounding each block to 12 significant digits of its largest value.

    Parameters
    ----------
    blocks : array_like, shape (..., treatment)
        Finite values.

    Returns
    -------
    array, shape (..., treatment)
        1 for the smallest; ties share their mean rank, so all are multiples of 1/2.
    """
    values = rounded(blocks)
    if values.size == 0:
        return values
    ranks: npt.NDArray[Any] = rankdata(values, axis=-1)
    return ranks


def rounded(blocks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Round each block to 12 significant digits of its largest value, so that ties are ties.

    Parameters
    ----------
    blocks : array_like, shape (..., treatment)
        Finite values.

    Returns
    -------
    array, shape (..., treatment)
        Whole numbers of the last digit kept.
    """
    values = np.asarray(blocks, float)
    return np.asarray(np.round(values / last_digit(values)))


def last_digit(blocks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Find the unit of the 12th significant digit of each block's largest value.

    Parameters
    ----------
    blocks : array_like, shape (..., treatment)
        Finite values.

    Returns
    -------
    array, shape (..., 1)
        Powers of ten, in the units of the values.
    """
    largest = np.abs(np.asarray(blocks, float)).max(axis=-1, keepdims=True, initial=0.0)
    return np.asarray(10.0 ** (np.floor(np.log10(np.where(largest > 0, largest, 1.0))) - _DIGITS + 1))

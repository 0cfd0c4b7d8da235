"""The level of a family of tests, and Holm's adjustment of its p values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recorders.contract import InputError


def holm(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Holm-adjusted p values: as statsmodels' `multipletests`, which runs the garbage collector at each call.

    Parameters
    ----------
    p : array_like, shape (test,)
        p values of one declared family; NaN for a test that was not made, which does not count.

    Returns
    -------
    array, shape (test,)
        Adjusted p values; NaN stays NaN.

    References
    ----------
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6, 65-70.
    """
    values = np.asarray(p, float)
    adjusted = np.full(values.shape, np.nan)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]  # NaN sorts last
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def check_alpha(alpha: float) -> None:
    """Refuse what is no level of a test.

    Parameters
    ----------
    alpha : float
        Level; at one half the interval of two one-sided tests, 1 − 2·alpha, would cover nothing.

    Raises
    ------
    InputError
        Not above 0 and below one half.
    """
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha {alpha:g} is no level of a test: choose one in (0, 0.5), usually 0.05")

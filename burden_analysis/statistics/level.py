"""The level of a test."""

from __future__ import annotations

from recorders.contract import InputError


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

"""Which sparsities and compression ratios are the same number to their user: one level, whoever computed it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xarray as xr

LEVELLED = ("sparsity", "compression")
"""Coordinates of runs whose values are levels."""

_SAME = 5e-7  # neighbours this close are one level: they agree to six decimals
_DECIMALS, _NOISE = 6, 2e-7  # float32 is this far from a decimal, also after some arithmetic

Floats = npt.NDArray[np.float64]


def levels(values: npt.ArrayLike) -> Floats:
    """Replace each value by the level it belongs to.

    Parameters
    ----------
    values : array_like of float
        Shares between 0 and 1: 0.9 in float32, or 0.1 + 0.2.

    Returns
    -------
    array
        0.9 and 0.3. What is near no decimal of six places stays as it is, or becomes the shortest of its neighbours.
    """
    given = np.asarray(values, float)
    distinct, place = np.unique(given, return_inverse=True)
    with np.errstate(invalid="ignore"):  # what is infinite is no share, and refused elsewhere
        decimal = np.round(distinct, _DECIMALS) + 0.0
        short = np.where(np.abs(decimal - distinct) <= _NOISE, decimal, distinct)
        group = np.cumsum(~(np.diff(distinct, prepend=np.nan) <= _SAME))
    members = groupby(zip(group.tolist(), short.tolist(), strict=True), key=lambda pair: pair[0])
    chosen = [min((v for _, v in pairs), key=lambda v: (len(repr(v)), v)) for _, pairs in members]
    return np.asarray(np.array(chosen, float)[group - 1][place].reshape(given.shape))


def with_levels(dataset: xr.Dataset) -> xr.Dataset:
    """Give every run of a study the level of its sparsity and of its compression, wherever the runs come from."""
    changed = {}
    for name in LEVELLED:
        if name in dataset.coords and dataset[name].dims == ("run",) and dataset[name].dtype.kind in "fiu":
            found = levels(dataset[name].to_numpy())
            if not np.array_equal(found, dataset[name].to_numpy(), equal_nan=True):
                changed[name] = ("run", found, dataset[name].attrs)
    return dataset.assign_coords(changed) if changed else dataset


def at_level(values: npt.ArrayLike, asked: float) -> npt.NDArray[np.bool_]:
    """Mark the values that are the level somebody asked for."""
    return np.asarray(np.isclose(np.asarray(values, float), asked, rtol=0.0, atol=_SAME))

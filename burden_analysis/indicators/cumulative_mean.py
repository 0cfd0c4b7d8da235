"""Means over all steps so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.indicators.series import of_users, recorded
from recorders.contract import MEASURED, UPDATE_NORM, base_name, mean_name, unknown_name, variable

if TYPE_CHECKING:
    import xarray as xr


def cumulative_mean(dataset: xr.Dataset, indicator: str) -> xr.DataArray:
    """Mean over all steps from the start, Σ_j n_j x̄_j / Σ_j n_j of interval means; exact where every step was measured.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        A recorded variable that has an interval mean, with or without the suffix ``_mean``.

    Returns
    -------
    xarray.DataArray, shape (run, record, parameter)
        Dimensionless. NaN where a run has no record, and from the first NaN interval mean on.

    Raises
    ------
    InputError
        `indicator` has no interval mean, or it was not recorded.
    """
    users = [str(name) for name in dataset.data_vars if of_users(dataset, str(name))]
    known = [*(v.name for v in (*MEASURED, UPDATE_NORM)), *(name for name in users if mean_name(name) in dataset)]
    if base_name(indicator) not in known:
        raise unknown_name("indicator with an interval mean", indicator, known)
    values = recorded(dataset, mean_name(base_name(indicator))).astype(np.float64)
    steps = recorded(dataset, "interval_steps")
    here = steps.notnull()
    total = (values * steps).where(here, 0.0).cumsum("record", skipna=False)
    mean = (total / steps.fillna(0.0).cumsum("record").where(here)).transpose(*values.dims)
    measured = variable(base_name(indicator))
    long_name = measured.long_name if measured else indicator
    return mean.rename(base_name(indicator)).assign_attrs(
        long_name=f"{long_name}, mean over all steps so far", units="1", documentation="docs/store.md"
    )

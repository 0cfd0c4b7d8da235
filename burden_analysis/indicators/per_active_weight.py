"""Norms per active weight, which strategies of different sparsity share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.indicators.series import recorded, series
from recorders.contract import base_name, mean_name, unknown_name

if TYPE_CHECKING:
    import xarray as xr


def per_active_weight(dataset: xr.Dataset, indicator: str, *, whole_network: bool = False) -> xr.DataArray:
    """Root mean square per active weight: norm / √n.

    Strategies differ in how many weights are active while training, which alone moves a norm.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        A norm over active weights: ``gradient_norm``, ``weight_norm`` or its ``_mean`` twin.
    whole_network : bool, default False
        One value over all tensors in place of one per tensor.

    Returns
    -------
    xarray.DataArray, shape (run, record, parameter) or (run, record)
        Dimensionless; NaN where no weight is active.

    Raises
    ------
    InputError
        `indicator` is not a norm over active weights, or was not recorded.
    """
    norms = ["gradient_norm", "weight_norm", mean_name("gradient_norm"), mean_name("weight_norm")]
    if indicator not in norms:
        raise unknown_name("norm over active weights", indicator, norms)
    if whole_network:
        name = base_name(indicator).replace("_norm", "_rms")
        return series(dataset, name if indicator == base_name(indicator) else mean_name(name))
    values, active = recorded(dataset, indicator).astype(np.float64), recorded(dataset, "active_weights")
    return (values / np.sqrt(active.where(active > 0))).assign_attrs(
        long_name=f"{values.attrs.get('long_name', indicator)}, root mean square per active weight",
        units="1",
        documentation="docs/store.md",
    )

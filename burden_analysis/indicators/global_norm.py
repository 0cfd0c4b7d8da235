"""The norm of all tensors of a network together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burden_analysis.indicators.series import series
from recorders.contract import mean_name, unknown_name

if TYPE_CHECKING:
    import xarray as xr


def global_norm(dataset: xr.Dataset, indicator: str) -> xr.DataArray:
    """Combine the norms of all tensors into one: √Σ_l x_l².

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        A recorded norm: ``gradient_norm``, ``dense_gradient_norm``, ``weight_norm`` or its ``_mean`` twin.

    Returns
    -------
    xarray.DataArray, shape (run, record)
        Dimensionless.

    Raises
    ------
    InputError
        `indicator` is not a norm, or was not recorded.
    """
    norms = _norms()
    if indicator not in norms:
        raise unknown_name("norm", indicator, norms)
    return series(dataset, indicator)


def _norms() -> list[str]:
    names = ("gradient_norm", "dense_gradient_norm", "weight_norm")
    return [*names, *map(mean_name, names)]

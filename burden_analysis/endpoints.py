"""Endpoints: one value per run, fixed before looking (statistics.md)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import xarray as xr

from burden_analysis.indicators import INDICATORS, recorded, series
from recorders.contract import InputError, unknown_name

SCALES = ("log", "raw")


def endpoint(
    dataset: xr.Dataset, indicator: str, window: float = 0.2, scale: str = "log", *, until: float = 1.0
) -> xr.DataArray:
    """One value per run: the mean of an indicator over the last share of the run's own records (statistics.md).

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        As in `series`.
    window : float, default 0.2
        Share of the records that the run has committed, rounded up; 1 is the whole-training mean. For an indicator
        of the probe: of the run's mask updates (looks, where the mask never changes) at which it has a value.
    scale : {"log", "raw"}
        Mean of log₁₀ values, or of the values.
    until : float, default 1
        Share of the run's records at which the window ends; 1 is the end of training.

    Returns
    -------
    xarray.DataArray, shape (run,)
        NaN for a run without records or with NaN in the window. Accuracy and scalars the user logged may have their
        own cadence: there NaN is skipped.

    Raises
    ------
    InputError
        Unknown indicator or scale, `window` outside (0, 1] or longer than `until`, or values on a log scale that are
        not positive.
    """
    if not 0 < window <= 1:
        raise InputError(f"window {window} is not a share of the records: choose one in (0, 1]")
    if not window <= until + 1e-9 <= 1 + 1e-9:
        raise InputError(f"a window of {window:g} cannot end at {until:g} of the records: until lies in [window, 1]")
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    values = series(dataset, indicator)
    x = values.values
    of_probe = "update" in values.dims
    moments = values if of_probe else recorded(dataset, "interval_steps").transpose("run", "record")
    inside = _share(moments.notnull().values, window, until)
    if indicator not in INDICATORS or INDICATORS[indicator].own_cadence:
        inside &= ~np.isnan(x)
    if scale == "log":
        _require_positive(dataset, np.any(inside & (x <= 0), axis=1), indicator)
        x = np.log10(np.where(inside, x, 1.0))
    count = inside.sum(axis=1)
    mean = np.where(inside, x, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    coords = {str(k): v for k, v in dataset.coords.items() if v.dims == ("run",)}
    which = "probed updates" if of_probe else "records"
    where = f"the last {window:.0%}" if until == 1 else f"{until - window:.0%} to {until:.0%}"
    what = f"mean of {'log10 ' if scale == 'log' else ''}{indicator} over {where} of {which}"
    return xr.DataArray(
        mean, coords, ("run",), indicator, {"long_name": what, "units": "1", "section": "statistics.md"}
    )


def _share(here: npt.NDArray[np.bool_], window: float, until: float) -> npt.NDArray[np.bool_]:
    """Which records lie in a window that ends at a share of each run's own."""
    own = here.sum(axis=1)
    # Rounded first: 0.1 * 30 is a hair above 3 and must not become 4 records.
    wanted = np.array([math.ceil(round(window * int(n), 9)) for n in own], int)
    later = np.array([math.floor(round((1 - until) * int(n), 9)) for n in own], int)
    still_to_come = own[:, None] - np.cumsum(here, axis=1) - later[:, None]
    return np.asarray(here & (still_to_come >= 0) & (still_to_come < wanted[:, None]))


def _require_positive(dataset: xr.Dataset, bad: npt.NDArray[np.bool_], indicator: str) -> None:
    if bad.any():
        names = ", ".join(map(str, dataset["run_id"].values[bad]))
        raise InputError(f"{indicator} is zero or negative in {names}: no logarithm exists, use scale='raw'")

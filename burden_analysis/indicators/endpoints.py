"""Endpoints: one value per run, fixed before looking (statistics.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from burden_analysis.definitions import SCALES
from burden_analysis.indicators.series import has_own_cadence, recorded, series
from recorders.contract import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence


def endpoint(dataset: xr.Dataset, indicator: str, window: float = 0.2, scale: str = "log") -> xr.DataArray:
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

    Returns
    -------
    xarray.DataArray, shape (run,)
        NaN for a run without records or with NaN in the window. Accuracy and scalars the user logged may have their
        own cadence: there NaN is skipped.

    Raises
    ------
    InputError
        Unknown indicator or scale, `window` outside (0, 1], or values on a log scale that are not positive.
    """
    check_endpoint(window, scale)
    found = _measured(dataset, indicator, scale)
    (mean,) = _means(dataset, found, [found.to_come < found.share(window)])
    what = f"mean of {found.label} over the last {window:.0%} of {found.moments}"
    return _per_run(dataset, mean, indicator, what)


def check_endpoint(window: float, scale: str) -> None:
    """Refuse a window that is no share of the records, and an unknown scale."""
    if not 0 < window <= 1:
        raise InputError(f"window {window} is not a share of the records: choose one in (0, 1]")
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)


def late_change(dataset: xr.Dataset, indicator: str, window: float = 0.2, scale: str = "log") -> xr.DataArray:
    """One value per run: its mean over the last share of records, less that over as many records just before."""
    if not 0 < window <= 0.5:
        raise InputError(f"window {window:g} leaves no window before it: choose one in (0, 0.5]")
    check_endpoint(window, scale)
    found = _measured(dataset, indicator, scale)
    each = np.minimum(found.share(window), found.here.sum(axis=1, keepdims=True) // 2)
    last, before = found.to_come < each, (found.to_come >= each) & (found.to_come < 2 * each)
    late, early = _means(dataset, found, [last, before])
    what = f"mean of {found.label} over the last {window:.0%} of {found.moments}, less that over as many before"
    return _per_run(dataset, late - early, f"late growth of {indicator}", what)


@dataclass(frozen=True)
class _Measured:
    """Values of an indicator by run and moment, and which moments are a run's own."""

    indicator: str
    scale: str
    values: npt.NDArray[np.float64]
    here: npt.NDArray[np.bool_]
    moments: str

    @property
    def label(self) -> str:
        return f"{'log10 ' if self.scale == 'log' else ''}{self.indicator}"

    @property
    def to_come(self) -> npt.NDArray[np.int64]:
        """How many of the run's own moments follow."""
        return np.asarray(self.here.sum(axis=1, keepdims=True) - np.cumsum(self.here, axis=1))

    def share(self, window: float) -> npt.NDArray[np.int64]:
        """Moments in a share of each run's own, shape (run, 1)."""
        # Rounded first: 0.1 * 30 is a hair above 3 and must not become 4 records.
        return np.array([[math.ceil(round(window * int(n), 9))] for n in self.here.sum(axis=1)], int).reshape(-1, 1)


def _measured(dataset: xr.Dataset, indicator: str, scale: str) -> _Measured:
    values = series(dataset, indicator)
    of_probe = "update" in values.dims
    moments = values if of_probe else recorded(dataset, "interval_steps").transpose("run", "record")
    words = "probed updates" if of_probe else "records"
    return _Measured(indicator, scale, values.values, moments.notnull().values, words)


def _means(
    dataset: xr.Dataset, found: _Measured, windows: Sequence[npt.NDArray[np.bool_]]
) -> list[npt.NDArray[np.float64]]:
    """Mean per run over each window; NaN where a window holds nothing or NaN."""
    counted = found.here
    if has_own_cadence(dataset, found.indicator):
        counted = counted & ~np.isnan(found.values)
    inside = [counted & window for window in windows]
    x = found.values
    if found.scale == "log":
        used = np.any(inside, axis=0)
        _require_positive(dataset, np.any(used & (x <= 0), axis=1), found.indicator)
        x = np.log10(np.where(used, x, 1.0))
    return [np.where(w, x, 0.0).sum(axis=1) / np.where(w.any(axis=1), w.sum(axis=1), np.nan) for w in inside]


def _per_run(dataset: xr.Dataset, values: npt.NDArray[np.float64], name: str, what: str) -> xr.DataArray:
    coords = {str(k): dataset.variables[k] for k in dataset.coords if dataset.variables[k].dims == ("run",)}
    return xr.DataArray(
        values, coords, ("run",), name, {"long_name": what, "units": "1", "documentation": "docs/statistics.md"}
    )


def _require_positive(dataset: xr.Dataset, bad: npt.NDArray[np.bool_], indicator: str) -> None:
    if bad.any():
        names = ", ".join(map(str, dataset["run_id"].values[bad]))
        raise InputError(f"{indicator} is zero or negative in {names}: no logarithm exists, use scale='raw'")

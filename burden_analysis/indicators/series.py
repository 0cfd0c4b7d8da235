"""Run-level indicators computed from what was recorded: global norms, per-weight views, means over training.

Recordings hold one value per prunable tensor; docs/store.md says how tensors combine. A tensor that a run does not
have (it comes from another recording) is left out of the sum; a NaN that was recorded stays a NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from burden_analysis.indicators.mask_updates import PROBE_INDICATORS, probe_series
from recorders.contract import (
    InputError,
    magnitudes,
    mean_name,
    unknown_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = npt.NDArray[np.float64]


def _norm(values: Floats, active: Floats) -> Floats:
    return np.asarray(np.sqrt(np.sum(values**2, axis=-1)))


def _rms(values: Floats, active: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # no active weight at all: 0/0
        return np.asarray(_norm(values, active) / np.sqrt(active.sum(axis=-1)))


def _mean(values: Floats, active: Floats) -> Floats:
    total = np.where(active == 0, 0.0, values * active).sum(axis=-1)  # an emptied tensor has no mean, and no weight
    with np.errstate(invalid="ignore"):
        return np.asarray(total / active.sum(axis=-1))


def _total(values: Floats, active: Floats) -> Floats:
    return np.asarray(values.sum(axis=-1))


_COMBINED = {"norm": _norm, "sum": _total, "mean": _mean}


@dataclass(frozen=True)
class Indicator:
    """How a run-level indicator is made from recorded variables.

    Attributes
    ----------
    source : str
        Recorded variable it is computed from.
    long_name : str
        What it is, in words.
    combine : callable, optional
        ``(values, active weights) -> series`` over the last axis (parameter); None where the
        source is a series already.
    own_cadence : bool
        Whether NaN means "not evaluated here" and is skipped in an endpoint.
    relative_to : str, optional
        The indicator that it is divided by.
    """

    source: str
    long_name: str
    combine: Callable[[Floats, Floats], Floats] | None = None
    own_cadence: bool = False
    relative_to: str = ""


def _table() -> dict[str, Indicator]:
    once = {
        "gradient_norm": Indicator("gradient_norm", "global L2 norm of the gradient at active weights", _norm),
        "dense_gradient_norm": Indicator("dense_gradient_norm", "global L2 norm of the gradient at all weights", _norm),
        "gradient_mean_abs": Indicator("gradient_mean_abs", "mean absolute gradient per active weight", _mean),
        "gradient_rms": Indicator("gradient_norm", "root mean square gradient per active weight", _rms),
        "weight_norm": Indicator("weight_norm", "global L2 norm of the active weights", _norm),
        "weight_mean_abs": Indicator("weight_mean_abs", "mean absolute active weight", _mean),
        "weight_rms": Indicator("weight_norm", "root mean square active weight", _rms),
        "update_norm": Indicator("update_norm", "global L2 norm of a step's change of the active weights", _norm),
        "update_ratio": Indicator(
            "update_norm", "norm of a step's change over that of the active weights", _norm, relative_to="weight_norm"
        ),
    }
    means = {
        mean_name(name): Indicator(
            mean_name(i.source),
            f"{i.long_name}, from interval means",
            i.combine,
            relative_to=i.relative_to and mean_name(i.relative_to),
        )
        for name, i in once.items()
    }
    return once | means


INDICATORS: dict[str, Indicator] = {
    **_table(),
    "loss": Indicator("loss", "training loss of the batch"),
    "accuracy": Indicator("accuracy", "held-out accuracy", own_cadence=True),
    "activation_rms": Indicator("activation_rms", "root mean square activation over hidden layers"),
}
"""Run-level indicators by name; the suffix ``_mean`` takes interval means in place of the values at the record."""


def series(dataset: xr.Dataset, indicator: str) -> xr.DataArray:
    """Resolve the name of an indicator to one value per run and record, or per run and mask update.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        A key of `INDICATORS`, or any recorded variable over (run, record), such as a scalar the user logged.
        With n_l active weights in tensor l: norms are √Σ_l x_l², means of absolute values Σ_l x_l n_l / Σ_l n_l, root
        mean squares √(Σ_l x_l² / Σ_l n_l); ``activation_rms`` is the root mean square over layers. From interval means
        (``_mean``) a global norm is the norm of the mean norms, not the mean of the norms, which is not recorded.
        Or a key of `PROBE_INDICATORS`, such as ``compensation`` or ``covariance_dense``: what the mask probe measured.

    Returns
    -------
    xarray.DataArray, shape (run, record); (run, update) for an indicator of the probe
        float64, dimensionless, NaN where a run has no record; see docs/store.md (docs/burden.md for the probe).

    Raises
    ------
    InputError
        The name is unknown, or the study did not record what it needs.
    """
    of_records = [str(k) for k in dataset.data_vars if dataset.variables[k].dims == ("run", "record")]
    own = [name for name in of_records if name not in INDICATORS]
    if indicator in own:
        source = dataset[indicator]
        return source.astype(np.float64).assign_attrs(source.attrs)
    if indicator in PROBE_INDICATORS:
        return probe_series(dataset, indicator)
    rule = INDICATORS.get(indicator) or of_users(dataset, indicator)
    if rule is None:
        users = [str(name) for name in dataset.data_vars if of_users(dataset, str(name))]
        raise unknown_name("indicator", indicator, list(dict.fromkeys([*INDICATORS, *PROBE_INDICATORS, *own, *users])))
    values = recorded(dataset, rule.source).astype(np.float64)
    if rule.combine is not None:
        values = _combined(dataset, values, rule.combine)
    elif "layer" in values.dims:
        values = _over_layers(values)
    if rule.relative_to:
        values = values / series(dataset, rule.relative_to)
    return values.rename(indicator).assign_attrs(long_name=rule.long_name, units="1", documentation="docs/store.md")


def has_own_cadence(dataset: xr.Dataset, indicator: str) -> bool:
    """Whether NaN means that an indicator was not evaluated: accuracy, and what a loop logs when it likes."""
    if indicator in INDICATORS:
        return INDICATORS[indicator].own_cadence
    return of_users(dataset, indicator) is None


def of_users(dataset: xr.Dataset, name: str) -> Indicator | None:
    """Look up how an indicator that a user measured is combined: the store says it."""
    combine = _COMBINED.get(str(dataset[name].attrs.get("combine"))) if name in dataset else None
    return Indicator(name, str(dataset[name].attrs.get("long_name", name)), combine) if combine else None


def record_series(dataset: xr.Dataset, indicator: str) -> xr.DataArray:
    """Resolve an indicator that has one value per record; as `series`, without those of the probe."""
    values = series(dataset, indicator)
    if "record" not in values.dims:
        raise InputError(f"{indicator} has one value per mask update, not per record: see burden_decomposition")
    return values


def recorded(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Look a recorded variable up."""
    if name not in dataset:
        known = ", ".join(map(str, dataset.data_vars))
        raise InputError(f"this study did not record {name!r}, or was opened without it: it has {known}")
    return dataset[name]


def _combined(dataset: xr.Dataset, values: xr.DataArray, rule: Callable[[Floats, Floats], Floats]) -> xr.DataArray:
    dims = ("run", "record", "parameter")
    active = recorded(dataset, "active_weights").transpose(*dims).values
    absent = np.isnan(active).all(axis=1, keepdims=True)  # a tensor of another recording
    if "parameter_size" in dataset:
        sizes = dict(zip(dataset["parameter"].values.tolist(), dataset["parameter_size"].values.tolist(), strict=True))
        absent |= np.isin(list(sizes), magnitudes(sizes))  # rescale another tensor, which has the network's weights
    combined = rule(np.where(absent, 0.0, values.transpose(*dims).values), np.where(absent, 0.0, active))
    combined[absent.all(axis=2)[:, 0]] = np.nan
    return values.isel(parameter=0, drop=True).transpose(*dims[:2]).copy(data=combined)


def _over_layers(values: xr.DataArray) -> xr.DataArray:
    """Root mean square over the layers a run has; every layer counts the same."""
    absent = values.isnull().all("record")
    layers = (~absent).sum("layer")
    squares = (values**2).where(~absent, 0.0).sum("layer", skipna=False)
    return ((squares / layers.where(layers > 0)) ** 0.5).transpose("run", "record")

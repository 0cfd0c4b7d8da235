"""Indicators of the mask probe: one value per run and mask update, by name (docs/burden.md).

Static strategies never update their mask. They have no fit, compensation or covariance: absent, not zero. What their
units carry (``load_*``, ``dead_units``) is measured at the same steps as for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recorders.contract import LOADS, ORDERS, PARTS, PROBED, TARGETS, TERMS, InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

NOT_PROBED = "this study was not probed: record it with --probe-every 1 (every mask update)"
STATIC = "static strategies have no mask update: not zero, absent"
DEFAULT_ORDER = "mean"
_LONG = {v.name: v.long_name for v in PROBED}
_RELAXATION = "error with the weights of the next record less the error just after the mask update"


def _of_updates() -> dict[str, tuple[str, str | None, str]]:
    """Name → variable, its target or order, and what it is in words."""
    table: dict[str, tuple[str, str | None, str]] = {}
    for name in (*TERMS, *(f"relaxed_{term}" for term in TERMS), "relaxation"):
        long_name = _LONG.get(name, _RELAXATION)
        table[name] = (name, TARGETS[0], long_name)
        table |= {f"{name}_{target}": (name, target, f"{long_name}, target: {target}") for target in TARGETS}
    for name in PARTS:
        table[name] = (name, DEFAULT_ORDER, _LONG[name])
        table |= {f"{name}_{order}": (name, order, f"{_LONG[name]}, order: {order}") for order in ORDERS}
    table["overlap"] = ("overlap", None, _LONG["overlap"])
    return table


_UPDATES = _of_updates()
_LOOKS = {name: f"{_LONG[name].removesuffix(', quantile over units')}, median unit, mean over layers" for name in LOADS}
_LOOKS["dead_units"] = f"{_LONG['dead_units']}, all hidden layers"

PROBE_INDICATORS: dict[str, str] = {name: rule[2] for name, rule in _UPDATES.items()} | _LOOKS
"""What each indicator of the probe is, in words. Suffixes choose the target (``_labels``, ``_dense``) or the order."""


def needs_updates(indicator: str) -> bool:
    """Whether an indicator exists only where masks are updated: static strategies have none."""
    return indicator in _UPDATES


def probed(dataset: xr.Dataset) -> bool:
    """Whether any run of a study was probed, at a mask update or, with a static mask, at a look."""
    return any(name in dataset and bool(dataset[name].notnull().any()) for name in ("fit", "load_inputs"))


def require_updates(dataset: xr.Dataset) -> None:
    """Refuse a study without a decomposed mask update."""
    if not probed(dataset):
        raise InputError(NOT_PROBED)
    if "fit" not in dataset or not bool(dataset["fit"].notnull().any()):
        raise InputError(f"no run of this study has a probed mask update ({STATIC})")


def probe_series(dataset: xr.Dataset, indicator: str) -> xr.DataArray:
    """Resolve the name of a probe indicator to one value per run and mask update."""
    if indicator not in PROBE_INDICATORS:
        raise unknown_name("indicator of the probe", indicator, PROBE_INDICATORS)
    if indicator in _UPDATES:
        require_updates(dataset)
        values = _at_updates(dataset, *_UPDATES[indicator][:2])
    elif not probed(dataset):
        raise InputError(NOT_PROBED)
    elif indicator == "dead_units":
        values = dataset[indicator].sum("layer", min_count=1)
    else:
        values = dataset[indicator].sel(quantile=0.5, drop=True).mean("layer")
    units = {"load_inputs": "weights", "dead_units": "units"}.get(indicator, "1")
    return (
        values.astype(np.float64)
        .transpose("run", "update")
        .rename(indicator)
        .assign_attrs(long_name=PROBE_INDICATORS[indicator], units=units, documentation="docs/burden.md")
    )


def static_strategies(dataset: xr.Dataset, strategies: Sequence[str]) -> list[str]:
    """Name the strategies none of whose runs ever updates its mask."""
    moving = {str(s) for s in dataset["strategy"].to_numpy()[updated(dataset)]}
    return [s for s in strategies if s not in moving]


def updated(dataset: xr.Dataset) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell, per run, whether its mask was updated at all, probed or not (array of bool, shape (run,))."""
    finite = np.zeros(dataset.sizes["run"], bool)
    for name in ("new_fit", "pruned", "regrown"):  # at its looks a static run has NaN or 0 of each
        if name in dataset:
            values = dataset[name] > 0
            finite |= values.any([d for d in values.dims if d != "run"]).to_numpy()
    return finite


def _at_updates(dataset: xr.Dataset, name: str, label: str | None) -> xr.DataArray:
    if name == "relaxation":
        return _at_updates(dataset, "relaxed_new_fit", label) - _at_updates(dataset, "new_fit", label)
    values = dataset[name]
    if label is None:
        return values
    return values.sel({"target" if label in TARGETS else "order": label}, drop=True)

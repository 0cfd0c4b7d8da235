"""The neural burden over training: terms of every mask update, their sums, shares and what the network makes of them.

With residual e = x − f_s and change δ = f_s − f_{s+1} of the output at the mask update s → s+1 (docs/burden.md, the
study's eq. 5): ‖x − f_{s+1}‖² = ‖e‖² (fit) + ‖δ‖² (compensation) + 2⟨e, δ⟩ (covariance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from burden_analysis.indicators.mask_updates import STATIC, require_updates, updated
from recorders.contract import PARTS, TARGETS, TERMS, unknown_name

if TYPE_CHECKING:
    from typing import Any

_SPLIT = ("fit", "compensation", "covariance")
_AS_RECORDED = ("pruned", "regrown", "overlap")


def burden_decomposition(dataset: xr.Dataset, *, target: str = "labels") -> xr.Dataset:
    """Collect the decomposition of every mask update, with cumulative sums over training and shares.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`; recorded with the probe.
    target : {"labels", "dense"}
        What outputs are compared with: one-hot labels, or the outputs of the network with all weights.

    Returns
    -------
    xarray.Dataset
        Over the runs that have a probed mask update, with the coordinate ``update_step`` (run, update; optimiser steps
        done). All dimensionless: squared norms are sums over outputs, means over samples of the probe batch.

        ``fit``, ``compensation``, ``covariance``, ``new_fit``, ``burden`` (run, update)
            The terms; NaN where an update was not probed. So are ``relaxed_<term>``, with the weights of the next
            record (NaN at the last update).
        ``relaxation`` (run, update)
            ``relaxed_new_fit`` − ``new_fit``: negative where training makes up for the update.
        ``share_fit``, ``share_compensation``, ``share_covariance`` (run, update)
            term / (fit + compensation + |covariance|). Relative to ``new_fit`` a share would have no bounds, since the
            covariance is signed; these lie in [−1, 1], their absolute values sum to 1, and the covariance keeps its
            sign. NaN where all terms are 0.
        ``cumulative_<term>`` (run, update)
            Sum over the probed updates so far of fit, compensation, covariance, new_fit, relaxation; unprobed updates
            are skipped (the sum stays), NaN beyond a run's last update.
        ``lost``, ``regained``, ``recovered`` (run, update, order); ``layer_<term>``, ``pruned``, ``regrown``
        (run, update, parameter); ``overlap`` (run, update)
            As recorded. ``layer_<term>`` do not depend on `target`.
        ``residual`` (run, update), ``worst_residual`` (run,)
            |fit + compensation + covariance − new_fit| / new_fit, and its maximum over a run's updates: rounding.

        ``attrs["target"]``; ``attrs["without"]`` lists ``"run_id: reason"`` for the runs that are dropped.

    Raises
    ------
    InputError
        The target is unknown, the study was not probed, or no run of it ever updates its mask.
    """
    if target not in TARGETS:
        raise unknown_name("target", target, TARGETS)
    require_updates(dataset)
    has_terms = dataset["fit"].notnull().any(["update", "target"]).to_numpy()
    runs = dataset.isel(run=np.flatnonzero(has_terms))
    terms = {name: runs[name].sel(target=target, drop=True) for name in (*TERMS, *(f"relaxed_{t}" for t in TERMS))}
    relaxation = (terms["relaxed_new_fit"] - terms["new_fit"]).assign_attrs(
        long_name="change of the error after the update, until the next record",
        units="1",
        documentation="docs/burden.md",
    )
    names = [*PARTS, *_AS_RECORDED, *(f"layer_{name}" for name in (*TERMS, *PARTS))]
    result = xr.Dataset({**terms, "relaxation": relaxation, **{n: runs[n] for n in names if n in runs}})
    result = result.assign_coords(update_step=runs["update_step"])
    own = runs["update_step"].notnull()
    for name in (*_SPLIT, "new_fit", "relaxation"):
        total = result[name].fillna(0.0).cumsum("update").where(own)
        result[f"cumulative_{name}"] = total.assign_attrs(_attrs(f"{name}, sum over probed updates so far"))
    size = sum((abs(result[name]) for name in _SPLIT[1:]), start=abs(result[_SPLIT[0]]))
    for name in _SPLIT:
        share = result[name] / size.where(size > 0)
        result[f"share_{name}"] = share.assign_attrs(_attrs(f"{name} / (fit + compensation + |covariance|)"))
    result["residual"] = _residual(result)
    result["worst_residual"] = result["residual"].max("update").assign_attrs(_attrs("largest residual of the identity"))
    result.attrs = {"target": target, "without": _without(dataset, has_terms)}
    return result


def _residual(terms: xr.Dataset) -> xr.DataArray:
    error = abs(terms["fit"] + terms["compensation"] + terms["covariance"] - terms["new_fit"])
    # 0/0: a network without error before and after leaves nothing to explain.
    relative = error.where(error == 0, error / terms["new_fit"])
    return relative.assign_attrs(_attrs("|fit + compensation + covariance - new_fit| / new_fit"))


def _attrs(long_name: str) -> dict[str, Any]:
    return {"long_name": long_name, "units": "1", "documentation": "docs/burden.md"}


def _without(dataset: xr.Dataset, has_terms: np.ndarray[Any, np.dtype[np.bool_]]) -> list[str]:
    moving = updated(dataset)
    started = dataset["update_step"].notnull().any("update").to_numpy()
    reasons = [
        f"{run_id}: {'no mask update was probed' if moves else STATIC if looked else 'no mask update committed'}"
        for run_id, moves, looked in zip(dataset["run_id"].to_numpy(), moving, started, strict=True)
    ]
    return [reason for reason, kept in zip(reasons, has_terms, strict=True) if not kept]

"""The runs of a study that have not finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from recorders.contract import Status

if TYPE_CHECKING:
    import xarray as xr


def missing_runs(dataset: xr.Dataset) -> pd.DataFrame:
    """List the runs that have not finished: planned, still running, or failed.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.

    Returns
    -------
    pandas.DataFrame
        One row per run with ``run_id``, ``strategy``, ``sparsity``, ``seed``, ``status``, ``status_reason`` and
        ``records_written``. Diverged runs have finished and are not listed.
    """
    columns = ["run_id", "strategy", "sparsity", "seed", "status", "status_reason", "records_written"]
    table = pd.DataFrame({name: dataset[name].to_numpy() for name in columns})
    return table[[not Status(s).finished for s in table["status"]]].reset_index(drop=True)

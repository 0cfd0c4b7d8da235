"""The runs of a study as a table of accuracies: what `compression_effect` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recorders.contract import InputError, Status

if TYPE_CHECKING:
    import xarray as xr

_REFERENCE = "dense"  # not pruned: no row of a table of sparse networks
_LABELS = ("run_id", "recording")  # names of a run, not settings
_AXES = ("compression", "sparsity", "seed")


def accuracy_table(dataset: xr.Dataset) -> pd.DataFrame:
    """Tabulate the last held-out accuracy of every run of a pruned network.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`, with a coordinate ``compression`` on ``run``.

    Returns
    -------
    pandas.DataFrame
        One row per run: first the settings that vary (its blocks), by name, then ``compression``, ``sparsity``,
        ``seed``, ``accuracy`` in per cent and ``status``. Accuracy is NaN where it was never measured and in runs that
        are not complete. ``attrs["blocks"]`` names the settings. Runs of ``dense`` have no row. A coordinate whose
        every value goes with one compression alone, such as the tokens left, follows from the compression and is no
        setting.

    Raises
    ------
    InputError
        The study has no coordinate ``compression``, or no run of a pruned network.
    """
    if "compression" not in dataset.coords or dataset["compression"].dims != ("run",):
        known = ", ".join(_on_run(dataset))
        raise InputError(f"the study has no coordinate 'compression' on its runs (there are {known})")
    pruned = dataset.isel(run=np.flatnonzero(dataset["strategy"].to_numpy() != _REFERENCE))
    if not pruned.sizes["run"]:
        raise InputError(f"every run of the study is {_REFERENCE}: record a strategy that prunes")
    rows = pd.DataFrame({name: pruned[name].to_numpy() for name in _on_run(pruned)})
    settings = tuple(str(name) for name in rows if name not in (*_LABELS, *_AXES) and _is_setting(rows, str(name)))
    status = pruned["status"].to_numpy().astype(str)
    accuracy = np.where(status == Status.COMPLETE.value, 100 * _last(pruned["accuracy"]), np.nan)
    table = rows[[*settings, *_AXES]].assign(accuracy=accuracy, status=status)
    table.attrs["blocks"] = settings
    return table


def _on_run(dataset: xr.Dataset) -> list[str]:
    # Sorted: a store lists its arrays in any order.
    return sorted(str(name) for name, coordinate in dataset.coords.items() if coordinate.dims == ("run",))


def _is_setting(rows: pd.DataFrame, name: str) -> bool:
    """Whether a column varies, and other than with the compression alone."""
    levels = len(rows[name].unique())
    pairs = len(rows[[name, "compression"]].drop_duplicates())
    # As many pairs as values: each value goes with one compression, which says nothing where there is only one.
    return levels > 1 and (pairs > levels or len(rows["compression"].unique()) == 1)


def _last(accuracy: xr.DataArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Last value of each run that is not NaN: accuracy is measured at its own cadence."""
    values = accuracy.transpose("run", "record").to_numpy().astype(float)
    known = ~np.isnan(values)
    at = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return np.where(known.any(axis=1), values[np.arange(len(values)), at], np.nan)

"""Pairs runs with the same run without compression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_NAMES = ("run_id", "recording", "compression")  # what the two runs of a pair differ in


def baseline(runs: pd.DataFrame, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Look up, for every run, the value of the run that differs from it in the compression ratio alone, which is 0.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row per run, one column per coordinate.
    values : array, shape (run,)
        One value per run.

    Returns
    -------
    array, shape (run,)
        In the units of the values; NaN where there is no such run.
    """
    pair = [str(name) for name in runs if name not in _NAMES]
    known = runs.assign(baseline=values)[runs["compression"] == 0].drop_duplicates(pair).set_index(pair)["baseline"]
    return runs.join(known, on=pair)["baseline"].to_numpy(float)

"""Held-out accuracy over training and at its end, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recorders.contract import Status

if TYPE_CHECKING:
    import xarray as xr

_LINE = ["length", "sparsity", "ratio"]


def accuracy_curves(runs: xr.Dataset) -> pd.DataFrame:
    """Tabulate every evaluation of every run, and their means by length of training, sparsity and compression ratio.

    Parameters
    ----------
    runs : xarray.Dataset
        Complete runs, from `open_study`, with a coordinate ``compression`` on ``run``.

    Returns
    -------
    pandas.DataFrame
        Columns ``length`` (epochs at the last evaluation of a run), ``sparsity``, ``ratio``, ``run``
        (``recording/run_id``), ``epoch``, ``value`` (per cent) and ``quantity``: ``run``, and ``mean`` (arithmetic,
        over the runs of a line, where every one of them was evaluated).
    """
    accuracy = 100 * runs["accuracy"].transpose("run", "record").to_numpy().astype(float)
    at, when = np.nonzero(np.isfinite(accuracy))
    names = np.array([f"{r}/{k}" for r, k in zip(runs["recording"].values, runs["run_id"].values, strict=True)], object)
    found = pd.DataFrame(
        {
            "sparsity": runs["sparsity"].to_numpy()[at],
            "ratio": runs["compression"].to_numpy()[at],
            "run": names[at],
            "epoch": runs["epoch"].to_numpy().astype(float)[when],
            "value": accuracy[at, when],
        }
    ).dropna()
    found.insert(0, "length", found.groupby("run")["epoch"].transform("max").round(6))
    n = found.groupby(_LINE)["run"].transform("nunique")
    grouped = found.assign(n=n).groupby([*_LINE, "epoch"])
    # Only where every run was evaluated: else the mean jumps where a run leaves it.
    means = grouped["value"].mean()[grouped["value"].count() == grouped["n"].first()].reset_index()
    return pd.concat([found.assign(quantity="run"), means.assign(quantity="mean", run="")], ignore_index=True)


def final_accuracies(runs: pd.DataFrame) -> pd.DataFrame:
    """Average the last accuracy of complete runs over seeds."""
    known = runs[runs["status"] == Status.COMPLETE].dropna(subset=["final_accuracy"])
    cells = known.groupby(["strategy", "sparsity"])["final_accuracy"]
    return pd.DataFrame({"mean": cells.mean(), "sd": cells.std(ddof=1), "n": cells.count()})

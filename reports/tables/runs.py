"""What was run: the design matrix, who is missing, and the accuracy that every run ended at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from burden_analysis.results.words import MISSING, counted, number
from recorders.contract import Status
from reports.drawing.style import LOOKS
from reports.tables.table import Table, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr


def run_list(dataset: xr.Dataset, settings: Sequence[str] = ()) -> pd.DataFrame:
    """List every run with its state and the last accuracy it was evaluated at.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.
    settings : sequence of str
        Further coordinates of runs to list, and to sort by first.

    Returns
    -------
    pandas.DataFrame
        One row per run, strategies in the order in which figures show them.
    """
    columns = (*settings, "run_id", "strategy", "sparsity", "seed", "status", "status_reason", "records_written")
    runs = pd.DataFrame({name: dataset[name].to_numpy() for name in columns})
    accuracy = dataset["accuracy"].transpose("run", "record").to_numpy()
    runs["final_accuracy"] = [next(iter(row[np.isfinite(row)][::-1]), np.nan) for row in accuracy]
    rank = {name: k for k, name in enumerate(LOOKS)}
    order = runs["strategy"].map(lambda name: (rank.get(name, len(rank)), name))
    runs = runs.assign(order=order).sort_values([*settings, "order", "sparsity", "seed"], kind="stable")
    return runs.drop(columns="order").reset_index(drop=True)


def design_matrix(runs: pd.DataFrame, rows: str = "strategy", columns: str = "sparsity") -> Table:
    """Count complete runs against planned ones, strategy by sparsity.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `run_list`.
    rows, columns : str
        What to count by instead.

    Returns
    -------
    Table
        Cells such as ``4 of 5``.
    """

    def complete(cell: pd.DataFrame) -> str:
        return f"{(cell['status'] == Status.COMPLETE).sum()} of {len(cell)}"

    return _crossed(runs, rows, columns, "Complete runs, of those planned or started (–: none planned)", complete)


def accuracy_matrix(runs: pd.DataFrame) -> Table:
    """Average the final held-out accuracy of complete runs over seeds, strategy by sparsity.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `run_list`.

    Returns
    -------
    Table
        Cells such as ``0.965 ± 0.004 (n = 5)``; no deviation from a single seed.
    """

    def mean(cell: pd.DataFrame) -> str:
        values = cell.loc[cell["status"] == Status.COMPLETE, "final_accuracy"].dropna()
        if values.empty:
            return MISSING
        deviation = f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else ""
        return f"{values.mean():.4f}{deviation} (n = {len(values)})"

    caption = "Final held-out accuracy of complete runs: mean ± standard deviation over seeds"
    return _crossed(runs, "strategy", "sparsity", caption, mean)


def missing_list(runs: pd.DataFrame) -> Table | None:
    """Name every run that is not complete, with its state and why; None when nothing is missing."""
    missing = runs[runs["status"] != Status.COMPLETE].drop(columns="final_accuracy")
    return as_text(missing, f"{counted(len(missing), 'run')} missing") if len(missing) else None


def summary(runs: pd.DataFrame) -> str:
    """Say in one sentence what the study holds."""
    states = runs["status"].value_counts()
    others = [f"{states[s]} {s}" for s in Status if s != Status.COMPLETE and s in states]
    parts = [f"{states.get(Status.COMPLETE, 0)} complete", *others]
    return (
        f"{counted(len(runs), 'run')} ({', '.join(parts)}): {counted(runs['strategy'].nunique(), 'strategy')}, "
        f"{counted(runs['sparsity'].nunique(), 'sparsity')}, {counted(runs['seed'].nunique(), 'seed')}."
    )


def _crossed(runs: pd.DataFrame, row: str, column: str, caption: str, show: Callable[[pd.DataFrame], str]) -> Table:
    levels = np.unique(runs[column])
    rows = []
    for name, own in runs.groupby(row, sort=False):
        cells = [own[own[column] == level] for level in levels]
        rows.append((str(name), *(show(cell) if len(cell) else MISSING for cell in cells)))
    columns = (row, *(f"{column} {number(level)}" for level in levels))
    return Table(caption, columns, tuple(rows), (False, *(True for _ in levels)))

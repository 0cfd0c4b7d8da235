"""What was run: the design matrix, who is missing, and the accuracy that every run ended at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from burden_analysis.compression.accuracies import last_values
from burden_analysis.indicators.accuracy import final_accuracies
from burden_analysis.results.words import MISSING, counted, level
from recorders.contract import Status
from reports.drawing.style import LOOKS
from reports.tables.table import Table, as_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import xarray as xr


def run_list(dataset: xr.Dataset, settings: Sequence[str] = ()) -> pd.DataFrame:
    """List every run with its state and the last accuracy it was evaluated at."""
    columns = (*settings, "run_id", "strategy", "sparsity", "seed", "status", "status_reason", "records_written")
    runs = pd.DataFrame({name: dataset[name].to_numpy() for name in columns})
    runs["final_accuracy"] = last_values(dataset["accuracy"])
    rank = {name: k for k, name in enumerate(LOOKS)}
    order = runs["strategy"].map(lambda name: (rank.get(name, len(rank)), name))
    runs = runs.assign(order=order).sort_values([*settings, "order", "sparsity", "seed"], kind="stable")
    return runs.drop(columns="order").reset_index(drop=True)


def design_matrix(runs: pd.DataFrame, rows: str = "strategy", columns: str = "sparsity") -> Table:
    """Count complete runs against planned ones, strategy by sparsity."""
    done = (runs["status"] == Status.COMPLETE).groupby([runs[rows], runs[columns]])
    counts = pd.DataFrame({"complete": done.sum(), "all": done.size()})
    cells = {key: f"{complete} of {planned}" for key, complete, planned in counts.itertuples(name=None)}
    return _crossed(runs, rows, columns, "Complete runs, of those planned or started (–: none planned)", cells)


def accuracy_matrix(runs: pd.DataFrame) -> Table:
    """Lay out the final held-out accuracy of complete runs, strategy by sparsity."""
    caption = "Final held-out accuracy of complete runs: mean ± standard deviation over seeds"
    cells = {
        key: f"{mean:.4f}{'' if np.isnan(sd) else f' ± {sd:.4f}'} (n = {n})"
        for key, mean, sd, n in final_accuracies(runs).itertuples(name=None)
    }
    return _crossed(runs, "strategy", "sparsity", caption, cells)


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


def _crossed(runs: pd.DataFrame, row: str, column: str, caption: str, cells: Mapping[Hashable, str]) -> Table:
    levels = np.unique(runs[column])
    rows = tuple((str(name), *(cells.get((name, value), MISSING) for value in levels)) for name in runs[row].unique())
    columns = (row, *(f"{column} {level(value)}" for value in levels))
    return Table(caption, columns, rows, (False, *(True for _ in levels)))

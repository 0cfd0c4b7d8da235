"""The runs of a study that can be used: which completed, as a table, each in a cell of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from burden_analysis.arrangement.levels import with_levels
from recorders.contract import InputError, Status, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr


def check_strategies(dataset: xr.Dataset, asked: Sequence[str]) -> None:
    """Refuse a strategy that the study does not have."""
    known = list(dict.fromkeys(map(str, dataset["strategy"].to_numpy())))
    for strategy in asked:
        if strategy not in known:
            raise unknown_name("strategy", strategy, known)
    if len(set(asked)) < len(asked):
        raise InputError(f"a strategy is named twice in {', '.join(asked)}: name each once")


def complete_runs(dataset: xr.Dataset, strategies: Sequence[str]) -> tuple[xr.Dataset, tuple[str, ...]]:
    """Keep the runs of some strategies that completed, each at its level."""
    dataset = with_levels(dataset)
    ours = np.isin(dataset["strategy"].to_numpy(), list(strategies))
    complete = dataset["status"].to_numpy() == Status.COMPLETE.value
    excluded = [
        f"{run_id}: {status}" + (f" ({reason})" if reason else "")
        for run_id, status, reason in zip(
            dataset["run_id"].to_numpy()[ours & ~complete],
            dataset["status"].to_numpy()[ours & ~complete],
            dataset["status_reason"].to_numpy()[ours & ~complete],
            strict=True,
        )
    ]
    return dataset.isel(run=np.flatnonzero(ours & complete)), tuple(excluded)


def run_table(dataset: xr.Dataset, paired_by: str = "seed") -> pd.DataFrame:
    """Tabulate the coordinates of runs, each at its level."""
    dataset = with_levels(dataset)
    # From `variables`: `coords` would make each a DataArray with all others as its own coords.
    coords = {str(k): dataset.variables[k] for k in dataset.coords}
    settings = {k: v.to_numpy() for k, v in coords.items() if v.dims == ("run",)}
    if paired_by not in settings:
        raise unknown_name("coordinate of runs", paired_by, settings)
    return pd.DataFrame(settings)


def check_unique(table: pd.DataFrame, paired_by: str) -> None:
    """Refuse two runs in one cell, and say what tells them apart.

    Parameters
    ----------
    table : pandas.DataFrame
        From `run_table`.
    paired_by : str
        The coordinate that forms pairs.

    Raises
    ------
    InputError
        Two runs share strategy, sparsity and `paired_by`.
    """
    key = ["strategy", "sparsity", paired_by]
    twins = table[table.duplicated(key, keep=False)]
    if twins.empty:
        return
    strategy, sparsity, pair = twins.iloc[0][key]
    same = twins[(twins[key] == twins.iloc[0][key]).all(axis=1)]
    told_apart = [str(c) for c in table.columns if c not in (*key, "run_id") and len(set(same[c])) > 1]
    told_apart.sort(key=lambda c: c == "recording")  # a setting says more than the recording it is in
    what = f"{len(same)} runs have strategy {strategy!r}, sparsity {sparsity:g} and {paired_by} {pair}"
    if not told_apart:
        raise InputError(f"{what} ({', '.join(same['run_id'])}): keep one of them with dataset.isel(run=...)")
    needed = told_apart[:1] if told_apart[0] == "recording" else [c for c in told_apart if c != "recording"]
    others = table[table["strategy"] != strategy]
    wanted = " & ".join(_selection(c, same[c].iloc[0], strategy, others) for c in needed)
    raise InputError(f"{what}; they differ in {', '.join(told_apart)}: select one first, ds.isel(run={wanted})")


def _selection(setting: str, value: Any, strategy: str, others: pd.DataFrame) -> str:
    chosen = f"(ds.{setting} == {as_python(value)!r})"
    # A setting of this strategy alone, such as the allocation of random, must not drop the others.
    return chosen if others.empty or (others[setting] == value).any() else f"((ds.strategy != {strategy!r}) | {chosen})"


def as_python(value: Any) -> Any:
    """Give NumPy's scalars as Python's."""
    return value.item() if hasattr(value, "item") else value

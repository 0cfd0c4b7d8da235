"""Lays the usable runs of a study out as (seed, sparsity, strategy), and says which runs are left out and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recorders.contract import InputError, Status, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

_SPARSITY_DIGITS = 9  # 0.7 from YAML and 0.7 from arithmetic are one sparsity


@dataclass(frozen=True)
class Cells:
    """Values by seed, sparsity and strategy.

    Attributes
    ----------
    grid : array, shape (seed, sparsity, strategy)
        NaN where no usable run exists.
    seeds : tuple
        Values of the pairing coordinate, sorted.
    sparsities : tuple of float
        Sorted.
    strategies : tuple of str
        In the order that was asked for.
    excluded : tuple of str
        ``"run_id: reason"`` for each run of these strategies that is not used.
    """

    grid: npt.NDArray[np.float64]
    seeds: tuple[Any, ...]
    sparsities: tuple[float, ...]
    strategies: tuple[str, ...]
    excluded: tuple[str, ...]

    def at_sparsities(self, keep: npt.NDArray[np.bool_]) -> Cells:
        """Keep some sparsities, and the seeds that have a complete block at one of them.

        Parameters
        ----------
        keep : array of bool, shape (sparsity,)
            Which to keep.

        Returns
        -------
        Cells
            The smaller arrangement.
        """
        values = self.grid[:, keep]
        full = np.atleast_1d(np.asarray(np.isfinite(values).all(axis=2)).any(axis=1))
        sparsities = tuple(s for s, k in zip(self.sparsities, keep, strict=True) if k)
        seeds = tuple(s for s, k in zip(self.seeds, full, strict=True) if k)
        return replace(self, grid=values[full], seeds=seeds, sparsities=sparsities)

    def with_several_sparsities(self) -> Cells:
        """Keep the strategies that have some seed complete over all of at least two own sparsities.

        Returns
        -------
        Cells
            The smaller arrangement, with the seeds and sparsities that these strategies have.
        """
        keep = [k for k in range(len(self.strategies)) if self._comparable(k)]
        have = np.isfinite(self.grid[:, :, keep])
        seeds, sparsities = np.atleast_1d(have.any(axis=(1, 2))), np.atleast_1d(have.any(axis=(0, 2)))
        return replace(
            self,
            grid=self.grid[:, :, keep][seeds][:, sparsities],
            seeds=tuple(s for s, used in zip(self.seeds, seeds, strict=True) if used),
            sparsities=tuple(s for s, used in zip(self.sparsities, sparsities, strict=True) if used),
            strategies=tuple(self.strategies[k] for k in keep),
        )

    def of(self, strategy: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Values of one strategy over its own sparsities.

        Parameters
        ----------
        strategy : int
            Its position.

        Returns
        -------
        sparsities : array, shape (own sparsity,)
            Those at which any seed has a value.
        values : array, shape (seed, own sparsity)
            NaN where missing.
        """
        values = self.grid[:, :, strategy]
        own = np.isfinite(values).any(axis=0)
        return np.array(self.sparsities)[own], values[:, own]

    def _comparable(self, strategy: int) -> bool:
        sparsities, values = self.of(strategy)
        return len(sparsities) > 1 and bool(np.isfinite(values).all(axis=1).any())

    def tidy(self) -> pd.DataFrame:
        """List the values, one row each.

        Returns
        -------
        pandas.DataFrame
            Columns strategy, sparsity, seed, value; missing cells are left out.
        """
        rows = [
            (strategy, sparsity, seed, self.grid[i, j, k])
            for k, strategy in enumerate(self.strategies)
            for j, sparsity in enumerate(self.sparsities)
            for i, seed in enumerate(self.seeds)
            if not np.isnan(self.grid[i, j, k])
        ]
        return pd.DataFrame(rows, columns=["strategy", "sparsity", "seed", "value"])


def check_strategies(dataset: xr.Dataset, asked: Sequence[str]) -> None:
    """Refuse a strategy that the study does not have.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    asked : sequence of str
        Strategies that are to be compared.

    Raises
    ------
    InputError
        One of them is missing, or is named twice.
    """
    known = list(dict.fromkeys(map(str, dataset["strategy"].to_numpy())))
    for strategy in asked:
        if strategy not in known:
            raise unknown_name("strategy", strategy, known)
    if len(set(asked)) < len(asked):
        raise InputError(f"a strategy is named twice in {', '.join(asked)}: name each once")


def complete_runs(dataset: xr.Dataset, strategies: Sequence[str]) -> tuple[xr.Dataset, tuple[str, ...]]:
    """Keep the runs of some strategies that completed.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    strategies : sequence of str
        Whose runs to keep.

    Returns
    -------
    dataset : xarray.Dataset
        Complete runs.
    excluded : tuple of str
        ``"run_id: reason"`` of the others of these strategies: planned, running, diverged or failed.
    """
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


def cells(dataset: xr.Dataset, values: xr.DataArray, strategies: Sequence[str], paired_by: str = "seed") -> Cells:
    """Arrange one value per run by seed, sparsity and strategy.

    Parameters
    ----------
    dataset : xarray.Dataset
        Complete runs.
    values : xarray.DataArray, shape (run,)
        One value per run; NaN or infinite ones are left out and named.
    strategies : sequence of str
        Order of the last axis.
    paired_by : str, default "seed"
        Coordinate on `run` whose equal values form a pair.

    Returns
    -------
    Cells
        The arrangement.

    Raises
    ------
    InputError
        `paired_by` is no coordinate of runs, or two runs fall into one cell.
    """
    table = run_table(dataset, paired_by)
    check_unique(table, paired_by)
    table["value"] = values.to_numpy()
    finite = np.isfinite(table["value"])
    seeds, sparsities = sorted(table[paired_by].unique()), sorted(table["sparsity"].unique())
    result = np.full((len(seeds), len(sparsities), len(strategies)), np.nan)
    for row in table[finite].to_dict("records"):
        place = seeds.index(row[paired_by]), sparsities.index(row["sparsity"]), list(strategies).index(row["strategy"])
        result[place] = row["value"]
    excluded = tuple(f"{run_id}: {values.name} is not finite" for run_id in table.loc[~finite, "run_id"])
    plain = tuple(_plain(seed) for seed in seeds)
    return Cells(result, plain, tuple(map(float, sparsities)), tuple(strategies), excluded)


def run_table(dataset: xr.Dataset, paired_by: str = "seed") -> pd.DataFrame:
    """Tabulate the coordinates of runs.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    paired_by : str, default "seed"
        The coordinate that forms pairs.

    Returns
    -------
    pandas.DataFrame
        One row per run, one column per coordinate on `run`.

    Raises
    ------
    InputError
        `paired_by` is no coordinate of runs.
    """
    settings = {str(k): v.to_numpy() for k, v in dataset.coords.items() if v.dims == ("run",)}
    if paired_by not in settings:
        raise unknown_name("coordinate of runs", paired_by, settings)
    settings["sparsity"] = np.round(settings["sparsity"], _SPARSITY_DIGITS)
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
    chosen = f"(ds.{setting} == {_plain(value)!r})"
    # A setting of this strategy alone, such as the allocation of random, must not drop the others.
    return chosen if others.empty or (others[setting] == value).any() else f"((ds.strategy != {strategy!r}) | {chosen})"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

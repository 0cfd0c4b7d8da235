"""Lays the usable runs of a study out as (seed, sparsity, strategy), and says which runs are left out and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from burden_analysis.arrangement.runs import as_python, check_unique, run_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr


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
    unit : str
        What a seed is called: the pairing coordinate.
    """

    grid: npt.NDArray[np.float64]
    seeds: tuple[Any, ...]
    sparsities: tuple[float, ...]
    strategies: tuple[str, ...]
    excluded: tuple[str, ...]
    unit: str = "seed"

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
    plain = tuple(as_python(seed) for seed in seeds)
    return Cells(result, plain, tuple(map(float, sparsities)), tuple(strategies), excluded, paired_by)

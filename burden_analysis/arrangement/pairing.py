"""Whether strategies share seeds, and what of a design can be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.arrangement.runs import run_table
from recorders.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from burden_analysis.arrangement.cells import Cells


def shares_seeds(dataset: xr.Dataset, strategies: Sequence[str], paired_by: str) -> bool:
    """Whether the design pairs strategies; runs of any status count, so that no failure changes the test."""
    table = run_table(dataset, paired_by)
    seeds = [set(table.loc[table["strategy"] == strategy, paired_by]) for strategy in strategies]
    return len(set().union(*seeds)) < sum(map(len, seeds))


def with_all_strategies(found: Cells) -> tuple[Cells, tuple[str, ...]]:
    """Keep the sparsities at which every strategy has a run of its own seeds; name the others.

    Parameters
    ----------
    found : Cells
        Endpoints of a design in which each seed has one strategy.

    Returns
    -------
    found : Cells
        What can be compared.
    gaps : tuple of str
        ``"sparsity: reason"`` of what cannot.

    Raises
    ------
    InputError
        Nothing is left.
    """
    have = np.atleast_2d(np.isfinite(found.grid).any(axis=0))
    keep = np.atleast_1d(have.all(axis=1))
    gaps = []
    for j in np.flatnonzero(~keep):
        lacking = [s for k, s in enumerate(found.strategies) if not have[j, k]]
        gaps.append(f"sparsity {found.sparsities[j]:g}: no usable run of {', '.join(lacking)}")
    if not keep.any():
        raise InputError(
            f"no sparsity has a complete run of all of {', '.join(found.strategies)} ({'; '.join(gaps)}): "
            "finish the study, or pass a shorter order"
        )
    values = found.grid[:, keep]
    used = np.atleast_1d(np.isfinite(values).any(axis=(1, 2)))
    seeds = tuple(s for s, k in zip(found.seeds, used, strict=True) if k)
    sparsities = tuple(s for s, k in zip(found.sparsities, keep, strict=True) if k)
    return replace(found, grid=values[used], seeds=seeds, sparsities=sparsities), tuple(gaps)


def with_full_blocks(found: Cells) -> tuple[Cells, tuple[str, ...]]:
    """Keep the sparsities at which some seed has all strategies, and those seeds; name the others.

    Parameters
    ----------
    found : Cells
        Endpoints of a paired design.

    Returns
    -------
    found : Cells
        What can be compared.
    gaps : tuple of str
        ``"sparsity: reason"`` and ``"seed: reason"`` of what cannot.

    Raises
    ------
    InputError
        Nothing is left.
    """
    have = np.isfinite(found.grid)
    full = np.atleast_1d(have.all(axis=2).any(axis=0))
    gaps = []
    for j in np.flatnonzero(~full):
        lacking = [s for k, s in enumerate(found.strategies) if not have[:, j, k].any()]
        why = f"no usable run of {', '.join(lacking)}" if lacking else f"no {found.unit} has all strategies"
        gaps.append(f"sparsity {found.sparsities[j]:g}: {why}")
    if not full.any():
        raise InputError(
            f"no {found.unit} has a complete run of all of {', '.join(found.strategies)} at any sparsity"
            + (f" ({'; '.join(gaps)})" if gaps else "")
            + ": finish the study, or pass a shorter order"
        )
    kept = found.at_sparsities(full)
    gaps += [f"{found.unit} {s}: no sparsity has all strategies" for s in found.seeds if s not in kept.seeds]
    return kept, tuple(gaps)


def absent_runs(dataset: xr.Dataset, found: Cells) -> tuple[str, ...]:
    """Name the runs that nobody planned, where the strategy has that seed and that sparsity in other runs.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`; runs of any status count as planned, since those that failed are named by their id.
    found : Cells
        What is compared.

    Returns
    -------
    tuple of str
        ``"strategy at sparsity s, seed i: no run"``.
    """
    table = run_table(dataset, found.unit)
    absent = []
    for strategy in found.strategies:
        own = table[table["strategy"] == strategy]
        planned = set(zip(own["sparsity"], own[found.unit], strict=True))
        sparsities = [s for s in found.sparsities if s in set(own["sparsity"])]
        seeds = [i for i in found.seeds if i in set(own[found.unit])]
        gaps = [(s, i) for s in sparsities for i in seeds if (s, i) not in planned]
        absent += [f"{strategy} at sparsity {s:g}, {found.unit} {i}: no run" for s, i in gaps]
    return tuple(absent)


def without_sparsities(dataset: xr.Dataset, asked: Sequence[str], found: Cells) -> tuple[str, ...]:
    """Name the strategies of several sparsities that have no seed complete over them.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    asked : sequence of str
        Strategies that were to be compared.
    found : Cells
        What is left.

    Returns
    -------
    tuple of str
        ``"strategy: reason"``.
    """
    table = run_table(dataset, found.unit)
    several = table.groupby("strategy")["sparsity"].nunique() > 1
    gone = [name for name in asked if several[name] and name not in found.strategies]
    return tuple(f"{name}: no {found.unit} is complete over its sparsities" for name in gone)


def incomplete_seeds(found: Cells) -> tuple[str, ...]:
    """Name the seeds of each strategy that lack a sparsity: their mean over the others is that of other levels.

    Parameters
    ----------
    found : Cells
        Endpoints of a design in which each seed has one strategy.

    Returns
    -------
    tuple of str
        ``"seed i of strategy over all sparsities: reason"``.
    """
    have = np.isfinite(found.grid)
    return tuple(
        f"{found.unit} {seed} of {strategy} over all sparsities: no usable run at "
        + ", ".join(f"{s:g}" for s, there in zip(found.sparsities, have[i, :, k], strict=True) if not there)
        for k, strategy in enumerate(found.strategies)
        for i, seed in enumerate(found.seeds)
        if have[i, :, k].any() and not have[i, :, k].all()
    )

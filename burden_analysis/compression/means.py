"""Means behind the tables and figures of a study of compression: of cells over seeds, and of the units judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.compression.cells import SEED, checked_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from burden_analysis.compression.result import CompressionEffect


def accuracy_means(table: pd.DataFrame, blocks: Sequence[str]) -> pd.DataFrame:
    """Mean accuracy of every cell and ratio over its seeds.

    Parameters
    ----------
    table : pandas.DataFrame
        As for `burden_analysis.compression_effect`.
    blocks : sequence of str
        Columns that are settings.

    Returns
    -------
    pandas.DataFrame
        ``mean`` (per cent, NaN where missing) and ``count``, by `blocks`, ``compression`` and ``sparsity``.

    Raises
    ------
    InputError
        As `burden_analysis.compression_effect`.
    """
    keys = [*blocks, "compression", "sparsity"]
    return checked_rows(table, blocks).groupby(keys, sort=True, observed=True)["accuracy"].agg(["mean", "count"])


def mean_gap(own: pd.DataFrame, other: pd.DataFrame) -> tuple[float, int]:
    """Mean of own minus other accuracies over the cells that have both, and how many there are.

    Parameters
    ----------
    own, other : pandas.DataFrame
        Accuracies of the same cells, NaN where missing.

    Returns
    -------
    mean : float
        In percentage points; NaN without such a cell.
    n : int
        Cells that have both.
    """
    gaps = (own - other).to_numpy(float)
    known = gaps[np.isfinite(gaps)]
    return float(known.mean()) if known.size else float("nan"), known.size


def cell_means(effect: CompressionEffect) -> pd.DataFrame:
    """Mean difference from compression 0 of every cell and ratio over its seeds.

    Parameters
    ----------
    effect : CompressionEffect
        From `burden_analysis.compression_effect`.

    Returns
    -------
    pandas.DataFrame
        Columns `effect.blocks`, ``stable``, ``sparsity``, ``compression`` and ``difference`` (percentage points).
    """
    return _means(effect.differences, [*effect.blocks, "stable", "sparsity", "compression"])


def unit_means(effect: CompressionEffect, *, stable_only: bool) -> pd.DataFrame:
    """Mean difference from compression 0 of every unit that is judged, at every ratio.

    Parameters
    ----------
    effect : CompressionEffect
        From `burden_analysis.compression_effect`.
    stable_only : bool
        Whether unstable blocks are left out.

    Returns
    -------
    pandas.DataFrame
        Columns that name the unit, ``compression`` and ``difference`` (percentage points).
    """
    kept = effect.differences[effect.differences["stable"]] if stable_only else effect.differences
    return _means(kept, [*([SEED] if effect.unit == SEED else effect.blocks), "compression"])


def _means(differences: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    return differences.groupby(list(keys), sort=True, observed=True)["difference"].mean().reset_index()

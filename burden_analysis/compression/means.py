"""Means behind the tables and figures of a study of compression: accuracies and their differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.compression.cells import checked_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from burden_analysis.compression.result import CompressionEffect


def accuracy_means(table: pd.DataFrame, blocks: Sequence[str]) -> pd.DataFrame:
    """Mean accuracy of every cell and ratio over its seeds."""
    keys = [*blocks, "compression", "sparsity"]
    return checked_rows(table, blocks).groupby(keys, sort=True, observed=True)["accuracy"].agg(["mean", "count"])


def mean_gap(own: pd.DataFrame, other: pd.DataFrame) -> tuple[float, int]:
    """Mean of own minus other accuracies over the cells that have both, and how many there are."""
    gaps = (own - other).to_numpy(float)
    known = gaps[np.isfinite(gaps)]
    return float(known.mean()) if known.size else float("nan"), known.size


def difference_means(effect: CompressionEffect, keys: Sequence[str], *, stable_only: bool = False) -> pd.DataFrame:
    """Mean differences from compression 0 at every ratio."""
    kept = effect.differences[effect.differences["stable"]] if stable_only else effect.differences
    return kept.groupby([*keys, "compression"], sort=True, observed=True)["difference"].mean().reset_index()

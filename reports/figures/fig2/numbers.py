"""The numbers behind a figure: one tidy row per plotted value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from burden_analysis import separation
from burden_analysis.indicators.series import record_series
from recorders.contract import InputError
from reports.figures.curves import BAND_SEEDS, LEVEL, as_rows, joined, own_records, run_coordinates

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Any

    import xarray as xr


def seed_curves(runs: xr.Dataset, indicator: str, panel: str) -> pd.DataFrame:
    """Every run's curve and, per strategy and sparsity, their geometric mean.

    Parameters
    ----------
    runs : xarray.Dataset
        The runs to show.
    indicator : str
        Name of an indicator.
    panel : str
        Where the numbers are plotted.

    Returns
    -------
    pandas.DataFrame
        Rows of `COLUMNS`, with the quantities ``seed`` and ``geometric mean``.
    """
    table = record_series(runs, indicator).transpose("run", "record").to_numpy().astype(float)
    step, own = runs["step"].to_numpy(), own_records(runs)
    cells = run_coordinates(runs)
    parts = []
    for (sparsity, strategy), cell in cells.groupby(["sparsity", "strategy"], sort=True):
        common: dict[str, Any] = {"panel": panel, "indicator": indicator, "sparsity": sparsity, "strategy": strategy}
        members = cell.sort_values("seed").index.to_numpy()
        for run in members:
            seed = int(cells.loc[run, "seed"])
            parts.append(as_rows(step[own[run]], table[run][own[run]], quantity="seed", seed=seed, **common))
        # A record without a positive value of every seed has no geometric mean: a gap, not a mean of the others.
        shared = own[members].all(axis=0)
        positive = np.where(table[members] > 0, table[members], np.nan)[:, shared]
        parts.append(as_rows(step[shared], np.exp(np.log(positive).mean(axis=0)), quantity="geometric mean", **common))
    return joined(parts)


def ratio_curves(runs: xr.Dataset, indicator: str, panel: str, order: Sequence[str]) -> pd.DataFrame:
    """Ratio of every other strategy to the first, paired by seed, with its simultaneous band.

    Parameters
    ----------
    runs : xarray.Dataset
        The runs to show.
    indicator : str
        Name of an indicator.
    panel : str
        Where the numbers are plotted.
    order : sequence of str
        Strategies; the first is the one compared with.

    Returns
    -------
    pandas.DataFrame
        Rows of `COLUMNS`, with the quantities ``ratio``, ``low``, ``high`` and ``excludes one`` (0 or 1); its
        ``attrs["methods"]`` names how the bands were made, ``attrs["undrawn"]`` why a ratio is not there.
    """
    first, *others = order
    step, own = runs["step"].to_numpy(), own_records(runs)
    parts, methods, undrawn = [], set(), []
    for sparsity in np.unique(runs["sparsity"].to_numpy()):
        for other in others:
            pairs = _paired(runs, sparsity, first, other)
            if not pairs.size:
                continue
            shared = own[pairs].all(axis=0)
            try:
                band = separation(runs, indicator, other, first, sparsity=float(sparsity), level=LEVEL)
            except InputError as error:  # values without a logarithm: the curves are still worth drawing
                undrawn.append(str(error))
                continue
            common = {"panel": panel, "indicator": indicator, "sparsity": sparsity, "strategy": other, "against": first}
            for name in ("ratio", "low", "high", "excludes_one"):
                values = band[name].to_numpy().astype(float)
                parts.append(as_rows(step[shared], values[shared], quantity=name.replace("_", " "), **common))
            if pairs.size >= 2 * BAND_SEEDS:
                methods.add(str(band.attrs["method"]))
    ratios = joined(parts)
    ratios.attrs.update(methods=sorted(methods), undrawn=undrawn)
    return ratios


def seed_counts(data: pd.DataFrame) -> pd.Series[int]:
    """Seeds shown, by sparsity and strategy."""
    counts = {key: len(seeds) for key, seeds in _seeds(data).items()}
    return pd.Series(counts, dtype=np.int64)


def pair_counts(data: pd.DataFrame, reference: str) -> pd.Series[int]:
    """Seeds behind every plotted ratio, by sparsity and strategy."""
    seeds = _seeds(data)
    ratios = data[data["quantity"] == "ratio"].groupby(["sparsity", "strategy"]).size()
    pairs = [len(seeds[sparsity, strategy] & seeds[sparsity, reference]) for sparsity, strategy in ratios.index]
    return pd.Series(pairs, index=ratios.index, dtype=int)


def _seeds(data: pd.DataFrame) -> dict[Hashable, set[int]]:
    drawn = data[data["quantity"] == "seed"]
    return {key: set(group["seed"]) for key, group in drawn.groupby(["sparsity", "strategy"])}


def _paired(runs: xr.Dataset, sparsity: float, first: str, second: str) -> npt.NDArray[np.intp]:
    cells = run_coordinates(runs)
    both = cells[(cells["sparsity"] == sparsity) & cells["strategy"].isin([first, second])]
    return np.asarray(both.index[both.groupby("seed")["strategy"].transform("nunique") == 2], dtype=np.intp)

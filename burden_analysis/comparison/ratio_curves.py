"""Ratios of strategies over training as tidy rows: paired by seed, each with its simultaneous band."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.comparison.separation import separation
from burden_analysis.indicators.curves import as_rows, joined, own_records, run_coordinates
from burden_analysis.statistics.estimates.band import BAND_FROM
from recorders.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    import xarray as xr

LEVEL = 0.95
_CURVES = ("ratio", "low", "high", "excludes_one")


def ratio_curves(runs: xr.Dataset, indicator: str, order: Sequence[str]) -> pd.DataFrame:
    """Ratio of every other strategy to the first, paired by seed, with its simultaneous band."""
    first, *others = order
    step, own = runs["step"].to_numpy(), own_records(runs)
    parts, methods, undrawn, counts = [], set(), [], {}
    for sparsity in np.unique(runs["sparsity"].to_numpy()):
        for other in others:
            pairs = _paired(runs, sparsity, first, other)
            if not pairs.size:
                continue
            try:
                band = separation(runs, indicator, other, first, sparsity=float(sparsity), level=LEVEL)
            except InputError as error:  # values without a logarithm: the other curves are still worth showing
                undrawn.append(str(error))
                continue
            shared = own[pairs].all(axis=0)
            common = {"indicator": indicator, "sparsity": sparsity, "strategy": other, "against": first}
            curves = {name: band[name].to_numpy().astype(float)[shared] for name in _CURVES}
            parts += [as_rows(step[shared], v, quantity=name.replace("_", " "), **common) for name, v in curves.items()]
            if np.isfinite(curves["ratio"]).any():
                counts[float(sparsity), other] = int(band.attrs["n"])
            if band.attrs["n"] >= BAND_FROM:
                methods.add(str(band.attrs["method"]))
    ratios = joined(parts)
    ratios.attrs = {"pairs": counts, "methods": sorted(methods), "undrawn": undrawn}
    return ratios


def _paired(runs: xr.Dataset, sparsity: float, first: str, second: str) -> npt.NDArray[np.intp]:
    """Positions of the runs of both strategies whose seed both have."""
    cells = run_coordinates(runs)
    both = cells[(cells["sparsity"] == sparsity) & cells["strategy"].isin([first, second])]
    return np.asarray(both.index[both.groupby("seed")["strategy"].transform("nunique") == 2], dtype=np.intp)

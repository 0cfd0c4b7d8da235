"""What merging does to tokens and to speed, ratio by ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from burden_analysis.compression.accuracies import last_values
from burden_analysis.results.words import MISSING, number
from recorders.contract import Status
from reports.tables.table import Table, heading

if TYPE_CHECKING:
    import xarray as xr

_NETWORK = ("embed_dim", "num_heads")  # speeds of different networks are not averaged
_NAMES = ("run_id", "recording", "compression")  # what pairs of runs differ in
_SIZES = {"left alone": (1, 1), "of 2": (2, 2), "of 3–7": (3, 7), "of 8 or more": (8, 8)}
_SPEEDS = ("images per second", "times ratio 0")
_KEPT, _SPEED = "tokens_kept", "images_per_second"


def merging_table(dataset: xr.Dataset) -> Table | None:
    """Tabulate tokens kept, what they stand for, and images per second at every compression ratio.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.

    Returns
    -------
    Table or None
        Means over complete runs; None when none is, or when tokens were not recorded.
    """
    done = dataset.isel(run=np.flatnonzero(dataset["status"].to_numpy().astype(str) == Status.COMPLETE.value))
    if not done.sizes["run"] or not {_KEPT, _SPEED} <= set(map(str, done.data_vars)):
        return None
    runs = pd.DataFrame({str(k): v.to_numpy() for k, v in done.coords.items() if v.dims == ("run",)})
    pair = [str(name) for name in runs if name not in _NAMES]
    runs[_KEPT] = last_values(done[_KEPT])
    for words, (low, high) in _SIZES.items():
        sizes = [name for k in range(low, high + 1) if (name := f"merged_size_{k}") in done]
        runs[words] = sum(last_values(done[name]) for name in sizes) if sizes else np.nan
    # A median: the first records of a run contain the warm-up of its process.
    runs[_SPEED] = done[_SPEED].median("record", skipna=True).to_numpy()
    base = runs[runs["compression"] == 0].drop_duplicates(pair).set_index(pair)[_SPEED].rename("base")
    runs = runs.join(base, on=pair)
    runs["faster"] = np.log(runs[_SPEED] / runs["base"])
    network = [name for name in _NETWORK if name in runs and len(runs[name].unique()) > 1]
    rows = [_row(key, own) for key, own in runs.groupby([*network, "compression"], sort=True)]
    columns = (
        *map(heading, network),
        "compression",
        "runs",
        "tokens kept",
        *_SIZES,
        "images per second",
        "times ratio 0",
    )
    caption = (
        "Tokens after merging (class token included), how many stand for one source token, for 2, and for more (per "
        "image, at the last record), and training images per second of a run (median over its records, mean ± standard "
        "deviation over runs; runs that train side by side share the machine). Times ratio 0: geometric mean over "
        "pairs of runs that differ in the ratio alone."
    )
    return Table(caption, columns, tuple(rows), (*[False] * len(network), *[True] * (len(columns) - len(network))))


def _row(key: tuple[object, ...], own: pd.DataFrame) -> tuple[str, ...]:
    kept = own[_KEPT].dropna().unique()
    speed = own[_SPEED]
    faster = own["faster"].dropna()
    deviation = f" ± {speed.std(ddof=1):,.0f}" if speed.count() > 1 else ""
    return (
        *(number(value) for value in key),
        str(len(own)),
        number(kept[0]) if len(kept) == 1 else f"{number(kept.min())}–{number(kept.max())}" if len(kept) else MISSING,
        *(number(own[words].mean()) for words in _SIZES),
        f"{speed.mean():,.0f}{deviation}" if speed.count() else MISSING,
        number(float(np.exp(faster.mean())) if len(faster) else None),
    )

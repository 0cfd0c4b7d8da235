"""What merging does to tokens and to speed, ratio by ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.compression.merging import SIZES, merging_means
from burden_analysis.results.words import MISSING, level, number
from reports.tables.table import Table, heading

if TYPE_CHECKING:
    import xarray as xr


def merging_table(dataset: xr.Dataset) -> Table | None:
    """Tabulate tokens kept, what they stand for, and images per second at every compression ratio."""
    means = merging_means(dataset)
    if means.empty:
        return None
    settings = list(means.columns[: means.columns.get_loc("runs")])
    columns = (*map(heading, settings), "runs", "tokens kept", *SIZES, "images per second", "times ratio 0")
    caption = (
        "Tokens after merging (class token included), how many stand for one source token, for 2, and for more (per "
        "image, at the last record), and training images per second of a run (median over its records, mean ± standard "
        "deviation over runs; runs that train side by side share the machine). Times ratio 0: geometric mean over "
        "pairs of runs that differ in the ratio alone."
    )
    rows = tuple(_row(row, settings) for row in means.to_dict("records"))
    network = len(settings) - 1
    return Table(caption, columns, rows, (*[False] * network, *[True] * (len(columns) - network)))


def _row(row: dict[Any, Any], settings: list[str]) -> tuple[str, ...]:
    fewest, most, speed = row["fewest"], row["most"], row["speed"]
    deviation = "" if np.isnan(row["speed_sd"]) else f" ± {row['speed_sd']:,.0f}"
    return (
        *(level(row[name]) for name in settings),
        str(row["runs"]),
        number(fewest) if fewest == most else MISSING if np.isnan(fewest) else f"{number(fewest)}–{number(most)}",
        *(number(row[words]) for words in SIZES),
        MISSING if np.isnan(speed) else f"{speed:,.0f}{deviation}",
        number(row["faster"]),
    )

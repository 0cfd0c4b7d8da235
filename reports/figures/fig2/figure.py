"""Figure 2: gradient magnitude and weight norm while training, every seed, and the paired ratios below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from burden_analysis.arrangement.levels import with_levels
from burden_analysis.arrangement.runs import complete_runs
from burden_analysis.comparison.ratio_curves import ratio_curves
from burden_analysis.indicators.curves import schedule_curves, seed_curves
from burden_analysis.results.words import listing
from recorders.contract import InputError
from reports.figures.base import Figure, check_columns, check_one_run_each, drawn_order, in_panels, pages
from reports.figures.fig2.panels import draw
from reports.figures.fig2.words import Row, caption, description
from reports.figures.words import not_drawn, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import xarray as xr


@dataclass(frozen=True)
class Figure2(Figure):
    """Figure 2 with the numbers in it and the words about it; attributes as of `Figure`."""

    stem: ClassVar[str] = "figure2"


def figure2(
    dataset: xr.Dataset,
    *,
    gradient: str = "gradient_mean_abs_mean",
    weight: str = "weight_norm_mean",
    order: Sequence[str] | None = None,
) -> Figure2:
    """Draw gradient magnitude and weight norm over training, one column per sparsity.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned.
    gradient, weight : str
        Indicators of the two rows.
    order : sequence of str, optional
        Strategies; the ratios are to the first. By default `drawn_order`; the caption names those that are not drawn.

    Returns
    -------
    Figure2
        The figure, its numbers and its caption.

    Raises
    ------
    InputError
        None of the strategies is in the study, there are more sparsities than columns fit, an indicator is unknown, or
        two runs are of the same strategy, sparsity and seed.
    """
    dataset = with_levels(dataset)
    order = drawn_order(dataset) if order is None else list(dict.fromkeys(order))
    known = np.unique(dataset["strategy"].to_numpy().astype(str))
    if not set(order) & set(known):
        raise InputError(f"no run of {listing(order)} in the study: it has {listing(known)}; give `order`")
    asked = dataset.isel(run=np.flatnonzero(np.isin(dataset["strategy"].to_numpy(), order)))
    sparsities = [float(s) for s in np.unique(asked["sparsity"].to_numpy())]
    check_columns(sparsities)
    check_one_run_each(asked)
    rows = (
        Row("gradient", "a", gradient, words(gradient), log=True),
        Row("weight", "b", weight, words(weight), log=False),
    )
    data = _plotted(complete_runs(asked, order)[0], rows, order)
    return Figure2(
        figure=draw(data, rows, order, sparsities),
        data=data,
        caption=" ".join(filter(None, [caption(data, asked, rows, order), not_drawn(dataset, order)])),
        description=description(data, rows, order),
    )


def figure2_pages(dataset: xr.Dataset) -> list[Figure2]:
    """Draw Figure 2 of a study, on as many pages as its sparsities need."""
    order, sparsity = drawn_order(dataset), dataset["sparsity"].to_numpy()
    wanted = np.isin(dataset["strategy"].to_numpy(), order)
    # Runs of other strategies stay, for the caption to name them.
    chosen = [np.flatnonzero(~wanted | np.isin(sparsity, page)) for page in pages(np.unique(sparsity[wanted]))]
    return [figure2(dataset.isel(run=runs), order=order) for runs in chosen]


def _plotted(runs: xr.Dataset, rows: Sequence[Row], order: Sequence[str]) -> pd.DataFrame:
    """Every number the figure shows, one per row; ``attrs`` as those of `ratio_curves`."""
    ratios = [ratio_curves(runs, row.indicator, order) for row in rows]
    parts = [("schedule", schedule_curves(runs, order[0]))]
    for row, ratio in zip(rows, ratios, strict=True):
        parts += [(row.panel, seed_curves(runs, row.indicator)), (row.panel, ratio)]
    data = in_panels(parts)
    data.attrs = {name: sorted({t for ratio in ratios for t in ratio.attrs[name]}) for name in ("methods", "undrawn")}
    data.attrs["pairs"] = {cell: n for ratio in ratios for cell, n in ratio.attrs["pairs"].items()}
    return data

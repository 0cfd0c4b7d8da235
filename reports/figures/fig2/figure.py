"""Figure 2: gradient magnitude and weight norm while training, every seed, and the paired ratios below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from burden_analysis.results.words import listing
from recorders.contract import InputError
from reports.figures.base import Figure, check_columns, check_one_run_each, drawn_order
from reports.figures.curves import complete, schedule_curves
from reports.figures.fig2.numbers import ratio_curves, seed_curves
from reports.figures.fig2.panels import draw
from reports.figures.fig2.words import Row, caption, description
from reports.figures.words import not_drawn, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr


def figure2(
    dataset: xr.Dataset,
    *,
    gradient: str = "gradient_mean_abs_mean",
    weight: str = "weight_norm_mean",
    order: Sequence[str] | None = None,
) -> Figure:
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
    Figure
        The figure, its numbers and its caption.

    Raises
    ------
    InputError
        None of the strategies is in the study, there are more sparsities than columns fit, an indicator is unknown, or
        two runs are of the same strategy, sparsity and seed.
    """
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
    data = plotted(complete(asked, order), rows, order)
    return Figure(
        figure=draw(data, rows, order, sparsities),
        data=data,
        caption=" ".join(filter(None, [caption(data, asked, rows, order), not_drawn(dataset, order)])),
        description=description(data, rows, order),
    )


def plotted(runs: xr.Dataset, rows: Sequence[Row], order: Sequence[str]) -> pd.DataFrame:
    """Every number the figure shows, one per row.

    Parameters
    ----------
    runs : xarray.Dataset
        The runs to show.
    rows : sequence of Row
        The rows of panels.
    order : sequence of str
        Strategies; the ratios are to the first.

    Returns
    -------
    pandas.DataFrame
        Rows of `reports.figures.curves.COLUMNS`; ``attrs`` as those of `reports.figures.fig2.numbers.ratio_curves`.
    """
    ratios = [ratio_curves(runs, row.indicator, row.panel, order) for row in rows]
    parts = [schedule_curves(runs, order[0])]
    for row, ratio in zip(rows, ratios, strict=True):
        parts += [seed_curves(runs, row.indicator, row.panel), ratio]
    filled = [part for part in parts if len(part)]
    data = pd.concat(filled, ignore_index=True) if filled else parts[0]
    data.attrs = {
        name: sorted({text for ratio in ratios for text in ratio.attrs[name]}) for name in ("methods", "undrawn")
    }
    return data

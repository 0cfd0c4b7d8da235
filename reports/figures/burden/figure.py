"""The burden figure: the decomposition of every mask update, and what the surviving units carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from burden_analysis import burden_decomposition
from burden_analysis.arrangement.levels import with_levels
from burden_analysis.arrangement.runs import complete_runs
from burden_analysis.definitions import ORDER
from burden_analysis.indicators.burden_curves import load_curves, probed_counts, share_curves, term_curves
from burden_analysis.indicators.curves import CELL, schedule_curves
from burden_analysis.indicators.mask_updates import probed, require_updates, static_strategies
from burden_analysis.results.words import listing
from recorders.contract import LOADS, InputError, unknown_name, variable
from reports.drawing.names import short_name
from reports.figures.base import Figure, check_columns, check_one_run_each, drawn_order, in_panels, pages
from reports.figures.burden.panels import draw_burden
from reports.figures.burden.words import caption, description
from reports.figures.words import not_drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr


@dataclass(frozen=True)
class BurdenFigure(Figure):
    """The burden figure with the numbers in it and the words about it; attributes as of `Figure`."""

    stem: ClassVar[str] = "burden"


def burden_figure(
    dataset: xr.Dataset,
    *,
    strategy: str | None = None,
    order: Sequence[str] = ORDER,
    load: str = "load_weight_norm",
    layer: str | None = None,
) -> BurdenFigure:
    """Draw the decomposition of mask updates and the survivors' load over training, one column per sparsity.

    Rows: (a) squared error before and after every probed mask update; (b) what the update changed, compensation and
    covariance stacked by sign, with their sum; (c) the load of the hidden units of one layer, one panel per strategy.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned, recorded with the probe.
    strategy : str, optional
        Whose mask updates are decomposed; by default the first of `order` that has any.
    order : sequence of str
        Strategies whose load is shown; those that the study does not have are left out.
    load : {"load_weight_norm", "load_inputs", "load_activation"}
        Which load.
    layer : str, optional
        Hidden layer of the load; the first by default.

    Returns
    -------
    BurdenFigure
        The figure, its numbers, its caption and its text alternative.

    Raises
    ------
    InputError
        The study was not probed, or none of the strategies in it has mask updates; unknown names; more sparsities
        than columns fit; two runs of the same strategy, sparsity and seed.
    """
    dataset = with_levels(dataset)
    require_updates(dataset)
    known = list(dict.fromkeys(dataset["strategy"].to_numpy().astype(str)))
    order = [name for name in dict.fromkeys(order) if name in known] or known
    strategy = _decomposed(dataset, strategy, order, known)
    layers = dataset["layer"].to_numpy().astype(str).tolist()
    layer = layers[0] if layer is None else layer
    for what, name, names in (("load", load, LOADS), ("layer", layer, layers)):
        if name not in names:
            raise unknown_name(what, name, names)
    wanted = np.isin(dataset["strategy"].to_numpy(), [strategy, *order])
    asked = dataset.isel(run=np.flatnonzero(wanted))
    sparsities = [float(s) for s in np.unique(asked["sparsity"].to_numpy())]
    check_columns(sparsities)
    check_one_run_each(asked)
    runs, _ = complete_runs(asked, [strategy, *order])
    require_updates(runs)
    data, seeds = _plotted(runs, strategy, order, load, layer), probed_counts(runs)
    updates = runs.isel(run=np.flatnonzero(runs["strategy"].to_numpy() == strategy))
    facts: dict[str, Any] = {
        "strategy": strategy,
        "order": order,
        "load": load,
        "layer": layer,
        "first": layer == layers[0],
        "sparsities": sparsities,
        "terms": burden_decomposition(updates),
    }
    return BurdenFigure(
        figure=draw_burden(data, strategy, order, sparsities, seeds, _unit(load, layer)),
        data=data,
        caption=" ".join(filter(None, [caption(data, asked, seeds, facts), not_drawn(dataset, [strategy, *order])])),
        description=description(data, facts),
    )


def burden_pages(dataset: xr.Dataset) -> list[BurdenFigure]:
    """Draw the burden figure of a study on as many pages as its sparsities need; none when it was not probed."""
    if not probed(dataset) or "fit" not in dataset:
        return []
    known = drawn_order(dataset)
    done, _ = complete_runs(dataset, known)
    updated = done["fit"].count(["update", "target"]).to_numpy() > 0
    figures: list[BurdenFigure] = []
    for name in known:
        levels = np.unique(done["sparsity"].to_numpy()[updated & (done["strategy"].to_numpy() == name)])
        order = [name] if figures else list(dict.fromkeys([name, *(other for other in ORDER if other in known)]))
        for page in pages(levels):
            shown = dataset.isel(run=np.flatnonzero(np.isin(dataset["sparsity"], page)))
            figures.append(burden_figure(shown, strategy=name, order=order))
    return figures


def _plotted(runs: xr.Dataset, strategy: str, order: Sequence[str], load: str, layer: str) -> pd.DataFrame:
    """Every number the figure shows, one per row: the schedule, then cell by cell."""
    terms = term_curves(runs, strategy)
    cells = in_panels(
        [("terms", terms), ("share", share_curves(terms)), ("load", load_curves(runs, order, load, layer))]
    )
    schedule = in_panels([("schedule", schedule_curves(runs, strategy))])
    return pd.concat([schedule, cells.sort_values(CELL, kind="stable")], ignore_index=True)


def _decomposed(dataset: xr.Dataset, asked: str | None, order: Sequence[str], known: Sequence[str]) -> str:
    if asked is not None and asked not in known:
        raise unknown_name("strategy", asked, known)
    candidates = [*order, *known] if asked is None else [asked]
    static = static_strategies(dataset, candidates)
    moving = [name for name in candidates if name not in static]
    if not moving:
        raise InputError(f"{listing(dict.fromkeys(candidates))}: no mask update to decompose")
    return moving[0]


def _unit(load: str, layer: str) -> str:
    known = variable(load)
    assert known is not None
    words = {"load_weight_norm": "input weight norm", "load_inputs": "active inputs"}.get(load, "mean |activation|")
    return f"{words} of a unit\n(layer {short_name(layer)})"

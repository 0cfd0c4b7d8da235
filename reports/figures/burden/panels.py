"""Drawing the panels of the burden figure from its tidy numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from burden_analysis.indicators.burden_curves import LEVELS, SPLIT
from reports.drawing.axes import MOST_LABELLED, note, number_ticks, schedule, set_step_axis, title
from reports.drawing.canvas import canvas, finish, letter
from reports.drawing.labels import End, label_ends
from reports.drawing.lines import lines
from reports.drawing.names import short_names
from reports.drawing.style import GREY, Look, looks, style
from reports.drawing.ticks import set_log_axis

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 160.0  # mm
COMPENSATION, COVARIANCE = Look("#E69F00", (0, (5.0, 1.0, 1.0, 1.0))), Look("#56B4E9", (0, ()))
HATCH = "////////"  # tells the covariance apart without its colour
SHADE = "#D9D9D9"  # of the area of fit
FIT, NEW_FIT = Look("#595959", (0, (2.0, 1.0))), Look("#CC79A7", (0, ()))
TERMS = {"new_fit": NEW_FIT, "fit": FIT, "compensation": COMPENSATION}

_SCHEDULE, _TERMS, _SHARES, _LOADS = 0.3, 1.25, 1.25, 2.55  # relative heights; all loads share the last
_FLOOR = 1e-4  # of the largest value; what is smaller leaves the log axis

Groups = dict["Hashable", "pd.DataFrame"]


def draw_burden(
    data: pd.DataFrame,
    strategy: str,
    order: Sequence[str],
    sparsities: Sequence[float],
    seeds: pd.Series[int],
    unit: str,
) -> Figure:
    """Draw the burden figure."""
    keys = ["panel", "sparsity", "indicator", "quantity", "strategy"]
    shared = data.assign(indicator=data["indicator"].where(data["panel"] != "load", "load"))
    groups: Groups = dict(iter(shared.groupby(keys)))
    look = looks(order)
    with style():
        figure = canvas(HEIGHT, narrow=len(sparsities) == 1)
        heights = [_SCHEDULE, _TERMS, _SHARES, *([_LOADS / len(order)] * len(order))]
        grid = figure.subplots(
            len(heights), len(sparsities), squeeze=False, sharex=True, sharey="row", height_ratios=heights
        )
        for ax in grid[4:, 0]:  # loads are compared across strategies
            ax.sharey(grid[3, 0])
        set_step_axis(grid[-1][0], data, len(sparsities))
        grid[0, 0].set_ylabel("sparsity", rotation=0.0, ha="right", va="center", color=GREY)
        _set_axes(grid, data, unit)
        labels = []
        for k, (column, sparsity) in enumerate(zip(grid.T, sparsities, strict=True)):
            named = len(sparsities) <= MOST_LABELLED or k == len(sparsities) - 1
            schedule(column[0], groups.get(("schedule", sparsity, "actual_sparsity", "actual sparsity", strategy)))
            column[0].set_title(title(sparsity, seeds, order, len(sparsities)), linespacing=1.3)
            ends = [_terms(column[1], groups, sparsity, strategy), _shares(column[2], groups, sparsity, strategy)]
            ends += [_loads(ax, groups, sparsity, name, look) for ax, name in zip(column[3:], order, strict=True)]
            labels += [(ax, label_ends(ax, e if named else [])) for ax, e in zip(column[1:], ends, strict=True)]
        figure.supxlabel("optimiser steps", fontsize=6.0)
        figure.align_ylabels(grid[1:, 0])
        finish(figure, labels)
        for text, ax in zip("abc", grid[1:4, 0], strict=True):
            letter(figure, text, ax)
    return figure


def _terms(ax: Axes, groups: Groups, sparsity: float, strategy: str) -> list[End]:
    drawn = groups.get(("terms", sparsity, "new_fit", "seed", strategy))
    if drawn is None:
        note(ax, "no probed run")
        return []
    lines(ax, drawn, TERMS, by="indicator", dashed=False, linewidth=0.35, alpha=0.5)
    means = pd.concat([groups[("terms", sparsity, term, "mean", strategy)] for term in TERMS])
    means = means[means["value"] >= ax.get_ylim()[0]]  # a log axis has no place for an update that changed nothing
    lines(ax, means, TERMS, by="indicator", linewidth=0.9)
    return [_end(curve, str(term).replace("_", " "), TERMS[str(term)]) for term, curve in means.groupby("indicator")]


def _shares(ax: Axes, groups: Groups, sparsity: float, strategy: str) -> list[End]:
    found = {term: groups.get(("share", sparsity, term, "share", strategy)) for term in SPLIT}
    fit, compensation, covariance = (None if f is None else f["value"].to_numpy(float) for f in found.values())
    ax.axhline(0.0, color=GREY, linewidth=0.5)
    if found["fit"] is None or fit is None or compensation is None or covariance is None:
        note(ax, "no probed run")
        return []
    # An update is one event: a bar over the steps since the one before, not a slope between two of them.
    edges = np.concatenate([[0.0], found["fit"]["step"].to_numpy(float)])
    top = fit + compensation
    base = np.where(covariance >= 0, top, 0.0)
    ax.stairs(fit, edges, fill=True, color=SHADE, linewidth=0.0)
    ax.stairs(top, edges, baseline=fit, fill=True, color=COMPENSATION.colour, linewidth=0.0)
    hatched: dict[str, Any] = {"facecolor": "white", "edgecolor": COVARIANCE.colour, "hatch": HATCH, "linewidth": 0.0}
    ax.stairs(base + covariance, edges, baseline=base, fill=True, **hatched)
    heights = {"fit": fit[-1] / 2, "compensation": fit[-1] + compensation[-1] / 2}
    heights["covariance"] = base[-1] + covariance[-1] / 2
    inks = {"fit": Look(GREY, FIT.dash), "compensation": COMPENSATION, "covariance": COVARIANCE}
    return [End(t, float(edges[-1]), float(heights[t]), inks[t].colour, inks[t].ink) for t in SPLIT]


def _loads(ax: Axes, groups: Groups, sparsity: float, name: str, look: Mapping[str, Look]) -> list[End]:
    asked = {f"quantile {level:g}": ("load", sparsity, "load", f"quantile {level:g}", name) for level in LEVELS}
    found = {quantity: groups[key] for quantity, key in asked.items() if key in groups}
    if not found:
        note(ax, "no probed run")
        return []
    for low, high, alpha in ((0.05, 0.95, 0.18), (0.25, 0.75, 0.35)):
        lower, upper = found[f"quantile {low:g}"], found[f"quantile {high:g}"]
        ax.fill_between(
            lower["step"], lower["value"], upper["value"], color=look[name].colour, alpha=alpha, linewidth=0.0
        )
    lines(ax, found["quantile 0.5"], look, linewidth=0.9)
    return [_end(found["quantile 0.5"], short_names(look)[name], look[name])]


def _end(curve: pd.DataFrame, text: str, look: Look) -> End:
    last = curve.iloc[-1]
    return End(text, float(last["step"]), float(last["value"]), look.colour, look.ink)


def _set_axes(grid: npt.NDArray[Any], data: pd.DataFrame, unit: str) -> None:
    terms, shares, *loads = grid[1:, 0]
    terms.set_ylabel("squared norm")
    seeds = (data["indicator"] == "new_fit") & (data["quantity"] == "seed")
    drawn = (data["panel"] == "terms") & data["indicator"].isin(TERMS) & (data["quantity"] != "seed")
    values = data.loc[drawn | seeds, "value"].to_numpy(float)
    values = values[values > _FLOOR * values.max(initial=0.0)]
    if values.size:
        pad = max(values.max() / values.min(), 1.1) ** 0.04
        set_log_axis(terms, values.min() / pad, values.max() * pad, most=4)
    shares.set_ylabel("share of\nall three terms")
    negative = data.loc[(data["panel"] == "share") & (data["value"] < 0), "value"].to_numpy(float)
    shares.set_ylim(1.08 * min(-0.05, float(negative.min(initial=0.0))), 1.02)
    number_ticks(shares.yaxis, 4)
    for ax in grid[3:].flat:  # each by itself: ticks follow the row, which was shared before the rows were
        number_ticks(ax.yaxis, 4)
    loads[len(loads) // 2].set_ylabel(unit)
    values = data.loc[data["panel"] == "load", "value"].to_numpy(float)
    if values.size:
        loads[0].set_ylim(0.0, 1.04 * max(float(values.max()), 1e-9))

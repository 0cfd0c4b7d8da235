"""Drawing the panels of Figure 2 from its tidy numbers."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import FixedLocator

from burden_analysis.results.words import capitalised
from reports.drawing.axes import MOST_LABELLED, note, number_ticks, schedule, set_step_axis, title
from reports.drawing.canvas import canvas, finish, letter
from reports.drawing.labels import End, label_ends
from reports.drawing.lines import lines
from reports.drawing.names import short_name, short_names
from reports.drawing.style import GREY, Look, looks, style
from reports.drawing.ticks import set_log_axis
from reports.figures.base import SUMMARY_SEEDS
from reports.figures.fig2.words import seed_counts

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.figures.fig2.words import Row

Steps = npt.NDArray[np.float64]

_HEIGHT = 140.0  # mm
_SCHEDULE, _CURVES, _RATIO = 0.3, 2.0, 0.95  # relative heights
_SEED, _FEW, _RATIO_LINE, _BOLD, _BAR = 0.35, 0.6, 0.9, 1.3, 1.8  # line widths in pt
_LABEL = 30  # characters that fit beside a panel of curves
_LANE = 0.075  # distance of the bars, in panel heights


@dataclass(frozen=True)
class Cells:
    """The tidy numbers of a figure, by panel, sparsity and quantity.

    Attributes
    ----------
    groups : dict
        Rows of the data by (panel, sparsity, quantity).
    nothing : pandas.DataFrame
        The data without a row.
    look : dict of str to Look
        Every strategy of the figure, in order; ratios are to the first.
    seeds : pandas.Series
        How many seeds are behind a curve, by (sparsity, strategy).
    pairs : dict
        How many pairs of seeds are behind a ratio, by (sparsity, strategy).
    """

    groups: dict[tuple[Hashable, ...], pd.DataFrame]
    nothing: pd.DataFrame
    look: dict[str, Look]
    seeds: pd.Series[int]
    pairs: dict[tuple[float, str], int]

    def at(self, panel: str, sparsity: float, quantity: str) -> pd.DataFrame:
        """Look up the curves of one quantity in one panel; no rows where there are none."""
        return self.groups.get((panel, sparsity, quantity), self.nothing)


def draw(data: pd.DataFrame, rows: Sequence[Row], order: Sequence[str], sparsities: Sequence[float]) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    data : pandas.DataFrame
        The numbers, as `reports.figure2` returns them.
    rows : sequence of Row
        The rows of panels.
    order : sequence of str
        Strategies; ratios are to the first.
    sparsities : sequence of float
        One column each, also where nothing finished.

    Returns
    -------
    matplotlib.figure.Figure
        At its final size and layout.
    """
    groups = dict(iter(data.groupby(["panel", "sparsity", "quantity"])))
    cells = Cells(groups, data.iloc[:0], looks(order), seed_counts(data), data.attrs["pairs"])
    with style():
        figure = canvas(_HEIGHT, narrow=len(sparsities) == 1)
        heights = [_SCHEDULE, *([_CURVES, _RATIO] * len(rows))]
        grid = figure.subplots(
            len(heights), len(sparsities), squeeze=False, sharex=True, sharey="row", height_ratios=heights
        )
        set_step_axis(grid[-1][0], data, len(sparsities))
        for ax, sparsity in zip(grid[0], sparsities, strict=True):
            schedule(ax, cells.at("schedule", sparsity, "actual sparsity"))
            ax.set_title(title(sparsity, cells.seeds, order, len(sparsities)), linespacing=1.3)
        grid[0, 0].set_ylabel("sparsity", rotation=0.0, ha="right", va="center", color=GREY)
        labels = []
        for row, curves, ratios in zip(rows, grid[1::2], grid[2::2], strict=True):
            _set_curve_axis(curves[0], data[data["panel"] == row.panel], row)
            _set_ratio_axis(ratios[0], data[data["panel"] == row.panel], cells)
            for k, (upper, lower, sparsity) in enumerate(zip(curves, ratios, sparsities, strict=True)):
                _curves(upper, cells, row.panel, sparsity)
                _ratios(lower, cells, row.panel, sparsity)
                later = sparsities[k + 1 :] if len(sparsities) > MOST_LABELLED else []
                for ax, quantity in ((upper, "geometric mean"), (lower, "ratio")):
                    again = {name for other in later for name in cells.at(row.panel, other, quantity)["strategy"]}
                    here = cells.at(row.panel, sparsity, quantity)
                    labels.append((ax, label_ends(ax, _ends(here[~here["strategy"].isin(again)], cells.look))))
        figure.supxlabel("optimiser steps", fontsize=6.0)
        figure.align_ylabels(grid[1:, 0])
        finish(figure, labels)
        for row, ax in zip(rows, grid[1::2, 0], strict=True):
            letter(figure, row.letter, ax)
    return figure


def _curves(ax: Axes, cells: Cells, panel: str, sparsity: float) -> None:
    seeds, means = (cells.at(panel, sparsity, quantity) for quantity in ("seed", "geometric mean"))
    if seeds.empty:
        note(ax, "no finished run")
    summed = [name for name in cells.look if cells.seeds.get((sparsity, name), 0) >= SUMMARY_SEEDS]
    many = seeds["strategy"].isin(summed)
    lines(ax, seeds[~many], cells.look, linewidth=_FEW)
    lines(ax, seeds[many], cells.look, dashed=False, linewidth=_SEED, alpha=0.5)
    lines(ax, means[means["strategy"].isin(summed)], cells.look, linewidth=_BOLD)


def _ratios(ax: Axes, cells: Cells, panel: str, sparsity: float) -> None:
    ax.axhline(1.0, color=GREY, linewidth=0.5)
    ratios = cells.at(panel, sparsity, "ratio")
    if ratios.empty:
        note(ax, "no pair of seeds")
    lines(ax, ratios, cells.look, linewidth=_RATIO_LINE)
    edges = dict(iter(cells.at(panel, sparsity, "high").groupby("strategy")))
    for name, low in cells.at(panel, sparsity, "low").groupby("strategy"):
        colour = cells.look[str(name)].colour
        ax.fill_between(low["step"], low["value"], edges[name]["value"], color=colour, alpha=0.18, linewidth=0.0)
    for name, flags in cells.at(panel, sparsity, "excludes one").groupby("strategy"):
        if cells.pairs[sparsity, str(name)] >= SUMMARY_SEEDS:
            starts, stops = _stretches(flags["step"].to_numpy(float), flags["value"].to_numpy() == 1)
            heights = np.full(starts.size, _LANE * (list(cells.look).index(str(name)) - 0.3))
            colour = cells.look[str(name)].colour
            ax.hlines(heights, starts, stops, colour, linewidth=_BAR, transform=ax.get_xaxis_transform())


def _stretches(step: Steps, inside: npt.NDArray[np.bool_]) -> tuple[Steps, Steps]:
    # A record stands for the steps since the one before, so a single record is a bar too.
    edges = np.diff(np.concatenate([[0], inside.astype(int), [0]]))
    before = np.concatenate([[0.0], step])
    return before[np.flatnonzero(edges == 1)], before[np.flatnonzero(edges == -1)]


def _set_curve_axis(ax: Axes, data: pd.DataFrame, row: Row) -> None:
    ax.set_ylabel(fill(short_name(capitalised(row.label), 3 * _LABEL), _LABEL))
    values = data.loc[data["quantity"] == "seed", "value"].to_numpy(float)
    values = values[np.isfinite(values) & ((values > 0) | (not row.log))]
    if not values.size:
        return
    if row.log:
        pad = max(values.max() / values.min(), 1.1) ** 0.04
        set_log_axis(ax, values.min() / pad, values.max() * pad)
    else:
        number_ticks(ax.yaxis, 5)
        pad = 0.04 * (np.ptp(values) or 1.0)
        ax.set_ylim(values.min() - pad, values.max() + pad)


def _set_ratio_axis(ax: Axes, data: pd.DataFrame, cells: Cells) -> None:
    ax.set_ylabel(f"ratio to\n{fill(short_names(cells.look)[next(iter(cells.look))], _LABEL // 2)}")
    logs = {q: np.log(g["value"].to_numpy(float)) for q, g in data.groupby("quantity") if q in ("ratio", "low", "high")}
    if "ratio" not in logs:
        ax.set_ylim(0.0, 2.0)
        ax.yaxis.set_major_locator(FixedLocator([1.0]))
        return
    low, high = min(0.0, np.nanmin(logs["ratio"])), max(0.0, np.nanmax(logs["ratio"]))
    # The curves decide; half of the band's records are shown whole unless that would flatten the curves.
    reach = max(high - low, np.log(1.3))
    if "low" in logs:
        low = max(min(low, np.nanmedian(logs["low"])), low - reach)
        high = min(max(high, np.nanmedian(logs["high"])), high + reach)
    pad = 0.06 * max(high - low, 0.1)
    barred = any(n >= SUMMARY_SEEDS for n in cells.pairs.values())
    share = _LANE * (len(cells.look) - 0.3) if barred else 0.0  # room for the bars
    low -= pad + share / (1 - share) * (high - low + 2 * pad)
    set_log_axis(ax, float(np.exp(low)), float(np.exp(high + pad)), most=5)


def _ends(curves: pd.DataFrame, look: dict[str, Look]) -> list[End]:
    return [
        End(short, float(last["step"]), float(last["value"]), look[name].colour, look[name].ink)
        for name, short in short_names(look).items()
        for _, last in curves[curves["strategy"] == name].tail(1).iterrows()
    ]

"""Drawing the panels of Figure 2 from its tidy numbers."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from burden_analysis.results.words import capitalised, number
from reports.drawing.axes import MOST_LABELLED, note, schedule, set_step_axis, title
from reports.drawing.labels import End, label_ends, settle
from reports.drawing.style import DOUBLE, GREY, SINGLE, Look, inches, looks, style
from reports.drawing.ticks import set_log_axis
from reports.figures.base import SUMMARY_SEEDS
from reports.figures.fig2.words import seed_counts

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from reports.figures.fig2.words import Row

Steps = npt.NDArray[np.float64]

_HEIGHT = 140.0  # mm
_SCHEDULE, _CURVES, _RATIO = 0.3, 2.0, 0.95  # relative heights
_SEED, _FEW, _RATIO_LINE, _BOLD, _BAR = 0.35, 0.6, 0.9, 1.3, 1.8  # line widths in pt
_LANE = 0.075  # distance of the bars, in panel heights


@dataclass(frozen=True)
class Cells:
    """The tidy numbers of a figure, by panel, sparsity, quantity and strategy.

    Attributes
    ----------
    groups : dict
        Rows of the data by (panel, sparsity, quantity, strategy).
    look : dict of str to Look
        Every strategy of the figure, in order; ratios are to the first.
    seeds : pandas.Series
        How many seeds are behind a curve, by (sparsity, strategy).
    pairs : dict
        How many pairs of seeds are behind a ratio, by (sparsity, strategy).
    """

    groups: dict[Hashable, pd.DataFrame]
    look: dict[str, Look]
    seeds: pd.Series[int]
    pairs: dict[tuple[float, str], int]

    def at(self, panel: str, sparsity: float, quantity: str) -> dict[str, pd.DataFrame]:
        """Look up the curves of one quantity in one panel, by strategy."""
        keys = {name: (panel, sparsity, quantity, name) for name in self.look}
        return {name: self.groups[key] for name, key in keys.items() if key in self.groups}


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
    keys = ["panel", "sparsity", "quantity", "strategy"]
    cells = Cells(dict(iter(data.groupby(keys))), looks(order), seed_counts(data), data.attrs["pairs"])
    with style():
        figure = Figure(
            figsize=(inches(SINGLE if len(sparsities) == 1 else DOUBLE), inches(_HEIGHT)),
            layout=ConstrainedLayoutEngine(w_pad=inches(0.9), h_pad=inches(0.7), wspace=0.0, hspace=0.0),
        )
        FigureCanvasAgg(figure)
        grid = figure.subplots(
            1 + 2 * len(rows),
            len(sparsities),
            squeeze=False,
            sharex=True,
            sharey="row",
            height_ratios=[_SCHEDULE, *([_CURVES, _RATIO] * len(rows))],
        )
        set_step_axis(grid[-1][0], data, len(sparsities))
        for ax, sparsity in zip(grid[0], sparsities, strict=True):
            schedule(ax, cells.at("schedule", sparsity, "actual sparsity").get(order[0]))
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
                    again = {name for other in later for name in cells.at(row.panel, other, quantity)}
                    curves_here = cells.at(row.panel, sparsity, quantity).items()
                    ends = [_end(name, curve, cells.look[name]) for name, curve in curves_here if name not in again]
                    labels.append((ax, label_ends(ax, ends)))
        figure.supxlabel("optimiser steps", fontsize=6.0)
        figure.align_ylabels(grid[1:, 0])
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # final: every format and every save has the same layout
        for ax, annotations in labels:
            settle(ax, annotations)
        for row, ax in zip(rows, grid[1::2, 0], strict=True):
            figure.text(0.004, ax.get_position().y1, row.letter, fontsize=7.0, fontweight="bold", va="top", ha="left")
    return figure


def _curves(ax: Axes, cells: Cells, panel: str, sparsity: float) -> None:
    drawn = cells.at(panel, sparsity, "seed")
    means = cells.at(panel, sparsity, "geometric mean")
    if not drawn:
        note(ax, "no finished run")
    for name, curves in drawn.items():
        look = cells.look[name]
        many = cells.seeds[sparsity, name] >= SUMMARY_SEEDS
        for _, curve in curves.groupby("seed"):
            (line,) = ax.plot(curve["step"], curve["value"], color=look.colour, linewidth=_SEED if many else _FEW)
            line.set(alpha=0.5) if many else line.set(linestyle=look.dash)
        if many and name in means:
            mean = means[name]
            ax.plot(mean["step"], mean["value"], color=look.colour, linestyle=look.dash, linewidth=_BOLD)


def _ratios(ax: Axes, cells: Cells, panel: str, sparsity: float) -> None:
    ax.axhline(1.0, color=GREY, linewidth=0.5)
    low, high, flags = (cells.at(panel, sparsity, quantity) for quantity in ("low", "high", "excludes one"))
    ratios = cells.at(panel, sparsity, "ratio")
    if not ratios:
        note(ax, "no pair of seeds")
    for name, ratio in ratios.items():
        look = cells.look[name]
        ax.plot(ratio["step"], ratio["value"], color=look.colour, linestyle=look.dash, linewidth=_RATIO_LINE)
        if name in low:
            edges = low[name]["value"], high[name]["value"]
            ax.fill_between(low[name]["step"], *edges, color=look.colour, alpha=0.18, linewidth=0.0)
        if cells.pairs[sparsity, name] >= SUMMARY_SEEDS:
            step, outside = flags[name]["step"].to_numpy(float), flags[name]["value"].to_numpy() == 1
            starts, stops = _stretches(step, outside)
            heights = np.full(starts.size, _LANE * (list(cells.look).index(name) - 0.3))
            ax.hlines(heights, starts, stops, look.colour, linewidth=_BAR, transform=ax.get_xaxis_transform())


def _stretches(step: Steps, inside: npt.NDArray[np.bool_]) -> tuple[Steps, Steps]:
    # A record stands for the steps since the one before, so a single record is a bar too.
    edges = np.diff(np.concatenate([[0], inside.astype(int), [0]]))
    before = np.concatenate([[0.0], step])
    return before[np.flatnonzero(edges == 1)], before[np.flatnonzero(edges == -1)]


def _set_curve_axis(ax: Axes, data: pd.DataFrame, row: Row) -> None:
    ax.set_ylabel(fill(capitalised(row.label), 30))
    values = data.loc[data["quantity"] == "seed", "value"].to_numpy(float)
    values = values[np.isfinite(values) & ((values > 0) | (not row.log))]
    if not values.size:
        return
    if row.log:
        pad = max(values.max() / values.min(), 1.1) ** 0.04
        set_log_axis(ax, values.min() / pad, values.max() * pad)
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        pad = 0.04 * (np.ptp(values) or 1.0)
        ax.set_ylim(values.min() - pad, values.max() + pad)


def _set_ratio_axis(ax: Axes, data: pd.DataFrame, cells: Cells) -> None:
    ax.set_ylabel(f"ratio to\n{next(iter(cells.look))}")
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


def _end(name: str, curve: pd.DataFrame, look: Look) -> End:
    last = curve.iloc[-1]
    return End(name, float(last["step"]), float(last["value"]), look.colour, look.ink)

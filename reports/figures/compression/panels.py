"""Drawing the difference map from its tidy numbers."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from burden_analysis.results.words import level, span
from reports.drawing.axes import number_ticks
from reports.drawing.canvas import finish
from reports.drawing.labels import End, label_ends
from reports.drawing.names import short_name
from reports.drawing.style import DOUBLE, GREY, LOOKS, SINGLE, inches, readable, style
from reports.drawing.ticks import TickNumbers
from reports.figures.base import SUMMARY_SEEDS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_PANEL, _MEANS, _MARGIN = 17.0, 38.0, 22.0  # mm: height of a row of panels, of the means below, of titles and labels
_NARROW = 3  # up to so many columns fit one column of a page
_LABEL = 15  # characters that fit beside a row of panels
_MISSING = "#d0d0d0"
_LESS, _MORE = LOOKS["optimal"].colour, LOOKS["iterative"].colour  # Okabe-Ito vermillion and blue
_LOOKS = (("#000000", "o"), (readable(LOOKS["random"].colour), "s"))  # colour and marker of the scopes


def colour_limit(cells: pd.DataFrame) -> float:
    """Largest difference that has a colour of its own."""
    sizes = cells["value"].abs()
    stable = sizes[cells["scope"] == "stable blocks"]
    return max(0.1, float(np.ceil(10 * float((stable if len(stable) else sizes).max()) - 1e-9) / 10))


def draw_compression(data: pd.DataFrame) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    data : pandas.DataFrame
        The numbers, as `reports.compression_figure` returns them.

    Returns
    -------
    matplotlib.figure.Figure
        At its final size and layout.
    """
    cells, means = data[data["panel"] == "a"], data[data["panel"] == "b"]
    columns, rows = list(cells["column"].unique()), list(cells["row"].unique())
    limit = colour_limit(cells)
    with style():
        size = inches(SINGLE if len(columns) <= _NARROW else DOUBLE), inches(_MARGIN + _PANEL * len(rows) + _MEANS)
        figure = Figure(figsize=size, layout="constrained")
        parts: Any = figure.subfigures(2, 1, height_ratios=[_MARGIN + _PANEL * len(rows), _MEANS])
        upper, lower = parts
        grid = upper.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                here = cells[(cells["row"] == row) & (cells["column"] == column)]
                _map(grid[i, j], here, cells, limit)
                if i == 0:
                    grid[i, j].set_title(_short(column), fontsize=5.5, linespacing=1.15)
            grid[i, 0].set_ylabel(f"{fill(_short(row), _LABEL)}\nsparsity".strip(), linespacing=1.3)
        upper.supxlabel("compression ratio", fontsize=6.0)
        bar = upper.colorbar(grid[0, 0].collections[0], ax=grid, extend="both", pad=0.01, aspect=30)
        bar.set_label("accuracy less that at\ncompression 0 (points)", fontsize=6.0)
        bar.ax.yaxis.set_major_formatter(TickNumbers())
        bar.outline.set_linewidth(0.4)
        below = lower.subplots()
        finish(figure, [(below, label_ends(below, _means(below, means)))])
        for letter, part in (("a", upper), ("b", lower)):
            part.text(0.004, 0.995, letter, fontsize=7.0, fontweight="bold", va="top", ha="left")
    return figure


def _short(settings: str) -> str:
    """Shorten each of the settings that a panel is named by."""
    return "\n".join(map(short_name, settings.split("\n")))


def _map(ax: Axes, here: pd.DataFrame, cells: pd.DataFrame, limit: float) -> None:
    """One block: sparsity over ratio. Cells beyond the colours get a triangle that points their way."""
    ratios, sparsities = np.sort(cells["ratio"].unique()), np.sort(cells["sparsity"].unique())
    values = here.pivot_table("value", "sparsity", "ratio").reindex(index=sparsities, columns=ratios)
    colours = LinearSegmentedColormap.from_list("difference", [_LESS, "#ffffff", _MORE], N=255)
    sns.heatmap(values, ax=ax, cmap=colours, vmin=-limit, vmax=limit, cbar=False, xticklabels=False, yticklabels=False)
    ax.invert_yaxis()  # sparsity grows upwards
    ax.set_facecolor(_MISSING)
    for way, marker in ((1, "^"), (-1, "v")):
        y, x = np.nonzero(np.nan_to_num(way * values.to_numpy()) > limit)
        ax.scatter(x + 0.5, y + 0.5, s=4.0, marker=marker, color="#ffffff", linewidths=0.0)
    unstable = (here["scope"] == "unstable blocks").any()
    ax.spines[:].set(visible=True, linewidth=1.2 if unstable else 0.4, edgecolor="#000000" if unstable else GREY)
    for axis, levels in ((ax.xaxis, ratios), (ax.yaxis, sparsities)):
        few = np.arange(0, len(levels), 1 + (len(levels) - 1) // 5)
        axis.set_ticks(few + 0.5, [level(value) for value in levels[few]])
    ax.tick_params(length=0.0)
    ax.set(xlabel="", ylabel="")


def _means(ax: Axes, means: pd.DataFrame) -> list[End]:
    """Mean difference at each ratio, every scope beside the others; returns where the labels go."""
    ratios, scopes = np.sort(means["ratio"].unique()), list(means["scope"].unique())
    ends = []
    ax.axhline(0.0, color=GREY, linewidth=0.5)
    for k, (scope, (colour, marker)) in enumerate(zip(scopes, _LOOKS, strict=False)):
        rows = means[means["scope"] == scope].pivot_table(index="ratio", columns="quantity", values="value")
        at = np.searchsorted(ratios, rows.index.to_numpy()) + 0.16 * (k - (len(scopes) - 1) / 2)
        if "low" in rows:
            drawn = (rows["n"] >= SUMMARY_SEEDS).to_numpy()
            ax.vlines(at[drawn], rows["low"][drawn], rows["high"][drawn], colour, linewidth=1.0)
        ax.plot(at, rows["mean"], marker, color=colour, markersize=3.0, markeredgewidth=0.0)
        units = means[(means["scope"] == scope) & (means["quantity"] == "unit")]
        places = np.searchsorted(ratios, units["ratio"])
        value = units["value"].to_numpy()
        sns.stripplot(x=places, y=value, jitter=False, native_scale=True, color=GREY, size=2.2, ax=ax)
        text = f"{scope.split()[0]}, n = {span(int(n) for n in rows['n'])}"
        ends.append(End(text, float(at[-1]), float(rows["mean"].iloc[-1]), colour, colour))
    ax.set_xlim(-0.5, len(ratios) - 0.5)
    ax.set_xticks(range(len(ratios)), [level(ratio) for ratio in ratios])
    number_ticks(ax.yaxis, 5)
    ax.set_xlabel("compression ratio")
    ax.set_ylabel("mean difference\n(points)")
    return ends

"""What all panels share: titles, notes, the step axis and the pruning schedule."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from burden_analysis.results.words import level, span
from reports.drawing.names import short_names
from reports.drawing.style import GREY
from reports.drawing.ticks import TickNumbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

MOST_LABELLED = 3  # up to so many columns every panel names its lines; above, only the last that has them


def schedule(ax: Axes, frame: pd.DataFrame | None) -> None:
    """Draw the pruning schedule as a grey step line."""
    ax.set_ylim(0.0, 1.0)
    ax.yaxis.set_major_locator(FixedLocator([0.0, 1.0]))
    ax.yaxis.set_major_formatter(TickNumbers())
    ax.tick_params(axis="x", length=0.0)
    if frame is not None:
        ax.plot(frame["step"], frame["value"], color=GREY, linewidth=0.8, drawstyle="steps-post")


def set_step_axis(ax: Axes, data: pd.DataFrame, columns: int) -> None:
    """Give the shared axis of optimiser steps its ends and ticks."""
    steps = data["step"].to_numpy(float)
    ax.set_xlim(0.0, steps.max() if steps.size else 1.0)
    ax.xaxis.set_major_locator(MaxNLocator(4 if columns <= MOST_LABELLED else 2, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def title(sparsity: float, seeds: pd.Series[int], order: Sequence[str], columns: int) -> str:
    """Head a column: its sparsity, n, and strategies without a run."""
    n = {name: int(seeds.get((sparsity, name), 0)) for name in order}
    absent = [short for name, short in short_names(order).items() if not n[name]]
    second = f"n = {span(count for count in n.values() if count)}"
    if absent and len(absent) < len(order):
        second += f"; no {', '.join(absent)}"
    return f"sparsity {level(sparsity)}\n{fill(second, 120 // columns)}"


def number_ticks(axis: Axis, most: int) -> None:
    """Give an axis up to so many intervals between ticks, printed as `TickNumbers` does."""
    axis.set_major_locator(MaxNLocator(most))
    axis.set_major_formatter(TickNumbers())


def note(ax: Axes, text: str) -> None:
    """Say inside an empty panel why it is empty."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY)

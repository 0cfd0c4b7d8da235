"""Accuracy over training: one line per compression ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from burden_analysis.arrangement.runs import complete_runs
from burden_analysis.indicators.accuracy import accuracy_curves as evaluated
from burden_analysis.results.words import counted, level, listing, span
from recorders.contract import InputError
from reports.drawing.axes import note, number_ticks
from reports.drawing.canvas import canvas, finish
from reports.drawing.labels import End, label_ends
from reports.drawing.lines import lines
from reports.drawing.style import LOOKS, Look, style
from reports.figures.base import SUMMARY_SEEDS, Figure
from reports.figures.words import left_out

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

_ROW, _MARGIN = 38.0, 16.0  # mm
_MOST = 6  # panels side by side, and above each other
_RUN, _FEW, _BOLD = 0.35, 0.6, 1.3  # line widths in pt
# The baseline is black and solid; dashes tell neighbouring ratios apart where colours do not.
_RATIOS = (
    Look("#000000", (0, ())),
    Look(LOOKS["iterative"].colour, (0, (4.0, 1.2))),
    Look(LOOKS["optimal"].colour, (0, (4.0, 1.2, 1.0, 1.2))),
    Look(LOOKS["random"].colour, (0, (1.0, 1.2))),
    Look("#CC79A7", (0, (6.0, 2.0))),
    Look("#E69F00", (0, (2.0, 1.0))),
)


@dataclass(frozen=True)
class AccuracyCurves(Figure):
    """Accuracy over training with the numbers in it and the words about it; attributes as of `Figure`."""

    stem: ClassVar[str] = "training"


def accuracy_curves(dataset: xr.Dataset) -> AccuracyCurves:
    """Draw held-out accuracy over epochs: a column per sparsity, a row per length of training, a line per ratio.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `burden_analysis.open_study` returned, with a coordinate ``compression`` on ``run``.

    Returns
    -------
    AccuracyCurves
        The figure, its numbers, its caption and its text alternative.

    Raises
    ------
    InputError
        No complete run was ever evaluated; more sparsities, lengths or ratios than can be told apart.
    """
    data = evaluated(complete_runs(dataset, _strategies(dataset))[0])
    if data.empty:
        raise InputError("no complete run has an accuracy: there is nothing to draw over training")
    for what, name, most in (
        ("sparsities", "sparsity", _MOST),
        ("lengths of training", "length", _MOST),
        ("ratios", "ratio", len(_RATIOS)),
    ):
        if len(levels := np.unique(data[name])) > most:
            raise InputError(
                f"{len(levels)} {what} ({listing(map(level, levels))}) do not fit the {most} that one page can tell "
                "apart: select some runs first, as dataset.isel(run=...)"
            )
    return AccuracyCurves(
        figure=_draw(data), data=data, caption=_caption(data, dataset), description=_description(data)
    )


def _draw(data: pd.DataFrame) -> MatplotlibFigure:
    lengths, sparsities, ratios = (np.unique(data[name]) for name in ("length", "sparsity", "ratio"))
    look: dict[Any, Look] = dict(zip(ratios.tolist(), _RATIOS, strict=False))
    with style():
        figure = canvas(_MARGIN + _ROW * len(lengths), narrow=len(sparsities) == 1, wspace=0.02)
        grid = figure.subplots(len(lengths), len(sparsities), squeeze=False, sharex="row", sharey=True)
        labels = []
        for row, length in zip(grid, lengths, strict=True):
            for ax, sparsity in zip(row, sparsities, strict=True):
                here = data[(data["length"] == length) & (data["sparsity"] == sparsity)]
                _lines(ax, here, look)
                n = here[here["quantity"] == "run"].groupby("ratio")["run"].nunique()
                ax.set_title(f"sparsity {level(sparsity)}\nn = {span(map(int, n))}", linespacing=1.3)
            last = data[(data["length"] == length) & (data["sparsity"] == sparsities[-1])]
            labels.append((row[-1], label_ends(row[-1], _ends(last, look))))
            row[0].set_ylabel("held-out accuracy (%)")
            row[0].set_xlim(0.0, length)
            row[0].xaxis.set_major_locator(MaxNLocator(4, integer=True))
            number_ticks(row[0].yaxis, 5)
        figure.supxlabel("epochs", fontsize=6.0)
        finish(figure, labels)
    return figure


def _lines(ax: Axes, here: pd.DataFrame, look: dict[Any, Look]) -> None:
    if here.empty:
        note(ax, "no complete run")
    runs, means = here[here["quantity"] == "run"], here[here["quantity"] == "mean"]
    n = runs.groupby("ratio")["run"].nunique()
    summed = n.index[n >= SUMMARY_SEEDS]
    many = runs["ratio"].isin(summed)
    of_run: dict[str, Any] = {"by": "ratio", "one": "run", "x": "epoch"}
    lines(ax, runs[~many], look, linewidth=_FEW, **of_run)
    lines(ax, runs[many], look, dashed=False, linewidth=_RUN, alpha=min(0.35, 3 / max(n, default=1)), **of_run)
    lines(ax, means[means["ratio"].isin(summed)], look, linewidth=_BOLD, **of_run)


def _ends(here: pd.DataFrame, look: dict[Any, Look]) -> list[End]:
    means = here[here["quantity"] == "mean"]
    ends = []
    for ratio, line in means.groupby("ratio"):
        last, drawn = line.iloc[-1], look[ratio]
        ends.append(End(f"ratio {level(ratio)}", float(last["epoch"]), float(last["value"]), drawn.colour, drawn.ink))
    return ends


def _caption(data: pd.DataFrame, dataset: xr.Dataset) -> str:
    runs = data[data["quantity"] == "run"]
    n = runs.groupby(["length", "sparsity", "ratio"])["run"].nunique()
    lengths = np.unique(data["length"])
    rows = f", one row per length of training ({listing(map(level, lengths))} epochs)" if len(lengths) > 1 else ""
    bold = (
        f"bold lines: arithmetic mean over runs{'' if n.min() >= SUMMARY_SEEDS else ' where there are enough'}"
        if n.max() >= SUMMARY_SEEDS
        else f"fewer than {SUMMARY_SEEDS} runs per line: no mean is drawn"
    )
    return (
        f"Held-out accuracy over training at compression {listing(map(level, np.unique(data['ratio'])))}, one column "
        f"per sparsity{rows}. Thin lines: single runs, all settings and seeds (n = {span(map(int, n))}); {bold}. No "
        "smoothing, no interval and no test in this figure. "
        f"{left_out(dataset, _strategies(dataset))}"
    ).strip()


def _description(data: pd.DataFrame) -> str:
    means = data[data["quantity"] == "mean"]
    told = []
    for (length, sparsity), here in means.groupby(["length", "sparsity"]):
        ends = listing(f"{_end(line):.2f} % at ratio {level(ratio)}" for ratio, line in here.groupby("ratio"))
        told.append(f"{_where(length, sparsity)}: {ends}")
    return f"Line charts over epochs. Mean accuracy ends at: {'; '.join(told)}."


def _strategies(dataset: xr.Dataset) -> list[str]:
    return [str(name) for name in np.unique(dataset["strategy"].to_numpy().astype(str))]


def _end(line: pd.DataFrame) -> float:
    return float(line["value"].iloc[-1])


def _where(length: Any, sparsity: Any) -> str:
    return f"sparsity {level(sparsity)}, {counted(round(length), 'epoch')}"

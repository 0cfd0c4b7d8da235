"""Captions and text alternatives, generated from the plotted numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from burden_analysis.comparison.ratio_curves import LEVEL
from burden_analysis.results.words import capitalised, level, listing, number, span
from burden_analysis.statistics.estimates.band import BAND_FROM
from reports.figures.base import SUMMARY_SEEDS
from reports.figures.words import left_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import xarray as xr


@dataclass(frozen=True)
class Row:
    """One row of panels.

    Attributes
    ----------
    panel : str
        ``gradient`` or ``weight``.
    letter : str
        Panel letter.
    indicator : str
        The indicator plotted.
    label : str
        What it is, in words.
    log : bool
        Whether its axis is logarithmic.
    """

    panel: str
    letter: str
    indicator: str
    label: str
    log: bool

    @property
    def averaged(self) -> bool:
        """Whether a point is the mean over the steps since the previous record."""
        return self.indicator.endswith("_mean")


def caption(data: pd.DataFrame, dataset: xr.Dataset, rows: Sequence[Row], order: Sequence[str]) -> str:
    """Write the caption: what is shown, n, centre, band, family and what was left out."""
    sparsities = [level(s) for s in np.unique(dataset["sparsity"].to_numpy())]
    panels = "; ".join(f"{row.letter}, {row.indicator}{', log axis' if row.log else ''}" for row in rows)
    title = capitalised(listing(row.label for row in rows))
    sentences = [
        f"{title} while training, at sparsity {listing(sparsities)} ({panels}).",
        *_lines(data),
        *_ratios(data, order),
        *_smoothing(data, rows, dataset),
        f"Grey step line: sparsity reached by {order[0]}, mean over seeds." if _has(data, "actual sparsity") else "",
        *(f"Ratio not drawn: {reason}." for reason in data.attrs["undrawn"]),
        left_out(dataset, order),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def description(data: pd.DataFrame, rows: Sequence[Row], order: Sequence[str]) -> str:
    """Write the text alternative: the value every curve ends at, and the last ratios."""
    last = data.dropna(subset=["value"]).groupby(["panel", "sparsity", "strategy", "quantity"])["value"].last()
    sentences = ["Line chart over optimiser steps, one column per sparsity."]
    for row in rows:
        for sparsity in np.unique(data["sparsity"]):
            ends = []
            for strategy in order:
                key = (row.panel, sparsity, strategy)
                if (value := last.get((*key, "geometric mean"))) is not None:
                    ratio = last.get((*key, "ratio"))
                    ends.append(
                        f"{strategy} {number(value)}" + (f" ({number(ratio)} times {order[0]})" if ratio else "")
                    )
            if ends:
                sentences.append(f"{capitalised(row.label)} at sparsity {level(sparsity)} ends at: {', '.join(ends)}.")
    return " ".join(sentences)


def seed_counts(data: pd.DataFrame) -> pd.Series[int]:
    """Seeds shown, by sparsity and strategy."""
    return data[data["quantity"] == "seed"].groupby(["sparsity", "strategy"])["seed"].nunique()


def _lines(data: pd.DataFrame) -> list[str]:
    n = seed_counts(data)
    if n.empty:
        return ["No finished run to show."]
    sentences = [f"Every thin line is one seed (n = {span(n)} per strategy and sparsity)."]
    if n.max() >= SUMMARY_SEEDS:
        sentences.append(f"Bold lines: geometric mean over seeds{_where(n.min() < SUMMARY_SEEDS, SUMMARY_SEEDS)}.")
    else:
        sentences.append(f"Fewer than {SUMMARY_SEEDS} seeds: every seed is drawn and no summary (bold mean, bar).")
    return sentences


def _ratios(data: pd.DataFrame, order: Sequence[str]) -> list[str]:
    n = data.attrs["pairs"].values()
    if not n:
        return [f"No ratio is drawn: it needs a seed of both {order[0]} and another strategy."]
    lower = f"Lower panels: ratio of {listing(order[1:])} to {order[0]}, geometric mean over seed pairs (n = {span(n)})"
    if max(n) < BAND_FROM:
        return [f"{lower}; no band, since an interval needs {BAND_FROM} seeds."]
    sentences = [
        f"{lower}, with a two-sided {LEVEL:.0%} band{_where(min(n) < BAND_FROM, BAND_FROM)}, simultaneous over the "
        f"records of a curve ({listing(data.attrs['methods'])}); every curve is a family of its own, not adjusted "
        "across strategies, sparsities or indicators. Bands may go on beyond the panel."
    ]
    if max(n) >= SUMMARY_SEEDS:
        sentences.append(f"Bars: records where the band excludes 1{_where(min(n) < SUMMARY_SEEDS, SUMMARY_SEEDS)}.")
    return sentences


def _smoothing(data: pd.DataFrame, rows: Sequence[Row], dataset: xr.Dataset) -> list[str]:
    steps = np.unique(data.loc[data["quantity"] == "seed", "step"].to_numpy(float))
    every = f"every {number(steps[0])} steps" if steps.size else "each"
    averaged = [row.letter for row in rows if row.averaged]
    if not averaged:
        return [f"Values at single steps, recorded {every}; no smoothing."]
    which = "Points are" if len(averaged) == len(rows) else f"Points of {listing(averaged)} are"
    share = sampled_share(dataset)
    if share < 1:
        return [
            f"{which} estimated means over the steps since the previous record (recorded {every}): "
            f"{share:.0%} of the steps were measured, one drawn at random from every block; no other smoothing."
        ]
    return [f"{which} means over all steps since the previous record (recorded {every}); no other smoothing."]


def sampled_share(dataset: xr.Dataset) -> float:
    """Share of the recorded steps that were measured for interval means; 1 where all were."""
    if "sampled_steps" not in dataset:  # recorded before there were samples
        return 1.0
    steps = dataset["interval_steps"].where(np.isfinite(dataset["sampled_steps"]))
    return float(dataset["sampled_steps"].sum() / steps.sum()) if float(steps.sum()) else 1.0


def _where(some: bool, seeds: int) -> str:
    return f", where there are at least {seeds} seeds" if some else ""


def _has(data: pd.DataFrame, quantity: str) -> bool:
    return bool((data["quantity"] == quantity).any())

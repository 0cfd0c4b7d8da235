"""Caption, text alternative and table of the burden figure, generated from its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from burden_analysis.indicators.mask_updates import static_strategies
from burden_analysis.results.words import capitalised, counted, level, listing, number, span
from recorders.contract import variable
from reports.figures.words import left_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

UNPROBED = (
    "This study was not probed, so the burden of its mask updates was not measured: "
    "record it with --probe-every 1 (every mask update)."
)
STATIC = "No complete run of this study has a probed mask update: a static mask has no burden to decompose."


def caption(data: pd.DataFrame, dataset: xr.Dataset, seeds: pd.Series[int], facts: Mapping[str, Any]) -> str:
    """Write the caption: what is shown, n, centre, target, batch, the identity's worst residual, what is missing."""
    strategy, terms = facts["strategy"], facts["terms"]
    n = [int(seeds.get((s, strategy), 0)) for s in facts["sparsities"]]
    load = variable(facts["load"])
    assert load is not None
    where = f"in the {'first ' if facts['first'] else ''}hidden layer ({facts['layer']})"
    moving = [name for name in facts["order"] if name not in static_strategies(dataset, facts["order"])]
    still = [name for name in facts["order"] if name not in moving]
    sentences = [
        f"Burden of the mask updates of {strategy} at sparsity {listing(map(level, facts['sparsities']))}.",
        f"Target: one-hot labels; outputs are softmax outputs on {_batch(dataset)}; squared norms are sums over "
        "outputs and means over samples.",
        "a, Squared error before (fit) and after (new fit) every probed mask update, and the squared change of the "
        "outputs (compensation), log axis (what is below 10⁻⁴ of the largest is not drawn); "
        "thin lines: new fit of every seed.",
        "b, The terms as shares of fit + compensation + |covariance|, stacked: covariance (hatched) on top where it is "
        "positive, below zero where it is negative; a bar spans the steps since the probed update before.",
        f"Terms are arithmetic means over seeds (n = {span(n)} per sparsity), so that they add up; shares are taken "
        "of the means. Every seed is in the CSV beside the figure.",
        f"c, {capitalised(load.long_name.removesuffix(', quantile over units'))} {where}: median unit (line) and the "
        f"middle 50 % and 90 % of units (bands); every quantile is the arithmetic mean over seeds (n = {span(seeds)}).",
        f"{capitalised(listing(still))}: static, so no mask update and nothing in a and b." if still else "",
        f"Grey step line: sparsity reached by {strategy}, mean over seeds.",
        _residual(terms),
        "No smoothing, no interval and no test in this figure.",
        left_out(dataset, [strategy, *facts["order"]]),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def description(data: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """Write the text alternative: peaks and ends of the terms, and where the loads end."""
    sentences = ["Area and line charts over optimiser steps, one column per sparsity."]
    means = data[data["quantity"] == "mean"]
    ends = data[data["quantity"] == "quantile 0.5"].groupby(["sparsity", "strategy"])["value"].last()
    for sparsity, cell in means.groupby("sparsity"):
        curves = {name: curve.set_index("step")["value"] for name, curve in cell.groupby("indicator")}
        peak, covariance = curves["compensation"], curves["covariance"]
        sentences.append(
            f"At sparsity {level(sparsity)} the error after an update goes from {number(curves['new_fit'].iloc[0])} "
            f"to {number(curves['new_fit'].iloc[-1])}; compensation is largest at step {number(peak.idxmax())} "
            f"({number(peak.max())}) and ends at {number(peak.iloc[-1])}; covariance lies between "
            f"{number(covariance.min())} and {number(covariance.max())} and is negative at "
            f"{int((covariance < 0).sum())} of {counted(len(covariance), 'update')}."
        )
    for sparsity in facts["sparsities"]:
        last = [f"{name} {number(ends[sparsity, name])}" for name in facts["order"] if (sparsity, name) in ends.index]
        if last:
            sentences.append(f"The median unit's load at sparsity {level(sparsity)} ends at: {', '.join(last)}.")
    return " ".join(sentences)


def _residual(terms: xr.Dataset) -> str:
    probed_updates = int(np.isfinite(terms["fit"]).sum())
    worst = float(terms["worst_residual"].max())
    return (
        f"fit + compensation + covariance = new fit holds with a relative residual of at most {number(worst, 2)} over "
        f"{counted(probed_updates, 'update')} of {counted(terms.sizes['run'], 'run')}."
    )


def _batch(dataset: xr.Dataset) -> str:
    used = set(map(str, dataset["recording"].to_numpy()))
    about = [parts.get("provenance", {}) for name, parts in dataset.attrs["recordings"].items() if name in used]
    sizes = {int(size) for each in about if (size := each.get("data", {}).get("probed_images"))}
    return f"a fixed held-out batch of {span(sizes)} samples" if sizes else "a fixed held-out batch"

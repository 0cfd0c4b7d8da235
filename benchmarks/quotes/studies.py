"""Values of recorded studies: digits, MNIST and tables-mini."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import ttest_1samp

from burden_analysis import (
    accuracy_table,
    burden_decomposition,
    compare_sparsities,
    compare_strategies,
    compression_effect,
    endpoint,
    late_growth,
    open_study,
    robustness,
)
from burden_analysis.claims.robustness import WHOLE
from burden_analysis.compression.relative_indicators import compression_indicators
from burden_analysis.definitions import GRADIENT_MAGNITUDES


def digits(stores: Path) -> dict[str, Any]:
    """Claims C1 and C2 on all five seeds, and the burden of three of them."""
    study = recorded(stores / "digits", "fig2")
    first = study.isel(run=study["seed"].isin([0, 1, 2]))
    values = _order(study) | _growth(study) | _burden(first) | _load(first.isel(run=first["sparsity"] == 0.9))
    again = _order(recorded(stores / "digits-others", "fig2", "--seeds", *"56789"))
    others = burden_decomposition(study.isel(run=~study["seed"].isin([0, 1, 2])))
    steps = others["update_step"].isel(update=others["compensation"].argmax("update"))
    means = others[["relaxation", "recovered"]].sel(order="mean").mean("update")
    return values | {
        "again.contradicted": again["c1.contradicted"],
        "again.not_supported": again["c1.not_supported"],
        "all.falls": _falling(study)["falls.p"],
        "others.first": int(steps.min()),
        "others.last": int(steps.max()),
        **{f"others.{name}": float(means[name].max()) for name in means},
    }


def mnist(stores: Path) -> dict[str, Any]:
    """Claim C1 on MNIST, which must lie under BURDEN_DATA."""
    return _order(recorded(stores / "mnist", "fig2", "--data", "mnist"))


def recorded(folder: Path, *words: str, **environment: str) -> xr.Dataset:
    """Open a study, recorded first where it is missing or unfinished."""
    store = folder / "study.zarr"
    command = [sys.executable, "-m", "burden_analysis.cli", "record", *words, "--out", str(store)]
    subprocess.run(command, check=True, env=os.environ | environment, stdout=subprocess.DEVNULL)
    return open_study(store)


def _order(study: xr.Dataset) -> dict[str, Any]:
    """C1 by each indicator, and counted over all definitions."""
    values: dict[str, Any] = {}
    for name in GRADIENT_MAGNITUDES:
        compared = compare_strategies(study, name)
        values[f"c1.{name}"] = compared.outcome.short
    compared = compare_strategies(study, GRADIENT_MAGNITUDES[0])
    means = endpoint(study, GRADIENT_MAGNITUDES[0]).groupby(study["strategy"]).mean()
    order = sorted(means["strategy"].to_numpy(), key=lambda strategy: means.sel(strategy=strategy))
    table = robustness(study, "C1").table
    counts = table.loc[table["dropped"] == WHOLE, "outcome"].map(lambda outcome: outcome.short).value_counts()
    return values | {
        "c1.order": " < ".join(order),
        "c1.p": compared.table["p"].iloc[0],
        **{f"c1.{name.replace(' ', '_')}": int(counts.get(name, 0)) for name in ("supported", "contradicted")},
        "c1.not_supported": int(counts.get("not supported", 0)),
    }


def _growth(study: xr.Dataset) -> dict[str, Any]:
    outcomes = {name: late_growth(study, name).outcome.short for name in ("weight_norm_mean", "weight_rms_mean")}
    return {f"c2.{name.removesuffix('_mean')}": outcome for name, outcome in outcomes.items()}


def _burden(study: xr.Dataset) -> dict[str, Any]:
    """Average the terms of mask updates over updates, then over seeds; find the largest one and what comes of it."""
    terms = burden_decomposition(study)
    terms["recovered"] = terms["recovered"].sel(order="mean")
    values: dict[str, Any] = {"residual": float(terms["residual"].max())}
    values["updates"] = int(terms["new_fit"].count())
    lost = terms["lost"].sel(order="mean") > 0
    values |= {"losing": int(lost.sum()), "worse": int((terms["recovered"] < 0).where(lost).sum())}
    for sparsity, here in terms.groupby("sparsity"):
        for name in ("compensation", "covariance", "burden", "recovered", "relaxation"):
            means = here[name].mean("update").to_numpy()
            low, high = ttest_1samp(means, 0).confidence_interval(0.95)
            values |= {
                f"{sparsity}.{name}": means.mean(),
                f"{sparsity}.{name}_low": low,
                f"{sparsity}.{name}_high": high,
            }
        peak = int(here["compensation"].mean("run").argmax("update"))
        values |= {
            f"{sparsity}.peak": float(here["compensation"].mean("run")[peak]),
            f"{sparsity}.peak_step": int(here["update_step"].isel(run=0, update=peak)),
            f"{sparsity}.peak_fit": float(here["fit"].mean("run")[peak]),
            f"{sparsity}.relaxing": 100 * float((here["relaxation"] < 0).sum() / here["relaxation"].count()),
        }
    fits = [values[f"{sparsity}.peak_fit"] for sparsity in (0.7, 0.8, 0.9)]
    values |= {"peak_fit_least": min(fits), "peak_fit_most": max(fits)}
    run = terms.isel(run=int(np.flatnonzero(terms["run_id"] == "iterative-s0.9-seed0")[0]))
    blow = run.isel(update=int((run["new_fit"] - run["fit"]).argmax("update")))
    values |= {f"blow.{name}": float(blow[key]) for name, key in _BLOW.items()}
    values |= {f"blow.{name}": int(blow[key].sum()) for name, key in (("left", "pruned"), ("returned", "regrown"))}
    values |= {"blow.step": int(blow["update_step"]), "blow.update": int(blow["update_step"]) // 16}
    return values | _falling(study)


def _falling(study: xr.Dataset) -> dict[str, Any]:
    """How the covariance falls with sparsity."""
    tests = compare_sparsities(study, "covariance", scale="raw").table.set_index("question")
    slope = tests.loc["change per +0.1 sparsity"]
    ends = {f"falls.{end}": slope[f"ci_{end}"] for end in ("low", "high")}
    return {"falls.p": tests.loc["falls with sparsity", "p_adjusted"], "falls.slope": slope["effect"]} | ends


_BLOW = {"before": "fit", "after": "new_fit", "later": "relaxed_new_fit"}


def _load(study: xr.Dataset) -> dict[str, Any]:
    """Input weight norms of first-layer units at the end: quantiles over units, means over seeds."""
    values = {}
    for strategy, runs in study["load_weight_norm"].groupby(study["strategy"]):
        last = runs.isel(layer=0).dropna("update", how="all").isel(update=-1).mean("run")
        for name, quantile in (("low", 0.05), ("middle", 0.5), ("high", 0.95)):
            values[f"load.{strategy}.{name}"] = float(last.sel(quantile=quantile))
    return values


def tables_mini(stores: Path) -> dict[str, Any]:
    """Differences from compression 0 in percentage points: two sets of seeds, and one set with other kernels."""
    values: dict[str, Any] = {}
    for name, (seeds, kernels) in _MINI.items():
        words = ("tables", "--preset", "tables-mini", "--seeds", *seeds)
        study = recorded(stores / f"tables-{name}", *words, **kernels)
        table = accuracy_table(study)
        wide = table.pivot_table(index=["seed", *ROWS], columns="compression", values="accuracy")
        apart = wide.sub(wide[0.0], axis=0)[[0.4, 0.8]]
        per_seed = apart.groupby("seed").mean()
        values |= {f"{name}.{ratio}": apart[ratio].mean() for ratio in apart}
        values |= {f"{name}.{ratio}.{k}": value for ratio in apart for k, value in enumerate(per_seed[ratio])}
        values[f"{name}.outcome"] = compression_effect(table).outcome.words
        intervals = compression_indicators(study)
        values[f"{name}.apart"] = int(((intervals["ci_low"] > 1) | (intervals["ci_high"] < 1)).sum())
        values |= {"indicators": len(intervals), "ahead": min(values.get("ahead", np.inf), _ahead_until(study))}
    return values


def _ahead_until(study: xr.Dataset) -> float:
    """Epochs until which compressed networks are more accurate in the mean, at every sparsity and ratio."""
    runs = pd.DataFrame(study["accuracy"].to_numpy(), columns=study["epoch"].to_numpy())
    means = runs.groupby([study["sparsity"].to_numpy(), study["compression"].to_numpy()]).mean()
    ahead = (means > means.xs(0.0, level=1).reindex(means.index, level=0)).drop(0.0, level=1).all()
    return float(ahead.index[: int(ahead.argmin())].max())


ROWS = ("learning_rate", "sparsity")
_MINI = {
    "mini": ("012", {}),
    "mini-others": ("345", {}),
    "mini-kernels": ("012", {"ATEN_CPU_CAPABILITY": "default"}),
}

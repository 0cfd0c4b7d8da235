"""What the names in quotes.yaml mean: each group of quotes computed, or the script that measures it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import chisquare, ttest_1samp
from statsmodels.stats.power import TTestPower

from burden_analysis import (
    accuracy_table,
    burden_decomposition,
    compare_sparsities,
    compare_strategies,
    compression_effect,
    endpoint,
    late_growth,
    open_study,
    published_tables,
    robustness,
)
from burden_analysis.claims.robustness import WHOLE
from burden_analysis.comparison.power import seeds_allow
from burden_analysis.compression.accuracies import SETUP
from burden_analysis.compression.ratio_tests import (
    ANY,
    BEST,
    BEST_WINS,
    EQUIVALENT,
    OVERALL,
    RANK,
    RATIO,
    SLOPE,
    TREND,
)
from burden_analysis.definitions import GRADIENT_MAGNITUDES


@dataclass(frozen=True)
class Group:
    """Quotes that one command regenerates; `compute` gets the folder of stores, None where a script measures."""

    command: str
    compute: Callable[[Path], Mapping[str, Any]] | None = None


def published(_: Path) -> dict[str, Any]:
    """Values of the 800 published accuracies, and what few seeds can show."""
    table = published_tables()
    effect = compression_effect(table)
    tests = effect.table
    values = {"outcome": effect.outcome.value, "unstable_share": 100 * effect.unstable_share}
    for scope, name in (("all blocks", "all"), ("stable blocks", "stable")):
        values |= {f"{name}.{key}": value for key, value in _tests(tests[tests["scope"] == scope]).items()}
    cell, block = (tests[(tests["unit"] == u) & (tests["family"] == RATIO)] for u in ("cell", "block"))
    wider = _width(block, "stable blocks") / _width(cell, "stable blocks")
    best = tests[(tests["unit"] == "cell") & (tests["family"] == BEST_WINS)].iloc[0]
    values |= {
        "wider_least": wider.min(),
        "wider_most": wider.max(),
        "worth": 140 / np.mean(wider) ** 2,
        "best_won": int(best["wins"]),
        "best_won_expected": 160 * best["expected"],
    }
    return values | _oddities(table) | _few_seeds()


def _width(rows: pd.DataFrame, scope: str) -> np.ndarray:
    rows = rows[rows["scope"] == scope]
    return (rows["ci_high"] - rows["ci_low"]).to_numpy()


def _tests(tests: pd.DataFrame) -> dict[str, Any]:
    """Tests of one scope, over blocks; cells are counted."""
    block = tests[tests["unit"] == "block"].set_index("family")
    cell = tests[tests["unit"] == "cell"].set_index("family")
    overall, friedman, gain = block.loc[OVERALL], block.loc[ANY], block.loc[BEST]
    rises, falls = block.loc[TREND, "p_adjusted"]
    slopes = block.loc[SLOPE].set_index("ratio")
    mean = slopes[slopes.index.isna()].iloc[0]
    within = block.loc[EQUIVALENT]
    equal = within.loc[within["p_adjusted"] <= 0.05, "ratio"]
    wins = cell.loc[BEST_WINS]
    values: dict[str, Any] = {
        "won": int(cell.loc[RATIO, "wins"].sum()),
        "tied": int(cell.loc[RATIO, "ties"].sum()),
        "lost": int(cell.loc[RATIO, "losses"].sum()),
        "detectable": block.loc[RATIO, "detectable"].max(),
        "equivalent": "all four" if len(equal) == len(within) else ", ".join(f"{ratio:g}" for ratio in equal),
        **{"mean": overall["effect"], "mean_low": overall["ci_low"], "mean_high": overall["ci_high"]},
        **{"mean_p": overall["p"], "friedman": friedman["statistic"], "friedman_p": friedman["p"]},
        **{"rises": rises, "falls": falls},
        **{"best": gain["effect"], "best_expected": gain["expected"], "best_p": gain["p"]},
        **{"best_wins": 100 * wins["effect"], "best_wins_expected": 100 * wins["expected"]},
        **{"slope": mean["effect"], "slope_low": mean["ci_low"], "slope_high": mean["ci_high"], "slope_p": mean["p"]},
    }
    values |= {f"{ratio}.rank": rank for ratio, rank in block.loc[RANK, ["ratio", "effect"]].to_numpy()}
    counts, effects = cell.loc[RATIO].set_index("ratio"), block.loc[RATIO].set_index("ratio")
    for ratio, row in effects.iterrows():
        slope = slopes.loc[ratio]
        values |= {
            f"{ratio}.{k}": int(counts.loc[ratio, n])
            for k, n in (("won", "wins"), ("tied", "ties"), ("lost", "losses"))
        }
        values |= {f"{ratio}.effect": row["effect"], f"{ratio}.low": row["ci_low"], f"{ratio}.high": row["ci_high"]}
        values |= {
            f"{ratio}.p": row["p_adjusted"],
            f"{ratio}.slope": slope["effect"],
            f"{ratio}.slope_p": slope["p_adjusted"],
        }
        values |= {f"{ratio}.slope_low": slope["ci_low"], f"{ratio}.slope_high": slope["ci_high"]}
    return values


def _oddities(table: pd.DataFrame) -> dict[str, Any]:
    """Regularities of the published numbers, at embedding 768 with learning rate 1e-2 (wild) and elsewhere (tame)."""

    def wide(index: list[str], columns: str) -> pd.DataFrame:
        return table.pivot_table(index=index, columns=columns, values="accuracy").round(6)

    def wild(frame: pd.DataFrame) -> pd.Series:
        index = frame.index
        return (index.get_level_values("embed_dim") == 768) & (index.get_level_values("learning_rate") == 0.01)

    cells = wide([*SETUP, "sparsity"], "compression")
    steps = wide([*SETUP, "compression"], "sparsity").diff(axis=1).iloc[:, 1:].round(6)
    longer = wide([n for n in (*SETUP, "sparsity", "compression") if n != "epochs"], "epochs")
    longer = (longer[60] - longer[40]).round(6).to_frame()
    values: dict[str, Any] = {}
    for name, unlike in (("wild", False), ("tame", True)):
        here, rises, more = (frame[wild(frame) ^ unlike] for frame in (cells, steps, longer))
        values |= {
            f"{name}.least": here.min(axis=None),
            f"{name}.most": here.max(axis=None),
            f"{name}.rises": int((rises > 0).sum(axis=None)),
            f"{name}.steps": rises.size,
            f"{name}.never": int((rises <= 0).all(axis=1).sum()),
            f"{name}.rows": len(rises),
            f"{name}.longer": int((more > 0).sum(axis=None)),
            f"{name}.pairs": len(more),
        }
    best = cells.loc[cells.max(axis=1).idxmax()]
    spread = cells.var(axis=1).groupby(list(SETUP)).mean()
    relative = np.sort(spread / spread.median())
    digits = (table["accuracy"] * 100).round().astype(int) % 10
    return values | {
        "ahead": best[0.0] - best.drop(0.0).max(),
        "equal_pairs": sum(int(np.isclose(cells[a], cells[b]).sum()) for a, b in combinations(cells, 2)),
        "last_digits": chisquare(digits.value_counts()).pvalue,
        "spread_least": relative[-4],
        "spread_most": relative[-1],
        "spread_next": relative[-5],
    }


def _few_seeds() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for n in (3, 5, 10):
        page, friedman, flip = seeds_allow(n).to_dict("records")
        values |= {f"page.{n}": page["attainable_p"], f"friedman.{n}": friedman["attainable_p"]}
        values |= {f"flip.{n}": flip["attainable_p"], f"seen.{n}": flip["detectable_in_sd"]}
    for pairs in (2, 4):
        solved = float(np.squeeze(TTestPower().solve_power(nobs=pairs, alpha=0.01, power=0.8)))
        values |= {f"solver.{pairs}": solved, f"power.{pairs}": TTestPower().power(solved, pairs, 0.01)}
    return values


def relabelled(_: Path) -> dict[str, Any]:
    """How often tests of the published tables reject when ratios are relabelled inside every block, in per cent."""
    table = published_tables()
    ratios = np.sort(table["compression"].unique())
    block = table.groupby(list(SETUP)).ngroup().to_numpy()
    now = np.searchsorted(ratios, table["compression"].to_numpy())
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        drawn = np.array([rng.permutation(len(ratios)) for _ in range(block.max() + 1)])
        effect = compression_effect(table.assign(compression=ratios[drawn[block, now]]))
        tests = effect.table[effect.table["family"] == RATIO]
        hits = (tests["p_adjusted"] <= effect.alpha).groupby([tests["scope"], tests["unit"]]).any()
        found.append({f"{scope} {unit}": hit for (scope, unit), hit in hits.items()} | {effect.outcome.value: True})
    share = pd.DataFrame(found).notna() & pd.DataFrame(found).eq(True)
    return {
        "all": 100 * share["all blocks cell"].mean(),
        "stable": 100 * share["stable blocks cell"].mean(),
        "blocks": 100 * share["all blocks block"].mean(),
        "supported": int(share.get("supported", pd.Series([0])).sum()),
        "contradicted": int(share.get("contradicted", pd.Series([0])).sum()),
    }


def digits(stores: Path) -> dict[str, Any]:
    """Claims C1 and C2 on all five seeds, and the burden of three of them."""
    study = recorded(stores / "digits", "fig2")
    first = study.isel(run=study["seed"].isin([0, 1, 2]))
    values = _order(study) | _growth(study) | _burden(first) | _load(first.isel(run=first["sparsity"] == 0.9))
    others = burden_decomposition(study.isel(run=~study["seed"].isin([0, 1, 2])))
    steps = others["update_step"].isel(update=others["compensation"].argmax("update"))
    means = others[["relaxation", "recovered"]].sel(order="mean").mean("update")
    return values | {
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
        values[f"c1.{name}"] = compared.outcome.value.partition(" (")[0]
    compared = compare_strategies(study, GRADIENT_MAGNITUDES[0])
    means = endpoint(study, GRADIENT_MAGNITUDES[0]).groupby(study["strategy"]).mean()
    order = sorted(means["strategy"].to_numpy(), key=lambda strategy: means.sel(strategy=strategy))
    table = robustness(study, "C1").table
    counts = table.loc[table["dropped"] == WHOLE, "outcome"].str.partition(" (")[0].value_counts()
    return values | {
        "c1.order": " < ".join(order),
        "c1.p": compared.table["p"].iloc[0],
        **{f"c1.{name.replace(' ', '_')}": int(counts.get(name, 0)) for name in ("supported", "contradicted")},
        "c1.not_supported": int(counts.get("not supported", 0)),
    }


def _growth(study: xr.Dataset) -> dict[str, Any]:
    outcomes = {name: late_growth(study, name).outcome.value for name in ("weight_norm_mean", "weight_rms_mean")}
    return {f"c2.{name.removesuffix('_mean')}": outcome.partition(" (")[0] for name, outcome in outcomes.items()}


def _burden(study: xr.Dataset) -> dict[str, Any]:
    """The terms of mask updates: means over updates, then over seeds; the largest update; what comes of it."""
    terms = burden_decomposition(study)
    terms["recovered"] = terms["recovered"].sel(order="mean")
    values: dict[str, Any] = {"residual": float(terms["residual"].max())}
    values["updates"] = int(terms["new_fit"].notnull().sum())
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
            f"{sparsity}.relaxing": 100 * float((here["relaxation"] < 0).sum() / here["relaxation"].notnull().sum()),
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
        table = accuracy_table(recorded(stores / f"tables-{name}", *words, **kernels))
        wide = table.pivot_table(index=["seed", *ROWS], columns="compression", values="accuracy")
        apart = wide.sub(wide[0.0], axis=0)[[0.4, 0.8]]
        per_seed = apart.groupby("seed").mean()
        values |= {f"{name}.{ratio}": apart[ratio].mean() for ratio in apart}
        values |= {f"{name}.{ratio}.{k}": value for ratio in apart for k, value in enumerate(per_seed[ratio])}
        values[f"{name}.outcome"] = compression_effect(table).outcome.value
    return values


ROWS = ("learning_rate", "sparsity")
_MINI = {
    "mini": ("012", {}),
    "mini-others": ("345", {}),
    "mini-kernels": ("012", {"ATEN_CPU_CAPABILITY": "default"}),
}


GROUPS: dict[str, Group] = {
    "published": Group("burden compare --by compression --published; burden power --seeds N", published),
    "relabelled": Group("python benchmarks/quoted.py check --only relabelled", relabelled),
    "digits": Group("burden reproduce fig2", digits),
    "mnist": Group("burden reproduce fig2 --data mnist", mnist),
    "tables-mini": Group("burden reproduce tables --preset tables-mini (--seeds 3 4 5)", tables_mini),
    "simulated": Group("pytest -m slow tests/burden_analysis/statistics/test_error_rates.py (docs/statistics.md)"),
    "commands.py": Group("python benchmarks/commands.py"),
    "probe.py": Group("python benchmarks/probe.py DATA_ROOT"),
    "merging.py": Group("python benchmarks/merging.py"),
    "comparisons.py": Group("OMP_NUM_THREADS=1 python benchmarks/comparisons.py"),
    "once": Group("measured once, by no script"),
}

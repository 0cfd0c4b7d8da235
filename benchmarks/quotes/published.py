"""Values of the 800 published accuracies, and what few seeds can show."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chisquare
from statsmodels.stats.power import TTestPower

from burden_analysis import compression_effect, published_tables
from burden_analysis.comparison.power import seeds_allow
from burden_analysis.compression.accuracies import SETUP
from burden_analysis.results.families import Family


def published(_: Path) -> dict[str, Any]:
    """Values of the 800 published accuracies, and what few seeds can show."""
    table = published_tables()
    effect = compression_effect(table)
    tests = effect.table
    values = {"outcome": effect.outcome.value, "unstable_share": 100 * effect.unstable_share}
    for scope, name in (("all blocks", "all"), ("stable blocks", "stable")):
        values |= {f"{name}.{key}": value for key, value in _tests(tests[tests["scope"] == scope]).items()}
    cell, block = (tests[(tests["unit"] == u) & (tests["family"] == Family.RATIO)] for u in ("cell", "block"))
    wider = _width(block, "stable blocks") / _width(cell, "stable blocks")
    best = tests[(tests["unit"] == "cell") & (tests["family"] == Family.BEST_WINS)].iloc[0]
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
    """Read the tests of one scope, over blocks; cells are counted."""
    block = tests[tests["unit"] == "block"].set_index("family")
    cell = tests[tests["unit"] == "cell"].set_index("family")
    overall, friedman, gain = block.loc[Family.OVERALL], block.loc[Family.ANY], block.loc[Family.BEST]
    rises, falls = block.loc[Family.TREND, "p_adjusted"]
    slopes = block.loc[Family.GAIN_SLOPE].set_index("ratio")
    mean = slopes[slopes.index.isna()].iloc[0]
    within = block.loc[Family.WITHIN]
    equal = within.loc[within["p_adjusted"] <= 0.05, "ratio"]
    wins = cell.loc[Family.BEST_WINS]
    values: dict[str, Any] = {
        "won": int(cell.loc[Family.RATIO, "wins"].sum()),
        "tied": int(cell.loc[Family.RATIO, "ties"].sum()),
        "lost": int(cell.loc[Family.RATIO, "losses"].sum()),
        "detectable": block.loc[Family.RATIO, "detectable"].max(),
        "equivalent": "all four" if len(equal) == len(within) else ", ".join(f"{ratio:g}" for ratio in equal),
        **{"mean": overall["effect"], "mean_low": overall["ci_low"], "mean_high": overall["ci_high"]},
        **{"mean_p": overall["p"], "friedman": friedman["statistic"], "friedman_p": friedman["p"]},
        **{"rises": rises, "falls": falls},
        **{"best": gain["effect"], "best_expected": gain["expected"], "best_p": gain["p"]},
        **{"best_wins": 100 * wins["effect"], "best_wins_expected": 100 * wins["expected"]},
        **{"slope": mean["effect"], "slope_low": mean["ci_low"], "slope_high": mean["ci_high"], "slope_p": mean["p"]},
    }
    values |= {f"{ratio}.rank": rank for ratio, rank in block.loc[Family.RANK, ["ratio", "effect"]].to_numpy()}
    counts, effects = cell.loc[Family.RATIO].set_index("ratio"), block.loc[Family.RATIO].set_index("ratio")
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
        tests = effect.table[effect.table["family"] == Family.RATIO]
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

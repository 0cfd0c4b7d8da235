"""What a study can see with its seeds, and how many seeds an effect takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from burden_analysis.results.tests import Test
from burden_analysis.statistics import (
    detectable_difference,
    friedman_attainable_p,
    page_attainable_p,
    page_blocks_needed,
    pairs_needed,
    sign_flip_attainable_p,
)
from recorders.contract import InputError

if TYPE_CHECKING:
    from burden_analysis.comparison.result import Comparison

_MOST_SEEDS = 10_000  # far above any study; p values underflow long before, and power takes minutes far beyond
_CONTRASTS = (Test.SIGN_FLIP, Test.PAIRED_T, Test.BRUNNER_MUNZEL, Test.BRUNNER_MUNZEL_BELOW)
_SHOWN = ["question", "scope", "n", "effect", "ci_low", "ci_high", "detectable"]


def detectable_effect(comparison: Comparison) -> pd.DataFrame:
    """List the smallest effects that a comparison could have seen with 80 % power.

    Parameters
    ----------
    comparison : Comparison
        From `compare_strategies` or `compare_sparsities`.

    Returns
    -------
    pandas.DataFrame
        One row per contrast: question, scope, n seeds, effect with its interval, and ``detectable``, a ratio on the
        log scale, a difference on the raw scale, Cliff's δ where seeds are not paired. It is that of a two-sided t test
        at the comparison's alpha with the spread observed; NaN below three seeds.
    """
    contrasts = comparison.table[comparison.table["effect"].notna() & comparison.table["test"].isin(_CONTRASTS)]
    return contrasts[_SHOWN].reset_index(drop=True)


def seeds_needed(
    effect: float,
    *,
    sd: float,
    scale: str = "log",
    strategies: int = 3,
    alpha: float = 0.05,
    power: float = 0.8,
    seed: int = 0,
) -> pd.DataFrame:
    """Count the seeds it takes to see an effect.

    Parameters
    ----------
    effect : float
        Between neighbours in the claimed order: a ratio on the log scale (1.2), a difference on the raw scale.
    sd : float
        Standard deviation over seeds of the paired difference, of log₁₀ endpoints on the log scale; `spread` reads it
        from a comparison.
    scale : {"log", "raw"}
        What effect and sd are.
    strategies : int, default 3
        In the order that Page's test is about.
    alpha : float, default 0.05
        Level: two-sided for the pair, one-sided for Page's test.
    power : float, default 0.8
        Wanted.
    seed : int, default 0
        Of the simulation of Page's test.

    Returns
    -------
    pandas.DataFrame
        Two rows: the paired t test of two neighbours (exact), and Page's test of the whole order (simulated).

    Raises
    ------
    InputError
        An effect that is none or not finite, a spread that is not positive, or more seeds than can be counted.
    """
    if not sd > 0 or math.isinf(sd):
        raise InputError(f"sd {sd:g} is no spread between seeds: give a positive number")
    if scale == "log" and not effect > 0:
        raise InputError(f"effect {effect:g} is no ratio: give a number above 0, such as 1.2")
    size = abs(math.log10(effect) if scale == "log" else effect) / sd
    if not math.isfinite(size):
        raise InputError(f"effect {effect:g} with sd {sd:g} is no finite effect: give one such as 1.2")
    rows = [
        ("two neighbours differ", "paired t, two-sided", size, pairs_needed(size, alpha=alpha, power=power)),
        (
            f"order of {strategies} strategies",
            "Page's L, one-sided",
            size,
            page_blocks_needed(size, treatments=strategies, alpha=alpha, power=power, seed=seed),
        ),
    ]
    return pd.DataFrame(rows, columns=["question", "test", "effect_in_sd", "seeds"])


def spread(comparison: Comparison) -> float:
    """Largest standard deviation over seeds of a comparison's adjacent differences, averaged over sparsities."""
    rows = comparison.table[comparison.table["test"] == Test.PAIRED_T]
    if rows.empty or rows["detectable"].isna().any():
        raise InputError("a spread between seeds needs three paired seeds or more: give sd yourself")
    seen = [math.log10(d) if comparison.scale == "log" else d for d in rows["detectable"]]
    per_sd = [detectable_difference(1.0, int(n), alpha=comparison.alpha) for n in rows["n"]]
    return max(d / unit for d, unit in zip(seen, per_sd, strict=True))


def seeds_allow(n: int, *, strategies: int = 3, alpha: float = 0.05, power: float = 0.8) -> pd.DataFrame:
    """List what a number of seeds can show at best."""
    if n < 1:
        raise InputError(f"{n} seeds can show nothing: give one or more")
    if n > _MOST_SEEDS:
        raise InputError(f"{n} seeds are more than can be counted with: give at most {_MOST_SEEDS:,}")
    seen = detectable_difference(1.0, n, alpha=alpha, power=power)
    rows = [
        (f"Page's L of {strategies} strategies, one-sided", page_attainable_p(n, strategies), math.nan),
        (f"Friedman of {strategies} strategies", friedman_attainable_p(n, strategies), math.nan),
        ("sign flip of a pair, two-sided", sign_flip_attainable_p(n), seen),
    ]
    table = pd.DataFrame(rows, columns=["test", "attainable_p", "detectable_in_sd"])
    return table.assign(can_reach_alpha=table["attainable_p"] <= alpha)

"""Are two strategies the same for all that matters? Two one-sided tests of an endpoint, with a declared margin."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.arrangement.cells import cells
from burden_analysis.arrangement.pairing import shares_seeds, with_all_strategies, with_full_blocks
from burden_analysis.arrangement.runs import check_strategies, complete_runs
from burden_analysis.indicators.endpoints import endpoint
from burden_analysis.results.families import EVERYWHERE, at_sparsity, pair_name
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.printed import Printed
from burden_analysis.results.rows import as_table, finite, make_row
from burden_analysis.results.words import counted, left_out, p_in_words
from burden_analysis.statistics import Equivalence, holm, tost, tost_two_sample
from burden_analysis.statistics.holm import check_alpha
from recorders.contract import InputError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import xarray as xr

    from burden_analysis.arrangement.cells import Cells

OVERALL = "equivalence over all sparsities"
SINGLE = "equivalence per sparsity (Holm)"


@dataclass(frozen=True, eq=False)
class EquivalenceResult(Printed):
    """Two one-sided tests of two strategies.

    Attributes
    ----------
    table : pandas.DataFrame
        One row over all sparsities and one per sparsity, with the columns `burden_analysis.results.rows.COLUMNS`;
        intervals cover 1 − 2·alpha.
    outcome : Outcome
        As `equivalent` defines it.
    indicator, first, second : str
        What was compared.
    margin : float
        Declared: a ratio on the log scale, a difference on the raw scale.
    scale : str
        ``"log"`` or ``"raw"``.
    window : float
        Share of each run's last records that makes its endpoint.
    alpha : float
        Level.
    paired : bool
        Whether the strategies share seeds.
    excluded : tuple of str
        What was left out, and why.
    """

    table: pd.DataFrame
    outcome: Outcome
    indicator: str
    first: str
    second: str
    margin: float
    scale: str
    window: float
    alpha: float
    paired: bool
    excluded: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The outcome in words, made from the numbers of the table."""
        row = self.table.iloc[0]
        name = pair_name(self.second, self.first, self.scale)
        bounds = f"{1 / self.margin:.3g} and {self.margin:.3g}" if self.scale == "log" else f"±{self.margin:.3g}"
        test = "paired" if self.paired else "Welch, seeds not paired"
        known = not math.isnan(row["ci_low"])
        interval = f" [{row['ci_low']:.3g}, {row['ci_high']:.3g}]" if known else ""
        words = [
            f"{self.outcome.value.capitalize()}: that {name} of {self.indicator} lies within {bounds}, the margin "
            f"declared (TOST, {test}, {counted(row['n'], 'seed')}{', ' + p_in_words(row['p']) if known else ''}).",
            ("No estimate" if math.isnan(row["effect"]) else f"Estimate {row['effect']:.3g}{interval}")
            + (f" ({1 - 2 * self.alpha:.0%} t interval)." if known else " (no interval below three seeds)."),
        ]
        if self.outcome is Outcome.UNDECIDED and known:
            words.append("The interval is wider than the margin: no difference, however small, could have passed.")
        return " ".join([*words, left_out(self.excluded)])

    def to_json(self) -> str:
        """Write everything as strict JSON; NaN is null."""
        named = ("indicator", "first", "second", "margin", "scale", "window", "alpha", "paired", "excluded")
        content: dict[str, Any] = {name: getattr(self, name) for name in named}
        content |= {"outcome": self.outcome.value, "verdict": self.verdict}
        content["table"] = [finite(row) for row in self.table.to_dict("records")]
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def equivalent(
    dataset: xr.Dataset,
    indicator: str,
    first: str,
    second: str,
    *,
    margin: float,
    window: float = 0.2,
    scale: str = "log",
    paired_by: str = "seed",
    alpha: float = 0.05,
) -> EquivalenceResult:
    """Test that two strategies differ by less than a margin that was declared before looking.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        As in `burden_analysis.series`.
    first, second : str
        Strategies; the effect is first / second, or first − second on the raw scale.
    margin : float
        Smallest effect that would matter. On the log scale a ratio above 1: 1.1 stands for 1/1.1 to 1.1. On the raw
        scale a difference above 0.
    window, scale, paired_by, alpha
        As in `compare_strategies`; alpha is below one half. Without a shared seed the test is Welch's.

    Returns
    -------
    EquivalenceResult
        `outcome` is the first that holds of: ``supported``, both one-sided tests of the mean over sparsities are
        significant; ``undecided``, fewer than three seeds or an interval wider than the margin, so that no estimate
        could have passed; ``contradicted``, the interval lies outside the margin; ``not supported``, anything else.
        The mean is over the sparsities at which a seed has both strategies; without pairs, only seeds with all
        sparsities have one, since a mean over some of them is one of other levels.

    Raises
    ------
    InputError
        As `compare_strategies`, and for a margin or a level that is none.
    """
    check_alpha(alpha)
    if not margin > (1 if scale == "log" else 0) or math.isinf(margin):
        kind = "ratio above 1, such as 1.1" if scale == "log" else "difference above 0"
        raise InputError(f"margin {margin:g} declares nothing on the {scale} scale: give a {kind}")
    check_strategies(dataset, [first, second])
    kept, unfinished = complete_runs(dataset, [first, second])
    found = cells(kept, endpoint(kept, indicator, window, scale), [first, second], paired_by)
    paired = shares_seeds(dataset, [first, second], paired_by)
    excluded = unfinished + found.excluded
    found, gaps = with_full_blocks(found, paired_by) if paired else with_all_strategies(found)
    bound = math.log10(margin) if scale == "log" else margin
    grid = found.grid
    if paired:  # a run without its partner counts for nothing
        grid = np.where(np.isfinite(grid).all(axis=2, keepdims=True), grid, np.nan)
    else:
        gaps += _incomplete(found, paired_by)
    everywhere = _mean(grid) if paired else grid.mean(axis=1)
    places = [(EVERYWHERE, everywhere), *((at_sparsity(s), grid[:, j]) for j, s in enumerate(found.sparsities))]
    planned = None if paired else np.asarray(np.isfinite(grid).any(axis=1))
    results = [_test(values, planned, bound, alpha) for _, values in places]
    adjusted = [results[0].p, *holm([r.p for r in results[1:]])]
    question = f"{pair_name(second, first, scale)} within the margin"
    rows = [
        make_row(
            question,
            scope,
            "TOST, paired t" if paired else "TOST, Welch's t",
            OVERALL if scope == EVERYWHERE else SINGLE,
            values=_columns(result, scale) | {"p_adjusted": p},
        )
        for (scope, _), result, p in zip(places, results, adjusted, strict=True)
    ]
    return EquivalenceResult(
        table=as_table(rows),
        outcome=_outcome(results[0], alpha),
        indicator=indicator,
        first=first,
        second=second,
        margin=margin,
        scale=scale,
        window=window,
        alpha=alpha,
        paired=paired,
        excluded=gaps + excluded,
    )


def _mean(grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean over the sparsities at which a seed has both of a pair, the same for both; NaN where it has none."""
    have = np.isfinite(grid)
    count = have.sum(axis=1)
    return np.asarray(np.where(have, grid, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan))


def _incomplete(found: Cells, paired_by: str) -> tuple[str, ...]:
    """Name the seeds without a partner that lack a sparsity: their mean over the others is that of other levels."""
    have = np.isfinite(found.grid)
    return tuple(
        f"{paired_by} {seed} of {strategy} over all sparsities: no usable run at "
        + ", ".join(f"{s:g}" for s, there in zip(found.sparsities, have[i, :, k], strict=True) if not there)
        for k, strategy in enumerate(found.strategies)
        for i, seed in enumerate(found.seeds)
        if have[i, :, k].any() and not have[i, :, k].all()
    )


def _test(
    values: npt.NDArray[np.float64], planned: npt.NDArray[np.bool_] | None, bound: float, alpha: float
) -> Equivalence:
    """Test pairs, or the seeds planned for each strategy: another strategy's seed is not a lost one."""
    if planned is None:
        return tost(values[:, 0] - values[:, 1], bound, alpha=alpha)
    first, second = (column[own] for column, own in zip(values.T, planned.T, strict=True))
    return tost_two_sample(second, first, bound, alpha=alpha)


def _columns(result: Equivalence, scale: str) -> dict[str, float]:
    effects = np.array([result.difference, result.low, result.high])
    effect, low, high = 10**effects if scale == "log" else effects
    n, excluded = result.n, result.excluded
    return {"p": result.p, "effect": effect, "ci_low": low, "ci_high": high, "n": n, "excluded": excluded}


def _outcome(result: Equivalence, alpha: float) -> Outcome:
    if result.p <= alpha:
        return Outcome.SUPPORTED
    if math.isnan(result.p) or result.high - result.low >= 2 * result.margin:
        return Outcome.UNDECIDED
    outside = result.low > result.margin or result.high < -result.margin
    return Outcome.CONTRADICTED if outside else Outcome.NOT_SUPPORTED

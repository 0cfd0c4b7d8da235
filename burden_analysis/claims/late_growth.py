"""Claim C2 made operational: late growth of the norm of surviving weights, against `optimal`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from burden_analysis.arrangement.cells import cells
from burden_analysis.arrangement.pairing import shares_seeds, with_full_blocks
from burden_analysis.arrangement.runs import check_strategies, complete_runs
from burden_analysis.comparison.effects import detectable, paired_effect
from burden_analysis.definitions import WEIGHT_NORMS
from burden_analysis.indicators.endpoints import late_change
from burden_analysis.results.families import EVERYWHERE, at_sparsity, pair_name
from burden_analysis.results.outcome import Outcome
from burden_analysis.results.printed import Printed
from burden_analysis.results.rows import as_table, finite, make_row
from burden_analysis.results.words import counted, effect_in_words, family, left_out, p_in_words
from burden_analysis.statistics import holm, one_sided_p, sign_flip
from burden_analysis.statistics.holm import check_alpha
from recorders.contract import InputError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from burden_analysis.arrangement.cells import Cells

Rows = list[dict[str, Any]]

GROWS = "late growth (both must hold)"
SHRINKS = "against late growth (Holm)"
DESCRIBED = "late growth per sparsity (described)"
PRUNED, REFERENCE = "iterative", "optimal"


@dataclass(frozen=True, eq=False)
class LateGrowth(Printed):
    """Tests of claim C2.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per test, with the columns `burden_analysis.results.rows.COLUMNS`.
    effects : pandas.DataFrame
        One row per run: strategy, sparsity, seed, value (its growth, log₁₀ on the log scale).
    outcome : Outcome
        As `late_growth` defines it.
    indicator : str
        Which norm.
    window : float
        Share of the records in each of the two windows.
    scale : str
        ``"log"`` or ``"raw"``.
    alpha : float
        Level.
    seeds : tuple
        That were used.
    excluded : tuple of str
        What was left out, and why.
    """

    table: pd.DataFrame
    effects: pd.DataFrame
    outcome: Outcome
    indicator: str
    window: float
    scale: str
    alpha: float
    seeds: tuple[Any, ...]
    excluded: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The outcome in words, made from the numbers of the table."""
        grows, more = (row for _, row in family(self.table, GROWS).iterrows())
        text = (
            f"{self.outcome.value.capitalize()}: that {self.indicator} grows late in training in {PRUNED}, and more "
            f"than in {REFERENCE} (last {self.window:.0%} of records against the {self.window:.0%} before, "
            f"{counted(grows['n'], 'seed')}, exact one-sided sign flips). "
            f"Growth in {PRUNED}: {effect_in_words(grows)}, {p_in_words(grows['p'])}; {more['question']}: "
            f"{effect_in_words(more)}, {p_in_words(more['p'])}."
        )
        return " ".join([text, *self._reason(grows, more), left_out(self.excluded)])

    def _reason(self, grows: pd.Series[Any], more: pd.Series[Any]) -> list[str]:
        against = family(self.table, SHRINKS)
        if self.outcome is Outcome.CONTRADICTED:
            found = against[against["p_adjusted"] <= self.alpha]
            listed = ", ".join(f"{r['question']} (adjusted {p_in_words(r['p_adjusted'])})" for _, r in found.iterrows())
            return [f"Significant against it after Holm: {listed}."]
        if self.outcome is Outcome.UNDECIDED and grows["attainable_p"] > self.alpha:
            return [f"The smallest p that these seeds can reach is {grows['attainable_p']:.2g}."]
        if self.outcome is Outcome.NOT_SUPPORTED:
            seen = f"{grows['detectable']:.3g} and {more['detectable']:.3g}"
            return [f"A paired t test had 80 % power for {seen} or more."]
        return []

    def to_json(self) -> str:
        """Write everything as strict JSON; NaN is null."""
        named = ("indicator", "window", "scale", "alpha", "seeds", "excluded")
        content: dict[str, Any] = {name: getattr(self, name) for name in named}
        content |= {"outcome": self.outcome.value, "verdict": self.verdict}
        content["table"] = [finite(row) for row in self.table.to_dict("records")]
        content["effects"] = [finite(row) for row in self.effects.to_dict("records")]
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def late_growth(
    dataset: xr.Dataset,
    indicator: str = WEIGHT_NORMS[0],
    *,
    window: float = 0.2,
    scale: str = "log",
    alpha: float = 0.05,
) -> LateGrowth:
    """Test claim C2: weight norms grow late in training as survivors take over.

    A run's late growth is the mean of the log₁₀ norm over the last share of its records, less that over as many records
    immediately before. Two statements must both hold: it is above zero in ``iterative``, and it is above that of
    ``optimal`` of the same seed. The second is needed since any network's norms may still grow while it trains.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`, with both strategies.
    indicator : str, default "weight_norm_mean"
        A norm of the active weights, as in `burden_analysis.series`.
    window : float, default 0.2
        Share of the records in each of the two windows, at most one half: rounded up, but never into each other (half
        of 45 records is 22). A run with fewer than two records is left out and named.
    scale : {"log", "raw"}
        Growth as a ratio or as a difference.
    alpha : float, default 0.05
        Level.

    Returns
    -------
    LateGrowth
        `outcome` is the first that holds of: ``contradicted``, a one-sided paired t test against either statement is
        significant (Holm over both); ``supported``, both one-sided p for them are (each at alpha: both are needed, so
        none is adjusted); ``undecided``, fewer than three seeds or 1/2ⁿ above alpha; ``not supported``, anything else.

    Raises
    ------
    InputError
        A strategy is missing, no seed has both, a window above one half, a level that is none, or values without a
        logarithm.
    """
    check_alpha(alpha)
    found, excluded = growth_cells(dataset, indicator, window, scale)
    rows = growth_rows(found, scale, alpha)
    table = as_table([*rows, *_described(found, scale, alpha)])
    return LateGrowth(
        table=table,
        effects=found.tidy(),
        outcome=growth_outcome(rows, alpha),
        indicator=indicator,
        window=window,
        scale=scale,
        alpha=alpha,
        seeds=found.seeds,
        excluded=excluded,
    )


def growth_cells(dataset: xr.Dataset, indicator: str, window: float, scale: str) -> tuple[Cells, tuple[str, ...]]:
    """Arrange the late growth of each run by seed, sparsity and strategy (optimal, iterative).

    Parameters
    ----------
    dataset, indicator, window, scale
        As in `late_growth`.

    Returns
    -------
    found : Cells
        Growth of each run.
    excluded : tuple of str
        What was left out, and why.
    """
    strategies = (REFERENCE, PRUNED)
    check_strategies(dataset, strategies)
    if not shares_seeds(dataset, strategies, "seed"):
        raise InputError(f"{PRUNED} and {REFERENCE} share no seed: late growth is compared within a seed")
    kept, unfinished = complete_runs(dataset, strategies)
    found = cells(kept, late_change(kept, indicator, window, scale), strategies)
    unusable = found.excluded
    found, gaps = with_full_blocks(found, "seed")
    return found, gaps + unfinished + unusable


def growth_rows(found: Cells, scale: str, alpha: float) -> Rows:
    """Make the tests that decide claim C2.

    Parameters
    ----------
    found : Cells
        From `growth_cells`.
    scale : {"log", "raw"}
        What the growth is.
    alpha : float
        Level.

    Returns
    -------
    list of dict
        Two for the claim, two against it.
    """
    have = np.isfinite(found.grid).all(axis=2, keepdims=True)
    reference, pruned = (np.where(have, found.grid, 0.0).sum(axis=1) / have.sum(axis=1)).T
    nothing = np.zeros_like(pruned)
    more = f"growth, {pair_name(REFERENCE, PRUNED, scale)}"
    asked = (
        (f"{PRUNED} grows", f"{PRUNED} shrinks", nothing, pruned),
        (more, f"{REFERENCE} grows more than {PRUNED}", reference, pruned),
    )
    test = "sign flip, one-sided"
    rows: Rows = []
    estimates = []
    for question, _, low, high in asked:
        estimate, result = paired_effect(low, high, scale, alpha), sign_flip(high - low, two_sided=False)
        values = {"detectable": detectable(estimate, scale, alpha)}
        rows.append(make_row(question, EVERYWHERE, test, GROWS, result, estimate, values))
        estimates.append(estimate)
    backwards = [one_sided_p(estimate) for estimate in estimates]
    adjusted = holm([p for _, p in backwards])
    for (_, opposite, *_), estimate, (t, p), corrected in zip(asked, estimates, backwards, adjusted, strict=True):
        values = {"statistic": t, "p": p, "p_adjusted": corrected}
        rows.append(make_row(opposite, EVERYWHERE, "paired t, one-sided", SHRINKS, estimate=estimate, values=values))
    for row in rows[:2]:
        row["p_adjusted"] = row["p"]
    return rows


def growth_outcome(rows: Rows, alpha: float) -> Outcome:
    """Judge claim C2; `late_growth` defines the outcomes.

    Parameters
    ----------
    rows : list of dict
        From `growth_rows`.
    alpha : float
        Level.

    Returns
    -------
    Outcome
        One of the four.
    """
    wanted, against = rows[:2], rows[2:]
    if any(row["p_adjusted"] <= alpha for row in against):
        return Outcome.CONTRADICTED
    if all(row["p"] <= alpha for row in wanted):
        return Outcome.SUPPORTED
    few = wanted[0]["n"] < 3 or wanted[0]["attainable_p"] > alpha
    return Outcome.UNDECIDED if few else Outcome.NOT_SUPPORTED


def _described(found: Cells, scale: str, alpha: float) -> Rows:
    rows = []
    for j, sparsity in enumerate(found.sparsities):
        reference, pruned = found.grid[:, j].T
        for name, low, high in (
            (f"{PRUNED} grows", np.zeros_like(pruned), pruned),
            (f"{REFERENCE} grows", np.zeros_like(reference), reference),
            (f"growth, {pair_name(REFERENCE, PRUNED, scale)}", reference, pruned),
        ):
            estimate = paired_effect(low, high, scale, alpha)
            rows.append(make_row(name, at_sparsity(sparsity), "t interval", DESCRIBED, estimate=estimate))
    return rows

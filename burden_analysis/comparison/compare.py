"""Compares strategies and sparsities over paired seeds: gated ordered tests, paired ratios, and a verdict in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from burden_analysis.arrangement.pairing import absent_runs, without_sparsities
from burden_analysis.arrangement.runs import check_strategies
from burden_analysis.comparison.design import design_of
from burden_analysis.comparison.result import Comparison
from burden_analysis.comparison.sparsity_tests import sparsity_judgement, sparsity_rows
from burden_analysis.comparison.verdict import sparsity_sentences, verdict
from burden_analysis.indicators.mask_updates import STATIC, needs_updates, require_updates, static_strategies
from burden_analysis.results.question import Question, arranged
from recorders.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr


def compare_strategies(
    dataset: xr.Dataset,
    indicator: str = "gradient_mean_abs",
    *,
    order: Sequence[str] = ("iterative", "optimal", "random"),
    window: float = 0.2,
    scale: str = "log",
    paired_by: str = "seed",
    alpha: float = 0.05,
) -> Comparison:
    """Test whether an indicator is ordered over strategies, with the seed as the unit (statistics.md).

    Tests are gated: Page's L over all sparsities with strategies relabelled jointly inside a seed; if significant,
    Page's L per sparsity (Holm); inside significant sparsities, adjacent pairs by exact sign-flip (Holm). Behind a
    closed gate, effects and p only describe, and there is no adjusted p. Friedman's test per sparsity (Holm) is the
    two-sided companion. A mixed model, seed random, tests whether strategies depend differently on sparsity; where it
    cannot be fitted, contrasts of per-seed slopes do.

    Where no seed was planned for two strategies there is nothing to pair: tests are then of independent samples
    (Jonckheere–Terpstra in place of Page, Brunner–Munzel in place of sign flips), effects are Cliff's δ, and
    `Comparison.paired` is False.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`. Runs of other strategies, such as ``dense``, are ignored.
    indicator : str
        As in `burden_analysis.series`.
    order : sequence of str
        The claim: strategies from the lowest to the highest.
    window : float, default 0.2
        Share of each run's last records that makes its endpoint; 1 is the whole training.
    scale : {"log", "raw"}
        Endpoint and effects on log₁₀ (ratios of geometric means) or raw values (mean differences).
    paired_by : str, default "seed"
        Coordinate on `run` whose equal values are paired.
    alpha : float, default 0.05
        Level of every family; intervals cover 1 − alpha.

    Returns
    -------
    Comparison
        `outcome` is the first that holds of

        - ``contradicted``: some Holm-adjusted p is at most alpha in the family against the claim: Page's joint test of
          the reversed order, and for each adjacent pair a one-sided paired t test that the strategy claimed higher is
          lower (its endpoints averaged over sparsities within a seed);
        - ``supported``: the joint Page test is significant, and no adjacent pair's estimate over sparsities is
          reversed;
        - ``undecided (too few seeds)``: one seed (whatever its p), fewer than three without the above, or the joint
          test could not reach alpha with these;
        - ``not supported (could have been seen)``: anything else.

        Under no difference, each of the first two has a probability of at most alpha (the second family by t tests).

    Raises
    ------
    InputError
        Unknown names; fewer than two strategies; a term of mask updates with a static strategy, which has none; no
        sparsity at which all of them have a complete run in one seed; two
        runs in one cell; values without a logarithm.
    """
    asked = Question(indicator, tuple(order), window, scale, alpha, paired_by)
    if len(order) < 2:
        raise InputError(f"order {tuple(order)} names fewer than two strategies: there is nothing to compare")
    check_strategies(dataset, order)
    if without := _without_updates(dataset, indicator, order):
        raise InputError(f"{indicator} needs mask updates ({', '.join(without)}): {STATIC}")
    found, excluded = arranged(dataset, asked)
    design = design_of(dataset, order, paired_by)
    found, gaps = design.comparable(found)
    excluded = gaps + absent_runs(dataset, found) + excluded
    table = design.tests(found, asked)
    judged = design.judge(table, asked)
    sentences = design.sentences(asked, table, judged, len(found.sparsities))
    return Comparison(
        by="strategy",
        question=asked,
        paired=design.paired,
        seeds=found.seeds,
        judgement=judged,
        verdict=verdict(asked, judged, sentences, found.seeds, excluded, paired=design.paired),
        excluded=excluded,
        table=table,
        effects=found.tidy(),
    )


def compare_sparsities(
    dataset: xr.Dataset,
    indicator: str = "gradient_mean_abs",
    *,
    strategy: str | None = None,
    window: float = 0.2,
    scale: str = "log",
    paired_by: str = "seed",
    alpha: float = 0.05,
) -> Comparison:
    """Test whether an indicator rises with sparsity inside each strategy, with the seed as the unit (statistics.md).

    Per strategy: Page's L over sparsities within seed (Holm over strategies), and the least-squares slope per seed with
    its t interval and sign-flip p (Holm over strategies). Only seeds that are complete over a strategy's sparsities
    count.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `open_study`.
    indicator : str
        As in `burden_analysis.series`.
    strategy : str, optional
        One strategy; by default all that have two sparsities or more.
    window, scale, paired_by, alpha
        As in `compare_strategies`. The slope's effect is for a sparsity that is higher by 0.1: a ratio on the log
        scale, a difference on the raw scale.

    Returns
    -------
    Comparison
        `outcome` is the first that holds of

        - ``contradicted``: in some strategy Page's test of the falling order is significant (Holm over strategies);
        - ``supported``: Page's test of the rising order is significant in every strategy (Holm);
        - ``undecided (too few seeds)``: some strategy has one seed (whatever its p), fewer than three without the
          above, or could not reach alpha after Holm;
        - ``not supported (could have been seen)``: anything else.

    Raises
    ------
    InputError
        Unknown names; a term of mask updates with a static strategy; no strategy with two sparsities in one seed; two
        runs in one cell; values without a logarithm.
    """
    known = list(dict.fromkeys(map(str, dataset["strategy"].to_numpy())))
    asked = Question(indicator, tuple(known if strategy is None else [strategy]), window, scale, alpha, paired_by)
    check_strategies(dataset, asked.order)
    without = _without_updates(dataset, indicator, asked.order)
    if strategy in without:
        raise InputError(f"{indicator} needs mask updates ({strategy}): {STATIC}")
    asked = replace(asked, order=tuple(name for name in asked.order if name not in without))
    found, excluded = arranged(dataset, asked)
    found = found.with_several_sparsities()
    if not found.strategies:
        raise InputError(
            f"no seed has complete runs of {strategy or 'one strategy'} at two sparsities or more: "
            "record them, or compare strategies instead"
        )
    gaps = without_sparsities(dataset, asked.order, found) + absent_runs(dataset, found)
    excluded = tuple(f"{name}: {STATIC}" for name in without) + gaps + excluded
    asked = replace(asked, order=tuple(f"{s:g}" for s in found.sparsities))
    table = sparsity_rows(found, asked)
    judged = sparsity_judgement(table, asked)
    return Comparison(
        by="sparsity",
        question=asked,
        paired=True,
        seeds=found.seeds,
        judgement=judged,
        verdict=verdict(asked, judged, sparsity_sentences(asked, table), found.seeds, excluded),
        excluded=excluded,
        table=table,
        effects=found.tidy(),
    )


def _without_updates(dataset: xr.Dataset, indicator: str, strategies: Sequence[str]) -> list[str]:
    """Strategies that cannot have an indicator, since their mask never changes."""
    if not needs_updates(indicator):
        return []
    require_updates(dataset)
    return static_strategies(dataset, strategies)

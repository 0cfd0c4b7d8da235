"""Ties, constants, one seed, few seeds, runs that are not there."""

from __future__ import annotations

import numpy as np
import pytest

from burden_analysis import compare_sparsities, compare_strategies
from burden_analysis.results.families import Family
from tests.burden_analysis.synthetic import grid
from tests.burden_analysis.synthetic_comparison import in_memory, rows, study


@pytest.mark.parametrize("moved", [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
def test_means_that_differ_by_the_order_of_summation_alone_are_ties(moved: list[int]) -> None:
    levels = np.array([0.1, 0.2, 0.3])
    c = compare_strategies(
        in_memory(np.tile(np.stack([levels, levels[moved]], axis=1), (4, 1, 1))), order=("iterative", "optimal")
    )
    paired = rows(c, Family.AGAINST).iloc[1]
    assert (paired["effect"], paired["statistic"], paired["p"]) == (1, 0, 0.5)


@pytest.mark.parametrize("levels", [[0.2, 0.5, 0.2], [-2.3, -2.2, -2.3], [0.1, 0.7, 0.1]])
def test_the_observed_order_has_ties(levels: list[float]) -> None:
    c = compare_strategies(in_memory(np.tile(levels, (5, 2, 1))))
    assert "observed order iterative = random < optimal." in c.verdict


def test_one_seed_shows_nothing_however_small_its_p() -> None:
    five = grid(1, sparsities=(0.75, 0.8, 0.85, 0.9, 0.95))
    for level in (lambda r: r["sparsity"], lambda r: 1 / r["sparsity"]):
        c = compare_sparsities(study(five, level))
        assert min(rows(c, Family.RISING)["p"].min(), rows(c, Family.FALLING)["p"].min()) == pytest.approx(1 / 120)
        assert c.outcome == "undecided"
    four = ("iterative", "optimal", "random", "dense")
    runs = grid(1, four, (0.8,))
    for order in (four, four[::-1]):
        c = compare_strategies(study(runs, lambda r: 1.0 + four.index(r["strategy"])), order=order)
        assert c.outcome == "undecided"
        assert "No inference is possible with one seed." in c.verdict


@pytest.mark.parametrize("n", [5, 6])
def test_a_constant_has_no_slope_over_sparsity(n: int) -> None:
    seeds = np.random.default_rng(0).normal(0, 0.01, (n, 1, 1))
    values = np.tile([-3.1, -2.9, -2.7], (n, 3, 1)) + seeds
    c = compare_strategies(in_memory(values))
    assert rows(c, Family.INTERACTION)["p"].iloc[0] == pytest.approx(1)
    assert (rows(c, Family.CONTRASTS)[["statistic", "effect", "p"]] == [0, 1, 1]).all(axis=None)
    c = compare_sparsities(in_memory(values))
    assert (rows(c, Family.SLOPE)[["statistic", "effect", "p"]] == [0, 1, 1]).all(axis=None)
    assert (rows(c, Family.RISING)["p"] == 1).all()


def test_what_holm_lets_a_strategy_of_few_seeds_reach() -> None:
    runs = [r for r in grid(6) if r["strategy"] != "random" or r["seed"] < 2]
    rising = compare_sparsities(study(runs, lambda r: r["sparsity"]))
    assert rows(rising, Family.RISING).set_index("scope")["p_adjusted"]["random"] == pytest.approx(
        1 / 36
    )  # the last step: × 1
    assert rising.outcome == "supported"
    c = compare_sparsities(study(runs, lambda r: 7 - r["seed"] + r["sparsity"] * (1 - 2 * (r["seed"] == 1))))
    assert "random: not significant" in c.verdict
    assert "could not reach" not in c.verdict


def test_a_run_that_was_never_planned_is_named() -> None:
    runs = [r for r in grid(4) if r["run_id"] != "random-0.9-0"]
    c = compare_strategies(study(runs))
    assert c.excluded == ("random at sparsity 0.9, seed 0: no run",)
    assert "1 left out: random at sparsity 0.9, seed 0: no run." in c.verdict
    by_sparsity = compare_sparsities(study(runs))
    assert by_sparsity.excluded == c.excluded
    assert "1 seed incomplete" in by_sparsity.verdict
    # By design, some strategies have fewer seeds or sparsities: nothing is missing.
    fewer = [r for r in grid(4) if r["strategy"] != "random" or (r["seed"] < 3 and r["sparsity"] > 0.7)]
    assert compare_sparsities(study(fewer)).excluded == ()


def test_a_strategy_without_a_seed_complete_over_its_sparsities_is_named() -> None:
    runs = [r for r in grid(3) if r["strategy"] != "optimal" or round(10 * r["sparsity"]) - 7 == r["seed"]]
    c = compare_sparsities(study(runs))
    assert set(c.table["scope"]) == {"iterative", "random"}
    assert c.excluded == ("optimal: no seed is complete over its sparsities",)

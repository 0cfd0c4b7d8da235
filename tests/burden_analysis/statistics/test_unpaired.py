"""Tests of independent groups against enumeration, scipy and statsmodels."""

from __future__ import annotations

import math
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from burden_analysis.statistics import brunner_munzel, jonckheere_terpstra
from recorders.contract import InputError

group = st.lists(st.integers(0, 3), min_size=1, max_size=2)


def count(groups: list[np.ndarray]) -> float:
    pairs = [(a, b) for i, low in enumerate(groups) for high in groups[i + 1 :] for a in low for b in high]
    return float(sum((np.asarray(a) < b).sum() + 0.5 * (np.asarray(a) == b).sum() for a, b in pairs))


def dealt(units: list[object], sizes: list[int]) -> list[list[object]]:
    ends = np.cumsum([0, *sizes])
    return [units[a:b] for a, b in pairwise(ends)]


@settings(max_examples=40, deadline=None)
@given(st.lists(group, min_size=2, max_size=3))
def test_jonckheere_is_exact_with_ties(groups: list[list[int]]) -> None:
    arrays = [np.array(g, float) for g in groups]
    units = [u for g in arrays for u in g]
    observed = count(arrays)
    reached = [count(dealt(list(order), [len(g) for g in groups])) for order in permutations(units)]
    result = jonckheere_terpstra(arrays)
    assert result.statistic == observed
    assert result.p == pytest.approx(np.mean(np.array(reached) >= observed), abs=1e-12)
    assert result.method == "exact"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_strata_of_a_unit_are_relabelled_together(seed: int) -> None:
    groups = [np.random.default_rng(seed + k).integers(0, 3, (2, 3)).astype(float) for k in range(3)]
    units = [u for g in groups for u in g]
    observed = count(groups)
    reached = [count(dealt(list(order), [2, 2, 2])) for order in permutations(units)]
    result = jonckheere_terpstra(groups)
    assert result.statistic == observed
    assert result.p == pytest.approx(np.mean(np.array(reached) >= observed), abs=1e-12)


def test_two_groups_are_mann_and_whitneys() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=7), rng.normal(0.5, 1, size=6)
    expected = stats.mannwhitneyu(second, first, alternative="greater", method="exact")
    result = jonckheere_terpstra([first, second])
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    assert result.attainable_p == pytest.approx(1 / math.comb(13, 6))


def test_many_units_are_sampled_and_agree_with_the_normal_approximation() -> None:
    rng = np.random.default_rng(3)
    groups = [rng.normal(0.15 * k, 1, 20) for k in range(3)]
    result = jonckheere_terpstra(groups, resamples=20_000)
    assert result.mc_error > 0
    tau = stats.kendalltau(np.repeat(np.arange(3), 20), np.concatenate(groups), variant="b")
    assert result.p == pytest.approx(tau.pvalue / 2, abs=0.01)
    assert result == jonckheere_terpstra(groups, resamples=20_000)


def test_groups_that_make_no_test() -> None:
    with pytest.raises(InputError, match="two groups"):
        jonckheere_terpstra([[1.0]])
    with pytest.raises(InputError, match="same strata"):
        jonckheere_terpstra([np.ones((2, 3)), np.ones((2, 2))])
    empty = jonckheere_terpstra([[1.0, np.nan], [np.nan]])
    assert math.isnan(empty.p)
    assert (empty.n, empty.excluded) == (1, 2)
    assert jonckheere_terpstra([np.ones(3), np.ones(3)]).p == 1


def test_a_missing_stratum_adds_nothing() -> None:
    groups = [np.array([[1.0, 5.0], [2.0, np.nan]]), np.array([[3.0, 4.0], [4.0, 7.0]])]
    assert jonckheere_terpstra(groups).statistic == 4 + 1


@pytest.mark.parametrize(("m", "n"), [(3, 4), (5, 5), (6, 9)])
@pytest.mark.parametrize("ties", [False, True])
def test_brunner_munzel_statistic_agrees_with_scipy(m: int, n: int, ties: bool) -> None:
    rng = np.random.default_rng(m * n)
    first, second = rng.normal(size=m), rng.normal(0.3, 2, size=n)
    if ties:
        first, second = np.round(first), np.round(second)
    result = brunner_munzel(first, second)
    assert result.statistic == pytest.approx(stats.brunnermunzel(first, second).statistic, rel=1e-9)
    assert brunner_munzel(second, first).statistic == pytest.approx(-result.statistic)
    assert brunner_munzel(second, first).p == pytest.approx(result.p)


@pytest.mark.parametrize(("m", "n"), [(3, 4), (4, 4)])
def test_brunner_munzel_p_is_that_of_enumeration(m: int, n: int) -> None:
    rng = np.random.default_rng(m)
    first, second = rng.normal(size=m), rng.normal(1, 2, size=n)

    def statistic(x: np.ndarray, y: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            return float(stats.brunnermunzel(x, y, distribution="normal").statistic)

    observed = statistic(first, second)
    units = np.concatenate([first, second])
    reached = []
    for chosen in combinations(range(m + n), m):
        mask = np.isin(np.arange(m + n), chosen)
        reached.append(statistic(units[mask], units[~mask]))
    expected = np.mean(np.abs(reached) >= abs(observed) * (1 - 1e-9))
    assert brunner_munzel(first, second).p == pytest.approx(expected)
    above = np.mean(np.array(reached) >= observed - 1e-9 * abs(observed))
    assert brunner_munzel(first, second, two_sided=False).p == pytest.approx(above)


def test_brunner_munzel_without_overlap_or_difference() -> None:
    apart = brunner_munzel([1.0, 2, 3], [4.0, 5, 6])
    assert apart.statistic == math.inf
    assert apart.p == pytest.approx(0.1) == pytest.approx(apart.attainable_p)
    assert brunner_munzel([4.0, 5, 6], [1.0, 2, 3], two_sided=False).p == 1
    assert brunner_munzel([1.0, 2, 3], [4.0, 5, 6], two_sided=False).p == pytest.approx(0.05)
    tied = brunner_munzel(np.ones(3), np.ones(4))
    assert (tied.statistic, tied.p) == (0, 1)
    single = brunner_munzel([1.0], [2.0, 3.0])
    assert math.isnan(single.p)
    assert brunner_munzel([1.0, np.nan, 2.0], [2.0, 3.0]).excluded == 1
    assert brunner_munzel(np.arange(15.0), np.arange(15.0) + 3, resamples=2000).mc_error > 0

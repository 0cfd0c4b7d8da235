"""Every exact p against brute-force enumeration of all relabellings, with and without ties."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from burden_analysis.statistics import (
    detectable_difference,
    friedman_attainable_p,
    friedman_exact,
    holm,
    kendalls_w,
    mean_difference,
    one_sided_p,
    page_attainable_p,
    page_joint,
    page_trend,
    ratio_of_geometric_means,
    sign_flip,
    sign_flip_attainable_p,
)
from burden_analysis.statistics.significance import friedman as friedman_module
from burden_analysis.statistics.significance import page as page_module
from recorders.contract import InputError


def relabellings(blocks: np.ndarray) -> list[np.ndarray]:
    """All k!^n relabellings of the last axis, jointly over any axis between."""
    k = blocks.shape[-1]
    each = [[block[..., list(order)] for order in permutations(range(k))] for block in blocks]
    return [np.array(choice) for choice in product(*each)]


def page_l(blocks: np.ndarray) -> float:
    ranks = stats.rankdata(blocks, axis=-1)
    return float((ranks * np.arange(1, blocks.shape[-1] + 1)).sum())


def brute(statistic, blocks: np.ndarray) -> float:
    observed = statistic(blocks)
    return float(np.mean([statistic(b) >= observed - 1e-9 for b in relabellings(blocks)]))


small = st.tuples(st.integers(1, 3), st.integers(2, 3)).flatmap(
    lambda s: st.lists(st.lists(st.integers(0, 3), min_size=s[1], max_size=s[1]), min_size=s[0], max_size=s[0])
)


@settings(max_examples=40, deadline=None)
@given(small)
def test_page_is_exact_with_ties(blocks: list[list[int]]) -> None:
    values = np.array(blocks, float)
    result = page_trend(values)
    assert result.statistic == pytest.approx(page_l(values))
    assert result.p == pytest.approx(brute(page_l, values), abs=1e-12)
    assert result.method == "exact"


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(2, 3), st.integers(0, 1000))
def test_joint_page_relabels_all_strata_of_a_seed_at_once(n: int, strata: int, k: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 4, (n, strata, k)).astype(float)
    result = page_joint(values)
    assert result.statistic == pytest.approx(page_l(values))
    assert result.p == pytest.approx(brute(page_l, values), abs=1e-12)
    if strata == 1:
        assert result.p == pytest.approx(page_trend(values[:, 0]).p)


@settings(max_examples=30, deadline=None)
@given(small)
def test_friedman_is_exact_with_ties(blocks: list[list[int]]) -> None:
    values = np.array(blocks, float)

    def spread(b: np.ndarray) -> float:
        return float((stats.rankdata(b, axis=1).sum(axis=0) ** 2).sum())

    assert friedman_exact(values).p == pytest.approx(brute(spread, values), abs=1e-12)


@pytest.mark.parametrize(("n", "k"), [(3, 3), (6, 4), (10, 3), (4, 5)])
def test_page_without_ties_agrees_with_scipy(n: int, k: int) -> None:
    values = np.random.default_rng(n * k).normal(size=(n, k)) + 0.3 * np.arange(k)
    expected = stats.page_trend_test(values, method="exact")
    result = page_trend(values)
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)


@pytest.mark.parametrize(("n", "k"), [(3, 3), (5, 4), (10, 5)])
@pytest.mark.parametrize("ties", [False, True])
def test_friedman_statistic_and_w_agree_with_scipy(n: int, k: int, ties: bool) -> None:
    values = np.random.default_rng(n).normal(size=(n, k))
    values = np.round(values) if ties else values
    expected = stats.friedmanchisquare(*values.T).statistic
    result = friedman_exact(values)
    assert result.statistic == pytest.approx(expected)
    assert kendalls_w(result, k) == pytest.approx(expected / (n * (k - 1)))


def test_page_of_the_published_example() -> None:
    # Page 1963 as in scipy's documentation: students rate tutorial < lecture < seminar.
    ratings = np.array(
        [[3, 4, 3], [2, 2, 4], [3, 3, 5], [1, 3, 2], [2, 3, 2], [2, 4, 5], [1, 2, 4], [3, 4, 4], [2, 4, 5], [1, 3, 4]]
    )
    assert page_trend(ratings).statistic == 133.5
    assert page_trend(ratings).p < 0.001


@pytest.mark.parametrize(("n", "p"), [(1, 1 / 6), (3, 1 / 216), (5, 6.0**-5)])
def test_a_perfect_order_reaches_the_attainable_p(n: int, p: float) -> None:
    perfect = np.tile([1.0, 2.0, 3.0], (n, 1))
    assert page_trend(perfect).p == pytest.approx(p)
    assert page_trend(perfect).attainable_p == pytest.approx(p) == page_attainable_p(n, 3)
    assert page_joint(np.stack([perfect] * 3, axis=1)).p == pytest.approx(p)
    assert friedman_exact(perfect).p == pytest.approx(friedman_attainable_p(n, 3)) == pytest.approx(min(1, 6 * p))
    signs = sign_flip(perfect[:, 0])
    assert signs.p == pytest.approx(sign_flip_attainable_p(n)) == pytest.approx(2 / 2**n)


def test_all_ties_say_nothing() -> None:
    tied = np.ones((4, 3))
    assert page_trend(tied).p == 1.0
    assert page_joint(np.ones((4, 2, 3))).p == 1.0
    assert friedman_exact(tied).p == pytest.approx(1.0)
    assert friedman_exact(tied).statistic == 0.0
    assert sign_flip(np.zeros(4)).p == 1.0


def test_floating_noise_does_not_break_ties() -> None:
    noisy = np.array([[0.3, 0.1 + 0.2, 1.0], [1e-7 * 3, 3e-7, 1e-6]])
    assert page_trend(noisy).statistic == page_trend([[1, 1, 2], [1, 1, 2]]).statistic


def test_incomplete_blocks_are_left_out_and_counted() -> None:
    values = np.array([[1, 2, 3], [np.nan, 1, 2], [1, 3, 2], [1, np.inf, 2]], float)
    for test in (page_trend, friedman_exact):
        assert (test(values).n, test(values).excluded) == (2, 2)
        assert test(values).p == test(values[[0, 2]]).p
        assert math.isnan(test(values[[1]]).p)
        assert test(values[[1]]).n == 0
    joint = np.stack([values, values[::-1]], axis=1)
    result = page_joint(joint)
    assert (result.n, result.excluded) == (4, 4)
    assert result.statistic == page_l(values[[0, 2]]) * 2
    assert page_joint(joint[[1], :1]).n == 0
    assert math.isnan(sign_flip([np.nan]).p)
    assert sign_flip([np.nan, 1.0, 2.0]).excluded == 1
    assert mean_difference([np.nan]).n == 0


@pytest.mark.parametrize("blocks", [np.ones((3, 1)), np.ones(3)])
def test_shapes_that_make_no_test(blocks: np.ndarray) -> None:
    for test in (page_trend, page_joint, friedman_exact):
        with pytest.raises(InputError):
            test(blocks)


def test_monte_carlo_agrees_with_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(size=(4, 4)) + 0.2 * np.arange(4)
    exact = page_trend(values), friedman_exact(values)
    monkeypatch.setattr(page_module, "_ENUMERABLE", 3)
    monkeypatch.setattr(friedman_module, "_ENUMERABLE", 20)
    sampled = page_trend(values, resamples=20_000), friedman_exact(values, resamples=20_000)
    for e, s in zip(exact, sampled, strict=True):
        assert s.mc_error > 0
        assert "standard error" in s.method
        assert s.p == pytest.approx(e.p, abs=5 * s.mc_error)
    assert page_trend(values, resamples=999).p == page_trend(values, resamples=999).p
    monkeypatch.setattr(friedman_module, "_ENUMERABLE", 24)
    assert friedman_exact(values, resamples=999).mc_error > 0


def test_large_designs_stay_exact_or_say_so() -> None:
    rng = np.random.default_rng(0)
    assert page_trend(rng.normal(size=(40, 6))).method == "exact"
    assert friedman_exact(rng.normal(size=(12, 4))).method == "exact"
    assert friedman_exact(rng.normal(size=(5, 10)), resamples=500).mc_error > 0
    assert sign_flip(rng.normal(size=30), resamples=500).mc_error > 0


@pytest.mark.parametrize(("k", "most"), [(5, 11), (6, 4), (7, 2)])
def test_an_enumeration_is_spared_only_where_it_would_fail(k: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(k).normal(size=(most + 1, k))
    assert friedman_exact(values[:most]).method == "exact"
    spared = friedman_exact(values, resamples=500)
    monkeypatch.setattr(friedman_module, "_SURELY_TOO_MANY", {})
    assert friedman_exact(values, resamples=500) == spared
    assert spared.mc_error > 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=7))
def test_sign_flip_is_exact(differences: list[int]) -> None:
    d = np.array(differences, float)
    totals = [abs((np.array(signs) * d).sum()) for signs in product((1, -1), repeat=len(d))]
    expected = np.mean([t >= abs(d.sum()) - 1e-9 for t in totals])
    assert sign_flip(d).p == pytest.approx(expected)
    assert sign_flip(d).statistic == pytest.approx(d.mean())


def test_sign_flip_does_not_depend_on_the_order_of_pairs() -> None:
    """The sum is zero but for rounding: 18 of the 32 patterns reach it."""
    for order in set(permutations([0.3, 0.1, -0.3, 0.1, -0.2])):
        assert sign_flip(order).p == 1
        assert sign_flip(order, two_sided=False).p == 18 / 32


def test_ratio_of_geometric_means_agrees_with_scipy() -> None:
    a, b = np.log10([[2.0, 3.0, 5.0, 7.0], [1.0, 2.0, 2.0, 5.0]])
    estimate = ratio_of_geometric_means(a, b)
    interval = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert estimate.effect == pytest.approx(stats.gmean([2, 3, 5, 7]) / stats.gmean([1, 2, 2, 5]))
    assert (estimate.low, estimate.high) == pytest.approx((10**interval.low, 10**interval.high))
    expected = stats.ttest_rel(a, b, alternative="less")
    assert one_sided_p(estimate) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("n", [1, 2])
def test_no_interval_below_three_pairs(n: int) -> None:
    estimate = ratio_of_geometric_means(np.arange(n) + 1.0, np.zeros(n))
    assert estimate.effect > 1
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
    assert math.isnan(one_sided_p(estimate)[1])


@pytest.mark.parametrize(("difference", "p"), [(-1.0, 0.0), (0.0, 0.5), (1.0, 1.0)])
def test_without_spread_the_sign_decides(difference: float, p: float) -> None:
    estimate = mean_difference(np.full(4, difference))
    assert (estimate.low, estimate.high) == (difference, difference)
    assert one_sided_p(estimate)[1] == p


def test_holm_of_a_worked_example() -> None:
    # Holm 1979: multiply the sorted p by m, m - 1, ..., keep them monotone.
    np.testing.assert_allclose(holm([0.01, 0.04, np.nan, 0.03]), [0.03, 0.06, np.nan, 0.06])
    np.testing.assert_array_equal(holm([np.nan]), [np.nan])
    assert holm([]).size == 0


@pytest.mark.parametrize(("n", "expected"), [(3, 3.264), (5, 1.682), (10, 0.996)])
def test_detectable_difference(n: int, expected: float) -> None:
    assert detectable_difference(2.0, n) == pytest.approx(2 * expected, rel=1e-3)
    rng = np.random.default_rng(n)
    p = stats.ttest_1samp(rng.normal(expected, 1, (n, 20_000)), 0).pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.015)


def test_no_detectable_difference_without_a_variance() -> None:
    assert math.isnan(detectable_difference(1.0, 2))
    assert math.isnan(detectable_difference(math.nan, 5))


def test_detectable_difference_where_the_noncentral_t_fails() -> None:
    size = detectable_difference(1.0, 3, alpha=0.001)  # statsmodels' solver gives 5.5 there, with a power of 0.09
    p = stats.ttest_1samp(np.random.default_rng(0).normal(size, 1, (3, 20_000)), 0).pvalue
    assert np.mean(p <= 0.001) == pytest.approx(0.8, abs=0.01)


@settings(max_examples=10, deadline=None)  # each call of statsmodels runs the garbage collector
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_agrees_with_statsmodels(p: list[float]) -> None:
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])

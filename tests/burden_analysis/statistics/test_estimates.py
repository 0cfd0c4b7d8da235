"""Effect sizes, shifts, intervals and equivalence against independent computations and published examples."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from burden_analysis.statistics import (
    cliffs_delta,
    hodges_lehmann,
    hodges_lehmann_two_sample,
    interquartile_mean,
    rank_biserial,
    resampling_interval,
    tost,
    tost_two_sample,
)
from recorders.contract import InputError

# Hollander & Wolfe, depression scale factors, as in R's ?wilcox.test
BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])


def mean(values: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(values.mean(axis=axis))


def difference_of_means(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(second.mean(axis=axis) - first.mean(axis=axis))


whole = st.lists(st.integers(-4, 4), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(whole)
def test_rank_biserial_is_the_simple_difference_formula(differences: list[int]) -> None:
    moved = [d for d in differences if d]
    ranks = [sum(abs(e) < abs(d) for e in moved) + (sum(abs(e) == abs(d) for e in moved) + 1) / 2 for d in moved]
    expected = sum(math.copysign(r, d) for r, d in zip(ranks, moved, strict=True)) / sum(ranks) if moved else 0.0
    result = rank_biserial(differences)
    assert result.effect == pytest.approx(expected, abs=1e-12)
    assert result.n == len(differences)


def test_rank_biserial_of_wilcoxons_statistic() -> None:
    w = stats.wilcoxon(BEFORE, AFTER, alternative="greater").statistic
    assert w == 40  # V of R's ?wilcox.test
    assert rank_biserial(BEFORE - AFTER).effect == pytest.approx(2 * w / 45 - 1)


@settings(max_examples=60, deadline=None)
@given(whole, whole)
def test_cliffs_delta_counts_dominance(first: list[int], second: list[int]) -> None:
    expected = np.mean([np.sign(b - a) for a, b in product(first, second)])
    assert cliffs_delta(first, second).effect == pytest.approx(expected, abs=1e-12)
    u = stats.mannwhitneyu(second, first).statistic
    assert cliffs_delta(first, second).effect == pytest.approx(2 * u / (len(first) * len(second)) - 1, abs=1e-12)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 7, 8, 11])
def test_interquartile_mean_cuts_a_quarter_at_each_end(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    cut = n // 4
    assert interquartile_mean(values).effect == pytest.approx(np.sort(values)[cut : n - cut].mean(), rel=1e-12)


def test_hodges_lehmann_of_the_published_example() -> None:
    # wilcox.test(x, y, paired = TRUE, conf.int = TRUE): (pseudo)median 0.46, interval 0.01 to 0.786, 96.1 %
    result = hodges_lehmann(BEFORE - AFTER)
    assert (result.effect, result.low, result.high) == pytest.approx((0.46, 0.01, 0.786), abs=1e-9)
    assert "96.1%" in result.method
    # ?wilcox.test, permeability constants: difference in location 0.305, 95 % interval -0.15 to 0.76
    x = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    y = [1.15, 0.88, 0.90, 0.74, 1.21]
    shift = hodges_lehmann_two_sample(y, x)
    assert (shift.effect, shift.low, shift.high) == pytest.approx((0.305, -0.15, 0.76), abs=1e-9)


@pytest.mark.parametrize("n", [5, 6, 7, 9])
def test_hodges_lehmann_interval_inverts_the_exact_test(n: int) -> None:
    d = np.random.default_rng(n).normal(size=n)
    result = hodges_lehmann(d)
    walsh = np.array([(d[i] + d[j]) / 2 for i in range(n) for j in range(i, n)])
    assert result.effect == pytest.approx(np.median(walsh), rel=1e-12)
    if n == 5:  # 2 / 2^5 > 0.05
        assert math.isnan(result.low)
        assert "no exact" in result.method
        return
    edges = np.sort(walsh)
    for bound, step in ((result.low, -1e-9), (result.high, 1e-9)):
        assert stats.wilcoxon(d - bound - step, method="exact").pvalue <= 0.05
        assert stats.wilcoxon(d - bound + step, method="exact").pvalue > 0.05
        assert np.abs(edges - bound).min() < 1e-12


@pytest.mark.parametrize(("m", "n"), [(3, 3), (4, 4), (5, 8), (7, 6)])
def test_two_sample_shift_interval_inverts_the_exact_test(m: int, n: int) -> None:
    rng = np.random.default_rng(m * n)
    first, second = rng.normal(size=m), rng.normal(size=n)
    result = hodges_lehmann_two_sample(first, second)
    assert result.effect == pytest.approx(np.median(np.subtract.outer(second, first)), rel=1e-12)
    if (m, n) == (3, 3):
        assert math.isnan(result.high)
        return
    for bound, step in ((result.low, -1e-9), (result.high, 1e-9)):
        assert stats.mannwhitneyu(second - bound - step, first, method="exact").pvalue <= 0.05
        assert stats.mannwhitneyu(second - bound + step, first, method="exact").pvalue > 0.05


@pytest.mark.parametrize("n", [3, 5, 7])
def test_small_samples_get_the_classical_t_interval_of_a_mean(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    made = resampling_interval(mean, [values])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (made.low, made.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_small_independent_samples_get_welchs_interval() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=5), rng.normal(0, 3, size=7)
    made = resampling_interval(difference_of_means, [first, second], level=0.9)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.9)
    assert (made.low, made.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_from_eight_seeds_the_interval_is_bca() -> None:
    values = np.random.default_rng(8).normal(size=8)
    made = resampling_interval(mean, [values], seed=4)
    expected = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(4)).confidence_interval
    assert (made.low, made.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert "BCa" in made.method
    assert made == resampling_interval(mean, [values], seed=4)


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_seeds_have_no_interval(n: int) -> None:
    values = np.arange(n) + 1.0
    for result in (rank_biserial(values), cliffs_delta(values, values), interquartile_mean(values)):
        assert math.isnan(result.low)
        assert "below three" in result.method
    assert math.isnan(tost(values, 1.0).p)
    assert math.isnan(tost_two_sample(values, np.arange(5.0), 1.0).low)


@pytest.mark.parametrize("n", [4, 9])
def test_without_variation_there_is_no_interval(n: int) -> None:
    result = rank_biserial(np.arange(n) + 1.0)
    assert result.effect == 1
    assert math.isnan(result.low)
    assert "does not vary" in result.method
    assert rank_biserial(np.zeros(n)).effect == 0


@pytest.mark.parametrize("unit", [1e-30, 1e-13, 1.0, 1e13, 1e30])
def test_intervals_do_not_depend_on_the_unit(unit: float) -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0, 8.0])
    plain, scaled = interquartile_mean(values), interquartile_mean(values * unit)
    assert (scaled.low / unit, scaled.high / unit) == pytest.approx((plain.low, plain.high))
    assert math.isnan(interquartile_mean(np.full(5, 0.1) * unit).low)


def test_missing_values_are_left_out_and_counted() -> None:
    values = [1.0, np.nan, 2.0, 4.0]
    assert (rank_biserial(values).n, rank_biserial(values).excluded) == (3, 1)
    assert cliffs_delta(values, [np.inf, 9.0]).excluded == 2
    assert interquartile_mean(values).effect == pytest.approx(7 / 3)
    assert hodges_lehmann(values).excluded == 1
    assert (tost(values, 5).n, tost(values, 5).excluded) == (3, 1)
    for empty in (rank_biserial([np.nan]), cliffs_delta([], [1.0]), interquartile_mean([]), hodges_lehmann([])):
        assert math.isnan(empty.effect)
        assert empty.n == 0
    assert math.isnan(hodges_lehmann_two_sample([], [1.0]).effect)
    assert math.isnan(tost([], 1).difference)


@pytest.mark.parametrize("n", [3, 6, 12])
def test_tost_agrees_with_statsmodels_and_its_interval(n: int) -> None:
    rng = np.random.default_rng(n)
    d, other = rng.normal(0.1, 1, n), rng.normal(0, 2, n + 3)
    for margin in (0.5, 1.5, 4.0):
        result = tost(d, margin)
        assert result.p == pytest.approx(ttost_paired(d, np.zeros(n), -margin, margin)[0], rel=1e-6)
        assert (result.p <= 0.05) == (-margin < result.low and result.high < margin)
        two = tost_two_sample(d, other, margin)
        assert two.p == pytest.approx(ttost_ind(other, d, -margin, margin, usevar="unequal")[0], rel=1e-6)
        assert (two.p <= 0.05) == (-margin < two.low and two.high < margin)
    interval = stats.ttest_rel(d, np.zeros(n)).confidence_interval(0.9)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    welch = stats.ttest_ind(other, d, equal_var=False).confidence_interval(0.9)
    assert (two.low, two.high) == pytest.approx((welch.low, welch.high))


def test_tost_without_spread_and_with_a_bad_margin() -> None:
    assert tost(np.full(4, 0.5), 1.0).p == 0
    assert tost(np.full(4, 1.0), 1.0).p == 1
    assert tost_two_sample(np.zeros(3), np.full(4, 2.0), 1.0).p == 1
    for margin in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="margin"):
            tost([1.0, 2.0, 3.0], margin)

"""Power against statsmodels where that works, published tables and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from burden_analysis.statistics import (
    detectable_difference,
    page_blocks_needed,
    page_power,
    page_trend,
    paired_power,
    pairs_needed,
)
from burden_analysis.statistics.significance.page import page_critical_value
from recorders.contract import InputError


@pytest.mark.parametrize(("size", "n", "alpha"), [(1, 3, 0.05), (0.5, 10, 0.05), (2, 5, 0.01), (0.2, 200, 0.05)])
def test_power_agrees_with_statsmodels(size: float, n: int, alpha: float) -> None:
    assert paired_power(size, n, alpha=alpha) == pytest.approx(TTestPower().power(size, n, alpha), rel=1e-6)
    assert paired_power(-size, n, alpha=alpha) == paired_power(size, n, alpha=alpha)


@pytest.mark.parametrize(("size", "n", "alpha"), [(0.4, 3, 0.05), (1.2, 5, 0.05), (2.5, 8, 0.01), (0.2, 160, 0.001)])
def test_power_is_the_integral_over_scipys_distributions(size: float, n: int, alpha: float) -> None:
    freedom, centre = n - 1, size * math.sqrt(n)
    spread = np.linspace(0, stats.chi.isf(1e-15, freedom), 20_001)
    bound = stats.t.ppf(1 - alpha / 2, freedom) / math.sqrt(freedom) * spread
    given = stats.norm.cdf(centre - bound) + stats.norm.cdf(-centre - bound)
    power = integrate.simpson(given * stats.chi.pdf(spread, freedom), x=spread)
    assert paired_power(size, n, alpha=alpha) == pytest.approx(power, rel=1e-6)


def test_power_where_the_noncentral_t_gives_nan() -> None:
    assert math.isnan(TTestPower().power(10, 3, 0.05))
    assert paired_power(10, 3) == pytest.approx(1, abs=1e-4)
    assert paired_power(0, 4) == pytest.approx(0.05, rel=1e-6)
    d = np.random.default_rng(1).normal(10, 1, (2, 40_000))
    assert paired_power(10, 2) == pytest.approx(np.mean(stats.ttest_1samp(d, 0).pvalue <= 0.05), abs=0.01)


def test_a_solution_has_the_power_asked_for() -> None:
    for n, alpha in ((3, 0.05), (3, 0.001), (4, 0.01), (5, 0.005), (30, 0.05)):
        assert paired_power(detectable_difference(1.0, n, alpha=alpha), n, alpha=alpha) == pytest.approx(0.8, abs=1e-6)
    assert detectable_difference(3.0, 10, power=0.9) == pytest.approx(3 * 1.1547, rel=1e-3)  # G*Power 3.1


@pytest.mark.parametrize(("size", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_pairs_needed_are_cohens(size: float, n: int) -> None:
    assert pairs_needed(size) == n  # G*Power 3.1, two-sided, alpha 0.05, power 0.8
    assert paired_power(size, n - 1) < 0.8 <= paired_power(size, n)


def test_pairs_needed_refuses_what_cannot_be() -> None:
    assert pairs_needed(50) == 3
    for size in (0.0, math.nan, 1e-9):
        with pytest.raises(InputError, match="more than 1,000,000 pairs"):
            pairs_needed(size)
    with pytest.raises(InputError, match="0 < alpha < power < 1"):
        pairs_needed(1, power=0.01)
    with pytest.raises(InputError, match="two pairs"):
        paired_power(1, 1)


@pytest.mark.parametrize(("n", "critical"), [(3, 41), (5, 66), (10, 128)])
def test_critical_values_of_page_are_the_published_ones(n: int, critical: int) -> None:
    assert page_critical_value(n, 3, 0.05) == critical  # Page 1963, table 2, k = 3
    assert page_critical_value(2, 3, 0.001) == math.inf


def test_page_power_is_that_of_the_test() -> None:
    rng = np.random.default_rng(0)
    made = page_power(0.5, 6)
    studies = rng.normal(0, math.sqrt(0.5), (1500, 6, 3)) + 0.5 * np.arange(3)  # neighbours differ with sd 1
    direct = np.mean([page_trend(study).p <= 0.05 for study in studies])
    assert made.power[5] == pytest.approx(direct, abs=4 * math.sqrt(direct * (1 - direct) / 1500))
    assert page_power(0.0, 8).power.max() <= 0.05 + 4 * made.mc_error
    assert made.power[0] == 0  # 1/6 cannot reach 0.05
    assert 0 < made.mc_error < 0.005


def test_page_blocks_needed() -> None:
    n = page_blocks_needed(0.5)
    power = page_power(0.5, n).power
    assert power[n - 2] < 0.8 <= power[n - 1]
    assert page_blocks_needed(5.0) == 2  # 1/36
    assert page_blocks_needed(0.2) > 32
    with pytest.raises(InputError, match="more than 512 blocks"):
        page_blocks_needed(0.0)

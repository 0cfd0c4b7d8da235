"""Inference over all records of a curve at once, against enumeration with scipy."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from burden_analysis.statistics import max_t
from recorders.contract import InputError


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_max_t_agrees_with_enumeration(n: int) -> None:
    curves = np.random.default_rng(n).normal(0.5, 1, (n, 7))
    result = max_t(curves)
    observed = stats.ttest_1samp(curves, 0).statistic
    largest = [
        np.abs(stats.ttest_1samp(np.array(signs)[:, None] * curves, 0).statistic).max()
        for signs in product((1, -1), repeat=n)
    ]
    expected = [(np.array(largest) >= abs(t) - 1e-9).mean() for t in observed]
    np.testing.assert_allclose(result.t, observed, rtol=1e-6)
    np.testing.assert_allclose(result.p_adjusted, expected, rtol=1e-9)
    assert result.mc_error == 0
    assert "exhaustive" in result.method
    assert result.attainable_p == pytest.approx(2 / 2**n)


def test_max_t_of_one_record_is_the_permutation_test_of_scipy() -> None:
    d = np.random.default_rng(4).normal(0.8, 1, 7)
    expected = stats.permutation_test((d,), np.mean, permutation_type="samples").pvalue
    assert max_t(d[:, None]).p_adjusted[0] == pytest.approx(expected)


def test_sampled_patterns_are_seeded_and_state_their_error() -> None:
    curves = np.random.default_rng(5).normal(0.3, 1, (10, 20))
    exact, sampled = max_t(curves), max_t(curves, resamples=400, seed=1)
    assert exact.patterns == 512
    assert (sampled.patterns, exact.mc_error) == (400, 0)
    assert 0 < sampled.mc_error < 0.03
    np.testing.assert_allclose(sampled.p_adjusted, exact.p_adjusted, atol=5 * sampled.mc_error)
    np.testing.assert_array_equal(sampled.p_adjusted, max_t(curves, resamples=400, seed=1).p_adjusted)
    assert "Monte Carlo" in sampled.method


def test_records_without_all_pairs_few_pairs_and_no_spread() -> None:
    curves = np.ones((4, 3))
    curves[1, 1] = np.nan
    result = max_t(curves)
    assert result.t[0] == math.inf
    assert result.records == 2
    assert result.p_adjusted.tolist()[::2] == [2 / 2**4] * 2
    assert math.isnan(result.p_adjusted[1])
    assert (max_t(np.zeros((5, 4))).p_adjusted == 1).all()
    assert np.isnan(max_t(np.ones((1, 3))).p_adjusted).all()
    with pytest.raises(InputError, match="pair, record"):
        max_t(np.ones(4))

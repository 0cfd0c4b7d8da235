"""Strategy × sparsity: the mixed model against classical repeated-measures ANOVA, and its fallback."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from burden_analysis import compare_strategies
from burden_analysis.results.families import Family
from burden_analysis.statistics import friedman_exact, interaction, sign_flip
from tests.burden_analysis.synthetic_comparison import in_memory

LEVELS = (0.7, 0.8, 0.9)


def design(n: int, seed: int, slopes: float = 0.5, differ: float = 0.0) -> np.ndarray:
    """Values by seed, sparsity, strategy with random intercepts and slopes."""
    rng = np.random.default_rng(seed)
    at = np.array([-1.0, 0, 1])[None, :, None]
    by_seed = rng.normal(size=(n, 1, 1)) + rng.normal(0, 0.6, (n, 1, 3))
    slope = rng.normal(0, slopes, (n, 1, 3)) + differ * np.arange(3)
    return by_seed + slope * at + rng.normal(0, 0.05, (n, 3, 3)) + np.arange(3)


@pytest.mark.parametrize("n", [5, 10])
def test_the_f_of_a_complete_design_is_that_of_an_analysis_of_variance(n: int) -> None:
    # REML gives the ANOVA components where all are positive: the slopes of a seed are independent between strategies.
    values = design(n, 3, differ=0.3)
    slopes = (values[:, 2] - values[:, 0]) / 2
    expected = stats.f_oneway(*slopes.T).statistic
    result = interaction(values, LEVELS)
    assert result.statistic == pytest.approx(expected, rel=1e-3)
    assert result.freedom == (2, 2 * (n - 1))
    assert result.p == pytest.approx(stats.f.sf(result.statistic, 2, 2 * (n - 1)))


def test_different_slopes_are_seen_and_told() -> None:
    c = compare_strategies(in_memory(design(5, 0, slopes=0.1, differ=1.0)))
    row = c.table[c.table["family"] == Family.INTERACTION].iloc[0]
    assert row["p"] < 0.01
    assert "The slope over sparsity differs between strategies (mixed model, REML" in c.verdict
    same = compare_strategies(in_memory(design(8, 4)))
    assert same.table[same.table["family"] == Family.INTERACTION].iloc[0]["p"] > 0.05
    assert "does not differ significantly between strategies" in same.verdict


def test_a_singular_fit_gives_contrasts_of_seeds_and_says_so() -> None:
    values = np.random.default_rng(2).normal(0, 0.1, (6, 3, 3)) * np.array([1, 0, 1])[:, None]
    values += np.random.default_rng(3).normal(0, 1, (6, 1, 3))
    values[:, 2] = values[:, 0] = values[:, 1]  # no slopes at all: nothing to estimate
    values += np.random.default_rng(4).normal(0, 0.1, (6, 3, 1))
    c = compare_strategies(in_memory(values))
    row = c.table[c.table["family"] == Family.INTERACTION].iloc[0]
    slopes = (values[:, 2] - values[:, 0]) / 2
    assert row["test"] == "friedman_slopes"
    assert row["p"] == pytest.approx(friedman_exact(slopes).p)
    assert row["method"] == "exact; mixed model not usable: singular or failed fit"
    contrasts = c.table[c.table["family"] == Family.CONTRASTS]
    assert contrasts["question"].tolist() == [
        "change of optimal / iterative per +0.1 sparsity",
        "change of random / optimal per +0.1 sparsity",
    ]
    assert "(Friedman over per-seed slopes, exact; mixed model not usable: singular or failed fit" in c.verdict


def test_contrasts_are_slopes_of_paired_differences() -> None:
    values = design(6, 5, slopes=0.0)  # a component without variance: the fit is singular
    c = compare_strategies(in_memory(values))
    contrasts = c.table[c.table["family"] == Family.CONTRASTS]
    assert len(contrasts) == 2
    d = (values[:, 2, 2] - values[:, 0, 2] - values[:, 2, 1] + values[:, 0, 1]) / 2
    row = contrasts.iloc[1]
    assert row["effect"] == pytest.approx(10 ** d.mean(), rel=1e-6)
    assert row["p"] == pytest.approx(sign_flip(d).p)
    interval = stats.ttest_1samp(d, 0).confidence_interval()
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((10**interval.low, 10**interval.high), rel=1e-5)


@pytest.mark.parametrize("values", [np.ones((4, 3, 3)), design(2, 0), design(4, 0)[:, :1]])
def test_what_no_model_can_be_fitted_to(values: np.ndarray) -> None:
    result = interaction(values, LEVELS[: values.shape[1]])
    assert math.isnan(result.p)
    assert result.unusable
    single = compare_strategies(in_memory(design(3, 0)[:, :1]))
    assert single.table[single.table["family"] == Family.INTERACTION].empty
    assert "slope over sparsity" not in single.verdict


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(3, 6), st.integers(2, 3), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 99))
def test_words_of_the_interaction_say_its_numbers(n: int, k: int, differ: float, seed: int) -> None:
    values = design(n, seed, slopes=0.2, differ=differ)[:, :, :k]
    order = ("iterative", "optimal", "random")[:k]
    c = compare_strategies(in_memory(values), order=order)
    row = c.table[c.table["family"] == Family.INTERACTION].iloc[0]
    contrasts = c.table[c.table["family"] == Family.CONTRASTS]
    assert (row["test"] == "mixed_model") == contrasts.empty
    assert f"= {row['statistic']:.3g}, p" in c.verdict
    assert ("over sparsity differs between" in c.verdict) == (row["p"] <= 0.05)
    assert ("could not be shown to differ" in c.verdict) == (row["p"] > 0.05 and row["attainable_p"] > 0.05)
    for _, contrast in contrasts.iterrows():
        assert f"{contrast['question']} = {contrast['effect']:.3g}" in c.verdict

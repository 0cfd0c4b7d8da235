"""Equivalence with a declared margin, and power, of whole studies."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from burden_analysis import compare_sparsities, compare_strategies, detectable_effect, equivalent, seeds_needed
from burden_analysis.comparison.power import seeds_allow, spread
from burden_analysis.statistics import holm, paired_power, tost, tost_two_sample
from recorders.contract import InputError
from tests.burden_analysis.comparison.test_unpaired import unpaired
from tests.burden_analysis.synthetic_comparison import in_memory

INDICATOR = "gradient_mean_abs"


def close(n: int, apart: float = 0.0, noise: float = 0.01, seed: int = 0) -> np.ndarray:
    """Values by seed, sparsity, strategy: the second strategy is `apart` above the first."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1, 1)) + np.array([0.0, apart]) + rng.normal(0, noise, (n, 2, 2))


def test_equivalence_is_two_one_sided_tests_of_log_ratios() -> None:
    values = close(6)
    result = equivalent(in_memory(values), INDICATOR, "iterative", "optimal", margin=1.1)
    d = (values[..., 0] - values[..., 1]).mean(axis=1)
    bound = math.log10(1.1)
    overall, *single = result.table.to_dict("records")
    assert overall["p"] == pytest.approx(ttost_paired(d, np.zeros(6), -bound, bound)[0], rel=1e-6)
    assert overall["effect"] == pytest.approx(10 ** d.mean())
    interval = stats.ttest_1samp(d, 0).confidence_interval(0.9)
    assert (overall["ci_low"], overall["ci_high"]) == pytest.approx((10**interval.low, 10**interval.high))
    assert result.outcome == "supported"
    np.testing.assert_allclose([r["p_adjusted"] for r in single], holm([r["p"] for r in single]))
    assert [r["scope"] for r in single] == ["sparsity 0.7", "sparsity 0.8"]
    assert json.loads(result.to_json())["margin"] == 1.1
    assert "iterative / optimal of gradient_mean_abs lies within 0.909 and 1.1" in result.verdict


def test_equivalence_on_the_raw_scale_and_without_pairs() -> None:
    raw = equivalent(in_memory(close(5)), INDICATOR, "iterative", "optimal", margin=100.0, scale="raw")
    assert raw.outcome == "supported"
    assert "±100" in raw.verdict
    values = np.random.default_rng(1).normal(0, 0.02, (2, 5, 2))
    two = equivalent(unpaired(values), INDICATOR, "iterative", "optimal", margin=1.2)
    assert (two.outcome, two.paired) == ("supported", False)
    assert two.table.iloc[0]["excluded"] == 0
    assert "Welch, seeds not paired" in two.verdict


def test_a_missing_partner_is_counted_and_named() -> None:
    values = close(5)
    values[0, 0, 1] = np.nan
    values[1, :, 0] = np.nan
    result = equivalent(in_memory(values), INDICATOR, "iterative", "optimal", margin=1.1)
    assert result.table[["n", "excluded"]].to_numpy().tolist() == [[4, 0], [3, 1], [4, 0]]
    assert "seed 1: no sparsity has all strategies" in result.verdict
    assert sum("out of memory" in reason for reason in result.excluded) == 3


def test_missing_runs_of_unpaired_seeds_do_not_move_the_mean_over_sparsities() -> None:
    """Ten times as high at 0.8: a seed that has 0.7 alone would pull its strategy down."""
    values = np.array([0.0, 1.0]) + np.random.default_rng(3).normal(0, 0.005, (2, 5, 2))
    values[0, :2, 1] = np.nan
    result = equivalent(unpaired(values), INDICATOR, "iterative", "optimal", margin=1.1)
    overall = result.table.iloc[0]
    assert overall["effect"] == pytest.approx(10 ** (values[0, 2:].mean() - values[1].mean()))
    assert result.outcome == "supported"
    assert result.table[["n", "excluded"]].to_numpy().tolist() == [[3, 2], [5, 0], [3, 2]]
    assert "seed 0 of iterative over all sparsities: no usable run at 0.8" in result.excluded
    values[0, 2:, 0] = np.nan
    nothing = equivalent(unpaired(values), INDICATOR, "iterative", "optimal", margin=1.1)
    assert (nothing.outcome, nothing.table.iloc[0]["n"]) == ("undecided", 0)
    assert "0 seeds). No estimate (no interval below three seeds)." in nothing.verdict


def test_missing_runs_of_pairs_do_not_move_the_mean_over_sparsities() -> None:
    values = close(6) + np.array([0.0, 1.0])[:, None]
    values[:3, 1, 0] = np.nan
    result = equivalent(in_memory(values), INDICATOR, "iterative", "optimal", margin=1.1)
    differences = values[..., 0] - values[..., 1]
    assert result.table["effect"].iloc[0] == pytest.approx(10 ** np.nanmean(differences, axis=1).mean())
    assert result.outcome == "supported"


@pytest.mark.parametrize(
    ("margin", "scale"), [(1.0, "log"), (0.9, "log"), (0.0, "raw"), (-1.0, "raw"), (math.inf, "log")]
)
def test_a_margin_must_declare_something(margin: float, scale: str) -> None:
    with pytest.raises(InputError, match="declares nothing"):
        equivalent(in_memory(close(4)), INDICATOR, "iterative", "optimal", margin=margin, scale=scale)


NO_LEVELS = [0.0, -0.1, 0.5, 0.7, 5.0, math.nan]


@pytest.mark.parametrize("alpha", NO_LEVELS)
def test_a_level_is_between_zero_and_one_half(alpha: float) -> None:
    for test in (
        lambda: equivalent(in_memory(close(4)), INDICATOR, "iterative", "optimal", margin=1.1, alpha=alpha),
        lambda: tost([0.1, 0.2, 0.3], 1.0, alpha=alpha),
        lambda: tost_two_sample([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], 1.0, alpha=alpha),
    ):
        with pytest.raises(InputError, match="is no level of a test"):
            test()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 6), st.sampled_from([0.0, 0.03, 0.2]), st.sampled_from([0.005, 0.05, 0.5]), st.integers(0, 99))
def test_words_of_an_equivalence_say_its_numbers(n: int, apart: float, noise: float, seed: int) -> None:
    result = equivalent(in_memory(close(n, apart, noise, seed)), INDICATOR, "iterative", "optimal", margin=1.2)
    row = result.table.iloc[0]
    assert result.verdict.lower().startswith(result.outcome.words)
    assert f"{n} seed{'' if n == 1 else 's'}" in result.verdict
    assert f"Estimate {row['effect']:.3g}" in result.verdict
    if n < 3:
        assert result.outcome == "undecided"
        assert "no interval below three seeds" in result.verdict
        assert math.isnan(row["ci_low"])
        return
    inside = row["ci_low"] > 1 / 1.2 and row["ci_high"] < 1.2
    assert (result.outcome == "supported") == inside == (row["p"] <= 0.05)
    wide = row["ci_high"] / row["ci_low"] >= 1.2**2
    assert (result.outcome == "undecided") == (not inside and wide) == ("wider than" in result.verdict)
    outside = row["ci_low"] > 1.2 or row["ci_high"] < 1 / 1.2
    assert (result.outcome == "contradicted") == (outside and not wide)


def test_detectable_effects_are_those_of_the_spread_seen() -> None:
    values = close(5, 0.3, 0.05)
    c = compare_strategies(in_memory(values), order=("iterative", "optimal"))
    table = detectable_effect(c)
    d = values[:, 0, 1] - values[:, 0, 0]
    row = table[table["scope"] == "sparsity 0.7"].iloc[0]
    assert row["effect"] == pytest.approx(10 ** d.mean())
    assert paired_power(math.log10(row["detectable"]) / d.std(ddof=1), 5) == pytest.approx(0.8, abs=1e-6)
    assert detectable_effect(compare_sparsities(in_memory(values)))["question"].str.startswith("change per").all()
    assert (
        detectable_effect(compare_strategies(in_memory(close(2)), order=("iterative", "optimal")))["detectable"]
        .isna()
        .all()
    )
    overall = (values[..., 1] - values[..., 0]).mean(axis=1)
    assert spread(c) == pytest.approx(overall.std(ddof=1), rel=1e-6)


def test_detectable_effects_of_independent_samples_are_cliffs_delta() -> None:
    c = compare_strategies(unpaired(np.random.default_rng(1).normal(size=(2, 8, 1))), order=("iterative", "optimal"))
    table = detectable_effect(c)
    assert ((table["detectable"] > 0) & (table["detectable"] < 1)).all()
    # d = 1.507 for 8 + 8 seeds (G*Power 3.1), as P(second > first) - P(second < first)
    assert table["detectable"].iloc[0] == pytest.approx(2 * stats.norm.cdf(1.507 / math.sqrt(2)) - 1, abs=1e-3)
    with pytest.raises(InputError, match="three paired seeds"):
        spread(c)


def test_seeds_needed_for_a_ratio() -> None:
    table = seeds_needed(1.2, sd=math.log10(1.2) / 0.8)
    assert table["effect_in_sd"].tolist() == pytest.approx([0.8, 0.8])
    assert table["seeds"].iloc[0] == 15  # G*Power 3.1
    assert seeds_needed(1 / 1.2, sd=0.1)["seeds"].tolist() == seeds_needed(1.2, sd=0.1)["seeds"].tolist()
    assert seeds_needed(0.5, sd=0.5, scale="raw")["seeds"].iloc[0] == 10
    for effect, sd, match in (
        (1.2, 0.0, "no spread"),
        (-1.0, 0.1, "no ratio"),
        (1.0, 0.1, "more than"),
        (math.inf, 0.1, "no finite"),
    ):
        with pytest.raises(InputError, match=match):
            seeds_needed(effect, sd=sd)


@pytest.mark.parametrize(("n", "reach"), [(1, [False] * 3), (3, [True, True, False]), (6, [True] * 3)])
def test_what_a_number_of_seeds_can_show(n: int, reach: list[bool]) -> None:
    table = seeds_allow(n)
    assert table["can_reach_alpha"].tolist() == reach
    assert table["attainable_p"].iloc[0] == pytest.approx(6.0**-n)
    assert math.isnan(table["detectable_in_sd"].iloc[2]) == (n < 3)
    with pytest.raises(InputError, match="0 seeds"):
        seeds_allow(0)

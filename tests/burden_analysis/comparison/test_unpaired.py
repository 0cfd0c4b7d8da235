"""Strategies that share no seed: independent samples, said so in table and words."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from burden_analysis import compare_strategies
from burden_analysis.results.families import Family
from burden_analysis.statistics import brunner_munzel, cliffs_delta, holm, jonckheere_terpstra
from recorders.contract import InputError

STRATEGIES = ("iterative", "optimal", "random")


def unpaired(values: np.ndarray) -> xr.Dataset:
    """gradient_mean_abs is 10 ** values[strategy, seed, sparsity]; seeds differ between strategies, NaN has failed."""
    runs: list[dict[str, Any]] = []
    for k, i, j in np.ndindex(values.shape):
        failed = bool(np.isnan(values[k, i, j]))
        runs.append(
            {
                "run_id": f"{STRATEGIES[k]}-{j}-{i}",
                "strategy": STRATEGIES[k],
                "sparsity": 0.7 + 0.1 * j,
                "seed": 100 * k + i,
                "value": 1.0 if failed else 10.0 ** values[k, i, j],
                "status": "failed" if failed else "complete",
            }
        )
    level = np.array([r["value"] for r in runs])[:, None, None]
    return xr.Dataset(
        {
            "gradient_mean_abs": (("run", "record", "parameter"), level),
            "active_weights": (("run", "record", "parameter"), np.ones_like(level)),
            "interval_steps": (("run", "record"), np.ones(level.shape[:2])),
            "status": ("run", [r["status"] for r in runs]),
            "status_reason": ("run", [""] * len(runs)),
        },
        {k: ("run", [r[k] for r in runs]) for k in ("run_id", "strategy", "sparsity", "seed")},
    )


def of(table: Any, family: str) -> Any:
    return table[table["family"] == family]


def test_a_clear_order_of_independent_samples() -> None:
    values = np.random.default_rng(0).normal(0, 0.1, (3, 4, 2)) + 2.0 * np.arange(3)[:, None, None]
    c = compare_strategies(unpaired(values))
    assert (c.outcome, c.paired) == ("supported", False)
    joint = of(c.table, Family.UNPAIRED_JOINT).iloc[0]
    assert joint["p"] == pytest.approx(1 / 34650) == pytest.approx(joint["attainable_p"])
    assert (joint["statistic"], joint["n"]) == (2 * 3 * 16, 12)
    pairs = of(c.table, Family.UNPAIRED_PAIRS)
    assert (pairs["effect"] == 1).all()
    np.testing.assert_allclose(pairs["p"], 2 / 70)
    np.testing.assert_allclose(pairs["p_adjusted"], 8 / 70)
    assert pairs["question"].tolist() == ["optimal over iterative", "random over optimal"] * 2
    assert "Not paired: no seed is shared by two strategies" in c.verdict
    assert "not paired by seed (12 seeds)" in c.verdict
    assert not json.loads(c.to_json())["paired"]
    back = compare_strategies(unpaired(values), order=STRATEGIES[::-1])
    assert back.outcome == "contradicted"
    assert len(of(back.table, Family.CLOSED)) == 2 + 4
    swapped = compare_strategies(unpaired(values), order=("iterative", "random", "optimal"))
    assert swapped.outcome == "contradicted"
    assert "optimal < random (adjusted p" in swapped.verdict


def test_few_seeds_missing_runs_and_missing_strategies() -> None:
    values = np.random.default_rng(1).normal(0, 1, (2, 2, 2))
    few = compare_strategies(unpaired(values), order=STRATEGIES[:2])
    assert few.outcome == "undecided"
    assert "4 seeds cannot reach 0.05: the smallest p is 0.17" in few.verdict
    gap = np.random.default_rng(2).normal(0, 1, (3, 4, 2))
    gap[0, :, 1] = np.nan
    gap[1, 2, 0] = np.nan
    c = compare_strategies(unpaired(gap))
    assert c.excluded[0] == "sparsity 0.8: no usable run of iterative"
    assert len(c.excluded) == 1 + 4 + 1
    assert of(c.table, Family.UNPAIRED_JOINT).iloc[0]["n"] == 11
    assert len(c.effects) == 11
    gap[0] = np.nan
    with pytest.raises(InputError, match="no sparsity has a complete run of all of"):
        compare_strategies(unpaired(gap))


def test_runs_that_failed_move_no_estimate_and_hide_none() -> None:
    levels = np.array([1.0, 3.0, 2.5])[:, None, None] + np.array([0.0, 9.0])  # the sparsities differ more
    values = levels + np.random.default_rng(0).normal(0, 0.1, (3, 6, 2))
    whole = compare_strategies(unpaired(values))
    assert whole.outcome == "contradicted"
    values[2, :2, 0] = values[2, 2:4, 1] = np.nan
    c = compare_strategies(unpaired(values))
    assert c.outcome == "contradicted"
    assert (
        of(c.table, Family.AGAINST)["effect"].iloc[1:].tolist()
        == of(whole.table, Family.AGAINST)["effect"].iloc[1:].tolist()
    )
    assert "nan" not in c.verdict


def test_one_seed_of_a_strategy_shows_nothing() -> None:
    alone = [unpaired(np.full((1, 1, 1), k)).assign_coords(seed=("run", [k])) for k in range(4)]
    four = xr.concat(alone, "run").assign_coords(strategy=("run", list("abcd")))
    for order in (tuple("abcd"), tuple("dcba")):
        c = compare_strategies(four, order=order)
        assert of(c.table, Family.UNPAIRED_JOINT)["p"].iloc[0] == pytest.approx(1 / 24 if order[0] == "a" else 1)
        assert c.outcome == "undecided"
        assert "No inference is possible with one seed of a strategy." in c.verdict


def test_a_paired_design_that_lost_its_pairs_is_not_called_unpaired() -> None:
    ds = unpaired(np.zeros((2, 2, 1)))
    paired = ds.assign_coords(seed=("run", [0, 1, 0, 1])).assign(
        status=("run", ["complete", "failed", "failed", "complete"])
    )
    with pytest.raises(InputError, match="no seed has a complete run of all"):
        compare_strategies(paired, order=STRATEGIES[:2])


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    k, n, g = draw(st.integers(2, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 2))
    push = draw(st.sampled_from([-0.5, 0.0, 0.2, 0.5]))
    flat = draw(st.lists(st.integers(-3, 3).map(lambda x: x / 10), min_size=k * n * g, max_size=k * n * g))
    return np.array(flat).reshape(k, n, g) + push * np.arange(k)[:, None, None]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
@example(np.array([[[0.0, 0.0]], [[0.1, -0.1]]]))
@example(np.array([[[0.0, 0.0]], [[0.3, -0.3]]]) + 0.2)
def test_prose_says_what_the_numbers_say(values: np.ndarray) -> None:
    k, n, g = values.shape
    order = STRATEGIES[:k]
    c = compare_strategies(unpaired(values), order=order)
    joint, against = of(c.table, Family.UNPAIRED_JOINT).iloc[0], of(c.table, Family.AGAINST)
    assert joint["p"] == pytest.approx(jonckheere_terpstra(list(values)).p)
    np.testing.assert_allclose(against["p_adjusted"], holm(against["p"]))
    assert c.verdict.lower().startswith(c.outcome.words)
    assert f"{g} {'sparsity' if g == 1 else 'sparsities'} and {k * n} seeds" in c.verdict
    assert ("Gate closed" in c.verdict) == (joint["p"] > 0.05)
    refuted = bool((against["p_adjusted"] <= 0.05).any())
    assert (c.outcome == "contradicted") == refuted == ("Significant against it" in c.verdict)
    if c.outcome == "supported":
        assert joint["p"] <= 0.05
        assert (against["effect"].dropna() >= 0).all()
    if c.outcome == "undecided":
        assert n < 3 or joint["attainable_p"] > 0.05
    if c.outcome == "unsupported":
        assert "80 % power for Cliff's δ" in c.verdict
    # Sums of whole tenths: a mean of ±0.1 that cancels is a tie, not 1e-17.
    means, effects = np.rint(10 * values).sum(axis=2), c.verdict.partition("Over all sparsities")[2]
    for low in range(k - 1):
        delta = cliffs_delta(means[low], means[low + 1]).effect
        told = re.search(rf"{order[low + 1]} over {order[low]} = (-?[\d.]+)( \[|,| \()", effects)
        assert told
        assert float(told[1]) == pytest.approx(delta, abs=5e-3)
    for _, row in of(c.table, Family.UNPAIRED_TREND).iterrows():
        assert (f"{row['scope']}: significant" in c.verdict) == (row["p_adjusted"] <= 0.05)
    if n > 1:
        pair = c.table[c.table["question"] == f"{order[1]} over {order[0]}"].iloc[0]
        assert pair["p"] == pytest.approx(brunner_munzel(values[0, :, 0], values[1, :, 0]).p)

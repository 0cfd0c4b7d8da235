from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burden_analysis import compare_sparsities, compare_strategies, open_study
from burden_analysis.results.families import Family
from burden_analysis.statistics import holm, page_joint, page_trend, sign_flip
from recorders.contract import InputError
from tests.burden_analysis.synthetic import grid, levels, write_recording
from tests.burden_analysis.synthetic_comparison import RANK, in_memory, perfect, rows, study


def test_a_clear_order_is_supported_and_its_table_is_right(store: Path) -> None:
    runs = grid(6)
    write_recording(store, runs, values=levels(runs, perfect))
    c = compare_strategies(open_study(store))
    assert c.outcome == "supported"
    assert c.table.columns.tolist()[:12] == [
        *("question", "scope", "statistic", "p", "p_adjusted", "family"),
        *("effect", "ci_low", "ci_high", "n", "attainable_p", "excluded"),
    ]
    assert [len(rows(c, f)) for f in (Family.JOINT, Family.PAGE, Family.PAIRS, Family.FRIEDMAN, Family.AGAINST)] == [
        1,
        3,
        6,
        3,
        3,
    ]
    joint = rows(c, Family.JOINT).iloc[0]
    assert joint["statistic"] == 6 * 3 * 14
    assert joint["p"] == pytest.approx(joint["attainable_p"]) == pytest.approx(6.0**-6)
    np.testing.assert_allclose(rows(c, Family.PAGE)["p_adjusted"], 3 * 6.0**-6)
    pair = rows(c, Family.PAIRS).iloc[0]
    assert (pair["question"], pair["scope"]) == ("optimal / iterative", "sparsity 0.7")
    assert pair["effect"] == pytest.approx(2**1.25, rel=1e-5)  # geometric mean of 2 ** (1 + seed / 10)
    assert pair["ci_low"] < pair["effect"] < pair["ci_high"]
    np.testing.assert_allclose(rows(c, Family.PAIRS)["p"], 2 / 2**6)
    np.testing.assert_allclose(rows(c, Family.PAIRS)["p_adjusted"], 12 / 2**6)
    assert (rows(c, Family.FRIEDMAN)["effect"] == 1).all()  # Kendall's W
    assert c.seeds == (0, 1, 2, 3, 4, 5)
    assert c.excluded == ()
    assert len(c.effects) == 54
    first = c.effects.iloc[0]
    assert (first["strategy"], first["sparsity"], first["seed"]) == ("iterative", 0.7, 0)
    assert first["value"] == pytest.approx(math.log10(1.7))
    assert "no pair at a single sparsity could reach 0.05" in c.verdict.lower()


def test_reversed_and_other_orders_are_contradicted() -> None:
    ds = study(grid(5))
    back = compare_strategies(ds, order=("random", "optimal", "iterative"))
    assert back.outcome == "contradicted"
    assert (rows(back, Family.CLOSED)["p_adjusted"].isna()).all()
    assert len(rows(back, Family.CLOSED)) == 3 + 6
    assert rows(back, Family.CLOSED)["p"].notna().all()
    assert "observed order iterative < optimal < random" in back.verdict
    # L of (1, 3, 2) in all seeds is significant for the claim, and yet the last pair is reversed
    swapped = compare_strategies(study(grid(8)), order=("iterative", "random", "optimal"))
    assert rows(swapped, Family.JOINT)["p"].iloc[0] < 0.05
    assert swapped.outcome == "contradicted"
    assert "optimal < random (adjusted p" in swapped.verdict


def test_no_difference_is_not_supported_and_says_what_could_have_been_seen() -> None:
    values = np.random.default_rng(0).normal(0, 0.05, (6, 3, 3))
    c = compare_strategies(in_memory(values))
    assert c.outcome == "unsupported"
    d = (values[..., 1] - values[..., 0]).mean(axis=1)
    seen = float(re.search(r"80 % power for optimal / iterative = ([\d.]+)", c.verdict).group(1))
    assert seen == pytest.approx(10 ** (1.435 * d.std(ddof=1)), rel=0.01)  # 1.435: G*Power's dz for n = 6


def test_a_significant_test_with_a_reversed_estimate_is_not_support() -> None:
    values = np.tile([0.0, 1.0, 1.0], (5, 1, 1)) + np.array([0, 0, -1e-3]) * np.array([1, 1, 9, -5, -5])[:, None, None]
    c = compare_strategies(in_memory(values))
    assert rows(c, Family.JOINT)["p"].iloc[0] < 0.05
    assert c.outcome == "unsupported"
    assert "the other way: random < optimal" in c.verdict


@pytest.mark.parametrize(
    ("n", "says"), [(1, "No inference is possible with one seed"), (2, "no intervals below three")]
)
def test_one_and_two_seeds(n: int, says: str) -> None:
    ds = study(grid(n))
    c = compare_strategies(ds)
    assert says in c.verdict
    assert c.table["ci_low"].isna().all()
    assert (c.outcome == "undecided") == (n == 1)
    opposite = compare_strategies(ds, order=("optimal", "iterative", "random"))
    assert opposite.outcome == "undecided"
    pair = compare_strategies(ds, order=("iterative", "random"))
    assert pair.outcome == "undecided"  # 1/2 and 1/4 cannot reach 0.05
    if n == 2:
        assert "2 seeds cannot reach 0.05: the smallest p is 0.25" in pair.verdict


def test_unfinished_diverged_and_infinite_runs_are_left_out_and_named() -> None:
    runs = grid(4)
    runs[0] |= {"status": "diverged", "status_reason": "loss is NaN at step 30"}
    runs[5] |= {"status": "running"}
    ds = study(runs, lambda r: np.inf if r["run_id"] == "random-0.8-3" else perfect(r))
    c = compare_strategies(ds)
    assert c.excluded == (
        "iterative-0.7-0: diverged (loss is NaN at step 30)",
        "optimal-0.7-1: running",
        "random-0.8-3: gradient_mean_abs is not finite",
    )
    assert "3 left out: iterative-0.7-0: diverged" in c.verdict
    assert rows(c, Family.PAGE)[["n", "excluded"]].to_numpy().tolist() == [[2, 2], [3, 1], [4, 0]]
    assert rows(c, Family.JOINT)[["n", "excluded"]].to_numpy().tolist() == [[4, 3]]
    assert len(c.effects) == 36 - 3


def test_a_strategy_missing_at_one_sparsity_closes_that_sparsity_only() -> None:
    runs = [r for r in grid(3) if not (r["strategy"] == "random" and r["sparsity"] == 0.9)]
    ds = study(runs)
    c = compare_strategies(ds)
    assert c.excluded == ("sparsity 0.9: no usable run of random",)
    assert len(rows(c, Family.PAGE)) == 2
    assert compare_strategies(ds, order=("iterative", "optimal")).excluded == ()


def test_a_seed_without_any_full_block_is_named() -> None:
    c = compare_strategies(study([r for r in grid(4) if not (r["seed"] == 3 and r["strategy"] == "random")]))
    assert c.seeds == (0, 1, 2)
    assert c.excluded == ("seed 3: no sparsity has all strategies",)


def test_errors_say_what_is_possible() -> None:
    runs = [r | {"allocation": "global"} for r in grid(2)]
    runs += [r | {"run_id": f"erk-{r['seed']}", "allocation": "erk"} for r in runs if r["strategy"] == "random"][:2]
    ds = study(runs)

    def fails(match: str, dataset: xr.Dataset = ds, **options: Any) -> None:
        with pytest.raises(InputError, match=match):
            compare_strategies(dataset, **options)

    fails("2 runs have strategy 'random', sparsity 0.7 and seed 0; they differ in allocation")
    chosen = ds.isel(run=(ds.strategy != "random") | (ds.allocation == "global"))  # as the message says
    assert compare_strategies(chosen).outcome == "supported"
    fails("did you mean 'random'", order=("iterative", "randm"))
    fails("fewer than two", order=("iterative",))
    fails("named twice", order=("iterative", "iterative"))
    fails("unknown coordinate of runs 'sead'", paired_by="sead")
    fails("alpha", alpha=5)
    fails("unknown indicator", indicator="gradient")
    fails("no seed has a complete run of all", chosen.assign(status=("run", ["planned"] * 18)))
    fails("no seed has a complete run of all", chosen.isel(run=(chosen.seed == 0) == (chosen.strategy == "random")))
    twins = ds.isel(run=[0, 0, 2, 4])
    fails("keep one of them", twins.assign_coords(run_id=("run", list("abcd"))))
    with pytest.raises(InputError, match="two sparsities or more"):
        compare_sparsities(chosen.isel(run=chosen.sparsity == 0.7))
    with pytest.raises(InputError, match="did you mean 'random'"):
        compare_sparsities(chosen, strategy="randoms")


def test_dense_runs_are_ignored_unless_asked_for() -> None:
    runs = grid(4) + [{"run_id": f"dense-{i}", "strategy": "dense", "sparsity": 0.0, "seed": i} for i in range(4)]
    runs[-1]["status"] = "failed"
    ds = study(runs, lambda r: 0.5 if r["strategy"] == "dense" else perfect(r))
    assert compare_strategies(ds).excluded == ()
    assert set(compare_sparsities(ds).table["scope"]) == set(RANK)
    with pytest.raises(InputError, match="dense at two sparsities"):
        compare_sparsities(ds, strategy="dense")


def test_raw_scale_gives_differences() -> None:
    c = compare_strategies(study(grid(5)), scale="raw", order=("iterative", "random"))
    row = rows(c, Family.AGAINST).iloc[1]
    expected = np.mean([(3 ** (1 + 0.1 * s) - 1) * 1.8 for s in range(5)])
    assert row["effect"] == pytest.approx(expected, rel=1e-5)
    assert "random − iterative" in c.verdict
    assert c.outcome == "supported"


def test_sparsities_rise_or_fall() -> None:
    ds = study(grid(4))
    c = compare_sparsities(ds)
    assert c.outcome == "supported"
    assert (c.by, c.order) == ("sparsity", ("0.7", "0.8", "0.9"))
    np.testing.assert_allclose(rows(c, Family.RISING)["p_adjusted"], 3 * 6.0**-4)
    slope = np.polyfit([0.7, 0.8, 0.9], np.log10([1.7, 1.8, 1.9]), 1)[0]
    np.testing.assert_allclose(rows(c, Family.SLOPE)["effect"], 10 ** (0.1 * slope), rtol=1e-5)
    falling = study(grid(4), lambda r: 1 / perfect(r))
    assert compare_sparsities(falling, strategy="random").outcome == "contradicted"
    assert "significant fall" in compare_sparsities(falling).verdict
    assert compare_sparsities(ds.isel(run=ds.seed < 2)).outcome == "undecided"
    noise = in_memory(np.random.default_rng(3).normal(0, 0.1, (5, 3, 3)))
    assert compare_sparsities(noise).outcome == "unsupported"
    gap = ds.isel(run=~((ds.strategy == "random") & (ds.seed == 0) & (ds.sparsity == 0.8)))
    assert rows(compare_sparsities(gap), Family.RISING)[["n", "excluded"]].to_numpy().tolist() == [
        [4, 0],
        [4, 0],
        [3, 1],
    ]
    # optimal has sparsity .9 only in one seed: two of its own sparsities are never complete
    thin = ds.isel(run=(ds.strategy != "optimal") | ((ds.sparsity > 0.75) & ((ds.seed > 0) == (ds.sparsity < 0.85))))
    assert set(compare_sparsities(thin).table["scope"]) == {"iterative", "random"}


def test_paired_by_another_coordinate() -> None:
    ds = study(grid(4)).assign_coords(pair=("run", [f"p{r['seed']}" for r in grid(4)]))
    c = compare_strategies(ds, paired_by="pair")
    assert c.seeds == ("p0", "p1", "p2", "p3")
    assert "4 pairs: p0, p1, p2, p3" in c.verdict


def test_json_is_strict_and_html_escapes() -> None:
    c = compare_strategies(study(grid(2)))
    content = json.loads(c.to_json(), parse_constant=lambda text: pytest.fail(text))
    assert content["outcome"] == c.outcome
    assert content["verdict"] == c.verdict
    assert content["table"][4]["ci_low"] is None
    assert len(content["effects"]) == 18
    assert content["order"] == list(c.order)
    assert "iterative &lt; optimal" in c._repr_html_()


cell = st.integers(-3, 3).map(lambda x: x / 10)


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    n, g, k = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(2, 3))
    push = draw(st.sampled_from([-0.4, 0.0, 0.1, 0.4]))
    flat = draw(st.lists(cell, min_size=n * g * k, max_size=n * g * k))
    values = np.array(flat).reshape(n, g, k) + push * np.arange(k)
    for _ in range(draw(st.integers(0, 2))):
        values[draw(st.integers(0, n - 1)), draw(st.integers(0, g - 1)), draw(st.integers(0, k - 1))] = np.nan
    return values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_prose_says_what_the_numbers_say(values: np.ndarray) -> None:
    k = values.shape[2]
    order = tuple(list(RANK)[:k])
    if not np.isfinite(values).all(axis=2).any():
        with pytest.raises(InputError, match="complete run of all"):
            compare_strategies(in_memory(values), order=order)
        return
    c = compare_strategies(in_memory(values), order=order)
    text, joint, against = c.verdict, rows(c, Family.JOINT).iloc[0], rows(c, Family.AGAINST)
    kept = np.isfinite(values).all(axis=2).any(axis=0)
    full = np.isfinite(values[:, kept]).all(axis=2)
    # count and significance
    used = int(full.any(axis=1).sum())
    assert joint["n"] == used
    assert f"{kept.sum()} {'sparsity' if kept.sum() == 1 else 'sparsities'} and {used} seed" in text
    assert joint["p"] == pytest.approx(page_joint(values[full.any(axis=1)][:, kept]).p)
    assert text.lower().startswith(c.outcome.words)
    significant = joint["p"] <= 0.05
    assert ("Gate closed" in text) == (not significant)
    np.testing.assert_allclose(against["p_adjusted"], holm(against["p"]))
    refuted = bool((against["p_adjusted"] <= 0.05).any())
    assert (c.outcome == "contradicted") == refuted == ("Significant against it" in text)
    if c.outcome == "supported":
        assert significant
        assert (against["effect"].dropna() >= 1).all()
    if c.outcome == "undecided":
        assert used < 3 or joint["attainable_p"] > 0.05
    if c.outcome == "unsupported":
        assert used >= 3
        assert "80 % power" in text
    # direction
    for (_, row), (low, high) in zip(against.iloc[1:].iterrows(), pairwise(order), strict=True):
        assert f"{high} / {low} = {row['effect']:.3g}" in text
        if math.isclose(row["effect"], 1, rel_tol=1e-9):
            continue
        seen = re.split(" < | = ", re.search(r"observed order ([^.]*)\.", text).group(1))
        assert (seen.index(high) > seen.index(low)) == (row["effect"] > 1)
    # single sparsities
    tested = rows(c, Family.PAGE)
    for scope in tested["scope"]:
        row = tested[tested["scope"] == scope].iloc[0]
        assert (f"{scope}: significant" in text) == (row["p_adjusted"] <= 0.05)
        at = full.T[[f"sparsity {s:g}" for s in c.effects["sparsity"].unique()].index(scope)]
        assert row["n"] == at.sum()
    # exclusion
    failed = int((~np.isfinite(values)).sum())
    assert sum(": failed (out of memory)" in e for e in c.excluded) == failed
    assert ("Nothing was left out" in text) == (not c.excluded)
    if c.excluded:
        assert f"{len(c.excluded)} left out" in text


def test_pairs_are_tested_only_inside_significant_sparsities() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(0, 0.2, (8, 2, 3))
    values[:, 0] += 2.0 * np.arange(3)
    c = compare_strategies(in_memory(values))
    assert rows(c, Family.PAGE)["p_adjusted"].iloc[0] < 0.05 < rows(c, Family.PAGE)["p_adjusted"].iloc[1]
    assert rows(c, Family.PAIRS)["scope"].tolist() == ["sparsity 0.7"] * 2
    np.testing.assert_allclose(
        rows(c, Family.PAIRS)["p_adjusted"], holm([sign_flip(values[:, 0, 1] - values[:, 0, 0]).p] * 2)
    )
    assert rows(c, Family.CLOSED)["scope"].tolist() == ["sparsity 0.8"] * 2
    assert rows(c, Family.CLOSED)["effect"].notna().all()
    assert page_trend(values[:, 0]).p == pytest.approx(rows(c, Family.PAGE)["p"].iloc[0])
    assert "2 of 2 adjacent pairs tested at single sparsities differ" in c.verdict

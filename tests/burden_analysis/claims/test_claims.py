"""Claims C1, C2, C3 and their robustness, on synthetic studies whose truth is known."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from burden_analysis import check_claims, compare_strategies, late_growth, robustness
from burden_analysis.definitions import GRADIENT_MAGNITUDES, WEIGHT_NORMS
from burden_analysis.results.families import Family
from burden_analysis.results.outcome import Outcome
from recorders.contract import InputError
from tests.burden_analysis.synthetic import grid

RANK = {"iterative": 1.0, "optimal": 2.0, "random": 3.0}
RECORDS = 10
MEASURES = ("gradient_norm", "dense_gradient_norm", "gradient_mean_abs", "weight_norm", "weight_mean_abs")


def study(runs: list[dict[str, Any]], gradient: Any, weight: Any) -> xr.Dataset:
    """Every measure of gradients is `gradient(run, record)` and of weights `weight(run, record)`, one tensor."""
    series = {
        "gradient": np.array([[gradient(r, k) for k in range(RECORDS)] for r in runs], float),
        "weight": np.array([[weight(r, k) for k in range(RECORDS)] for r in runs], float),
    }
    variables: dict[str, Any] = {
        f"{name}_mean": (
            ("run", "record", "parameter"),
            series["gradient" if "gradient" in name else "weight"][..., None],
        )
        for name in MEASURES
    }
    variables |= {
        "active_weights": (("run", "record", "parameter"), np.full((len(runs), RECORDS, 1), 4.0)),
        "interval_steps": (("run", "record"), np.full((len(runs), RECORDS), 5.0)),
        "status": ("run", [r.get("status", "complete") for r in runs]),
        "status_reason": ("run", ["" for _ in runs]),
    }
    coords = {k: ("run", [r[k] for r in runs]) for k in ("run_id", "strategy", "sparsity", "seed")}
    return xr.Dataset(variables, {**coords, "step": ("record", 5 * (1 + np.arange(RECORDS)))})


def ordered(run: dict[str, Any], record: int) -> float:
    return RANK[run["strategy"]] ** (1 + 0.1 * run["seed"]) * (1 + run["sparsity"] + 0.01 * record)


def growing(run: dict[str, Any], record: int) -> float:
    rate = {"iterative": 0.05, "optimal": 0.01, "random": 0.0}[run["strategy"]] * (1 + 0.1 * run["seed"])
    return float(np.exp(rate * record))


def test_claims_that_hold_are_supported() -> None:
    found = check_claims(study(grid(5), ordered, growing), published=False)
    assert [c.name for c in found.claims] == ["C1", "C2", "C3"]
    assert (found["C1"].outcome, found["C2"].outcome) == ("supported", "supported")
    assert found["C1"].sentence.startswith(
        "C1 (gradient magnitude is ordered iterative < optimal < random) is supported under its"
    )
    assert "16 definitions: supported in 16" in found["C1"].sentence
    assert "sparsity 0.7: 100% optimal, 100% random" in found["C1"].sentence
    assert "12 definitions: supported in 12" in found["C2"].sentence
    content = json.loads(found.to_json(), parse_constant=lambda text: pytest.fail(text))
    assert content["C1"]["evidence"]["share_of_training_iterative_below"]["0.9"] == {"optimal": 1.0, "random": 1.0}
    assert len(content["C1"]["evidence"]["robustness"]["table"]) == 4 * 2 * 2 * 6
    assert found.table["claim"].tolist() == ["C1", "C2", "C3"]
    assert found.verdict.count("\n") == 2


def test_claims_that_are_false_are_contradicted() -> None:
    found = check_claims(
        study(grid(5), lambda r, k: 1 / ordered(r, k), lambda r, k: 1 / growing(r, k)), published=False
    )
    assert (found["C1"].outcome, found["C2"].outcome) == ("contradicted", "contradicted")
    assert "0% optimal, 0% random" in found["C1"].sentence


def test_what_cannot_be_judged_says_why() -> None:
    found = check_claims(None, published=False)
    assert [c.outcome for c in found.claims] == ["unjudged"] * 3
    assert all("is not judged: no study was given" in c.sentence for c in found.claims)
    assert (found.table["outcome"] == "unjudged").all()
    two = check_claims(study(grid(5, ("iterative", "optimal")), ordered, growing), published=False)
    assert two["C1"].outcome == "unjudged"
    assert "random" in two["C1"].sentence
    assert two["C2"].outcome == "supported"


def test_the_published_accuracies_do_not_support_c3() -> None:
    claim = check_claims(published=True)["C3"]
    assert claim.outcome == "unsupported"
    assert claim.evidence["source"] == "800 published accuracies"
    assert "from 800 published accuracies." in claim.sentence


def test_late_growth_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (10, 2, 2, RECORDS))
    names = {"iterative": 0, "optimal": 1}

    def weight(run: dict[str, Any], k: int) -> float:
        at = noise[run["seed"], names[run["strategy"]], int(run["sparsity"] > 0.75), k]
        return float(growing(run, k) * np.exp(at))

    runs = grid(6, ("iterative", "optimal"), (0.7, 0.8))
    found = late_growth(study(runs, ordered, weight))
    logs = np.log10([[weight(r, k) for k in range(RECORDS)] for r in runs])
    growth = (logs[:, 8:].mean(axis=1) - logs[:, 6:8].mean(axis=1)).reshape(2, 2, 6).mean(axis=0)  # strategy, seed
    grows, more = found.table[found.table["family"] == Family.GROWS].to_dict("records")
    assert grows["effect"] == pytest.approx(10 ** growth[0].mean())
    assert more["effect"] == pytest.approx(10 ** (growth[0] - growth[1]).mean())
    for row, d in ((grows, growth[0]), (more, growth[0] - growth[1])):
        expected = stats.permutation_test((d,), np.mean, permutation_type="samples", alternative="greater").pvalue
        assert row["p"] == pytest.approx(expected)
        interval = stats.ttest_1samp(d, 0).confidence_interval()
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((10**interval.low, 10**interval.high))
    against = found.table[found.table["family"] == Family.SHRINKS].to_dict("records")
    assert against[0]["p"] == pytest.approx(stats.ttest_1samp(growth[0], 0, alternative="less").pvalue)
    assert len(found.effects) == 24
    assert json.loads(found.to_json())["outcome"] == found.outcome


def test_late_growth_needs_both_strategies_paired_and_two_windows() -> None:
    ds = study(grid(4), ordered, growing)
    assert late_growth(ds).outcome == "undecided"  # 1/16
    assert "smallest p that these seeds can reach is 0.062" in late_growth(ds).verdict
    with pytest.raises(InputError, match="leaves no window"):
        late_growth(ds, window=0.6)
    with pytest.raises(InputError, match="optimal"):
        late_growth(ds.isel(run=np.flatnonzero(ds.strategy != "optimal")))
    apart = ds.isel(run=np.flatnonzero((ds.seed < 2) == (ds.strategy == "optimal")))
    with pytest.raises(InputError, match="share no seed"):
        late_growth(apart)


def test_late_growth_names_a_run_of_one_record() -> None:
    ds = study(grid(6, ("iterative", "optimal"), (0.9,)), ordered, growing)
    ds["interval_steps"][0, 1:] = np.nan
    found = late_growth(ds)
    assert found.seeds == (1, 2, 3, 4, 5)
    assert "iterative-0.9-0: late growth of weight_norm_mean is not finite" in found.excluded


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 7), st.sampled_from([-0.05, 0.0, 0.05]), st.sampled_from([0.001, 0.05]), st.integers(0, 99))
def test_words_of_late_growth_say_its_numbers(n: int, rate: float, noise: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    runs = grid(n, ("iterative", "optimal"), (0.9,))
    table = {r["run_id"]: rng.normal(0, noise, RECORDS) for r in runs}
    slope = {"iterative": rate, "optimal": 0.0}
    ds = study(runs, ordered, lambda r, k: np.exp(slope[r["strategy"]] * k + table[r["run_id"]][k]))
    found = late_growth(ds)
    grows, more = (row for _, row in found.table[found.table["family"] == Family.GROWS].iterrows())
    against = found.table[found.table["family"] == Family.SHRINKS]
    assert found.verdict.lower().startswith(found.outcome.words)
    assert f"{n} seed{'' if n == 1 else 's'}" in found.verdict
    assert f"Growth in iterative: {grows['effect']:.3g}" in found.verdict
    refuted = bool((against["p_adjusted"] <= 0.05).any())
    assert (found.outcome == "contradicted") == refuted == ("Significant against it" in found.verdict)
    held = grows["p"] <= 0.05 and more["p"] <= 0.05
    assert (found.outcome == "supported") == (held and not refuted)
    assert (found.outcome == "undecided") == (n < 5 and not refuted)
    assert ("80 % power" in found.verdict) == (found.outcome == "unsupported")
    assert math.isnan(grows["ci_low"]) == (n < 3)


def test_robustness_is_a_comparison_per_definition() -> None:
    rng = np.random.default_rng(1)
    level = {r["run_id"]: float(np.exp(rng.normal(0, 0.3))) for r in grid(5)}
    ds = study(grid(5), lambda r, k: ordered(r, k) ** 0.3 * level[r["run_id"]] * (1 + 0.1 * k), growing)
    found = robustness(ds)
    assert found.array.dims == ("indicator", "window", "scale", "dropped")
    assert found.array.shape == (4, 2, 2, 6)
    assert found.array.dtype == np.int8
    names = dict(zip(found.array.attrs["flag_values"], found.array.attrs["flag_meanings"], strict=True))
    for row in found.table.to_dict("records"):
        part = ds if row["dropped"] == "none" else ds.isel(run=np.flatnonzero(ds.seed != int(row["dropped"])))
        place = {k: row[k] for k in found.array.dims}
        assert names[int(found.array.sel(place))] == row["outcome"]
        if row["indicator"] == GRADIENT_MAGNITUDES[0]:
            c = compare_strategies(part, row["indicator"], window=row["window"], scale=row["scale"])
            assert (c.outcome, c.table["p"].iloc[0], c.table["n"].iloc[0]) == (row["outcome"], row["p"], row["n"])
    whole = found.table[found.table["dropped"] == "none"]
    for outcome, count in whole["outcome"].value_counts().items():
        assert f"{Outcome(outcome).words} in {count}" in found.verdict
    assert json.loads(found.to_json())["claim"] == "C1"


def test_robustness_counts_what_a_left_out_seed_changes() -> None:
    values = {0: 1.0, 1: 1.0, 2: 1.0, 3: 0.02}  # the last seed is reversed
    ds = study(grid(4), lambda r, k: RANK[r["strategy"]] ** values[r["seed"]] + 1e-3 * r["seed"], growing)
    found = robustness(ds.assign(dense_gradient_norm_mean=ds["gradient_norm_mean"] * 0.0))
    table = found.table
    judged = table[table["indicator"] != "dense_gradient_norm_mean"]
    assert (judged["reason"] == "").all()
    lost = table[(table["indicator"] == "dense_gradient_norm_mean") & (table["scale"] == "log")]
    assert lost["outcome"].tolist() == ["unjudged"] * 2
    assert "zero or negative" in lost["reason"].iloc[0]
    assert "not judged in 2" in found.verdict
    keys = ["indicator", "window", "scale"]
    whole = table[table["dropped"] == "none"].set_index(keys)["outcome"]
    changed = {
        tuple(r[k] for k in keys)
        for r in table[table["dropped"] != "none"].to_dict("records")
        if r["outcome"] != whole[tuple(r[k] for k in keys)]
    }
    assert f"changes the outcome of {len(changed)} of them" in found.verdict
    assert (found.array.sel(indicator="dense_gradient_norm_mean", scale="log") == 0).all()


@pytest.mark.parametrize("paired", [True, False])
def test_leaving_a_seed_out_redoes_the_analysis(paired: bool) -> None:
    """At 0.8 a single seed makes the strategies comparable; without it that sparsity leaves too."""
    runs = [
        r | {"seed": r["seed"] + (0 if paired else 10 * i)}
        for i, s in enumerate(RANK)
        for r in grid(6 if paired else 4, (s,), (0.7, 0.8))
    ]
    for r in runs:
        if r["strategy"] == "random" and r["sparsity"] == 0.8 and r["seed"] % 10:
            r["status"] = "failed"

    def gradient(run: dict[str, Any], record: int) -> float:
        reverse = run["sparsity"] == 0.8 and run["strategy"] == "iterative"
        return (99.0 if reverse else RANK[run["strategy"]]) * (1 + 0.01 * (run["seed"] % 10))

    ds = study(runs, gradient, growing)
    table = robustness(ds).table
    for row in table[table["indicator"] == GRADIENT_MAGNITUDES[0]].to_dict("records"):
        part = ds if row["dropped"] == "none" else ds.isel(run=np.flatnonzero(ds.seed != int(row["dropped"])))
        c = compare_strategies(part, row["indicator"], window=row["window"], scale=row["scale"])
        assert (c.outcome, c.table["p"].iloc[0], c.table["n"].iloc[0]) == (row["outcome"], row["p"], row["n"])
    assert table["outcome"].nunique() > 1


def test_a_seed_without_which_nothing_is_left_is_not_judged() -> None:
    apart = [r | {"seed": 10 * "ior".index(r["strategy"][0])} for r in grid(1, sparsities=(0.7,))]
    found = robustness(study(apart, ordered, growing))
    without = found.table[found.table["dropped"] != "none"]
    assert (without["outcome"] == "unjudged").all()
    assert without["reason"].str.contains("no sparsity has a complete run of all").all()
    assert "(16 only to undecided or not judged)." in found.verdict
    assert (found.array.sel(dropped="0") == 0).all()


def test_robustness_where_nothing_can_be_judged() -> None:
    ds = study(grid(5), lambda r, k: 1.0, growing).drop_vars([f"{name}_mean" for name in MEASURES])
    found = robustness(ds)
    assert found.verdict.endswith(
        "= 16 definitions: not judged in 16. Nothing could be judged, so no seed was left out."
    )


def test_robustness_of_one_seed_of_unpaired_seeds_and_of_other_claims() -> None:
    single = robustness(study(grid(1), ordered, growing))
    assert single.array.sizes["dropped"] == 1
    assert "With one seed none can be left out." in single.verdict
    runs = [
        r | {"seed": r["seed"] + 10 * i, "run_id": f"{r['run_id']}"} for i, s in enumerate(RANK) for r in grid(4, (s,))
    ]
    apart = robustness(study(runs, lambda r, k: RANK[r["strategy"]] + 0.001 * r["seed"], growing))
    assert (apart.table["outcome"] == "supported").all()
    assert apart.array.sizes["dropped"] == 13
    with pytest.raises(InputError, match="unknown claim 'C3'"):
        robustness(study(grid(3), ordered, growing), "C3")
    c2 = robustness(study(grid(6), ordered, growing), "C2")
    assert c2.array.indicator.to_numpy().tolist() == list(WEIGHT_NORMS)
    assert (c2.table["outcome"] == "supported").all()


@pytest.mark.parametrize("alpha", [0.0, -1.0, 0.5, 5.0, math.nan])
def test_a_level_that_is_none_is_refused_first(alpha: float) -> None:
    ds = study(grid(3), ordered, growing)
    for judge in (
        lambda: late_growth(ds, alpha=alpha),
        lambda: robustness(ds, "C1", alpha=alpha),
        lambda: robustness(ds, "C2", alpha=alpha),
    ):
        with pytest.raises(InputError, match="is no level of a test"):
            judge()

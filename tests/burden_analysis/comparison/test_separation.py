from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from burden_analysis import open_study, separation
from burden_analysis.statistics import max_t, simultaneous_band
from recorders.contract import InputError
from tests.burden_analysis.synthetic import grid, write_recording


def study(store: Path, seeds: int, curve: Any, runs: list[dict[str, Any]] | None = None) -> xr.Dataset:
    runs = runs or grid(seeds, strategies=("iterative", "random"), sparsities=(0.9,))
    loss = np.array([[curve(r, k) for k in range(5)] for r in runs], np.float32)
    write_recording(store, runs, values={"loss": loss})
    return open_study(store)


def apart(run: dict[str, Any], record: int) -> float:
    """Equal at first, then random is twice as high; seeds differ a little."""
    noise = 0.01 * np.sin(7 * run["seed"] + 3 * record + (run["strategy"] == "random"))
    return float(np.exp(noise) * (2.0 if run["strategy"] == "random" and record > 1 else 1.0))


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 6, 8, 14])
def test_band_finds_where_curves_part(store: Path, seeds: int) -> None:
    ds = study(store, seeds, apart)
    got = separation(ds, "loss", "random", "iterative", sparsity=0.9)
    loss = ds.loss.values.astype(float)
    logs = np.log(loss[seeds:] / loss[:seeds])
    np.testing.assert_allclose(got.ratio, np.exp(logs.mean(0)))
    assert got.attrs["n"] == seeds
    assert got.step.values.tolist() == [10, 20, 30, 40, 50]
    assert got.excludes_one.dtype == bool
    if seeds < 3:
        assert got.low.isnull().all()
        assert not got.excludes_one.any()
        return
    assert got.excludes_one.values.tolist() == [False, False, True, True, True]
    assert ((got.low < got.ratio) & (got.ratio < got.high)).all()
    assert ("Bonferroni" in got.attrs["method"]) == (seeds <= 5)
    if seeds == 5:
        half = stats.t.ppf(1 - 0.05 / 10, 4) * stats.sem(logs, axis=0)
        np.testing.assert_allclose(got.high, np.exp(logs.mean(0) + half))
    xr.testing.assert_identical(got, separation(ds, "loss", "random", "iterative"))  # it has one sparsity
    inverse = separation(ds, "loss", "iterative", "random", sparsity=0.9)
    np.testing.assert_allclose(inverse.low, 1 / got.high)


def test_several_sparsities_must_be_told_apart(store: Path) -> None:
    ds = study(store, 3, apart)
    ds = xr.concat([ds, ds.assign_coords(sparsity=("run", np.full(ds.sizes["run"], 0.5)))], "run")
    with pytest.raises(InputError, match=r"share 2 sparsities \(0\.5, 0\.9\): pass sparsity="):
        separation(ds, "loss", "random", "iterative")


def test_records_that_a_pair_lacks_are_left_out(store: Path) -> None:
    ds = study(store, 4, lambda r, k: np.nan if r["seed"] == 2 and k == 3 else apart(r, k))
    got = separation(ds, "loss", "random", "iterative", sparsity=0.9)
    assert got.ratio.isnull().values.tolist() == [False, False, False, True, False]
    assert got.attrs["method"] == "Bonferroni t over 4 records"


def test_unusable_and_unpaired_runs_are_named(store: Path) -> None:
    runs = grid(5, strategies=("iterative", "random"), sparsities=(0.9,))[:-1]
    runs[0] |= {"status": "diverged"}
    got = separation(study(store, 5, apart, runs), "loss", "random", "iterative", sparsity=0.9)
    assert got.attrs["n"] == 3
    assert got.attrs["excluded"] == ["iterative-0.9-0: diverged", "iterative-0.9-4: no pair", "random-0.9-0: no pair"]


def test_errors_say_what_is_possible(store: Path) -> None:
    ds = study(store, 3, lambda r, k: 0.0 if r["run_id"] == "random-0.9-1" else 1.0)

    def fails(match: str, first: str = "random", sparsity: float = 0.9, level: float = 0.95, data: Any = ds) -> None:
        with pytest.raises(InputError, match=match):
            separation(data, "loss", first, "iterative", sparsity=sparsity, level=level)

    fails("zero or negative in random-0.9-1: ")
    fails("choose from 0.9", sparsity=0.5)
    fails("unknown strategy", first="rndom")
    fails("named twice", first="iterative")
    fails("no coverage", level=95)
    fails("no seed has complete runs of both", data=ds.isel(run=(ds.seed == 0) == (ds.strategy == "random")))
    fails("keep one of them", data=ds.isel(run=[0, 0, 3]))


def test_identical_curves_have_a_band_without_width() -> None:
    for n in (4, 7):
        band = simultaneous_band(np.ones((n, 6)))
        np.testing.assert_array_equal(band.centre, 1)
        np.testing.assert_array_equal(band.half, 0)


def test_a_record_without_spread_beside_others_has_no_width() -> None:
    values = np.random.default_rng(0).normal(size=(7, 5))
    values[:, 2] = 0.1  # whose mean over seven is not 0.1
    band = simultaneous_band(values, level=0.99)
    assert band.half[2] == 0
    assert (np.delete(band.half, 2) > 0).all()
    np.testing.assert_allclose(
        np.delete(band.half, 2), simultaneous_band(np.delete(values, 2, axis=1), level=0.99).half
    )


def test_differences_of_two_values_have_no_band() -> None:
    """Three of six on either side: a pattern that turns these three makes a record constant, with an infinite t."""
    sides = [c for c in combinations(range(6), 3) if 0 in c][:4]  # four of 32 patterns: more than 5 %
    values = np.array([[2.0 if seed in side else 1.0 for side in sides] + [1.5] for seed in range(6)])
    band = simultaneous_band(values)
    np.testing.assert_array_equal(band.centre, 1.5)
    assert np.isnan(band.half).all()
    assert band.method == "no band: infinite max-|t| over 5 records, 32 sign flips"
    one = simultaneous_band(values[:, [0, 4]])  # one of 32 patterns
    assert np.isfinite(one.half).all()
    assert one.half[1] == 0


@pytest.mark.parametrize("n", [3, 5, 6, 10])
def test_simultaneous_coverage(n: int) -> None:
    """AR(1) curves with the same law: the band holds over all 60 records at once."""
    rng, covered, trials = np.random.default_rng(n), 0, 400
    for _ in range(trials):
        noise = rng.normal(size=(n, 60))
        for k in range(1, 60):
            noise[:, k] = 0.9 * noise[:, k - 1] + np.sqrt(1 - 0.81) * noise[:, k]
        band = simultaneous_band(noise)
        covered += bool(np.all(np.abs(band.centre) <= band.half))
    assert covered / trials >= 0.93


@pytest.mark.parametrize("seeds", [4, 6, 7])
def test_onset_and_its_range_without_each_seed(store: Path, seeds: int) -> None:
    """Seeds part at different records: leaving the late one out moves the onset."""

    def curve(run: dict[str, Any], record: int) -> float:
        late = 1 if run["seed"] == 0 else 0
        noise = 0.01 * np.sin(7 * run["seed"] + 3 * record + (run["strategy"] == "random"))
        return float(np.exp(noise) * (2.0 if run["strategy"] == "random" and record > 1 + late else 1.0))

    ds = study(store, seeds, curve)
    got = separation(ds, "loss", "random", "iterative", sparsity=0.9)
    each = []
    for seed in range(seeds):
        rest = separation(ds.isel(run=ds.seed.values != seed), "loss", "random", "iterative", sparsity=0.9)
        passed = np.flatnonzero(rest.excludes_one.values)
        each.append(float(rest.step[passed[0]]) if passed.size else np.nan)
    passed = np.flatnonzero(got.excludes_one.values)
    assert float(got.onset) == float(got.step[passed[0]])
    np.testing.assert_array_equal([float(got.onset_low), float(got.onset_high)], [min(each), max(each)])
    assert float(got.onsets_without_a_seed) == seeds
    assert float(got.onset_low) == 30
    assert (float(got.onset_high) > 30) == (seeds < 7)  # with six on-time seeds left, one late one is outvoted


def test_no_onset_below_three_seeds_and_no_range_below_four(store: Path) -> None:
    three = separation(study(store, 3, apart), "loss", "random", "iterative", sparsity=0.9)
    assert float(three.onset) == 30
    assert np.isnan(three.onset_low)
    assert np.isnan(three.onset_high)
    assert float(three.onsets_without_a_seed) == 0
    two = separation(three_less(store), "loss", "random", "iterative", sparsity=0.9)
    assert np.isnan(two.onset)


def three_less(store: Path) -> xr.Dataset:
    ds = open_study(store)
    return ds.isel(run=np.flatnonzero(ds.seed.values < 2))


def test_shares_are_of_steps_and_of_seeds(store: Path) -> None:
    def curve(run: dict[str, Any], record: int) -> float:
        above = record > 1 or (record == 1 and run["seed"] > 0)
        return (4.0 if above else 0.5) if run["strategy"] == "random" else 1.0

    runs = grid(3, strategies=("iterative", "random"), sparsities=(0.9,))
    loss = np.array([[curve(r, k) for k in range(3)] for r in runs], np.float32)
    write_recording(store, runs, values={"loss": loss}, steps=(10, 20, 50))
    got = separation(open_study(store), "loss", "random", "iterative", sparsity=0.9)
    shares = [float(got[f"share_{name}"]) for name in ("below", "above", "below_in_each_seed", "above_in_each_seed")]
    assert shares == pytest.approx([0.2, 0.8, 0.2, 0.6])


def test_a_record_without_a_ratio_leaves_its_steps_to_no_other(store: Path) -> None:
    def curve(run: dict[str, Any], record: int) -> float:
        ratio = (0.5, np.nan, 0.5, 2.0, 2.0)[record]  # over 10, 30, 20, 30 and 10 steps
        return ratio if run["strategy"] == "random" else 1.0

    runs = grid(3, strategies=("iterative", "random"), sparsities=(0.9,))
    loss = np.array([[curve(r, k) for k in range(5)] for r in runs], np.float32)
    write_recording(store, runs, values={"loss": loss}, steps=(10, 40, 60, 90, 100))
    got = separation(open_study(store), "loss", "random", "iterative")
    assert (float(got.share_below), float(got.share_above)) == pytest.approx((3 / 7, 4 / 7))


def test_a_record_of_another_recording_takes_no_steps(store: Path) -> None:
    runs = grid(3, strategies=("iterative", "random"), sparsities=(0.9,))
    loss = np.array([[(0.5, 2.0)[k] if r["strategy"] == "random" else 1.0 for k in range(2)] for r in runs], np.float32)
    write_recording(store, runs, values={"loss": loss}, steps=(10, 40))
    others = grid(1, strategies=("optimal",), sparsities=(0.9,))
    write_recording(store, others, name="finer", steps=(10, 20, 30, 40))
    got = separation(open_study(store), "loss", "random", "iterative")
    assert (float(got.share_below), float(got.share_above)) == pytest.approx((0.25, 0.75))


@pytest.mark.parametrize("seeds", [13, 14, 15])
def test_sign_patterns_are_sampled_from_the_seeds_that_are_stated(store: Path, seeds: int) -> None:
    ds = study(store, seeds, apart)
    one, other = (separation(ds, "loss", "random", "iterative", seed=seed) for seed in (0, 1))
    assert one.attrs["method"].endswith("4096 sign flips")
    assert one.high.equals(other.high) == (seeds <= 13)
    assert ("exhaustive" in one.attrs["test"]) == (seeds <= 14)


def test_p_of_each_record_is_family_wise(store: Path) -> None:
    ds = study(store, 6, apart)
    got = separation(ds, "loss", "random", "iterative", sparsity=0.9)
    loss = ds.loss.values.astype(float)
    expected = max_t(np.log(loss[6:]) - np.log(loss[:6]))
    np.testing.assert_allclose(got.p_adjusted, expected.p_adjusted)
    assert got.p_adjusted.values[2:].max() <= 2 / 2**6
    assert got.attrs["test"] == expected.method

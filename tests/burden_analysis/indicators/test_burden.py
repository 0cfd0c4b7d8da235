from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from burden_analysis import (
    PROBE_INDICATORS,
    burden_decomposition,
    compare_sparsities,
    compare_strategies,
    endpoint,
    open_study,
    separation,
    series,
)
from recorders.contract import ORDERS, PROBED, QUANTILES, TARGETS, InputError
from tests.burden_analysis.synthetic import grid, put, write_recording

UPDATES = (8, 16, 24, 32, 48)


def write_probed(
    store: Path, runs: list[dict[str, Any]], *, name: str = "fig2", every: int = 1, seed: int = 0, **options: Any
) -> dict[str, np.ndarray]:
    """A recording with the variables of the probe; returns what was written, NaN where static or not probed."""
    updates = options.setdefault("updates", UPDATES)
    moves = np.array([r["strategy"] == "iterative" for r in runs])
    rng = np.random.default_rng(seed)
    counts = np.where(moves[:, None, None], 3.0, np.nan) * np.ones((len(runs), len(updates), 3))
    written = write_recording(store, runs, name=name, values={"pruned": counts, "regrown": counts}, **options)
    sizes = {"run": len(runs), "update": len(updates), "parameter": 3, "layer": 2, "target": 2, "order": 3}
    values = {v.name: rng.lognormal(size=[{**sizes, "quantile": 7}[d] for d in v.dims]) for v in PROBED}
    values["covariance"] -= 1.5
    level = np.array([r["sparsity"] for r in runs])[:, None, None]
    values["compensation"] = level + 0.01 * values["compensation"]
    for prefix in ("", "relaxed_"):
        values[f"{prefix}new_fit"] = sum(values[f"{prefix}{t}"] for t in ("fit", "compensation", "covariance"))
        values[f"{prefix}burden"] = values[f"{prefix}compensation"] / sum(
            values[f"{prefix}{t}"] for t in ("fit", "compensation")
        )
    skipped = [u for u in range(len(updates)) if u % every]
    for variable in PROBED:
        array = values[variable.name]
        array[:, skipped] = np.nan
        if not variable.name.startswith(("load_", "dead_")):
            array[~moves] = np.nan
        if variable.name.startswith("relaxed_"):
            array[:, -1] = np.nan
    group = zarr.open_group(store, mode="r+", zarr_format=3)[name]
    assert isinstance(group, zarr.Group)
    for dim, labels in (("target", TARGETS), ("order", ORDERS), ("quantile", QUANTILES)):
        put(group, dim, list(labels), (dim,))
    for variable in PROBED:
        put(group, variable.name, values[variable.name], variable.dims)
    return written | values


@pytest.fixture
def probed(store: Path) -> xr.Dataset:
    write_probed(store, grid())
    return open_study(store)


def of(dataset: xr.Dataset, *strategies: str) -> np.ndarray:
    return np.flatnonzero(np.isin(dataset["strategy"].to_numpy(), strategies))


def test_reading_keeps_labels_and_blanks_what_is_not_committed(store):
    written = write_probed(store, [*grid(1), {"run_id": "x", "strategy": "iterative", "sparsity": 0.5, "seed": 9}])
    group = zarr.open_group(store, mode="r+", zarr_format=3)["fig2"]
    assert isinstance(group, zarr.Group)
    marks = group["updates_written"]
    assert isinstance(marks, zarr.Array)
    marks[-1] = 2
    dataset = open_study(store)
    assert dataset["target"].to_numpy().tolist() == list(TARGETS)
    assert dataset["order"].to_numpy().tolist() == list(ORDERS)
    np.testing.assert_allclose(dataset["quantile"], QUANTILES)
    assert dataset["fit"].dims == ("run", "update", "target")
    np.testing.assert_array_equal(dataset["load_inputs"][0], written["load_inputs"][0])
    assert np.isnan(dataset["load_inputs"][-1, 2:]).all()
    assert np.isfinite(dataset["fit"][-1, :2]).all()


def test_recordings_are_joined_with_or_without_the_probe(store):
    first = write_probed(store, grid(2), name="a")
    write_recording(store, grid(2), name="b", steps=(5, 10))
    write_probed(store, grid(1), name="c", updates=(4, 8), seed=1)
    dataset = open_study(store)
    assert dataset["compensation"].sizes == {"run": 45, "update": 5, "target": 2}
    np.testing.assert_array_equal(dataset["compensation"][:18], first["compensation"])
    assert dataset["compensation"][18:36].isnull().all()
    without = burden_decomposition(dataset).attrs["without"]
    assert sum(w.endswith("no mask update was probed") for w in without) == 18
    assert sum("static" in w for w in without) == 18


@pytest.mark.parametrize("probed_first", [True, False])
def test_a_continuation_may_be_probed_where_the_first_part_was_not(store, probed_first):
    write_first, write_second = (write_probed, write_recording) if probed_first else (write_recording, write_probed)
    write_first(store, grid(1), name="a", updates=(8, 16))
    write_second(store, grid(1), name="b", steps=(60, 70), updates=(58, 66))
    group = zarr.open_group(store, mode="r+", zarr_format=3)["b"]
    group.attrs["config"] = json.dumps({"study": "fig2", "continues": "a"})
    dataset = open_study(store)
    assert dataset.sizes["run"] == 9
    result = burden_decomposition(dataset)
    assert result.sizes["update"] == 4
    assert np.isfinite(result["fit"][0]).to_numpy().tolist() == ([True] * 2 + [False] * 2)[:: 1 if probed_first else -1]
    assert np.isfinite(result["update_step"]).all()


def test_terms_are_as_recorded_and_static_runs_are_named(probed):
    result = burden_decomposition(probed)
    moving = probed.isel(run=of(probed, "iterative"))
    assert set(result["strategy"].to_numpy()) == {"iterative"}
    for name in ("fit", "compensation", "covariance", "new_fit", "burden", "relaxed_new_fit"):
        np.testing.assert_array_equal(result[name], moving[name].sel(target="labels"))
    for name in ("lost", "recovered", "layer_compensation", "overlap", "pruned"):
        np.testing.assert_array_equal(result[name], moving[name])
    assert result.attrs["target"] == "labels"
    assert len(result.attrs["without"]) == 30
    assert "optimal-0.7-0: static strategies have no mask update: not zero, absent" in result.attrs["without"]
    dense = burden_decomposition(probed, target="dense")
    np.testing.assert_array_equal(dense["fit"], moving["fit"].sel(target="dense"))


def test_sums_shares_relaxation_and_residual(probed):
    result = burden_decomposition(probed)
    split = [result[name].to_numpy() for name in ("fit", "compensation", "covariance")]
    np.testing.assert_allclose(result["cumulative_covariance"], split[2].cumsum(axis=1))
    shares = [result[f"share_{name}"].to_numpy() for name in ("fit", "compensation", "covariance")]
    np.testing.assert_allclose(np.abs(shares).sum(axis=0), 1)
    np.testing.assert_array_equal(np.sign(shares[2]), np.sign(split[2]))
    np.testing.assert_allclose(shares[1], split[1] / (split[0] + split[1] + np.abs(split[2])))
    np.testing.assert_allclose(result["relaxation"], result["relaxed_new_fit"] - result["new_fit"])
    assert result["relaxation"][:, -1].isnull().all()
    assert np.isfinite(result["cumulative_relaxation"]).all()
    np.testing.assert_array_equal(result["cumulative_relaxation"][:, -1], result["cumulative_relaxation"][:, -2])
    assert float(result["worst_residual"].max()) < 1e-9
    broken = probed.assign(new_fit=probed["new_fit"] * xr.where(probed["update"] == 2, 1.25, 1.0))
    np.testing.assert_allclose(burden_decomposition(broken)["worst_residual"], 0.2)


def test_a_network_that_makes_no_error_and_does_not_change_leaves_nothing_to_explain(probed):
    terms = ("fit", "compensation", "covariance", "new_fit", "burden")
    idle = probed.assign({name: probed[name] * 0 for name in terms})
    result = burden_decomposition(idle)
    assert (result["worst_residual"] == 0).all()
    assert result["share_fit"].isnull().all()
    assert (result["cumulative_compensation"] == 0).all()


def test_updates_that_were_not_probed_are_skipped(store):
    write_probed(store, grid(3), every=2)
    dataset = open_study(store)
    result = burden_decomposition(dataset)
    fit = result["fit"].to_numpy()
    assert np.isnan(fit[:, 1::2]).all()
    np.testing.assert_allclose(result["cumulative_fit"], np.nancumsum(fit, axis=1))
    # The share is of probed updates: of 3, the last 50 % are 2.
    ends = endpoint(dataset, "fit", 0.5, "raw").to_numpy()[of(dataset, "iterative")]
    np.testing.assert_allclose(ends, fit[:, [2, 4]].mean(axis=1))


def test_sums_end_where_a_run_ends(store):
    runs = [{**run, "updates": 3} for run in grid(1)]
    write_probed(store, [*runs, {"run_id": "long", "strategy": "iterative", "sparsity": 0.5, "seed": 0}])
    result = burden_decomposition(open_study(store))
    assert result["cumulative_fit"][0].notnull().to_numpy().tolist() == [True] * 3 + [False] * 2


@pytest.mark.parametrize(
    ("indicator", "variable", "where"),
    [
        ("compensation", "compensation", {"target": "labels"}),
        ("compensation_labels", "compensation", {"target": "labels"}),
        ("covariance_dense", "covariance", {"target": "dense"}),
        ("relaxed_burden_dense", "relaxed_burden", {"target": "dense"}),
        ("recovered", "recovered", {"order": "mean"}),
        ("lost_returned_first", "lost", {"order": "returned_first"}),
        ("overlap", "overlap", {}),
    ],
)
def test_series_select_target_and_order(probed, indicator, variable, where):
    values = series(probed, indicator)
    assert values.dims == ("run", "update")
    np.testing.assert_array_equal(values, probed[variable].sel(where))
    assert values.attrs["long_name"]


def test_series_of_loads_are_of_the_median_unit_for_every_strategy(probed):
    load = series(probed, "load_inputs")
    np.testing.assert_allclose(load, probed["load_inputs"].sel(quantile=0.5).mean("layer"))
    assert np.isfinite(load).all()
    np.testing.assert_allclose(series(probed, "dead_units"), probed["dead_units"].sum("layer"))
    assert load.attrs["units"] == "weights"


def test_every_indicator_of_the_probe_has_a_series_and_an_endpoint(probed):
    for indicator in PROBE_INDICATORS:
        ends = endpoint(probed, indicator, scale="raw")
        assert np.isfinite(ends[of(probed, "iterative")]).all(), indicator


def test_endpoint_is_the_mean_over_the_last_share_of_updates(probed):
    ends = endpoint(probed, "compensation", 0.4)
    values = np.log10(probed["compensation"].sel(target="labels").to_numpy()[:, -2:]).mean(axis=1)
    np.testing.assert_allclose(ends, values)
    assert "probed updates" in ends.attrs["long_name"]
    # The last update has no later record: its relaxation is not a hole in the window.
    relaxed = endpoint(probed, "relaxation", 0.2, "raw")
    np.testing.assert_allclose(relaxed, series(probed, "relaxation")[:, -2])


def test_a_signed_term_has_no_logarithm(probed):
    with pytest.raises(InputError, match=r"covariance is zero or negative in iterative.*use scale='raw'"):
        endpoint(probed, "covariance", 1.0)
    assert np.isfinite(endpoint(probed, "covariance", 1.0, "raw")[of(probed, "iterative")]).all()


def test_compare_sparsities_names_the_static_strategies(probed):
    result = compare_sparsities(probed, "compensation")
    assert set(result.effects["strategy"]) == {"iterative"}
    assert result.outcome == "supported"
    assert "optimal: static strategies have no mask update: not zero, absent" in result.excluded
    assert "each run's own probed mask updates" in result.verdict
    raw = compare_sparsities(probed, "covariance", scale="raw", window=1.0)
    np.testing.assert_allclose(
        sorted(raw.effects["value"]),
        sorted(endpoint(probed, "covariance", 1.0, "raw").to_numpy()[of(probed, "iterative")]),
    )
    with pytest.raises(InputError, match=r"compensation needs mask updates \(random\): static"):
        compare_sparsities(probed, "compensation", strategy="random")


def test_compare_strategies_takes_loads_but_no_terms_of_static_strategies(probed):
    result = compare_strategies(probed, "load_weight_norm")
    assert set(result.effects["strategy"]) == {"iterative", "optimal", "random"}
    assert not result.excluded
    with pytest.raises(InputError, match=r"\(optimal, random\): static strategies have no mask update: not zero"):
        compare_strategies(probed, "burden_dense")


def test_two_strategies_that_update_their_masks_are_compared(probed):
    names = np.where(probed["strategy"].to_numpy() == "iterative", "other", probed["strategy"].to_numpy())
    twin = probed.isel(run=of(probed, "iterative"))
    both = xr.concat([twin, twin.assign_coords(strategy=("run", names[of(probed, "iterative")]))], dim="run")
    result = compare_strategies(both, "compensation", order=("iterative", "other"))
    assert set(result.effects["strategy"]) == {"iterative", "other"}


def test_what_was_not_probed_is_said(store, probed):
    plain = store.parent / "plain.zarr"
    write_recording(plain, grid(2))
    dataset = open_study(plain)
    for call in (burden_decomposition, lambda d: series(d, "fit"), lambda d: compare_sparsities(d, "load_inputs")):
        with pytest.raises(InputError, match="not probed: record it with --probe-every 1"):
            call(dataset)
    assert np.isfinite(endpoint(dataset, "weight_norm")).all()
    static = probed.isel(run=of(probed, "optimal", "random"))
    with pytest.raises(InputError, match="no run of this study has a probed mask update"):
        burden_decomposition(static)
    assert np.isfinite(endpoint(static, "load_inputs")).all()


def test_refusals(probed):
    with pytest.raises(InputError, match="target"):
        burden_decomposition(probed, target="label")
    with pytest.raises(InputError, match="compensation"):
        series(probed, "compensatoin")
    with pytest.raises(InputError, match="one value per mask update"):
        separation(probed, "load_inputs", "optimal", "iterative", sparsity=0.7)

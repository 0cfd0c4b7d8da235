from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from burden_analysis import INDICATORS, cumulative_mean, endpoint, global_norm, open_study, per_active_weight, series
from burden_analysis.indicators.endpoints import late_change
from recorders.contract import InputError
from tests.burden_analysis.synthetic import PARAMETERS, grid, levels, write_recording


@pytest.fixture
def study(store: Path) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    runs = grid(1)[:2]
    runs[1]["written"] = 3
    written = write_recording(store, runs)
    return open_study(store), {k: v.astype(float) for k, v in written.items()}


def test_every_indicator_against_numpy(study: tuple[xr.Dataset, dict[str, np.ndarray]]) -> None:
    ds, w = study
    rng = np.random.default_rng(0)
    for name in ("update_norm", "update_norm_mean"):  # off until asked
        w = w | {name: rng.uniform(1, 2, w["weight_norm"].shape)}
        ds = ds.assign({name: (("run", "record", "parameter"), np.where(ds.weight_norm.isnull(), np.nan, w[name]))})
    n = w["active_weights"]
    expected = {}
    for suffix in ("", "_mean"):
        for name in ("gradient_norm", "dense_gradient_norm", "weight_norm"):
            expected[name + suffix] = np.sqrt((w[name + suffix] ** 2).sum(2))
        for kind in ("gradient", "weight"):
            expected[f"{kind}_mean_abs{suffix}"] = (w[f"{kind}_mean_abs{suffix}"] * n).sum(2) / n.sum(2)
            expected[f"{kind}_rms{suffix}"] = np.sqrt((w[f"{kind}_norm{suffix}"] ** 2).sum(2) / n.sum(2))
        expected[f"update_norm{suffix}"] = np.sqrt((w[f"update_norm{suffix}"] ** 2).sum(2))
        expected[f"update_ratio{suffix}"] = expected[f"update_norm{suffix}"] / expected[f"weight_norm{suffix}"]
    expected["activation_rms"] = np.sqrt((w["activation_rms"] ** 2).mean(2))
    expected |= {"loss": w["loss"], "accuracy": w["accuracy"]}
    assert set(expected) == set(INDICATORS)
    for name, values in expected.items():
        got = series(ds, name)
        assert got.dims == ("run", "record")
        assert got.dtype == np.float64
        assert got.attrs["long_name"]
        np.testing.assert_allclose(got[0], values[0], rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(got[1, :3], values[1, :3], rtol=1e-12, err_msg=name)
        assert got[1, 3:].isnull().all(), name


def test_absent_tensors_are_left_out_but_recorded_nan_stays(store: Path) -> None:
    first = write_recording(store, grid(1)[:1], name="a")
    nan = {"gradient_norm": np.full((1, 5, 2), 2.0, np.float32)}
    nan["gradient_norm"][0, 3, 0] = np.nan
    write_recording(store, grid(1)[1:2], name="b", parameters=PARAMETERS[1:], values=nan)
    norm = global_norm(open_study(store), "gradient_norm")
    np.testing.assert_allclose(norm[0], np.sqrt((first["gradient_norm"][0].astype(float) ** 2).sum(1)))
    np.testing.assert_allclose(norm[1], [8**0.5, 8**0.5, 8**0.5, np.nan, 8**0.5])


def test_an_emptied_tensor_has_no_mean_and_no_weight(store: Path) -> None:
    active = np.tile(np.array([100.0, 0.0, 50.0]), (1, 5, 1))
    mean_abs = np.tile(np.array([1.0, np.nan, 4.0], np.float32), (1, 5, 1))
    norm = np.tile(np.array([3.0, 0.0, 4.0], np.float32), (1, 5, 1))
    values = {"active_weights": active, "gradient_mean_abs": mean_abs, "gradient_norm": norm}
    write_recording(store, grid(1)[:1], values=values)
    ds = open_study(store)
    np.testing.assert_allclose(series(ds, "gradient_mean_abs"), 2.0)
    np.testing.assert_allclose(per_active_weight(ds, "gradient_norm", whole_network=True), 5 / 150**0.5)
    np.testing.assert_allclose(per_active_weight(ds, "gradient_norm")[0, 0], [0.3, np.nan, 4 / 50**0.5])


def test_per_active_weight_of_interval_means(study: tuple[xr.Dataset, dict[str, np.ndarray]]) -> None:
    ds, w = study
    got = per_active_weight(ds, "weight_norm_mean")
    np.testing.assert_allclose(got[0], (w["weight_norm_mean"] / np.sqrt(w["active_weights"]))[0])
    xr.testing.assert_identical(
        per_active_weight(ds, "weight_norm_mean", whole_network=True), series(ds, "weight_rms_mean")
    )


def test_cumulative_mean_is_the_mean_over_all_steps(store: Path) -> None:
    steps, per_step = (4, 8, 12, 14), np.random.default_rng(3).lognormal(size=(14, 3))
    means = np.array([per_step[a:b].mean(0) for a, b in zip((0, *steps), steps, strict=False)])
    values = {"gradient_norm_mean": np.stack([means, means]).astype(np.float32)}
    write_recording(store, grid(1)[:2], steps=steps, values=values, updates=(8,))
    write_recording(store, grid(1)[2:3], name="other", steps=(7, 14), updates=(8,))
    ds = open_study(store)
    got = cumulative_mean(ds, "gradient_norm")
    own = ds.step.isin(steps).values
    np.testing.assert_allclose(got[0, own], [per_step[:s].mean(0) for s in steps], rtol=1e-6)
    assert got[0, ~own].isnull().all()
    xr.testing.assert_identical(got, cumulative_mean(ds, "gradient_norm_mean"))
    ds["gradient_norm_mean"][0, np.flatnonzero(own)[1], 0] = np.nan
    assert cumulative_mean(ds, "gradient_norm")[0, own, 0].isnull().values.tolist() == [False, True, True, True]


@pytest.mark.parametrize(
    ("window", "scale", "first", "second"),
    [
        (0.2, "log", 5.0, 3.0),  # records 10^1..10^5 in the first run, the second has three
        (0.21, "log", 4.5, 3.0),
        (0.4, "log", 4.5, 2.5),
        (1.0, "log", 3.0, 2.0),
        (0.2, "raw", 1e5, 1e3),
        (1.0, "raw", 22222.0, 370.0),
    ],
)
def test_endpoint_of_the_runs_own_records(store: Path, window: float, scale: str, first: float, second: float) -> None:
    runs = grid(1)[:2]
    runs[1]["written"] = 3
    write_recording(store, runs, values={"loss": np.tile(10.0 ** np.arange(1, 6), (2, 1)).astype(np.float32)})
    got = endpoint(open_study(store), "loss", window, scale)
    np.testing.assert_allclose(got, [first, second], rtol=1e-6)
    assert got.dims == ("run",)
    assert "strategy" in got.coords


def test_the_window_rounds_up_after_floating_noise(store: Path) -> None:
    steps = tuple(range(10, 310, 10))
    loss = np.tile(np.arange(30.0), (1, 1)).astype(np.float32)
    write_recording(store, grid(1)[:1], steps=steps, updates=(8,), values={"loss": loss})
    assert float(endpoint(open_study(store), "loss", 0.1, "raw")[0]) == 28.0  # 0.1 * 30 = 3.0000000000000004


WINDOWS = [  # share, records of the run, those before the last window, those in it
    (0.2, 2, [0], [1]),
    (0.2, 3, [1], [2]),
    (0.2, 4, [2], [3]),
    (0.2, 5, [3], [4]),
    (0.2, 6, [2, 3], [4, 5]),
    (0.2, 7, [3, 4], [5, 6]),
    (0.2, 10, [6, 7], [8, 9]),
    (0.2, 12, [6, 7, 8], [9, 10, 11]),
    (0.5, 3, [1], [2]),
    (0.5, 5, [1, 2], [3, 4]),
    (0.5, 6, [0, 1, 2], [3, 4, 5]),
    (0.5, 7, [1, 2, 3], [4, 5, 6]),
    (0.4, 3, [1], [2]),
]


@pytest.mark.parametrize(("window", "n", "before", "last"), WINDOWS)
def test_late_change_is_between_windows_that_share_no_record(
    store: Path, window: float, n: int, before: list[int], last: list[int]
) -> None:
    loss = 2.0 ** np.arange(12)[None]  # no two sets of records have one sum
    runs = [grid(1)[0] | {"written": n}]
    write_recording(store, runs, steps=tuple(range(10, 130, 10)), values={"loss": loss.astype(np.float32)})
    ds = open_study(store)
    expected = loss[0, last].mean() - loss[0, before].mean()
    np.testing.assert_allclose(late_change(ds, "loss", window, "raw"), [expected])
    np.testing.assert_allclose(late_change(ds, "loss", window), [np.log10(2.0) * len(last)], rtol=1e-6)


def test_a_single_record_does_not_change(store: Path) -> None:
    write_recording(store, [grid(1)[0] | {"written": 1}])
    assert np.isnan(late_change(open_study(store), "loss")).all()
    with pytest.raises(InputError, match="leaves no window"):
        late_change(open_study(store), "loss", 0.6)


def test_endpoint_skips_nan_only_where_a_series_has_its_own_cadence(store: Path) -> None:
    values = {"accuracy": np.array([[np.nan, 0.5, np.nan, 0.7, np.nan]], np.float32)}
    values["loss"] = np.array([[1, 1, 1, np.nan, 1]], np.float32)
    values["mine"] = np.array([[1, 2, 3, np.nan, 5]], np.float32)
    write_recording(store, grid(1)[:1], values=values, logged=("mine",))
    ds = open_study(store)
    np.testing.assert_allclose(endpoint(ds, "accuracy", 0.4, "raw"), [0.7])
    assert np.isnan(endpoint(ds, "accuracy", 0.2, "raw")).all()
    assert np.isnan(endpoint(ds, "loss", 0.4)).all()
    np.testing.assert_allclose(endpoint(ds, "mine", 0.4, "raw"), [5.0])


def test_wrong_requests_say_what_is_possible(store: Path) -> None:
    runs = grid(1)[:3]
    write_recording(store, runs, values=levels(runs, lambda r: 0.0 if r["strategy"] == "random" else 1.0))
    ds = open_study(store)
    for call, match in (
        (lambda: series(ds, "gradient_nrom"), "did you mean 'gradient_norm'"),
        (lambda: global_norm(ds, "gradient_mean_abs"), "unknown norm"),
        (lambda: per_active_weight(ds, "dense_gradient_norm"), "unknown norm over active weights"),
        (lambda: cumulative_mean(ds, "loss"), "unknown indicator with an interval mean"),
        (lambda: endpoint(ds, "loss", 0.0), r"\(0, 1\]"),
        (lambda: endpoint(ds, "loss", scale="ln"), "unknown scale"),
        (lambda: endpoint(ds, "gradient_mean_abs"), "zero or negative in random-0.7-0: "),
        (lambda: series(ds.drop_vars("activation_rms"), "activation_rms"), "did not record 'activation_rms'"),
    ):
        with pytest.raises(InputError, match=match):
            call()
    assert float(endpoint(ds, "gradient_mean_abs", scale="raw")[2]) == 0.0


def test_a_run_without_records_has_no_endpoint(store: Path) -> None:
    write_recording(store, [grid(1)[0], grid(1)[1] | {"written": 0}])
    for name in INDICATORS.keys() - {f"update_{what}{mean}" for what in ("norm", "ratio") for mean in ("", "_mean")}:
        assert np.isnan(endpoint(open_study(store), name)[1])
    write_recording(store, [r | {"written": 0} for r in grid(1)[2:4]], name="b")
    assert endpoint(open_study(store, recordings="b"), "gradient_norm").isnull().all()

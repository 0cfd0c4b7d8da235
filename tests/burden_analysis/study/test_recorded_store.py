"""A store that version 0.1.0 recorded (tests/stores/README.md) opens in every later version, and says the same."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from burden_analysis import burden_decomposition, compare_sparsities, compare_strategies, missing_runs, open_study
from burden_analysis.cli.main import main


@pytest.fixture(scope="module")
def study(recorded_store: Path) -> xr.Dataset:
    return open_study(recorded_store)


def run(study: xr.Dataset, run_id: str) -> xr.Dataset:
    return study.isel(run=study.run_id.values.tolist().index(run_id))


def test_every_run_is_there_with_its_state(study: xr.Dataset) -> None:
    grid = [
        f"{strategy}-s{sparsity}-seed{seed}"
        for strategy in ("iterative", "random", "optimal")
        for sparsity in (0.5, 0.8)
        for seed in (0, 1, 2)
    ]
    assert study.run_id.values.tolist() == [*grid, "mine-s0-seed0", "mine-s0-seed1"]
    assert study.status.values.tolist() == [*["complete"] * 19, "running"]
    assert study.records_written.values.tolist() == [*[9] * 18, 3, 2]
    assert study.updates_written.values.tolist() == [*[4] * 18, 0, 0]
    assert study.step.values.tolist() == [4, 8, 12, 16, 20, 24, 28, 32, 36]
    assert study.parameter.values.tolist() == ["hidden1.weight", "output.weight", "0.weight", "2.weight"]
    assert study.parameter_size.values.tolist() == [512, 80, 30, 15]
    assert study.layer.values.tolist() == ["hidden1", "0"]
    assert missing_runs(study)["run_id"].tolist() == ["mine-s0-seed1"]
    assert [len(set(study.initial_weights.values[study.seed == seed][:6])) for seed in (0, 1, 2)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("run_id", "parameter", "norm", "active", "loss", "accuracy"),
    [
        ("iterative-s0.5-seed0", "hidden1.weight", 0.37081724405288696, 235, 2.132059335708618, 0.21666666865348816),
        ("iterative-s0.8-seed2", "hidden1.weight", 0.34164348244667053, 62, 2.136554002761841, 0.2916666567325592),
        ("random-s0.5-seed2", "hidden1.weight", 0.39228081703186035, 252, 2.2416279315948486, 0.23888888955116272),
        ("optimal-s0.8-seed2", "hidden1.weight", 0.33798712491989136, 61, 2.1198606491088867, 0.32499998807907104),
    ],
)
def test_the_last_record_of_a_run_is_as_recorded(
    study: xr.Dataset, run_id: str, parameter: str, norm: float, active: int, loss: float, accuracy: float
) -> None:
    last = run(study, run_id).isel(record=-1)
    found = [last.gradient_norm.sel(parameter=parameter), last.loss, last.accuracy]
    np.testing.assert_allclose(found, [norm, loss, accuracy], rtol=1e-6)
    assert last.active_weights.sel(parameter=parameter) == active


def test_scalars_of_a_loop_of_ones_own_are_as_logged_and_uncommitted_ones_missing(study: xr.Dataset) -> None:
    np.testing.assert_array_equal(run(study, "mine-s0-seed0").margin, [0.75, 1.75, 2.75, *[np.nan] * 6])
    np.testing.assert_array_equal(run(study, "mine-s0-seed1").margin, [0.75, 1.75, *[np.nan] * 7])
    assert run(study, "mine-s0-seed0").loss[2].item() == pytest.approx(1.0560461282730103, rel=1e-6)
    assert run(study, "iterative-s0.5-seed0").margin.isnull().all()


def test_settings_and_provenance_are_those_of_the_recording(study: xr.Dataset) -> None:
    recordings = study.attrs["recordings"]
    assert list(recordings) == ["fig2", "mine-s0-seed0", "mine-s0-seed1"]
    config, provenance = recordings["fig2"]["config"], recordings["fig2"]["provenance"]
    told = {
        "data": "digits",
        "strategies": ["iterative", "optimal", "random"],
        "sparsities": [0.5, 0.8],
        "seeds": [0, 1, 2],
        "hidden": [8],
        "epochs": 3,
        "interval": 4,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "probe_size": 192,
    }
    assert {name: config[name] for name in told} == told
    assert provenance["versions"]["burden-analysis"] == "0.1.0"
    assert provenance["git"] == {"commit": "d9ebbce07c2308b8c3470fbfa797050568e0ffd7", "dirty": False}
    assert provenance["command"].startswith("burden record fig2 --hidden 8 --epochs 3")
    assert recordings["mine-s0-seed0"]["config"]["optimizer"]["name"] == "SGD"


def test_final_masks_are_read_without_this_package(recorded_store: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(recorded_store) as archive:
        archive.extractall(tmp_path / "s.zarr")
    masks = xr.open_zarr(tmp_path / "s.zarr", group="fig2/masks", consolidated=False).load()
    sums = {name: mask.values.reshape(18, -1).sum(1).tolist() for name, mask in masks.items()}
    hidden, output = [235, 233, 231, 67, 65, 61], [61, 63, 65, 51, 53, 57]
    assert sums == {
        "hidden1.weight": [*hidden, 254, 261, 252, 102, 106, 101, *hidden],
        "output.weight": [*output, 42, 35, 44, 16, 12, 17, *output],
    }


def test_strategies_sparsities_and_burden_are_compared_as_then(study: xr.Dataset) -> None:
    by_strategy = compare_strategies(study, "gradient_norm", order=("iterative", "optimal", "random"))
    assert by_strategy.outcome == "unsupported"
    joint = by_strategy.table.iloc[0]
    assert (joint["scope"], joint["statistic"], joint["n"]) == ("all sparsities", 62, 3)
    assert joint["p"] == pytest.approx(215 / 216)
    ratio = by_strategy.table.query("question == 'optimal / iterative' and scope == 'sparsity 0.5'")
    assert ratio["effect"].item() == pytest.approx(1.012451, rel=1e-6)
    by_sparsity = compare_sparsities(study, "gradient_norm")
    assert "mine-s0-seed1: running" in by_sparsity.verdict
    looked = run(burden_decomposition(study), "iterative-s0.5-seed0")
    total = looked["fit"] + looked["compensation"] + looked["covariance"]
    np.testing.assert_allclose(total, looked["new_fit"], rtol=1e-9)
    assert looked["fit"].values[:2] == pytest.approx([0.9139, 0.8907], abs=1e-4)


def test_recording_the_same_study_again_repeats_nothing(
    recorded_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "s.zarr"
    with zipfile.ZipFile(recorded_store) as archive:
        archive.extractall(store)
    asked = (
        *("record", "fig2", "--hidden", "8", "--epochs", "3", "--interval", "4"),
        *("--sparsities", "0.5", "0.8", "--seeds", "0", "1", "2", "--out"),
    )
    with pytest.raises(SystemExit) as ended:
        main([*asked, str(store)])
    assert (ended.value.code, capsys.readouterr().err) == (0, "18 of 18 runs are finished already\n")
    assert sorted(name for name, _ in zarr.open_group(store, mode="r").groups()) == [
        *("fig2", "mine-s0-seed0", "mine-s0-seed1")
    ]

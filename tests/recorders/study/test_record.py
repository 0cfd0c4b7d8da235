from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from torch import nn

from recorders.contract import InputError, Status
from recorders.settings.runs import Run
from recorders.settings.settings import Settings
from recorders.study.assignment import Outcome
from recorders.study.progress import Progress
from recorders.study.record import Resources, record_study
from recorders.training.profile import SECTIONS

SETTINGS = Settings().with_values(
    strategies=("iterative", "optimal", "random", "dense"),
    sparsities=(0.5, 0.9),
    seeds=(0, 1),
    hidden=(20, 10),
    epochs=3,
    interval=5,
    learning_rate=0.01,
)
CPU = Resources(torch.device("cpu"), workers=2)


def record(settings: Settings, store: Path, **more: object) -> list[Outcome]:
    return record_study(settings, store, name="fig2", using=CPU, **more)  # type: ignore[arg-type]


def load(store: Path, name: str = "fig2") -> xr.Dataset:
    dataset = xr.open_zarr(store, group=name).load()
    return dataset.assign_coords(run=[str(name) for name in dataset.run_id.values])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("study") / "study.zarr"
    outcomes = record(SETTINGS, store)
    assert len(outcomes) == 14
    assert {o.status for o in outcomes} == {Status.COMPLETE}
    return store


def test_every_record_is_there_once(study: Path) -> None:
    dataset = load(study)
    assert dataset.step.values.tolist() == [5, 10, 15, 20, 25, 30, 35, 36]  # 12 batches × 3 epochs
    for name in ("gradient_norm", "gradient_norm_mean", "weight_mean_abs", "active_weights", "activation_rms", "loss"):
        assert np.isfinite(dataset[name]).all(), name
    assert (dataset.interval_steps.sum("record") == 36).all()
    assert (dataset.accuracy.notnull().sum("record") == 3).all()
    assert (dataset.accuracy.sel(run=["dense-s0-seed0", "dense-s0-seed1"]).isel(record=-1) > 0.8).all()


def test_counts_are_exact_and_optimal_has_the_mask_of_its_iterative_run(study: Path) -> None:
    dataset = load(study)
    masks = xr.open_zarr(study, group="fig2/masks").load().assign_coords(run=dataset.run.values)
    total = 64 * 20 + 20 * 10 + 10 * 10
    for run in dataset.run.values:
        sparsity = float(dataset.sparsity.sel(run=run))
        active = sum(int(mask.sel(run=run).sum()) for mask in masks.values())
        assert active == round((1 - sparsity) * total), run
        if "optimal" in run:
            twin = run.replace("optimal", "iterative")
            assert all(bool((mask.sel(run=run) == mask.sel(run=twin)).all()) for mask in masks.values())
    random = masks["hidden1.weight"].sel(run="random-s0.9-seed0")
    assert bool((random != masks["hidden1.weight"].sel(run="iterative-s0.9-seed0")).any())


def test_all_strategies_of_a_seed_start_from_the_same_weights(study: Path) -> None:
    dataset = load(study)
    for seed in (0, 1):
        assert len(set(dataset.initial_weights.values[dataset.seed == seed])) == 1
    assert len(set(dataset.initial_weights.values)) == 2
    # Until the first mask that removes anything (step 16) iterative and dense runs are the same training, bit for bit.
    early = dataset.isel(record=slice(3))
    for seed in (0, 1):
        dense = early.sel(run=f"dense-s0-seed{seed}")
        for sparsity in (0.5, 0.9):
            iterative = early.sel(run=f"iterative-s{sparsity}-seed{seed}")
            for name in ("loss", "gradient_norm", "weight_norm", "gradient_mean_abs_mean"):
                np.testing.assert_array_equal(iterative[name], dense[name])


def test_the_schedule_is_recorded_as_asked_and_as_done(study: Path) -> None:
    dataset = load(study)
    iterative = dataset.sel(run="iterative-s0.9-seed0")
    assert iterative.update_step.values.tolist() == [0, 16, 32, 36]
    assert iterative.pruned.isel(update=0).sum() == 0
    total = 1580
    left = total - (iterative.pruned.sum("parameter") - iterative.regrown.sum("parameter")).cumsum("update")
    targets = [0.9 * (1 - (1 - t / 36) ** 3) for t in (0, 16, 32, 36)]
    assert left.values.tolist() == [round((1 - s) * total) for s in targets]
    np.testing.assert_allclose(iterative.actual_sparsity, iterative.target_sparsity, atol=0.5 / total + 1e-6)
    assert iterative.actual_sparsity.values[-1] == pytest.approx(targets[2], abs=1 / total)  # its step came before 36
    static = dataset.sel(run="random-s0.9-seed0")
    assert static.update_step.values.tolist() == [0, 16, 32, 36]  # the probe looked at its load
    assert static.pruned.isnull().all()
    assert (static.active_weights.sum("parameter") == 158).all()
    assert (dataset.sel(run="dense-s0-seed0").active_weights.sum("parameter") == total).all()


def test_the_burden_is_recorded_and_adds_up(study: Path) -> None:
    dataset = load(study)
    iterative = dataset.sel(run=[r for r in dataset.run.values if r.startswith("iterative")])
    total = iterative.fit + iterative.compensation + iterative.covariance
    np.testing.assert_allclose(total, iterative.new_fit, rtol=1e-9)
    relaxed = iterative.relaxed_fit + iterative.relaxed_compensation + iterative.relaxed_covariance
    np.testing.assert_allclose(relaxed, iterative.relaxed_new_fit, rtol=1e-9)
    assert iterative.relaxed_new_fit.isnull().all(["run", "target"]).values.tolist() == [False, False, False, True]
    layers = iterative.layer_fit + iterative.layer_compensation + iterative.layer_covariance
    np.testing.assert_allclose(layers, iterative.layer_new_fit, rtol=1e-9, atol=1e-15)
    assert (iterative.compensation.isel(update=0) == 0).all()  # the first update removes nothing
    assert (iterative.compensation.isel(update=slice(1, None)) > 0).all()
    assert (iterative.fit.sel(target="dense").isel(update=0) == 0).all()
    assert (iterative.overlap.isel(update=-1) == 1).all()
    assert (iterative.overlap.diff("update") > 0).all()
    static = dataset.sel(run=[r for r in dataset.run.values if not r.startswith("iterative")])
    assert static.fit.isnull().all()
    assert static.overlap.isnull().all()
    assert dataset.load_inputs.notnull().all()
    assert (dataset.load_inputs.sel(quantile=1) <= 64).all()


def test_probing_changes_no_bit_of_the_training(study: Path, tmp_path: Path) -> None:
    settings = SETTINGS.with_values(strategies=("iterative", "random"), sparsities=(0.9,), seeds=(0,))
    for every in (0, 2):
        store = tmp_path / f"{every}.zarr"
        record(settings.with_values(probe_every=every), store)
        mine, probed = load(store), load(study).sel(run=load(store).run)
        for name in ("loss", "gradient_norm_mean", "weight_norm", "accuracy"):
            np.testing.assert_array_equal(mine[name], probed[name])
        masks = [xr.open_zarr(s, group="fig2/masks").load()["hidden1.weight"] for s in (store, study)]
        np.testing.assert_array_equal(masks[0][0], masks[1][load(study).run == "iterative-s0.9-seed0"][0])
    assert "fit" not in load(tmp_path / "0.zarr")
    looked = load(tmp_path / "2.zarr").fit.sel(run="iterative-s0.9-seed0", target="labels")
    assert looked.notnull().values.tolist() == [True, False, True, False]


def test_dense_and_static_gradients_differ_where_weights_are_pruned(study: Path) -> None:
    dataset = load(study)
    pruned = dataset.sel(run=["random-s0.9-seed0", "optimal-s0.9-seed1"])
    assert (pruned.dense_gradient_norm > pruned.gradient_norm).all()
    dense = dataset.sel(run="dense-s0-seed0")
    np.testing.assert_array_equal(dense.dense_gradient_norm, dense.gradient_norm)


def test_rerunning_repeats_nothing_and_more_runs_go_beside(study: Path) -> None:
    before = load(study)
    assert record(SETTINGS, study) == []
    more = record(SETTINGS.with_values(strategies=("optimal",), seeds=(0, 2), sparsities=(0.9,)), study)
    assert [o.run.run_id for o in more] == ["iterative-s0.9-seed2", "optimal-s0.9-seed2"]
    xr.testing.assert_identical(load(study), before)
    assert load(study, "fig2-2").run_id.values.tolist() == ["iterative-s0.9-seed2", "optimal-s0.9-seed2"]


def test_other_settings_or_images_need_another_store(study: Path) -> None:
    with pytest.raises(InputError, match=r"with other settings \(epochs 3 there, 4 asked\): choose another --out"):
        record(SETTINGS.with_values(epochs=4), study)


def test_an_interrupted_study_is_completed_to_the_same_numbers(study: Path, tmp_path: Path) -> None:
    store, settings = tmp_path / "s.zarr", SETTINGS.with_values(seeds=(0,), sparsities=(0.9,))

    class StopError(Exception):
        pass

    class Interrupting(Progress):
        def ended(self, run_id: str, status: Status, reason: str) -> None:
            raise StopError

    with pytest.raises(StopError):
        record(settings, store, progress=Interrupting(silent=True))
    left = xr.open_zarr(store, group="fig2", consolidated=False)
    assert "complete" in left.status.values
    assert "planned" in left.status.values
    again = record(settings, store)
    assert 0 < len(again) < 4
    reference, completed = load(study), load(store)
    for run in completed.run.values:
        xr.testing.assert_equal(completed.sel(run=run).drop_vars("run"), reference.sel(run=run).drop_vars("run"))


def test_one_diverged_run_stops_neither_others_nor_the_record(tmp_path: Path) -> None:
    settings = SETTINGS.with_values(
        strategies=("iterative", "optimal"), seeds=(0,), sparsities=(0.9,), learning_rate=1e38
    )
    outcomes = {o.run.strategy: o for o in record(settings.with_values(optimizer="sgd"), tmp_path / "s.zarr")}
    assert outcomes["iterative"].status is Status.DIVERGED
    assert outcomes["optimal"].status is Status.FAILED
    assert "needs the final mask of its iterative run, which is diverged" in outcomes["optimal"].reason
    dataset = xr.open_zarr(tmp_path / "s.zarr", group="fig2", consolidated=False)
    assert np.isnan(dataset.dense_gradient_norm.isel(run=0, record=-1)).all()


def test_a_layer_that_empties_fails_the_run_by_name_unless_allowed(tmp_path: Path) -> None:
    settings = SETTINGS.with_values(strategies=("random",), allocation="uniform", sparsities=(0.996,), seeds=(0,))
    with pytest.raises(InputError, match=r"sparsity 0\.996 empties layer 'output\.weight' \(100 weights\)"):
        record(settings, tmp_path / "a.zarr")
    assert record(settings.with_values(allow_empty_layers=True), tmp_path / "a.zarr")[0].status is Status.COMPLETE
    late = SETTINGS.with_values(strategies=("iterative",), sparsities=(0.994,), seeds=(0,))
    outcome = record(late, tmp_path / "b.zarr")[0]
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("no active weight left in layer '")


def test_a_stack_records_what_processes_record(study: Path, tmp_path: Path) -> None:
    """The path a GPU takes, on the CPU; sums in another order, so close and not equal."""
    store, stack = tmp_path / "s.zarr", replace(CPU, stacked=True)
    outcomes = record_study(SETTINGS, store, name="fig2", using=stack)
    assert {o.status for o in outcomes} == {Status.COMPLETE}
    dataset = load(store)
    # Two records, before rounding errors grow; an optimal run's mask already carries the rounding of 36 steps.
    first = dataset.isel(record=slice(2)).sel(run=dataset.strategy != "optimal")
    reference = load(study).isel(record=slice(2)).sel(run=first.run)
    for name in ("gradient_norm", "gradient_norm_mean", "weight_mean_abs", "activation_rms", "loss"):
        np.testing.assert_allclose(first[name], reference[name], rtol=1e-3, err_msg=name)
    np.testing.assert_array_equal(first.initial_weights, reference.initial_weights)
    masks = xr.open_zarr(store, group="fig2/masks").load()
    active = sum(mask.sum([d for d in mask.dims if d != "run"]) for mask in masks.values())
    assert active.values.tolist() == [round((1 - s) * 1580) for s in dataset.sparsity.values]
    assert record_study(SETTINGS, store, name="fig2", using=CPU) == []


class Bottleneck(nn.Module):
    """Somebody's own network, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.GELU(), nn.Dropout(0.1))
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.inside(x))
        return result


def test_any_module_can_be_studied_and_its_runs_repeat(tmp_path: Path) -> None:
    settings = SETTINGS.with_values(strategies=("iterative", "random"), sparsities=(0.8,), seeds=(0,), allocation="erk")
    for name in ("a", "b"):
        record(settings, tmp_path / f"{name}.zarr", model=Bottleneck)
    first, second = (load(tmp_path / f"{name}.zarr") for name in "ab")
    xr.testing.assert_equal(first, second)
    assert first.parameter.values.tolist() == ["inside.1.weight", "head.weight"]
    assert first.run_id.values.tolist() == ["iterative-s0.8-seed0", "random-erk-s0.8-seed0"]
    with pytest.raises(InputError, match="model"):
        record(settings, tmp_path / "a.zarr")


def _sized(units: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, units), nn.Linear(units, 10))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: _sized(3), "model '<lambda>' cannot be sent to worker processes: define it with `def`"),
        (_sized, r"model '_sized' must be callable without arguments \(missing a required argument: 'units'\)"),
        (partial(_sized, 3), r"model must be a function or a class, got functools\.partial"),
    ],
)
def test_a_model_that_a_study_cannot_make_is_refused_before_anything_is_written(
    tmp_path: Path, model: object, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        record(SETTINGS, tmp_path / "s.zarr", model=model)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_store_may_be_text_and_the_model_of_a_stack_need_not_be_sent(tmp_path: Path) -> None:
    settings = SETTINGS.with_values(strategies=("dense",), seeds=(0, 1), epochs=1)
    stacked = Resources(torch.device("cpu"), workers=1, stacked=True)
    outcomes = record_study(settings, str(tmp_path / "s.zarr"), using=stacked, model=lambda: _sized(3))
    assert {o.status for o in outcomes} == {Status.COMPLETE}


def test_run_names_are_stable() -> None:
    assert Run("random", 0.9, 3, "matched").run_id == "random-matched-s0.9-seed3"
    assert Run("random", 0.9, 3, "global").run_id == "random-s0.9-seed3"
    assert Run("dense", 0.0, 3).run_id == "dense-s0-seed3"


def test_one_run_without_its_mask_does_not_fail_its_stack(study: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    settings = SETTINGS.with_values(strategies=("iterative",), sparsities=(0.9,))
    record(settings, store)
    zarr.open_array(store / "fig2" / "status", mode="r+")[0] = "diverged"
    outcomes = record_study(
        settings.with_values(strategies=("optimal",)), store, name="fig2", using=replace(CPU, stacked=True)
    )
    assert {o.run.seed: o.status for o in outcomes} == {0: Status.FAILED, 1: Status.COMPLETE}


def test_static_runs_of_a_stack_have_no_mask_updates(tmp_path: Path) -> None:
    settings = SETTINGS.with_values(strategies=("iterative", "random"), seeds=(0,), epochs=1, probe_every=0)
    record_study(settings, tmp_path / "s.zarr", name="fig2", using=replace(CPU, stacked=True))
    dataset = load(tmp_path / "s.zarr")
    static = dataset.strategy == "random"
    assert dataset.update_step.isel(run=static.values).isnull().all()
    assert dataset.updates_written.values.tolist() == [2, 2, 0, 0]


def test_dropout_cannot_be_stacked(tmp_path: Path) -> None:
    settings = SETTINGS.with_values(strategies=("iterative",), sparsities=(0.5, 0.8), seeds=(0,), epochs=1)
    with pytest.raises(InputError, match="dropout cannot be trained as a stack: pass --stacked no"):
        record_study(settings, tmp_path / "s.zarr", using=replace(CPU, stacked=True), model=Bottleneck)


def test_empty_layers_can_be_allowed_in_the_same_store_and_allocations_share_one(tmp_path: Path) -> None:
    settings = SETTINGS.with_values(strategies=("iterative",), sparsities=(0.994,), seeds=(0,))
    assert record(settings, tmp_path / "s.zarr")[0].status is Status.FAILED
    assert record(settings.with_values(allow_empty_layers=True), tmp_path / "s.zarr")[0].status is Status.COMPLETE
    about = json.loads(str(zarr.open_group(tmp_path / "s.zarr" / "fig2", mode="r").attrs["provenance"]))
    assert len(about["resumed"]) == 1
    assert about["arithmetic"]["threads"] == CPU.threads == 1
    both = settings.with_values(strategies=("random",), sparsities=(0.5,))
    for allocation in ("global", "erk"):
        record(both.with_values(allocation=allocation), tmp_path / "s.zarr")
    assert load(tmp_path / "s.zarr", "fig2-3").run_id.values.tolist() == ["random-erk-s0.5-seed0"]


@pytest.mark.parametrize("stacked", [False, True])
def test_a_profile_changes_no_number(tmp_path: Path, stacked: bool) -> None:
    methods = ("iterative", "optimal", "rigl", "gumbel")
    settings = SETTINGS.with_values(strategies=methods, seeds=(0,), pruning_interval=8)
    using = Resources(torch.device("cpu"), workers=2, stacked=stacked)
    plain = record_study(settings, tmp_path / "plain.zarr", name="fig2", using=using)
    began = time.perf_counter()
    timed = record_study(settings, tmp_path / "timed.zarr", name="fig2", using=replace(using, profiled=True))
    whole = time.perf_counter() - began
    assert {o.status for o in (*plain, *timed)} == {Status.COMPLETE}
    xr.testing.assert_identical(load(tmp_path / "plain.zarr").drop_attrs(), load(tmp_path / "timed.zarr").drop_attrs())
    assert not any(outcome.seconds for outcome in plain)
    for outcome in timed:
        assert tuple(outcome.seconds) == SECTIONS
        assert all(seconds > 0 for seconds in outcome.seconds.values()), outcome.run.run_id
    assert sum(sum(outcome.seconds.values()) for outcome in timed) < (1 if stacked else 2) * whole

"""Axes of a study, presets of the tables study, and what a ViT study records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from burden_analysis import open_study
from recorders.contract import InputError
from recorders.data import load
from recorders.networks.factory import default_model, network_of
from recorders.seeding import with_seeded_weights
from recorders.settings.axes import block_coordinates, block_name, blocks, without_axes
from recorders.settings.presets import preset
from recorders.settings.runs import Run, plan_runs
from recorders.settings.settings import NetworkSettings, Settings
from recorders.study.record import record_study
from recorders.study.resources import Resources


def test_the_full_grid_has_the_800_runs_of_the_published_tables() -> None:
    parts = blocks(preset("tables"))
    assert len(parts) == 32
    assert sum(len(plan_runs(part)) for part in parts) == 800
    assert block_name("tables", parts[0]) == "tables-384x3-epochs40-lr0.00125"
    assert block_name("tables", parts[-1]) == "tables-768x6-epochs60-lr0.01"
    assert block_coordinates(parts[-1]) == {
        "embed_dim": 768,
        "num_heads": 6,
        "epochs": 60,
        "base_learning_rate": 0.01,
    }


@pytest.mark.parametrize(("name", "runs"), [("tables-setup", 200), ("tables-column", 25), ("tables-mini", 36)])
def test_presets_are_parts_of_the_grid(name: str, runs: int) -> None:
    assert sum(len(plan_runs(part)) for part in blocks(preset("tables", name=name))) == runs


def test_a_preset_of_another_study_and_an_unknown_axis_are_refused() -> None:
    with pytest.raises(InputError, match="unknown preset of fig2 'tables-mini'"):
        preset("fig2", name="tables-mini")
    with pytest.raises(InputError, match=r"unknown axis 'learning_rat'.*did you mean 'learning_rate'"):
        blocks(Settings(axes=("learning_rat=1",)))
    with pytest.raises(InputError, match="must be given once and as NAME=VALUE,VALUE"):
        blocks(Settings(axes=("epochs",)))
    with pytest.raises(InputError, match="epochs must be a valid integer, got 'two'"):
        blocks(Settings(axes=("epochs=1,two",)))
    for values in ("0.001,0.001", "1e-3,0.001"):
        with pytest.raises(InputError, match=f"axis learning_rate has duplicates: {values.replace(',', ', ')}"):
            blocks(Settings(axes=("epochs=1,2", f"learning_rate={values}")))


def test_axes_from_yaml_and_flags_are_the_same() -> None:
    assert Settings.from_dict({"axes": {"epochs": [1, 2]}}).axes == ("epochs=1,2",)
    assert [part.training.epochs for part in blocks(Settings(axes=("epochs=1,2",)))] == [1, 2]
    assert without_axes(Settings(axes=("epochs=1,2", "setup=8x2")), ["epochs"]).axes == ("setup=8x2",)


@pytest.mark.parametrize("setup", ["384", "384x", "ax3", "0x3"])
def test_a_setup_of_another_form_is_refused(setup: str) -> None:
    with pytest.raises(InputError, match="EMBEDDINGxHEADS"):
        Settings(network=NetworkSettings(setup=setup))


def test_compression_is_part_of_a_run() -> None:
    assert Run("iterative", 0.9, 0, compression=0.4).run_id == "iterative-s0.9-seed0-compression=0.4"
    assert Run("iterative", 0.9, 0).run_id == "iterative-s0.9-seed0"
    assert Run("optimal", 0.9, 0, compression=0.4).needs == Run("iterative", 0.9, 0, compression=0.4)
    with pytest.raises(InputError, match=r"compressions must be less than or equal to 1, got 1\.2 \(Token merging"):
        Settings(compressions=(1.2,))


def tiny(**changes: object) -> Settings:
    values = {
        "setup": "16x2",
        "patch": 2,
        "depth": 2,
        "mlp_ratio": 2.0,
        "sparsities": (0.8,),
        "compressions": (0.0, 0.8),
        "strategies": ("iterative",),
        "seeds": (0,),
        "epochs": 2,
        "interval": 6,
        "probe_size": 16,
    }
    return Settings().with_values(**(values | changes))


HERE = Resources(torch.device("cpu"), workers=1)


def test_a_vit_study_records_merging_and_accuracy(tmp_path: Path) -> None:
    settings = tiny(axes=("learning_rate=0.001,0.002",))
    outcomes = record_study(settings, tmp_path / "s.zarr", name="tables", using=HERE)
    assert [o.reason for o in outcomes] == [""] * 4
    with open_study(tmp_path / "s.zarr") as dataset:
        dataset = dataset.load()
    assert sorted(dataset["base_learning_rate"].to_numpy()) == [0.001, 0.001, 0.002, 0.002]
    assert set(dataset["embed_dim"].to_numpy()) == {16}
    merged = dataset.isel(run=dataset["compression"].to_numpy() == 0.8)
    plain = dataset.isel(run=dataset["compression"].to_numpy() == 0.0)
    assert set(merged["tokens_kept"].to_numpy().ravel()) == {1 + 16 - 6}
    assert set(plain["tokens_kept"].to_numpy().ravel()) == {17}
    counts = np.stack([merged[f"merged_size_{i}"].to_numpy() for i in range(1, 9)])
    np.testing.assert_allclose(counts.sum(0), 10, rtol=1e-6)
    assert (dataset["images_per_second"].to_numpy() > 0).all()
    accuracy = dataset["accuracy"].to_numpy()
    assert np.isfinite(accuracy).sum() == 4 * 2  # every epoch
    assert (dataset["compensation"].max(("update", "target")) > 0).all()
    assert record_study(settings, tmp_path / "s.zarr", name="tables", using=HERE) == []
    with pytest.raises(InputError, match=r"holds recording 'tables-lr0\.001' with other settings"):
        record_study(tiny(depth=1), tmp_path / "s.zarr", using=HERE)


def test_one_value_of_an_axis_completes_the_store_of_the_whole(tmp_path: Path) -> None:
    record_study(
        tiny(epochs=1, compressions=(0.0,), axes=("learning_rate=0.001,0.002",)), tmp_path / "s.zarr", using=HERE
    )
    one = tiny(epochs=1, compressions=(0.0, 0.4), learning_rate=0.002)
    outcomes = record_study(one, tmp_path / "s.zarr", using=HERE)
    assert [o.run.compression for o in outcomes] == [0.4]


def test_merging_starts_from_the_same_weights_and_leaves_ratio_0_as_it_is(tmp_path: Path) -> None:
    record_study(tiny(epochs=1), tmp_path / "s.zarr", using=HERE)
    with open_study(tmp_path / "s.zarr") as dataset:
        assert len(set(dataset["initial_weights"].to_numpy())) == 1
        loss = dataset["loss"].to_numpy()
    assert not np.array_equal(loss[0], loss[1])
    settings, data = tiny(), load("digits")
    make = default_model(data, settings)
    plain = with_seeded_weights(0, make)
    merged = network_of(Run("iterative", 0.8, 0, compression=0.0), make, settings)
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(plain(x), merged(x))


def test_every_block_is_checked_before_the_first_one_trains(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 heads do not divide embedding 16"):
        record_study(tiny(axes=("setup=16x2,16x3",)), tmp_path / "s.zarr", using=HERE)
    assert not (tmp_path / "s.zarr").exists()


def test_data_and_what_runs_say_themselves_are_no_axes() -> None:
    for axis in ("data=digits,mnist", "image_size=8,16", "allocation=global,erk"):
        with pytest.raises(InputError, match="unknown axis"):
            blocks(Settings(axes=(axis,)))


def test_augmentation_may_be_an_axis_of_an_mlp(tmp_path: Path) -> None:
    settings = Settings().with_values(
        strategies=("dense",), seeds=(0,), epochs=1, hidden=(8,), probe_every=0, axes=("flip=false,true",)
    )
    record_study(settings, tmp_path / "s.zarr", using=HERE)
    with open_study(tmp_path / "s.zarr") as dataset:
        assert dataset["flip"].to_numpy().tolist() == [False, True]
        assert not np.array_equal(*dataset["loss"].to_numpy())


def test_a_value_more_of_an_axis_is_told_apart_and_a_new_axis_refused(tmp_path: Path) -> None:
    base = Settings().with_values(strategies=("dense",), seeds=(0,), epochs=1, hidden=(8,), probe_every=0)
    record_study(base.with_values(axes=("batch_size=64,128",)), tmp_path / "s.zarr", using=HERE)
    outcomes = record_study(base.with_values(batch_size=256), tmp_path / "s.zarr", using=HERE)
    assert len(outcomes) == 1
    with open_study(tmp_path / "s.zarr") as dataset:
        assert sorted(dataset["batch_size"].to_numpy()) == [64, 128, 256]
    with pytest.raises(InputError, match="does not say its momentum: choose another --out"):
        record_study(base.with_values(axes=("batch_size=64,128", "momentum=0.1,0.2")), tmp_path / "s.zarr", using=HERE)


def test_a_vit_cannot_train_in_a_stack(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="token merging cannot train as a stack"):
        record_study(tiny(), tmp_path / "s.zarr", using=Resources(torch.device("cpu"), 1, stacked=True))


def test_errors_of_a_vit_study_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 heads do not divide embedding 16"):
        record_study(tiny(setup="16x3"), tmp_path / "a.zarr", using=HERE)
    with pytest.raises(InputError, match="image_size 8 is not divisible by patch 3"):
        record_study(tiny(patch=3), tmp_path / "b.zarr", using=HERE)
    assert not (tmp_path / "a.zarr" / "study").exists()


@pytest.mark.parametrize("where", ["recorders.study.worker.train", "recorders.study.worker.MaskProbe"])
def test_running_out_of_memory_is_a_failed_run_that_says_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(where, full)
    using = Resources(torch.device("cpu"), workers=1, stacked=True)  # in this process
    settings = Settings().with_values(strategies=("iterative",), sparsities=(0.8,), seeds=(0,), epochs=1)
    outcomes = record_study(settings, tmp_path / "s.zarr", using=using)
    assert [o.status.value for o in outcomes] == ["failed"]
    assert "out of memory on cpu: lower --batch-size" in outcomes[0].reason


def test_data_that_do_not_fit_fail_every_run_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("recorders.data.DataSet.to", full)
    settings = Settings().with_values(strategies=("iterative", "dense"), sparsities=(0.8,), seeds=(0,), epochs=1)
    outcomes = record_study(settings, tmp_path / "s.zarr", using=Resources(torch.device("cpu"), 1, stacked=True))
    assert {o.run.strategy: o.reason for o in outcomes} == dict.fromkeys(
        ("iterative", "dense"), "digits does not fit on cpu: change --data or --device"
    )


def test_bfloat16_trains_nearly_like_float32(tmp_path: Path) -> None:
    losses = []
    for precision in ("bfloat16", "float32"):
        settings = tiny(epochs=1, compressions=(0.0,), precision=precision, probe_every=0)
        assert [o.reason for o in record_study(settings, tmp_path / precision, using=HERE)] == [""]
        with open_study(tmp_path / precision) as dataset:
            losses.append(dataset["loss"].to_numpy())
    np.testing.assert_allclose(*losses, rtol=0.05)
    assert not np.array_equal(*losses)

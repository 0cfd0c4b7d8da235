from __future__ import annotations

from pathlib import Path

import pytest
import torch
import zarr

from recorders.contract import InputError
from recorders.data import load
from recorders.settings.runs import plan_runs
from recorders.settings.settings import Settings
from recorders.study.planning import plan_study
from recorders.study.record import record_study
from recorders.study.resources import Resources

SETTINGS = Settings().with_values(
    strategies=("optimal",), sparsities=(0.5,), seeds=(0,), hidden=(8,), interval=5, axes=("epochs=1,2", "flip=no,yes")
)
STACK = Resources(torch.device("cpu"), workers=1, stacked=True)


def test_a_plan_has_every_recording_with_its_runs_and_its_shape() -> None:
    plan = plan_study(SETTINGS, name="mine", using=STACK)
    assert [(b.name, b.settings.training.epochs, b.settings.data.flip) for b in plan.blocks] == [
        ("mine-epochs1-flip0", 1, False),
        ("mine-epochs1-flip1", 1, True),
        ("mine-epochs2-flip0", 2, False),
        ("mine-epochs2-flip1", 2, True),
    ]
    for block in plan.blocks:
        assert list(block.runs) == plan_runs(block.settings)
        assert [run["strategy"] for run in block.layout.runs] == ["iterative", "optimal"]
        assert int(block.layout.steps[-1]) == 12 * block.settings.training.epochs
        assert block.layout.parameters == {"hidden1.weight": (8, 64), "output.weight": (10, 8)}
    assert plan.images_of(plan.blocks[1]) is plan.images  # drawn anew, a batch at a time
    assert plan.images_of(plan.blocks[0]).train_images.dtype == torch.float32
    assert plan.images_of(plan.blocks[2]) is plan.images_of(plan.blocks[0])
    assert plan.checksum == load("digits").checksum()


def test_what_is_planned_is_what_is_recorded(tmp_path: Path) -> None:
    plan = plan_study(SETTINGS, name="mine", using=STACK)
    record_study(SETTINGS, tmp_path / "s.zarr", name="mine", using=STACK)
    groups = dict(zarr.open_group(tmp_path / "s.zarr", mode="r", use_consolidated=False).groups())
    assert set(groups) == {block.name for block in plan.blocks}
    for block in plan.blocks:
        assert groups[block.name]["loss"].shape == (len(block.runs), len(block.layout.steps))


def test_images_are_padded_and_may_be_ones_own() -> None:
    data = load("digits")
    plan = plan_study(Settings().with_values(image_size=12), data=data, using=STACK)
    assert plan.images.image_shape == (1, 12, 12)
    assert plan.blocks[0].layout.parameters["hidden1.weight"] == (300, 144)


def test_what_cannot_be_recorded_is_not_planned() -> None:
    with pytest.raises(InputError, match="token merging cannot train as a stack: pass --stacked no"):
        plan_study(Settings(compressions=(0.0, 0.4)), using=STACK)
    with pytest.raises(InputError, match=r"sparsity 0\.9999 empties layer"):
        plan_study(Settings(sparsities=(0.9999,)), using=STACK)

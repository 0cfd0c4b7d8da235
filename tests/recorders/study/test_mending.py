"""A study is damaged while it is not finished, and the same command is given again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from burden_analysis import open_study
from burden_analysis.study.damage import DamageWarning
from recorders.contract import InputError, Status
from recorders.settings.settings import Settings
from recorders.store.writer import RecordingWriter
from recorders.study.record import record_study
from recorders.study.resources import Resources
from recorders.upkeep import compaction
from recorders.upkeep.verification import store_findings

HERE = Resources(torch.device("cpu"), workers=1, stacked=True)
SETTINGS = Settings().with_values(
    strategies=("iterative", "optimal"), sparsities=(0.8,), seeds=(0,), epochs=2, hidden=(8,), probe_every=0
)
ITERATIVE, OPTIMAL = 0, 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    store = tmp_path_factory.mktemp("whole") / "s.zarr"
    record_study(SETTINGS, store, using=HERE)
    return open_study(store)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first run is complete, the second has records and was interrupted."""
    store = tmp_path_factory.mktemp("unfinished") / "s.zarr"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("recorders.study.record.compact", lambda *_: None)
        record_study(SETTINGS, store, using=HERE)
    RecordingWriter(store, "study", [OPTIMAL]).set_status(OPTIMAL, Status.INTERRUPTED, "stopped")
    return store


def remove(name: str, row: int) -> Callable[[Path], None]:
    def change(recording: Path) -> None:
        path = recording / name / "c" / str(row)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def empty(name: str) -> Callable[[Path], None]:
    return lambda recording: (recording / name).write_bytes(b"") and None


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        (lambda _: None, 1),
        (remove("loss", OPTIMAL), 1),
        (remove("loss", ITERATIVE), 2),
        (remove("records_written", ITERATIVE), 2),
        (remove("status", ITERATIVE), 2),
        (remove("commits", OPTIMAL), 1),
        (remove("masks/hidden1.weight", ITERATIVE), 2),
        (empty("loss/zarr.json"), 2),
        (empty("zarr.json"), 2),
        (lambda recording: (recording / "zarr.json").unlink(), 2),
        (lambda recording: (recording / "masks" / "zarr.json").unlink(), 1),
        (lambda recording: (recording.parent / "zarr.json").unlink(), 1),
        (lambda recording: shutil.rmtree(recording / "sparsity" / "c"), 2),
    ],
)
def test_a_rerun_gets_over_damage_and_ends_as_if_nothing_had_been(
    damage: Callable[[Path], None], again: int, whole: xr.Dataset, unfinished: Path, tmp_path: Path
) -> None:
    store = tmp_path / "s.zarr"
    shutil.copytree(unfinished, store)
    damage(store / "study")
    assert len(record_study(SETTINGS, store, using=HERE)) == again
    assert list(store_findings(store)) == []
    study = open_study(store)
    for name, variable in whole.variables.items():
        if name not in ("images_per_second", "status_reason"):
            if variable.dtype.kind == "f":  # stacks of another size differ in the last bits
                np.testing.assert_allclose(study[name].values, variable.values, rtol=1e-4, err_msg=str(name))
            else:
                np.testing.assert_array_equal(study[name].values, variable.values, err_msg=str(name))


def test_a_finished_recording_is_never_moved_unasked(tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    settings = SETTINGS.with_values(strategies=("dense",))
    record_study(settings, store, using=HERE)
    path = store / "study" / "zarr.json"
    path.write_text(path.read_text().replace('\\"epochs\\": 2', '\\"epochs\\": 3'))
    with pytest.raises(InputError, match=r"zarr.json is not what was written: restore it .*moves what there is of"):
        record_study(settings, store, using=HERE)
    assert path.exists()


def test_damage_before_the_compaction_is_not_sealed(
    unfinished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that is lost while the last run trains is found by the compaction."""
    store = tmp_path / "s.zarr"
    shutil.copytree(unfinished, store)
    seal = compaction.check_whole

    def losing(place: Path, name: str) -> None:
        shutil.rmtree(place / name / "loss" / "c" / str(ITERATIVE))
        seal(place, name)

    monkeypatch.setattr(compaction, "check_whole", losing)
    with pytest.raises(Exception, match="loss/c/0 is not what was committed, so recording 'study' stays as it is"):
        record_study(SETTINGS, store, using=HERE)
    with pytest.warns(DamageWarning, match="left out: study/loss of iterative"):
        study = open_study(store)
    assert np.isnan(study["loss"].values[ITERATIVE]).all()
    assert np.isfinite(study["loss"].values[OPTIMAL]).all()

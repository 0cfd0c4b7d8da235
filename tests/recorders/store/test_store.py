from __future__ import annotations

import contextlib
import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from recorders.contract import InputError, RunError, Status
from recorders.measure.background import BackgroundWriter
from recorders.store.disk import disk_errors
from recorders.store.layout import RECORDS_PER_CHUNK, Layout, record_steps
from recorders.store.lock import exclusive, root_lock
from recorders.store.recording import create_recording
from recorders.store.recovery import recover
from recorders.store.root import open_root, recording_names
from recorders.store.writer import RecordingWriter
from recorders.upkeep.compaction import compact, consolidate, is_compact

RUNS = [{"run_id": f"iterative-s0.9-seed{s}", "strategy": "iterative", "sparsity": 0.9, "seed": s} for s in range(3)]


def layout(records: int = 250, runs_per_chunk: int = 1) -> Layout:
    return Layout(
        RUNS,
        {"a.weight": (2, 3), "b.weight": (3,)},
        ["a"],
        record_steps(10, 10 * records),
        5.0,
        updates=4,
        runs_per_chunk=runs_per_chunk,
    )


def create(store: Path, name: str = "fig2", **arguments: int) -> Path:
    create_recording(store, name, layout(**arguments), config={"epochs": 1}, provenance={"git": None})
    return store


def finish(store: Path, name: str = "fig2") -> None:
    for row in range(3):
        writer = RecordingWriter(store, name, [row])
        writer.begin(["digest"])
        for start in (0, 100):
            writer.write_records(start, {"gradient_norm": np.full((1, 100, 2), row + 1.0), "loss": np.ones((1, 100))})
        writer.write_updates(0, {"update_step": np.array([[0.0, 16.0]]), "pruned": np.ones((1, 2, 2))})
        writer.write_masks(row, {"a.weight": np.eye(2, 3) > 0, "b.weight": np.array([True, False, True])})
        writer.set_status(row, Status.COMPLETE)


def test_a_fresh_recording_opens_with_everything_missing(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr")
    dataset = xr.open_zarr(store, group="fig2", consolidated=False)
    assert dict(dataset.sizes) == {"run": 3, "record": 250, "parameter": 2, "layer": 1, "update": 4}
    assert np.isnan(dataset.gradient_norm).all()
    assert set(dataset.status.values) == {"planned"}
    assert dataset.records_written.values.tolist() == [0, 0, 0]
    assert dataset.epoch.values[:2].tolist() == [2.0, 4.0]
    assert json.loads(dataset.attrs["config"]) == {"epochs": 1}


def test_each_run_has_files_of_its_own(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr", records=2 * RECORDS_PER_CHUNK)
    before = {p for p in store.rglob("*") if p.is_file()}
    RecordingWriter(store, "fig2", [1]).write_records(RECORDS_PER_CHUNK, {"gradient_norm": np.ones((1, 100, 2))})
    written = {str(p.relative_to(store)) for p in store.rglob("*") if p.is_file()} - {
        str(p.relative_to(store)) for p in before
    }
    assert written == {"fig2/gradient_norm/c/1/1/0", "fig2/commits/c/1", "fig2/records_written/c/1"}


def test_records_are_committed_after_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    original = zarr.Array.__setitem__

    def spy(self: zarr.Array, key: object, value: object) -> None:
        order.append(self.name)
        original(self, key, value)

    store = create(tmp_path / "s.zarr")
    monkeypatch.setattr(zarr.Array, "__setitem__", spy)
    RecordingWriter(store, "fig2", [0]).write_records(0, {"loss": np.ones((1, 5)), "gradient_norm": np.ones((1, 5, 2))})
    assert order == ["/loss", "/gradient_norm", "/commits", "/records_written"]


def test_compaction_trims_and_changes_no_value(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr")
    compact(store, "fig2")
    assert not is_compact(store, "fig2")  # runs are not finished
    finish(store)
    before = xr.open_zarr(store, group="fig2", consolidated=False).load()
    masks = xr.open_zarr(store, group="fig2/masks", consolidated=False).load()
    compact(store, "fig2")
    consolidate(store)
    after = xr.open_zarr(store, group="fig2").load()
    trimmed = before.drop_vars("commits").isel(record=slice(200), update=slice(2))
    xr.testing.assert_equal(after, trimmed)
    xr.testing.assert_identical(masks, xr.open_zarr(store, group="fig2/masks").load())
    assert after.attrs.pop("compact") is True
    assert after.attrs.pop("finished")
    assert set(after.attrs.pop("manifest")) == set(before.attrs.pop("manifest")) - {"commits"}
    assert after.attrs.pop("file_crc32c")
    assert after.attrs.pop("crc32c") != before.attrs.pop("crc32c")
    assert after.attrs == before.attrs
    assert sorted(p.name for p in store.iterdir()) == ["fig2", "zarr.json"]


def test_a_new_recording_is_seen_beside_a_consolidated_one(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr")
    finish(store)
    compact(store, "fig2")
    consolidate(store)
    create(store, "other")
    assert recording_names(store) == ["fig2", "other"]
    assert set(xr.open_zarr(store, group="other", consolidated=False).status.values) == {"planned"}
    consolidate(store)  # must not: 'other' is still being written
    assert "consolidated_metadata" not in json.loads((store / "zarr.json").read_text())


def test_a_swap_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr")
    finish(store)
    compact(store, "fig2")
    (store / "fig2").rename(store / ".fig2.compact")  # as killed between the two renames
    shutil.copytree(store / ".fig2.compact", store / ".fig2.old")
    recover(store, "fig2")
    assert recording_names(store) == ["fig2"]
    shutil.copytree(store / "fig2", store / ".fig2.old")  # as killed after the second rename
    recover(store, "fig2")
    assert sorted(p.name for p in store.iterdir()) == ["fig2", "zarr.json"]


def test_a_half_created_recording_is_replaced(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr", "first")
    (store / ".fig2.tmp" / "loss").mkdir(parents=True)
    create(store)
    assert recording_names(store) == ["fig2", "first"]


def test_foreign_newer_and_existing_stores_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("x")
    zarr.open_group(tmp_path / "foreign", mode="w", zarr_format=3)
    zarr.open_group(tmp_path / "newer", mode="w", zarr_format=3, attributes={"burden_schema": 99})
    for name, message in {
        "plain": "plain is not a study store",
        "file": "file is not a study store",
        "foreign": "foreign is a zarr group, but not a study store",
        "newer": "newer has schema 99, this version reads up to 2: upgrade",
    }.items():
        with pytest.raises(InputError, match=message):
            open_root(tmp_path / name, create=True)
    store = create(tmp_path / "s.zarr")
    with pytest.raises(InputError, match="already holds a recording 'fig2'"):
        create(store)


def test_only_one_process_writes(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "s.zarr"),
        pytest.raises(InputError, match=r"s\.zarr is being written by process \d+ on host"),
        exclusive(tmp_path / "s.zarr"),
    ):
        pass
    store = tmp_path / "s.zarr"
    with exclusive(store), exclusive(store, "study"), exclusive(store, "root"), root_lock(store):
        pass  # four different things
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (errno.ENOSPC, RunError, "no space left for here: free some and rerun"),
        (errno.EACCES, InputError, "cannot write to here: reason; choose another place"),
        (errno.EIO, RunError, "cannot write to here: reason"),
    ],
)
def test_disk_errors_become_one_line(code: int, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message), disk_errors(Path("here")):
        raise OSError(code, "reason")


def test_the_writing_thread_hands_its_error_back_and_commits_nothing_after_it() -> None:
    done: list[int] = []
    writer = BackgroundWriter()

    def fail() -> None:
        raise RunError("disk full")

    writer.submit(lambda: done.append(1))
    writer.submit(fail)
    with contextlib.suppress(RunError):  # whether a submission meets the error is a matter of time
        for _ in range(100):
            writer.submit(lambda: done.append(2))
    with pytest.raises(RunError, match="disk full"):
        writer.close()
    assert done == [1]


def test_a_dense_mask_is_written_into_a_recording_of_the_first_version(tmp_path: Path, recorded_store: Path) -> None:
    """Its arrays are False where nothing is written, those of today True."""
    shutil.unpack_archive(recorded_store, tmp_path)
    store = min((path.parent for path in tmp_path.rglob("zarr.json")), key=lambda path: len(path.parts))
    name = recording_names(store)[0]
    shutil.rmtree(next((store / name / "masks").iterdir()) / "c")  # as if no run had finished yet
    writer = RecordingWriter(store, name, [0])
    dense = {parameter: np.ones_like(mask) for parameter, mask in writer.read_masks(0).items()}
    assert not all(mask.all() for mask in writer.read_masks(0).values())
    writer.write_masks(0, dense)
    assert all(mask.all() for mask in writer.read_masks(0).values())


def test_a_mask_that_an_earlier_try_left_is_written_over(tmp_path: Path) -> None:
    writer = RecordingWriter(create(tmp_path / "s.zarr"), "fig2", [0])
    writer.write_masks(0, {"a.weight": np.eye(2, 3) > 0, "b.weight": np.ones(3, bool)})
    writer.write_masks(0, {"a.weight": np.ones((2, 3), bool), "b.weight": np.ones(3, bool)})
    assert all(mask.all() for mask in writer.read_masks(0).values())

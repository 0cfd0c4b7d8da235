from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from recorders.contract import RunError
from recorders.store.files import RecordingFiles, drop
from recorders.store.writer import RecordingWriter
from tests.recorders.store.test_store import create


@pytest.mark.parametrize("gone", ["fig2", "."])
def test_a_writer_never_makes_what_is_not_there(tmp_path: Path, gone: str) -> None:
    store = create(tmp_path / "s.zarr")
    writer = RecordingWriter(store, "fig2", [0])
    writer.begin(["digest"])
    writer.write_records(0, {"loss": np.ones((1, 3))})
    shutil.rmtree(store / gone)
    for write in (
        lambda: writer.write_records(3, {"loss": np.ones((1, 3))}),
        lambda: writer.write_records(3, {"new": np.ones((1, 3))}),
        lambda: writer.write_masks(0, {"a.weight": np.eye(2, 3) > 0}),
    ):
        with pytest.raises(RunError, match="fig2 is gone: it was moved or deleted while it was recorded"):
            write()
    assert not (store / gone).exists()


def test_a_store_deleted_between_two_files_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = create(tmp_path / "s.zarr")
    writer = RecordingWriter(store, "fig2", [0])
    writer.begin(["digest"])
    put = RecordingFiles._put

    def deleting(files: RecordingFiles, path: Path, content: Any) -> None:
        shutil.rmtree(store, ignore_errors=True)
        put(files, path, content)

    monkeypatch.setattr(RecordingFiles, "_put", deleting)
    with pytest.raises(RunError, match="is gone"):
        writer.write_records(0, {"loss": np.ones((1, 3))})
    assert not store.exists()


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = create(tmp_path / "s.zarr")
    group = zarr.open_group(RecordingFiles(store / "fig2"), mode="r+")
    before = sorted(store.rglob("*"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        group["status"][0] = "running"
    monkeypatch.undo()
    assert sorted(store.rglob("*")) == before


def test_power_has_every_file_on_the_disk_before_the_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = create(tmp_path / "s.zarr")
    synced: list[str] = []
    fsync, put = os.fsync, RecordingFiles._put

    def noting(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink().relative_to(store / "fig2")))
        fsync(handle)

    def putting(files: RecordingFiles, path: Path, content: Any) -> None:
        put(files, path, content)
        synced.append(f"wrote {path.relative_to(store / 'fig2')}")

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(RecordingFiles, "_put", putting)
    RecordingWriter(store, "fig2", [1]).write_records(0, {"loss": np.ones((1, 3))})
    assert [line for line in synced if not line.startswith("wrote")] == []
    RecordingWriter(store, "fig2", [1], "power").write_records(3, {"loss": np.ones((1, 3))})
    last = synced[-8:]
    assert last.index("loss/c/1/0") < last.index("wrote records_written/c/1") < last.index("records_written/c/1")
    assert last.index("commits/c/1") < last.index("wrote records_written/c/1")
    assert {"loss/c/1", "commits/c", "records_written/c"} <= set(synced)  # a new name is on the disk with its folder


def test_what_lies_in_a_place_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    for name in ("folder", "file", "link", "nothing"):
        drop(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_array_that_is_gone_is_not_made_again_as_a_stump(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr")
    writer = RecordingWriter(store, "fig2", [0])
    writer.begin(["digest"])
    writer.write_records(0, {"loss": np.ones((1, 3))})
    shutil.rmtree(store / "fig2" / "loss")
    with pytest.raises(RunError, match="fig2/loss is gone: it was moved or deleted while it was recorded"):
        writer.write_records(3, {"loss": np.ones((1, 3))})
    assert not (store / "fig2" / "loss" / "c").exists()

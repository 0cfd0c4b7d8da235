"""A writer may be killed before any of its files: what it committed is there, and nobody takes the rest for damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from burden_analysis import open_study
from recorders.contract import InputError, Status
from recorders.store.files import RecordingFiles
from recorders.store.writer import RecordingWriter
from recorders.upkeep.verification import store_findings
from tests.recorders.store.test_store import create

Work = Callable[[RecordingWriter], object]


class Killed(BaseException):
    pass


def records(start: int, count: int, **more: float) -> dict[str, Any]:
    steps = np.arange(start, start + count, dtype=float)
    return {"loss": steps[None], "gradient_norm": np.stack([steps, -steps], axis=1)[None]} | {
        name: np.full((1, count), value) for name, value in more.items()
    }


def first(writer: RecordingWriter) -> None:
    writer.begin(["digest"])
    writer.write_records(0, records(0, 7))
    writer.write_updates(0, {"update_step": np.array([[3.0]]), "pruned": np.ones((1, 1, 2))})


def second(writer: RecordingWriter) -> None:
    writer.write_records(7, records(7, 5, mine=2.0))
    writer.write_updates(1, {"update_step": np.array([[9.0, 11.0]]), "pruned": np.ones((1, 2, 2))})
    writer.write_records(12, records(12, 2))


def ending(writer: RecordingWriter) -> None:
    writer.write_masks(0, {"a.weight": np.eye(2, 3) > 0, "b.weight": np.array([True, True, True])})
    writer.write_remark(0, "a remark")
    writer.set_status(0, Status.COMPLETE)


def rewinding(writer: RecordingWriter) -> None:
    assert writer.rewind(0, 4, after=20) == 1
    writer.write_records(4, records(40, 3))


DONE: dict[str, list[Work]] = {
    "second": [first],
    "ending": [first, second],
    "rewinding": [first],
    "first": [first, second],
}
WORKS: dict[str, Work] = {"first": first, "second": second, "ending": ending, "rewinding": rewinding}


def committed(store: Path) -> tuple[int, int, np.ndarray]:
    """Open, with warnings as errors, and give the marks and the losses of the first run."""
    assert list(store_findings(store)) == []
    study = open_study(store)
    assert "left_out" not in study.attrs
    run = study.isel(run=0)
    marks = int(run["records_written"]), int(run["updates_written"])
    losses = run["loss"].values
    np.testing.assert_array_equal(np.isfinite(losses), np.arange(len(losses)) < marks[0])
    return *marks, losses[: marks[0]]


@pytest.mark.parametrize("name", WORKS)
def test_a_writer_killed_before_any_file_leaves_whole_commits(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = create(tmp_path / "prepared.zarr", records=20)
    for work in DONE[name]:
        work(RecordingWriter(prepared, "fig2", [0]))
    put, seen, files = RecordingFiles._put, set(), 0
    while True:
        store = tmp_path / "s.zarr"
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(prepared, store)
        left = files

        def putting(to: RecordingFiles, path: Path, content: Any) -> None:
            nonlocal left
            if not left:
                raise Killed
            left -= 1
            put(to, path, content)

        with monkeypatch.context() as patched:
            patched.setattr(RecordingFiles, "_put", putting)
            try:
                WORKS[name](RecordingWriter(store, "fig2", [0]))
            except Killed:
                files += 1
            else:
                break
        *marks, losses = committed(store)
        seen.add(tuple(marks))
        np.testing.assert_array_equal(losses[:4], np.arange(14.0)[: min(4, marks[0])])
        RecordingWriter(store, "fig2", [0]).begin(["digest"])  # and it can start over
        assert committed(store)[:2] == (0, 0)
    expected = {
        "first": {(14, 3), (0, 3), (0, 0), (7, 0), (7, 1)},
        "second": {(7, 1), (12, 1), (12, 3), (14, 3)},
        "ending": {(14, 3)},
        "rewinding": {(7, 1), (4, 1), (7, 1)},
    }
    assert seen <= expected[name]
    assert len(seen) > (name != "ending")
    assert files >= 5


@pytest.mark.parametrize("name", ["loss", "gradient_norm", "pruned", "mine"])
def test_what_was_lost_below_the_mark_is_no_start_of_a_resumption(tmp_path: Path, name: str) -> None:
    store = create(tmp_path / "s.zarr", records=20)
    for work in (first, second):
        work(RecordingWriter(store, "fig2", [0]))
    shutil.rmtree(store / "fig2" / name / "c" / "0")
    with pytest.raises(InputError, match=rf"fig2/{name} is not what was committed: start the run over"):
        RecordingWriter(store, "fig2", [0]).rewind(0, 4, after=20)


def test_a_chunk_that_a_power_cut_emptied_beyond_the_mark_is_in_nobodys_way(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr", records=1100)
    writer = RecordingWriter(store, "fig2", [0])
    writer.begin(["digest"])
    writer.write_records(0, records(0, 520))
    (store / "fig2" / "loss" / "c" / "0" / "2").write_bytes(b"")
    assert RecordingWriter(store, "fig2", [0]).rewind(0, 400, after=0) == 0
    RecordingWriter(store, "fig2", [0]).write_records(400, records(900, 3))
    assert committed(store)[0] == 403
    assert open_study(store)["loss"].values[0, 398:403].tolist() == [398, 399, 900, 901, 902]


def test_a_run_that_starts_over_removes_what_it_wrote_and_nothing_of_others(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr", records=20)
    for row in (0, 1):
        for work in (first, second):
            work(RecordingWriter(store, "fig2", [row]))
    other = open_study(store).isel(run=1)
    chunk = store / "fig2" / "loss" / "c" / "0" / "0"
    chunk.write_bytes(b"")  # what a power cut leaves
    writer = RecordingWriter(store, "fig2", [0])
    writer.begin(["digest"])
    assert not [path for path in store.glob("fig2/*/c/0/*") if path.parent.parent.parent.name in ("loss", "mine")]
    writer.write_records(0, records(50, 3))
    assert open_study(store)["loss"].values[0, :4].tolist() == pytest.approx([50, 51, 52, np.nan], nan_ok=True)
    assert np.isnan(open_study(store)["mine"].values[0]).all()
    xr.testing.assert_identical(open_study(store).isel(run=1), other)


def test_rows_of_a_shared_chunk_start_over_beside_others(tmp_path: Path) -> None:
    store = create(tmp_path / "s.zarr", records=20, runs_per_chunk=3)
    values = {name: np.repeat(value, 3, axis=0) for name, value in records(0, 5).items()}
    whole = RecordingWriter(store, "fig2", [0, 1, 2])
    whole.begin(["digest"] * 3)
    whole.write_records(0, values)
    RecordingWriter(store, "fig2", [1]).begin(["digest"])
    assert open_study(store)["records_written"].values.tolist() == [5, 0, 5]
    assert list(store_findings(store)) == []
    chunk = store / "fig2" / "loss" / "c" / "0" / "0"
    chunk.write_bytes(b"junk")
    whole.begin(["digest"] * 3)
    assert not chunk.exists()
    whole.write_records(0, values)
    chunk.write_bytes(b"junk")
    RecordingWriter(store, "fig2", [1]).begin(["digest"])  # the others are lost with it, which is not hidden
    assert [finding.rows for finding in store_findings(store)] == [(0,), (2,)]

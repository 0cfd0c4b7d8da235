from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr

from burden_analysis import missing_runs, open_study
from burden_analysis.study import reading as reading_module
from burden_analysis.study.damage import DamageWarning
from burden_analysis.study.unpacking import check_size, unpacked
from recorders.contract import InputError
from tests.burden_analysis.synthetic import grid, write_recording, write_root


def test_one_complete_recording_reads_as_written(store: Path) -> None:
    written = write_recording(store, grid(2))
    ds = open_study(store)
    for name, values in written.items():
        np.testing.assert_array_equal(ds[name].values, values, err_msg=name)
    assert dict(ds.sizes) == {"run": 18, "record": 5, "parameter": 3, "layer": 2, "update": 5}
    assert set(ds.coords) == {
        *("run_id", "strategy", "sparsity", "seed", "recording", "step", "epoch"),
        *("parameter", "parameter_layer", "parameter_size", "layer"),
    }
    assert ds.step.dtype == np.int64
    assert ds.attrs["recordings"] == {"fig2": {"config": {"study": "fig2"}, "provenance": {"git": "abc"}}}
    json.dumps(ds.attrs)
    assert all(isinstance(v.data, np.ndarray) for v in ds.variables.values() if v.dims != ("parameter",))


def test_agrees_with_plain_xarray(store: Path) -> None:
    write_recording(store, grid(1))
    ours = open_study(store).drop_vars("recording")
    plain = xr.open_zarr(store, group="fig2", consolidated=False, decode_times=False).load()
    assert set(ours.coords) == set(plain.coords)
    for name in plain.variables:
        np.testing.assert_array_equal(ours[name].values.astype(plain[name].dtype), plain[name].values)


def test_uncommitted_records_and_updates_are_blank(store: Path) -> None:
    runs = grid(1)[:3]
    for run, written, updates, status in zip(
        runs, (4, 2, 0), (3, 1, 0), ("complete", "running", "planned"), strict=True
    ):
        run.update(written=written, updates=updates, status=status)
    values = write_recording(store, runs)
    ds = open_study(store)
    assert ds.step.values.tolist() == [10, 20, 30, 40]
    for name in ("gradient_norm", "loss", "activation_rms", "interval_steps"):
        np.testing.assert_array_equal(ds[name][0], values[name][0, :4])
        np.testing.assert_array_equal(ds[name][1, :2], values[name][1, :2])
        assert ds[name][1, 2:].isnull().all()
        assert ds[name][2].isnull().all()
    assert ds.update_step.notnull().sum("update").values.tolist() == [3, 1, 0]
    assert ds.regrown.notnull().all("parameter").sum("update").values.tolist() == [3, 1, 0]
    assert ds.sizes["update"] == 3


def test_a_study_without_any_record_opens(store: Path) -> None:
    write_recording(store, [r | {"written": 0, "status": "planned"} for r in grid(1)])
    ds = open_study(store)
    assert ds.sizes["record"] == 0
    assert len(missing_runs(ds)) == 9


def test_a_compacted_recording_without_a_record_adds_its_runs_and_no_steps(store: Path) -> None:
    """Stores of older versions hold such recordings: compaction left out whatever was empty."""
    write_recording(store, grid(1))
    write_recording(store, [grid(1)[0] | {"run_id": "empty", "written": 0}], name="empty")
    group = zarr.open_group(store / "empty", mode="r+")
    for name in [n for n, a in group.arrays() if {"record", "update"} & set(a.metadata.dimension_names)]:
        del group[name]
    assert open_study(store, recordings="empty").sizes["record"] == 0
    ds = open_study(store)
    assert ds.sizes["run"] == 10
    assert ds.records_written.sel(run=ds.recording == "empty").values.tolist() == [0]
    assert ds.gradient_norm[ds.recording == "empty"].isnull().all()
    np.testing.assert_array_equal(ds.step, open_study(store, recordings="fig2").step)


def test_missing_runs_lists_what_has_not_finished(store: Path) -> None:
    states = ["complete", "diverged", "running", "failed", "planned"]
    runs = [r | {"status": s, "status_reason": f"why {s}"} for r, s in zip(grid(1), states, strict=False)]
    write_recording(store, runs)
    table = missing_runs(open_study(store))
    assert table["status"].tolist() == ["running", "failed", "planned"]
    assert table.columns.tolist() == [
        *("run_id", "strategy", "sparsity", "seed", "status", "status_reason", "records_written")
    ]
    assert table.loc[1, "status_reason"] == "why failed"


def test_recordings_of_different_schedules_are_joined(store: Path) -> None:
    first = write_recording(store, grid(1)[:2], name="a", steps=(10, 20, 30), updates=(8, 16))
    extra = [r | {"allocation": "global", "run_id": "x"} for r in grid(1)[:1]]
    second = write_recording(
        store, extra, name="b", steps=(15, 30, 45, 60), parameters=("fc10.weight", "fc2.weight"), per_epoch=15
    )
    ds = open_study(store)
    assert ds.step.values.tolist() == [10, 15, 20, 30, 45, 60]
    assert ds.parameter.values.tolist() == ["fc1.weight", "fc2.weight", "fc10.weight"]
    assert ds.recording.values.tolist() == ["a", "a", "b"]
    assert ds.allocation.values.tolist() == ["", "", "global"]
    np.testing.assert_array_equal(ds.gradient_norm[:2, [0, 2, 3]], first["gradient_norm"])
    np.testing.assert_array_equal(ds.gradient_norm[2, [1, 3, 4, 5]][:, [2, 1]], second["gradient_norm"][0])
    assert ds.gradient_norm[:2, [1, 4, 5]].isnull().all()
    assert ds.gradient_norm[2].sel(parameter="fc1.weight").isnull().all()
    assert ds.update_step.values[0, 2:].tolist() == pytest.approx([np.nan] * 3, nan_ok=True)
    assert ds.parameter_size.dtype == np.int64
    assert ds.records_written.dtype == np.int64
    # step 30 is epoch 3 in one recording and epoch 2 in the other
    np.testing.assert_array_equal(ds.epoch.values, [1, 1, 2, np.nan, 3, 4])
    assert open_study(store, recordings="b").sizes["run"] == 1
    assert list(open_study(store, recordings=["b", "a"]).attrs["recordings"]) == ["b", "a"]


def test_zip_url_and_consolidated_read_the_same(store: Path) -> None:
    write_recording(store, grid(1))
    expected = open_study(store)
    for archive, top in ((store.with_suffix(".zip"), store), (store.with_name("outer.zip"), store.parent)):
        with zipfile.ZipFile(archive, "w") as handle:
            for path in store.rglob("*"):
                if path.is_file():
                    handle.write(path, path.relative_to(top))
        xr.testing.assert_identical(open_study(archive), expected)
    xr.testing.assert_identical(open_study(store.as_uri()), expected)
    with pytest.warns(zarr.errors.ZarrUserWarning):
        zarr.consolidate_metadata(store, path="fig2")
    xr.testing.assert_identical(open_study(store), expected)


@pytest.mark.parametrize("stored", [{"compressors": zarr.codecs.GzipCodec()}, {"shards": (18, 4), "chunks": (6, 2)}])
def test_what_others_encoded_zarr_decodes(store: Path, stored: dict[str, Any]) -> None:
    write_recording(store, grid(2))
    expected = open_study(store)
    group = zarr.open_group(store / "fig2", mode="r+")
    values, attributes = group["loss"][:], group["loss"].attrs.asdict()
    shape = {"shape": (18, 8), "dtype": "float32", "fill_value": np.nan, "dimension_names": ("run", "record")}
    array = group.create_array("loss", overwrite=True, attributes=attributes, **shape, **stored)
    array[:, :5] = values
    archive = store.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as handle:
        for path in store.rglob("*"):
            handle.write(path, path.relative_to(store))
    for place in (store, archive, store.as_uri()):
        xr.testing.assert_identical(open_study(place), expected)
        xr.testing.assert_identical(open_study(place, chunks={"record": 3}).compute(), expected)


def test_a_chunk_of_another_size_is_damage(store: Path) -> None:
    write_recording(store, grid(1))
    chunks = store / "fig2" / "loss" / "c"
    (chunks / "0" / "0").write_bytes((store / "fig2" / "epoch" / "c" / "0").read_bytes())
    with pytest.warns(
        DamageWarning, match=r"fig2/loss .*fig2/loss/c/0/0 cannot be read \(it holds \d+ bytes, not 96\)"
    ):
        open_study(store)


def test_interrupted_compaction_reads_the_recording_moved_aside(store: Path) -> None:
    write_recording(store, grid(1))
    expected = open_study(store)
    (store / ".junk").mkdir()
    (store / "fig2").rename(store / ".fig2.old")
    xr.testing.assert_identical(open_study(store), expected)


def test_a_recording_swapped_while_it_is_read_is_read_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recording(store, grid(1))
    write_recording(store, grid(1), name=".next", seed=9)
    zarr.open_group(store / ".next").attrs["compact"] = True
    read, calls = reading_module._Reading.recording, []

    def swapping(reading: Any) -> Any:
        recording = read(reading)
        if not calls:
            (store / "fig2").rename(store / ".gone")
            (store / ".next").rename(store / "fig2")
        calls.append(1)
        return recording

    stale = open_study(store)
    monkeypatch.setattr(reading_module._Reading, "recording", swapping)
    ds = open_study(store)
    assert len(calls) == 2
    assert not np.array_equal(ds.loss.values, stale.loss.values)


def test_a_commit_during_the_read_is_not_half_seen(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recording(store, [r | {"written": 3, "updates": 1} for r in grid(1)])
    read = reading_module.Committed.values

    def committing(array: reading_module.Committed) -> Any:
        zarr.open_array(store / "fig2" / "records_written", mode="r+")[:] = 5
        return read(array)

    monkeypatch.setattr(reading_module.Committed, "values", committing)
    ds = open_study(store)
    assert set(ds.records_written.values) == {3}
    assert ds.sizes["record"] == 3


def test_wrong_stores_say_what_is_wrong(store: Path, tmp_path: Path) -> None:
    def fails(path: str | Path, match: str, **options: str) -> None:
        with pytest.raises(InputError, match=match) as error:
            open_study(path, **options)
        assert "\n" not in str(error.value)

    fails(store, "does not exist")
    tmp_path.joinpath("text").write_text("no zip")
    fails(tmp_path / "text", "cannot be opened")
    tmp_path.joinpath("empty").mkdir()
    fails(tmp_path / "empty", "not a zarr v3 group")
    zarr.open_group(tmp_path / "foreign", mode="w", zarr_format=3)
    fails(tmp_path / "foreign", "not written by burden-analysis")
    write_root(tmp_path / "newer", burden_schema=99)
    fails(tmp_path / "newer", "schema 99")
    write_root(store)
    fails(store, "no recordings")
    write_recording(store, grid(1))
    fails(store, "did you mean 'fig2'", recordings="fig3")
    zarr.open_group(store, mode="r+").create_group("other")
    fails(store, "recording 'other'")
    zarr.open_group(store / "other", mode="r+").attrs["burden_schema"] = 99
    fails(store, "'other'.*schema 99")
    fails("nosuchprotocol://x", "cannot be opened")


@pytest.mark.parametrize("content", ["", '{"zarr_form', "{}", "[" * 100_000])
def test_damaged_metadata_are_named_and_the_rest_opens(store: Path, content: str) -> None:
    write_recording(store, grid(1))
    write_recording(store, grid(1), name="whole")
    whole = open_study(store, recordings="whole")
    (store / "fig2/loss/zarr.json").write_text(content)
    with pytest.warns(DamageWarning, match=f"^left out: fig2/loss; {store}/fig2/loss/zarr.json ") as said:
        opened = open_study(store)
    assert opened.attrs["left_out"] == [str(w.message) for w in said]
    assert opened.loss.isel(run=opened.recording == "fig2").isnull().all()
    (store / "fig2/zarr.json").write_text(content)
    with pytest.warns(DamageWarning, match=f"^left out: recording fig2; {store}/fig2/zarr.json "):
        opened = open_study(store)
    opened.attrs.pop("left_out")
    xr.testing.assert_identical(opened, whole)
    shutil.rmtree(store / "whole")
    with pytest.raises(InputError, match=f"can be opened: {store}/fig2/zarr.json .*burden verify") as caught:
        open_study(store)
    assert "\n" not in str(caught.value)


def test_a_damaged_chunk_takes_its_runs_alone(store: Path) -> None:
    write_recording(store, grid(1))
    write_recording(store, grid(1), name="whole")
    whole = open_study(store)
    next(p for p in sorted((store / "fig2" / "loss" / "c").rglob("*")) if p.is_file()).write_bytes(b"junk")
    with pytest.warns(DamageWarning, match=r"fig2/loss of .*: ?|fig2/loss/c/0/0 cannot be read"):
        damaged = open_study(store)
    gone = whole.loss.notnull().any("record") & damaged.loss.isnull().all("record")
    assert 0 < int(gone.sum()) < 9
    assert set(whole.recording.values[gone]) == {"fig2"}
    xr.testing.assert_equal(damaged.loss.where(~gone, whole.loss), whole.loss)
    assert open_study(store, recordings="whole").sizes["run"] == 9


def test_a_file_that_may_not_be_read_takes_its_part_alone(store: Path) -> None:
    write_recording(store, grid(1))
    write_recording(store, grid(1), name="whole")
    for place, part in (
        (store / "fig2/loss/c/0/0", "fig2/loss of "),
        (store / "fig2/zarr.json", "recording fig2"),
    ):
        place.unlink()
        place.symlink_to(place)  # a circle: as unreadable as a file without rights, also for root
        with pytest.warns(DamageWarning, match=f"^left out: {part}.* cannot be read "):
            assert "whole" in open_study(store).recording


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(store: Path) -> None:
    write_recording(store, grid(1))
    archive = store.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as handle:
        for path in store.rglob("*"):
            if path.is_file() and "loss/c" not in str(path):
                handle.write(path, path.relative_to(store))
        handle.writestr("fig2/loss/c/0/0", bytes(2**27))
    with pytest.warns(DamageWarning, match=r"left out: fig2/loss.*unpacks to 134 MB from 0\.1"):
        open_study(archive)


ZSTD = numcodecs.Zstd()


@pytest.mark.parametrize("size", [1, 255, 256, 65_791, 65_792, 10**6])
def test_zstd_says_how_much_it_holds(size: int) -> None:
    content = bytes(ZSTD.encode(bytes(size)))
    assert unpacked(content, size) == bytes(size)
    for other in (size + 1, size - 1):
        with pytest.raises(ValueError, match=f"it holds {size} bytes, not {other}"):
            unpacked(content, other)


def test_what_would_fill_the_memory_is_not_unpacked() -> None:
    frame = b"\x28\xb5\x2f\xfd" + bytes([0b11100000]) + (2**40).to_bytes(8, "little")
    with pytest.raises(ValueError, match="it holds 1099511627776 bytes, not at most 64 MiB"):
        unpacked(frame, None)
    with pytest.raises(ValueError, match="it is not packed with zstd"):
        unpacked(b"", 3)
    with pytest.raises(InputError, match=r"x takes 1e\+09 GB, this machine has .*chunks=\{\}"):
        check_size(10**18, "x")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"config": "[1, 2]"}, "has a config that is no mapping"),
        ({"provenance": 5}, "has a provenance that is no mapping"),
        ({"config": "[" * 100_000}, "cannot be read"),
        ({"coordinates": 5}, "has attributes of the wrong kind"),
    ],
)
def test_attributes_of_the_wrong_kind_are_named(store: Path, change: dict[str, Any], what: str) -> None:
    write_recording(store, grid(1))
    zarr.open_group(store / "fig2", mode="r+").attrs.update(change)
    with pytest.raises(InputError, match=what):
        open_study(store)


@pytest.mark.parametrize(("mark", "what"), [(10**15, "says 10{15}, there is room for 5"), (-5, "says -5")])
def test_marks_that_nobody_wrote_are_named(store: Path, mark: int, what: str) -> None:
    write_recording(store, grid(1))
    zarr.open_array(store / "fig2" / "records_written", mode="r+")[:] = mark
    with pytest.raises(InputError, match=what):
        open_study(store)


def test_a_group_that_is_no_recording_is_named(store: Path) -> None:
    write_recording(store, grid(1))
    expected = open_study(store)
    write_root(store / "other")
    with pytest.warns(DamageWarning, match="left out: recording other; .*other/zarr.json is not the metadata of a rec"):
        opened = open_study(store)
    opened.attrs.pop("left_out")
    xr.testing.assert_identical(opened, expected)

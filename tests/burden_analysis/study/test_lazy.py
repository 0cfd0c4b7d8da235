"""Series that are read when they are computed, and some of the variables only."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray as xr
import zarr

from burden_analysis import open_study, series
from burden_analysis.study.files import Folder
from recorders.contract import InputError
from tests.burden_analysis.synthetic import grid, write_recording

STATE = {"status", "status_reason", "records_written", "updates_written"}


@pytest.fixture
def partial(store: Path) -> Path:
    """Two schedules; runs that wrote all, some and no records."""
    runs = [r | {"written": n, "updates": m} for r, n, m in zip(grid(1)[:3], (5, 2, 0), (4, 1, 0), strict=True)]
    write_recording(store, runs, name="a")
    extra = [r | {"run_id": f"x{i}", "written": i + 1} for i, r in enumerate(grid(1)[:2])]
    write_recording(
        store, extra, name="b", steps=(15, 30, 45, 60), parameters=("fc10.weight", "fc2.weight"), per_epoch=15
    )
    return store


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read of a folder from now on."""
    seen: list[str] = []
    read = Folder.read

    def spying(self: Folder, asked: Iterable[str]) -> Iterator[bytes | None]:
        asked = list(asked)
        seen.extend(asked)
        return read(self, asked)

    monkeypatch.setattr(Folder, "read", spying)
    return seen


def chunks_of(keys: list[str], name: str) -> list[str]:
    return [key for key in keys if f"/{name}/c" in key]


@pytest.mark.parametrize("recordings", ["a", "b", ["a", "b"]])
@pytest.mark.parametrize("chunks", [{}, {"record": 2}, {"run": 1, "record": -1, "parameter": 2}, {"record": "auto"}])
def test_a_lazy_study_is_the_loaded_one(partial: Path, recordings: Any, chunks: dict[str, Any]) -> None:
    lazy = open_study(partial, recordings=recordings, chunks=chunks)
    loaded = open_study(partial, recordings=recordings)
    later = {str(k) for k, v in lazy.variables.items() if isinstance(v.data, dask.array.Array)}
    assert later == {str(k) for k, v in loaded.data_vars.items() if {"record", "update"} & set(v.dims)}
    xr.testing.assert_identical(lazy.compute(), loaded)
    assert {k: v.dtype for k, v in lazy.variables.items()} == {k: v.dtype for k, v in loaded.variables.items()}
    window = {"run": slice(1, None), "record": slice(1, 4)}
    xr.testing.assert_identical(lazy.isel(window).compute(), loaded.isel(window))
    last = {"run": [-1, 0], "record": -1}
    xr.testing.assert_identical(lazy.isel(last).compute(), loaded.isel(last))
    xr.testing.assert_identical(series(lazy, "gradient_norm"), series(loaded, "gradient_norm"))


def test_nothing_of_a_series_is_read_before_it_is_computed(partial: Path, keys: list[str]) -> None:
    lazy = open_study(partial, chunks={})
    assert chunks_of(keys, "records_written")
    assert chunks_of(keys, "step")
    assert not [key for key in keys for name in lazy.data_vars if name not in STATE and f"/{name}/c" in key]
    keys.clear()
    np.asarray(lazy["loss"][0, 0])
    assert chunks_of(keys, "loss") == ["a/loss/c/0/0"]
    assert not chunks_of(keys, "gradient_norm")


def test_chunks_are_those_of_the_store_or_as_long_as_asked_for(partial: Path) -> None:
    assert open_study(partial, recordings="a", chunks={})["loss"].chunks == ((3,), (4, 1))
    assert open_study(partial, recordings="a", chunks={"record": 2})["loss"].chunks == ((3,), (2, 2, 1))
    assert open_study(partial, chunks={"run": 2, "record": (1, 4, 1)})["loss"].chunks == ((2, 2, 1), (1, 4, 1))


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        (5, "chunks is 5: pass None"),
        ("auto", "chunks is 'auto': pass None"),
        ({"records": 5}, "chunks has the dimension 'records': choose from run, record"),
        ({"record": (1, 2)}, r"chunks \{'record': \(1, 2\)\} do not fit"),
    ],
)
def test_chunks_that_are_none_are_refused(partial: Path, chunks: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_study(partial, chunks=chunks)
    assert "\n" not in str(caught.value)


def test_without_dask_one_line_says_how_to_get_it(partial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(InputError, match=r"pip install 'burden-analysis\[lazy\]'"):
        open_study(partial, chunks={})
    assert open_study(partial).sizes["run"] == 5


def _as_zip(store: Path) -> str:
    archive = store.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as handle:
        for path in store.rglob("*"):
            if path.is_file():
                handle.write(path, path.relative_to(store))
    return str(archive)


@pytest.mark.parametrize("place", [str, _as_zip, Path.as_uri])
def test_a_lazy_study_can_be_sent_to_a_worker(partial: Path, place: Callable[[Path], str]) -> None:
    expected = open_study(partial, recordings="a")
    lazy = open_study(place(partial), recordings="a", chunks={})
    xr.testing.assert_identical(pickle.loads(pickle.dumps(lazy)).compute(), expected)


def test_records_committed_later_are_not_half_seen(partial: Path) -> None:
    lazy, loaded = open_study(partial, chunks={}), open_study(partial)
    zarr.open_array(partial / "a" / "records_written", mode="r+")[:] = 5
    xr.testing.assert_identical(lazy.compute(), loaded)


def test_a_recording_that_was_rewritten_is_not_read_on(partial: Path) -> None:
    lazy = open_study(partial, chunks={})
    zarr.open_group(partial / "a", mode="r+").attrs["compact"] = True
    with pytest.raises(
        InputError, match=r"recording 'a' of .* was rewritten since it was opened: open the study again"
    ):
        lazy.compute()
    assert lazy["loss"][3:].compute().notnull().any()


def test_a_damaged_chunk_is_named_when_it_is_read(partial: Path) -> None:
    lazy = open_study(partial, chunks={})
    (partial / "a" / "loss" / "c" / "0" / "0").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"a/loss/c/0/0 cannot be read \(.*\): restore it"):
        lazy["loss"].compute()


@pytest.mark.parametrize("chunks", [None, {}])
def test_only_the_variables_asked_for_are_read(partial: Path, keys: list[str], chunks: dict[str, Any] | None) -> None:
    whole = open_study(partial)
    keys.clear()
    some = open_study(partial, variables=["loss", "gradient_norm", "status"], chunks=chunks).compute()
    assert set(some.data_vars) == {"loss", "gradient_norm", *STATE}
    assert not chunks_of(keys, "weight_norm")
    assert set(some.coords) == set(whole.coords)
    xr.testing.assert_identical(some, whole.drop_vars(set(whole.data_vars) - set(some.data_vars)))
    assert set(open_study(partial, variables="loss").data_vars) == {"loss", *STATE}
    assert set(open_study(partial, variables=[]).data_vars) == STATE


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("los", r"unknown variable 'los': choose from accuracy, .*did you mean 'loss'\?"),
        ("update_norm", "'update_norm' was not recorded in .*: it holds accuracy, "),
        ("gradient_rms", "'gradient_rms' is not stored but computed: open variables gradient_norm, active_weights"),
        ("update_ratio", "computed: open variables update_norm, weight_norm, active_weights, and pass"),
        ("fit", "'fit' was not recorded in "),
        ("fit_labels", "'fit_labels' is not stored but computed: open variables fit, and pass"),
    ],
)
def test_a_variable_that_is_not_there_says_why(partial: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_study(partial, variables=["loss", name])
    assert "\n" not in str(caught.value)

"""Stores that go away under a study that writes into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from burden_analysis import open_study
from tests.recorders.study.test_signals import start, until_a_record_is_written


@pytest.mark.parametrize("what", ["s.zarr", "s.zarr/fig2"])
@pytest.mark.parametrize("stacked", ["yes", "no"])
def test_a_store_that_is_moved_away_is_missed_in_one_line(tmp_path: Path, what: str, stacked: str) -> None:
    store = tmp_path / "s.zarr"
    process = start(store, "--stacked", stacked)
    until_a_record_is_written(process, store)
    (tmp_path / what).rename(tmp_path / "moved.zarr")
    out, errors = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert errors == f"burden: {store / 'fig2'} is gone: it was moved or deleted while it was recorded\n"
    if what == "s.zarr":
        assert (open_study(tmp_path / "moved.zarr").records_written > 0).any()

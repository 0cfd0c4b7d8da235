"""Real processes, really killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

from burden_analysis import open_study

KILLS = 20
COMMAND = [
    *(sys.executable, "-m", "burden_analysis.cli", "record", "fig2", "--hidden", "60", "30", "--epochs", "100"),
    *("--interval", "2", "--seeds", "0", "1", "2", "--sparsities", "0.7", "0.9"),
]


def contents(store: Path) -> tuple[xr.Dataset, xr.Dataset]:
    return xr.open_zarr(store, group="fig2").load(), xr.open_zarr(store, group="fig2/masks").load()


@pytest.mark.slow
def test_a_study_killed_twenty_times_opens_each_time_and_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    draw = random.Random(0)
    store = tmp_path / "killed.zarr"
    finished, unfinished = [0], 0
    for attempt in range(KILLS):
        process = subprocess.Popen([*COMMAND, "--out", str(store)], stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(draw.uniform(2.5, 7.0))  # start-up, the first runs and, as finished runs add up, compaction
        if attempt % 2:
            os.killpg(process.pid, signal.SIGKILL)  # everything at once, as a node that goes down
        else:
            process.kill()  # the parent alone: its workers must follow
        unfinished += process.wait() == -signal.SIGKILL
        if store.exists() and any(store.glob("[!.]*/zarr.json")):
            dataset = open_study(store)
            written = dataset.gradient_norm.notnull().all("parameter").sum("record")
            assert (written == dataset.records_written).all()
            finished.append(int((dataset.status == "complete").sum()))
    assert len(finished) > KILLS / 2, "most kills came before the store was made: this machine needs longer sleeps"
    assert unfinished > KILLS / 2, "most kills came after the end: the study is too short for this machine"
    assert finished == sorted(finished)  # nothing that is finished is started over
    time.sleep(0.5)
    subprocess.run([*COMMAND, "--out", str(store)], check=True, stderr=subprocess.DEVNULL)
    undisturbed = tmp_path / "undisturbed.zarr"
    subprocess.run([*COMMAND, "--out", str(undisturbed)], check=True, stderr=subprocess.DEVNULL)
    for mine, theirs in zip(contents(store), contents(undisturbed), strict=True):
        xr.testing.assert_equal(mine, theirs)
    left = {p.name for p in tmp_path.iterdir()} - {"killed.zarr", "undisturbed.zarr"}
    assert all(name.startswith(".killed.zarr.") for name in left)


@pytest.mark.parametrize("seconds", [0.05, 0.5, 1.0])
def test_ctrl_c_while_workers_import_is_one_line(tmp_path: Path, seconds: float) -> None:
    store = tmp_path / "s.zarr"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background may ignore Ctrl-C
    process = subprocess.Popen([*COMMAND, "--out", store], stderr=subprocess.PIPE, text=True, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    while not (store / "fig2").exists() and process.poll() is None:
        time.sleep(0.005)
    time.sleep(seconds)  # the recording is there, workers import torch
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "burden: interrupted; rerun the same command to go on\n")

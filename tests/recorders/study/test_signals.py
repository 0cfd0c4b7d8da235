"""Studies that really get signals: the command, and its workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from torch import nn

from burden_analysis import open_study
from recorders.contract import Status
from recorders.seeding import Purpose, derive
from recorders.settings.settings import Settings
from recorders.study.record import record_study
from recorders.study.resources import Resources
from tests.progress import files, members, until
from tests.recorders.study.test_kill import workers

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="a platform without SIGUSR1")

COMMAND = [
    *(sys.executable, "-m", "burden_analysis.cli", "record", "fig2", "--hidden", "60", "30", "--epochs", "90"),
    *("--interval", "1", "--seeds", "0", "1", "--sparsities", "0.7", "--strategies", "iterative", "random"),
    *("--device", "cpu", "--workers", "2"),
]


def start(store: Path, *more: str) -> subprocess.Popen[str]:
    command = [*COMMAND, *more, "--out", str(store)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def committed(store: Path) -> bool:
    return bool(np.asarray(zarr.open_array(store / "fig2" / "records_written", mode="r")[:]).any())


def until_a_record_is_written(process: subprocess.Popen[str], store: Path) -> None:
    """Nothing is written by itself before its chunk is full: it is when SIGUSR1 asks for it."""
    until(lambda: files(store / "fig2" / "initial_weights" / "c") or process.poll() is not None, "a run begins")

    def seen() -> bool:
        process.send_signal(signal.SIGUSR1)
        return committed(store) or process.poll() is not None

    until(seen, "a record is written", every=0.2)


def load(store: Path) -> xr.Dataset:
    return open_study(store).load()


@pytest.mark.parametrize("how", ["command", "group", "stack"])
def test_a_study_that_is_asked_to_end(tmp_path: Path, how: str) -> None:
    store = tmp_path / "s.zarr"
    process = start(store, *(("--stacked", "yes") if how == "stack" else ()))
    until_a_record_is_written(process, store)
    for _ in range(2):  # twice in a row
        if how == "group":  # as batch systems do
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.terminate()
    _, errors = process.communicate()
    assert (process.returncode, errors) == (143, "burden: stopped by SIGTERM; rerun the same command to go on\n")
    until(lambda: not members(process.pid), "all processes end")
    dataset = load(store)
    begun = dataset.sel(run=dataset.status != "planned")
    assert set(begun.status.values) == {"interrupted"}
    assert set(begun.status_reason.values) == {"stopped by SIGTERM"}
    assert (begun.records_written > 0).any()
    assert (begun.gradient_norm.notnull().all("parameter").sum("record") == begun.records_written).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.zarr"]


@pytest.mark.parametrize(
    ("signum", "words"),
    [(signal.SIGTERM, "ended by SIGTERM"), (signal.SIGKILL, "killed by signal 9 (SIGKILL; out of memory?)")],
)
def test_a_worker_that_dies_takes_its_own_run_alone(tmp_path: Path, signum: int, words: str) -> None:
    store = tmp_path / "s.zarr"
    process = start(store)
    until_a_record_is_written(process, store)
    os.kill(workers(process.pid)[0].pid, signum)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    [line] = [line for line in errors.splitlines() if "starts over" in line]
    assert line.endswith(f"-seed{line.partition('seed')[2][0]}: its process died once: {words}; it starts over")
    dataset = load(store)
    assert set(dataset.status.values) == {"complete"}
    assert (dataset.records_written == dataset.sizes["record"]).all()


class Dying(nn.Sequential):
    """Of one seed it kills the worker in which it is made."""

    by = signal.SIGKILL

    def __init__(self) -> None:
        if torch.initial_seed() == derive(0, Purpose.WEIGHTS) and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), self.by)
        super().__init__(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))


class Ending(Dying):
    by = signal.SIGTERM


def test_a_run_whose_workers_are_always_asked_to_end_is_interrupted(tmp_path: Path) -> None:
    settings = Settings().with_values(strategies=("dense",), seeds=(0, 1), epochs=1)
    using = Resources(torch.device("cpu"), workers=1)
    ended = record_study(settings, tmp_path / "s.zarr", using=using, model=Ending)
    assert sorted((outcome.run.seed, outcome.status, outcome.reason) for outcome in ended) == [
        (0, Status.INTERRUPTED, "its process died 3 times: ended by SIGTERM"),
        (1, Status.COMPLETE, ""),
    ]


def test_a_run_that_always_kills_its_worker_has_failed_and_the_rest_goes_on(tmp_path: Path) -> None:
    settings = Settings().with_values(
        strategies=("iterative", "optimal", "random"), sparsities=(0.5,), seeds=(0, 1), epochs=1, interval=1
    )
    using = Resources(torch.device("cpu"), workers=2)
    ended = record_study(settings, tmp_path / "s.zarr", using=using, model=Dying)
    outcomes = {outcome.run.run_id: (outcome.status, outcome.reason) for outcome in ended}
    died = "its process died 3 times: killed by signal 9 (SIGKILL; out of memory?)"
    needed = "needs the final mask of its iterative run, which did not come to its end: not begun"
    expected = {
        "iterative-s0.5-seed0": (Status.FAILED, died),
        "optimal-s0.5-seed0": (Status.FAILED, needed),
        "random-s0.5-seed0": (Status.FAILED, died),
        **{f"{strategy}-s0.5-seed1": (Status.COMPLETE, "") for strategy in ("iterative", "optimal", "random")},
    }
    assert outcomes == expected
    dataset = load(tmp_path / "s.zarr")
    stored = zip(dataset.status.values, dataset.status_reason.values, strict=True)
    assert dict(zip(dataset.run_id.values, stored, strict=True)) == expected


UNGUARDED = """
import sys, torch
from recorders.settings.settings import Settings
from recorders.study.record import record_study
from recorders.study.resources import Resources
settings = Settings().with_values(strategies=("dense",), seeds=(0,), epochs=1)
record_study(settings, sys.argv[1], using=Resources(torch.device("cpu"), workers=1))
"""


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, str(script), str(tmp_path / "s.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "a worker process died before it began (ended with exit code 1; " in last
    assert 'of a script without `if __name__ == "__main__":`' in last

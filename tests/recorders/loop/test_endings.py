"""How a recorded loop ends, and what is left then."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from recorders import Recorder
from recorders.contract import InputError, RunError
from tests.recorders.own_loop import RUN, backward, network, recorded

# Gradients are set by hand in many of these loops: no layer is called.
pytestmark = pytest.mark.filterwarnings("ignore:activation_rms of:UserWarning")

SGD = torch.optim.SGD


SCRIPT = """
import sys, torch
from torch import nn
from recorders import Recorder
model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
run = {"strategy": "a", "sparsity": 0.0, "seed": 0}
kept = Recorder(sys.argv[1], model, optimizer, run=run, interval=2)
for _ in range(5):
    model(torch.randn(4, 4)).sum().backward()
    optimizer.step()
if sys.argv[2] == "collected":
    del kept, model, optimizer
    import gc
    gc.collect()
"""


@pytest.mark.parametrize("end", ["exit", "collected"])
def test_without_close_what_was_recorded_is_written(tmp_path: Path, end: str) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "s.zarr"), end]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    dataset = recorded(tmp_path / "s.zarr")
    assert (dataset.status.item(), dataset.status_reason.item()) == ("interrupted", "the Recorder was not closed")
    assert dataset.step.values.tolist() == [2, 4]
    assert np.isfinite(dataset.gradient_norm).all()
    assert not list(tmp_path.glob(".*.lock"))


def test_a_cell_that_is_run_again_closes_the_earlier_recorder(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)

    def cell(**more: Any) -> Recorder:
        return Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1, **more)

    first = cell()
    backward(model, 0)
    optimizer.step()
    with (
        pytest.warns(UserWarning, match=r"an earlier Recorder of this process still recorded 'mine-s0-seed0'"),
        pytest.raises(InputError, match="already holds run"),
    ):
        cell()
    with cell(exist="overwrite"):
        optimizer.step()
    first.close()
    assert recorded(tmp_path / "s.zarr").status.item() == "complete"


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "interrupted"), (SystemExit, "interrupted"), (ValueError, "failed")]
)
def test_what_stops_a_loop_decides_its_status(tmp_path: Path, error: type[BaseException], status: str) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    recorder = Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=2)

    def stopped() -> None:
        with recorder:
            for _ in range(3):
                optimizer.step()
            raise error

    with pytest.raises(error):
        stopped()
    dataset = recorded(tmp_path / "s.zarr")
    assert (dataset.status.item(), dataset.step.values.tolist()) == (status, [2])


def test_fewer_steps_than_announced_are_an_interruption(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)

    def go(steps: int, **more: Any) -> xr.Dataset:
        store = tmp_path / "s.zarr"
        with Recorder(store, model, optimizer, run=RUN, interval=2, total_steps=6, **more):
            for _ in range(steps):
                optimizer.step()
        return recorded(store)

    stopped = go(4)
    assert (stopped.status.item(), stopped.status_reason.item()) == ("interrupted", "stopped after 4 of 6 steps")
    with torch.no_grad():
        model[0].weight += 1  # a checkpoint that was loaded
    assert go(2, exist="resume", steps_done=4).status.item() == "complete"


def test_a_relative_store_stays_where_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    monkeypatch.chdir(tmp_path)
    with Recorder("s.zarr", model, optimizer, run=RUN, interval=1):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        optimizer.step()
    assert recorded(tmp_path / "s.zarr").status.item() == "complete"


def test_a_store_that_is_deleted_while_it_is_recorded_is_missed(tmp_path: Path) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    recorder = Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1)
    recorder.log(loss=1.0)
    optimizer.step()
    shutil.rmtree(tmp_path / "s.zarr")
    with pytest.raises(RunError, match=r"no longer holds 'mine-s0-seed0': it was moved or deleted"):
        recorder.close()
    assert not (tmp_path / "s.zarr").exists()

"""Several real processes that record into one store at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import xarray as xr

from burden_analysis import open_study
from tests.progress import PATIENCE

SCRIPT = """
import sys, torch
from recorders import Recorder
torch.set_num_threads(1)
store, first = sys.argv[1], int(sys.argv[2])
for seed in range(first, first + 4):
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = {"strategy": "mine", "sparsity": 0.0, "seed": seed}
    with Recorder(store, model, optimizer, run=run, interval=2) as recorder:
        for _ in range(6):
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()
"""


def test_processes_share_a_store_from_its_creation_on(tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    started = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(store), str(first)], stderr=subprocess.PIPE, text=True)
        for first in (0, 4, 8)
    ]
    for process in started:
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
    study = open_study(store)
    assert sorted(study.seed.values.tolist()) == list(range(12))
    assert set(study.status.values) == {"complete"}
    assert (study.records_written == 3).all()
    assert xr.open_zarr(store, group="mine-s0-seed7").sizes["record"] == 3  # the last one consolidated
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.zarr"]

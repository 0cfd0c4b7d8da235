"""Real processes over loopback: the same script on all ranks, and libraries that prepare a loop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from burden_analysis import open_study
from recorders import Recorder
from tests.recorders.own_loop import RUN, network

SCRIPT = """
import json, os, sys, torch
import torch.distributed as dist
from torch import nn
from recorders import Recorder

folder, rank = sys.argv[1], int(sys.argv[2])
os.environ["GLOO_SOCKET_IFNAME"] = "lo"
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4))
parallel = nn.parallel.DistributedDataParallel(model)
optimizer, norms = torch.optim.SGD(model.parameters(), lr=0.1), []
run = {"strategy": "a", "sparsity": 0.0, "seed": 0}
with Recorder(f"{folder}/s.zarr", parallel, optimizer, run=run, interval=1) as recorder:
    for step in range(3):
        draw = torch.Generator().manual_seed(10 * step + rank)
        optimizer.zero_grad()
        loss = parallel(torch.randn(16, 12, generator=draw)).square().mean()
        loss.backward()
        recorder.log(loss=loss)
        norms.append([p.grad.double().norm().item() for p in model.parameters() if p.ndim > 1])
        optimizer.step()
print(json.dumps([recorder.step, norms]))
dist.destroy_process_group()
"""


def test_the_same_script_on_two_ranks_records_averaged_gradients_once(tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path, str(r)], stdout=subprocess.PIPE, text=True)
        for r in range(2)
    ]
    said = [rank.communicate()[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    (steps, norms), (silent, same) = (json.loads(text) for text in said)
    assert (steps, silent) == (3, 0)
    assert norms == same  # the gradients that DDP averaged
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.parameter.values.tolist() == ["0.weight", "2.weight"]
    np.testing.assert_allclose(dataset.gradient_norm, norms, rtol=2e-6)


@pytest.mark.filterwarnings("ignore")  # of the library, about hardware
def test_what_accelerate_prepares_is_recorded_where_it_steps(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    plain = network()
    model, optimizer = accelerator.prepare(plain, torch.optim.SGD(plain.parameters(), lr=0.1))
    norms = []
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        for step in range(6):
            with accelerator.accumulate(model):
                draw = torch.Generator().manual_seed(step)
                x, y = torch.randn(8, 12, generator=draw), torch.randint(0, 3, (8,), generator=draw)
                accelerator.backward(cross_entropy(model(x), y))
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 0.1)
                    norms.append([p.grad.double().norm().item() for p in plain.parameters() if p.ndim > 1])
                optimizer.step()
                optimizer.zero_grad()
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    np.testing.assert_allclose(dataset.gradient_norm, norms, rtol=2e-6)
    assert len(norms) == 3


@pytest.mark.filterwarnings("ignore")
def test_what_fabric_sets_up_is_recorded(tmp_path: Path) -> None:
    fabric = pytest.importorskip("lightning.fabric").Fabric(accelerator="cpu", devices=1)
    plain = network()
    model, optimizer = fabric.setup(plain, torch.optim.SGD(plain.parameters(), lr=0.1))
    norms = []
    with Recorder(tmp_path / "s.zarr", model, optimizer, run=RUN, interval=1):
        for step in range(3):
            draw = torch.Generator().manual_seed(step)
            optimizer.zero_grad()
            fabric.backward(model(torch.randn(8, 12, generator=draw)).square().mean())
            norms.append([p.grad.double().norm().item() for p in plain.parameters() if p.ndim > 1])
            optimizer.step()
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.parameter.values.tolist() == ["0.weight", "2.weight", "4.weight"]
    np.testing.assert_allclose(dataset.gradient_norm, norms, rtol=2e-6)

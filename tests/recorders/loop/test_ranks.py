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


SHARDED = """
import json, os, sys, torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from recorders import Recorder

folder, rank, everywhere = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "all"
os.environ["GLOO_SOCKET_IFNAME"] = "lo"
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 1), nn.Linear(1, 4))  # 9 rows and 1 row on 2 ranks
mask = torch.rand(9, 12) > 0.5
fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
optimizer, rows = torch.optim.SGD(model.parameters(), lr=0.1), []
run = {"strategy": "a", "sparsity": round(1 - int(mask.sum() + 13) / 121, 3), "seed": 0}
if everywhere or rank == 0:
    if not everywhere:
        import recorders.loop.ranks, datetime
        recorders.loop.ranks._PATIENCE = datetime.timedelta(seconds=1)
    recorder = Recorder(f"{folder}/s.zarr", model, optimizer, run=run, interval=1, masks={"0.weight": mask})
else:
    sys.exit(0)
with recorder:
    for step in range(3):
        draw = torch.Generator().manual_seed(10 * step + rank)
        optimizer.zero_grad()
        model(torch.randn(16, 12, generator=draw)).square().mean().backward()
        row = []
        for name, p in model.named_parameters():
            if p.ndim > 1:
                m = mask.double() if name == "0.weight" else torch.ones(p.shape, dtype=torch.float64)
                g, w = p.grad.full_tensor().double(), p.full_tensor().double()
                row.append([(m * g).norm().item(), g.norm().item(), ((m * g).abs().sum() / m.sum()).item(),
                            (m * w).norm().item(), ((m * w).abs().sum() / m.sum()).item(), m.sum().item()])
        rows.append(row)
        optimizer.step()
print(json.dumps(rows))
dist.destroy_process_group()
"""


def test_norms_of_sharded_weights_are_those_of_the_whole_tensors(tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen([sys.executable, "-c", SHARDED, tmp_path, str(r), "all"], stdout=subprocess.PIPE, text=True)
        for r in range(2)
    ]
    said = [rank.communicate()[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    expected = np.array(json.loads(said[0]))  # (step, parameter, indicator)
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    assert dataset.parameter.values.tolist() == ["0.weight", "2.weight", "3.weight"]
    assert dataset.status.item() == "complete"
    names = ["gradient_norm", "dense_gradient_norm", "gradient_mean_abs", "weight_norm", "weight_mean_abs"]
    for i, name in enumerate([*names, "active_weights"]):
        np.testing.assert_allclose(dataset[name], expected[:, :, i], rtol=2e-6, err_msg=name)


def test_all_ranks_of_a_sharded_model_draw_the_same_steps_also_beyond_the_total(tmp_path: Path) -> None:
    script = SHARDED.replace("interval=1,", "interval=6, sample_every=3, total_steps=8,").replace(
        "range(3)", "range(17)"
    )
    ranks = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path, str(r), "all"], stdout=subprocess.PIPE, text=True)
        for r in range(2)
    ]
    said = [rank.communicate(timeout=300)[0] for rank in ranks]  # one that measures alone waits for ever
    assert [rank.returncode for rank in ranks] == [0, 0]
    norms = np.array(json.loads(said[0]))[:, :, 0]
    dataset = open_study(tmp_path / "s.zarr").isel(run=0)
    steps = dataset.step.values.astype(int)[: int(dataset.records_written)]
    assert steps[:3].tolist() == [6, 8, 14]
    np.testing.assert_allclose(dataset.gradient_norm[: len(steps)], norms[steps - 1], rtol=2e-6)


def test_a_sharded_model_recorded_on_one_rank_alone_is_refused_and_hangs_nobody(tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen([sys.executable, "-c", SHARDED, tmp_path, str(r), "one"], stderr=subprocess.PIPE, text=True)
        for r in range(2)
    ]
    said = [rank.communicate()[1] for rank in ranks]
    assert ranks[0].returncode == 1
    assert "InputError: the model's parameters are sharded, and not all ranks made a Recorder within 1 s" in said[0]
    assert not (tmp_path / "s.zarr").exists()


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

"""Real loops that really get signals, at steps of their own choosing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from burden_analysis import open_study

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="a platform without SIGUSR1")

SCRIPT = """
import os, signal, sys
import torch, zarr
from torch import nn
from recorders import Recorder

def send(signum):
    os.kill(os.getpid(), signum)

torch.set_num_threads(1)
how = sys.argv[2]
flags = []
if how == "flag":
    signal.signal(signal.SIGTERM, lambda *_: flags.append("asked to end"))
if how == "exit":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(5))

class Sending(nn.Module):  # inside a forward pass
    def forward(self, x):
        if how == "forward" and recorder.step == 7:
            send(signal.SIGTERM)
        return x

def masks():  # inside the recorder: it asks for them at every step
    if how == "inside" and recorder is not None and recorder.step == 7:
        send(signal.SIGUSR1), send(signal.SIGTERM), send(signal.SIGTERM)
    return {"0.weight": torch.ones(3, 4), "3.weight": torch.ones(2, 3)}

recorder = None
model = nn.Sequential(nn.Linear(4, 3), Sending(), nn.ReLU(), nn.Linear(3, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
run = {"strategy": "mine", "sparsity": 0.0, "seed": 0}
try:
    with Recorder(sys.argv[1], model, optimizer, run=run, interval=2, masks=masks) as recorder:
        for step in range(1, 13):
            model(torch.ones(4, 4)).sum().backward()
            recorder.log(loss=1.0)
            optimizer.step()
            if step == 5:
                send(signal.SIGUSR1)
                mark = zarr.open_array(os.path.join(sys.argv[1], recorder.name, "records_written"), mode="r")
                print("flushed", mark[0], flush=True)
            if step == 7 and how in ("between", "flag", "exit"):
                send(signal.SIGTERM)
            if step == 7 and how == "child":
                pid = os.fork()
                if not pid:
                    raise SystemExit(4)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
                recorder.flush()
finally:
    print("left in order", *flags, flush=True)
"""
LINE = "recorders: mine-s0-seed0 of {store} was stopped by SIGTERM after step 7: make it again with exist='resume' "


@pytest.mark.parametrize(
    ("how", "code", "status", "records", "said"),
    [
        ("between", 143, "interrupted", 3, "flushed 2\nleft in order\n"),
        ("forward", 143, "interrupted", 3, "flushed 2\nleft in order\n"),
        ("inside", 143, "interrupted", 3, "flushed 2\nleft in order\n"),
        ("flag", 0, "complete", 6, "flushed 2\nleft in order asked to end\n"),
        ("exit", 5, "interrupted", 3, "flushed 2\n"),
        ("child", 0, "complete", 6, "flushed 2\nleft in order\nleft in order\n"),
    ],
)
def test_a_loop_that_is_asked_to_end(tmp_path: Path, how: str, code: int, status: str, records: int, said: str) -> None:
    store = tmp_path / "s.zarr"
    command = [sys.executable, "-c", SCRIPT, str(store), how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, said), done.stderr
    dataset = open_study(store).isel(run=0)
    reason = "stopped by SIGTERM" if status == "interrupted" else ""
    found = dataset.status.item(), dataset.status_reason.item(), int(dataset.records_written)
    assert found == (status, reason, records)
    if code == 143:
        assert done.stderr.startswith(LINE.format(store=store))
        assert done.stderr.count("\n") == 1
    assert dataset.gradient_norm.notnull().all("parameter").sum() == records

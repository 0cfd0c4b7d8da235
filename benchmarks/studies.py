"""How long does a whole study take, beside a plain PyTorch script of the same runs?

Run ``python benchmarks/studies.py [--epochs N] [--seeds N] [--rounds N]``. Peer: `by_hand` below, written as one would
without this package: one process, one run after the other, the same network, data, batch size, fused optimiser, masks
and evaluations, and six norms a step (of gradient and weight of three tensors) kept in memory and saved. It probes
nothing and writes no store. Ours: `burden record fig2` with two workers, every command from a cold start. Times are
taken in turn. CPU time is that of all processes of a command; wall time means little where others use the cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy

SPARSITIES = (0.7, 0.8, 0.9)
BATCH, INTERVAL = 128, 16
PEER = "by hand, one process"
Masks = list[torch.Tensor]
_ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}


def by_hand(epochs: int, seeds: int, out: Path) -> None:
    """Train the runs of fig2 on digits one after the other."""
    torch.set_num_threads(1)
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=360, stratify=labels, random_state=0)
    train_x, test_x, train_y, test_y = (torch.as_tensor(part) for part in parts)
    mean, std = (train_x / 16).mean(), (train_x / 16).std()
    data = [((train_x / 16 - mean) / std).float(), train_y, ((test_x / 16 - mean) / std).float(), test_y]
    for seed in range(seeds):
        for sparsity in SPARSITIES:
            found = _run(data, seed, sparsity, None, epochs, out / f"iterative-{sparsity}-{seed}")
            _run(data, seed, sparsity, found, epochs, out / f"optimal-{sparsity}-{seed}")
            draw = torch.Generator().manual_seed(seed)
            scores = [torch.rand(mask.shape, generator=draw) for mask in found]
            _run(data, seed, sparsity, _largest(scores, sparsity), epochs, out / f"random-{sparsity}-{seed}")


def _largest(scores: list[torch.Tensor], sparsity: float) -> Masks:
    flat = torch.cat([s.flatten() for s in scores])
    pruned = round(sparsity * flat.numel())
    threshold = flat.kthvalue(pruned).values if pruned else flat.min() - 1
    return [s > threshold for s in scores]


def _run(data: list[torch.Tensor], seed: int, sparsity: float, fixed: Masks | None, epochs: int, out: Path) -> Masks:
    train_x, train_y, test_x, test_y = data
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    used = [layer.weight for layer in model if isinstance(layer, nn.Linear)]  # masked: what the forward pass sees
    biases = [layer.bias for layer in model if isinstance(layer, nn.Linear)]
    masks = fixed or [torch.ones_like(w, dtype=torch.bool) for w in used]
    with torch.no_grad():
        dense = [(w * m).requires_grad_() for w, m in zip(used, masks, strict=True)]
        torch._foreach_copy_(used, torch._foreach_mul(dense, masks))
    optimiser = torch.optim.Adam([*dense, *biases], lr=1e-3, fused=True)
    order = torch.Generator().manual_seed(seed)
    total = epochs * -(-len(train_x) // BATCH)
    step = 0
    rows, losses, accuracies = [], [], []

    def prune() -> None:
        nonlocal masks
        target = sparsity * (1 - (1 - step / total) ** 3)
        with torch.no_grad():
            masks = _largest([w.abs() for w in dense], target)
            torch._foreach_copy_(used, torch._foreach_mul(dense, masks))

    for _ in range(epochs):
        for batch in torch.randperm(len(train_x), generator=order).split(BATCH):
            if fixed is None and step % INTERVAL == 0:
                prune()
            loss = cross_entropy(model(train_x[batch]), train_y[batch])
            loss.backward()
            gradients = [w.grad for w in used]
            active = torch._foreach_mul(gradients, masks)
            rows.append(torch.stack(torch._foreach_norm([*active, *(w.detach() for w in used)])))
            losses.append(loss.detach())
            for w, u, g, kept in zip(dense, used, gradients, active, strict=True):
                w.grad, u.grad = g if fixed is None else kept, None
            optimiser.step()
            optimiser.zero_grad()
            with torch.no_grad():
                torch._foreach_copy_(used, torch._foreach_mul(dense, masks))
            step += 1
        if fixed is None and step == total:
            prune()
        with torch.no_grad():
            accuracies.append((model(test_x).argmax(1) == test_y).float().mean())
    np.savez(out, norms=torch.stack(rows), losses=torch.stack(losses), accuracies=torch.stack(accuracies))
    return masks


def _seconds(command: list[str]) -> tuple[float, float]:
    """Wall-clock seconds of a command, and CPU seconds of it and all processes it starts (to a fifth of a second)."""
    began, cpu = time.perf_counter(), {}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=_ONE_THREAD
    )
    while process.poll() is None:
        cpu |= _cpu_seconds(process.pid)
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - began, sum(cpu.values())


def _cpu_seconds(session: int) -> dict[str, float]:
    """User and system time so far, by process of a session."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session:
            found[entry.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser()
    for name, default in (("epochs", 60), ("seeds", 5), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--by-hand", type=Path)
    asked = parser.parse_args()
    if asked.by_hand:
        by_hand(asked.epochs, asked.seeds, asked.by_hand)
        return
    same = ["--epochs", str(asked.epochs)]
    ours = [sys.executable, "-m", "burden_analysis.cli", "record", "fig2", "--device", "cpu", "--workers", "2", *same]
    ours += ["--seeds", *map(str, range(asked.seeds)), "--out"]
    script = [sys.executable, __file__, *same, "--seeds", str(asked.seeds), "--by-hand"]
    load = os.getloadavg()[0]
    times: dict[str, list[tuple[float, float]]] = {PEER: [], "record, two workers": [], "the same, no probe": []}
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            times[PEER].append(_seconds([*script, folder]))
            times["record, two workers"].append(_seconds([*ours, f"{folder}/a.zarr"]))
            times["the same, no probe"].append(_seconds([*ours, f"{folder}/b.zarr", "--probe-every", "0"]))
    runs = 3 * len(SPARSITIES) * asked.seeds
    print(f"{runs} runs of {asked.epochs} epochs, {asked.rounds} round(s), {os.cpu_count()} cores,")
    print(f"load {load:.1f} before, torch {torch.__version__}\n")
    print(f"| what | seconds | of CPU | times as fast as {PEER} | CPU of the peer / own |\n|---|---|---|---|---|")
    for name, taken in times.items():
        wall, cpu = map(median, zip(*taken, strict=True))
        faster, cheaper = (
            median(theirs[k] / own[k] for theirs, own in zip(times[PEER], taken, strict=True)) for k in (0, 1)
        )
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {faster:.2f} | {cheaper:.2f} |")


if __name__ == "__main__":
    main()
